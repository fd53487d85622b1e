from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdigen.cdi.render import render_yaml
from cdigen.discover.scan import find_inventory
from cdigen.errors import CdigenError
from cdigen.host import Host, HostReadError
from cdigen.host.host import NvmlError
from cdigen.host.live import LiveHost
from cdigen.host.recording import RecordingHost
from cdigen.host.snapshot import SnapshotHost, load_snapshot
from cdigen.host.views import open_views
from tests.host.calls import Call, CallHost, replayed, without_modes
from tests.host.test_live import as_nobody, needs_root
from tests.hosts import (
    LIBDIR,
    NOT_ELF,
    OTHER_VERSION,
    VERSION,
    Entries,
    damaged,
    host_of,
    inventory_of,
    library,
    library_entries,
    link,
    linker_cache,
    minimal_entries,
    moved,
    snapshot_document,
    text,
    unreadable,
    write_tree,
)

if TYPE_CHECKING:
    from cdigen.parse.nvml import NvmlFacts

ELF = Path(__file__).parents[1] / "fixtures/elf"

VARIED: Entries = {
    **minimal_entries(gpus=2),
    **library_entries("libnvidia-new", "libnvidia-new.so.1", LIBDIR),
    "/etc/ld.so.cache": linker_cache(f"{LIBDIR}/libcuda.so.1", "/opt/driver/libcuda.so.1"),
    f"/opt/driver/libcuda.so.{OTHER_VERSION}": library("libcuda.so.1"),
    f"{LIBDIR}/libnvidia-cfg.so.{VERSION}": damaged(),
    f"{LIBDIR}/libnvidia-zero.so.{VERSION}": damaged(NOT_ELF),
    f"{LIBDIR}/libnvidia-api.so.1": library("libnvidia-api.so.1"),
    f"{LIBDIR}/libnvidia-dangling.so.{VERSION}": link("nowhere"),
    f"{LIBDIR}/libnvidia-cycle.so.{VERSION}": link(f"libnvidia-cycle.so.{VERSION}"),
    f"{LIBDIR}/libnvidia-arm.so.{VERSION}": library("libnvidia-arm.so.1", "aarch64"),
    "/usr/lib/i386-linux-gnu/libcuda.so.1": link(f"libcuda.so.{VERSION}"),
    f"/usr/lib/i386-linux-gnu/libcuda.so.{VERSION}": library("libcuda.so.1", "i386"),
    "/etc/vulkan/icd.d/nvidia_icd.json": text('{"ICD": {"library_path": "libGLX_nvidia.so.0"}}'),
    "/etc/OpenCL/vendors/nvidia.icd": {"kind": "file", "base64": "/w=="},
    "/usr/share/nvidia/files.d/sandboxutils-filelist.json": text("[]"),
    "/sys/module/firmware_class/parameters/path": text("\n"),
}


def scan(host: Host) -> None:
    with suppress(CdigenError):  # the facts up to there are what is compared
        find_inventory(open_views(host, driver_root="/", dev_root=None))


def recorded(host: Host) -> tuple[list[Call], SnapshotHost]:
    """Scan `host` and return what was asked, and the host that the record of it describes when it is read again."""
    recording = RecordingHost(host)
    asked = CallHost(recording)
    scan(asked)
    document = recording.to_document(driver_root="/", dev_root=None)
    return asked.calls, load_snapshot(yaml.safe_dump(document).encode(), "record").host


@needs_root
def test_a_recorded_host_answers_every_question_of_discovery_as_the_live_one(tmp_path: Path) -> None:
    write_tree(tmp_path, VARIED, ELF)
    asked, record = recorded(LiveHost(str(tmp_path)))
    assert len(asked) > 150
    assert {call.method for call in asked} == {"lstat", "names", "read", "elf", "linker_cache"}
    assert without_modes(replayed(record, asked)) == without_modes(asked)
    assert inventory_of(record) == inventory_of(LiveHost(str(tmp_path)))


@needs_root
def test_a_live_tree_of_a_snapshot_has_its_facts(tmp_path: Path) -> None:
    write_tree(tmp_path, VARIED, ELF)
    assert inventory_of(LiveHost(str(tmp_path))) == inventory_of(VARIED)


