from __future__ import annotations

import json

import pytest
import yaml

from cdigen.errors import CdigenError, DocumentError, ParseError
from cdigen.host import Entry, HostReadError
from cdigen.host.snapshot import SnapshotHost, load_snapshot
from cdigen.parse.elf import ElfFacts
from cdigen.parse.ldcache import CacheEntry
from tests.hosts import char, damaged, library, link, linker_cache, minimal_entries, snapshot_document, text, unreadable

HOST = SnapshotHost(
    {
        "/a/file": text("x\n"),
        "/a/bytes": {"kind": "file", "base64": "/w=="},
        "/a/link": link("file"),
        "/a/empty": {"kind": "dir"},
        "/a/node": char(195, 255, "0660"),
        "/a/unknown": {"kind": "file"},
        "/a/unreadable": unreadable("EACCES"),
        "/a/closed": unreadable("EACCES", "dir"),
        "/a/closed/seen": {"kind": "dir"},
        "/a/damaged": damaged("empty\nfile"),
        "/a/cache": linker_cache("/x/libcuda.so.1", "/x/libc.so.6"),
        "/a/lib.so": library("lib.so.1"),
        "/a/short.so": {
            "kind": "file",
            "elf": {"bits": 32, "machine": "arm", "kind": "executable", "runpath": ["/b"]},
        },
    }
)


def refusal(data: bytes | dict[str, object], name: str = "host.yaml") -> str:
    with pytest.raises(DocumentError) as caught:
        load_snapshot(data if isinstance(data, bytes) else yaml.safe_dump(data).encode(), name)
    assert caught.value.exit_code == 1
    return str(caught.value)


def error_of(method: str, path: str) -> str:
    arguments = {"names": (("",),), "linker_cache": (("",),)}.get(method, ())
    with pytest.raises(CdigenError) as caught:
        getattr(HOST, method)(path, *arguments)
    return str(caught.value)


def test_a_recorded_entry_is_told_as_it_was() -> None:
    assert HOST.lstat("/a/file") == Entry(kind="file")
    assert HOST.lstat("/a/link") == Entry(kind="link", target="file")
    assert HOST.lstat("/a/node") == Entry(kind="char", mode=0o660, major=195, minor=255)
    assert HOST.lstat("/a/empty") == Entry(kind="dir")


def test_directories_above_an_entry_are_there_and_nothing_else_is() -> None:
    assert (HOST.lstat("/"), HOST.lstat("/a"), HOST.lstat("/a/closed")) == (Entry(kind="dir"),) * 3
    assert (HOST.lstat("/b"), HOST.lstat("/a/file/x"), HOST.lstat("/a/fil")) == (None, None, None)
    assert HOST.names("/", ("",)) == ("a",)
    assert HOST.names("/a", ("l", "f"), ".so") == ("file", "lib.so", "link", "short.so")
    assert HOST.names("/a/empty", ("",)) == ()
    assert HOST.names("/b", ("",)) == ()
    assert HOST.names("/a/file", ("",)) == ()


def test_a_host_without_entries_has_a_root() -> None:
    assert SnapshotHost({}).lstat("/") == Entry(kind="dir")
    assert SnapshotHost({}).names("/", ("",)) == ()


def test_content_is_returned_as_it_was() -> None:
    assert HOST.read("/a/file") == b"x\n"
    assert HOST.read("/a/bytes") == b"\xff"


def test_elf_facts_that_are_not_recorded_are_not_known() -> None:
    assert HOST.elf("/a/short.so") == ElfFacts(
        bits=32, machine="arm", kind="executable", soname=None, needed=None, versions=None, runpath=("/b",)
    )
    assert HOST.elf("/a/lib.so") == ElfFacts(
        bits=64,
        machine="x86_64",
        kind="shared",
        soname="lib.so.1",
        needed=("libm.so.6", "libc.so.6"),
        versions=(("libc.so.6", ("GLIBC_2.14", "GLIBC_2.2.5")), ("libm.so.6", ("GLIBC_2.29",))),
        runpath=(),
    )


def test_entries_of_the_linker_cache_are_chosen_by_prefix() -> None:
    (entry,) = HOST.linker_cache("/a/cache", ("libcuda",))
    assert entry == CacheEntry(name="libcuda.so.1", flags=0x303, path="/x/libcuda.so.1", hwcap=0)


@pytest.mark.parametrize("method", ["read", "elf", "linker_cache"])
def test_what_is_absent_unreadable_or_no_file_is_an_error_as_on_a_live_host(method: str) -> None:
    assert [error_of(method, f"/a/{name}") for name in ("none", "unreadable", "link", "empty", "node")] == [
        f"cannot read /a/{name}: {reason}; "
        + ("run as a user who may read it" if name == "unreadable" else f"see what it is with: ls -ld /a/{name}")
        for name, reason in (
            ("none", "No such file or directory"),
            ("unreadable", "Permission denied"),
            ("link", "not a regular file"),
            ("empty", "not a regular file"),
            ("node", "not a regular file"),
        )
    ]


