"""Small text files of unknown origin: bounded, UTF-8, and JSON where it is JSON."""

from __future__ import annotations

from cdigen.errors import ParseError

_MAX_SIZE = 1 << 20  # the largest that is read here, a driver's manifest, has some 20 kB


def decode_text(data: bytes) -> str:
    """Return the text of a whole file.

    Raises:
        ParseError: there is nothing but blanks, more than a mebibyte, or something that is not UTF-8.
    """
    if not data.strip():
        raise ParseError("empty file")
    if len(data) > _MAX_SIZE:
        raise ParseError(f"{len(data)} bytes, more than {_MAX_SIZE}")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ParseError(f"not UTF-8 at byte {error.start}") from error


def decode_json(data: bytes) -> object:
    """Return the value of a whole JSON file.

    Raises:
        ParseError: as for `decode_text`, or the text is not JSON.
    """
    from cdigen.parse.json_document import parse_json

    text = decode_text(data)
    try:
        return parse_json(text)
    except ParseError as error:
        raise ParseError(f"not JSON: {error}") from error