@needs_root
@pytest.mark.parametrize(
    "path",
    [
        LIBDIR,
        f"{LIBDIR}/libcuda.so.{VERSION}",
        f"{LIBDIR}/libnvidia-ml.so.{VERSION}",
        "/proc/driver/nvidia/version",
        "/proc/driver/nvidia",
        "/dev",
        "/dev/dri",
        "/etc/ld.so.cache",
        "/usr/bin",
        "/usr/share",
        "/usr",
    ],
)
def test_a_host_with_something_unreadable_is_recorded_with_it(tmp_path: Path, path: str) -> None:
    tree = tmp_path / "host"
    write_tree(tree, VARIED, ELF)
    scan(LiveHost(str(tree)))  # what is imported on demand may be unreadable later
    (tree / path.lstrip("/")).chmod(0)
    live = LiveHost(str(tree))
    with as_nobody():
        asked, record = recorded(live)
    (tree / path.lstrip("/")).chmod(0o755)
    assert any("Permission denied" in str(call.answer) for call in asked)
    assert without_modes(replayed(record, asked)) == without_modes(asked)


def test_the_record_of_a_record_is_the_same() -> None:
    first = RecordingHost(SnapshotHost(VARIED))
    scan(first)
    document = first.to_document(driver_root="/", dev_root="/run/dev", note="of nobody")
    again = RecordingHost(SnapshotHost(document["entries"]))  # type: ignore[arg-type]
    scan(again)
    assert again.to_document(driver_root="/", dev_root="/run/dev", note="of nobody") == document


def test_a_record_has_what_was_asked_and_nothing_more() -> None:
    host = RecordingHost(
        host_of(
            {
                "/a/lib.so.1": {**library("lib.so.1")},
                "/a/other": text("x"),
                "/a/link": link("lib.so.1"),
                "/cache": linker_cache("/x/libcuda.so.1", "/x/libc.so.6"),
                "/text": text("1\n"),
                "/bytes": {"kind": "file", "base64": "/w=="},
                "/empty/d": {"kind": "dir"},
                "/node": {"kind": "char", "rdev": "195:0", "mode": "0660"},
                "/bad": damaged(),
            }
        )
    )
    assert host.names("/a", ("lib", "link")) == ("lib.so.1", "link")
    host.elf("/a/lib.so.1")
    for path in ("/cache", "/text", "/bytes", "/node", "/empty", "/none", "/"):
        host.lstat(path)
    host.linker_cache("/cache", ("libcuda",))
    host.read("/text")
    host.read("/bytes")
    with pytest.raises(CdigenError):
        host.elf("/bad")
    assert host.to_document(driver_root="/d", dev_root=None, note="why") == {
        "cdigen_snapshot": 1,
        "note": "why",
        "driver_root": "/d",
        "entries": {
            "/a/lib.so.1": {
                "kind": "file",
                "elf": {
                    "bits": 64,
                    "machine": "x86_64",
                    "soname": "lib.so.1",
                    "needed": ["libm.so.6", "libc.so.6"],
                    "versions": {"libc.so.6": ["GLIBC_2.14", "GLIBC_2.2.5"], "libm.so.6": ["GLIBC_2.29"]},
                },
            },
            "/a/link": {"kind": "link", "to": "lib.so.1"},
            "/bad": {"kind": "file", "damaged": "empty file"},
            "/bytes": {"kind": "file", "base64": "/w=="},
            "/cache": {"kind": "file", "linker_cache": [["libcuda.so.1", 0x303, "/x/libcuda.so.1"]]},
            "/empty": {"kind": "dir"},
            "/node": {"kind": "char", "rdev": "195:0", "mode": "0660"},
            "/text": {"kind": "file", "text": "1\n"},
        },
    }


def test_a_directory_that_may_be_searched_and_not_listed_is_recorded_beside_what_is_in_it() -> None:
    entries: Entries = {"/d": unreadable("EACCES", "dir"), "/d/x": text("1")}
    host = RecordingHost(host_of(entries))
    with pytest.raises(HostReadError):
        host.names("/d", ("",))
    host.lstat("/d/x")
    host.read("/d/x")
    assert host.to_document(driver_root="/", dev_root=None)["entries"] == entries


def test_what_is_absent_is_not_recorded_as_unreadable() -> None:
    host = RecordingHost(host_of({}))
    for call in (host.read, host.elf, lambda path: host.linker_cache(path, ("",))):
        with pytest.raises(HostReadError):
            call("/none")
    assert host.to_document(driver_root="/", dev_root=None)["entries"] == {}


