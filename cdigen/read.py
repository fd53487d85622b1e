"""The bytes of a document that a user names, or that was found where specs are.

What is at a path is read if it is a regular file. A pipe is read where whoever started us has opened it for us: as
standard input, or as one of the descriptors by which shells pass on the output of a command, as in
`cdigen validate <(command)`. Opening any other would wait for somebody to write to it.
"""

from __future__ import annotations

import os
import re
import select
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cdigen.errors import FileError, one_line
from cdigen.parse.limits import MAX_DOCUMENT_BYTES
from cdigen.walk import UnfitPathError, open_place

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})", re.ASCII)
"""The paths of our own descriptors, see proc(5). /dev/stdin is one too."""

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


def read_input(path: str, *, root: str | None = None) -> bytes:
    """Return the content of a document; "-" is standard input.

    No more is read than it takes for `parse_document` to say that it is too large.

    Args:
        path: the document.
        root: out of which no link leads; see `cdigen.walk.open_place`.

    Raises:
        FileError: it cannot be read, or is neither a regular file nor one of our own descriptors.
    """
    with refusing_to_read(path):
        stream = _find_stream(path) if root is None else None
        if stream is not None:
            return read_descriptor(stream)
        descriptor = open_regular(path) if root is None else _open_below(path, root)
        try:
            return read_descriptor(descriptor)
        finally:
            os.close(descriptor)


def is_descriptor(path: str) -> bool:
    """Tell whether a path is that of something that the caller has opened for us, "-" too."""
    return path in ("-", "/dev/stdin") or _DESCRIPTOR.fullmatch(path) is not None


@contextmanager
def refusing_to_read(path: str) -> Iterator[None]:
    """Turn what keeps the document at `path` from being read into the FileError that says so."""
    try:
        yield
    except UnfitPathError as error:
        raise FileError(
            f"cannot read {one_line(path)}: {error.reason}", hint=error.hint, subject=path, code="not-a-file"
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a NUL character in the path"
        raise FileError(
            f"cannot read {one_line(path)}: {reason}",
            hint="check the path" if isinstance(error, FileNotFoundError) else "name a file that you may read",
            subject=path,
            code="cannot-read",
        ) from error


def open_regular(path: str, *, directory: int | None = None) -> int:
    """Return a descriptor of a regular file.

    Args:
        path: the file.
        directory: in which `path` is a name, of no link; None for a path that may lead through links.

    Raises:
        UnfitPathError: it is none.
        OSError: it cannot be opened.
    """
    # Before as well: to open a device is not without effect.
    _check(os.stat(path, dir_fd=directory, follow_symlinks=directory is None).st_mode)
    no_link = 0 if directory is None else os.O_NOFOLLOW
    descriptor = os.open(path, _FLAGS | no_link, dir_fd=directory)
    try:
        _check(os.fstat(descriptor).st_mode)
    except UnfitPathError:
        os.close(descriptor)
        raise
    return descriptor


def _open_below(path: str, root: str) -> int:
    with open_place(path, root=root) as place:
        return open_regular(place.name, directory=place.directory)


def _find_stream(path: str) -> int | None:
    """Return the descriptor that is meant; None for what has to be opened, as a file that is open has to be anew."""
    if path == "-":
        return 0
    found = _DESCRIPTOR.fullmatch("/dev/fd/0" if path == "/dev/stdin" else path)
    if found is None:
        return None
    descriptor = int(found[1])
    # From its beginning, wherever whoever opened it has got to.
    return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor


def _check(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "not a regular file")
        raise UnfitPathError(f"it is {kind}", "name a regular file, or - for standard input")


def read_descriptor(descriptor: int) -> bytes:
    """Return what is left to read, a byte more than a document may have at most."""
    parts = []
    left = MAX_DOCUMENT_BYTES + 1
    while left:
        try:
            part = os.read(descriptor, min(left, 1 << 20))
        except BlockingIOError:  # whoever started us has made it so
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()
            continue
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
