"""Small texts of the NVIDIA kernel module about its capabilities: which device node stands for which right.

A capability is a character device `/dev/nvidia-caps/nvidia-cap<minor>`; whoever may open it has the right. Sources:
NVIDIA's open kernel modules, kernel-open/nvidia/nv-caps.c (access files; the tables mig-minors, nvlink-minors and
sys-minors), and the MIG user guide, "Device nodes and capabilities".
"""

from __future__ import annotations

from cdigen.errors import ParseError
from cdigen.parse.text import is_number, lines_of, number_of
from cdigen.records import Record

_MAX_TABLE = 1 << 20  # mig-minors has 4,322 lines for 32 GPUs, some 100 kB


class CapabilityAccess(Record):
    """What an `access` file says of its capability's device node.

    Attributes:
        minor: of `/dev/nvidia-caps/nvidia-cap<minor>`.
        mode: the permission bits that the node should have, e.g. 0o444.
        modify: whether the driver's own tools may change the node.
    """

    minor: int
    mode: int
    modify: bool


def parse_capability_access(data: bytes) -> CapabilityAccess:
    """Read `/proc/driver/nvidia/capabilities/.../access` (or `mig/config`, `fabric-imex-mgmt`, ...).

    Args:
        data: the whole file: lines `DeviceFileMinor: 21`, `DeviceFileMode: 292` (decimal) and `DeviceFileModify: 1`.
            The last is not in every driver, and is taken for 1 then.

    Raises:
        ParseError: minor or mode are missing, or a value is not a number that it can be.
    """
    fields: dict[str, str] = {}
    for line in lines_of(data):
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    for name in ("DeviceFileMinor", "DeviceFileMode"):
        if name not in fields:
            raise ParseError(f"no line {name}")
    mode = number_of(fields["DeviceFileMode"], "DeviceFileMode")
    if mode > 0o777:
        raise ParseError(f"DeviceFileMode {mode} is not a file mode")
    return CapabilityAccess(
        minor=number_of(fields["DeviceFileMinor"], "DeviceFileMinor"),
        mode=mode,
        modify=number_of(fields.get("DeviceFileModify", "1"), "DeviceFileModify") != 0,
    )


def parse_capability_minors(data: bytes) -> dict[str, int]:
    """Read `/proc/driver/nvidia-caps/mig-minors` (or `nvlink-minors`, `sys-minors`).

    Args:
        data: the whole file: a line `gpu0/gi2/ci0/access 22` for every capability that there could be, whether its
            instance exists or not.

    Returns:
        The minors by name, in the file's order.

    Raises:
        ParseError: the file is empty, or a line in it is not a name and a number.
    """
    found: dict[str, int] = {}
    for line in lines_of(data, _MAX_TABLE):
        if not line.strip():
            continue
        name, _, number = line.strip().rpartition(" ")
        if not name or " " in name or not is_number(number):
            raise ParseError(f"not a capability and its minor: {line[:120]!r}")
        found[name] = int(number)
    return found
