from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError, one_line
from cdigen.parse.ldcache import CacheEntry, parse_ldcache

ELF = Path(__file__).parents[1] / "fixtures/elf"
LDCONFIG = shutil.which("ldconfig", path="/usr/sbin:/sbin:/usr/bin") or "ldconfig"

ENTRIES = (
    CacheEntry(name="libcuda.so.1", path="/usr/lib/hwcaps/libcuda.so.1", flags=0x303, hwcap=1 << 62 | 2),
    CacheEntry(name="libcuda.so.1", path="/usr/lib/x86_64-linux-gnu/libcuda.so.1", flags=0x303, hwcap=0),
    CacheEntry(name="libcuda.so.1", path="/usr/lib/i386-linux-gnu/libcuda.so.1", flags=0x003, hwcap=0),
)


def build(  # the writer of elf/cache.c, in short
    layout: str,
    entries: tuple[CacheEntry, ...] = ENTRIES,
    *,
    order: str = "<",
    endian: int | None = None,
    align: int = 8,
) -> bytes:
    """Write a cache; `endian` is the new header's flags byte, `align` the place of a combined one's new part."""
    strings, offsets = b"", {}
    for text in [part for entry in entries for part in (entry.name, entry.path)]:
        offsets[text] = len(strings)
        strings += text.encode() + b"\0"
    flags = {"<": 2, ">": 3}[order] if endian is None else endian
    new_size = 48 + 24 * len(entries)
    new = struct.pack(f"{order}20sIIB3xI12x", b"glibc-ld.so.cache1.1", len(entries), len(strings), flags, 0)
    for entry in entries:
        name, path = new_size + offsets[entry.name], new_size + offsets[entry.path]
        new += struct.pack(f"{order}iIIIQ", entry.flags, name, path, 0, entry.hwcap)
    if layout == "new":
        return new + strings
    old_size = 16 + 12 * len(entries)
    padding = bytes(-old_size % align) if layout == "combined" else b""
    before = len(padding) + new_size if layout == "combined" else 0
    old = struct.pack(f"{order}11sxI", b"ld.so-1.7.0", len(entries))
    for entry in entries:
        name, path = before + offsets[entry.name], before + offsets[entry.path]
        old += struct.pack(f"{order}iII", entry.flags, name, path)
    return old + padding + (new if layout == "combined" else b"") + strings


def without_hwcap(entries: tuple[CacheEntry, ...]) -> tuple[CacheEntry, ...]:
    return tuple(CacheEntry(name=e.name, path=e.path, flags=e.flags, hwcap=0) for e in entries)


def reason(data: bytes) -> str:
    with pytest.raises(ParseError) as caught:
        parse_ldcache(data)
    return str(caught.value)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", ["new", "combined"])
def test_new_entries_are_read_in_order_with_their_hwcaps(layout: str, order: str) -> None:
    assert parse_ldcache(build(layout, order=order)) == ENTRIES


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_new_header_without_byte_order_is_read_in_the_one_that_fits(order: str) -> None:
    assert parse_ldcache(build("new", order=order, endian=0)) == ENTRIES


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_old_layout_has_no_hwcaps(order: str) -> None:
    assert parse_ldcache(build("old", order=order)) == without_hwcap(ENTRIES)


@pytest.mark.parametrize("count", [2, 3])
def test_the_new_part_of_a_combined_cache_is_found_on_machines_that_align_to_four_bytes(count: int) -> None:
    assert parse_ldcache(build("combined", ENTRIES[:count], align=4)) == ENTRIES[:count]


@pytest.mark.parametrize("layout", ["old", "new", "combined"])
def test_a_cache_without_entries_is_a_value(layout: str) -> None:
    assert parse_ldcache(build(layout, ())) == ()


