"""NVIDIA's GPUs on the PCI bus, and the kernel driver that each is bound to.

Source: Linux, Documentation/ABI/testing/sysfs-bus-pci; class 0x03 is a display controller (PCI Code and ID Assignment).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.findings import Finding, Remedy
from cdigen.host import UNSEEN
from cdigen.parse.procfs import PROC_GPUS
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.host import View

BUS = "/sys/bus/pci/devices"
GPU_LOST = "gpu-lost"
"""The code of what a scan and a diagnosis say of a GPU that the driver has lost."""

SEE_KERNEL_LOG = Remedy("see what the driver says in the kernel log", ("dmesg | grep -i nvrm",))
_OF_NVIDIA = "/sys/bus/pci/drivers/nvidia"
_VENDOR = "0x10de"
_DISPLAY = "0x03"


class PciBus(Record):
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


def find_lost_gpus(system: View) -> tuple[str, ...]:
    """Return the PCI addresses of the GPUs that are bound to the driver nvidia and that it no longer lists, sorted.

    The driver lists every GPU that it has taken, used or not, and strikes one out that fell off the bus. Where procfs
    is masked, nothing can be said.

    Raises:
        HostReadError, LinkError: procfs or sysfs cannot be looked at.
    """
    if system.find(PROC_GPUS) is None:
        return ()
    listed = system.names(PROC_GPUS)
    return tuple(bdf for bdf in find_gpus_of_nvidia(system) if bdf not in listed)


def lost_gpu(bdf: str) -> Finding:
    """Return what there is to say of a GPU of `find_lost_gpus`."""
    return Finding(
        level="warning",
        code=GPU_LOST,
        subject=bdf,
        message=f"GPU {bdf} is bound to nvidia on the PCI bus, but the driver does not list it in {PROC_GPUS}, so it is"
        " not offered",
        remedy=Remedy(
            f"if it fell off the bus, power-cycle the machine; {SEE_KERNEL_LOG.hint}", SEE_KERNEL_LOG.commands
        ),
    )


def _text(system: View, path: str) -> str | None:
    try:
        data = system.read(path)
    except UNSEEN:
        return None
    return None if data is None else data.decode(errors="replace").strip()
