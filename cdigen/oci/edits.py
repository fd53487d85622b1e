"""Container edits of a CDI spec, applied to an OCI runtime configuration."""

from __future__ import annotations

import copy
import posixpath
from typing import TYPE_CHECKING, cast

from cdigen.oci.config import take_array, take_object
from cdigen.oci.devices import add_device_node

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cdigen.cdi.registry import SourcedEdits
    from cdigen.oci.devices import FindNode

    Item = Mapping[str, object]


def apply_edits(
    config: Mapping[str, object], edits: Iterable[SourcedEdits], *, find_node: FindNode
) -> dict[str, object]:
    """Return the configuration with the edits of valid specs, applied in their order.

    What is there already is not added again, so applying the same edits twice is applying them once.

    Args:
        config: a valid configuration, see `find_config_violations`. It stays as it is.
        edits: such as `Registry.resolve` returns.
        find_node: returns what is at a path of the host, not following a link.

    Raises:
        IncompleteError: a device node that has to come from the host is not there.
        HostReadError: of `find_node`, for such a node.
    """
    edited = cast("dict[str, object]", copy.deepcopy(config))
    for sourced in edits:
        for node in _items(sourced.edits, "deviceNodes"):
            add_device_node(edited, node, source=sourced.source, find_node=find_node)
        _set_variables(edited, cast("Sequence[str]", sourced.edits.get("env", ())))
        _add_net_devices(edited, _items(sourced.edits, "netDevices"))
        _add_mounts(edited, _items(sourced.edits, "mounts"))
        _add_hooks(edited, _items(sourced.edits, "hooks"))
        if "intelRdt" in sourced.edits:
            take_object(edited, "linux")["intelRdt"] = copy.deepcopy(sourced.edits["intelRdt"])
        _add_groups(edited, cast("Sequence[int]", sourced.edits.get("additionalGids", ())))
    return edited


def _items(edits: Item, key: str) -> Sequence[Item]:
    return cast("Sequence[Item]", edits.get(key, ()))


def _set_variables(config: dict[str, object], entries: Sequence[str]) -> None:
    if not entries:
        return
    env = cast("list[str]", take_array(take_object(config, "process"), "env"))
    # Of several entries for one name, the last counts.
    positions = {entry.partition("=")[0]: position for position, entry in enumerate(env)}
    for entry in entries:
        position = positions.setdefault(entry.partition("=")[0], len(env))
        env[position : position + 1] = [entry]


def _add_net_devices(config: dict[str, object], devices: Sequence[Item]) -> None:
    for device in devices:
        interfaces = take_object(config, "linux", "netDevices")
        interfaces[cast("str", device["hostInterfaceName"])] = {"name": device["name"]}


def _add_mounts(config: dict[str, object], mounts: Sequence[Item]) -> None:
    if not mounts:
        return
    new: dict[str, Item] = {}
    for mount in mounts:  # of several at one path, the last counts, in its place
        path = cast("str", mount["containerPath"])
        new.pop(path, None)
        new[path] = _to_oci_mount(mount)
    there = cast("list[Item]", take_array(config, "mounts"))
    kept = [mount for mount in there if mount["destination"] not in new]
    # Parents first: what is mounted on /a after /a/b would hide it. Of one depth, the order stays.
    config["mounts"] = sorted([*kept, *new.values()], key=_depth)


def _to_oci_mount(mount: Item) -> Item:
    oci: dict[str, object] = {"destination": mount["containerPath"]}
    if "type" in mount:
        oci["type"] = mount["type"]
    oci["source"] = mount["hostPath"]
    if "options" in mount:
        oci["options"] = list(cast("list[str]", mount["options"]))
    return oci


def _depth(mount: Item) -> int:
    path = posixpath.normpath(cast("str", mount["destination"]))
    return path.count("/") - path.startswith("//")  # which POSIX keeps apart from /


def _add_hooks(config: dict[str, object], hooks: Sequence[Item]) -> None:
    for hook in hooks:
        # CDI's keys are OCI's, but for the name of the list that it goes to.
        oci = {key: copy.deepcopy(value) for key, value in hook.items() if key != "hookName"}
        there = take_array(take_object(config, "hooks"), cast("str", hook["hookName"]))
        if oci not in there:
            there.append(oci)


def _add_groups(config: dict[str, object], groups: Sequence[int]) -> None:
    for group in groups:
        if group == 0:
            continue  # never root's, as the CDI project has it
        there = take_array(take_object(config, "process", "user"), "additionalGids")
        if group not in there:
            there.append(group)
