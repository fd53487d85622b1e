"""The entries of a spec, each by what it is and its name in the container, so that two specs can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class EntryKey(NamedTuple):
    """Which entry of a spec it is.

    Attributes:
        title: what it is, in words, with the device that it belongs to.
        name: its name in the container; "" for what has none.
        what: what it is: "env", "mount", "node", or the key of the spec; "" for the device itself.
        device: the name of the device that it belongs to; None for what every container gets.
    """

    title: str
    name: str
    what: str
    device: str | None

    @property
    def text(self) -> str:
        """The title and the name."""
        return f"{self.title} {self.name}" if self.name else self.title


Entries = dict[EntryKey, str]
"""The value of each entry, as text."""


def entries_of(document: Mapping[str, object]) -> Entries:
    """Return the entries of a valid spec; order inside it, and what has no meaning to an engine, do not count."""
    return dict(_entries(document))


def find_differing(old: Entries, new: Entries) -> list[EntryKey]:
    """Return the keys of the entries that only one has, or that differ, sorted."""
    return [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def _key(what: str, name: str = "", *, device: str | None = None) -> EntryKey:
    title = ", ".join(filter(None, ("" if device is None else f"device {device}", what)))
    return EntryKey(title, name, what, device)


def _entries(document: Mapping[str, object]) -> Iterator[tuple[EntryKey, str]]:
    for key, value in document.items():
        if key == "containerEdits":
            yield from _edits(value, None)
        elif key == "devices":
            for device in cast("list[dict[str, object]]", value):
                name = cast("str", device["name"])
                yield _key("", device=name), "offered"
                yield from _edits(device["containerEdits"], name)
                for other in device.keys() - {"name", "containerEdits"}:
                    yield _key(other, device=name), _text(device[other])
        else:
            yield _key(key), _text(value)


def _edits(edits: object, device: str | None) -> Iterator[tuple[EntryKey, str]]:
    for key, value in cast("dict[str, object]", edits).items():
        if key == "env":
            for variable in cast("list[str]", value):
                name, _, text = variable.partition("=")
                yield _key("env", name, device=device), text
        elif key in ("mounts", "deviceNodes"):
            what, name_key = ("mount", "containerPath") if key == "mounts" else ("node", "path")
            for item in cast("list[dict[str, object]]", value):
                rest = {k: item[k] for k in sorted(item) if k != name_key}
                if isinstance(mode := rest.get("fileMode"), int):
                    rest["fileMode"] = f"{mode:04o}"
                yield _key(what, cast("str", item[name_key]), device=device), _text(rest)
        else:
            yield _key(key, device=device), _text(value)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)
    return str(value)
