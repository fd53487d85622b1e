"""The kernel modules: loaded, of which version, and what is in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.diagnosis import Diagnosis, diagnosis, run, unread, unreadable
from cdigen.discover.driver import (
    KERNEL_VERSIONS,
    MODULE_VERSION,
    PROC_VERSION,
    has_gpu_node,
    has_module,
    read_kernel_module,
)
from cdigen.doctor.pci import LOAD_MODULE, keep_nouveau_out
from cdigen.findings import Remedy
from cdigen.host import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.diagnosis import Level
    from cdigen.host import View
    from cdigen.host.views import Views
    from cdigen.session.context import Context

MODULES = "/sys/module"
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""The variable of UEFI's global namespace (UEFI specification, 3.3): four bytes of attributes, then 0 or 1."""

_OTHERS: tuple[tuple[str, Level, str, str], ...] = (
    ("nvidia_uvm", "problem", "CUDA does not work without it", "nvidia-modprobe -u -c 0"),
    ("nvidia_modeset", "warning", "Vulkan and displays do not work without it", "nvidia-modprobe -m"),
)


def check_kernel(context: Context) -> tuple[Diagnosis, ...]:
    """Return a line for every module, and for nouveau and Secure Boot where they are in the way."""
    found: list[Diagnosis] = []
    for check in (_check_nouveau, _check_module, _check_others):
        try:
            found.extend(check(context.views))
        except UNREADABLE as error:
            found.append(unread("kernel", error))
    return tuple(found)


def _check_nouveau(views: Views) -> Iterator[Diagnosis]:
    system = views.system
    if system.find(f"{MODULES}/nouveau") is not None:
        message = "loaded; it takes GPUs that nvidia should have"
        yield diagnosis("kernel", "nouveau", "warning", "nouveau-loaded", message, keep_nouveau_out(system))


def _check_module(views: Views) -> Iterator[Diagnosis]:
    if has_module(views.system):
        yield _version(views.system)
    else:
        yield _masked() if has_gpu_node(views.dev) else _not_loaded(views.system)


def _check_others(views: Views) -> Iterator[Diagnosis]:
    system = views.system
    if not has_module(system):
        return
    # A container's /sys, or a snapshot, may not have what procfs tells of.
    sees_modules = system.find(f"{MODULES}/nvidia") is not None
    for module, level, consequence, remedy in _OTHERS:
        if system.find(f"{MODULES}/{module}") is not None:
            yield diagnosis("kernel", module, "ok", "module-loaded", "loaded")
        elif not sees_modules:
            message = f"{MODULES} does not show the driver's modules"
            yield diagnosis("kernel", module, "unknown", "modules-not-visible", message)
        else:
            yield diagnosis("kernel", module, level, "module-not-loaded", f"not loaded; {consequence}", run(remedy))


def _version(system: View) -> Diagnosis:
    for path in KERNEL_VERSIONS:
        try:
            module = read_kernel_module(system, path)
        except UNREADABLE as error:
            return unreadable("kernel", path, error)
        if module is not None:
            kind = {None: "", True: ", the open module", False: ", the proprietary module"}[module.is_open]
            return diagnosis("kernel", "nvidia", "ok", "module-loaded", f"{module.version} is loaded{kind}")
    message = f"loaded; neither {PROC_VERSION} nor {MODULE_VERSION} has its version"
    return diagnosis("kernel", "nvidia", "unknown", "module-version-unknown", message)


def _masked() -> Diagnosis:
    message = f"neither {PROC_VERSION} nor {MODULES}/nvidia is there, but the device node of a GPU is: they are masked"
    remedy = Remedy("name the host's with --procfs and --sysfs")
    return diagnosis("kernel", "nvidia", "unknown", "module-masked", message, remedy)


def _not_loaded(system: View) -> Diagnosis:
    try:
        data = system.read(SECURE_BOOT)
    except UNREADABLE:
        data = None
    if data is not None and data[4:5] == b"\x01":
        return diagnosis(
            "kernel",
            "nvidia",
            "problem",
            "module-not-loaded",
            "not loaded; Secure Boot is on, which refuses a module that is not signed",
            run(
                *LOAD_MODULE.commands,
                hint="load the module; if that says 'Key was rejected', sign it and enrol its key (mokutil --import),"
                " or install the distribution's signed one",
            ),
        )
    return diagnosis("kernel", "nvidia", "problem", "module-not-loaded", "not loaded", LOAD_MODULE)
