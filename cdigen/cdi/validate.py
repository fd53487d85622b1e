"""Every rule that a spec breaks: the schema's, and those that a schema cannot say."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from cdigen.cdi.engine_form import MAX_ANNOTATION_BYTES
from cdigen.cdi.values import find_in_edits, find_texts, find_values
from cdigen.cdi.version import find_version_violations
from cdigen.schema import Violation, first_violations, format_place, preview, schema_violations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cdigen.cdi.values import Path

_VARIABLE = "variable"

_UNIQUE_IN_EDITS = (
    # Of two entries for one path or variable, engines silently take the later: nobody wrote that on purpose.
    ("deviceNodes", "path", "path"),
    ("mounts", "containerPath", "containerPath"),
    ("env", None, _VARIABLE),
    # Engines reject the file.
    ("netDevices", "hostInterfaceName", "hostInterfaceName"),
    ("netDevices", "name", "name"),
)
"""Arrays of edits, the key of their items, and what of that may stand once."""


def find_violations(
    document: object, *, hook_free: bool = False, misread: Iterable[Violation] = ()
) -> tuple[Violation, ...]:
    """Return every rule of the specification that `document` breaks, each with its place.

    Args:
        document: what a parser returned, of any shape.
        hook_free: also forbid hooks, our own profile: a spec that runs no program in a container's start.
        misread: what engines do not read in it as its author does, which is told with the rest.

    Returns:
        See `first_violations`; empty if every engine that knows the declared version accepts the document.
    """
    return first_violations(
        chain(
            misread,
            schema_violations(document, "cdi"),
            find_version_violations(document),
            _find_repeats(document),
            _find_large_annotations(document),
            _find_broken_text(document),
            _find_hooks(document) if hook_free else (),
        )
    )


def _find_repeats(document: object) -> Iterator[Violation]:
    yield from _find_repeated("device name", find_values(document, ("devices", "*", "name")))
    judged: set[int] = set()
    for path, edits in find_in_edits(document, ()):
        for array, key, what in _UNIQUE_IN_EDITS:
            # What aliases of YAML name is one object in several places.
            items = edits.get(array) if isinstance(edits, dict) else None
            if id(items) not in judged:
                found = find_values(edits, (array, "*") if key is None else (array, "*", key))
                yield from _find_repeated(what, ((path + below, value) for below, value in found))
        judged.update(map(id, edits.values()) if isinstance(edits, dict) else ())


def _find_repeated(what: str, values: Iterable[tuple[Path, object]]) -> Iterator[Violation]:
    first: dict[str, Path] = {}
    for path, value in values:
        if not isinstance(value, str) or (what == _VARIABLE and "=" not in value):
            continue
        name = value.partition("=")[0] if what == _VARIABLE else value
        earlier = first.setdefault(name, path)
        if earlier != path:
            message = f"{what} {preview(name)} is already at {format_place(earlier)}"
            yield Violation(place=format_place(path), message=message)


def _find_large_annotations(document: object) -> Iterator[Violation]:
    judged: set[int] = set()
    for pattern in (("annotations",), ("devices", "*", "annotations")):
        for path, value in find_values(document, pattern):
            if id(value) in judged:
                continue
            judged.add(id(value))
            size = sum(len(text.encode("utf-8", "replace")) for _, text in find_texts(value))
            if size > MAX_ANNOTATION_BYTES:
                message = f"has {size} bytes of keys and values, the most is {MAX_ANNOTATION_BYTES}"
                yield Violation(place=format_place(path), message=message)


def _find_broken_text(document: object) -> Iterator[Violation]:
    for path, text in find_texts(document):
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            yield Violation(place=format_place(path), message=f"{preview(text)} cannot be written as UTF-8")


def _find_hooks(document: object) -> Iterator[Violation]:
    for path, _ in find_in_edits(document, ("hooks",)):
        yield Violation(place=format_place(path), message="hooks are not allowed in a hook-free spec")
