"""One scan of one host: every finder, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.discover.binaries import find_binaries
from cdigen.discover.devices import find_control_nodes
from cdigen.discover.directories import find_library_directories
from cdigen.discover.driver import find_driver
from cdigen.discover.files import find_files, find_firmware
from cdigen.discover.gpus import FoundGpus, find_gpus
from cdigen.discover.lacking import find_lacking
from cdigen.discover.libraries import find_libraries
from cdigen.discover.majors import find_majors
from cdigen.discover.manifest import check_manifest
from cdigen.discover.platform import find_platform
from cdigen.discover.sockets import find_sockets
from cdigen.discover.xorg import find_xorg_modules
from cdigen.errors import CdigenError, FileError, ParseError, UnreadableError, one_line
from cdigen.facts import DriverFile, Inventory, Library
from cdigen.host import UNSEEN
from cdigen.notes import UNSAFE_PATH, Notes, is_safe_path
from cdigen.records import replace

if TYPE_CHECKING:
    from cdigen.discover.gpus import AskNvml
    from cdigen.facts import DeviceNode, Driver
    from cdigen.host import View
    from cdigen.host.views import Views
    from cdigen.parse.nvml import NvmlFacts

    _Devices = tuple[tuple[DeviceNode, ...], FoundGpus]

_NO_GPUS = FoundGpus(gpus=(), missing=(), with_firmware=())


def find_inventory(views: Views, *, ask_nvml: AskNvml = "auto", with_gpus: bool = True) -> Inventory:
    """Return everything that a spec for this host is built from.

    Args:
        views: the host.
        ask_nvml: when to ask NVML.
        with_gpus: False looks for the driver's files alone: there are no GPUs then, no nodes, and none is missing.

    Raises:
        NoDriverError, VersionMismatchError: see `find_driver`.
        IncompleteError: something without which a container would not work is missing.
        HostReadError, LinkError: something without which nothing can be said cannot be read.
        UnreadableError: what is missing may be there, as something could not be read.

        Every error carries the findings so far as its findings: one of them may be the cause.
    """
    notes = Notes()
    try:
        platform = find_platform(views)
        if platform == "tegra":
            from cdigen.discover.tegra import find_tegra_inventory

            return find_tegra_inventory(views, notes, with_gpus=with_gpus)
        if platform == "wsl":
            from cdigen.discover.wsl import find_wsl_inventory

            return find_wsl_inventory(views, notes, ask=ask_nvml != "never", with_gpus=with_gpus)
        return _scan(views, notes, ask_nvml, with_gpus=with_gpus)
    except CdigenError as error:
        error.findings = notes.findings
        if not isinstance(error, FileError) and (reads := notes.failed_reads):
            # What is missing may be there.
            raise UnreadableError(reads, notes.findings) from error
        raise


def _scan(views: Views, notes: Notes, ask_nvml: AskNvml, *, with_gpus: bool) -> Inventory:
    directories = find_library_directories(views.driver, notes)
    driver = find_driver(views, directories, notes)
    control_nodes, found_gpus = (
        _find_devices(views, notes, driver, directories, ask_nvml) if with_gpus else ((), _NO_GPUS)
    )
    found_libraries = find_libraries(views.driver, directories, driver, notes)
    libraries = found_libraries.usable
    found = (
        *find_binaries(views.driver, directories, driver, notes),
        *find_firmware(views, driver, found_gpus.with_firmware, notes),
        *find_files(views.driver, directories, driver, notes),
        *find_xorg_modules(views.driver, directories, driver, notes),
    )
    files = tuple(file for file in found if _can_be_named(file.host_path, notes))
    sockets = tuple(s for s in find_sockets(views.driver, notes) if _can_be_named(s.host_path, notes))
    check_manifest(views.driver, libraries, files, notes)
    return Inventory(
        driver=driver,
        libraries=_at_absolute_paths(views.driver, libraries, files, notes),
        lacking=find_lacking(libraries, files, found_libraries.unusable, driver.name),
        files=tuple(sorted(files, key=lambda file: (file.kind, file.container_paths, file.library_relative))),
        sockets=sockets,
        control_nodes=control_nodes,
        gpus=found_gpus.gpus,
        missing=found_gpus.missing,
        failed_reads=notes.failed_reads,
        findings=notes.findings,
        left_out=notes.left_out,
    )


def _find_devices(
    views: Views, notes: Notes, driver: Driver, directories: tuple[str, ...], ask_nvml: AskNvml
) -> _Devices:
    """Return the control nodes, and the GPUs with the nodes of both that are missing."""
    majors = find_majors(views.system, notes)
    control_nodes, missing = find_control_nodes(views.dev, majors, notes)

    def ask() -> NvmlFacts | None:
        from cdigen.discover.nvml import find_nvml

        return find_nvml(views, notes, version=driver.name, directories=directories)

    found = find_gpus(views, majors, notes, ask_nvml=ask_nvml, nvml=ask)
    return control_nodes, replace(found, missing=missing + found.missing)


def _can_be_named(host_path: str, notes: Notes) -> bool:
    if is_safe_path(host_path):
        return True
    notes.damaged(host_path, ParseError(UNSAFE_PATH), "it is not injected", hint="rename it")
    return False


def _at_absolute_paths(
    view: View, libraries: tuple[Library, ...], files: tuple[DriverFile, ...], notes: Notes
) -> tuple[Library, ...]:
    """Return the libraries, each also at the absolute paths by which configuration files ask for it (NixOS).

    What a file asks for and is not among the libraries becomes a finding.
    """
    names = {(library.elf.bits, name.name) for library in libraries for name in library.names}
    by_host_path = {library.host_path: library for library in libraries}
    extra: dict[str, set[str]] = {}
    for file in files:
        for wanted in file.asks_for:
            if (file.bits, wanted) in names:
                continue
            library = None
            if wanted.startswith("/") and wanted.isprintable():
                try:
                    resolved = view.resolve(wanted)
                except UNSEEN as error:
                    notes.fail_to_read(error, f"whether {one_line(file.host_path)} names a library is not known")
                    resolved = None
                library = by_host_path.get(view.host_path(resolved)) if resolved else None
            if library is not None and ".." not in wanted.split("/"):
                extra.setdefault(library.host_path, set()).add(wanted)
                continue
            notes.add(
                "warning",
                "dangling-configuration",
                file.host_path,
                f"{one_line(file.host_path)} names {one_line(wanted)}, which is not injected; programs that"
                " read it will not find that library",
                hint="install the library, or remove the file",
            )
    return tuple(
        replace(library, absolute_paths=tuple(sorted(extra[library.host_path])))
        if library.host_path in extra
        else library
        for library in libraries
    )
