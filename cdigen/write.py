"""Writes a file so that a reader finds the old one or the new one, whole, whatever happens in between.

The bytes go to a temporary file in the same directory, named `.<name>.<random>.tmp`: no engine reads it, they
read `*.yaml` and `*.json`. Then fsync, rename, fsync of the directory (rename(2), fsync(2)).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

from cdigen.errors import FileError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE_MODE = 0o644
DIRECTORY_MODE = 0o755
LOCK_TIMEOUT = 10.0  # seconds

READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""To open a file that may be anything, or be replaced just now: opening a pipe would wait for its other end."""

TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{16}\.tmp", re.DOTALL)
"""The name of the file to which the bytes of the file `group(1)` go first; it is left there if the writer is killed."""

_LOCK_POLL = 0.05  # seconds

# flock(2) and open(2) say so on file systems that have no locks, some network ones.
_NO_LOCKS = {errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EBADF, errno.EINVAL}

# fsync(2) of a directory on file systems that cannot: there is nothing to wait for.
_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP}

_ADVICE = {
    errno.EACCES: "run as root, or choose another output file",
    errno.EPERM: "run as root, or check whether it is immutable (lsattr)",
    errno.EROFS: "choose an output file on a file system that can be written",
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of the quota",
    errno.ENOTDIR: "a part of the path is a file; choose another output file",
    errno.EISDIR: "name a file in it",
    errno.ELOOP: "remove the loop of symbolic links",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EBUSY: "it is a mount point; write to the file on the other side of the mount",
    errno.EIO: "look for errors of the disk in the kernel's log (dmesg)",
}
_ADVICE_TO_REMOVE = {
    **_ADVICE,
    errno.EACCES: "run as root",
    errno.EROFS: "make its file system writable",
    errno.ENOTDIR: "a part of the path is a file",
    errno.EBUSY: "it is a mount point; unmount it first",
}


def write_file(
    path: str | os.PathLike[str], data: bytes, *, mode: int = FILE_MODE, lock_timeout: float = LOCK_TIMEOUT
) -> bool:
    """Make `data` the content of the file at `path`, atomically and durably.

    A symbolic link is followed and stays. Missing directories are made. Writers of one directory take turns.
    A file that has these bytes already is left alone, time stamps too; only its mode is put right if not
    everyone can read it whom `mode` lets read it.

    Args:
        path: the file.
        data: its content.
        mode: its permission bits, whatever the umask; for all to read, as engines of other users need it.
        lock_timeout: seconds to wait for other writers of the same directory, before it is written all the same.

    Returns:
        True if the file or its mode was changed.

    Raises:
        FileError: nothing was changed: the path cannot be written or is not a regular file. The exception is an
            error after the rename (a failing disk): the new file is there.
    """
    shown = os.fspath(path)
    try:
        directory, name = _resolve(shown)
        _make_directories(directory)
        with _open_directory(directory) as directory_fd:
            if _lock(directory_fd, lock_timeout):
                _remove_litter(name, directory_fd)
            if _is_regular(name, directory_fd):
                settled = _settle(name, directory_fd, data, mode)
                if settled is not None:
                    return settled
            _replace(name, directory_fd, data, mode)
            return True
    except _UnfitError as error:
        raise FileError(
            f"cannot write {one_line(shown)}: {one_line(error.reason)}",
            hint=error.hint,
            subject=shown,
            code="unfit-output",
        ) from error
    except OSError as error:
        raise FileError(
            f"cannot write {one_line(shown)}: {os.strerror(error.errno) if error.errno else error}",
            hint=_ADVICE.get(error.errno or 0, "choose another output file"),
            subject=shown,
            code="cannot-write",
        ) from error


def check_directory(path: str) -> None:
    """Check that the directory of the file at `path` is there, for a caller who does not want it made.

    Raises:
        FileError: it is not.
    """
    directory = os.path.dirname(path)
    if directory and not os.path.lexists(directory):
        raise FileError(
            f"cannot write {one_line(path)}: there is no directory {one_line(directory)}",
            hint="make it, or add --create-dirs",
            subject=directory,
            code="no-such-directory",
        )


def read_head(path: str, size: int) -> bytes | None:
    """Return the first bytes of a regular file, links followed; None if it is none, or cannot be read.

    Args:
        path: the file.
        size: how many bytes at most.
    """
    if not os.path.isfile(path):  # the driver of a device must not notice us
        return None
    try:
        with open(os.open(path, READ_FLAGS & ~os.O_NOFOLLOW), "rb") as file:
            return file.read(size)
    except OSError:
        return None


