"""The two halves of the driver and whether they are of the same build."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.catalog.driver import DISPLAY_LIBRARIES, DRIVER_ROOTS, MACHINES
from cdigen.discover.devices import GPU_NODE
from cdigen.discover.directories import find_library_directories
from cdigen.errors import IncompleteError, NoDriverError, ParseError, VersionMismatchError, one_line
from cdigen.facts import Driver
from cdigen.host import UNREADABLE, UNSEEN, HostReadError, View
from cdigen.notes import UNSAFE_PATH, Notes, is_safe_path, reason_of
from cdigen.parse.procfs import is_driver_version, parse_module_version, parse_nvidia_version
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.host.views import Views

PROC_VERSION = "/proc/driver/nvidia/version"
MODULE = "/sys/module/nvidia"
MODULE_VERSION = f"{MODULE}/version"


def is_version_suffix(text: str) -> bool:
    """Tell whether what follows ".so." in a file name is a driver's version, and not a SONAME's like 1.1 or 4.0.0.

    Drivers for GPUs that anybody still runs have three digits before the first dot; libcuda.so.1.1 of Tegra and
    WSL2, libnvidia-egl-gbm.so.1.1.2 and libnvidia-nvvm.so.4.0.0 have one.
    """
    return is_driver_version(text) and text.index(".") >= 3


KERNEL_VERSIONS = (PROC_VERSION, MODULE_VERSION)
"""The files that tell the kernel module's version, the one that tells more first."""


class KernelModule(Record):
    """The kernel module that is loaded.

    Attributes:
        version: its version.
        machine: the machine that it was built for; None if the source does not tell.
        is_open: whether it is the open module; None if the source does not tell.
        source: the file that told.
    """

    version: str
    machine: str | None
    is_open: bool | None
    source: str


def find_driver(views: Views, directories: tuple[str, ...], notes: Notes) -> Driver:
    """Return the driver whose kernel half runs and whose user-space half is installed.

    Args:
        views: the host.
        directories: see `find_library_directories`.
        notes: gets what is odd but can be lived with.

    Raises:
        NoDriverError: no half is there, or only an unloaded one.
        VersionMismatchError: the halves differ, or several user-space versions are there and nothing tells
            which one runs.
        IncompleteError: a half is missing, or no libcuda of the version can be used. Where what draws is there, and no
            libcuda at all, that is a warning.
    """
    kernel = _find_kernel(views.system, notes)
    installed = find_libcudas(views.driver, directories, notes)
    if not installed:
        return _find_display_half(views, directories, kernel, notes)
    if kernel is None:
        version = _only_version(views, installed)
        notes.add(
            "warning",
            "kernel-version-unknown",
            PROC_VERSION,
            f"neither {PROC_VERSION} nor {MODULE_VERSION} tells a version (masked?), so libcuda.so.{version} cannot"
            " be compared with the kernel module",
            hint="name the host's with --procfs and --sysfs",
        )
    elif kernel.version in installed:
        version = kernel.version
    else:
        found = " and ".join(
            f"{other} ({one_line(views.driver.host_path(paths[0]))})" for other, paths in installed.items()
        )
        raise VersionMismatchError(
            f"the kernel module is {kernel.version} ({kernel.source}) but the user-space driver is {found}",
            hint="reboot to load the module that was installed with it, or install the user-space driver"
            f" {kernel.version}",
        )
    for other, paths in installed.items():
        if other != version:
            for path in paths:
                notes.leave_out(views.driver.host_path(path), f"of driver {other}; the kernel module is {version}")
    path, machine = _usable_libcuda(views.driver, version, installed[version], kernel, notes)
    return Driver(
        version=version,
        machine=machine,
        kernel_version_source=kernel.source if kernel else None,
        libcuda=path,
    )


