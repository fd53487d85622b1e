"""What of the driver is not there yet, at boot, and can be expected to come.

Engines may wait for whoever waits for the driver, so nothing is expected without a sign of it: a GPU on the bus that no
other driver has, and one half of the driver. Both halves are not. A container that brings the whole driver is started
by an engine, and a package manager that installs it tells when it is done.
"""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

from cdigen.catalog.driver import CONTROL_NODES
from cdigen.discover.devices import find_right_node
from cdigen.discover.directories import find_library_directories
from cdigen.discover.driver import MODULE, find_kernel_version, find_libcudas, has_gpu_node, has_module
from cdigen.discover.files import OS_RELEASE
from cdigen.discover.majors import find_majors
from cdigen.discover.pci import find_bound_driver, find_lost_gpus, find_pci_bus
from cdigen.discover.platform import find_platform
from cdigen.errors import ParseError, one_line
from cdigen.host import UNSEEN, HostReadError, LinkError
from cdigen.notes import Notes
from cdigen.parse.procfs import PROC_GPUS, parse_gpu_information

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.discover.majors import Majors
    from cdigen.host import View
    from cdigen.host.views import Views

_INIT_STATE = f"{MODULE}/initstate"
"""`coming` until the module's init function is over, in which it looks at all of its GPUs; then `live` (Linux,
kernel/params.c or kernel/module/sysfs.c, show_initstate)."""

_MODULE_FILE = re.compile(rb"/nvidia(?!fb|-wmi)[^/ :]*\.ko")
"""In the list of all modules that depmod(8) makes, `modules.dep`: NVIDIA's own by whichever name, such as
nvidia-current.ko (Debian), and not those of the kernel that are called so too."""

_GONE = (errno.ENOENT, errno.ENODEV)
"""Why what was just there cannot be read: it changes now, and the next look will see to what."""


def find_lacking(views: Views, *, makes_nodes: bool = False, late_driver_root: bool = False) -> tuple[str, ...]:
    """Return what is not there yet and can be expected to come; () if there is nothing to wait for.

    What is wrong in another way (halves of different versions, files that may not be read) is not waited for: it is for
    a scan to say.

    Args:
        views: the host as it is now; they remember what they have seen, so every look needs new ones.
        makes_nodes: whether a node that is missing will be made, if the kernel tells its number.
        late_driver_root: whether the user-space driver may come after the kernel module, because something is mounted
            where the user says that it is.

    Returns:
        Clauses, such as "/dev/nvidiactl is missing".
    """
    try:
        return _find_lacking(views, makes_nodes=makes_nodes, late_driver_root=late_driver_root)
    except HostReadError as error:
        return (f"{one_line(error.path)} is about to change",) if error.number in _GONE else ()
    except LinkError:
        return ()


def _find_lacking(views: Views, *, makes_nodes: bool, late_driver_root: bool) -> tuple[str, ...]:
    if find_platform(views) != "pci":
        return ()
    kernel = find_kernel_version(views.system, Notes())
    if kernel is not None:
        lacking = tuple(_lacking_of_module(views, makes_nodes=makes_nodes))
        if not lacking and not late_driver_root:
            return ()  # the user-space driver is looked at once, by the scan
    elif has_gpu_node(views.dev) or not _can_be_loaded(views.system, own_driver=not late_driver_root):
        return ()  # the first: somebody masks procfs and sysfs, and not the nodes
    else:
        lacking = (f"the kernel module nvidia {'tells no version' if has_module(views.system) else 'is not loaded'}",)
    installed = find_libcudas(views.driver, find_library_directories(views.driver, Notes()), Notes())
    if not installed:
        is_expected = late_driver_root and kernel is not None
        root = one_line(views.driver.host_path("/"))
        return (*lacking, f"there is no libcuda.so.{kernel} below {root}") if is_expected else ()
    return lacking if kernel is None or kernel in installed else ()


def _can_be_loaded(system: View, *, own_driver: bool) -> bool:
    """Tell whether a module that tells no version is to be expected: it is half there, or a GPU is there for it."""
    if has_module(system):
        return True
    drivers = (find_bound_driver(system, gpu) for gpu in find_pci_bus(system).gpus)
    # A driver elsewhere, as in a container's root, may bring a module of its own, which the host's depmod has not seen.
    return any(driver in (None, "nvidia") for driver in drivers) and (not own_driver or _is_built(system))


def _is_built(system: View) -> bool:
    """Tell whether there may be a module for this kernel; after an upgrade of the kernel its build can have failed."""
    try:
        release = (system.read(OS_RELEASE) or b"").decode(errors="replace").strip()
        listed = system.read(f"/lib/modules/{release}/modules.dep") if release else None
    except UNSEEN:
        return True
    return listed is None or _MODULE_FILE.search(listed) is not None


def _lacking_of_module(views: Views, *, makes_nodes: bool) -> Iterator[str]:
    """Yield what is not there yet although the module is.

    A GPU that is bound to no driver is not waited for: the module has seen it, once it is live, and did not want it
    (broken, of an unsupported kind, unbound by hand). Every boot would take the whole time for it.
    """
    system = views.system
    if (system.read(_INIT_STATE) or b"").strip() == b"coming":
        yield "the kernel module nvidia is still starting"
    majors = find_majors(system, Notes())
    for row in CONTROL_NODES:
        if row.required:
            path = f"/dev/{row.name}"
            yield from _lacking_node(views.dev, path, "", majors, row.name, row.minor, can_be_made=makes_nodes)
    if system.find(PROC_GPUS) is None:  # masked
        return
    listed = system.names(PROC_GPUS)
    for bdf in find_lost_gpus(system):
        yield f"GPU {one_line(bdf)} is not in {PROC_GPUS}"
    for bdf in listed:
        minor_of_gpu = _minor_of_gpu(system, bdf)
        if minor_of_gpu is not None:
            path, whose = f"/dev/nvidia{minor_of_gpu}", f" (GPU {one_line(bdf)})"
            yield from _lacking_node(views.dev, path, whose, majors, "nvidia", minor_of_gpu, can_be_made=makes_nodes)


def _lacking_node(
    dev: View, path: str, whose: str, majors: Majors, stem: str, minor: int, *, can_be_made: bool
) -> Iterator[str]:
    if can_be_made and majors.of(stem) is not None:
        return
    node = find_right_node(dev, path, "", majors, stem, minor)
    if isinstance(node, str):
        yield f"{one_line(dev.host_path(path))}{whose} {node}"


def _minor_of_gpu(system: View, bdf: str) -> int | None:
    """Return the minor of a GPU that will be offered: not of one that is excluded, or of which nothing can be told."""
    try:
        information = parse_gpu_information(system.read(f"{PROC_GPUS}/{bdf}/information") or b"")
    except ParseError:
        return None
    return None if information.excluded else information.minor
