"""The dynamic loader's cache, `/etc/ld.so.cache`, as ldconfig writes it.

Source: glibc's sysdeps/generic/dl-cache.h (both headers, both kinds of entry, byte order, alignment),
sysdeps/generic/ldconfig.h (the flags), elf/dl-cache.c (how the loader picks a layout). There are three:

* old (`ldconfig -c old`): the only one before glibc 2.2. String offsets count from the end of the entries.
* new (`ldconfig -c new`, the default since 2.32): string offsets count from the start of the new header.
* combined (`ldconfig -c compat`): an old cache whose string area starts with a new one, aligned. The loader
  takes the new one, and so does this parser.

Numbers are in the byte order of the machine that wrote the file. New headers since 2.33 name it; for the
others the order is taken in which the table fits into the file.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from cdigen.errors import ParseError
from cdigen.records import Record

_OLD_MAGIC = b"ld.so-1.7.0"
_NEW_MAGIC = b"glibc-ld.so.cache1.1"

# Limits far above any real cache (some 5,000 entries of 100 bytes on a full desktop).
_MAX_ENTRIES = 65536
_MAX_STRING = 4096  # PATH_MAX
_MAX_TEXT = 16 << 20


class _Layout(NamedTuple):
    """The structures in one byte order."""

    old_header: Struct  # magic, padding, number of entries
    old_entry: Struct  # flags, name, path
    new_header: Struct  # magic, number of entries, bytes of strings, flags, padding, extension offset, unused
    new_entry: Struct  # flags, name, path, unused, hwcap


_LITTLE = _Layout(Struct("<11sxI"), Struct("<iII"), Struct("<20sIIB3xI12x"), Struct("<iIIIQ"))
_BIG = _Layout(Struct(">11sxI"), Struct(">iII"), Struct(">20sIIB3xI12x"), Struct(">iIIIQ"))
_LAYOUTS_OF_FLAG = {0: (_LITTLE, _BIG), 2: (_LITTLE,), 3: (_BIG,)}  # 1: the writer says that it is invalid


class CacheEntry(Record):
    """One library that the loader finds through the cache.

    Attributes:
        name: the name by which it is asked for: a SONAME, or a file name for development links.
        path: the absolute path to the file, in the root that the cache was made for.
        flags: the kind of library (low byte; 3 is an ELF library for glibc 2) and its ABI (next byte).
        hwcap: 0, or what the processor must have for the entry to count, as the loader encodes it.
    """

    name: str
    path: str
    flags: int
    hwcap: int


def parse_ldcache(data: bytes) -> tuple[CacheEntry, ...]:
    """Read all entries of a cache.

    Args:
        data: the whole file.

    Returns:
        The entries in the cache's order, which is the loader's: for one name, the first that fits wins.

    Raises:
        ParseError: the bytes are not a cache, or not all of one.
    """
    if data.startswith(_NEW_MAGIC):
        return _new_entries(data, 0)
    if not data.startswith(_OLD_MAGIC):
        raise ParseError("not a cache of the dynamic loader" if data else "empty file")
    if len(data) < _LITTLE.old_header.size:
        raise ParseError(f"truncated: the header takes {_LITTLE.old_header.size} bytes, the file has {len(data)}")
    return _old_entries(data)


def _old_entries(data: bytes) -> tuple[CacheEntry, ...]:
    ends: list[int] = []
    for layout in (_LITTLE, _BIG):
        start = layout.old_header.size
        _, count = layout.old_header.unpack_from(data)
        end = start + count * layout.old_entry.size
        ends.append(end)
        if end <= len(data):
            # dl-cache.h's ALIGN_CACHE: to 8 bytes, on i386 to 4.
            for new_start in ((end + 7) & ~7, end):
                if data.startswith(_NEW_MAGIC, new_start):
                    return _new_entries(data, new_start)
            _check_count(count)
            strings = _Strings(data, end)
            table = layout.old_entry.iter_unpack(data[start:end])
            return tuple(strings.entry(flags, name, path, 0) for flags, name, path in table)
    raise ParseError(f"truncated: the table ends at byte {min(ends)}, the file at byte {len(data)}")


def _new_entries(data: bytes, origin: int) -> tuple[CacheEntry, ...]:
    start = origin + _LITTLE.new_header.size
    if start > len(data):
        raise ParseError(f"truncated: the header ends at byte {start}, the file at byte {len(data)}")
    order = data[origin + 28] & 3
    if order not in _LAYOUTS_OF_FLAG:
        raise ParseError("marked as invalid by the program that wrote it")
    ends: list[int] = []
    for layout in _LAYOUTS_OF_FLAG[order]:
        _, count, strings_size, _, extension = layout.new_header.unpack_from(data, origin)
        end = start + count * layout.new_entry.size
        # The extension directory (not read here) starts with two numbers of four bytes.
        whole = max(end + strings_size, extension + 8 if extension else 0)
        ends.append(whole)
        if whole <= len(data):
            _check_count(count)
            strings = _Strings(data, origin)
            table = layout.new_entry.iter_unpack(data[start:end])
            return tuple(strings.entry(flags, name, path, hwcap) for flags, name, path, _, hwcap in table)
    raise ParseError(f"truncated: the table and its strings end at byte {min(ends)}, the file at byte {len(data)}")


def _check_count(count: int) -> None:
    if count > _MAX_ENTRIES:
        raise ParseError(f"{count} entries, more than {_MAX_ENTRIES}")


class _Strings:
    """The strings that entries point to, counted from `origin`."""

    def __init__(self, data: bytes, origin: int) -> None:
        self._data = data
        self._origin = origin
        self._left = _MAX_TEXT

    def entry(self, flags: int, name: int, path: int, hwcap: int) -> CacheEntry:
        name_text, path_text = self._text(name), self._text(path)
        if not name_text or "/" in name_text:
            raise ParseError(f"a library name that is not a file name: {name_text!r}")
        if not path_text.startswith("/"):
            raise ParseError(f"a path that is not absolute: {path_text!r}")
        return CacheEntry(name=name_text, path=path_text, flags=flags, hwcap=hwcap)

    def _text(self, offset: int) -> str:
        start = self._origin + offset
        end = self._data.find(b"\0", start, start + _MAX_STRING + 1)
        if end < 0:
            where = "longer than 4096 bytes" if start + _MAX_STRING < len(self._data) else "beyond the end"
            raise ParseError(f"the string at byte {start} of {len(self._data)} is {where}")
        self._left -= end - start
        if self._left < 0:
            raise ParseError(f"more than {_MAX_TEXT} bytes of names and paths")
        try:
            return self._data[start:end].decode()
        except UnicodeDecodeError as error:
            raise ParseError(f"a name that is not UTF-8: {self._data[start:end][:64]!r}") from error
