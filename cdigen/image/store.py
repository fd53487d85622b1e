"""The pieces that an image is kept in: files of a directory, or members of an archive."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from cdigen.errors import ParseError, one_line
from cdigen.image.layer import clean_path
from cdigen.image.stream import FileStream, Part, decompress, is_compressed
from cdigen.image.tar import TarReader

if TYPE_CHECKING:
    from typing import BinaryIO

    from cdigen.image.stream import Budget, Stream

_MAX_JSON = 4 << 20  # manifests and configurations have some kilobytes; the OCI distribution spec asks for 4 MiB
_MAX_ALL_JSON = 16 << 20
_MAX_PIECES = 10_000
_MAX_PASSES = 8  # of a compressed archive: its table, two indexes, the manifest, the configuration, the layers
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Store(ABC):
    """Named pieces. Names are relative paths."""

    _json_left = _MAX_ALL_JSON

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Return the size of a piece; None if it is not there.

        Raises:
            OSError: it cannot be looked at.
        """

    @abstractmethod
    def open(self, name: str) -> Stream:
        """Return the bytes of a piece that is there. Only the stream that was opened last may be read.

        Raises:
            ParseError: the archive is damaged.
            OSError: it cannot be read.
        """

    @abstractmethod
    def place(self, name: str) -> int:
        """Return where a piece lies: it is cheapest to read pieces in this order."""

    def read_json(self, name: str) -> object:
        """Return the value of a JSON piece.

        Raises:
            ParseError: it is not there, too large, or not JSON.
            OSError: it cannot be read.
        """
        from cdigen.parse.document import parse_document

        size = self.size(name)
        if size is None:
            raise ParseError(f"{one_line(name)} is missing")
        if size > _MAX_JSON:
            raise ParseError(f"{one_line(name)}: {size} bytes, more than {_MAX_JSON}")
        self._json_left -= size
        if self._json_left < 0:
            raise ParseError(f"more than {_MAX_ALL_JSON >> 20} MiB of manifests and configurations")
        try:
            return parse_document(self.open(name).read(size), is_json=True)
        except ParseError as error:
            raise ParseError(f"{one_line(name)}: {error}") from error


class DirectoryStore(Store):
    """The files of a directory, which is opened once. No link below it is followed."""

    def __init__(self, directory: str, budget: Budget) -> None:
        """Open `directory`; what is read of its files counts in `budget`.

        Raises:
            OSError: it cannot be opened.
        """
        self._budget = budget
        self._directory = os.open(directory, _DIRECTORY_FLAGS & ~os.O_NOFOLLOW)
        self._file: BinaryIO | None = None

    def size(self, name: str) -> int | None:
        """Return the size of a regular file; None if it is not there."""
        try:
            above, last = self._above(name)
        except (FileNotFoundError, NotADirectoryError):  # a link in the way is none either
            return None
        try:
            status = os.stat(last, dir_fd=above, follow_symlinks=False)
        except FileNotFoundError:
            return None
        finally:
            os.close(above)
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def open(self, name: str) -> Stream:
        """Return the bytes of a file."""
        self._close_file()
        above, last = self._above(name)
        try:
            self._file = open(os.open(last, _FLAGS, dir_fd=above), "rb")  # noqa: SIM115 - see close
        except OSError as error:
            error.filename = name
            raise
        finally:
            os.close(above)
        if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            raise ParseError(f"{one_line(name)} is no regular file any more")
        return FileStream(self._file, budget=self._budget)

    def _above(self, name: str) -> tuple[int, str]:
        """Return a descriptor of the directory that holds a file, which is the caller's, and the file's last name."""
        *directories, last = name.split("/")
        at = os.dup(self._directory)
        for directory in directories:
            try:
                below = os.open(directory, _DIRECTORY_FLAGS, dir_fd=at)
            except OSError as error:
                error.filename = name
                raise
            finally:
                os.close(at)
            at = below
        return at, last

    def place(self, name: str) -> int:
        """Return 0: a file is as cheap as another."""
        del name
        return 0

    def close(self) -> None:
        """Close the directory, and the file that was opened last."""
        self._close_file()
        os.close(self._directory)

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class ArchiveStore(Store):
    """The members of a tar archive, compressed or not."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        """Read the table of contents of `file`.

        Raises:
            ParseError: no tar archive, truncated, or damaged.
            OSError: it cannot be read.
        """
        self._budget = budget
        self._passes = 0
        self._file = file
        self._is_plain = not is_compressed(FileStream(file))
        self._members: dict[str, tuple[int, int]] = {}
        self._twice: set[str] = set()
        links: dict[str, str] = {}
        for count, member in enumerate(TarReader(self._whole())):
            if count >= _MAX_PIECES:
                raise ParseError(f"more than {_MAX_PIECES} members, which no archive of an image has")
            name = clean_path(member.name)
            if member.kind == "link" or member.is_hard_link:
                # docker writes a layer that it has written already as a link to it.
                base = name.rpartition("/")[0] if member.kind == "link" else ""
                links[name] = os.path.normpath(os.path.join("/", base, member.target)).lstrip("/")
            elif member.kind == "file":
                if name in self._members:
                    self._twice.add(name)
                self._members[name] = (member.start, member.size)
        for name, target in links.items():
            if target in self._members:
                self._members[name] = self._members[target]
        self._stream: Stream | None = None
        self._at = 0
        self._part: Part | None = None

    def size(self, name: str) -> int | None:
        """Return the size of a member; None if it is not there.

        Raises:
            ParseError: there are two of that name.
        """
        if name in self._twice:
            raise ParseError(f"two members named {one_line(name)}, and engines may differ in which they take")
        return self._members[name][1] if name in self._members else None

    def _whole(self) -> Stream:
        """Return the archive from its beginning.

        What is read again and again does not make it larger: many manifests in the wrong order would.
        """
        self._passes += 1
        budget = self._budget if self._passes <= _MAX_PASSES else None
        return decompress(FileStream(self._file, budget=budget), self._budget)

    def place(self, name: str) -> int:
        """Return where the member begins."""
        return self._members[name][0]

    def open(self, name: str) -> Stream:
        """Return the bytes of a member."""
        start, size = self._members[name]
        if self._is_plain:
            return FileStream(self._file, start, size, budget=self._budget)
        if self._part is not None:
            self._at -= self._part.left  # it was counted as read to its end
        if self._stream is None or self._at > start:
            self._stream, self._at = self._whole(), 0
        if not self._stream.skip(start - self._at):
            raise ParseError("truncated")
        self._at = start + size
        self._part = Part(self._stream, size)
        return self._part
