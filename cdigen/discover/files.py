"""Configuration and data files of the driver, and firmware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import (
    FILES,
    FIRMWARE_DIRECTORIES,
    FileRow,
)
from cdigen.errors import ParseError, one_line
from cdigen.facts import Driver, DriverFile
from cdigen.host import UNSEEN, HostReadError
from cdigen.notes import NOT_A_FILE, is_safe_name, reason_of
from cdigen.parse.icd import parse_icd_json, parse_icd_text

if TYPE_CHECKING:
    from cdigen.host import View
    from cdigen.host.views import Views
    from cdigen.notes import Notes

FIRMWARE_PATH = "/sys/module/firmware_class/parameters/path"
OS_RELEASE = "/proc/sys/kernel/osrelease"


def find_files(view: View, directories: tuple[str, ...], driver: Driver, notes: Notes) -> tuple[DriverFile, ...]:
    """Return the configuration and data files of the catalog that this host has, in the catalog's order.

    Args:
        view: the driver root.
        directories: see `find_library_directories`.
        driver: for the version and the machine in file names.
        notes: gets what is damaged or dangling.
    """
    return tuple(file for row in FILES for file in _find_row(row, view, directories, driver, notes))


def _find_row(row: FileRow, view: View, directories: tuple[str, ...], driver: Driver, notes: Notes) -> list[DriverFile]:
    relative = not row.target.startswith("/")
    for place in row.places:
        pattern = place.format(version=driver.version, arch=driver.machine)
        patterns = [pattern] if pattern.startswith("/") else [f"{d}/{pattern}" for d in directories]
        for path in patterns:
            found = []
            for name, resolved in _matches(view, path, notes):
                target = f"{row.target}/{name}"
                found.append(
                    DriverFile(
                        kind=row.kind,
                        host_path=view.host_path(resolved),
                        container_paths=() if relative else (target,),
                        library_relative=(target,) if relative else (),
                        group=row.group,
                        why=f"catalog: {row.reason}",
                        asks_for=_asks_for(row, view, resolved, notes),
                        bits=row.bits,
                    )
                )
            if found:
                return found
    return []


def _matches(view: View, pattern: str, notes: Notes) -> list[tuple[str, str]]:
    """Return name and resolved path of the regular files that `pattern`, an absolute path, matches."""
    directory, _, name = pattern.rpartition("/")
    head, star, tail = name.partition("*")
    found = []
    try:
        # Most names have no wildcard: then the directory need not be listed.
        names = view.names(directory, (head,)) if star else (name,)
        for match in names:
            if star and not match[len(head) :].endswith(tail):
                continue
            path = f"{directory}/{match}"
            target = view.find(path)
            if target is None:
                if star or _is_link(view, path):
                    notes.dangling(view, path)
            elif target[1].kind == "file" and is_safe_name(match):
                found.append((match, target[0]))
            elif target[1].kind == "file" or (star and target[1].kind == "dir"):
                notes.leave_out(view.host_path(path), "not a regular file with an ordinary name")
            else:
                host_path = view.host_path(path)
                notes.damaged(host_path, HostReadError(host_path, NOT_A_FILE), "it is not injected")
    except UNSEEN as error:
        notes.damaged(view.host_path(pattern), error, "it is not injected")
    return found


def _is_link(view: View, path: str) -> bool:
    directory, _, name = path.rpartition("/")
    resolved = view.resolve(directory)
    entry = view.lstat(f"{resolved.rstrip('/')}/{name}") if resolved is not None else None
    return entry is not None and entry.kind == "link"


def _asks_for(row: FileRow, view: View, path: str, notes: Notes) -> tuple[str, ...]:
    """Return the libraries that the configuration file at `path` names."""
    if not row.format:
        return ()
    try:
        data = view.host.read(view.host_path(path))
        return parse_icd_text(data) if row.format == "text" else parse_icd_json(data)
    except (ParseError, HostReadError) as error:
        notes.note_failure(error)
        host_path = one_line(view.host_path(path))
        notes.add(
            "warning",
            "configuration-file",
            host_path,
            f"{host_path}: {reason_of(error)}; it is injected as it is",
            hint="reinstall the package that it belongs to",
        )
        return ()


def find_firmware(views: Views, driver: Driver, users: tuple[str, ...], notes: Notes) -> tuple[DriverFile, ...]:
    """Return the GSP firmware of the driver's version, from where this host's kernel would load it.

    Args:
        views: procfs and sysfs tell the kernel's release and its own firmware path; the files are the driver's.
        driver: for the version.
        users: names of GPUs that run it. It matters to nobody else, and in a container to nobody at all.
        notes: gets a note if there is none and a GPU runs it, and what cannot be read.
    """
    release = _text(views.system, OS_RELEASE, notes)
    custom = _text(views.system, FIRMWARE_PATH, notes)
    places = [(views.driver, place) for place in FIRMWARE_DIRECTORIES if release or "{release}" not in place]
    if custom.startswith("/"):
        places.insert(0, (views.system, custom.rstrip("/")))  # the kernel's path, so one of the host's own /
    looked_at = []
    for view, pattern in places:
        place = pattern.replace("{release}", release)
        looked_at.append(one_line(view.host_path(place)))
        found = _matches(view, f"{place}/nvidia/{driver.version}/*", notes)
        if found:
            return tuple(
                DriverFile(
                    kind="firmware",
                    host_path=view.host_path(resolved),
                    container_paths=(f"/lib/firmware/nvidia/{driver.version}/{name}",),
                    group="utility",
                    why=f"firmware of driver {driver.version}, below {looked_at[-1]}",
                )
                for name, resolved in found
            )
    if users:
        notes.add(
            "note",
            "no-firmware",
            f"nvidia/{driver.version}",
            f"GPU {users[0]} runs firmware that is not in nvidia/{driver.version} below {', '.join(looked_at)};"
            " containers do not need it, the GPU does when the module is loaded again",
            hint="see that the driver's firmware is still installed",
        )
    return ()


def _text(system: View, path: str, notes: Notes) -> str:
    """Return the one line of text at `path` of procfs or sysfs; "" if it is not there."""
    try:
        data = system.read(path)
    except UNSEEN as error:
        notes.fail_to_read(error, "it is taken as empty")
        return ""
    text = (data or b"").decode(errors="replace").strip()
    return text if text.isprintable() and ".." not in text.split("/") else ""
