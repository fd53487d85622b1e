"""A directory of the host seen as a root, with symbolic links resolved by chroot rules."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from cdigen.errors import CdigenError, one_line
from cdigen.host.host import HostReadError

if TYPE_CHECKING:
    from cdigen.host.host import Entry, Host

MAX_LINKS = 40
"""How many links one resolution follows: MAXSYMLINKS of the kernel, include/linux/namei.h."""

MAX_PATH = 4095
"""The most bytes of a path and of a link's target: PATH_MAX of include/uapi/linux/limits.h, less the NUL."""


class LinkError(CdigenError):
    """A path leads through too many symbolic links, which is how a cycle shows."""

    exit_code = 5

    def __init__(self, path: str) -> None:
        self.reason = f"leads through more than {MAX_LINKS} symbolic links"
        super().__init__(
            f"{one_line(path)} {self.reason}", hint="remove the link cycle", subject=one_line(path), code="link-cycle"
        )


class View:
    """The host, seen from one directory of it as `/`: the driver root, the device root, or the host's own `/`.

    An absolute link target restarts at that directory and `..` never climbs over it, as in a chroot. What is
    seen is remembered for the life of the view, so that one run judges one state of the host.
    """

    def __init__(self, host: Host, root: str = "/") -> None:
        """See the host from `root`, an absolute path on the host; its own links are resolved by the host's `/`."""
        self.host = host
        self._entries: dict[str, Entry | None] = {}
        self._resolved: dict[str, tuple[str | None, int]] = {}
        self._followed: dict[str, tuple[str | None, int]] = {}
        self._outside: View | None = None
        self._prefix = ""
        if root != "/":
            self._prefix = (View(host).resolve(root) or root).rstrip("/")

    def host_path(self, path: str) -> str:
        """Return the host's path of `path`, a path in this view."""
        return self._prefix + path if path != "/" else self._prefix or "/"

    def lstat(self, path: str) -> Entry | None:
        """Return what is at `path`, whose parent is free of links; None if nothing is.

        Raises:
            HostReadError: the directory that holds it may not be searched.
        """
        if path not in self._entries:
            self._entries[path] = self.host.lstat(self.host_path(path))
        return self._entries[path]

    def resolve(self, path: str) -> str | None:
        """Return `path` with every symbolic link resolved, in this view; None if it leads to nothing.

        Raises:
            LinkError: more than `MAX_LINKS` links.
            HostReadError: a directory on the way may not be searched, or a path of more than `MAX_PATH` bytes.
        """
        known = self._resolved.get(path)
        if known is None:
            known = self._resolved[path] = self._look(path)
        if known[1] > MAX_LINKS:
            raise LinkError(self.host_path(path))
        return known[0]

    def _look(self, path: str) -> tuple[str | None, int]:
        """Return where `path` leads, and the links on the way; its directory is remembered for what else is in it."""
        parent, _, name = path.rpartition("/")
        if not parent or name in ("", ".", "..") or len(path) > MAX_PATH // 4:
            return self._walk("", path, 0)
        above = self._resolved.get(parent)
        if above is None:
            above = self._resolved[parent] = self._walk("", parent, 0)
        directory, links = above
        if directory is None or links > MAX_LINKS:
            return above
        found, more = self._walk("" if directory == "/" else directory, name, 0)
        return found, links + more

    def _walk(self, directory: str, path: str, depth: int) -> tuple[str | None, int]:
        """Return where `path` leads from `directory`, which is resolved, and the links on the way.

        Args:
            directory: "" is the root.
            path: a path or a link's target.
            depth: how many links are being followed already.

        Returns:
            More than `MAX_LINKS` links, if there are: then the walk has ended somewhere.
        """
        if len(path) > MAX_PATH // 4 and len(path.encode(errors="replace")) > MAX_PATH:
            raise HostReadError(self.host_path(path), os.strerror(errno.ENAMETOOLONG), number=errno.ENAMETOOLONG)
        done = "" if path.startswith("/") else directory
        rest = path.split("/")[::-1]
        links = 0
        while rest:
            part = rest.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = done[: done.rfind("/")] if done else ""
                continue
            candidate = f"{done}/{part}"
            entry = self.lstat(candidate)
            if entry is not None and entry.kind == "link":
                led, more = self._follow(candidate, done, entry.target, depth)
                links += more
                if led is None or links > MAX_LINKS:
                    return None, links
                candidate = "" if led == "/" else led
                entry = self.lstat(led)
            if entry is None or (entry.kind != "dir" and rest):  # also for a slash at the end
                return None, links
            done = candidate
        return done or "/", links

    def _follow(self, link: str, directory: str, target: str, depth: int) -> tuple[str | None, int]:
        """Return where a link in `directory` leads, and how many links that takes with itself.

        It is remembered: however many paths lead through a link, its target is walked once.
        """
        known = self._followed.get(link)
        if known is not None:
            return known
        if depth >= MAX_LINKS:
            return None, MAX_LINKS + 1
        found, links = self._walk(directory, target, depth + 1)
        # Of a link below others that was given up because of these, it is not known where it leads by itself.
        if links < MAX_LINKS or depth == 0:
            self._followed[link] = found, links + 1
        return found, links + 1

    def find(self, path: str) -> tuple[str, Entry] | None:
        """Return the resolved path and what is there; None if it leads to nothing.

        Raises:
            LinkError, HostReadError: see `resolve`.
        """
        resolved = self.resolve(path)
        if resolved is None:
            return None
        entry = self.lstat(resolved)
        return None if entry is None else (resolved, entry)

    def leads_out(self, path: str) -> str | None:
        """Return where on the host a path leads that leads to nothing in this view, as a link leaves the view's root.

        None if it leads to nothing there either, or if the root is the host's own.

        Raises:
            LinkError, HostReadError: see `resolve`.
        """
        if not self._prefix:
            return None
        if self._outside is None:
            self._outside = View(self.host)
        return self._outside.resolve(self._prefix + path)

    def names(self, directory: str, prefixes: tuple[str, ...] = ("",), suffix: str | None = None) -> tuple[str, ...]:
        """Return the names in `directory` that begin or end so, sorted; () if it is not there. See `Host.names`.

        Raises:
            LinkError, HostReadError: see `resolve` and `Host.names`.
        """
        resolved = self.resolve(directory)
        return () if resolved is None else self.host.names(self.host_path(resolved), prefixes, suffix)

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file; None if it is not there.

        Raises:
            LinkError, HostReadError: see `resolve` and `Host.read`.
        """
        resolved = self.resolve(path)
        return None if resolved is None else self.host.read(self.host_path(resolved))
