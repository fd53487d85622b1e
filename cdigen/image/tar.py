"""A reader of tar archives that holds one header in memory and trusts none.

Python's tarfile keeps what a header asks it to keep, whatever the size, and follows sparse maps; this one reads
names, kinds, sizes and link targets, in the forms of ustar, GNU tar (long names, base-256 numbers) and pax.

Sources: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; the GNU tar manual, "Basic Tar
Format" and "Storing Sparse Files".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import ParseError
from cdigen.host.view import MAX_PATH
from cdigen.image.stream import TRUNCATED
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.host.host import Kind
    from cdigen.image.stream import Stream

BLOCK = 512
_ZEROS = bytes(BLOCK)
_ASCII = bytes(range(128))
_MAX_EXTENSION = 1 << 20  # a pax header; those of real layers have file capabilities and some hundred bytes
_MAX_EXTENSIONS = 16  # headers of one entry; there are two with long names, two of pax, and blocks of a sparse map
_MAX_SPARSE_BLOCKS = 100_000  # 21 pieces each
_MAX_RECORDS = 100  # of one pax header
_MAX_SIZE = 1 << 50

_KINDS: dict[bytes, Kind] = {b"2": "link", b"3": "char", b"4": "block", b"5": "dir", b"6": "fifo"}


class Member(Record, kw_only=False):
    """An entry of an archive.

    Attributes:
        name: its path as it is written.
        kind: the file type; "file" for a hard link too.
        size: the bytes of content.
        target: of a symbolic or hard link, what it names.
        is_hard_link: whether it is another name of `target`.
        start: where the content begins in the archive.
    """

    name: str
    kind: Kind
    size: int = 0
    target: str = ""
    is_hard_link: bool = False
    start: int = 0


class TarReader:
    """The entries of a tar archive in their order."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._at = 0
        self._unread = 0

    def __iter__(self) -> Iterator[Member]:
        """Return the entries one by one; the content of each can be read until the next is asked for.

        Raises:
            ParseError: no tar archive, truncated, or damaged.
        """
        extension: dict[str, str] = {}
        extensions = 0
        while (header := self._header()) is not None:
            kind, size = header[156:157], self._size(header[124:136])
            if kind in b"xgLK" and kind:
                extensions += 1
                if extensions > _MAX_EXTENSIONS:
                    raise ParseError(f"more than {_MAX_EXTENSIONS} headers of one entry at byte {self._at - BLOCK}")
                if size > _MAX_EXTENSION:
                    raise ParseError(f"a header of {size} bytes at byte {self._at - BLOCK}")
                self._unread = size + -size % BLOCK
                data = self.read(size)
                if kind == b"x":
                    extension |= _parse_pax(data)
                elif kind != b"g":  # what is said for all entries is of no use here
                    extension["path" if kind == b"L" else "linkpath"] = _text(data)
                continue
            if kind == b"S":
                self._skip_sparse_map(header)
            yield self._member(header, kind, size, extension)
            extension = {}
            extensions = 0

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes of the current entry's content, which it must have."""
        data = self._take(size)
        self._unread -= size
        return data

    def _take(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise ParseError(TRUNCATED)
        self._at += size
        return data

    def _header(self) -> bytes | None:
        """Return the next header; None at the end."""
        if not self._stream.skip(self._unread):
            raise ParseError(TRUNCATED)
        self._at += self._unread
        self._unread = 0
        block = self._stream.read(BLOCK)
        self._at += len(block)
        if not block or block == _ZEROS:
            return None
        if len(block) < BLOCK:
            raise ParseError(TRUNCATED if self._at > BLOCK else "not a tar archive")
        digits = block[148:156].strip(b"\0 ")
        wanted = int(digits, 8) if digits and not digits.strip(b"01234567") else -1
        # As if the eight bytes of the sum were blanks; some wrote the sum of signed bytes.
        total = sum(block) - sum(block[148:156]) + 8 * 32
        if wanted != total:
            total -= 256 * len((block[:148] + block[156:]).translate(None, _ASCII))
        if wanted != total:
            raise ParseError("not a tar archive" if self._at == BLOCK else f"damaged at byte {self._at - BLOCK}")
        return block

    def _size(self, field: bytes) -> int:
        """Return a number in octal digits or, as GNU tar writes large ones, in base 256."""
        if field[0] & 0x80:
            value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
            if field[0] & 0x40 or value > _MAX_SIZE:
                raise ParseError(f"a size below zero or beyond any file system at byte {self._at - BLOCK}")
            return value
        digits = field.strip(b"\0 ")
        if digits.strip(b"01234567"):
            raise ParseError(f"a size that is not an octal number at byte {self._at - BLOCK}")
        return int(digits or b"0", 8)

    def _skip_sparse_map(self, header: bytes) -> None:
        more = header[482:483] not in (b"\0", b"0")
        blocks = 0
        while more:
            blocks += 1
            if blocks > _MAX_SPARSE_BLOCKS:
                raise ParseError(f"a sparse map of more than {_MAX_SPARSE_BLOCKS} blocks")
            block = self._take(BLOCK)
            more = block[504:505] not in (b"\0", b"0")

    def _member(self, header: bytes, kind: bytes, size: int, extension: dict[str, str]) -> Member:
        name = extension.get("GNU.sparse.name") or extension.get("path") or ""
        if not name:
            name = _text(header[:100])
            if header[257:263] == b"ustar\0" and (prefix := _text(header[345:500])):
                name = f"{prefix}/{name}"
        target = extension.get("linkpath") or _text(header[157:257])
        if max(len(text.encode(errors="surrogateescape")) for text in (name, target)) > MAX_PATH:
            raise ParseError(f"a name of more than {MAX_PATH} bytes at byte {self._at - BLOCK}")
        if kind in _KINDS:
            return Member(name=name, kind=_KINDS[kind], target=target if kind == b"2" else "")
        if kind == b"1":
            return Member(name=name, kind="file", target=target, is_hard_link=True)
        if kind in b"0\0" and name.endswith("/"):
            return Member(name=name, kind="dir")  # tar before POSIX
        if "size" in extension:
            size = _decimal(extension["size"])
        self._unread = size + -size % BLOCK
        return Member(name=name, kind="file", size=size, start=self._at)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="surrogateescape")


def _decimal(digits: str) -> int:
    if not digits.isascii() or not digits.isdigit() or len(digits) > 16 or int(digits) > _MAX_SIZE:
        raise ParseError("a size that is not a number, or beyond any file system")
    return int(digits)


def _parse_pax(data: bytes) -> dict[str, str]:
    """Return the records of a pax header, each `<length> <key>=<value>` and a line feed."""
    records = {}
    at = count = 0
    while at < len(data):
        count += 1
        if count > _MAX_RECORDS:
            raise ParseError(f"a pax header of more than {_MAX_RECORDS} records")
        space = data.find(b" ", at, at + 9)
        digits = data[at:space] if space > at else b""
        end = at + int(digits) if digits.isdigit() else 0
        if end <= space + 1 or end > len(data) or data[end - 1] != 10:
            raise ParseError("a damaged pax header")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals:
            raise ParseError("a damaged pax header")
        if key in (b"path", b"linkpath", b"size", b"GNU.sparse.name"):
            records[key.decode()] = value.decode(errors="surrogateescape").partition("\0")[0]
        at = end
    return records
