"""The bytes of anyone's spec as engines read them, and where that is not what they say as YAML 1.2 or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.cdi.engine_form import read_as_engines
from cdigen.errors import ParseError
from cdigen.schema import Violation, format_place, preview

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.cdi.engine_form import Spec
    from cdigen.cdi.values import Path


def parse_spec(data: bytes) -> tuple[Spec | None, tuple[Violation, ...]]:
    """Return the spec in the bytes of a file, whatever its suffix, and why engines would not take it.

    Returns:
        See `read_as_engines`.

    Raises:
        ParseError: they cannot read it.
    """
    from cdigen.parse.engine_document import format_scalar, parse_as_engines  # which need yaml

    return read_as_engines(parse_as_engines(data), format_scalar)


def find_misreadings(data: bytes, document: object) -> Iterator[Violation]:
    """Yield what engines do not read in a document as its author does.

    Engines read YAML 1.1, also in a file of JSON: `y` is true, and what JSON says in two escapes is no character.

    Args:
        data: the bytes of the file.
        document: the value that `parse_document` returned of them.
    """
    from cdigen.parse.engine_document import parse_as_engines

    try:
        theirs = parse_as_engines(data)
    except ParseError as error:
        yield Violation(place="$", message=f"engines cannot read it: {error}")
        return
    yield from _compare(document, theirs)


def _compare(document: object, theirs: object) -> Iterator[Violation]:
    """Yield where two readings of the same bytes differ; of what stands in several places, the first."""
    seen: set[tuple[int, int]] = set()
    rest: list[tuple[Path, object, object]] = [((), document, theirs)]
    while rest:
        path, ours, other = rest.pop()
        if isinstance(ours, dict) and isinstance(other, dict) and len(ours) == len(other):
            if (id(ours), id(other)) in seen:
                continue
            seen.add((id(ours), id(other)))
            for (key, value), (other_key, other_value) in zip(ours.items(), other.items(), strict=True):
                if key != other_key:
                    message = f"engines read the key {preview(other_key)} here; put it in quotes"
                    yield Violation(place=format_place((*path, key)), message=message)
                rest.append(((*path, key), value, other_value))
        elif isinstance(ours, list) and isinstance(other, list) and len(ours) == len(other):
            if (id(ours), id(other)) in seen:
                continue
            seen.add((id(ours), id(other)))
            rest += [((*path, n), *both) for n, both in enumerate(zip(ours, other, strict=True))]
        elif type(ours) is not type(other) or ours != other:
            message = f"engines read {preview(other)} here, not {preview(ours)}{_how_to_write(ours, other)}"
            yield Violation(place=format_place(path), message=message)


def _how_to_write(text: object, other: object) -> str:
    if not isinstance(text, str):
        return ""  # a number that has too many digits
    return "; write its line breaks as escapes" if isinstance(other, str) else "; put it in quotes"
