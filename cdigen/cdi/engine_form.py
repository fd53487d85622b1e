"""A spec of anyone's as the engines' library holds it: its types, what is unsaid left out, its rules.

The library (github.com/cncf-tags/container-device-interface, release 1.1.0) decodes into structs (specs-go/config.go)
by the rules of Go's encoding/json: a key is a field's name in whatever case, an unknown one is an error, null leaves a
field as it is. Before that, sigs.k8s.io/yaml makes text of a number or a boolean where the field is text. Then the
library checks (pkg/cdi/spec.go, device.go, container-edits.go, pkg/parser/parser.go, specs-go/version.go). Our schema
is stricter: it is for whoever writes a spec.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Literal, cast

from cdigen.cdi.version import KNOWN_VERSIONS, find_version_violations
from cdigen.records import Record
from cdigen.schema import MOST_VIOLATIONS, Violation, first_violations, format_place, preview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cdigen.cdi.values import Path

Spec = dict[str, object]
"""A spec in normal form: `devices` and each one's `containerEdits` are there, and nothing that is empty and may be."""

MAX_ANNOTATION_BYTES = 256 * 1024
"""The most that the keys and values of one set of annotations may have together, as in Kubernetes."""

_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_QUALIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]")
_DEVICE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?")
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_ANNOTATION = re.compile(
    rf"(?=(?:[^/]{{1,253}}/)?[^/]{{1,63}}$)(?:{_LABEL}(?:\.{_LABEL})*/)?[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?"
)
_MOST_CLOS = 4095


class _Number(Record, kw_only=False):
    """A whole number within bounds; one that is unsaid is left out if `is_pointer`, else it is 0, which is the same."""

    least: int
    most: int
    is_pointer: bool = True


class _List(Record, kw_only=False):
    item: _Type


class _Map(Record, kw_only=False):
    item: _Type


class _Struct(Record, kw_only=False):
    """Fields by name. A null item of a list is none if `is_pointer`, else one without anything said."""

    fields: Mapping[str, _Type]
    is_pointer: bool = True


_Type = _Number | _List | _Map | _Struct | Literal["text", "flag"]

_INT64 = _Number(-(1 << 63), (1 << 63) - 1, is_pointer=False)
_INT = _Number(-(1 << 63), (1 << 63) - 1)
_UINT32 = _Number(0, (1 << 32) - 1)
_TEXTS = _List("text")

_EDITS = _Struct(
    {
        "env": _TEXTS,
        "deviceNodes": _List(
            _Struct(
                {
                    "path": "text",
                    "hostPath": "text",
                    "type": "text",
                    "major": _INT64,
                    "minor": _INT64,
                    "fileMode": _UINT32,
                    "permissions": "text",
                    "uid": _UINT32,
                    "gid": _UINT32,
                }
            )
        ),
        "netDevices": _List(_Struct({"hostInterfaceName": "text", "name": "text"})),
        "hooks": _List(
            _Struct({"hookName": "text", "path": "text", "args": _TEXTS, "env": _TEXTS, "timeout": _INT}),
        ),
        "mounts": _List(_Struct({"hostPath": "text", "containerPath": "text", "options": _TEXTS, "type": "text"})),
        "intelRdt": _Struct(
            {
                "closID": "text",
                "l3CacheSchema": "text",
                "memBwSchema": "text",
                "schemata": _TEXTS,
                "enableMonitoring": "flag",
            }
        ),
        "additionalGids": _List(_UINT32),
    },
    is_pointer=False,
)
_DEVICE = _Struct({"name": "text", "annotations": _Map("text"), "containerEdits": _EDITS}, is_pointer=False)
_SPEC = _Struct(
    {
        "cdiVersion": "text",
        "kind": "text",
        "annotations": _Map("text"),
        "devices": _List(_DEVICE),
        "containerEdits": _EDITS,
    }
)


