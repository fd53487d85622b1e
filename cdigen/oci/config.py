"""A document as an OCI runtime configuration: the parts that edits touch, and whether they have their shapes."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, cast

from cdigen.cdi.values import find_values
from cdigen.schema import Violation, first_violations, format_place, preview

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.cdi.values import Path

HOOK_NAMES = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")

_OBJECT, _ARRAY, _TEXT, _NUMBER = "an object", "an array", "a string", "an integer"

_SHAPES: tuple[tuple[Path, str], ...] = (
    ((), _OBJECT),
    (("ociVersion",), _TEXT),
    (("process",), _OBJECT),
    (("process", "env"), _ARRAY),
    (("process", "env", "*"), _TEXT),
    (("process", "user"), _OBJECT),
    (("process", "user", "uid"), _NUMBER),
    (("process", "user", "gid"), _NUMBER),
    (("process", "user", "additionalGids"), _ARRAY),
    (("process", "user", "additionalGids", "*"), _NUMBER),
    (("mounts",), _ARRAY),
    (("mounts", "*"), _OBJECT),
    (("mounts", "*", "destination"), _TEXT),
    (("hooks",), _OBJECT),
    *((("hooks", name), _ARRAY) for name in HOOK_NAMES),
    (("linux",), _OBJECT),
    (("linux", "devices"), _ARRAY),
    (("linux", "devices", "*"), _OBJECT),
    (("linux", "devices", "*", "path"), _TEXT),
    (("linux", "netDevices"), _OBJECT),
    (("linux", "resources"), _OBJECT),
    (("linux", "resources", "devices"), _ARRAY),
    (("linux", "resources", "devices", "*"), _OBJECT),
)
"""What stands where. The rest of a configuration is the runtime's to judge."""

_REQUIRED: tuple[tuple[Path, str], ...] = (
    ((), "ociVersion"),
    (("mounts", "*"), "destination"),
    (("linux", "devices", "*"), "path"),
)


def find_config_violations(document: object) -> tuple[Violation, ...]:
    """Return the places where `document` is not what an OCI runtime configuration has there; see `first_violations`.

    Only the parts that edits touch are looked at. `null` is as good as nothing where a key may be missing: Go programs
    write it for an empty list.
    """
    return first_violations(chain(_find_wrong_shapes(document), _find_missing(document), _find_wrong_version(document)))


def _find_wrong_shapes(document: object) -> Iterator[Violation]:
    for pattern, shape in _SHAPES:
        may_be_null = bool(pattern) and pattern[-1] != "*"
        for path, value in find_values(document, pattern):
            if not (may_be_null and value is None) and not _has_shape(value, shape):
                yield Violation(place=format_place(path), message=f"{preview(value)} is not {shape}")


def _has_shape(value: object, shape: str) -> bool:
    if shape == _NUMBER:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, {_OBJECT: dict, _ARRAY: list, _TEXT: str}[shape])


def _find_missing(document: object) -> Iterator[Violation]:
    for pattern, key in _REQUIRED:
        for path, value in find_values(document, pattern):
            if isinstance(value, dict) and value.get(key) is None:
                yield Violation(place=format_place(path), message=f"key {preview(key)} is missing")


def _find_wrong_version(document: object) -> Iterator[Violation]:
    for path, value in find_values(document, ("ociVersion",)):
        if isinstance(value, str) and not re.match(r"\d+\.\d+\.\d+", value, re.ASCII):
            yield Violation(place=format_place(path), message=f"{preview(value)} is not a version such as 1.0.2")


def take_object(holder: dict[str, object], *keys: str) -> dict[str, object]:
    """Return the object below `keys` of a valid configuration, made where there is none."""
    for key in keys:
        if holder.get(key) is None:
            holder[key] = {}
        holder = cast("dict[str, object]", holder[key])
    return holder


def take_array(holder: dict[str, object], key: str) -> list[object]:
    """Return the array at `key` of an object of a valid configuration, made where there is none."""
    if holder.get(key) is None:
        holder[key] = []
    return cast("list[object]", holder[key])
