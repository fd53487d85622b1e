"""Which kind of machine a host is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.discover.platform import find_platform
from cdigen.errors import CdigenError
from cdigen.host import HostReadError, LinkError
from cdigen.host.views import open_views
from cdigen.nodes.expected import find_expected_nodes
from cdigen.notes import Notes
from cdigen.session.readiness import find_lacking
from tests.hosts import (
    Entries,
    bdf_of,
    char,
    gpu_entries,
    host_of,
    inventory_of,
    link,
    minimal_entries,
    text,
    unreadable,
    without,
)

if TYPE_CHECKING:
    from cdigen.facts import PlatformKind

RELEASE = "/etc/nv_tegra_release"
FAMILY = "/sys/devices/soc0/family"
WSL: PlatformKind = "wsl"
TEGRA: PlatformKind = "tegra"
PCI: PlatformKind = "pci"

DXG: Entries = {"/dev/dxg": char(10, 258)}
JETSON: Entries = {RELEASE: text("# R36 (release), REVISION: 3.0\n"), FAMILY: text("Tegra\n")}


def bound_gpu(bdf: str) -> Entries:
    """Return a GPU on the bus that the driver `nvidia` has."""
    return {
        f"/sys/bus/pci/drivers/nvidia/{bdf}": link(f"../../../../devices/pci0000:00/{bdf}"),
        f"/sys/devices/pci0000:00/{bdf}/class": text("0x030000\n"),
    }


def platform_of(entries: Entries, *, driver_root: str = "/", dev_root: str | None = None) -> PlatformKind:
    return find_platform(open_views(host_of(entries), driver_root=driver_root, dev_root=dev_root))


@pytest.mark.parametrize("entries", [{}, minimal_entries(), {FAMILY: text("jep106:036b\n")}])
def test_a_host_without_a_sign_of_another_platform_has_gpus_on_a_pci_bus(entries: Entries) -> None:
    assert platform_of(entries) == PCI


@pytest.mark.parametrize("beside", [{}, minimal_entries(), JETSON, bound_gpu("0000:01:00.0")])
def test_the_device_of_wsl2_decides_whatever_else_is_there(beside: Entries) -> None:
    assert platform_of({**beside, **DXG}) == WSL


@pytest.mark.parametrize("entry", [text(""), {"kind": "block", "rdev": "10:258", "mode": "0666"}, {"kind": "dir"}])
def test_something_else_in_the_place_of_that_device_decides_nothing(entry: dict[str, object]) -> None:
    assert platform_of({"/dev/dxg": entry}) == PCI


def test_the_device_of_wsl2_is_looked_for_below_the_device_root() -> None:
    entries: Entries = {"/roots/wsl/dev/dxg": char(10, 258)}
    assert platform_of(entries) == PCI
    assert platform_of(entries, dev_root="/roots/wsl") == WSL


@pytest.mark.parametrize(
    "entries",
    [
        JETSON,
        {RELEASE: text("")},
        {RELEASE: link("/usr/share/l4t"), "/usr/share/l4t": text("")},
        {FAMILY: text("Tegra\n")},
        {FAMILY: text("tegra234")},
    ],
)
def test_a_tegra_is_known_by_its_release_or_by_its_family(entries: Entries) -> None:
    assert platform_of(entries) == TEGRA


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        # The display of Orin has nvidia.ko, its procfs and its nodes, and is on no bus.
        (minimal_entries(), TEGRA),
        ({"/sys/bus/pci/drivers/nvidia/bind": text("")}, TEGRA),
        # A virtual function is for virtual machines alone.
        (
            {
                **bound_gpu("0000:01:00.4"),
                "/sys/devices/pci0000:00/0000:01:00.4/physfn": link("../0000:01:00.0"),
                "/sys/devices/pci0000:00/0000:01:00.0/class": text("0x030000\n"),
            },
            TEGRA,
        ),
        # IGX Orin with a card in its slot.
        ({**bound_gpu("0005:01:00.0"), "/dev/nvgpu/igpu0/ctrl": char(508, 0)}, PCI),
        # Thor, whose integrated GPU is on the bus, alone and with a card.
        ({**bound_gpu("0000:01:00.0"), "/dev/nvgpu/igpu-0000:01:00.0/ctrl": char(508, 0)}, TEGRA),
        (
            {
                **bound_gpu("0000:01:00.0"),
                **bound_gpu("0005:01:00.0"),
                "/dev/nvgpu/igpu-0000:01:00.0/ctrl": char(508, 0),
            },
            TEGRA,
        ),
    ],
)
def test_a_tegra_with_a_gpu_in_a_slot_has_the_usual_driver(entries: Entries, expected: PlatformKind) -> None:
    assert platform_of({**entries, **JETSON}) == expected


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        ({"/dev": unreadable("EACCES", "dir")}, HostReadError),
        ({FAMILY: unreadable("EIO")}, HostReadError),
        ({RELEASE: link("nv_tegra_release")}, LinkError),
        (
            {**JETSON, "/dev/nvgpu": unreadable("EACCES", "dir")},
            HostReadError,
        ),
    ],
)
def test_a_sign_that_cannot_be_looked_at_is_not_absent(entries: Entries, error: type[Exception]) -> None:
    with pytest.raises(error):
        platform_of(entries)


@pytest.mark.parametrize("entries", [{RELEASE: text("")}, {FAMILY: text("Tegra\n")}])
@pytest.mark.parametrize("beside", [{}, minimal_entries(), without(minimal_entries(), "/proc")])
def test_a_driver_of_cards_is_not_looked_at_on_a_jetson(entries: Entries, beside: Entries) -> None:
    with pytest.raises(CdigenError) as caught:
        inventory_of({**beside, **entries})
    assert caught.value.exit_code in (3, 5)
    assert str(caught.value).startswith("this host is a Jetson and has no ")


@pytest.mark.parametrize("platform", ["pci", "wsl", "tegra"])
def test_what_the_user_says_counts_whatever_files_tell(platform: PlatformKind) -> None:
    views = open_views(host_of({**minimal_entries(), **DXG}), driver_root="/", dev_root=None, platform=platform)
    assert find_platform(views) == platform


def test_a_driver_of_another_platform_is_not_waited_for() -> None:
    waiting = without({**minimal_entries(), **gpu_entries(0), **bound_gpu(bdf_of(0))}, "/dev/nvidiactl")
    views = open_views(host_of(waiting), driver_root="/", dev_root=None)
    assert find_lacking(views) == ("/dev/nvidiactl is missing",)
    views = open_views(host_of({**waiting, **DXG}), driver_root="/", dev_root=None)
    assert find_lacking(views) == ()
    assert find_expected_nodes(views, Notes())
