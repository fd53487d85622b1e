"""NVML and sleeping GPUs, as every kind of host answers."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
import yaml

from cdigen.errors import CdigenError, DocumentError
from cdigen.host import Host, HostReadError, NvmlError
from cdigen.host.live import LiveHost
from cdigen.host.recording import RecordingHost
from cdigen.host.snapshot import SnapshotHost, load_snapshot
from cdigen.image.tree import Tree
from cdigen.parse.nvml import NvmlFacts, NvmlGpu, render_nvml
from tests.host.calls import CallHost, replayed
from tests.host.test_live import needs_root
from tests.hosts import VERSION, library, snapshot_document
from tests.nvml.stub import HANG, Card, bus_id, card_uuid, compile_stub

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hosts import Entries

LIBRARY = f"/usr/lib/libnvidia-ml.so.{VERSION}"

FACTS = NvmlFacts(
    driver_version=VERSION,
    gpus=(
        NvmlGpu(
            bdf="0000:01:00.0",
            minor=4,
            uuid=card_uuid(1),
            model="NVIDIA Fictional 9000",
            mig_enabled=None,
            mig=(),
            coherent=False,
        ),
    ),
    problems=(),
)
CARD = Card(bus_id=bus_id(1), minor=4, uuid=card_uuid(1))


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(NvmlError) as caught:
        call()
    return caught.value.reason


def why_unread(call: Callable[[], object]) -> str:
    with pytest.raises(HostReadError) as caught:
        call()
    return f"{caught.value.path}: {caught.value.reason}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a host's root with a libnvidia-ml, and `libm.so.6` that it needs only outside of the root."""
    compile_stub(tmp_path / "host/usr/lib", [CARD], options=["-Wl,--no-as-needed", "-lm"])
    return tmp_path / "host"


