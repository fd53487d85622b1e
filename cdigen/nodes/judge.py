"""What is there in place of a device node that there should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import NODE_DRIVERS
from cdigen.errors import one_line
from cdigen.facts import ExpectedNode, FoundNode
from cdigen.host import UNSEEN, LinkError
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.discover.majors import Majors
    from cdigen.facts import NodeState
    from cdigen.host import View
    from cdigen.notes import Notes
    from cdigen.parse.params import DeviceFileParameters

_MODULES = {"nvidia-uvm": "nvidia-uvm", "nvidia-uvm-tools": "nvidia-uvm", "nvidia-modeset": "nvidia-modeset"}
"""The kernel module of a node's driver, by the stem of its name; nvidia has all others."""


class WantedNode(Record):
    """A node that there should be.

    Attributes:
        stem: its name without its number, a key of `NODE_DRIVERS`.
        settings: mode, owner, and whether it may be made.
        path, minor, source, why, command, required: see `ExpectedNode`.
    """

    path: str
    stem: str
    minor: int
    settings: DeviceFileParameters
    source: str
    why: str
    command: tuple[str, ...] | None
    required: bool = False


def judge_node(dev: View, majors: Majors, unknown: bool, wanted: WantedNode, notes: Notes) -> ExpectedNode | None:
    """Return a node with how what is there compares; None if that cannot be looked at.

    Args:
        dev: the device root.
        majors: the majors of the drivers that are loaded.
        unknown: whether `majors` has none though there are some; then of the numbers only the minor is compared.
        wanted: the node.
        notes: gets why it cannot be looked at.
    """
    host_path = dev.host_path(wanted.path)
    try:
        found = _look(dev, wanted.path)
    except UNSEEN as error:
        notes.damaged(host_path, error, f"whether the node of {wanted.why} is there is not known")
        return None
    names = NODE_DRIVERS[wanted.stem]
    settings = wanted.settings
    major = majors.of(wanted.stem)
    state: NodeState
    if major is None and not unknown:
        state = "module not loaded"
    elif found is None:
        state = "missing"
    elif (
        found.kind != "char"
        or found.minor != wanted.minor
        or majors.misfit(wanted.stem, found.major, found.minor, expected_minor=wanted.minor)
    ):
        state = "wrong device"
    elif (found.mode & 0o777, found.uid, found.gid) != (settings.mode, settings.uid, settings.gid):
        state = "other mode"
    else:
        state = "ok"
    return ExpectedNode(
        path=wanted.path,
        host_path=one_line(host_path),
        driver=next((name for name in names if name in majors.by_driver), names[0]),
        module=_MODULES.get(wanted.stem, "nvidia"),
        major=major,
        minor=wanted.minor,
        mode=settings.mode,
        uid=settings.uid,
        gid=settings.gid,
        modify=settings.modify,
        required=wanted.required,
        source=one_line(wanted.source),
        why=one_line(wanted.why),
        command=wanted.command,
        state=state,
        found=found,
    )


def _look(dev: View, path: str) -> FoundNode | None:
    """Return what is at `path`, links followed; a link that leads to nothing is what is there itself."""
    try:
        target = dev.find(path)
    except LinkError:  # a cycle leads to nothing too; if it is above the node, it is found once more
        target = None
    if target is not None:
        entry = target[1]
    else:
        parent, _, name = path.rpartition("/")
        directory = dev.resolve(parent)
        there = None if directory is None else dev.lstat(f"{directory.rstrip('/')}/{name}")
        if there is None:
            return None
        entry = there
    return FoundNode(
        kind=entry.kind, major=entry.major, minor=entry.minor, mode=entry.mode, uid=entry.uid, gid=entry.gid
    )
