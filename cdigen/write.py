"""Writes a file so that a reader finds the old one or the new one, whole, whatever happens in between.

The bytes go to a temporary file in the same directory, named `.<name>.<random>.tmp`: no engine reads it, they
read `*.yaml` and `*.json`. Then fsync, rename, fsync of the directory (rename(2), fsync(2)).

A writer has a lock on its temporary file, which its owner alone can open, and gives it back by its end, however that
comes. So a temporary file that can be locked is one of a writer that was killed. Nobody waits for a lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

from cdigen.errors import FileError, one_line
from cdigen.walk import UnfitPathError, open_place, reopen, sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cdigen.walk import Place

FILE_MODE = 0o644

READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""To open a file that may be anything, or be replaced just now: opening a pipe would wait for its other end."""

TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{16}\.tmp", re.DOTALL)
"""The name of the file to which the bytes of the file `group(1)` go first; it is left there if the writer is killed."""

_TRIES = 100
"""How often something is begun again because others were faster."""

# flock(2) and open(2) say so on file systems that have no locks, some network ones.
_NO_LOCKS = {errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EBADF, errno.EINVAL}

# By errno; 0 is any other.
_ADVICE_TO_WRITE = {
    0: "choose another output file",
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
    **_ADVICE_TO_WRITE,
    0: "remove it by hand",
    errno.EACCES: "run as root",
    errno.EROFS: "make its file system writable",
    errno.ENOTDIR: "a part of the path is a file",
    errno.EBUSY: "it is a mount point; unmount it first",
}
_ADVICE = {"write": _ADVICE_TO_WRITE, "remove": _ADVICE_TO_REMOVE}


class Owner(NamedTuple):
    """The numbers of a file's user and group."""

    uid: int
    gid: int


def write_file(
    path: str | os.PathLike[str],
    data: bytes,
    *,
    mode: int = FILE_MODE,
    root: str | None = None,
) -> bool:
    """Make `data` the content of the file at `path`, atomically and durably.

    A symbolic link is followed and stays, if `cdigen.walk` follows it. Missing directories are made. A file that has
    these bytes already is left alone, time stamps too; only its mode is put right if not everyone can read it whom
    `mode` lets read it.

    Args:
        path: the file.
        data: its content.
        mode: its permission bits, whatever the umask; for all to read, as engines of other users need it. Those that
            are no permission (set-user-ID, set-group-ID, sticky) are not handed on.
        root: see `cdigen.walk.open_place`.

    Returns:
        True if the file or its mode was changed.

    Raises:
        FileError: nothing was changed: the path cannot be written or is not a regular file. The exception is an
            error after the rename (a failing disk): the new file is there.
    """
    shown = os.fspath(path)
    with refusing("write", shown), open_place(shown, root=root, make=True) as place:
        return _write(place, data, mode, None)


def write_at(place: Place, data: bytes, *, mode: int = FILE_MODE, owner: Owner | None = None) -> bool:
    """Make `data` the content of the file at a place that is open; see `write_file`.

    Args:
        place: where; a link is not followed, and refused.
        data: the content.
        mode: the permission bits.
        owner: whose the file is to be; None for this process's own.
    """
    with refusing("write", place.path):
        return _write(place, data, mode, owner)


def check_directory(path: str) -> None:
    """Check that the directory of the file at `path` is there, for a caller who does not want it made.

    Raises:
        FileError: it is not.
    """
    directory = os.path.dirname(path)
    try:
        os.lstat(directory or ".")
    except FileNotFoundError as error:
        raise FileError(
            f"cannot write {one_line(path)}: there is no directory {one_line(directory)}",
            hint="make it, or add --create-dirs",
            subject=directory,
            code="no-such-directory",
        ) from error
    except (OSError, ValueError):  # whoever writes there says why it cannot be
        return