def test_a_directory_that_could_not_be_read_has_neither_names_nor_unknown_entries() -> None:
    assert error_of("names", "/a/closed") == "cannot read /a/closed: Permission denied; run as a user who may read it"
    assert error_of("lstat", "/a/closed/x") == (
        "cannot read /a/closed/x: Permission denied; run as a user who may read it"
    )
    assert HOST.lstat("/a/closed/seen") == Entry(kind="dir")


def test_a_damaged_file_is_a_parse_error_of_one_line() -> None:
    for call in (HOST.elf, lambda path: HOST.linker_cache(path, ("",))):
        with pytest.raises(ParseError, match=r"^empty\\nfile$"):
            call("/a/damaged")


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("read", "the snapshot does not have its content"),
        ("elf", "the snapshot does not have its ELF headers"),
        ("linker_cache", "the snapshot does not have its entries"),
    ],
)
def test_what_was_not_recorded_is_not_made_up(method: str, reason: str) -> None:
    with pytest.raises(HostReadError) as caught:
        getattr(HOST, method)("/a/unknown", *([("",)] if method == "linker_cache" else []))
    assert caught.value.reason == reason


def test_a_snapshot_is_yaml_or_json_and_has_its_roots() -> None:
    document = snapshot_document({"/a": text("x")}, driver_root="/run/driver", dev_root="/run/dev")
    for data in (yaml.safe_dump(document).encode(), json.dumps(document).encode()):
        snapshot = load_snapshot(data, "host.yaml")
        assert (snapshot.driver_root, snapshot.dev_root) == ("/run/driver", "/run/dev")
        assert snapshot.host.read("/a") == b"x"


def test_a_snapshot_without_roots_is_of_a_whole_host() -> None:
    snapshot = load_snapshot(yaml.safe_dump(snapshot_document(minimal_entries())).encode(), "host.yaml")
    assert (snapshot.driver_root, snapshot.dev_root) == ("/", None)


def test_what_is_no_document_is_refused_with_its_place() -> None:
    assert refusal(b"a: [") == (
        "host.yaml: line 2, column 1: did not find expected node content; record it again with: cdigen snapshot"
    )
    assert refusal(b"\xff", "a\nb") == (
        "a\\nb: line 1: not UTF-8 (invalid start byte); record it again with: cdigen snapshot"
    )


@pytest.mark.parametrize(
    ("entries", "violations"),
    [
        (
            {"/a": {"kind": "door"}},
            "$.entries['/a'].kind: 'door' is not one of 'file', 'dir', 'link', 'char', 'block', 'socket', 'fifo'",
        ),
        ({"/a": {"kind": "link"}}, "$.entries['/a']: key 'to' is missing"),
        ({"/a": {"kind": "char", "mode": "0666"}}, "$.entries['/a']: key 'rdev' is missing"),
        ({"/a": {"kind": "char", "rdev": "195:0"}}, "$.entries['/a']: key 'mode' is missing"),
        (
            {"/a": {"kind": "char", "rdev": "195", "mode": "0666"}},
            "$.entries['/a'].rdev: '195' is not two numbers such as 195:0",
        ),
        ({"/a": {"kind": "file", "mode": "rw"}}, "$.entries['/a'].mode: 'rw' is not three or four octal digits"),
        (
            {"/a": {"kind": "file", "elf": {"bits": 16, "machine": "arm"}}},
            "$.entries['/a'].elf.bits: 16 is not one of 32, 64",
        ),
        (
            {"/a": {"kind": "file", "linker_cache": [["a", 1 << 31, "/b"]]}},
            "$.entries['/a'].linker_cache[0][1]: 2147483648 is too large, the highest value is 2147483647",
        ),
        ({"/a": {"kind": "file", "text": 5}}, "$.entries['/a'].text: 5 is not a string; put it in quotes"),
        (
            {"a": {"kind": "file"}},
            "$.entries.a: 'a' is not an absolute path without '.', '..', '//' and a slash at the end",
        ),
        (
            {"/a/": {"kind": "file"}},
            "$.entries['/a/']: '/a/' is not an absolute path without '.', '..', '//' and a slash at the end",
        ),
        (
            {"/a/../b": {"kind": "file"}},
            "$.entries['/a/../b']: '/a/../b' is not an absolute path without '.', '..', '//' and a slash at the end",
        ),
        (
            {"/a//b": {"kind": "file"}},
            "$.entries['/a//b']: '/a//b' is not an absolute path without '.', '..', '//' and a slash at the end",
        ),
        ([], "$.entries: this array is not an object"),
    ],
)
def test_what_is_no_snapshot_is_refused_with_every_place(entries: object, violations: str) -> None:
    assert refusal({"cdigen_snapshot": 1, "entries": entries}) == (
        f"host.yaml is not a snapshot: {violations}; record it again with: cdigen snapshot"
    )


ESCAPE = "\x1b[2J\nforged"
SHOWN = r"'\x1b[2J\nforged'"


def elf(**facts: object) -> dict[str, object]:
    return {"kind": "file", "elf": {"bits": 64, "machine": "x86_64", **facts}}


