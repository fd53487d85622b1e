"""What the dynamic loader reads from an ELF file: class, machine, SONAME, NEEDED, version needs, RUNPATH.

The way is the loader's own: ELF header, program headers, the dynamic section that `PT_DYNAMIC` points at,
and strings through `DT_STRTAB`, its address mapped to a file offset by `PT_LOAD`. Section headers are not
looked at: a stripped file may have none, and the loader does not need them.

Sources: System V gABI, chapters 4 (ELF header) and 5 (program header, dynamic section); for version needs the
LSB core specification, "Symbol Versioning"; for `DF_1_PIE` glibc's elf/elf.h.

Only this module imports pyelftools, and of it only the structures and constants: `elftools.elf.elffile`
pulls in DWARF and takes twice the import time of `elftools.elf.structs`.
"""

from __future__ import annotations

from functools import cache
from struct import Struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from cdigen.errors import ParseError
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from elftools.construct import Construct, Container
    from elftools.elf.structs import ELFStructs

# Limits that no real library comes near and that bound the work which a hostile file can ask for.
_MAX_SEGMENTS = 4096
_MAX_DYNAMIC_ENTRIES = 65536
_MAX_NEEDED = 4096
_MAX_VERSIONS = 4096  # files that versions are needed of, and versions needed, each
_MAX_STRING = 4096

_MAGIC = b"\x7fELF"
_IDENT_SIZE = 16  # EI_NIDENT
_BITS = {1: 32, 2: 64}  # EI_CLASS
_LITTLE_ENDIAN = {1: True, 2: False}  # EI_DATA

# The little-endian machines that have a name here, with their class.
_MACHINES = {
    ("EM_X86_64", 64): "x86_64",
    ("EM_386", 32): "i386",
    ("EM_AARCH64", 64): "aarch64",
    ("EM_ARM", 32): "arm",
    ("EM_PPC64", 64): "ppc64le",
    ("EM_RISCV", 64): "riscv64",
}

# What is read of the dynamic section besides DT_NEEDED.
_TAGS = (
    "DT_STRTAB",
    "DT_STRSZ",
    "DT_SONAME",
    "DT_RPATH",
    "DT_RUNPATH",
    "DT_FLAGS_1",
    "DT_VERNEED",
    "DT_VERNEEDNUM",
)
_DF_1_PIE = 0x08000000

# Version names without a number that stand for a glibc release all the same: libc.so.6 has provided this one
# since 2.36, for libraries linked with `-z pack-relative-relocs`.
_GLIBC_MARKERS = {"GLIBC_ABI_DT_RELR": (2, 36)}


class ElfFacts(Record):
    """What a loader is told by one ELF file.

    Attributes:
        bits: 32 or 64, the file's class.
        machine: `x86_64`, `i386`, `aarch64`, `arm`, `ppc64le`, `riscv64`, else `em<N>` with the number in the
            header: also for x32 and for the big-endian forms of these machines.
        kind: `shared` (a shared object) or `executable` (position-independent or not).
        soname: DT_SONAME, a plain file name; None where the file has none.
        needed: DT_NEEDED in file order; None where it is not known, which only a snapshot says.
        versions: pairs of a file and the versions needed of it, both sorted; None as for `needed`.
        runpath: the directories of DT_RUNPATH, else of DT_RPATH, in order.
    """

    bits: int
    machine: str
    kind: str
    soname: str | None
    needed: tuple[str, ...] | None
    versions: tuple[tuple[str, tuple[str, ...]], ...] | None
    runpath: tuple[str, ...]


