"""How the driver wants its device nodes made: `/proc/driver/nvidia/params` and the two `permissions` files.

Sources: NVIDIA/nvidia-modprobe, modprobe-utils/nvidia-modprobe-utils.c, init_device_file_parameters, for the names and
for what holds where one is absent; NVIDIA's open kernel modules, kernel-open/nvidia/nv-procfs.c (params) and
procfs_nvswitch.c (permissions), for the form.
"""

from __future__ import annotations

from cdigen.errors import ParseError
from cdigen.parse.text import lines_of
from cdigen.records import Record

_MAX_UNSIGNED = (1 << 32) - 1  # the values are printed as unsigned int


class DeviceFileParameters(Record):
    """What a module says of its device nodes; the defaults are those of nvidia-modprobe.

    Attributes:
        mode: the permission bits.
        uid: the number of the owner.
        gid: the number of the group.
        modify: False if the administrator manages the nodes, and the driver's tools must not touch them.
        create_imex_channel0: whether the driver makes the first IMEX channel by itself (from 555.42.02).
    """

    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    modify: bool = True
    create_imex_channel0: bool = False


def parse_device_file_parameters(data: bytes) -> DeviceFileParameters:
    """Read `/proc/driver/nvidia/params`, or `permissions` of nvidia-nvlink or nvidia-nvswitch.

    Args:
        data: the whole file: lines `Name: value`, the numbers decimal, so that `DeviceFileMode: 438` is 0666. Names
            that say nothing of nodes are passed over, with whatever their values are.

    Raises:
        ParseError: the file is empty or too large, or one of these values is not a number that it can be.
    """
    fields: dict[str, str] = {}
    for line in lines_of(data):
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    mode = _number(fields, "DeviceFileMode", 0o666)
    if mode > 0o777:
        raise ParseError(f"DeviceFileMode {mode} is not a file mode; it is decimal, so that 0666 is 438")
    modify = "ModifyDeviceFiles" if "ModifyDeviceFiles" in fields else "DeviceFileModify"
    return DeviceFileParameters(
        mode=mode,
        uid=_number(fields, "DeviceFileUID", 0),
        gid=_number(fields, "DeviceFileGID", 0),
        modify=_number(fields, modify, 1) == 1,
        create_imex_channel0=_number(fields, "CreateImexChannel0", 0) == 1,
    )


def _number(fields: dict[str, str], name: str, default: int) -> int:
    text = fields.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_UNSIGNED)) and int(text) <= _MAX_UNSIGNED):
        raise ParseError(f"{name} is not a number: {text[:120]!r}")
    return int(text)
