"""Small text files of unknown origin: bounded, UTF-8, lines and numbers, and JSON where it is JSON."""

from __future__ import annotations

from cdigen.errors import ParseError

_MAX_SIZE = 1 << 20  # the largest that is read here, a driver's manifest, has some 20 kB
_MAX_KERNEL_TEXT = 64 << 10  # most of the kernel's fit a page or two
_MAX_NUMBER_DIGITS = 7  # a minor has 20 bits


def lines_of(data: bytes, limit: int = _MAX_KERNEL_TEXT) -> list[str]:
    """Return the lines of a text of the kernel's; what is not UTF-8 in it becomes U+FFFD.

    Args:
        data: the whole file.
        limit: bytes that such a file has at most.

    Raises:
        ParseError: there is nothing but blanks, or more than `limit`.
    """
    if not data.strip():
        raise ParseError("empty file")
    if len(data) > limit:
        raise ParseError(f"{len(data)} bytes, more than {limit}")
    # Split before decoding: str.splitlines would also split at control characters inside a name.
    return [line.decode(errors="replace") for line in data.split(b"\n")]


def is_number(text: str) -> bool:
    """Tell whether `text` is a number that a minor or a major can be, in decimal digits."""
    return text.isascii() and text.isdigit() and len(text) <= _MAX_NUMBER_DIGITS


def number_of(text: str, name: str) -> int:
    """Return the number in `text`.

    Args:
        text: the value.
        name: what it is the value of, for the message.

    Raises:
        ParseError: `text` is anything else than some decimal digits.
    """
    if not is_number(text):
        raise ParseError(f"{name} is not a number: {text[:120]!r}")
    return int(text)


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
