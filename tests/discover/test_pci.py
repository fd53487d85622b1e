"""What sysfs tells of the PCI bus."""

from __future__ import annotations

import base64

import pytest

from cdigen.discover.pci import BUS, PciBus, find_pci_bus
from cdigen.host.views import open_views
from tests.hosts import Entries, Entry, host_of, text, unreadable


def bus(entries: Entries) -> PciBus:
    return find_pci_bus(open_views(host_of(entries), driver_root="/", dev_root=None).system)


def device(address: str, vendor: Entry, kind: Entry) -> Entries:
    return {f"{BUS}/{address}/vendor": vendor, f"{BUS}/{address}/class": kind}


NVIDIA, DISPLAY = text("0x10de\n"), text("0x030000\n")
GPU = device("0000:01:00.0", NVIDIA, DISPLAY)


def test_displays_of_nvidia_are_its_gpus() -> None:
    entries = {
        **device("0000:02:00.0", NVIDIA, text("0x030200\n")),
        **GPU,
        **device("0000:01:00.1", NVIDIA, text("0x040300\n")),
        **device("0000:03:00.0", text("0x1002\n"), DISPLAY),
    }
    assert bus(entries) == PciBus(is_seen=True, gpus=("0000:01:00.0", "0000:02:00.0"))


@pytest.mark.parametrize(
    "odd", [unreadable("EIO"), {"kind": "file", "base64": base64.b64encode(b"\xff\xfe0x10de").decode()}, text("")]
)
def test_a_device_that_does_not_say_what_it_is_is_passed_over(odd: Entry) -> None:
    entries = {**device("0000:00:01.0", odd, DISPLAY), **device("0000:00:02.0", NVIDIA, odd), **GPU}
    assert bus(entries) == PciBus(is_seen=True, gpus=("0000:01:00.0",))


@pytest.mark.parametrize("entries", [{}, {BUS: {"kind": "dir"}}, {f"{BUS}/0000:01:00.0/vendor": unreadable("EIO")}])
def test_a_bus_of_which_nothing_is_told_is_not_seen(entries: Entries) -> None:
    assert bus(entries) == PciBus(is_seen=False, gpus=())