def parse_elf(stream: BinaryIO, size: int) -> ElfFacts:
    """Read the facts of a shared object or an executable.

    Args:
        stream: the file's bytes, seekable; read in small pieces, never whole.
        size: the file's length in bytes; nothing beyond it is read.

    Returns:
        The facts. A file without a dynamic section (a static executable) needs nothing and has no SONAME.

    Raises:
        ParseError: the bytes are not a whole, well-formed ELF file of these two kinds.
        OSError: as raised by `stream`.
    """
    image = _Image(stream, size)
    header = image.header()
    segments = image.segments(header)
    dynamic = _dynamic_section(image, segments)
    strings = _Strings(image, segments, dynamic.values)
    return ElfFacts(
        bits=image.bits,
        machine=_machine(image, header),
        kind=_kind(header, segments, dynamic.values),
        soname=_soname(strings, dynamic.values),
        needed=tuple(strings.text(at, "DT_NEEDED") for at in dynamic.needed),
        versions=_version_needs(image, segments, strings, dynamic.values),
        runpath=_runpath(strings, dynamic.values),
    )


def glibc_floor(versions: tuple[tuple[str, tuple[str, ...]], ...] | None) -> tuple[int, ...] | None:
    """Return the lowest glibc release that provides all of `versions`.

    Args:
        versions: as in `ElfFacts.versions`.

    Returns:
        The highest release named, such as `(2, 34)` or `(2, 2, 5)`; None where none is named. `GLIBC_PRIVATE`
        names no release.
    """
    releases = [_glibc_release(name) for _, names in versions or () for name in names]
    return max((release for release in releases if release is not None), default=None)


def _glibc_release(name: str) -> tuple[int, ...] | None:
    if name in _GLIBC_MARKERS:
        return _GLIBC_MARKERS[name]
    prefix, _, release = name.partition("_")
    parts = release.split(".")
    numeric = all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts)
    return tuple(map(int, parts)) if prefix == "GLIBC" and numeric and len(parts) > 1 else None


class _Segment(NamedTuple):
    kind: str | int  # the type's name; a number where it has none
    offset: int
    address: int
    size: int  # in the file


class _Dynamic(NamedTuple):
    values: Mapping[str, int]  # of _TAGS, each with its last value, which is the one that glibc takes
    needed: tuple[int, ...]  # every value of DT_NEEDED, in order


@cache  # four at most; making the structures takes longer than reading a library with them
def _structs(bits: int, little_endian: bool) -> ELFStructs:
    from elftools.elf.structs import ELFStructs

    structs = ELFStructs(little_endian=little_endian, elfclass=bits)
    structs.create_basic_structs()
    # Without a machine, the machine's own segment types and tags stay numbers; none of them is used here.
    structs.create_advanced_structs()
    return structs