NEW = build("new")
OLD = build("old")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty file"),
        (b"garbage", "not a cache of the dynamic loader"),
        (NEW[:30], "truncated: the header ends at byte 48, the file at byte 30"),
        (NEW[:60], "truncated: the table and its strings end at byte 264, the file at byte 60"),
        (NEW[:-1], "truncated: the table and its strings end at byte 264, the file at byte 263"),
        (OLD[:14], "truncated: the header takes 16 bytes, the file has 14"),
        (OLD[:40], "truncated: the table ends at byte 52, the file at byte 40"),
        (OLD[:-1], "the string at byte 159 of 195 is beyond the end"),
        (build("new", endian=1), "marked as invalid by the program that wrote it"),
        (
            NEW[:32] + struct.pack("<I", 4096) + NEW[36:],
            "truncated: the table and its strings end at byte 4104, the file at byte 264",
        ),
        (NEW[:52] + b"\xff\xff\xff\x7f" + NEW[56:], "the string at byte 2147483647 of 264 is beyond the end"),
        (
            build("new", (CacheEntry(name="a/b", path="/a", flags=3, hwcap=0),)),
            "a library name that is not a file name: 'a/b'",
        ),
        (
            build("new", (CacheEntry(name="", path="/a", flags=3, hwcap=0),)),
            "a library name that is not a file name: ''",
        ),
        (build("new", (CacheEntry(name="a", path="b/a", flags=3, hwcap=0),)), "a path that is not absolute: 'b/a'"),
        (NEW.replace(b"libcuda.so.1\0", b"libcud\xff.so.1\0"), r"a name that is not UTF-8: b'libcud\xff.so.1'"),
        (
            build("new", (CacheEntry(name="a", path="/" + "a" * 4096, flags=3, hwcap=0),)),
            "the string at byte 74 of 4172 is longer than 4096 bytes",
        ),
        (
            struct.pack("<20sIIB3xI12x", b"glibc-ld.so.cache1.1", 65537, 0, 2, 0) + bytes(65537 * 24),
            "65537 entries, more than 65536",
        ),
        (struct.pack("<11sxI", b"ld.so-1.7.0", 65537) + bytes(65537 * 12), "65537 entries, more than 65536"),
    ],
)
def test_a_cache_that_is_not_whole_or_not_one_gives_its_reason(data: bytes, expected: str) -> None:
    assert reason(data) == expected


def test_strings_that_many_entries_share_cannot_blow_up() -> None:
    name, path = b"a\0", b"/" + b"b" * 4000 + b"\0"
    count, strings = 60000, 48 + 24 * 60000
    data = struct.pack("<20sIIB3xI12x", b"glibc-ld.so.cache1.1", count, len(name + path), 2, 0)
    data += struct.pack("<iIIIQ", 3, strings, strings + len(name), 0, 0) * count + name + path
    assert reason(data) == "more than 16777216 bytes of names and paths"


# --- caches that ldconfig wrote ---


def write_cache(root: Path, layout: str) -> Path:
    """Let ldconfig write a cache of a root that holds some fixtures."""
    libraries = ["lib64/x86_64/libplain.so.1", "lib64/x86_64/libneeds.so.1", "lib32/i386/libneeds.so.1"]
    if layout == "new":  # with such a directory, ldconfig 2.36 corrupts its heap when it writes an old table
        libraries.append("lib64/glibc-hwcaps/x86-64-v3/x86_64/libplain.so.1")
    for library in libraries:
        machine, name = library.split("/")[-2:]
        directory = root / "usr" / library.removesuffix(f"/{machine}/{name}")
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copy(ELF / machine / name, directory)
    (root / "etc").mkdir()
    (root / "etc/ld.so.conf").write_text("/usr/lib64\n/usr/lib32\n")
    as_root = ["unshare", "--map-root-user"] if os.geteuid() else []  # -r is a chroot
    command = [*as_root, LDCONFIG, "-r", str(root), "-X", "-c", layout]
    subprocess.run(command, check=True, capture_output=True)
    return root / "etc/ld.so.cache"