def read_head(path: str, size: int, *, root: str | None = None) -> bytes | None:
    """Return the first bytes of a regular file, links followed; None if it is none, or cannot be read.

    Args:
        path: the file.
        size: how many bytes at most.
        root: see `cdigen.walk.open_place`.
    """
    try:
        with open_place(path, root=root) as place:
            found = place.lstat()
            if found is None or not stat.S_ISREG(found.st_mode):  # the driver of a device must not notice us
                return None
            with open(_open(place), "rb") as file:
                return file.read(size)
    except (OSError, UnfitPathError):
        return None


def remove_file(
    path: str | os.PathLike[str],
    may_remove: Callable[[bytes], bool],
    *,
    head_bytes: int = 512,
    root: str | None = None,
) -> Literal["removed", "absent", "left"]:
    """Remove the file at `path` durably if it begins as one that may be removed.

    Args:
        path: the file.
        may_remove: tells of its first bytes whether it may be removed.
        head_bytes: how many of these there are at most.
        root: see `cdigen.walk.open_place`.

    Returns:
        "removed"; "absent" if there was nothing; "left" if it may not be removed, or is no regular file: a symbolic
        link is none.

    Raises:
        FileError: it may not be read or removed. It is still there, unless only the disk failed after that.
    """
    shown = os.fspath(path)
    with refusing("remove", shown):
        try:
            with open_place(shown, root=root, follow=False) as place:
                return _remove(place, may_remove, head_bytes, is_part=False)
        except FileNotFoundError:
            return "absent"


def remove_at(
    place: Place, may_remove: Callable[[bytes], bool], *, head_bytes: int = 512, is_part: bool = False
) -> Literal["removed", "absent", "left"]:
    """Remove the file at a place that is open; see `remove_file`.

    Args:
        place: where.
        may_remove: tells of the first bytes.
        head_bytes: how many of these there are at most.
        is_part: it is one that a writer may be at work on (`TEMPORARY`), and is left if it may.
    """
    with refusing("remove", place.path):
        try:
            return _remove(place, may_remove, head_bytes, is_part=is_part)
        except FileNotFoundError:
            return "absent"


@contextmanager
def refusing(verb: Literal["write", "remove"], path: str) -> Iterator[None]:
    """Turn what keeps the file at `path` from being written or removed into the FileError that says so."""
    try:
        yield
    except UnfitPathError as error:
        raise FileError(
            f"cannot {verb} {one_line(path)}: {one_line(error.reason)}",
            hint=error.hint,
            subject=path,
            code="unfit-output",
        ) from error
    except OSError as error:
        raise FileError(
            f"cannot {verb} {one_line(path)}: {os.strerror(error.errno) if error.errno else error}",
            hint=_ADVICE[verb].get(error.errno or 0, _ADVICE[verb][0]),
            subject=path,
            code=f"cannot-{verb}",
        ) from error


def _write(place: Place, data: bytes, mode: int, owner: Owner | None) -> bool:
    with reopen(place.directory) as directory:
        _remove_litter(place.name, directory, owner)
        if _is_regular(place):
            settled = _settle(place, data, mode, owner)
            if settled is not None:
                return settled
        _replace(place.name, directory, data, stat.S_IMODE(mode) & 0o777, owner)
        return True


def _remove_litter(name: str, directory: int, owner: Owner | None) -> None:
    """Remove the temporary files of killed writers of ours, or of `owner`'s files."""
    whose = {os.geteuid(), *(() if owner is None else (owner.uid,))}
    for other in os.listdir(directory):
        temporary = TEMPORARY.fullmatch(other)
        if not temporary or temporary[1] != name:
            continue
        with suppress(OSError):  # it harms nobody: not worth failing for, as on a read-only file system
            found = os.stat(other, dir_fd=directory, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode) or found.st_uid not in whose or found.st_nlink > 1:
                continue
            fd = _open_abandoned(other, directory)
            if fd is not None:
                try:
                    os.unlink(other, dir_fd=directory)
                finally:
                    os.close(fd)


