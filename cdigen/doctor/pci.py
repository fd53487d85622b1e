"""GPUs on the PCI bus, and the kernel driver that each is bound to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.discover.pci import BUS, find_bound_driver, find_pci_bus
from cdigen.doctor.diagnosis import NOT_RECORDED, UNREADABLE, Diagnosis, diagnosis, unreadable

if TYPE_CHECKING:
    from cdigen.doctor.diagnosis import Context
    from cdigen.host import View

NOUVEAU_REMEDY = (
    "echo 'blacklist nouveau' > /etc/modprobe.d/blacklist-nouveau.conf, renew the initramfs (update-initramfs -u, or"
    " dracut --force), and reboot"
)


def check_pci(context: Context) -> tuple[Diagnosis, ...]:
    """Return a line for every GPU of NVIDIA's on the bus."""
    system = context.views.system
    try:
        bus = find_pci_bus(system)
    except UNREADABLE as error:
        return (unreadable("pci", BUS, error),)
    if bus.gpus:
        return tuple(_judge(system, name) for name in bus.gpus)
    if not bus.is_seen:
        message = NOT_RECORDED if context.is_recorded else "no device of the PCI bus can be seen here"
        return (diagnosis("pci", BUS, "unknown", message),)
    return (
        diagnosis(
            "pci",
            BUS,
            "problem",
            "no NVIDIA GPU on the PCI bus",
            "see: lspci -d 10de:; if there should be one, look at its seat, its power and the firmware's settings, or"
            " pass it through to this virtual machine",
        ),
    )


def _judge(system: View, name: str) -> Diagnosis:
    try:
        driver = find_bound_driver(system, name)
    except UNREADABLE as error:
        return unreadable("pci", f"{BUS}/{name}/driver", error)
    if driver == "nvidia":
        return diagnosis("pci", name, "ok", "a GPU of NVIDIA's, bound to nvidia")
    if driver == "nouveau":
        return diagnosis("pci", name, "problem", "bound to nouveau, so nvidia cannot have it", NOUVEAU_REMEDY)
    if driver == "vfio-pci":
        return diagnosis(
            "pci",
            name,
            "warning",
            "bound to vfio-pci, for a virtual machine: containers do not get it",
            f"if they should: echo {name} > /sys/bus/pci/drivers/vfio-pci/unbind, then"
            f" echo {name} > /sys/bus/pci/drivers/nvidia/bind",
        )
    if driver is None:
        return diagnosis(
            "pci", name, "problem", "bound to no driver", "modprobe nvidia; if that fails, see: dmesg | grep -i nvrm"
        )
    return diagnosis("pci", name, "warning", f"bound to {driver}, not to nvidia", f"see: lspci -k -s {name}")