def remove_file(
    path: str | os.PathLike[str],
    may_remove: Callable[[bytes], bool],
    *,
    head_bytes: int = 512,
    lock_timeout: float = LOCK_TIMEOUT,
    only_locked: bool = False,
) -> Literal["removed", "absent", "left"]:
    """Remove the file at `path` durably if it begins as one that may be removed; writers of the directory take turns.

    Args:
        path: the file.
        may_remove: tells of its first bytes whether it may be removed.
        head_bytes: how many of these there are at most.
        lock_timeout: see `write_file`.
        only_locked: leave it where no lock can be had, for a file that a writer may be at work on (`TEMPORARY`).

    Returns:
        "removed"; "absent" if there was nothing; "left" if it may not be removed, or is no regular file: a symbolic
        link is none.

    Raises:
        FileError: it may not be read or removed. It is still there, unless only the disk failed after that.
    """
    shown = os.fspath(path)
    directory, name = os.path.split(shown)
    try:
        with _open_directory(directory or ".") as directory_fd:
            if not _lock(directory_fd, lock_timeout) and only_locked:
                return "left"
            if not stat.S_ISREG(os.stat(name, dir_fd=directory_fd, follow_symlinks=False).st_mode):
                return "left"
            with os.fdopen(os.open(name, READ_FLAGS, dir_fd=directory_fd), "rb") as file:
                if not may_remove(file.read(head_bytes)):
                    return "left"
            os.unlink(name, dir_fd=directory_fd)
            _sync_directory(directory_fd)
            return "removed"
    except FileNotFoundError:
        return "absent"
    except OSError as error:
        raise FileError(
            f"cannot remove {one_line(shown)}: {os.strerror(error.errno) if error.errno else error}",
            hint=_ADVICE_TO_REMOVE.get(error.errno or 0, "remove it by hand"),
            subject=shown,
            code="cannot-remove",
        ) from error


class _UnfitError(Exception):
    """The path is not one that a file can be written to; has the reason and the way out."""

    def __init__(self, reason: str, hint: str) -> None:
        self.reason = reason
        self.hint = hint
        super().__init__(reason)


def _resolve(path: str) -> tuple[str, str]:
    """Return the directory and the name of the file that `path` is, or leads to by symbolic links."""
    if "\0" in path:
        raise _UnfitError("a NUL character in the path", "choose another output file")
    if os.path.basename(path) in {"", ".", ".."}:
        raise _UnfitError("it is the path of a directory", "name a file in it")
    if _is_link(path):
        try:
            path = os.path.realpath(path, strict=True)
        except FileNotFoundError as error:
            target = os.readlink(path)
            raise _UnfitError(f"it is a symbolic link to {target}, which is missing", "remove the link") from error
    directory, name = os.path.split(path)
    return directory or ".", name


def _is_link(path: str) -> bool:
    with suppress(FileNotFoundError):  # unlike os.path.islink, which takes a failing disk for an answer
        return stat.S_ISLNK(os.lstat(path).st_mode)
    return False


def _make_directories(directory: str) -> None:
    """Make the missing last parts of `directory`, each durably and with its mode whatever the umask."""
    missing = []
    while not os.path.lexists(directory):
        missing.append(directory)
        directory = os.path.dirname(directory) or "."
    for new in reversed(missing):
        with suppress(FileExistsError):  # another writer was faster
            # Not fchmod after it: a writer that is killed in between would leave it closed to others for ever.
            umask = os.umask(0)
            try:
                os.mkdir(new, DIRECTORY_MODE)
            finally:
                os.umask(umask)
            with _open_directory(os.path.dirname(new) or ".") as parent_fd:
                _sync_directory(parent_fd)


@contextmanager
def _open_directory(directory: str) -> Iterator[int]:
    directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield directory_fd
    finally:
        os.close(directory_fd)


def _lock(directory_fd: int, timeout: float) -> bool:
    """Lock the directory against other writers, until it is closed; False where that cannot be had.

    Whoever may read the directory may lock it, so a lock that is never given back must not keep us from writing.
    The rename is atomic without it; only killed writers' temporary files then stay for the next run.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(directory_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOCK_POLL)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise
        else:
            return True


def _remove_litter(name: str, directory_fd: int) -> None:
    """Remove temporary files of writers that were killed: we have the lock, so none is still at work."""
    for other in os.listdir(directory_fd):
        temporary = TEMPORARY.fullmatch(other)
        if temporary and temporary[1] == name:
            with suppress(OSError):  # it harms nobody: not worth failing for, as on a read-only file system
                os.unlink(other, dir_fd=directory_fd)


def _is_regular(name: str, directory_fd: int) -> bool:
    """Tell if there is a file already; refuse what is there but is not one."""
    try:
        mode = os.stat(name, dir_fd=directory_fd, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise _UnfitError("it is a directory", "name a file in it")
    if not stat.S_ISREG(mode):
        raise _UnfitError("it is not a regular file", "choose another output file")
    return True


def _settle(name: str, directory_fd: int, data: bytes, mode: int) -> bool | None:
    """Let a file with the right bytes be, but readable by those whom `mode` lets read it.

    Returns:
        Whether its mode was changed; None if the file has to be replaced.
    """
    try:
        with os.fdopen(os.open(name, READ_FLAGS, dir_fd=directory_fd), "rb") as file:
            found = os.fstat(file.fileno())
            if found.st_size != len(data) or file.read(len(data) + 1) != data:
                return None
            if found.st_mode & mode & 0o444 == mode & 0o444:
                return False
            os.fchmod(file.fileno(), stat.S_IMODE(found.st_mode) | mode & 0o444)
            return True
    except OSError:
        return None  # not readable, or another's: replacing it says what is wrong, if anything is


def _replace(name: str, directory_fd: int, data: bytes, mode: int) -> None:
    temporary = f".{name}.{os.urandom(8).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=directory_fd), "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(temporary, name, src_dir_fd=directory_fd, dst_dir_fd=directory_fd)
    except BaseException:  # KeyboardInterrupt too
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory_fd)
        raise
    _sync_directory(directory_fd)


def _sync_directory(directory_fd: int) -> None:
    try:
        os.fsync(directory_fd)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
