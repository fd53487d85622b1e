"""Small texts of the NVIDIA kernel module and of the kernel: versions, GPU facts, device majors.

Sources: NVIDIA's open kernel modules, kernel-open/nvidia/nv-procfs.c (version, information) and utils.mk (the
open module's identification); for `/proc/devices`, fs/proc/devices.c and fs/char_dev.c of Linux. Published
hosts show these texts with tabs, with several blanks and with single ones, so any run of blanks separates.
"""

from __future__ import annotations

import re

from cdigen.errors import ParseError
from cdigen.parse.text import is_number, lines_of, number_of
from cdigen.records import Record

PROC_DEVICES = "/proc/devices"
PROC_GPUS = "/proc/driver/nvidia/gpus"

DRIVER_VERSION_PATTERN = r"[0-9]{1,5}\.[0-9]{1,5}(?:\.[0-9]{1,5})?"
"""A driver version: two or three numbers, as in `384.81`, `580.178` or `535.309.01`."""

_VERSION_LINE = re.compile(
    r"NVRM version: NVIDIA UNIX"
    r" (?:(?P<open>Open) Kernel Module for (?P<open_machine>\S+)|(?P<machine>\S+) Kernel Module)"
    rf" (?P<version>{DRIVER_VERSION_PATTERN})(?: |$)"
)
_UUID = re.compile(r"GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class KernelDriver(Record):
    """The loaded kernel module.

    Attributes:
        version: its build, as in `535.309.01`.
        open: whether it is of the open kernel modules.
        machine: `x86_64`, `aarch64`, `x86`, ... as the module spells it; None where the version is known
            from sysfs alone.
    """

    version: str
    open: bool
    machine: str | None


class GpuInformation(Record):
    """One GPU, as its `information` file describes it.

    Attributes:
        model: the product name; None where the line is missing.
        uuid: `GPU-` and a UUID in lower case; None where it is not known or not well-formed.
        uuid_text: what the file says in place of a UUID where `uuid` is None; None where the line is missing.
        minor: of `/dev/nvidia<minor>`.
        firmware: the version of the GSP firmware; None where it is not known.
        excluded: whether an administrator took the GPU away from the driver.
    """

    model: str | None
    uuid: str | None
    uuid_text: str | None
    minor: int | None
    firmware: str | None
    excluded: bool


class CharMajor(Record):
    """A major number that a driver of character devices holds. One driver or number can appear many times."""

    name: str
    major: int


def is_driver_version(text: str) -> bool:
    """Return whether `text` is a driver version and nothing else (`DRIVER_VERSION_PATTERN`)."""
    return re.fullmatch(DRIVER_VERSION_PATTERN, text) is not None


def parse_nvidia_version(data: bytes) -> KernelDriver:
    """Read `/proc/driver/nvidia/version` in the form of the proprietary or the open module.

    Args:
        data: the whole file. Its second line, the compiler's, can be garbage and is not read.

    Raises:
        ParseError: there is no line that names a kernel module and its version.
    """
    lines = (" ".join(line.split()) for line in lines_of(data))
    line = next((line for line in lines if line.startswith("NVRM version:")), None)
    if line is None:
        raise ParseError("no line 'NVRM version: ...'")
    match = _VERSION_LINE.match(line)
    if match is None:
        raise ParseError(f"no kernel module and version in the line {line[:120]!r}")
    machine = match["machine"] or match["open_machine"]
    return KernelDriver(version=match["version"], open=match["open"] is not None, machine=machine)


def parse_module_version(data: bytes) -> str:
    """Read `/sys/module/nvidia/version` (or `nvidia_uvm`, ...): a driver version on a line of its own.

    Raises:
        ParseError: the text is anything else.
    """
    text = "\n".join(lines_of(data)).strip()
    if not is_driver_version(text):
        raise ParseError(f"not a driver version: {text[:120]!r}")
    return text


def parse_gpu_information(data: bytes) -> GpuInformation:
    """Read `/proc/driver/nvidia/gpus/<address>/information`.

    Args:
        data: the whole file.

    Raises:
        ParseError: the file is empty (drivers before 590 leave it so when they cannot wake the GPU), is not
            such a file, or has a line whose value cannot be what it says.
    """
    fields: dict[str, str] = {}
    for line in lines_of(data):
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    if not fields.keys() & {"Model", "GPU UUID", "Bus Location", "Device Minor"}:
        raise ParseError("no line of a GPU's information")
    uuid_text = fields.get("GPU UUID")
    uuid = uuid_text.lower().replace("gpu-", "GPU-", 1) if uuid_text else None
    known = uuid is not None and _UUID.fullmatch(uuid) is not None
    firmware = fields.get("GPU Firmware")
    return GpuInformation(
        model=fields.get("Model") or None,
        uuid=uuid if known else None,
        uuid_text=None if known else uuid_text,
        minor=_minor(fields.get("Device Minor")),
        firmware=None if firmware in (None, "", "N/A") else firmware,
        excluded=_yes(fields.get("GPU Excluded", "No")),
    )


def parse_proc_devices(data: bytes) -> tuple[CharMajor, ...]:
    """Read the character devices of `/proc/devices`, in the file's order.

    Args:
        data: the whole file.

    Raises:
        ParseError: there is no such list, or a line in it is not a number and a name.
    """
    lines = iter(lines_of(data))
    if not any(line.strip() == "Character devices:" for line in lines):
        raise ParseError("no list of character devices")
    found: list[CharMajor] = []
    for line in lines:  # goes on behind the heading
        if not line.strip() or line.strip() == "Block devices:":
            break
        number, _, name = line.strip().partition(" ")
        if not (is_number(number) and name.strip()):
            raise ParseError(f"not a major number and a name: {line[:120]!r}")
        found.append(CharMajor(name=name.strip(), major=int(number)))
    return tuple(found)


def _minor(text: str | None) -> int | None:
    if text is None:
        return None
    return number_of(text, "Device Minor")


def _yes(text: str) -> bool:
    if text not in ("Yes", "No"):
        raise ParseError(f"GPU Excluded is neither Yes nor No: {text[:120]!r}")
    return text == "Yes"
