"""GPUs on the PCI bus, and the kernel driver that each is bound to."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from cdigen.diagnosis import NOT_RECORDED, Diagnosis, diagnosis, pass_on, run, unreadable
from cdigen.discover.pci import BUS, find_bound_driver, find_lost_gpus, find_pci_bus, lost_gpu
from cdigen.host import UNREADABLE

if TYPE_CHECKING:
    from cdigen.findings import Remedy
    from cdigen.host import View
    from cdigen.session.context import Context

LOAD_MODULE = run("modprobe nvidia", hint="load the module; if that fails, the lines with NVRM in dmesg tell why")

_INITRAMFS = (
    ("/usr/sbin/update-initramfs", "update-initramfs -u"),
    ("/usr/bin/dracut", "dracut --force"),
    ("/usr/bin/mkinitcpio", "mkinitcpio -P"),
)
"""The programs with which distributions renew the initramfs, in which nouveau is loaded from."""


def check_pci(context: Context) -> tuple[Diagnosis, ...]:
    """Return a line for every GPU of NVIDIA's on the bus."""
    system = context.views.system
    try:
        bus = find_pci_bus(system)
    except UNREADABLE as error:
        return (unreadable("pci", BUS, error),)
    if bus.gpus:
        lost = _find_lost(system)
        return tuple(
            pass_on("pci", name, "problem", lost_gpu(name)) if name in lost else _judge(system, name)
            for name in bus.gpus
        )
    if not bus.is_seen:
        if context.is_recorded:
            return (diagnosis("pci", BUS, "unknown", "not-recorded", NOT_RECORDED),)
        return (diagnosis("pci", BUS, "unknown", "bus-not-visible", "no device of the PCI bus can be seen here"),)
    return (
        diagnosis(
            "pci",
            BUS,
            "problem",
            "no-gpu",
            "no NVIDIA GPU on the PCI bus",
            run(
                "lspci -d 10de:",
                hint="if there should be one, check that it is seated and has power, check the firmware's settings, or"
                " pass it through to this virtual machine",
            ),
        ),
    )


def _find_lost(system: View) -> tuple[str, ...]:
    try:
        return find_lost_gpus(system)
    except UNREADABLE:
        return ()  # check_kernel and the scan say what cannot be read


def _judge(system: View, name: str) -> Diagnosis:
    try:
        driver = find_bound_driver(system, name)
    except UNREADABLE as error:
        return unreadable("pci", f"{BUS}/{name}/driver", error)
    if driver == "nvidia":
        return diagnosis("pci", name, "ok", "gpu-bound", "NVIDIA GPU, bound to nvidia")
    if driver == "nouveau":
        message = "bound to nouveau, so nvidia cannot have it"
        return diagnosis("pci", name, "problem", "gpu-bound-to-nouveau", message, keep_nouveau_out(system))
    if driver == "vfio-pci":
        return diagnosis(
            "pci",
            name,
            "warning",
            "gpu-bound-to-vfio",
            "bound to vfio-pci, for a virtual machine: containers do not get it",
            run(
                f"echo {quote(name)} > /sys/bus/pci/drivers/vfio-pci/unbind",
                f"echo {quote(name)} > /sys/bus/pci/drivers/nvidia/bind",
                hint="if containers should get it, bind it to nvidia",
            ),
        )
    if driver is None:
        return diagnosis("pci", name, "problem", "gpu-unbound", "bound to no driver", LOAD_MODULE)
    message = f"bound to {driver}, not to nvidia"
    return diagnosis("pci", name, "warning", "gpu-bound-to-other", message, run(f"lspci -k -s {quote(name)}"))


def keep_nouveau_out(system: View) -> Remedy:
    """Return how to keep nouveau from taking the GPUs, with what the host has to renew its initramfs."""
    renew = [command for program, command in _INITRAMFS if _is_there(system, program)][:1]
    return run(
        "echo 'blacklist nouveau' > /etc/modprobe.d/blacklist-nouveau.conf",
        *renew,
        hint="keep nouveau from being loaded" + ("" if renew else ", renew the initramfs") + ", and reboot",
    )


def _is_there(system: View, program: str) -> bool:
    try:
        return system.find(program) is not None
    except UNREADABLE:
        return False  # it is for advice alone
