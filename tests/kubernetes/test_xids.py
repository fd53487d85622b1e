"""GPUs are taken away for what the driver reports of them, and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.catalog.xids import XIDS
from cdigen.facts import PciPlace
from cdigen.kubernetes.devices import OfferedDevice
from cdigen.kubernetes.xids import XidLog

if TYPE_CHECKING:
    from pathlib import Path

A, B = "0000:03:00.0", "0000:04:00.0"


def offered(name: str, bdf: str | None) -> OfferedDevice:
    place = None if bdf is None else PciPlace(bdf=bdf, root=None, numa_node=None)
    return OfferedDevice(
        id=name, kind="nvidia.com/gpu", nodes={}, is_mig=False, profile=None, minors=frozenset(), place=place, spec=""
    )


DEVICES = (offered("a", A), offered("b", B), offered("nowhere", None))


def failed(log: XidLog, *present: str) -> dict[str, str]:
    return log.find_failed(DEVICES, present or (A, B))


@pytest.fixture
def log(tmp_path: Path) -> XidLog:
    path = tmp_path / "kmsg"
    path.write_bytes(record("NVRM: Xid (PCI:0000:03:00): 79, before we began"))
    return XidLog(str(path))


def record(text: str, priority: int = 3) -> bytes:
    return f"{priority},1,2,-;{text}\n".encode()


def xid(number: int, device: str = "0000:03:00", rest: str = "pid=1") -> bytes:
    return record(f"NVRM: Xid (PCI:{device}): {number}, {rest}")


def test_what_was_reported_before_does_not_count(log: XidLog) -> None:
    assert log.drain() is False
    assert failed(log) == {}


def test_a_gpu_that_has_failed_is_named_alone(log: XidLog) -> None:
    log.take(xid(79))

    assert failed(log) == {"a": "Xid 79: the GPU has fallen off the bus"}


@pytest.mark.parametrize("row", XIDS.values(), ids=lambda row: str(row.number))
def test_every_row_counts_as_it_says(log: XidLog, row: object, capfd: pytest.CaptureFixture[str]) -> None:
    log.take(xid(row.number))  # type: ignore[attr-defined]

    number, counts, what = row.number, row.counts, row.what  # type: ignore[attr-defined]
    assert failed(log) == ({"a": f"Xid {number}: {what}"} if counts else {})
    said = "" if counts else f"cdigen: note: GPU 0000:03:00: Xid {number} ({what}); the GPU is offered as before\n"
    assert capfd.readouterr().err == said


def test_those_of_programs_do_not_count_as_with_the_vendors_plugin() -> None:
    assert {number for number in (13, 31, 43, 45, 68, 109) if XIDS[number].counts} == set()
    assert {number for number in (48, 64, 74, 79, 95, 119, 120) if not XIDS[number].counts} == set()


def test_one_that_is_not_known_is_said_and_does_not_count(log: XidLog, capfd: pytest.CaptureFixture[str]) -> None:
    log.take(xid(999))

    assert failed(log) == {}
    assert capfd.readouterr().err == "cdigen: note: GPU 0000:03:00: Xid 999; the GPU is offered as before\n"


def test_the_driver_says_what_is_to_be_done_and_when_nothing_is_any_more(log: XidLog) -> None:
    log.take(xid(154, rest="GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"))
    assert failed(log) == {"a": "Xid 154: the driver says Node Reboot Required"}

    log.take(xid(154, rest="GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)"))
    assert failed(log) == {}


def test_the_module_loaded_anew_and_a_gpu_that_was_away_begin_again(log: XidLog) -> None:
    log.take(xid(79))
    log.take(xid(48, "0000:04:00"))
    assert failed(log).keys() == {"a", "b"}
    assert failed(log, A).keys() == {"a"}
    assert failed(log, A, B).keys() == {"a"}

    log.take(record("NVRM: loading NVIDIA UNIX x86_64 Kernel Module  999.88.77"))
    assert failed(log) == {}


@pytest.mark.parametrize(
    "data", [record("NVRM: Xid (PCI:0000:03:00): 79, forged", priority=11), b"", b"\xff\xfe", record("hello")]
)
def test_what_a_program_writes_and_what_is_no_record_do_not_count(log: XidLog, data: bytes) -> None:
    log.take(data)

    assert failed(log) == {}


def test_records_are_read_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_bytes(b"")
    log = XidLog(str(path))
    with path.open("ab") as writer:
        writer.write(xid(95))

    assert log.drain() is True
    assert failed(log) == {"a": "Xid 95: an error of memory that may concern every program on the GPU"}
    assert log.drain() is False
    log.close()


@pytest.mark.parametrize("name", ["", "absent"])
def test_a_log_that_cannot_be_read_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="Errno"):
        XidLog(str(tmp_path / name))
