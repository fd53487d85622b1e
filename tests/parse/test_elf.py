from __future__ import annotations

import io
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import StringTableSection

from cdigen.errors import ParseError
from cdigen.parse.elf import ElfFacts, glibc_floor, parse_elf
from cdigen.records import replace

ELF = Path(__file__).parents[1] / "fixtures/elf"
GOOD = sorted(path for machine in ("x86_64", "i386", "aarch64", "s390x") for path in (ELF / machine).iterdir())
WITH_SECTIONS = [path for path in GOOD if path.name != "libstripped.so.1"]
DAMAGED = sorted((ELF / "damaged").iterdir())
# Libraries that a glibc machine has; they are larger and made by other linkers' options than the fixtures.
HOST = sorted(
    path
    for directory in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64")
    for name in ("libc.so.6", "libm.so.6", "libstdc++.so.6", "libz.so.1", "libdl.so.2")
    for path in [Path(directory, name)]
    if path.is_file()
)


def facts(path: Path) -> ElfFacts:
    with path.open("rb") as stream:
        return parse_elf(stream, path.stat().st_size)


def reason(data: bytes) -> str:
    with pytest.raises(ParseError) as caught:
        parse_elf(io.BytesIO(data), len(data))
    return str(caught.value)


def identify(path: Path) -> str:
    return str(path.relative_to(ELF)) if path.is_relative_to(ELF) else str(path)


NEEDS = ElfFacts(
    bits=64,
    machine="x86_64",
    kind="shared",
    soname="libneeds.so.1",
    needed=("libm.so.6", "libc.so.6"),
    versions=(("libc.so.6", ("GLIBC_2.14", "GLIBC_2.2.5")), ("libm.so.6", ("GLIBC_2.29",))),
    runpath=(),
)
PLAIN = replace(NEEDS, soname="libplain.so.1", needed=(), versions=())
ALONE = replace(PLAIN, kind="executable", soname=None)
PROGRAM = replace(ALONE, needed=("libplain.so.1",))

EXPECTED = {
    "aarch64/libneeds.so.1": replace(
        NEEDS,
        machine="aarch64",
        versions=(("libc.so.6", ("GLIBC_2.17",)), ("libm.so.6", ("GLIBC_2.29",))),
    ),
    "aarch64/libplain.so.1": replace(PLAIN, machine="aarch64"),
    "i386/libneeds.so.1": replace(
        NEEDS,
        bits=32,
        machine="i386",
        versions=(("libc.so.6", ("GLIBC_2.0",)), ("libm.so.6", ("GLIBC_2.29",))),
    ),
    "i386/libplain.so.1": replace(PLAIN, bits=32, machine="i386"),
    "s390x/libplain.so.1": replace(PLAIN, machine="em22"),
    "x86_64/libneeds.so.1": NEEDS,
    "x86_64/libnosoname.so": replace(PLAIN, soname=None),
    "x86_64/libplain.so.1": PLAIN,
    "x86_64/librelr.so.1": replace(
        NEEDS,
        soname="librelr.so.1",
        versions=(
            ("libc.so.6", ("GLIBC_2.14", "GLIBC_2.2.5", "GLIBC_ABI_DT_RELR")),
            ("libm.so.6", ("GLIBC_2.29",)),
        ),
    ),
    "x86_64/librpath.so.1": replace(PLAIN, soname="librpath.so.1", runpath=("/opt/old/lib",)),
    "x86_64/librunpath.so.1": replace(
        PLAIN,
        soname="librunpath.so.1",
        needed=("libplain.so.1",),
        runpath=("/opt/driver/lib", "$ORIGIN/../lib"),
    ),
    "x86_64/libstripped.so.1": NEEDS,
    "x86_64/program-fixed": PROGRAM,
    "x86_64/program-pie": PROGRAM,
    "x86_64/program-static": ALONE,
    "x86_64/program-static-pie": ALONE,
}


