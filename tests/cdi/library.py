"""The rules by which the CDI library takes a spec, release 1.1.0, each with where they stand in it.

github.com/cncf-tags/container-device-interface; written from its source, for the tests to compare `engine_form` with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cdigen.parse.engine_document import format_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Object = dict[str, object]

STRUCTS: dict[str, dict[str, str]] = {
    "Spec": {
        "cdiVersion": "string", "kind": "string", "annotations": "map", "devices": "[]Device",
        "containerEdits": "ContainerEdits",
    },
    "Device": {"name": "string", "annotations": "map", "containerEdits": "ContainerEdits"},
    "ContainerEdits": {
        "env": "[]string", "deviceNodes": "[]*DeviceNode", "netDevices": "[]*LinuxNetDevice", "hooks": "[]*Hook",
        "mounts": "[]*Mount", "intelRdt": "*IntelRdt", "additionalGids": "[]uint32",
    },
    "DeviceNode": {
        "path": "string", "hostPath": "string", "type": "string", "major": "int64", "minor": "int64",
        "fileMode": "uint32", "permissions": "string", "uid": "uint32", "gid": "uint32",
    },
    "LinuxNetDevice": {"hostInterfaceName": "string", "name": "string"},
    "Mount": {"hostPath": "string", "containerPath": "string", "options": "[]string", "type": "string"},
    "Hook": {"hookName": "string", "path": "string", "args": "[]string", "env": "[]string", "timeout": "int64"},
    "IntelRdt": {
        "closID": "string", "l3CacheSchema": "string", "memBwSchema": "string", "schemata": "[]string",
        "enableMonitoring": "bool",
    },
}  # fmt: skip
"""specs-go/config.go: the fields by their names in JSON, `*` where null is nothing at all."""

BOUNDS = {"int64": (-(1 << 63), (1 << 63) - 1), "uint32": (0, (1 << 32) - 1)}


class RefusedError(Exception):
    """The library does not take a document; says by which rule."""


def decode(value: object, kind: str, before: object = None) -> object:
    """Return a value as Go's encoding/json makes it with DisallowUnknownFields (parseSpec in pkg/cdi/spec.go).

    Before that, sigs.k8s.io/yaml has made text of numbers and booleans where the field is text.

    Raises:
        RefusedError: it cannot be.
    """
    if kind.startswith("[]"):
        if value is not None and not isinstance(value, list):
            raise RefusedError(f"decode: {kind}")
        return [decode(item, kind[2:]) for item in value or []]
    if kind == "map":
        if value is not None and not isinstance(value, dict):
            raise RefusedError("decode: map")
        return {key: decode(item, "string") for key, item in (value or {}).items()}
    name = kind.removeprefix("*")
    if name in STRUCTS:
        if value is None:
            return None if kind != name else before if before is not None else decode({}, name)
        return _decode_struct(value, name, cast("Object | None", before))
    if value is None:
        return before if before is not None else {"string": "", "bool": False}.get(kind, 0)
    return _decode_scalar(value, kind)


def _decode_struct(value: object, name: str, before: Object | None) -> Object:
    if not isinstance(value, dict):
        raise RefusedError(f"decode: {name}")
    fields = STRUCTS[name]
    found: Object = dict(before or {})
    for key in sorted(value, key=str.encode):
        field = next((field for field in fields if field.casefold() == key.casefold()), None)
        if field is None:
            raise RefusedError(f"unknown field {key!r}")
        found[field] = decode(value[key], fields[field], found.get(field))
    return {field: found[field] if field in found else decode(None, kind) for field, kind in fields.items()}


def _decode_scalar(value: object, kind: str) -> object:
    if kind == "string" and not isinstance(value, dict | list):
        return value if isinstance(value, str) else format_scalar(value)
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind in BOUNDS and isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1:
        least, most = BOUNDS[kind]
        if least <= value <= most:
            return int(value)
    raise RefusedError(f"decode: {kind}")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value of a struct has to be.

    Attributes:
        source: file and function.
        struct: which values.
        holds: whether it is obeyed; of a pointer's null, nobody asks.
    """

    source: str
    struct: str
    holds: Callable[[Object], bool]


VERSIONS = ("0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0")
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"


def _texts(value: object) -> list[str]:
    return cast("list[str]", value)


