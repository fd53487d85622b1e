"""Bytes that are read forwards: a part of a file, or what is decompressed from one."""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from cdigen.errors import ParseError
from cdigen.image.limits import MAX_RATIO, MAX_UNPACKED, MEMBER_COST, MIN_UNPACKED

if TYPE_CHECKING:
    from typing import BinaryIO

_CHUNK = 1 << 18
_SLICE = 1 << 14
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"

TRUNCATED = "truncated"


class Stream(ABC):
    """Bytes from a beginning to an end."""

    @abstractmethod
    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end.

        Raises:
            ParseError: they cannot be decompressed.
            OSError: they cannot be read.
        """

    def skip(self, size: int) -> bool:
        """Pass over `size` bytes; False if there are not so many. Errors as of `read`."""
        while size > 0:
            data = self.read(min(size, _CHUNK))
            if not data:
                return False
            size -= len(data)
        return True


class Budget:
    """How many bytes may still be decompressed from one image."""

    def __init__(self) -> None:
        self._left = MAX_UNPACKED
        self._earned = MIN_UNPACKED

    def earn(self, size: int) -> None:
        """Count `size` bytes that were read from the disk."""
        self._earned += size * MAX_RATIO

    def take(self, size: int) -> None:
        """Count `size` bytes that were decompressed, at whatever level.

        Raises:
            ParseError: that is more than there may be.
        """
        self._left -= size
        self._earned -= size
        if self._left < 0:
            raise ParseError(f"more than {MAX_UNPACKED >> 30} GiB when decompressed")
        if self._earned < 0:
            raise ParseError(f"more than {MAX_RATIO} times as large when decompressed, which no image is")


class FileStream(Stream):
    """A part of a file that can seek."""

    def __init__(
        self, file: BinaryIO, start: int = 0, size: int | None = None, *, budget: Budget | None = None
    ) -> None:
        """Read `size` bytes of `file` from byte `start`, by default to its end; `budget` earns what is read."""
        self._budget = budget
        self._file = file
        self._at = start
        self._end = file.seek(0, os.SEEK_END) if size is None else start + size

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        self._file.seek(self._at)
        data = self._file.read(max(0, min(size, self._end - self._at)))
        self._at += len(data)
        if self._budget is not None:
            self._budget.earn(len(data))
        return data

    def skip(self, size: int) -> bool:
        """Pass over `size` bytes; False if there are not so many."""
        self._at += size
        return self._at <= self._end


class GzipStream(Stream):
    """What is decompressed from a gzip file of one or more members (RFC 1952)."""

    def __init__(self, source: Stream, budget: Budget) -> None:
        self._source = source
        self._budget = budget
        self._inflate = zlib.decompressobj(wbits=31)
        self._input = b""
        self._at = 0
        self._ready = b""

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        parts = []
        while size > 0:
            if not self._ready and not self._fill():
                break
            part, self._ready = self._ready[:size], self._ready[size:]
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _fill(self) -> bool:
        """Decompress some more, at most a chunk; False at the end."""
        while not self._ready:
            if self._at >= len(self._input):
                self._input, self._at = self._source.read(_CHUNK), 0
                if not self._input:
                    if self._inflate.eof:
                        return False
                    raise ParseError(TRUNCATED)
            if self._inflate.eof:
                # gzip(1) passes over zeros after a member.
                if not self._input[self._at] and not self._input[self._at :].strip(b"\0"):
                    return False
                self._inflate = zlib.decompressobj(wbits=31)
                self._budget.take(MEMBER_COST)
            # In slices, as a member hands back what is after it: of many short ones each would copy all the others.
            data = self._input[self._at : self._at + _SLICE]
            try:
                self._ready = self._inflate.decompress(data, _CHUNK)
            except zlib.error as error:
                raise ParseError(f"damaged gzip data ({error})") from error
            self._at += len(data) - len(self._inflate.unconsumed_tail) - len(self._inflate.unused_data)
            self._budget.take(len(self._ready))
        return True


class _ZstdStream(Stream):
    """What is decompressed from a zstd file, by the standard library of Python 3.14 or later."""

    def __init__(self, source: Stream, budget: Budget) -> None:
        from importlib import import_module

        try:
            zstd = import_module("compression.zstd")
        except ImportError as error:
            raise ParseError("compressed with zstd, which needs Python 3.14 or later") from error
        self._error: type[Exception] = zstd.ZstdError
        self._file: BinaryIO = zstd.ZstdFile(_AsFile(source))
        self._budget = budget

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        try:
            data = self._file.read(size)
        except EOFError as error:
            raise ParseError(TRUNCATED) from error
        except self._error as error:
            raise ParseError(f"damaged zstd data ({error})") from error
        self._budget.take(len(data))
        return data


class _AsFile:
    """As much of a file as a decompressor asks for."""

    def __init__(self, source: Stream) -> None:
        self._source = source

    def read(self, size: int = -1) -> bytes:
        return self._source.read(_CHUNK if size < 0 else size)


class Part(Stream):
    """The next bytes of another stream, up to a number of them."""

    def __init__(self, source: Stream, size: int) -> None:
        self._source = source
        self._left = size

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        data = self._source.read(min(size, self._left))
        self._left -= len(data)
        return data

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return self._left


class _Peeked(Stream):
    """A stream of which some bytes have been read already, which come again."""

    def __init__(self, read_already: bytes, source: Stream) -> None:
        self._first = read_already
        self._source = source

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        part, self._first = self._first[:size], self._first[size:]
        return part + self._source.read(size - len(part)) if len(part) < size else part

    def skip(self, size: int) -> bool:
        """Pass over `size` bytes; False if there are not so many."""
        passed = min(size, len(self._first))
        self._first = self._first[passed:]
        return self._source.skip(size - passed)


def is_compressed(source: Stream) -> bool:
    """Tell whether the bytes of `source` begin as compressed ones do."""
    magic = source.read(4)
    return magic.startswith(_GZIP) or magic == _ZSTD


def decompress(source: Stream, budget: Budget) -> Stream:
    """Return the bytes of `source`, decompressed if they begin as compressed ones do.

    Raises:
        ParseError: compressed in a way that cannot be read here.
    """
    magic = source.read(4)
    whole = _Peeked(magic, source)
    if magic.startswith(_GZIP):
        return GzipStream(whole, budget)
    return _ZstdStream(whole, budget) if magic == _ZSTD else whole