@pytest.mark.parametrize("path", GOOD, ids=identify)
def test_every_good_file_gives_its_facts(path: Path) -> None:
    assert facts(path) == EXPECTED[identify(path)]


def test_no_expectation_is_left_without_its_file() -> None:
    assert sorted(EXPECTED) == [identify(path) for path in sorted(GOOD, key=identify)]


MACHINES = {"EM_X86_64": "x86_64", "EM_386": "i386", "EM_AARCH64": "aarch64", "EM_S390": "em22"}


@pytest.mark.parametrize("path", WITH_SECTIONS + HOST, ids=identify)
def test_facts_agree_with_what_pyelftools_reads_through_section_headers(path: Path) -> None:
    found = facts(path)
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        assert (found.bits, found.machine) == (elf.elfclass, MACHINES[elf["e_machine"]])
        strings: dict[str, list[str | None]] = {"DT_NEEDED": [], "DT_SONAME": []}
        dynamic = elf.get_section_by_name(".dynamic")
        if isinstance(dynamic, DynamicSection):
            table = elf.get_section(dynamic["sh_link"])
            assert isinstance(table, StringTableSection)
            for tag in dynamic.iter_tags():
                if tag.entry.d_tag in strings:
                    strings[tag.entry.d_tag].append(table.get_string(tag.entry.d_val))
        assert list(found.needed or ()) == strings["DT_NEEDED"]
        assert [found.soname] == (strings["DT_SONAME"] or [None])
        needs = elf.get_section_by_name(".gnu.version_r")
        versions = {
            file.name: tuple(sorted(version.name for version in names))
            for file, names in (needs.iter_versions() if isinstance(needs, GNUVerNeedSection) else ())
        }
        assert found.versions == tuple(sorted(versions.items()))


@pytest.mark.skipif(
    shutil.which("readelf") is None and "CI" not in os.environ, reason="needs readelf (package binutils)"
)
@pytest.mark.parametrize("path", GOOD + HOST, ids=identify)
def test_facts_agree_with_readelf(path: Path) -> None:
    found = facts(path)
    shown = subprocess.run(
        ["readelf", "-hdVW", str(path)], check=True, capture_output=True, text=True, env={"LC_ALL": "C"}
    ).stdout
    assert found.bits == int(re.findall(r"Class: +ELF(\d+)", shown)[0])
    assert list(found.needed or ()) == re.findall(r"\(NEEDED\) +Shared library: \[(.*)\]", shown)
    assert [found.soname] == (re.findall(r"\(SONAME\) +Library soname: \[(.*)\]", shown) or [None])
    assert ":".join(found.runpath) == "".join(re.findall(r"\((?:RUNPATH|RPATH)\) .*: \[(.*)\]", shown))
    names = re.findall(r"^  \S+: +Name: (\S+)  Flags: .* Version: \d+$", shown.partition("needs section")[2], re.M)
    if path.name != "libstripped.so.1":  # readelf -V goes by section headers
        assert sorted(name for _, names in found.versions or () for name in names) == sorted(names)


