"""Where this host keeps libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import (
    ALTERNATIVE_SETS,
    FOREIGN_DIRECTORIES,
    LIBRARY_DIRECTORIES,
    LINKER_CACHE_PREFIXES,
    LINKER_CACHES,
    SUBDIRECTORIES,
    TEGRA_LIBRARY,
)
from cdigen.host import UNREADABLE, UNSEEN, HostReadError, LinkError, View
from cdigen.notes import reason_of

if TYPE_CHECKING:
    from cdigen.notes import Notes


def find_library_directories(driver: View, notes: Notes) -> tuple[str, ...]:
    """Return the directories that may hold the driver's libraries, in the order in which they are searched.

    First those of the linker cache, in its order, then the usual ones, then where libcuda's links of all of them
    lead, each followed by the alternative sets below it (Debian's `nvidia/current`).

    Args:
        driver: the driver root.
        notes: gets a finding if the linker cache cannot be used.

    Returns:
        Directories with every link resolved, without repeats. vdpau/ and gbm/ below them are not among them.
    """
    found: dict[str, None] = {}
    for directory in (*_cached_directories(driver, notes), *LIBRARY_DIRECTORIES):
        _add(driver, directory, found, notes)
    for directory in tuple(found):
        _add(driver, _parent_of_target(driver, f"{directory}/libcuda.so.1", notes), found, notes)
    return tuple(found)


def _add(driver: View, directory: str | None, found: dict[str, None], notes: Notes) -> None:
    try:
        place = driver.find(directory) if directory else None
        if place is None or place[1].kind != "dir" or place[0] in found:
            return
        resolved = place[0]
        if set(FOREIGN_DIRECTORIES) & set(resolved.split("/")):
            notes.leave_out(driver.host_path(resolved), "forward-compatibility or stub libraries of a CUDA toolkit")
            return
        if _is_of_tegra(driver, resolved):
            notes.leave_out(driver.host_path(resolved), "libraries of a Tegra chip's own GPU, which has another driver")
            return
        sets = f"{resolved}/{ALTERNATIVE_SETS}"
        driver.lstat(sets)  # fails if the directory may not be searched: one finding for it, not one a file
        found[resolved] = None
        for name in driver.names(sets):
            _add(driver, f"{sets}/{name}", found, notes)
    except UNSEEN as error:
        notes.damaged(driver.host_path(str(directory)), error, "its libraries are not looked at")


def _is_of_tegra(driver: View, resolved: str) -> bool:
    """Tell whether a directory below a library directory has the libraries of a Tegra chip's own GPU."""
    is_private = not {"tegra", ALTERNATIVE_SETS}.isdisjoint(resolved.split("/"))
    return is_private and driver.lstat(f"{resolved}/{TEGRA_LIBRARY}") is not None


def _parent_of_target(driver: View, path: str, notes: Notes) -> str | None:
    try:
        resolved = driver.resolve(path)
    except LinkError:
        return None  # whoever looks for libcuda itself reports it
    except HostReadError as error:
        notes.fail_to_read(error, "the directory to which it leads is not searched")
        return None
    return resolved.rpartition("/")[0] if resolved else None


def _cached_directories(driver: View, notes: Notes) -> list[str]:
    directories: dict[str, None] = {}
    for cache in LINKER_CACHES:
        try:
            resolved = driver.resolve(cache)
            if resolved is None:
                continue
            entries = driver.host.linker_cache(driver.host_path(resolved), LINKER_CACHE_PREFIXES)
        except UNREADABLE as error:
            notes.note_failure(error)
            path = driver.host_path(cache)
            notes.add(
                "warning",
                "linker-cache",
                path,
                f"{path}: {reason_of(error)}; the usual directories are searched instead",
                hint="rebuild it with",
                commands=("ldconfig",),
            )
            continue
        for entry in entries:
            if not entry.path.startswith("/"):
                continue
            directory = entry.path.rpartition("/")[0]
            for sub in SUBDIRECTORIES:
                directory = directory.removesuffix(f"/{sub}") if sub else directory
            for place in (directory, _parent_of_target(driver, entry.path, notes)):
                if place:
                    directories[place] = None
    return list(directories)
