"""Where a run writes its specs: to the file that the user names, or to the mode's own on the host that it looks at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cdigen.errors import FileError, one_line
from cdigen.specs.header import output_of

if TYPE_CHECKING:
    from cdigen.host import View
    from cdigen.session.target import Target


class Outputs:
    """The files of the modes' specs, as this process sees them.

    Attributes:
        root: a directory out of which no link of theirs leads, for `cdigen.walk.open_place`; None for no such bound.
    """

    def __init__(self, target: Target, main_mode: str, output: str | None = None) -> None:
        """Take the mode of the main spec and its file, None for the host's own; "-" is standard output."""
        self.root = None if output is not None else root_of(target.host_root)
        self._main_mode = main_mode
        self._output = output
        self._host_paths: dict[str, str] = {}
        self._view: View | None = None

    def of(self, mode: str) -> str:
        """Return the file of a mode's spec.

        Raises:
            FileError: its place on the host cannot be told.
            LinkError: it leads through a cycle of links.
        """
        if self._output is not None:
            return self._output if mode == self._main_mode else output_of(mode, self._output)
        host_path = output_of(mode)
        if self.root is None:
            return host_path
        if self._view is None:
            self._view = view_below(self.root)
        path = place_below(self._view, self.root, host_path)
        self._host_paths[path] = host_path
        return path

    def shown(self, path: str) -> str:
        """Return a file of `of` as a message names it, with its path on the host if that is another one."""
        host_path = self._host_paths.get(path)
        return one_line(path) if host_path is None else f"{one_line(path)} ({host_path} on the host)"


def root_of(host_root: str | None) -> str | None:
    """Return where this process sees the `/` of a live host; None for its own."""
    return None if host_root is None or os.path.realpath(host_root) == "/" else host_root


def view_below(root: str) -> View:
    """Return the host whose `/` this process sees at `root`; raises FileError if that cannot be opened."""
    from cdigen.host.live import LiveHost
    from cdigen.host.view import View

    return View(LiveHost(root))


def place_below(view: View, root: str, host_path: str) -> str:
    """Return where this process sees a path of a host, which need not be there yet.

    Args:
        view: the host.
        root: where it sees the host's `/`.
        host_path: an absolute path as the host sees it. Links on it are followed as there, so none leads out of `root`.

    Raises:
        FileError: a directory cannot be searched, or a link leads to nothing.
        LinkError: it leads through a cycle of links.
    """
    # What is at it can change at any time: who writes there opens it below `root`, and this names it.
    return root.rstrip("/") + _resolve(view, host_path)


def _resolve(view: View, path: str) -> str:
    """Return `path` without links, as far as it is there."""
    resolved = view.resolve(path)
    if resolved is not None:
        return resolved
    parent, _, name = path.rpartition("/")
    place = f"{_resolve(view, parent or '/').rstrip('/')}/{name}"
    entry = view.lstat(place)
    if entry is not None and entry.kind == "link":
        raise FileError(
            f"{one_line(path)} of the host is a symbolic link to {one_line(entry.target)}, which is missing",
            hint="remove the link",
            subject=one_line(path),
            code="dangling-link",
        )
    return place