REASONS = {
    "class.so": "ELF class 7 is neither 1 (32-bit) nor 2 (64-bit)",
    "core.so": "neither a shared object nor an executable: e_type is ET_CORE",
    "cut-in-dynamic.so": "truncated: the segments end at byte 1256, the file at byte 896",
    "cut-in-half.so": "truncated: the segments end at byte 1256, the file at byte 1136",
    "cut-in-header.so": "truncated: the ELF header ends at byte 64, the file at byte 40",
    "cut-in-ident.so": "truncated: the ELF header ends at byte 16, the file at byte 9",
    "cut-in-program-headers.so": "truncated: the program header table ends at byte 288, the file at byte 100",
    "dynamic-beyond-end.so": ("truncated: the dynamic section ends at byte 1099511628112, the file at byte 2272"),
    "dynamic-huge.so": "68719476736 entries in the dynamic section, more than 65536",
    "dynamic-without-end.so": "the dynamic section has no end (DT_NULL)",
    "empty.so": "empty file",
    "encoding.so": "ELF data encoding 0 is neither 1 (little-endian) nor 2 (big-endian)",
    "magic-alone.so": "truncated: the ELF header ends at byte 16, the file at byte 4",
    "needed-empty.so": "DT_NEEDED is empty",
    "needed-out-of-range.so": "DT_NEEDED is at byte 4294967296 of a string table of 91 bytes",
    "phentsize.so": "program headers of 32 bytes each, expected 56",
    "phnum-huge.so": "65535 program headers, more than 4096",
    "phnum-zero.so": "no segment to load",
    "phoff-beyond-end.so": ("truncated: the program header table ends at byte 1099511628000, the file at byte 2272"),
    "phoff-huge.so": ("truncated: the program header table ends at byte 18446744073709551839, the file at byte 2272"),
    "relocatable.so": "neither a shared object nor an executable: e_type is ET_REL",
    "segment-huge.so": "truncated: the segments end at byte 4611686018427387904, the file at byte 2272",
    "soname-dots.so": "DT_SONAME is not a file name: '..'",
    "soname-empty.so": "DT_SONAME is empty",
    "soname-long.so": "DT_SONAME is longer than 4096 bytes",
    "soname-newline.so": r"DT_SONAME has characters that are not printable: b'lib\nneed.so.1'",
    "soname-not-utf8.so": r"DT_SONAME is not UTF-8: b'lib\xffneed.so.1'",
    "soname-slash.so": "DT_SONAME is not a file name: '../needs.so.1'",
    "strings-cut-off.so": "the string table of 1073741824 bytes is cut off at byte 424 of it",
    "strings-unmapped.so": "the string table is at address 0x10000000000, which no segment holds",
    "strings-without-end.so": "DT_SONAME is at byte 43 of a string table of 26 bytes",
    "text.so": "not an ELF file (starts with the bytes 2f 2a 20 47)",
    "version.so": "ELF version 2, expected 1",
    "versions-file-loop.so": "the table of version needs ends before its last entry",
    "versions-huge.so": "version needs of 1099511627776 files, more than 4096",
    "versions-loop.so": "the table of version needs ends before its last entry",
    "versions-many.so": "more than 4096 version needs",
    "versions-out-of-segment.so": "the table of version needs runs out of its segment",
    "versions-unmapped.so": "the table of version needs is at address 0x10000000000, which no segment holds",
    "zeros.so": "not an ELF file (starts with the bytes 00 00 00 00)",
}


@pytest.mark.parametrize("path", DAMAGED, ids=identify)
def test_every_damaged_file_gives_its_reason(path: Path) -> None:
    assert reason(path.read_bytes()) == REASONS[path.name]


def test_no_reason_is_left_without_its_file() -> None:
    assert sorted(REASONS) == [path.name for path in DAMAGED]


def test_committed_files_are_what_the_script_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ELF / "make_damaged.py"), str(tmp_path)], check=True)
    made = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.glob("*/*")}
    assert len(made) == len(DAMAGED)  # relocatable.so is gcc's, libstripped.so.1 is not damaged
    assert made == {name: (ELF / name).read_bytes() for name in made}


def test_a_file_that_is_cut_anywhere_is_never_taken_for_the_whole_one() -> None:
    data = (ELF / "x86_64/libneeds.so.1").read_bytes()
    end_of_segments = 1256
    for size in range(end_of_segments):
        assert re.match("empty file|not an ELF file|truncated: ", reason(data[:size])), size
    assert parse_elf(io.BytesIO(data[:end_of_segments]), end_of_segments) == NEEDS


def test_a_file_that_shrinks_while_it_is_read_is_truncated() -> None:
    data = (ELF / "x86_64/libneeds.so.1").read_bytes()
    with pytest.raises(ParseError) as caught:
        parse_elf(io.BytesIO(data[:1000]), len(data))
    assert str(caught.value) == "truncated: the dynamic section ends at byte 1208, the file at byte 1000"


