"""The device nodes of edits: filled in from the host, made in the container, allowed by its device cgroup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cdigen.errors import IncompleteError, one_line
from cdigen.oci.config import take_array, take_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cdigen.host.host import Entry

    FindNode = Callable[[str], Entry | None]

_TYPES = {"char": "c", "block": "b", "fifo": "p"}
_NAMES = {"c": "a character device", "u": "a character device", "b": "a block device", "p": "a named pipe"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    """What the kernel knows a node by: type `b`, `c`, `u` or `p`, and numbers, which a pipe (`p`) lacks."""

    type: str
    major: int = 0
    minor: int = 0


def add_device_node(config: dict[str, object], node: Mapping[str, object], *, source: str, find_node: FindNode) -> None:
    """Make a node in the container, in place of one of the same path, and allow what its permissions say.

    What the spec does not say comes from the host, type and numbers, or from the container's process, owner and group,
    so that it may open the node. A mode that is not said is left to the runtime. Permissions that are not said are
    `rwm`; for `none` there is no rule, because runtimes refuse one that allows nothing.

    Args:
        config: a valid configuration; it is changed.
        node: an item of a valid spec's `deviceNodes`.
        source: who asks for it, for the error.
        find_node: returns what is at a path of the host, not following a link.

    Raises:
        IncompleteError: it has to come from the host, which has none there, or one of another type.
        HostReadError: of `find_node`.
    """
    identity = _identify(node, source, find_node)
    device: dict[str, object] = {"path": node["path"], "type": identity.type}
    if identity.type != "p":
        device |= {"major": identity.major, "minor": identity.minor}
    if "fileMode" in node:
        device["fileMode"] = node["fileMode"]
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
    permissions = node.get("permissions", "rwm")
    if identity.type in ("b", "c") and permissions != "none":
        _allow(take_array(take_object(linux, "resources"), "devices"), identity, cast("str", permissions))


def _identify(node: Mapping[str, object], source: str, find_node: FindNode) -> _Identity:
    declared = cast("str | None", node.get("type"))
    major, minor = cast("int", node.get("major", 0)), cast("int", node.get("minor", 0))
    if declared == "p" or (declared and major):  # a major number of 0 is as good as none: the kernel has no such
        return _Identity(type=declared, major=major, minor=minor)
    host_path = cast("str", node.get("hostPath", node["path"]))
    entry = find_node(host_path)
    wanted = f"{one_line(host_path)}, which {one_line(source)} needs"
    if entry is None:
        raise IncompleteError(f"the host has no {wanted}; load the device's driver, or write the spec anew")
    found = _TYPES.get(entry.kind)
    if found is None:
        raise IncompleteError(f"{wanted}, is not a device node but a {entry.kind}; write the spec anew")
    if declared and _NAMES[declared] != _NAMES[found]:
        raise IncompleteError(f"{wanted} as {_NAMES[declared]}, is {_NAMES[found]}; write the spec anew")
    if major:
        return _Identity(type=declared or found, major=major, minor=minor)
    return _Identity(type=declared or found, major=entry.major, minor=entry.minor)


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
