"""What of a host would change its spec, at a moment: two that are equal need no new scan between them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cdigen.catalog.watched import WAKING, WATCHED
from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES, SUFFIXES
from cdigen.host import UNSEEN
from cdigen.walk import UnfitPathError, open_directory, open_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cdigen.catalog.watched import WatchedRow
    from cdigen.host import View
    from cdigen.host.views import Views

Facts = tuple[tuple[str, object], ...]

_MOST_NAMES = 4096  # of a directory
_DEV = "/dev"


def look_at_host(views: Views, root: str | None) -> Facts:
    """Return what there is to know of a host, by path.

    Args:
        views: the host, newly opened.
        root: where this process sees its `/`; None for its own.
    """
    return tuple(
        (view.host_path(path), _look(view, row, path, root))
        for row in WATCHED
        for view in _views_of(row, views)
        for path in _expand(view, row.path)
    )


def find_waking(views: Views) -> tuple[str, ...]:
    """Return the directories of a host in which the kernel tells of changes, as paths on it; they need not be there."""
    roots = [views.driver.host_path(path) for path in ("/", "/etc")] if views.driver is not views.system else []
    of_dev = [views.dev.host_path(path) for path in WAKING if path.startswith(_DEV)]
    return (*(path for path in WAKING if not path.startswith(_DEV)), *of_dev, *roots)


def _views_of(row: WatchedRow, views: Views) -> Sequence[View]:
    if row.path.startswith(_DEV):
        return (views.dev,)
    return (views.system, views.driver) if row.of_driver and views.driver is not views.system else (views.system,)


def look_at_specs(root: str | None) -> Facts:
    """Return which specs there are in the directories that engines read, and when each was written."""
    found: list[tuple[str, object]] = []
    for directory in DEFAULT_DIRECTORIES:
        place = directory if root is None else root.rstrip("/") + directory
        try:
            with open_directory(place, root=root) as fd:
                opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
                try:
                    names = sorted(name for name in os.listdir(opened) if name.endswith(SUFFIXES))[:_MOST_NAMES]
                    found += [(f"{directory}/{name}", _stamp_in(opened, name)) for name in names]
                finally:
                    os.close(opened)
        except (OSError, UnfitPathError):
            found.append((directory, None))
    return tuple(found)


def _expand(view: View, pattern: str) -> Iterator[str]:
    head, star, rest = pattern.partition("/*")
    if not star:
        yield pattern
        return
    try:
        names: Sequence[str] = view.names(head)[:_MOST_NAMES]
    except UNSEEN:
        names = ()
    for name in names:
        yield from _expand(view, f"{head}/{name}{rest}")


def _look(view: View, row: WatchedRow, path: str, root: str | None) -> object:
    try:
        if row.how == "text":
            return view.read(path)
        if row.how == "names":
            return view.names(path, row.prefixes or ("",))[:_MOST_NAMES]
    except UNSEEN as error:
        return type(error).__name__
    host_path = view.host_path(path)
    try:
        with open_place(host_path if root is None else root.rstrip("/") + host_path, root=root, follow=False) as place:
            return _stamp_in(place.directory, place.name)
    except (OSError, UnfitPathError):
        return None


def _stamp_in(directory: int, name: str) -> object:
    """Return what tells whether a file is the same and was not written to since; where a link leads; None if gone."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None
    try:
        target = os.readlink(name, dir_fd=directory)
    except OSError:
        target = ""
    return status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, target
