"""The device nodes of edits: filled in from the host, made in the container, allowed by its device cgroup."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cdigen.errors import IncompleteError, one_line
from cdigen.host import HostReadError
from cdigen.oci.config import take_array, take_object
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cdigen.host.host import Entry

    FindNode = Callable[[str], Entry | None]

_TYPES = {"char": "c", "block": "b", "fifo": "p"}
_NAMES = {"c": "a character device", "u": "a character device", "b": "a block device", "p": "a named pipe"}


class _Identity(Record):
    """What the kernel knows a node by: type `b`, `c`, `u` or `p`, and numbers, which a pipe (`p`) lacks; and its mode.

    The mode is the host's; None if the host was not asked successfully.
    """

    type: str
    major: int = 0
    minor: int = 0
    mode: int | None = None


def add_device_node(config: dict[str, object], node: Mapping[str, object], *, source: str, find_node: FindNode) -> None:
    """Make a node in the container, in place of one of the same path, and allow what its permissions say.

    What the spec does not say comes from the host: type, numbers and mode. Owner and group come from the container's
    process, so that it may open the node. The host need not have a node with type and numbers; its mode is then left
    to the runtime. Permissions that are not said are `rwm`. All of this is what version 1.1.0 of the CDI library does
    (fillMissingInfo in pkg/cdi/container-edits_unix.go).

    Args:
        config: a valid configuration; it is changed.
        node: an item of a valid spec's `deviceNodes`.
        source: who asks for it, for the error.
        find_node: returns what is at a path of the host, not following a link.

    Raises:
        IncompleteError: it has to come from the host, which has none there, or one of another type.
        HostReadError: of `find_node`, for a node that has to come from the host.
    """
    identity = _identify(node, source, find_node)
    device: dict[str, object] = {"path": node["path"], "type": identity.type}
    if identity.type != "p":
        device |= {"major": identity.major, "minor": identity.minor}
    mode = node.get("fileMode", identity.mode)
    if mode is not None:
        device["fileMode"] = mode
    process = config.get("process")
    user = (process.get("user") if isinstance(process, dict) else None) or {}
    for key in ("uid", "gid"):
        if key in node:
            device[key] = node[key]
        elif user.get(key):
            device[key] = user[key]
    linux = take_object(config, "linux")
    kept = [
        other for other in take_array(linux, "devices") if cast("Mapping[str, object]", other)["path"] != node["path"]
    ]
    linux["devices"] = [*kept, device]
    if identity.type in ("b", "c"):
        access = cast("str", node.get("permissions", "rwm"))
        _allow(take_array(take_object(linux, "resources"), "devices"), identity, access)


def _identify(node: Mapping[str, object], source: str, find_node: FindNode) -> _Identity:
    declared = cast("str | None", node.get("type"))
    major, minor = cast("int", node.get("major", 0)), cast("int", node.get("minor", 0))
    host_path = cast("str", node.get("hostPath", node["path"]))
    if declared == "p" or (declared and major):  # a major number of 0 is as good as none: the kernel has no such
        return _Identity(type=declared, major=major, minor=minor, mode=_find_mode(host_path, find_node))
    entry = find_node(host_path)
    wanted = f"{one_line(host_path)}, which {one_line(source)} needs"
    if entry is None:
        raise _unusable(f"the host has no {wanted}", host_path, "load the device's driver, or write the spec again")
    found = _TYPES.get(entry.kind)
    if found is None:
        raise _unusable(f"{wanted}, is not a device node but a {entry.kind}", host_path)
    if declared and _NAMES[declared] != _NAMES[found]:
        raise _unusable(f"{wanted} as {_NAMES[declared]}, is {_NAMES[found]}", host_path)
    if major:
        return _Identity(type=declared or found, major=major, minor=minor, mode=entry.mode)
    return _Identity(type=declared or found, major=entry.major, minor=entry.minor, mode=entry.mode)


def _unusable(message: str, host_path: str, hint: str = "write the spec again") -> IncompleteError:
    return IncompleteError(message, hint=hint, subject=one_line(host_path), code="unusable-node")


def _find_mode(host_path: str, find_node: FindNode) -> int | None:
    """Return the mode of a node on the host; None if it is not there: one with type and numbers need not be."""
    try:
        entry = find_node(host_path)
    except HostReadError:
        return None
    return None if entry is None or entry.kind not in _TYPES else entry.mode


def _allow(rules: list[object], identity: _Identity, access: str) -> None:
    rule: dict[str, object] = {
        "allow": True,
        "type": identity.type,
        "major": identity.major,
        "minor": identity.minor,
        "access": access,
    }
    # Later rules win: a rule that is there already counts if nothing is denied after it.
    denials = [at for at, other in enumerate(rules) if not cast("Mapping[str, object]", other).get("allow")]
    if rule not in rules[denials[-1] + 1 if denials else 0 :]:
        rules.append(rule)
