"""From a path to an open directory and a name in it: a part at a time, each opened in the one before.

No path is looked up twice, so that the directory that was found is the one that is written to, whatever is renamed
meanwhile. Links are followed by the rule of `fs.protected_symlinks`, whether that is set or not: no stranger's in a
directory like /tmp (Linux, Documentation/admin-guide/sysctl/fs.rst). The kernel asks it of a path's last part alone.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from cdigen.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY_MODE = 0o755

MAX_LINKS = 40
"""How many links one path may lead through: MAXSYMLINKS of the kernel, include/linux/namei.h."""

_FOR_ALL = stat.S_ISVTX | stat.S_IWOTH

_ENTER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

# fsync(2) of a directory on file systems that cannot: there is nothing to wait for.
_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP}


class UnfitPathError(Exception):
    """The path is not one of a file that could be written; has the reason and the way out."""

    def __init__(self, reason: str, hint: str) -> None:
        self.reason = reason
        self.hint = hint
        super().__init__(reason)


class Place(NamedTuple):
    """Where a file is or is to be.

    Attributes:
        directory: a descriptor of its directory, good for the calls that take one (O_PATH).
        name: in that directory.
        path: by which it was found.
    """

    directory: int
    name: str
    path: str

    def lstat(self) -> os.stat_result | None:
        """Return what is there, a link itself; None if nothing is."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def is_strangers(self, found: os.stat_result) -> bool:
        """Tell whether what is there is a stranger's in a directory like /tmp: see `fs.protected_regular`."""
        return _is_strangers(found, self.directory)


def _is_strangers(found: os.stat_result, directory: int) -> bool:
    holder = os.fstat(directory)
    return holder.st_mode & _FOR_ALL == _FOR_ALL and found.st_uid not in (os.geteuid(), holder.st_uid)


@contextmanager
def open_place(path: str, *, root: str | None = None, make: bool = False, follow: bool = True) -> Iterator[Place]:
    """Find the place of the file at `path`.

    Args:
        path: the file.
        root: a directory that `path` begins with, and out of which nothing leads: an absolute link goes on there, and
            `..` stays there, as in a chroot. None for the process's own `/`.
        make: make the missing directories that `path` names, each durably and with its mode whatever the umask.
        follow: follow a link at the end too; else it is what is at the place.

    Raises:
        UnfitPathError: it is a directory's path, or leads through a link that is not followed.
        OSError: a directory cannot be entered or made.
    """
    if "\0" in path:
        raise UnfitPathError("a NUL character in the path", "choose another output file")
    if os.path.basename(path) in {"", ".", ".."}:
        raise UnfitPathError("it is the path of a directory", "name a file in it")
    walk = _Walk(path, root)
    try:
        name = walk.to_file(make=make, follow=follow)
        yield Place(walk.fd, name, path)
    finally:
        walk.close()


@contextmanager
def open_directory(path: str, *, root: str | None = None) -> Iterator[int]:
    """Give a descriptor of the directory at `path` (O_PATH); see `open_place`."""
    walk = _Walk(path, root)
    try:
        walk.to_directory()
        yield walk.fd
    finally:
        walk.close()


@contextmanager
def reopen(directory: int) -> Iterator[int]:
    """Give a descriptor by which a directory can be listed and synced, from one that cannot (O_PATH)."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


def sync_directory(directory: int) -> None:
    """Wait until the names in a directory are on the disk, where its file system can say so."""
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise


class _Walk:
    """A path on the way; `fd` is the directory that was come to."""

    def __init__(self, path: str, root: str | None) -> None:
        self._path = path
        self._is_bound = root is not None
        if root is not None:
            path = path.removeprefix(root.rstrip("/"))
        start = root if root is not None else "/" if path.startswith("/") else "."
        # Of a root all directories on the way stay open: a `..` is the one come from, not where one was moved to.
        self._trail = [(os.open(start, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), start)]
        self._rest: list[tuple[str, bool]] = []
        self._push(path, is_named=True)
        self._links = 0

    @property
    def fd(self) -> int:
        return self._trail[-1][0]

    def close(self) -> None:
        while self._trail:
            os.close(self._trail.pop()[0])

    def to_directory(self) -> None:
        while self._rest:
            part, _ = self._rest.pop()
            self._enter(part, make=False)

    def to_file(self, *, make: bool, follow: bool) -> str:
        """Enter the directory of the file; return the file's name in it."""
        target = ""  # of the link at the end of the path
        try:
            while self._rest:
                part, is_named = self._rest.pop()
                if self._rest or part == "..":
                    self._enter(part, make=make and is_named)
                    continue
                found = self._read_link(part, may_be_missing=not target) if follow else None
                if found is None:
                    return part
                target = target or found
                self._follow(found)
        except FileNotFoundError as error:
            if not target:
                raise
            raise UnfitPathError(f"it is a symbolic link to {target}, which is missing", "remove the link") from error
        raise UnfitPathError("it is a directory", "name a file in it")

    def _push(self, path: str, *, is_named: bool) -> None:
        parts = [(part, is_named) for part in path.split("/") if part not in ("", ".")]
        self._rest += reversed(parts)

    def _enter(self, part: str, *, make: bool) -> None:
        if part == ".." and self._is_bound:
            if len(self._trail) > 1:
                os.close(self._trail.pop()[0])
            return
        try:
            self._go(os.open(part, _ENTER, dir_fd=self.fd), part)
        except FileNotFoundError:
            if not make:
                raise
            _make_directory(part, self.fd)
            self._go(os.open(part, _ENTER, dir_fd=self.fd), part)
        except NotADirectoryError:
            target = self._read_link(part)
            if target is None:
                raise
            self._follow(target)

    def _go(self, fd: int, part: str) -> None:
        self._trail.append((fd, self._name(part)))
        if not self._is_bound:
            os.close(self._trail.pop(0)[0])

    def _name(self, part: str) -> str:
        """Return the path of what is in the directory that was come to."""
        return os.path.join(self._trail[-1][1], part).removeprefix("./")

    def _follow(self, target: str) -> None:
        self._links += 1
        if self._links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith("/"):
            if self._is_bound:
                while len(self._trail) > 1:
                    os.close(self._trail.pop()[0])
            else:
                root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                os.close(self._trail.pop()[0])
                self._trail.append((root, "/"))
        self._push(target, is_named=False)

    def _read_link(self, part: str, *, may_be_missing: bool = False) -> str | None:
        """Return where a link leads that may be followed; None if it is none."""
        try:
            fd = os.open(part, _LOOK, dir_fd=self.fd)
        except FileNotFoundError:
            if may_be_missing:
                return None
            raise
        try:
            link = os.fstat(fd)
            if not stat.S_ISLNK(link.st_mode):
                return None
            if _is_strangers(link, self.fd):
                raise UnfitPathError(
                    f"{one_line(self._name(part))} is a symbolic link of user {link.st_uid} in a directory that all"
                    " may write to",
                    "remove the link, or name where it leads",
                )
            return os.readlink("", dir_fd=fd)
        finally:
            os.close(fd)


def _make_directory(name: str, parent: int) -> None:
    # Not fchmod after it: a writer that is killed in between would leave it closed to others for ever.
    umask = os.umask(0)
    try:
        os.mkdir(name, DIRECTORY_MODE, dir_fd=parent)
    except FileExistsError:  # another writer was faster
        return
    finally:
        os.umask(umask)
    with reopen(parent) as fd:
        sync_directory(fd)