class _Image:
    """Bounded reads of one file, in its class and byte order."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        if size == 0:
            raise ParseError("empty file")
        magic = self.read(0, min(size, len(_MAGIC)), "the file")
        if magic != _MAGIC:
            raise ParseError(f"not an ELF file (starts with the bytes {magic.hex(' ')})")
        ident = self.read(0, _IDENT_SIZE, "the ELF header")
        if ident[4] not in _BITS:
            raise ParseError(f"ELF class {ident[4]} is neither 1 (32-bit) nor 2 (64-bit)")
        if ident[5] not in _LITTLE_ENDIAN:
            raise ParseError(f"ELF data encoding {ident[5]} is neither 1 (little-endian) nor 2 (big-endian)")
        if ident[6] != 1:
            raise ParseError(f"ELF version {ident[6]}, expected 1")
        self.bits = _BITS[ident[4]]
        self.little_endian = _LITTLE_ENDIAN[ident[5]]
        self.structs = _structs(self.bits, self.little_endian)

    def read(self, offset: int, count: int, what: str) -> bytes:
        """Return exactly `count` bytes; a ParseError says that the file ends before them."""
        end = offset + count
        if end > self._size:
            raise ParseError(f"truncated: {what} ends at byte {end}, the file at byte {self._size}")
        self._stream.seek(offset)
        data = self._stream.read(count)
        if len(data) != count:  # the file became shorter after its size was asked
            raise ParseError(f"truncated: {what} ends at byte {end}, the file at byte {offset + len(data)}")
        return data

    def header(self) -> Container:
        layout = self.structs.Elf_Ehdr
        header: Container = layout.parse(self.read(0, layout.sizeof(), "the ELF header"))
        if header["e_type"] not in ("ET_DYN", "ET_EXEC"):
            raise ParseError(f"neither a shared object nor an executable: e_type is {header['e_type']}")
        return header

    def segments(self, header: Container) -> tuple[_Segment, ...]:
        layout, count = self.structs.Elf_Phdr, header["e_phnum"]
        size = layout.sizeof()
        if count > _MAX_SEGMENTS:
            raise ParseError(f"{count} program headers, more than {_MAX_SEGMENTS}")
        if header["e_phentsize"] != size and count:
            raise ParseError(f"program headers of {header['e_phentsize']} bytes each, expected {size}")
        table = self.read(header["e_phoff"], count * size, "the program header table")
        entries = [layout.parse(table[at : at + size]) for at in range(0, len(table), size)]
        segments = tuple(_Segment(e["p_type"], e["p_offset"], e["p_vaddr"], e["p_filesz"]) for e in entries)
        loaded = [segment for segment in segments if segment.kind == "PT_LOAD"]
        if not loaded:
            raise ParseError("no segment to load")
        end = max((segment.offset + segment.size for segment in loaded if segment.size), default=0)
        if end > self._size:
            raise ParseError(f"truncated: the segments end at byte {end}, the file at byte {self._size}")
        return segments


class _Strings:
    """The dynamic string table: `DT_STRTAB`, `DT_STRSZ`."""

    def __init__(self, image: _Image, segments: tuple[_Segment, ...], values: Mapping[str, int]) -> None:
        self._image = image
        self._offset = self._size = 0  # without a table, every index is out of range
        if "DT_STRTAB" in values:
            self._offset, room = _locate(segments, values["DT_STRTAB"], "the string table")
            self._size = values.get("DT_STRSZ", room)
            if self._size > room:
                raise ParseError(f"the string table of {self._size} bytes is cut off at byte {room} of it")

    def text(self, index: int, what: str) -> str:
        """Return the string that starts at byte `index` of the table; `what` names it in errors."""
        if index >= self._size:
            raise ParseError(f"{what} is at byte {index} of a string table of {self._size} bytes")
        room = min(self._size - index, _MAX_STRING + 1)
        raw, end, _ = self._image.read(self._offset + index, room, "the string table").partition(b"\0")
        if not end:
            limit = "is longer than 4096 bytes" if room > _MAX_STRING else "has no end in the string table"
            raise ParseError(f"{what} {limit}")
        if not raw:
            raise ParseError(f"{what} is empty")
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise ParseError(f"{what} is not UTF-8: {raw[:64]!r}") from error
        if not text.isprintable():
            raise ParseError(f"{what} has characters that are not printable: {raw[:64]!r}")
        return text


def _locate(segments: tuple[_Segment, ...], address: int, what: str) -> tuple[int, int]:
    """Return the file offset of `address` and the bytes of its segment from there on."""
    for segment in segments:
        skip = address - segment.address
        if segment.kind == "PT_LOAD" and 0 <= skip < segment.size:
            return segment.offset + skip, segment.size - skip
    raise ParseError(f"{what} is at address {address:#x}, which no segment holds")


def _dynamic_section(image: _Image, segments: tuple[_Segment, ...]) -> _Dynamic:
    segment = next((segment for segment in segments if segment.kind == "PT_DYNAMIC"), None)
    if segment is None:
        return _Dynamic({}, ())
    # All in one go: entry by entry, pyelftools' Elf_Dyn takes as long as all the rest of a library.
    layout = Struct(("<" if image.little_endian else ">") + ("qQ" if image.bits == 64 else "iI"))
    count = segment.size // layout.size
    if count > _MAX_DYNAMIC_ENTRIES:
        raise ParseError(f"{count} entries in the dynamic section, more than {_MAX_DYNAMIC_ENTRIES}")
    from elftools.elf.enums import ENUM_D_TAG_COMMON

    wanted = {ENUM_D_TAG_COMMON[name]: name for name in _TAGS}
    end_tag, needed_tag = ENUM_D_TAG_COMMON["DT_NULL"], ENUM_D_TAG_COMMON["DT_NEEDED"]
    values: dict[str, int] = {}
    needed: list[int] = []
    for tag, value in layout.iter_unpack(image.read(segment.offset, count * layout.size, "the dynamic section")):
        if tag == end_tag:
            break
        if tag == needed_tag:
            needed.append(value)
        elif tag in wanted:
            values[wanted[tag]] = value
    else:
        raise ParseError("the dynamic section has no end (DT_NULL)")
    if len(needed) > _MAX_NEEDED:
        raise ParseError(f"{len(needed)} entries of DT_NEEDED, more than {_MAX_NEEDED}")
    return _Dynamic(values, tuple(needed))


def _machine(image: _Image, header: Container) -> str:
    from elftools.elf.enums import ENUM_E_MACHINE

    machine = header["e_machine"]  # a name, or a number that has none
    known = _MACHINES.get((machine, image.bits)) if image.little_endian else None
    return known or f"em{ENUM_E_MACHINE.get(machine, machine)}"


def _kind(header: Container, segments: tuple[_Segment, ...], values: Mapping[str, int]) -> str:
    if header["e_type"] == "ET_EXEC" or values.get("DT_FLAGS_1", 0) & _DF_1_PIE:
        return "executable"
    # Linkers before binutils 2.27 do not mark position-independent executables. Some shared objects name an
    # interpreter too (libc.so.6 can be run), but those have a SONAME.
    runs = any(segment.kind == "PT_INTERP" for segment in segments)
    return "executable" if runs and "DT_SONAME" not in values else "shared"


def _soname(strings: _Strings, values: Mapping[str, int]) -> str | None:
    if "DT_SONAME" not in values:
        return None
    soname = strings.text(values["DT_SONAME"], "DT_SONAME")
    if "/" in soname or soname in (".", ".."):
        raise ParseError(f"DT_SONAME is not a file name: {soname!r}")
    return soname


def _runpath(strings: _Strings, values: Mapping[str, int]) -> tuple[str, ...]:
    for tag in ("DT_RUNPATH", "DT_RPATH"):
        if tag in values:
            return tuple(part for part in strings.text(values[tag], tag).split(":") if part)
    return ()


def _version_needs(
    image: _Image, segments: tuple[_Segment, ...], strings: _Strings, values: Mapping[str, int]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if "DT_VERNEED" not in values:
        return ()
    files = values.get("DT_VERNEEDNUM", 0)
    if files > _MAX_VERSIONS:
        raise ParseError(f"version needs of {files} files, more than {_MAX_VERSIONS}")
    need_layout, version_layout = image.structs.Elf_Verneed, image.structs.Elf_Vernaux
    at, room = _locate(segments, values["DT_VERNEED"], "the table of version needs")
    end = at + room
    found: dict[str, set[str]] = {}
    versions_left = _MAX_VERSIONS
    for file_left in range(files, 0, -1):
        need = _entry(image, need_layout, at, end)
        names = found.setdefault(strings.text(need["vn_file"], "a file in the version needs"), set())
        versions_left -= need["vn_cnt"]
        if versions_left < 0:
            raise ParseError(f"more than {_MAX_VERSIONS} version needs")
        version_at = at + need["vn_aux"]
        for version_left in range(need["vn_cnt"], 0, -1):
            version = _entry(image, version_layout, version_at, end)
            names.add(strings.text(version["vna_name"], "a version name"))
            version_at += _step(version["vna_next"], version_left)
        at += _step(need["vn_next"], file_left)
    return tuple(sorted((file, tuple(sorted(names))) for file, names in found.items()))


def _entry(image: _Image, layout: Construct, at: int, end: int) -> Container:
    size = layout.sizeof()
    if at + size > end:
        raise ParseError("the table of version needs runs out of its segment")
    entry: Container = layout.parse(image.read(at, size, "the table of version needs"))
    return entry


def _step(distance: int, left: int) -> int:
    """Return how far the next entry is; a distance of 0 ends the list, so before the last it is a loop."""
    if distance == 0 and left > 1:
        raise ParseError("the table of version needs ends before its last entry")
    return distance
