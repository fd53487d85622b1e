"""The driver's modules of the X server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import XORG_MODULE_DIRECTORIES, XORG_MODULES, XORG_SUBDIRECTORIES
from cdigen.discover.driver import is_version_suffix
from cdigen.discover.programs import find_loadable
from cdigen.facts import Driver, DriverFile

if TYPE_CHECKING:
    from cdigen.host import View
    from cdigen.notes import Notes


def find_xorg_modules(view: View, directories: tuple[str, ...], driver: Driver, notes: Notes) -> tuple[DriverFile, ...]:
    """Return the driver's modules of the X server, to be mounted in both families' module directories.

    Args:
        view: the driver root.
        directories: see `find_library_directories`.
        driver: for the version in file names, and what the modules must be made for.
        notes: gets what is damaged or foreign, or of another driver, to which an upgrade in parts has left a link.
    """
    modules = []
    for name, kind, reason, _ in XORG_MODULES:
        paths = (
            f"{directory}/{sub.format(kind=kind)}/{file_name}"
            for directory in directories
            for sub in XORG_SUBDIRECTORIES
            for file_name in (f"{name}.{driver.version}", name)
        )
        found = find_loadable(view, paths, driver, notes)
        suffix = "" if found is None else found.host_path.rpartition("/")[2].partition(".so.")[2]
        if found is not None and is_version_suffix(suffix) and suffix != driver.version:
            notes.leave_out(found.host_path, f"of driver {suffix}; this one is {driver.version}")
        elif found is not None:
            modules.append(
                DriverFile(
                    kind="xorg",
                    host_path=found.host_path,
                    container_paths=tuple(f"{directory}/{kind}/{name}" for directory in XORG_MODULE_DIRECTORIES),
                    group="display",
                    why=f"catalog: {reason}",
                    elf=found.elf,
                )
            )
    return tuple(modules)