def test_a_string_that_its_table_cuts_off_has_no_end() -> None:
    data = bytearray((ELF / "x86_64/libplain.so.1").read_bytes())
    table_end = data.index(b"libplain.so.1\0") + len("libplain.so.1")
    data[table_end] = ord("x")
    assert reason(bytes(data)) == "DT_SONAME has no end in the string table"


@pytest.mark.parametrize(("number", "machine"), [(183, "em183"), (21, "em21"), (60000, "em60000")])
def test_a_machine_of_the_other_byte_order_keeps_its_number(number: int, machine: str) -> None:
    data = bytearray((ELF / "s390x/libplain.so.1").read_bytes())
    struct.pack_into(">H", data, 18, number)
    assert parse_elf(io.BytesIO(data), len(data)).machine == machine


@pytest.mark.parametrize(
    ("number", "bits_64", "machine"),
    [(21, True, "ppc64le"), (243, True, "riscv64"), (183, True, "aarch64"), (40, False, "arm"), (62, False, "em62")],
)
def test_machines_are_named_by_number_and_class(number: int, machine: str, *, bits_64: bool) -> None:
    data = bytearray((ELF / ("x86_64" if bits_64 else "i386") / "libplain.so.1").read_bytes())
    struct.pack_into("<H", data, 18, number)
    assert parse_elf(io.BytesIO(data), len(data)).machine == machine


def test_more_needed_files_than_any_library_has_are_refused() -> None:
    data = bytearray((ELF / "x86_64/libneeds.so.1").read_bytes())
    program_header = 64 + 2 * 56
    assert struct.unpack_from("<I", data, program_header) == (2,)  # PT_DYNAMIC
    table = struct.pack("<QQ", 1, 1) * 4097 + bytes(16)
    struct.pack_into("<Q", data, program_header + 8, len(data))
    struct.pack_into("<Q", data, program_header + 32, len(table))
    assert reason(bytes(data) + table) == "4097 entries of DT_NEEDED, more than 4096"


@pytest.mark.parametrize(
    ("names", "floor"),
    [
        (["GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.4"], (2, 34)),
        (["GLIBC_2.2.5", "GLIBC_2.2"], (2, 2, 5)),
        (["GLIBC_2.14", "GLIBC_ABI_DT_RELR"], (2, 36)),
        (["GLIBC_PRIVATE", "GCC_3.0", "GLIBCXX_3.4.9", "GLIBC_2", "GLIBC_", "GLIBC_2.x", "GLIBC_2.²"], None),
        ([f"GLIBC_2.{'9' * 5000}"], None),
        ([], None),
    ],
)
def test_glibc_floor_is_the_highest_release_named(names: list[str], floor: tuple[int, ...] | None) -> None:
    assert glibc_floor((("libm.so.6", ()), ("libc.so.6", tuple(names)))) == floor


def test_glibc_floor_looks_at_all_files() -> None:
    assert glibc_floor(facts(ELF / "x86_64/libneeds.so.1").versions) == (2, 29)


def test_glibc_floor_of_unknown_needs_is_unknown() -> None:
    assert glibc_floor(None) is None


def test_reading_a_library_imports_nothing_of_dwarf() -> None:
    code = (
        "import io, sys\n"
        "from cdigen.parse.elf import parse_elf\n"
        "assert not any(name.startswith('elftools') for name in sys.modules)\n"
        "data = open(sys.argv[1], 'rb').read()\n"
        "parse_elf(io.BytesIO(data), len(data))\n"
        "print(sorted(name for name in sys.modules if 'dwarf' in name or name == 'elftools.elf.elffile'))\n"
    )
    library = str(ELF / "x86_64/libneeds.so.1")
    run = subprocess.run([sys.executable, "-c", code, library], check=True, capture_output=True, text=True)
    assert run.stdout == "[]\n"
