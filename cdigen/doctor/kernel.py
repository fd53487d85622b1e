"""The kernel modules: loaded, of which version, and what is in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.discover.driver import (
    KERNEL_VERSIONS,
    MODULE_VERSION,
    PROC_VERSION,
    has_gpu_node,
    has_module,
    read_kernel_module,
)
from cdigen.doctor.diagnosis import UNREADABLE, Diagnosis, diagnosis, exists, unreadable
from cdigen.doctor.pci import NOUVEAU_REMEDY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.discover.views import Views
    from cdigen.doctor.diagnosis import Context, Level
    from cdigen.host import View

MODULES = "/sys/module"
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""The variable of UEFI's global namespace (UEFI specification, 3.3): four bytes of attributes, then 0 or 1."""

_OTHERS: tuple[tuple[str, Level, str, str], ...] = (
    ("nvidia_uvm", "problem", "CUDA does not work without it", "nvidia-modprobe -u -c 0"),
    ("nvidia_modeset", "warning", "Vulkan and displays do not work without it", "nvidia-modprobe -m"),
)


def check_kernel(context: Context) -> tuple[Diagnosis, ...]:
    """Return a line for every module, and for nouveau and Secure Boot where they are in the way."""
    return tuple(_check(context.views))


def _check(views: Views) -> Iterator[Diagnosis]:
    system = views.system
    if exists(system, f"{MODULES}/nouveau"):
        yield diagnosis("kernel", "nouveau", "warning", "loaded; it takes GPUs that nvidia should have", NOUVEAU_REMEDY)
    if not has_module(system):
        yield _masked() if has_gpu_node(views.dev) else _not_loaded(system)
        return
    yield _version(system)
    # A container's /sys, or a snapshot, may not have what procfs tells of.
    sees_modules = exists(system, f"{MODULES}/nvidia")
    for module, level, consequence, remedy in _OTHERS:
        if exists(system, f"{MODULES}/{module}"):
            yield diagnosis("kernel", module, "ok", "loaded")
        elif not sees_modules:
            yield diagnosis("kernel", module, "unknown", f"{MODULES} does not tell of the driver's modules")
        else:
            yield diagnosis("kernel", module, level, f"not loaded; {consequence}", remedy)


def _version(system: View) -> Diagnosis:
    for path in KERNEL_VERSIONS:
        try:
            module = read_kernel_module(system, path)
        except UNREADABLE as error:
            return unreadable("kernel", path, error)
        if module is not None:
            kind = {None: "", True: ", the open module", False: ", the proprietary module"}[module.is_open]
            return diagnosis("kernel", "nvidia", "ok", f"{module.version} is loaded{kind}")
    return diagnosis("kernel", "nvidia", "unknown", f"loaded; {PROC_VERSION} and {MODULE_VERSION} tell no version")


def _masked() -> Diagnosis:
    message = f"{PROC_VERSION} and {MODULES}/nvidia are not there, but the device node of a GPU is: they are masked"
    return diagnosis("kernel", "nvidia", "unknown", message, "name the host's with --procfs and --sysfs")


def _not_loaded(system: View) -> Diagnosis:
    remedy = "modprobe nvidia; if that fails, see: dmesg | grep -i nvrm"
    try:
        data = system.read(SECURE_BOOT)
    except UNREADABLE:
        data = None
    if data is not None and data[4:5] == b"\x01":
        return diagnosis(
            "kernel",
            "nvidia",
            "problem",
            "not loaded; Secure Boot is on, which refuses a module that is not signed",
            f"{remedy}; if it says 'Key was rejected', sign the module and enrol its key (mokutil --import), or install"
            " the distribution's signed one",
        )
    return diagnosis("kernel", "nvidia", "problem", "not loaded", remedy)