def shown(cache: Path) -> list[tuple[str, int, str]]:
    """Name, ABI, whether it is for libc6, and path of each entry, as `ldconfig -p` prints them."""
    text = subprocess.run(
        [LDCONFIG, "-p", "-C", str(cache)], check=True, capture_output=True, text=True, env={"LC_ALL": "C"}
    ).stdout
    kinds, abis = {"libc6": 3, "ELF": 1}, {"x86-64": 0x300, "x32": 0x800, "AArch64": 0xA00, "": 0}
    return [
        (name, abis[abi] | kinds[kind], path)
        for name, kind, abi, path in re.findall(
            r"^\t(\S+) \((libc6|ELF)(?:,(x86-64|x32|AArch64))?[^)]*\) => (.*)$", text, re.M
        )
    ]


PLAIN = CacheEntry(name="libplain.so.1", path="/usr/lib64/libplain.so.1", flags=0x303, hwcap=0)
PLAIN_V3 = CacheEntry(
    name="libplain.so.1",
    path="/usr/lib64/glibc-hwcaps/x86-64-v3/libplain.so.1",
    flags=0x303,
    hwcap=1 << 62,
)
NEEDS = CacheEntry(name="libneeds.so.1", path="/usr/lib64/libneeds.so.1", flags=0x303, hwcap=0)
NEEDS_32 = CacheEntry(name="libneeds.so.1", path="/usr/lib32/libneeds.so.1", flags=0x003, hwcap=0)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("old", [PLAIN, NEEDS, NEEDS_32]),
        ("compat", [PLAIN, NEEDS, NEEDS_32]),
        ("new", [PLAIN_V3, PLAIN, NEEDS, NEEDS_32]),
    ],
)
def test_the_entries_are_those_that_ldconfig_wrote_and_shows(
    tmp_path: Path, layout: str, expected: list[CacheEntry]
) -> None:
    cache = write_cache(tmp_path, layout)
    entries = parse_ldcache(cache.read_bytes())
    assert list(entries) == expected
    assert [(entry.name, entry.flags, entry.path) for entry in entries] == shown(cache)


def test_this_machines_own_cache_is_read_as_ldconfig_shows_it() -> None:
    cache = Path("/etc/ld.so.cache")
    entries = parse_ldcache(cache.read_bytes())
    assert [(entry.name, entry.flags, entry.path) for entry in entries] == shown(cache)


def test_the_layouts_that_ldconfig_writes_are_the_three(tmp_path: Path) -> None:
    starts = {}
    for layout in ("old", "compat", "new"):
        (tmp_path / layout).mkdir()
        data = write_cache(tmp_path / layout, layout).read_bytes()
        starts[layout] = (data.startswith(b"ld.so-1.7.0"), b"glibc-ld.so.cache1.1" in data)
    assert starts == {"old": (True, False), "compat": (True, True), "new": (False, True)}


# --- any bytes ---


def check(data: bytes) -> None:
    try:
        entries = parse_ldcache(data)
    except ParseError as error:
        said = str(error)
    else:
        said = "none"
        assert all(entry.path.startswith("/") and "/" not in entry.name for entry in entries)
    assert said
    assert one_line(said) == said


@given(st.sampled_from([b"", b"ld.so-1.7.0\0", b"glibc-ld.so.cache1.1"]), st.binary(max_size=600))
def test_any_bytes_give_entries_or_a_reason(beginning: bytes, data: bytes) -> None:
    check(beginning + data)


@given(
    st.sampled_from([build(layout, order=order) for layout in ("old", "new", "combined") for order in "<>"]),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=6),
    st.integers(0, 500),
)
def test_mutated_bytes_give_entries_or_a_reason(good: bytes, changes: list[tuple[int, int]], size: int) -> None:
    data = bytearray(good)
    for at, byte in changes:
        data[at % len(data)] = byte
    check(bytes(data[: size or None]))
