"""The driver's own manifest, held against what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import FILELIST
from cdigen.host import UNREADABLE
from cdigen.notes import is_safe_name, reason_of
from cdigen.parse.filelist import parse_filelist

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdigen.facts import DriverFile, Library
    from cdigen.host import View
    from cdigen.notes import Notes


def check_manifest(view: View, libraries: Iterable[Library], files: Iterable[DriverFile], notes: Notes) -> None:
    """Add a finding for every file that the manifest lists and that was neither taken nor left out for a reason.

    Args:
        view: the driver root.
        libraries: what was taken.
        files: what was taken.
        notes: gets the findings; its left-out files count as known.
    """
    path = view.host_path(FILELIST)
    try:
        data = view.read(FILELIST)
        if data is None:
            return
        entries = parse_filelist(data)
    except UNREADABLE as error:
        reason = reason_of(error)
        notes.add(
            "note",
            "manifest",
            path,
            f"{path}: {reason}; what was found cannot be compared with the driver's own list",
        )
        return
    known = {left_out.host_path.rpartition("/")[2] for left_out in notes.left_out}
    for library in libraries:
        known.update((library.file_name, *(name.name for name in library.names)))
    for file in files:
        known.update(place.rpartition("/")[2] for place in (file.host_path, *file.container_paths))
        known.update(place.rpartition("/")[2] for place in file.library_relative)
    for name, kind, optional in sorted({(entry.name, entry.type, entry.optional) for entry in entries}):
        base = name.rpartition("/")[2]
        if kind in ("SYMLINK", "MODPROBE") or base in known:
            continue  # links are named by their targets, and module options are the host's
        notes.add(
            "note" if optional or not is_safe_name(base) else "warning",
            "manifest",
            name,
            f"{path} lists {name} ({kind}), which was not found in the directories that are searched",
        )