def test_a_name_that_is_not_utf8_is_left_out_of_the_record(tmp_path: Path) -> None:
    write_tree(tmp_path, VARIED, ELF)
    (tmp_path / LIBDIR.lstrip("/") / os.fsdecode(b"libnvidia-\xff.so." + VERSION.encode())).touch()
    host = RecordingHost(LiveHost(str(tmp_path)))
    scan(host)
    document = yaml.safe_dump(host.to_document(driver_root="/", dev_root=None))
    assert "libnvidia-new.so.1" in document
    assert "\\uDCFF" not in document.upper()
    load_snapshot(document.encode(), "record")


def readable_again(host: RecordingHost) -> SnapshotHost:
    """Return the host in the document that is written of a record."""
    document = host.to_document(driver_root="/", dev_root=None, note="why\nand where")
    return load_snapshot(render_yaml(document, compact=True), "record").host


NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=60).filter(lambda n: n not in (".", ".."))
SONAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    ["\x1b[2J", "a\nb", "\u202e", "."]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=NAMES,
    target=st.binary(min_size=1, max_size=300).map(lambda data: data.replace(b"\0", b"")).filter(bool),
    soname=SONAMES,
    row=st.tuples(SONAMES, st.integers(-(1 << 31), (1 << 31) - 1), SONAMES),
    content=st.binary(max_size=60) | st.text(max_size=30).map(lambda text: text.encode(errors="surrogatepass")),
)
def test_whatever_a_host_has_its_record_can_be_read_again(
    name: str,
    target: bytes,
    soname: str,
    row: tuple[str, int, str],
    content: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("host")
    cache: Entries = {"/c": {"kind": "file", "linker_cache": [row]}}
    write_tree(root, {"/lib.so": library(soname.partition("\0")[0]), **cache}, ELF)
    (root / "text").write_bytes(content)
    (root / "links").mkdir()
    with suppress(OSError, UnicodeEncodeError):  # a name that is too long, or that no directory can have
        os.symlink(target, os.path.join(os.fsencode(root), b"links", os.fsencode(name)))
    recording = RecordingHost(LiveHost(str(root)))
    asked = CallHost(recording)
    for question in (
        lambda: asked.names("/links", ("",)),
        lambda: [asked.lstat(path) for path in ("/lib.so", "/c", "/text")],
        lambda: asked.read("/text"),
        lambda: asked.elf("/lib.so"),
        lambda: asked.linker_cache("/c", ("",)),
    ):
        with suppress(CdigenError):
            question()

    record = readable_again(recording)

    calls = [call for call in asked.calls if call.method != "names"]
    assert without_modes(replayed(record, calls)) == without_modes(calls)


def test_a_long_target_of_no_utf8_is_recorded(tmp_path: Path) -> None:
    os.symlink(b"\xff" * 4095, tmp_path / "link")
    host = RecordingHost(LiveHost(str(tmp_path)))
    host.lstat("/link")
    entry = readable_again(host).lstat("/link")
    assert entry is not None
    assert entry.target == r"\udcff" * 4095


def test_a_path_that_is_too_long_to_be_named_is_left_out_of_the_record() -> None:
    name = "d" * 250
    deep = "".join(f"/{name}" for _ in range(17))
    host = RecordingHost(SnapshotHost({deep: {"kind": "dir"}, f"/{name}": {"kind": "dir"}}))
    for path in (deep, f"/{name}"):
        assert host.lstat(path) is not None
    assert readable_again(host).entries == {f"/{name}": {"kind": "dir"}}


def test_a_long_reason_of_nvml_is_cut() -> None:
    class Failing(SnapshotHost):
        def nvml(self, path: str) -> NvmlFacts:
            raise NvmlError("x" * 1000)

    host = RecordingHost(Failing({"/l": {"kind": "file"}}))
    host.lstat("/l")
    with pytest.raises(NvmlError):
        host.nvml("/l")
    with pytest.raises(NvmlError, match=r"^x{500}$"):
        readable_again(host).nvml("/l")


def test_a_record_keeps_the_roots_with_which_it_was_made() -> None:
    entries = moved(minimal_entries(), "/run/driver", "/usr", "/lib")
    host = RecordingHost(host_of(entries))
    inventory = inventory_of(host, driver_root="/run/driver")
    document = host.to_document(driver_root="/run/driver", dev_root=None)
    assert document == {**snapshot_document({}, driver_root="/run/driver"), "entries": document["entries"]}
    snapshot = load_snapshot(yaml.safe_dump(document).encode(), "record")
    assert inventory_of(snapshot.host, driver_root=snapshot.driver_root, dev_root=snapshot.dev_root) == inventory
