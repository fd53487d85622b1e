"""Who can open the driver's device nodes, by their modes and owners.

A GPU's node is read and written. A capability node of MIG is opened for reading alone: the file with which the driver
tells of it has `DeviceFileMode: 292`, which is 0444.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.diagnosis import Diagnosis, diagnosis, run
from cdigen.findings import Remedy
from cdigen.host import UNREADABLE

if TYPE_CHECKING:
    from cdigen.facts import ExpectedNode, FoundNode
    from cdigen.host import View
    from cdigen.session.context import Context

_GROUPS = "/etc/group"
_CAPABILITIES = "nvidia-caps"
_READ, _READ_AND_WRITE = 0o4, 0o6


def is_open_to_all(node: ExpectedNode) -> bool:
    """Tell whether every user can open a node that is there, or nothing is."""
    return node.found is None or not _needed(node) & ~node.found.mode


def judge_access(context: Context, node: ExpectedNode) -> Diagnosis:
    """Return who can open a node that not every user can, in the same words for all nodes of one mode and owner."""
    found = node.found
    if found is None:
        raise ValueError(f"{node.host_path} is not there")
    owner = "root" if found.uid == 0 else f"user {found.uid}"
    group = _group_name(context.views.system, found.gid)
    has_group = not _needed(node) << 3 & ~found.mode
    who = f"root and users in group {group}" if has_group else "root"
    if found.uid != 0:
        who = f"{owner}, {who}"
    message = f"mode {found.mode:04o}, owner {owner}, group {group}: only {who} can open it"
    return diagnosis("nodes", node.host_path, "warning", "node-closed", message, _remedy(node, found, has_group))


def _needed(node: ExpectedNode) -> int:
    """Return what others need of a node's mode."""
    return _READ if node.driver == _CAPABILITIES else _READ_AND_WRITE


def _remedy(node: ExpectedNode, found: FoundNode, has_group: bool) -> Remedy:
    if not _needed(node) & ~node.mode:  # as the driver wants it
        return run("cdigen nodes --create", hint="give it the mode that the driver wants")
    if has_group:
        return Remedy(
            "a container whose program gives up root needs the group: from the spec (cdigen generate --additional-gids"
            f" always), or from the engine (--group-add {found.gid}; with rootless podman --group-add keep-groups, by a"
            " user in the group)"
        )
    if node.driver == _CAPABILITIES:
        return Remedy("give its access to others with nvidia-modprobe, or run the container's program as root")
    return Remedy("if others should have it, load the module with NVreg_DeviceFileMode=0666")


def _group_name(system: View, gid: int) -> str:
    """Return the host's name of a group; its number where that is not known."""
    try:
        data = system.read(_GROUPS)
    except UNREADABLE:
        data = None
    for line in (data or b"").decode(errors="replace").splitlines():
        name, _, rest = line.partition(":")
        if rest.split(":")[1:2] == [str(gid)]:
            return name
    return str(gid)
