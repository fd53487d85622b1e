"""A root directory as one layer."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from cdigen.errors import FileError, ParseError, one_line
from cdigen.host.host import kind_of
from cdigen.image.limits import MAX_DEPTH, MAX_ENTRIES
from cdigen.image.tree import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.image.content import Keeper

_NOT_OF_AN_IMAGE = ("/dev", "/proc", "/sys")  # an engine mounts them
_MEANWHILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ESTALE)
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_directory(directory: str, keeper: Keeper) -> Iterator[Change]:
    """Return everything below `directory`, a directory before what is in it. No link is followed.

    Args:
        directory: where this process sees the root.
        keeper: says whose content is kept.

    Raises:
        ParseError: more than an image may have.
        FileError: something has become of another kind, or is gone, while it was read.
        OSError: something in it cannot be read; `filename` is its path.
    """
    made = 0
    # Each directory is opened from the one above it, so that nobody can lead us out by putting a link in its place.
    top = os.open(directory, _DIRECTORY_FLAGS & ~os.O_NOFOLLOW)
    open_directories = [("", top, _sorted_names(directory, top))]
    try:
        while open_directories:
            path, fd, names = open_directories[-1]
            if not names:
                open_directories.pop()
                os.close(fd)
                continue
            name = names.pop()
            where = f"{path}/{name}"
            try:
                status = os.lstat(name, dir_fd=fd)
            except FileNotFoundError:
                continue  # removed meanwhile
            except OSError as error:
                error.filename = directory.rstrip("/") + where
                raise
            made += 1
            if made > MAX_ENTRIES:
                raise ParseError(f"more than {MAX_ENTRIES} files and directories")
            place = directory.rstrip("/") + where
            try:
                change = _change(where, name, fd, status, keeper)
            except OSError as error:
                if error.errno in _MEANWHILE:
                    raise _changed(place) from error
                error.filename = place
                raise
            yield change
            if stat.S_ISDIR(status.st_mode) and where not in _NOT_OF_AN_IMAGE:
                if len(open_directories) >= MAX_DEPTH:
                    raise ParseError(f"directories more than {MAX_DEPTH} levels deep")
                try:
                    below = os.open(name, _DIRECTORY_FLAGS, dir_fd=fd)
                except OSError as error:
                    if error.errno in _MEANWHILE:
                        raise _changed(place) from error
                    error.filename = place
                    raise
                open_directories.append((where, below, []))
                open_directories[-1][2].extend(_sorted_names(place, below))
    finally:
        for _, fd, _ in open_directories:
            os.close(fd)


def _sorted_names(place: str, fd: int) -> list[str]:
    try:
        return sorted(os.listdir(fd), reverse=True)
    except OSError as error:
        error.filename = place
        raise


def _changed(place: str) -> FileError:
    return FileError(
        f"{one_line(place)} was changed while it was read",
        hint="lint the image when nothing writes to it",
        subject=place,
        code="changed-meanwhile",
    )


def _change(where: str, name: str, fd: int, status: os.stat_result, keeper: Keeper) -> Change:
    kind = kind_of(status.st_mode)
    target = os.readlink(name, dir_fd=fd) if kind == "link" else ""
    content = None
    if kind == "file" and keeper.wants(where, status.st_size):
        opened = os.open(name, _FILE_FLAGS, dir_fd=fd)
        with open(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            content = file.read(status.st_size)
    return Change(path=where[1:], kind=kind, size=status.st_size, target=target, content=content)