def read_as_engines(
    document: object, format_scalar: Callable[[object], str]
) -> tuple[Spec | None, tuple[Violation, ...]]:
    """Return a document as engines hold it, and why they would not take it.

    Args:
        document: what `cdigen.parse.engine_document` returned, of any shape.
        format_scalar: its function of that name.

    Returns:
        The spec, as much of it as there is, in normal form, None where there is no object at all; and the violations as
        `first_violations` returns them, empty if engines take it. What stands in several places of the document is one
        object in the spec too, and is judged in the first of them.
    """
    decoder = _Decoder(format_scalar)
    if not isinstance(document, dict):
        return None, (Violation(place="$", message=f"{preview(document)} is not an object"),)
    spec = decoder.to_struct(document, _SPEC, (), {})
    spec["cdiVersion"] = str(spec.get("cdiVersion", "")).removeprefix("v")
    # What has no value because one could not be made breaks no other rule.
    unmade = {one.place for one in decoder.unmade}
    around = {outer for place in unmade for outer in _outer_places(place)}
    more = (
        one for one in _find_violations(spec) if one.place not in around and unmade.isdisjoint(_outer_places(one.place))
    )
    return spec, first_violations(chain(decoder.unmade, decoder.unknown, more))


def is_kind(text: str) -> bool:
    """Tell whether `text` is a kind for engines: vendor/class. One character for one of them crashes their library."""
    return all(map(_QUALIFIER.fullmatch, text.partition("/")[::2]))


def _outer_places(place: str) -> list[str]:
    """Return a place and those that it is in."""
    return [place[:end] for end, character in enumerate(place) if character in ".["] + [place]


class _Decoder:
    """Makes values of the types of fields.

    Attributes:
        unmade: values that could not be made, the first of them.
        unknown: keys that are no field's, the first of them.
    """

    def __init__(self, format_scalar: Callable[[object], str]) -> None:
        self._format = format_scalar
        self.unmade: list[Violation] = []
        self.unknown: list[Violation] = []
        self._made: dict[tuple[int, int], object] = {}

    def _refuse(self, path: Path, value: object, wanted: str) -> None:
        if len(self.unmade) <= MOST_VIOLATIONS:
            self.unmade.append(Violation(place=format_place(path), message=f"{preview(value)} is not {wanted}"))

    def to_value(self, value: object, wanted: _Type, path: Path, before: object) -> object:
        """Return a value of the type `wanted`; None if it is null, or nothing that is worth to be kept.

        Args:
            value: what the document has.
            wanted: the type of its field.
            path: its place.
            before: what the field has already, by the same name in another case.
        """
        if before or not isinstance(value, list | dict):
            return self._make(value, wanted, path, before)
        key = (id(value), id(wanted))
        if key not in self._made:
            self._made[key] = self._make(value, wanted, path, before)
        return self._made[key]

    def _make(self, value: object, wanted: _Type, path: Path, before: object) -> object:
        if isinstance(wanted, _Struct):
            if isinstance(value, dict):
                return self.to_struct(value, wanted, path, cast("Spec", before or {}))
            if value is None:
                return None if wanted.is_pointer else before
            self._refuse(path, value, "an object")
        elif isinstance(wanted, _List):
            if isinstance(value, list):
                return self._to_list(value, wanted, path)
            if value is not None:
                self._refuse(path, value, "an array")
        elif isinstance(wanted, _Map):
            if isinstance(value, dict):
                made = {key: self.to_value(item, wanted.item, (*path, key), "") for key, item in value.items()}
                found = {key: _zero_of(wanted.item) if item is None else item for key, item in made.items()}
                return {**cast("Spec", before or {}), **found}
            if value is not None:
                self._refuse(path, value, "an object")
        elif isinstance(wanted, _Number):
            return self._to_number(value, wanted, path, before)
        elif value is None:
            return before
        elif wanted == "flag":
            if isinstance(value, bool):
                return value
            self._refuse(path, value, "a boolean")
        elif isinstance(value, list | dict):
            self._refuse(path, value, "a string")
        else:
            return value if isinstance(value, str) else self._format(value)
        return None

    def to_struct(self, value: Spec, wanted: _Struct, path: Path, before: Spec) -> Spec:
        """Return an object with the fields that say something."""
        found = dict(before)
        # Of two keys that differ in case alone, that which is later in the order of bytes counts.
        for key in sorted(value, key=str.encode):
            name = _find_field(key, wanted.fields)
            if name is None:
                if len(self.unknown) <= MOST_VIOLATIONS:
                    self.unknown.append(Violation(place=format_place((*path, key)), message="unknown key"))
                continue
            made = self.to_value(value[key], wanted.fields[name], (*path, key), found.get(name))
            found.pop(name, None)
            if _says_something(made, wanted.fields[name]):
                found[name] = made
        if wanted is _DEVICE:
            found.setdefault("containerEdits", {})
        return {name: found[name] for name in wanted.fields if name in found}

    def _to_list(self, values: list[object], wanted: _List, path: Path) -> list[object]:
        made = []
        for position, value in enumerate(values):
            here = (*path, position)
            if value is None and isinstance(wanted.item, _Struct) and wanted.item.is_pointer:
                self._refuse(here, value, "an object")
            item = self.to_value(value, wanted.item, here, None)
            made.append(_zero_of(wanted.item) if item is None else item)
        return made

    def _to_number(self, value: object, wanted: _Number, path: Path, before: object) -> object:
        if value is None:
            return None if wanted.is_pointer and before != 0 else before
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if not isinstance(number, int) or isinstance(number, bool):
            self._refuse(path, value, "an integer")
        elif not wanted.least <= number <= wanted.most:
            self._refuse(path, value, f"a number from {wanted.least} to {wanted.most}")
        else:
            return number
        return None