def _open_abandoned(name: str, directory: int) -> int | None:
    """Open and lock a temporary file on which no writer is at work any more; None if one may be."""
    # For writing too, which a lock takes on some network file systems.
    fd = os.open(name, READ_FLAGS | os.O_RDWR, dir_fd=directory)
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
    except OSError as error:
        if error.errno not in _NO_LOCKS and not isinstance(error, BlockingIOError):
            os.close(fd)
            raise
    os.close(fd)
    return None


def _open(place: Place) -> int:
    return os.open(place.name, READ_FLAGS, dir_fd=place.directory)


def _is_regular(place: Place) -> bool:
    """Tell if there is a file already; refuse what is there but is not one."""
    found = place.lstat()
    if found is None:
        return False
    if stat.S_ISDIR(found.st_mode):
        raise UnfitPathError("it is a directory", "name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise UnfitPathError("it is not a regular file", "choose another output file")
    return True


def _settle(place: Place, data: bytes, mode: int, owner: Owner | None) -> bool | None:
    """Let a file with the right bytes be, but readable by those whom `mode` lets read it.

    Returns:
        Whether its mode was changed; None if the file has to be replaced.
    """
    try:
        with os.fdopen(_open(place), "rb") as file:
            found = os.fstat(file.fileno())
            if not _may_stay(found, owner):
                return None
            if found.st_size != len(data) or file.read(len(data) + 1) != data:
                return None
            if found.st_mode & mode & 0o444 == mode & 0o444:
                return False
            if found.st_nlink > 1:
                return None  # by another name it may be somebody's who lets few read it
            os.fchmod(file.fileno(), stat.S_IMODE(found.st_mode) | mode & 0o444)
            return True
    except OSError:
        return None  # not readable, or another's: replacing it says what is wrong, if anything is


def _may_stay(found: os.stat_result, owner: Owner | None) -> bool:
    """Tell whether a file is whose it is to be: what is a stranger's, he can change after root has seen it.

    It has no set-user-ID, set-group-ID or sticky bit either, which no file of ours has.
    """
    if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) > 0o777:
        return False
    return os.geteuid() != 0 or found.st_uid in (0, 0 if owner is None else owner.uid)


def _replace(name: str, directory: int, data: bytes, mode: int, owner: Owner | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    for _ in range(_TRIES):
        temporary = f".{name}.{os.urandom(8).hex()}.tmp"
        try:
            with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=directory), "wb") as file:
                if not _lock(file.fileno()):
                    continue  # before it was locked, another took it for a killed writer's
                file.write(data)
                file.flush()
                if owner is not None:
                    os.fchown(file.fileno(), *owner)  # before fchmod, which lets others read it
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
                # Before it is closed: whoever can lock it takes its temporary name away.
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:  # KeyboardInterrupt too
            with suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
            raise
        sync_directory(directory)
        return
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _lock(fd: int) -> bool:
    """Lock a new file, where that can be had; False if somebody has removed it, or is about to."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return os.fstat(fd).st_nlink > 0


def _remove(
    place: Place, may_remove: Callable[[bytes], bool], head_bytes: int, *, is_part: bool
) -> Literal["removed", "left"]:
    with reopen(place.directory) as directory:
        for _ in range(_TRIES):
            if not stat.S_ISREG(os.stat(place.name, dir_fd=directory, follow_symlinks=False).st_mode):
                return "left"
            fd = (
                _open_abandoned(place.name, directory) if is_part else os.open(place.name, READ_FLAGS, dir_fd=directory)
            )
            if fd is None:
                return "left"
            try:
                if not may_remove(os.read(fd, head_bytes)):
                    return "left"
                if not _is_at(fd, place):
                    continue  # a writer was faster: another file is to be judged
                os.unlink(place.name, dir_fd=directory)
            finally:
                os.close(fd)
            sync_directory(directory)
            return "removed"
    return "left"


def _is_at(fd: int, place: Place) -> bool:
    found, now = os.fstat(fd), place.lstat()
    return now is not None and (found.st_dev, found.st_ino) == (now.st_dev, now.st_ino)
