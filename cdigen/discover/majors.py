"""The major numbers that the kernel gave to the driver's device nodes, to tell a stale node from a right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import NODE_DRIVERS
from cdigen.host import UNREADABLE
from cdigen.parse.procfs import PROC_DEVICES, parse_proc_devices
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.host import View
    from cdigen.notes import Notes

NVIDIA_MAJOR = 195
"""The driver's own (Linux, Documentation/admin-guide/devices.txt, "195 char Nvidia graphics devices")."""

DYNAMIC_MAJORS = ((234, 254), (384, 511))
"""The first and last numbers of those that the kernel gives to whoever asks for any (the same file, "Dynamic
allocations"; include/linux/fs.h, CHRDEV_MAJOR_DYN_END and the like)."""


def may_be_of_nvidia(major: int) -> bool:
    """Tell whether one of NVIDIA's drivers can have a major number: that of memory, disks or terminals it cannot."""
    return major == NVIDIA_MAJOR or any(first <= major <= last for first, last in DYNAMIC_MAJORS)


class Majors(Record):
    """What `/proc/devices` says of NVIDIA's drivers.

    Attributes:
        known: whether it could be read and has any of them; if not, nothing can be said of any node.
        by_driver: the major by the driver's whole name (`nvidia-caps` is not `nvidia-caps-imex-channels`).
        of_others: whether nodes of others' drivers are looked at, of which nothing is known at all.
    """

    known: bool
    by_driver: dict[str, int]
    of_others: bool = False

    def of(self, stem: str) -> int | None:
        """Return the major of nodes whose name without its number is `stem`; None if their driver has none.

        Args:
            stem: a key of `NODE_DRIVERS`.
        """
        return next((self.by_driver[name] for name in NODE_DRIVERS[stem] if name in self.by_driver), None)

    def misfit(self, stem: str, major: int, minor: int, *, expected_minor: int) -> str:
        """Return why a node with these numbers is not its driver's, a clause; "" if it is, as far as can be told.

        A node that has other numbers than its driver is of an earlier boot, or somebody else's.

        Args:
            stem: see `of`.
            major: the node's.
            minor: the node's.
            expected_minor: the number that its driver gives it.
        """
        if not (self.known or self.of_others or may_be_of_nvidia(major)):
            return f"is {major}:{minor}, which is no device of NVIDIA's"
        expected = self.of(stem)
        if expected is not None and (major, minor) != (expected, expected_minor):
            return f"is {major}:{minor} and not {expected}:{expected_minor}, which its driver has"
        return ""


def find_majors(system: View, notes: Notes) -> Majors:
    """Return the majors of NVIDIA's drivers.

    Args:
        system: the host's own root.
        notes: gets a `/proc/devices` that cannot be read.
    """
    try:
        data = system.read(PROC_DEVICES)
        if data is None:
            return Majors(known=False, by_driver={})
        found = {entry.name: entry.major for entry in parse_proc_devices(data) if entry.name.startswith("nvidia")}
    except UNREADABLE as error:
        notes.damaged(PROC_DEVICES, error, "whether device nodes have the right numbers is not known")
        return Majors(known=False, by_driver={})
    return Majors(known=bool(found), by_driver=found)
