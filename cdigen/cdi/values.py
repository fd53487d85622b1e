"""Finds values in a document of any shape, each with the path that leads to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]
"""Keys and array positions from the root of a document to a value."""

EDITS: tuple[Path, ...] = (("containerEdits",), ("devices", "*", "containerEdits"))
"""The places where a spec may have container edits."""


def find_values(document: object, pattern: Path) -> Iterator[tuple[Path, object]]:
    """Yield the values that `pattern` matches, with their paths, in document order.

    The items of an array that stands in several places, as aliases of YAML make it, are told in the first of them:
    otherwise a small document would have a million values.

    Args:
        document: any value; where it does not have the shape that the pattern asks for, nothing matches.
        pattern: keys from the root; `*` is every item of an array.
    """
    found: list[tuple[Path, object]] = [((), document)]
    for step in pattern:
        below: list[tuple[Path, object]] = []
        seen: set[int] = set()
        for path, value in found:
            if step == "*":
                if isinstance(value, list) and id(value) not in seen:
                    seen.add(id(value))
                    below += [((*path, position), item) for position, item in enumerate(value)]
            elif isinstance(value, dict) and step in value:
                below.append(((*path, step), value[step]))
        found = below
    yield from found


def find_in_edits(document: object, pattern: Path) -> Iterator[tuple[Path, object]]:
    """Yield the values that `pattern` matches in the spec's own edits, then in each device's."""
    for edits in EDITS:
        yield from find_values(document, (*edits, *pattern))


def find_texts(document: object) -> Iterator[tuple[Path, str]]:
    """Yield every string of the document, keys too (at their own place), without recursion; each object once."""
    rest: list[tuple[Path, object]] = [((), document)]
    seen: set[int] = set()
    while rest:
        path, value = rest.pop()
        if isinstance(value, str):
            yield path, value
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list):
            rest += [((*path, position), item) for position, item in enumerate(value)]
        elif isinstance(value, dict):
            for key, item in value.items():
                yield (*path, str(key)), str(key)
                rest.append(((*path, str(key)), item))