def test_a_live_host_asks_the_library_below_its_root(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    host = LiveHost(str(root), procfs="/proc")
    assert host.nvml(LIBRARY) == FACTS
    host.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_live_host_waits_as_long_as_it_is_told(root: Path) -> None:
    compile_stub(root / "usr/lib", [CARD], faults=[("nvmlInitWithFlags", None, HANG)])
    assert (
        reason(lambda: LiveHost(str(root), procfs="/proc", nvml_timeout=0.25).nvml(LIBRARY))
        == "no answer within 0.25 s"
    )


def test_no_link_leads_a_live_host_to_a_library_outside_of_its_root(root: Path, tmp_path: Path) -> None:
    outside = compile_stub(tmp_path / "outside", [CARD])
    (root / LIBRARY[1:]).unlink()
    (root / LIBRARY[1:]).symlink_to(outside)
    (root / "usr/link").symlink_to(outside.parent)
    host = LiveHost(str(root), procfs="/proc")
    assert why_unread(lambda: host.nvml(LIBRARY)) == f"{LIBRARY}: not a regular file"
    path = f"/usr/link/{outside.name}"
    assert why_unread(lambda: host.nvml(path)) == f"{path}: Not a directory"


def test_a_library_that_is_not_there_or_no_library_is_named_as_the_host_sees_it(root: Path) -> None:
    (root / "usr/lib/text").write_text("no library")
    host = LiveHost(str(root), procfs="/proc")
    assert why_unread(lambda: host.nvml("/none")) == "/none: No such file or directory"
    assert why_unread(lambda: host.nvml("/usr")) == "/usr: not a regular file"
    assert reason(lambda: host.nvml("/usr/lib/text")) == "/usr/lib/text: file too short"


@needs_root
def test_a_sleeping_gpu_is_woken_by_opening_its_node(tmp_path: Path) -> None:
    host = LiveHost()
    null = tmp_path / "null"
    os.mknod(null, 0o020666, os.makedev(1, 3))
    assert host.wake(str(null))


def test_what_is_no_device_node_or_cannot_be_opened_is_not_woken(tmp_path: Path) -> None:
    host = LiveHost()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/null")
    assert host.wake("/dev/null")
    assert [host.wake(str(tmp_path / name)) for name in ("file", "fifo", "link", "none", "a\0b")] == [False] * 5
    assert not host.wake("/dev")


@needs_root
def test_a_device_node_without_a_driver_is_not_woken(tmp_path: Path) -> None:
    os.mknod(tmp_path / "node", 0o020666, os.makedev(4000, 0))
    assert not LiveHost().wake(str(tmp_path / "node"))


def test_no_gpu_is_woken_of_a_host_that_is_not_this_machine(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    root = str(tmp_path)
    others = (
        LiveHost(root),
        LiveHost(root, procfs="/proc"),  # /dev/null is another file there
        LiveHost(procfs=f"{root}/proc"),
        LiveHost(f"{root}/proc"),
        SnapshotHost({}),
        Tree(),
    )
    for host in others:
        assert not host.wake("/dev/null")
        assert not RecordingHost(host).wake("/dev/null")
    for own in (LiveHost(), LiveHost("/."), LiveHost("/proc/self/root"), LiveHost(procfs="/proc"), LiveHost(sysfs="/")):
        assert own.wake("/dev/null")
        assert RecordingHost(own).wake("/dev/null")


def test_a_procfs_is_this_machines_own_or_it_is_none(tmp_path: Path) -> None:
    (tmp_path / "forged").mkdir()
    (tmp_path / "forged/self").symlink_to(str(os.getpid()))
    (tmp_path / "proc").symlink_to("/proc")
    root = str(tmp_path)
    for own in (LiveHost(), LiveHost(root, procfs="/proc"), LiveHost("/."), LiveHost(procfs="/proc/self/root/proc")):
        assert own.has_own_procfs()
        assert RecordingHost(own).has_own_procfs()
    for other in (LiveHost(root), LiveHost(procfs=f"{root}/forged"), LiveHost(procfs="/sys"), LiveHost(procfs="/dev")):
        assert not other.has_own_procfs()
        assert not RecordingHost(other).has_own_procfs()
    assert not SnapshotHost({}).has_own_procfs()


def test_an_image_has_nobody_to_ask() -> None:
    assert reason(lambda: Tree().nvml("/l")) == "/l is not on a running host"


def recorded(host: Host, path: str) -> tuple[CallHost, dict[str, object]]:
    """Ask about `path` and return what was answered, and the entries of the record."""
    recording = RecordingHost(host)
    calls = CallHost(recording)
    for call in (calls.lstat, calls.nvml, calls.wake):
        try:
            call(path)
        except CdigenError:
            continue
    document = recording.to_document(driver_root="/", dev_root=None)
    load_snapshot(yaml.safe_dump(document).encode(), "record")  # is one
    return calls, document["entries"]  # type: ignore[return-value]


def test_an_answer_is_recorded_and_told_again(root: Path) -> None:
    asked, entries = recorded(LiveHost(str(root), procfs="/proc"), LIBRARY)
    assert entries == {
        LIBRARY: {
            "kind": "file",
            "nvml": {
                "driver_version": VERSION,
                "gpus": [
                    {
                        "bdf": "0000:01:00.0",
                        "minor": 4,
                        "uuid": card_uuid(1),
                        "model": "NVIDIA Fictional 9000",
                        "coherent": False,
                    }
                ],
            },
        }
    }
    replay = SnapshotHost(entries)  # type: ignore[arg-type]
    assert replay.nvml(LIBRARY) == FACTS
    assert replayed(replay, asked.calls)[1:] == asked.calls[1:]


def test_a_failure_is_recorded_and_told_again(root: Path) -> None:
    compile_stub(root / "usr/lib", faults=[("nvmlInitWithFlags", None, 9)])
    asked, entries = recorded(LiveHost(str(root), procfs="/proc"), LIBRARY)
    assert entries == {LIBRARY: {"kind": "file", "nvml": {"failed": "nvmlInit: Driver Not Loaded (9)"}}}
    assert replayed(SnapshotHost(entries), asked.calls)[1:] == asked.calls[1:]  # type: ignore[arg-type]


def test_a_library_that_is_not_there_is_not_recorded(root: Path) -> None:
    shutil.rmtree(root / "usr")
    assert recorded(LiveHost(str(root), procfs="/proc"), LIBRARY)[1] == {}


def test_where_nobody_has_asked_a_snapshot_says_so_and_a_record_of_it_is_the_same() -> None:
    entries = {LIBRARY: library("libnvidia-ml.so.1")}
    host = SnapshotHost(entries)
    assert reason(lambda: host.nvml(LIBRARY)) == "the snapshot has no answer of NVML"
    assert reason(lambda: host.nvml("/none")) == "the snapshot has no answer of NVML"
    assert recorded(host, LIBRARY)[1] == {LIBRARY: {"kind": "file"}}


@pytest.mark.parametrize(
    ("entry", "violation"),
    [
        ({"kind": "dir", "nvml": {"gpus": []}}, ".nvml: this object is not allowed here"),
        ({"kind": "file", "nvml": {}}, ".nvml: key 'gpus' is missing"),
        ({"kind": "file", "nvml": {"failed": "x", "gpus": []}}, ".nvml.gpus: this array is not allowed here"),
        (
            {"kind": "file", "nvml": {"gpus": [{"bdf": "0000:0A:00.0"}]}},
            ".nvml.gpus[0].bdf: '0000:0A:00.0' is not a PCI address in lower case, as in procfs",
        ),
        (
            {"kind": "file", "nvml": {"gpus": [{"bdf": "0000:0a:00.0", "uuid": "0"}]}},
            ".nvml.gpus[0].uuid: '0' is not the UUID of a GPU, GPU- and digits in lower case",
        ),
        ({"kind": "file", "nvml": {"failed": "two\nlines"}}, r".nvml.failed: 'two\nlines' is not printable text"),
    ],
)
def test_a_snapshot_whose_answer_is_none_is_refused_with_the_place(entry: dict[str, object], violation: str) -> None:
    assert refusal(entry) == (
        f"host.yaml is not a snapshot: $.entries['/l']{violation}; record it again with: cdigen snapshot"
    )


def test_a_snapshot_whose_answer_cannot_be_is_refused_with_the_place() -> None:
    twice = {"gpus": [{"bdf": "0000:0a:00.0"}, {"bdf": "0000:0a:00.0"}]}
    assert refusal({"kind": "file", "nvml": twice}) == "host.yaml: /l: nvml: gpus: two have the bdf 0000:0a:00.0"


def refusal(entry: dict[str, object]) -> str:
    with pytest.raises(DocumentError) as caught:
        load_snapshot(yaml.safe_dump(snapshot_document({"/l": entry})).encode(), "host.yaml")
    return str(caught.value)


def test_a_snapshot_may_have_an_answer_or_a_failure() -> None:
    entries: Entries = {
        "/answer": {"kind": "file", "nvml": render_nvml(FACTS)},
        "/failure": {"kind": "file", "nvml": {"failed": "nvmlInit: Driver Not Loaded (9)"}},
    }
    host = load_snapshot(yaml.safe_dump(snapshot_document(entries)).encode(), "host.yaml").host
    assert host.nvml("/answer") == FACTS
    assert reason(lambda: host.nvml("/failure")) == "nvmlInit: Driver Not Loaded (9)"


def test_entries_that_nobody_has_checked_are_refused_when_they_are_asked() -> None:
    host = SnapshotHost({"/l": {"kind": "file", "nvml": {"gpus": 5}}})
    assert reason(lambda: host.nvml("/l")) == "gpus is not an array"
