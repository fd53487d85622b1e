"""The groups that a container's process needs to open device nodes that are not open to all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdigen.facts import DeviceNode
    from cdigen.plan.plan import Plan

_READ_WRITE = 0o6


def needed_gids(nodes: Iterable[DeviceNode]) -> tuple[int, ...]:
    """Return the groups that may do more with some of `nodes` than everybody, by number, without root's."""
    return tuple(sorted({node.gid for node in nodes if _is_closed(node)}))


def find_closed(plan: Plan) -> tuple[DeviceNode, ...]:
    """Return the nodes of `plan` with which their group may do more than everybody, each once, in the plan's order."""
    nodes = [*plan.nodes, *(node for device in plan.devices for node in device.nodes)]
    return tuple({node.path: node for node in nodes if _is_closed(node)}.values())


def _is_closed(node: DeviceNode) -> bool:
    return bool(node.gid and (node.mode >> 3) & ~node.mode & _READ_WRITE)
