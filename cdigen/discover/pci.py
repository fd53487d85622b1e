"""NVIDIA's GPUs on the PCI bus, and the kernel driver that each is bound to.

Source: Linux, Documentation/ABI/testing/sysfs-bus-pci; class 0x03 is a display controller (PCI Code and ID Assignment).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdigen.host import HostReadError, LinkError

if TYPE_CHECKING:
    from cdigen.host import View

BUS = "/sys/bus/pci/devices"

_OF_NVIDIA = "/sys/bus/pci/drivers/nvidia"
_VENDOR = "0x10de"
_DISPLAY = "0x03"


@dataclass(frozen=True, slots=True, kw_only=True)
class PciBus:
    """What sysfs shows of the bus.

    Attributes:
        is_seen: whether it shows any device, of whatever kind; that of a container, or in a snapshot, may show none.
        gpus: the PCI addresses of NVIDIA's GPUs, sorted.
    """

    is_seen: bool
    gpus: tuple[str, ...]


def find_pci_bus(system: View) -> PciBus:
    """Return what is on the bus; a device that cannot be looked at is as good as none.

    Args:
        system: the host's own root.

    Raises:
        HostReadError, LinkError: the bus cannot be looked at.
    """
    is_seen = False
    gpus = []
    for name in system.names(BUS):
        vendor = _text(system, f"{BUS}/{name}/vendor")
        is_seen = is_seen or vendor is not None
        if vendor == _VENDOR and (_text(system, f"{BUS}/{name}/class") or "").startswith(_DISPLAY):
            gpus.append(name)
    return PciBus(is_seen=is_seen, gpus=tuple(gpus))


def find_bound_driver(system: View, address: str) -> str | None:
    """Return the name of the kernel driver to which a PCI device is bound; None if it is to none.

    Raises:
        HostReadError, LinkError: its place in sysfs cannot be looked at.
    """
    target = system.resolve(f"{BUS}/{address}/driver")
    return target and target.rpartition("/")[2]


def find_gpus_of_nvidia(system: View) -> tuple[str, ...]:
    """Return the PCI addresses of the GPUs that are bound to the driver nvidia, sorted.

    The kernel notes a device here before the driver looks at it, and strikes it out if the driver does not want it
    (Linux, drivers/base/dd.c, really_probe). Virtual functions, which a vGPU host has, are bound for virtual machines
    alone and are none of them (NVIDIA's open kernel modules, kernel-open/nvidia/nv-pci.c, nv_pci_probe). A bus can have
    hundreds of devices: this does not look at each.

    Raises:
        HostReadError, LinkError: their place in sysfs cannot be looked at.
    """
    bound = (name for name in system.names(_OF_NVIDIA) if ":" in name)  # beside files such as bind and new_id
    return tuple(name for name in bound if system.find(f"{_OF_NVIDIA}/{name}/physfn") is None)


def _text(system: View, path: str) -> str | None:
    try:
        data = system.read(path)
    except (HostReadError, LinkError):
        return None
    return None if data is None else data.decode(errors="replace").strip()
