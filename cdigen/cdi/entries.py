"""The entries of a spec, each by what it is and its name in the container, so that two specs can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Entries = dict[tuple[str, str], str]
"""What an entry is and its name in the container, and its value as text."""


def entries_of(document: Mapping[str, object]) -> Entries:
    """Return the entries of a valid spec; order inside it, and what has no meaning to an engine, do not count."""
    return dict(_entries(document))


def _entries(document: Mapping[str, object]) -> Iterator[tuple[tuple[str, str], str]]:
    for key, value in document.items():
        if key == "containerEdits":
            yield from _edits("", value)
        elif key == "devices":
            for device in cast("list[dict[str, object]]", value):
                name = f"device {device['name']}"
                yield (name, ""), "offered"
                yield from _edits(f"{name}, ", device["containerEdits"])
                for other in device.keys() - {"name", "containerEdits"}:
                    yield (f"{name}, {other}", ""), _text(device[other])
        else:
            yield (key, ""), _text(value)


def _edits(prefix: str, edits: object) -> Iterator[tuple[tuple[str, str], str]]:
    for key, value in cast("dict[str, object]", edits).items():
        if key == "env":
            for variable in cast("list[str]", value):
                name, _, text = variable.partition("=")
                yield (f"{prefix}env", name), text
        elif key in ("mounts", "deviceNodes"):
            what, name_key = ("mount", "containerPath") if key == "mounts" else ("node", "path")
            for item in cast("list[dict[str, object]]", value):
                rest = {k: item[k] for k in sorted(item) if k != name_key}
                if isinstance(mode := rest.get("fileMode"), int):
                    rest["fileMode"] = f"{mode:04o}"
                yield (f"{prefix}{what}", cast("str", item[name_key])), _text(rest)
        else:
            yield (f"{prefix}{key}", ""), _text(value)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)
    return str(value)