def _objects(value: object) -> list[Object]:
    return cast("list[Object]", value)


def _all_edits(spec: Object) -> list[Object]:
    return [cast("Object", holder["containerEdits"]) for holder in (spec, *_objects(spec["devices"]))]


def _least_version(spec: Object) -> str:
    """Return what MinimumRequiredVersion does: the lowest version that has all that a spec uses."""
    edits = _all_edits(spec)
    devices = _objects(spec["devices"])
    rdts = [cast("Object", one["intelRdt"]) for one in edits if one["intelRdt"] is not None]
    if any(one["netDevices"] for one in edits) or any(rdt["schemata"] or rdt["enableMonitoring"] for rdt in rdts):
        return "1.1.0"
    if rdts or any(one["additionalGids"] for one in edits):
        return "0.7.0"
    if spec["annotations"] or any(one["annotations"] for one in devices) or "." in str(spec["kind"]).partition("/")[2]:
        return "0.6.0"
    if any(str(one["name"])[:1].isdigit() for one in devices):
        return "0.5.0"
    if any(node and node["hostPath"] for one in edits for node in _objects(one["deviceNodes"])):
        return "0.5.0"
    return "0.4.0" if any(mount and mount["type"] for one in edits for mount in _objects(one["mounts"])) else "0.3.0"


def _is_kind(kind: str) -> bool:
    return re.fullmatch("[A-Za-z]([-A-Za-z0-9_.]*[A-Za-z0-9])/[A-Za-z]([-A-Za-z0-9_.]*[A-Za-z0-9])", kind) is not None


def _are_annotations(annotations: dict[str, str]) -> bool:
    keys = [key.lower().rpartition("/") for key in annotations]
    return sum(len(text.encode()) for item in annotations.items() for text in item) <= 256 * 1024 and all(
        re.fullmatch("[a-z0-9]([-a-z0-9_.]{0,61}[a-z0-9])?", name)
        and (not slash or (len(prefix) <= 253 and re.fullmatch(rf"{LABEL}(\.{LABEL})*", prefix)))
        for prefix, slash, name in keys
    )


def _are_variables(variables: object) -> bool:
    return all(variable.find("=") > 0 for variable in _texts(variables))


def _has_no_repeat(values: list[object]) -> bool:
    return len({*values}) == len(values)


RULES = (
    Rule("specs-go/version.go, ValidateVersion", "Spec", lambda o: str(o["cdiVersion"]).removeprefix("v") in VERSIONS),
    Rule(
        "specs-go/version.go, MinimumRequiredVersion",
        "Spec",
        lambda o: (
            str(o["cdiVersion"]).removeprefix("v") not in VERSIONS
            or VERSIONS.index(_least_version(o)) <= VERSIONS.index(str(o["cdiVersion"]).removeprefix("v"))
        ),
    ),
    Rule("pkg/parser/parser.go, validateVendorOrClassName", "Spec", lambda o: _is_kind(str(o["kind"]))),
    Rule("pkg/cdi/spec.go, validate", "Spec", lambda o: bool(o["devices"])),
    Rule("pkg/cdi/spec.go, validate", "Spec", lambda o: _has_no_repeat([d["name"] for d in _objects(o["devices"])])),
    *(
        Rule(
            "internal/validation/validate.go, ValidateSpecAnnotations",
            struct,
            lambda o: _are_annotations(cast("dict[str, str]", o["annotations"])),
        )
        for struct in ("Spec", "Device")
    ),
    Rule(
        "pkg/parser/parser.go, ValidateDeviceName",
        "Device",
        lambda o: re.fullmatch("[A-Za-z0-9]([-A-Za-z0-9_.:]*[A-Za-z0-9])?", str(o["name"])) is not None,
    ),
    Rule(
        "pkg/cdi/container-edits.go, isEmpty",
        "Device",
        lambda o: any(v or (k == "intelRdt" and v is not None) for k, v in cast("Object", o["containerEdits"]).items()),
    ),
    *(
        Rule("pkg/cdi/container-edits.go, ValidateEnv", s, lambda o: _are_variables(o["env"]))
        for s in ("ContainerEdits", "Hook")
    ),
    *(
        Rule(
            "pkg/cdi/container-edits.go, ValidateNetDevices",
            "ContainerEdits",
            lambda o, key=key: _has_no_repeat([device[key] for device in _objects(o["netDevices"]) if device]),  # type: ignore[misc]
        )
        for key in ("hostInterfaceName", "name")
    ),
    Rule("pkg/cdi/container-edits.go, DeviceNode.Validate", "DeviceNode", lambda o: bool(o["path"])),
    Rule(
        "pkg/cdi/container-edits.go, DeviceNode.Validate", "DeviceNode", lambda o: o["type"] in ("", "b", "c", "u", "p")
    ),
    Rule(
        "pkg/cdi/container-edits.go, DeviceNode.Validate",
        "DeviceNode",
        lambda o: cast("int", o["major"]) >= 0 and cast("int", o["minor"]) >= 0,
    ),
    Rule(
        "pkg/cdi/container-edits.go, DeviceNode.Validate",
        "DeviceNode",
        lambda o: not str(o["permissions"]).strip("rwm"),
    ),
    Rule("pkg/cdi/container-edits.go, Hook.Validate", "Hook", lambda o: o["hookName"] in HOOKS and bool(o["path"])),
    Rule("pkg/cdi/container-edits.go, Mount.Validate", "Mount", lambda o: bool(o["hostPath"] and o["containerPath"])),
    Rule(
        "pkg/cdi/container-edits.go, LinuxNetDevice.Validate",
        "LinuxNetDevice",
        lambda o: bool(o["hostInterfaceName"] and o["name"]),
    ),
    Rule(
        "pkg/cdi/container-edits.go, IntelRdt.Validate",
        "IntelRdt",
        lambda o: (
            o["closID"] == "/"
            or (
                o["closID"] not in (".", "..")
                and not {"/", "\n"} & {*str(o["closID"])}
                and len(str(o["closID"]).encode()) < 4096
            )
        ),
    ),
)


