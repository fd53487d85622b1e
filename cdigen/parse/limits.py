"""What a YAML or JSON document may not go beyond, and the words for where it does."""

from __future__ import annotations

from cdigen.errors import ParseError, one_line

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024

MAX_DEPTH = 64
"""The most collections that may stand in one another."""

MAX_NODES = 1_000_000
"""The most values that a document may have; an alias counts as much as what it names."""

_FEW_VALUES, _MANY_VALUES = 400_000, 4_000_000


def most_aliased(values: int) -> float:
    """Return which part of a document's values aliases may stand for; go-yaml v2, decode.go, allowedAliasRatio."""
    beyond = min(max(values - _FEW_VALUES, 0) / (_MANY_VALUES - _FEW_VALUES), 1)
    return 0.99 - 0.89 * beyond


MAX_NUMBER_LENGTH = 100
"""The most characters of a number: far more than 64 bits need, far fewer than cost time to convert."""

TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
TOO_MANY = f"more than {MAX_NODES} values"

_PREVIEW = 60  # characters of foreign text that a reason repeats


def decode_document(data: bytes) -> str:
    """Return the text of a document, without a byte order mark.

    Raises:
        ParseError: too large, not UTF-8, or with a NUL character.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise ParseError(f"larger than {MAX_DOCUMENT_BYTES >> 20} MiB, which no spec and no snapshot is")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ParseError(f"line {line}: not UTF-8 ({error.reason})") from error
    if "\0" in text:
        raise ParseError(f"{place_in(text, text.index(chr(0)))}: a NUL character")
    return text


def place_in(text: str, position: int) -> str:
    """Return the line and column of a position in `text`, both from 1, as a reason gives them."""
    line_start = text.rfind("\n", 0, position) + 1
    return format_line(text.count("\n", 0, position), position - line_start)


def format_line(line: int, column: int) -> str:
    """Return a line and column, both counted from 0, as a reason gives them."""
    return f"line {line + 1}, column {column + 1}"


def quote(text: str) -> str:
    """Return foreign text as a reason repeats it: in quotes, one line, cut if it is long."""
    return f"'{one_line(text if len(text) <= _PREVIEW else text[:_PREVIEW] + '…')}'"
