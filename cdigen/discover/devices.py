"""Device nodes: of the whole driver, and of one path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdigen.discover.catalog import CONTROL_NODES
from cdigen.discover.notes import is_safe_path, reason_of
from cdigen.errors import IncompleteError, one_line
from cdigen.host import HostReadError, LinkError
from cdigen.inventory import DeviceNode

if TYPE_CHECKING:
    from cdigen.discover.notes import Notes
    from cdigen.host import View

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
        mode=entry.mode,
        why=why,
    )


def find_control_nodes(dev: View, notes: Notes) -> tuple[tuple[DeviceNode, ...], tuple[str, ...]]:
    """Return the control nodes that are there, and the names of those without which nothing works.

    Args:
        dev: the device root.
        notes: gets a finding for a missing node that not every program needs.

    Returns:
        The nodes in the order of the catalog, and the paths of required nodes that are missing.
    """
    nodes = []
    missing = []
    for name, required, command, reason, _ in CONTROL_NODES:
        path = f"/dev/{name}"
        problem = "is missing"
        node = None
        try:
            node = find_node(dev, path, f"catalog: {reason}")
            if node is None and dev.lstat(path) is not None:
                problem = "is not a character device"
        except (HostReadError, LinkError) as error:
            problem = f"cannot be looked at ({reason_of(error)})"
        if node is not None:
            nodes.append(node)
        elif required:
            missing.append(path)
        else:
            notes.add(
                "warning",
                "missing-node",
                dev.host_path(path),
                f"{one_line(dev.host_path(path))} {problem}: {reason}; create it with: {command}",
            )
    return tuple(nodes), tuple(missing)


def missing_nodes(dev: View, paths: tuple[str, ...]) -> IncompleteError:
    """Return the error that names the missing nodes at `paths`, and the command that creates them."""
    frontend = []
    commands = []
    for path in paths:
        name = path.rpartition("/")[2]
        match = GPU_NODE.fullmatch(name)
        if match or name == "nvidiactl":
            frontend.append(f"-c {match.group(1) if match else 255}")
    if frontend:
        commands.append(f"nvidia-modprobe {' '.join(frontend)}")
    if "/dev/nvidia-uvm" in paths:
        commands.append("nvidia-modprobe -u -c 0")
    names = ", ".join(one_line(dev.host_path(path)) for path in paths)
    verb = "is" if len(paths) == 1 else "are"
    return IncompleteError(f"{names} {verb} missing or not a character device; create with: {' && '.join(commands)}")
