"""JSON as RFC 8259 has it, without what Python's reader adds to it or passes over."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from cdigen.errors import ParseError
from cdigen.parse.limits import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_NUMBER_LENGTH,
    TOO_DEEP,
    TOO_MANY,
    format_line,
    place_in,
    quote,
)


def parse_json(text: str) -> object:
    """Return the value of a JSON text; see `cdigen.parse.document.parse_document`.

    Raises:
        ParseError: not JSON, a key twice in one object, a number that is not finite or too long, half a
            character, or over a limit.
    """
    # Every value but the first stands after one of these. Counting them first bounds the memory it takes.
    if text.count(",") + text.count("[") + text.count("{") > MAX_NODES:
        raise ParseError(TOO_MANY)
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_to_object,
            parse_int=_to_int,
            parse_float=_to_float,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        where = format_line(error.lineno - 1, error.colno - 1)
        raise ParseError(f"{where}: {error.msg[:1].lower()}{error.msg[1:]}") from error
    except RecursionError as error:
        raise ParseError(TOO_DEEP) from error
    except _DuplicateKeyError as error:
        where = place_in(text, _find_duplicate_key(text))
        raise ParseError(f"{where}: duplicate key {quote(error.key)}") from error
    except _NumberError as error:
        where = place_in(text, _find_word(text, error.number))
        raise ParseError(f"{where}: {error.reason}: {quote(error.number)}") from error
    _check(value)
    return value


class _DuplicateKeyError(Exception):
    """A key stands twice in one object; the reader does not say where."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class _NumberError(Exception):
    """A number that is not taken; the reader does not say where it stands."""

    def __init__(self, number: str, reason: str) -> None:
        super().__init__(number)
        self.number = number
        self.reason = reason


def _to_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value: dict[str, object] = {}
    for key, item in pairs:
        if key in value:
            raise _DuplicateKeyError(key)
        value[key] = item
    return value


def _to_int(digits: str) -> int:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise _NumberError(digits, f"a number of {len(digits)} characters")
    return int(digits)


def _to_float(digits: str) -> float:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise _NumberError(digits, f"a number of {len(digits)} characters")
    value = float(digits)
    if value in {float("inf"), float("-inf")}:
        raise _NumberError(digits, "a number that is too large")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise _NumberError(name, "not a number in JSON")


def _check(value: object) -> None:
    """Refuse what the reader lets pass: deep nesting, and escapes that name half a character."""
    depth = 0
    level = [value]
    while level:
        below: list[object] = []
        for item in level:
            if isinstance(item, dict | list):
                if depth == MAX_DEPTH:
                    raise ParseError(TOO_DEEP)
                below += item.values() if isinstance(item, dict) else item
                below += item.keys() if isinstance(item, dict) else ()
            elif isinstance(item, str) and not item.isascii() and re.search("[\ud800-\udfff]", item):
                raise ParseError(f"an escape names half a character: {quote(item)}")
        depth, level = depth + 1, below


def _find_word(text: str, word: str) -> int:
    """Return the position of the first number or constant outside of strings that is `word`."""
    tokens = re.finditer(r'"(?:[^"\\]|\\.)*"|[-+.0-9A-Za-z]+', text)
    return next((token.start() for token in tokens if token.group() == word), 0)


def _find_duplicate_key(text: str) -> int:
    """Return the position of the first key that its object has already had.

    Only called on text that was read as JSON up to the object's end, so tokens are enough.
    """
    open_keys: list[set[str] | None] = []  # None for an array
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        mark = token.group()
        if mark in "[{":
            open_keys.append(set() if mark == "{" else None)
        elif mark in "]}":
            open_keys.pop()
        elif open_keys and open_keys[-1] is not None and re.compile(r"\s*:").match(text, token.end()):
            key: str = json.loads(mark)
            if key in open_keys[-1]:
                return token.start()
            open_keys[-1].add(key)
    return 0