def _find_display_half(views: Views, directories: tuple[str, ...], kernel: KernelModule | None, notes: Notes) -> Driver:
    """Return the driver of a host that has no libcuda, if it has what draws; errors as of `find_driver`."""
    machine = None if kernel is None else _display_machine(views.driver, directories, kernel.version)
    if kernel is None or machine is None:
        raise _no_libcuda(views, kernel)
    notes.add(
        "warning",
        "no-cuda",
        f"libcuda.so.{kernel.version}",
        f"only the display half of the driver {kernel.version} is installed: there is no libcuda.so.{kernel.version},"
        " so containers have no CUDA",
        hint="install the other half if they should have it (Debian: libcuda1; Ubuntu: libnvidia-compute)",
    )
    return Driver(version=kernel.version, machine=machine, kernel_version_source=kernel.source, libcuda=None)


def _display_machine(driver: View, directories: tuple[str, ...], version: str) -> str | None:
    """Return the machine of a library that draws, of this version; None if there is none that can be used."""
    for directory in directories:
        with suppress(*UNSEEN):
            for name in driver.names(directory, DISPLAY_LIBRARIES):
                place = driver.find(f"{directory}/{name}") if name.endswith(f".so.{version}") else None
                with suppress(*UNREADABLE):
                    elf = None if place is None else driver.host.elf(driver.host_path(place[0]))
                    if elf is not None and elf.bits == 64 and elf.machine in MACHINES:
                        return elf.machine
    return None


def find_kernel_version(system: View, notes: Notes) -> str | None:
    """Return the version of the kernel module that is loaded; None if nothing tells it.

    Args:
        system: the host.
        notes: gets what is there and tells none.
    """
    kernel = _find_kernel(system, notes)
    return None if kernel is None else kernel.version


def read_kernel_module(system: View, path: str) -> KernelModule | None:
    """Return what one of `KERNEL_VERSIONS` tells; None if it is not there.

    Raises:
        ParseError: it tells no version.
        HostReadError, LinkError: it cannot be read.
    """
    data = system.read(path)
    if data is None:
        return None
    if path == PROC_VERSION:
        parsed = parse_nvidia_version(data)
        return KernelModule(version=parsed.version, machine=parsed.machine, is_open=parsed.open, source=path)
    return KernelModule(version=parse_module_version(data), machine=None, is_open=None, source=path)


def _find_kernel(system: View, notes: Notes) -> KernelModule | None:
    for path in KERNEL_VERSIONS:
        try:
            kernel = read_kernel_module(system, path)
            if kernel is not None:
                return kernel
        except UNREADABLE as error:
            notes.note_failure(error)
            notes.add(
                "warning",
                "kernel-version",
                path,
                f"{path}: {reason_of(error)}; it does not tell the kernel module's version",
            )
    return None


def find_libcudas(driver: View, directories: tuple[str, ...], notes: Notes) -> dict[str, list[str]]:
    """Return the paths, in the driver's view, of every libcuda.so.<version>, by version, in order of the search."""
    found: dict[str, list[str]] = {}
    for directory in directories:
        try:
            names = driver.names(directory, ("libcuda.so",))
        except UNSEEN as error:
            notes.damaged(driver.host_path(directory), error, "its libraries are not looked at")
            continue
        for name in names:
            try:
                place = driver.find(f"{directory}/{name}")
            except UNSEEN as error:
                notes.damaged(driver.host_path(f"{directory}/{name}"), error, "it is not injected")
                continue
            if place is None:
                continue
            version = place[0].rpartition("/libcuda.so.")[2]
            if is_version_suffix(version) and place[0] not in found.setdefault(version, []):
                found[version].append(place[0])
    return dict(sorted(found.items()))


def has_module(system: View) -> bool:
    """Tell whether the module `nvidia` is loaded, as far as can be seen."""
    for path in (PROC_VERSION, MODULE):
        with suppress(*UNSEEN):
            if system.find(path) is not None:
                return True
    return False


def has_gpu_node(dev: View) -> bool:
    """Tell whether the device root has a /dev/nvidia<N>, as far as that can be looked at."""
    try:
        return _has_gpu_node(dev)
    except UNSEEN:
        return False


def _has_gpu_node(dev: View) -> bool:
    return any(map(GPU_NODE.fullmatch, dev.names("/dev", ("nvidia",))))