def read_spec(document: object) -> Object:
    """Return a document as the library holds it.

    Raises:
        RefusedError: it does not take it.
    """
    if not isinstance(document, dict):
        raise RefusedError("decode: Spec")
    spec = cast("Object", decode(document, "Spec"))
    for rule in broken_rules(spec):
        raise RefusedError(rule)
    return spec


def broken_rules(spec: Object) -> Iterator[str]:
    """Yield the sources of the rules that a decoded spec breaks."""
    for struct, value in _structs(spec, "Spec"):
        if value is None:
            yield f"pkg/cdi/container-edits.go: a null in place of a {struct}"
            continue
        yield from (rule.source for rule in RULES if rule.struct == struct and not rule.holds(value))


def _structs(value: object, struct: str) -> Iterator[tuple[str, Object | None]]:
    """Yield each value of a struct in a spec, with the struct's name."""
    yield struct, cast("Object | None", value)
    for field, kind in STRUCTS[struct].items() if isinstance(value, dict) else ():
        name = kind.removeprefix("[]").removeprefix("*")
        if name in STRUCTS:
            below = cast("Object", value)[field]
            for item in below if isinstance(below, list) else [] if below is None else [below]:
                yield from _structs(item, name)


def podman_is_older(document: object) -> bool:
    """Tell whether the library in podman 4.3 (0.5.2) decides otherwise on a document, or crashes on it.

    It knows no version after 0.5.0 and none with a `v`, but those before 0.3.0; it does not ask whether the declared
    version has what is used, nor for devices, nor for the sign of a number; it has fewer fields. It crashes on a null
    in place of a struct, and on a kind of which a part has one character.
    """
    try:
        spec = cast("Object", decode(document, "Spec"))
    except RefusedError:
        return False  # as do fewer fields
    structs = [value for _, value in _structs(spec, "Spec")]
    version = str(spec["cdiVersion"])
    return (
        None in structs
        or any(len(part) == 1 for part in str(spec["kind"]).split("/", 1))
        or version not in ("0.3.0", "0.4.0", "0.5.0")
        or VERSIONS.index(_least_version(spec)) > VERSIONS.index(version)
        or not spec["devices"]
        or any(cast("int", value.get(key, 0)) < 0 for value in structs if value for key in ("major", "minor"))
        or not {"annotations", "additionalgids", "intelrdt", "netdevices"}.isdisjoint(_keys(document))
    )


def _keys(document: object) -> Iterator[str]:
    if isinstance(document, dict):
        yield from (key.casefold() for key in document)
    for value in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from _keys(value)
