"""Device nodes: of the whole driver, and of one path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdigen.catalog.driver import CONTROL_NODES
from cdigen.errors import one_line
from cdigen.facts import DeviceNode, MissingNode
from cdigen.host import UNSEEN
from cdigen.notes import UNSAFE_PATH, is_safe_path, reason_of

if TYPE_CHECKING:
    from cdigen.discover.majors import Majors
    from cdigen.host import View
    from cdigen.notes import Notes

GPU_NODE = re.compile(r"nvidia(0|[1-9][0-9]{0,5})")


def find_node(dev: View, path: str, why: str) -> DeviceNode | None:
    """Return the character device at `path`; None if there is none, or none that a spec can name.

    Args:
        dev: the device root.
        path: a path below /dev; links are followed, so that `host_path` is the node itself.
        why: see `DeviceNode`.

    Raises:
        LinkError, HostReadError: see `View.resolve`.
    """
    target = dev.find(path)
    if target is None or target[1].kind != "char" or not is_safe_path(dev.host_path(target[0])):
        return None
    resolved, entry = target
    return DeviceNode(
        path=path,
        host_path=dev.host_path(resolved),
        major=entry.major,
        minor=entry.minor,
        mode=entry.mode & 0o777,
        gid=entry.gid,
        why=why,
    )


def find_right_node(dev: View, path: str, why: str, majors: Majors, stem: str, minor: int) -> DeviceNode | str:
    """Return the character device at `path`, or what is wrong with it: a clause such as "is missing".

    Args:
        dev: the device root.
        path: a path below /dev.
        why: see `DeviceNode`.
        majors: see `Majors.misfit`.
        stem: see `Majors.of`.
        minor: the number that the node must have.

    Raises:
        LinkError, HostReadError: see `View.resolve`.
    """
    node = find_node(dev, path, why)
    if node is None:
        target = dev.find(path)
        if target is None:
            return "is missing"
        return "is not a character device" if target[1].kind != "char" else f"cannot be named: {UNSAFE_PATH}"
    return majors.misfit(stem, node.major, node.minor, expected_minor=minor) or node


def find_control_nodes(
    dev: View, majors: Majors, notes: Notes
) -> tuple[tuple[DeviceNode, ...], tuple[MissingNode, ...]]:
    """Return the control nodes that are there, and those without which nothing works and that are not.

    Args:
        dev: the device root.
        majors: see `find_right_node`.
        notes: gets a finding for a missing node that not every program needs, and for one whose driver is not loaded.

    Returns:
        The nodes in the order of the catalog, and the required nodes that are missing.
    """
    nodes = []
    missing = []
    for row in CONTROL_NODES:
        path = f"/dev/{row.name}"
        host_path = dev.host_path(path)
        try:
            node = find_right_node(dev, path, f"catalog: {row.reason}", majors, row.name, row.minor)
        except UNSEEN as error:
            notes.note_failure(error)
            node = f"cannot be looked at ({reason_of(error)})"
        if isinstance(node, DeviceNode):
            nodes.append(node)
            if majors.known and majors.of(row.name) is None:
                notes.add(
                    "warning",
                    "module-not-loaded",
                    host_path,
                    f"{one_line(host_path)} is there but /proc/devices does not know its driver, so it cannot be"
                    f" opened: {row.reason}",
                    hint="load it with",
                    commands=(row.command,),
                )
        elif row.required:
            missing.append(MissingNode(host_path=host_path, problem=node, whose="", command=row.command, gpu=None))
        else:
            notes.add(
                "warning",
                "missing-node",
                host_path,
                f"{one_line(host_path)} {node}: {row.reason}",
                hint="create it with",
                commands=(row.command,),
            )
    return tuple(nodes), tuple(missing)