def _no_libcuda(views: Views, kernel: KernelModule | None) -> NoDriverError | IncompleteError:
    root = one_line(views.driver.host_path("/"))
    elsewhere = _find_elsewhere(views, kernel)
    other, hint = "", ""
    commands: tuple[str, ...] = ()
    if elsewhere is not None:
        place, version = elsewhere
        other = f"; there is libcuda.so.{version} below {place}"
        hint, commands = "use it with", (f"cdigen generate --driver-root {place}",)
    if kernel is not None:
        return IncompleteError(
            f"the kernel module {kernel.version} is loaded ({kernel.source}) but there is no"
            f" libcuda.so.{kernel.version} below {root}{other}",
            hint=hint or f"install the user-space driver {kernel.version}, or name its directory with --driver-root",
            commands=commands,
        )
    return NoDriverError(
        f"no NVIDIA driver: neither {PROC_VERSION} nor a libcuda.so.<version> below {root}{other}",
        hint=hint or "install the driver, or name its directory with --driver-root",
        commands=commands,
    )


def _find_elsewhere(views: Views, kernel: KernelModule | None) -> tuple[str, str] | None:
    """Return a known driver root with a driver that may be the host's, and its version."""
    for root in DRIVER_ROOTS:
        with suppress(*UNSEEN):
            view = View(views.system.host, root)
            versions = find_libcudas(view, find_library_directories(view, Notes()), Notes())
            fitting = [version for version in versions if kernel is None or version == kernel.version]
            if fitting:
                return root, fitting[0]
    return None


def _only_version(views: Views, installed: dict[str, list[str]]) -> str:
    if len(installed) > 1:
        paths = " and ".join(one_line(views.driver.host_path(paths[0])) for paths in installed.values())
        raise VersionMismatchError(
            f"several user-space drivers ({paths}) and no kernel module that tells which one runs",
            hint="remove the drivers that are not in use, or load the module with",
            commands=("modprobe nvidia",),
        )
    version = next(iter(installed))
    if not _has_gpu_node(views.dev):
        raise NoDriverError(
            f"the user-space driver {version} is installed but the kernel module is not loaded: no"
            f" {PROC_VERSION}, no {MODULE_VERSION} and no /dev/nvidia<N>",
            hint="load it with",
            commands=("modprobe nvidia",),
        )
    return version


def _usable_libcuda(
    driver: View, version: str, paths: list[str], kernel: KernelModule | None, notes: Notes
) -> tuple[str, str]:
    """Return host path and machine of the first libcuda that a 64-bit program on this kernel can load."""
    reasons = []
    for path in paths:
        host_path = driver.host_path(path)
        if not is_safe_path(host_path):
            reasons.append(f"{one_line(host_path)}: {UNSAFE_PATH}")
            continue
        try:
            elf = driver.host.elf(host_path)
        except ParseError as error:
            reasons.append(f"{one_line(host_path)}: {error}")
            continue
        except HostReadError as error:
            notes.note_failure(error)
            reasons.append(f"{one_line(host_path)}: {error.reason}")
            continue
        wanted = kernel.machine if kernel and kernel.machine else None
        if elf.bits == 32 and elf.machine in {companion for _, companion in MACHINES.values()}:
            reasons.append(f"{one_line(host_path)}: 32-bit")
        elif elf.machine not in MACHINES or elf.bits != 64:
            reasons.append(f"{one_line(host_path)}: for {elf.bits}-bit {elf.machine}, which is not supported")
        elif wanted in MACHINES and elf.machine != wanted:
            reasons.append(f"{one_line(host_path)}: for {elf.machine}, the kernel module is for {wanted}")
        elif elf.kind != "shared":
            reasons.append(f"{one_line(host_path)}: not a shared object")
        else:
            return host_path, elf.machine
    raise IncompleteError(
        f"no libcuda.so.{version} can be used ({', '.join(reasons)})",
        hint=f"reinstall the user-space driver {version}",
    )