@pytest.mark.parametrize(
    ("entry", "violation"),
    [
        (elf(soname=ESCAPE), f".elf.soname: {SHOWN} is not a printable file name"),
        (elf(soname=".."), ".elf.soname: '..' is not a printable file name"),
        (elf(soname="a/b"), ".elf.soname: 'a/b' is not a printable file name"),
        (elf(soname=""), ".elf.soname: '' is not a printable file name"),
        (elf(soname="\u202ea"), r".elf.soname: '\u202ea' is not a printable file name"),
        (elf(needed=["a", ESCAPE]), f".elf.needed[1]: {SHOWN} is not a printable name"),
        (elf(needed=[""]), ".elf.needed[0]: must not be empty"),
        (elf(versions={ESCAPE: []}), f".elf.versions[{SHOWN}]: {SHOWN} is not a printable name"),
        (elf(versions={"a": [ESCAPE]}), f".elf.versions.a[0]: {SHOWN} is not a printable name"),
        (elf(runpath=[ESCAPE]), f".elf.runpath[0]: {SHOWN} is not a printable directory without a colon"),
        (elf(runpath=["/a:/b"]), ".elf.runpath[0]: '/a:/b' is not a printable directory without a colon"),
        (elf(kind="core"), ".elf.kind: 'core' is not one of 'shared', 'executable'"),
        (
            elf(machine="x86_64\n"),
            r".elf.machine: 'x86_64\n' is not a machine that has a name here, or em and its number",
        ),
        (damaged(ESCAPE), f".damaged: {SHOWN} is not printable text"),
        ({"kind": "file", "unreadable": ESCAPE}, f".unreadable: {SHOWN} is not printable text"),
        (
            {"kind": "file", "unreadable": "x", "errno": "EIO\n"},
            r".errno: 'EIO\n' does not match '^E[A-Z0-9]{1,30}(?!\\n)$'",
        ),
        ({"kind": "char", "rdev": "1:3\n", "mode": "0666"}, r".rdev: '1:3\n' is not two numbers such as 195:0"),
        ({"kind": "char", "rdev": "1:3", "mode": "666\n"}, r".mode: '666\n' is not three or four octal digits"),
        ({"kind": "link", "to": "a\0"}, r".to: 'a\x00' does not match '^[^\\u0000]+$'"),
        (
            {"kind": "file", "linker_cache": [["a/b", 1, "c"]]},
            (
                ".linker_cache[0][0]: 'a/b' is not a file name;"
                " $.entries['/a'].linker_cache[0][2]: 'c' is not an absolute path"
            ),
        ),
        ({"kind": "dir", "text": "x"}, ".text: 'x' is not allowed here"),
        (
            {"kind": "file", "nvml": {"gpus": [{"bdf": "0000:0a:00.0\n"}]}},
            r".nvml.gpus[0].bdf: '0000:0a:00.0\n' is not a PCI address in lower case, as in procfs",
        ),
        (
            {"kind": "file", "nvml": {"gpus": [{"bdf": "0000:0a:00.0", "model": ESCAPE}], "problems": []}},
            f".nvml.gpus[0].model: {SHOWN} is not printable text",
        ),
    ],
)
def test_a_text_that_no_live_host_could_have_told_is_refused(entry: dict[str, object], violation: str) -> None:
    assert refusal(snapshot_document({"/a": entry})) == (
        f"host.yaml is not a snapshot: $.entries['/a']{violation}; record it again with: cdigen snapshot"
    )


@pytest.mark.parametrize(
    ("key", "value", "violation"),
    [
        ("note", "\x1b[2J", r"note: '\x1b[2J' is not lines of printable text"),
        ("driver_root", "/\x1b", r"driver_root: '/\x1b' is not printable text"),
        ("dev_root", "/a\n", r"dev_root: '/a\n' is not printable text"),
    ],
)
def test_a_root_and_a_note_are_printable(key: str, value: str, violation: str) -> None:
    assert refusal({**snapshot_document({}), key: value}) == (
        f"host.yaml is not a snapshot: $.{violation}; record it again with: cdigen snapshot"
    )


def test_of_many_violations_ten_are_named_and_the_rest_counted() -> None:
    entries = {f"/{number:02}": {"kind": "door"} for number in range(12)}
    kinds = "'file', 'dir', 'link', 'char', 'block', 'socket', 'fifo'"
    places = "; ".join(f"$.entries['/{number:02}'].kind: 'door' is not one of {kinds}" for number in range(10))
    assert refusal({"cdigen_snapshot": 1, "entries": entries}) == (
        f"host.yaml is not a snapshot: {places}; and 2 more; record it again with: cdigen snapshot"
    )


def test_a_snapshot_of_another_format_is_refused() -> None:
    assert refusal({"cdigen_snapshot": 2, "entries": {}}) == (
        "host.yaml is not a snapshot: $.cdigen_snapshot: 2 is not 1; record it again with: cdigen snapshot"
    )


def test_content_that_is_not_base64_is_refused() -> None:
    assert refusal(snapshot_document({"/a\nb": {"kind": "file", "base64": "/w="}})) == (
        "host.yaml: /a\\nb: base64: Incorrect padding"
    )