def _zero_of(kind: _Type) -> object:
    """Return the item of a list or a map of which nothing is said."""
    if isinstance(kind, _Struct):
        return {"containerEdits": {}} if kind is _DEVICE else {}
    return 0 if isinstance(kind, _Number) else ""


def _find_field(key: str, fields: Mapping[str, _Type]) -> str | None:
    if key in fields:
        return key
    folded = key.replace("\u017f", "s").lower()  # the long s; Go folds it, and the sign for kelvin, as lower() does
    return next((name for name in fields if name.lower() == folded), None)


def _says_something(value: object, kind: _Type) -> bool:
    """Tell whether a field is not as it is where nothing is said."""
    if value is None:
        return False
    if isinstance(kind, _Number):
        return kind.is_pointer or value != 0
    return bool(value) or (isinstance(kind, _Struct) and kind.is_pointer)


class _Judged:
    """What was judged already, as it stands in another place too."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def take(self, holder: Spec, key: str) -> list[Spec]:
        """Return what is at `key`; an empty array if nothing is, or it was taken before."""
        values = cast("list[Spec]", holder.get(key, []))
        if id(values) in self._seen or not values:
            return []
        self._seen.add(id(values))
        return values


def _find_violations(spec: Spec) -> Iterator[Violation]:
    judged = _Judged()
    version = cast("str", spec["cdiVersion"])
    yield from _find_unsaid({key: value for key, value in spec.items() if value}, ("cdiVersion", "kind"), ())
    if version and version not in KNOWN_VERSIONS:
        message = f"{preview(version)} is not one of {', '.join(map(preview, KNOWN_VERSIONS))}"
        yield Violation(place="$.cdiVersion", message=message)
    yield from find_version_violations(spec)
    kind = str(spec.get("kind", ""))
    if kind and not is_kind(kind):
        message = (
            f"{preview(kind)} is not a kind: vendor/class, each of two or more letters, digits, '_', '.' and '-',"
            " starting with a letter and ending with a letter or digit"
        )
        yield Violation(place="$.kind", message=message)
    yield from _find_in_annotations(spec, (), judged)
    yield from _find_in_edits(cast("Spec", spec.get("containerEdits", {})), ("containerEdits",), judged)
    devices = cast("list[Spec]", spec.get("devices", []))
    if not devices:
        yield Violation(place="$.devices", message="must not be empty")
    names: set[str] = set()
    for position, device in enumerate(devices):
        path: Path = ("devices", position)
        name = str(device.get("name", ""))
        if not _DEVICE_NAME.fullmatch(name):
            yield Violation(place=format_place((*path, "name")), message=f"{preview(name)} is not a device name")
        if name in names:
            yield Violation(place=format_place((*path, "name")), message=f"device name {preview(name)} stands twice")
        names.add(name)
        yield from _find_in_annotations(device, path, judged)
        edits = cast("Spec", device["containerEdits"])
        if not edits:
            yield Violation(place=format_place((*path, "containerEdits")), message="must not be empty")
        yield from _find_in_edits(edits, (*path, "containerEdits"), judged)


def _find_in_annotations(holder: Spec, path: Path, judged: _Judged) -> Iterator[Violation]:
    annotations = cast("dict[str, str]", judged.take(holder, "annotations") or {})
    place = (*path, "annotations")
    for key in annotations:
        if not _ANNOTATION.fullmatch(key.lower()):
            yield Violation(place=format_place((*place, key)), message=f"{preview(key)} is not an annotation key")
    size = sum(len(text.encode("utf-8", "replace")) for item in annotations.items() for text in item)
    if size > MAX_ANNOTATION_BYTES:
        message = f"has {size} bytes of keys and values, the most is {MAX_ANNOTATION_BYTES}"
        yield Violation(place=format_place(place), message=message)


def _find_in_edits(edits: Spec, path: Path, judged: _Judged) -> Iterator[Violation]:
    yield from _find_in_variables(edits, path, judged)
    for position, node in enumerate(judged.take(edits, "deviceNodes")):
        here: Path = (*path, "deviceNodes", position)
        yield from _find_unsaid(node, ("path",), here)
        if node.get("type", "c") not in ("b", "c", "u", "p"):
            message = f"{preview(node['type'])} is not one of 'b', 'c', 'u', 'p'"
            yield Violation(place=format_place((*here, "type")), message=message)
        for key in ("major", "minor"):
            if cast("int", node.get(key, 0)) < 0:
                yield Violation(place=format_place((*here, key)), message=f"{node[key]} is negative")
        permissions = str(node.get("permissions", ""))
        if permissions.strip("rwm"):
            message = f"{preview(permissions)} is not a set of permissions: r, w and m"
            yield Violation(place=format_place((*here, "permissions")), message=message)
    yield from _find_in_net_devices(judged.take(edits, "netDevices"), (*path, "netDevices"))
    for position, hook in enumerate(judged.take(edits, "hooks")):
        here = (*path, "hooks", position)
        if hook.get("hookName") not in _HOOKS:
            message = f"{preview(hook.get('hookName', ''))} is not one of {', '.join(map(preview, _HOOKS))}"
            yield Violation(place=format_place((*here, "hookName")), message=message)
        yield from _find_unsaid(hook, ("path",), here)
        yield from _find_in_variables(hook, here, judged)
    for position, mount in enumerate(judged.take(edits, "mounts")):
        yield from _find_unsaid(mount, ("hostPath", "containerPath"), (*path, "mounts", position))
    name = str(cast("Spec", edits.get("intelRdt", {})).get("closID", ""))
    if name != "/" and (len(name.encode()) > _MOST_CLOS or name in (".", "..") or {"/", "\n"} & {*name}):
        message = f"{preview(name)} is not a class of service"
        yield Violation(place=format_place((*path, "intelRdt", "closID")), message=message)


def _find_in_variables(holder: Spec, path: Path, judged: _Judged) -> Iterator[Violation]:
    for position, variable in enumerate(cast("list[str]", judged.take(holder, "env"))):
        if variable.find("=") <= 0:
            message = f"{preview(variable)} is not an environment entry: NAME=VALUE"
            yield Violation(place=format_place((*path, "env", position)), message=message)


def _find_unsaid(holder: Spec, keys: tuple[str, ...], path: Path) -> Iterator[Violation]:
    for key in keys:
        if key not in holder:
            yield Violation(place=format_place(path), message=f"key {preview(key)} is missing or empty")


def _find_in_net_devices(devices: list[Spec], path: Path) -> Iterator[Violation]:
    for key in ("hostInterfaceName", "name"):
        seen: set[object] = set()
        for position, device in enumerate(devices):
            yield from _find_unsaid(device, (key,), (*path, position))
            if device.get(key) in seen:
                message = f"{key} {preview(device[key])} stands twice"
                yield Violation(place=format_place((*path, position, key)), message=message)
            if key in device:
                seen.add(device[key])
