"""The values of NVML: PCI addresses, UUIDs, names and numbers, as they come from its functions.

Sources: nvml.h and the NVML reference manual of NVIDIA; for the UUIDs before R470 and the profiles, the MIG user guide.
"""

from __future__ import annotations

import re

from cdigen.errors import ParseError

MAX_TEXT = 500
"""The most characters of a text. NVML's own buffers, for UUIDs and names, have 96."""

MAX_NUMBER = (1 << 20) - 1
"""The largest minor, for which the kernel has 20 bits; every instance has a minor too."""

MAX_MEMORY = 1 << 26
"""The most MiB of a GPU's memory: 64 TiB. Today's have less than one."""

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GPU_UUID = re.compile(rf"GPU-{_UUID}")
_MIG_UUID = re.compile(rf"MIG-(?:{_UUID}|GPU-{_UUID}/[0-9]{{1,3}}/[0-9]{{1,3}})")
_BUS_ID = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")
_COMPUTE = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")
_PROFILE = re.compile(r"(?:[0-9]{1,2}c\.)?[0-9]{1,2}g\.[0-9]{1,4}gb(?:[+-][a-z][a-z0-9.]{0,15}){0,4}")


def parse_bus_id(value: object) -> str:
    """Return a PCI address of NVML (`00000008:06:00.0`, upper case) as procfs writes it (`0008:06:00.0`).

    Raises:
        ParseError: it is none.
    """
    match = _BUS_ID.fullmatch(value.lower()) if isinstance(value, str) else None
    if match is None:
        raise ParseError(f"not a PCI address: {preview(value)}")
    domain, bus, device, function = match.groups()
    return f"{int(domain, 16):04x}:{bus}:{device}.{function}"


def parse_compute(value: object) -> str:
    """Return a compute capability such as "9.0", as it is.

    Raises:
        ParseError: it is none.
    """
    if not isinstance(value, str) or _COMPUTE.fullmatch(value) is None:
        raise ParseError(f"not a compute capability: {preview(value)}")
    return value


def parse_memory(value: object) -> int:
    """Return a number of MiB, as it is.

    Raises:
        ParseError: it cannot be one of a GPU's memory.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_MEMORY:
        raise ParseError(f"not a number of MiB from 1 to {MAX_MEMORY}: {preview(value)}")
    return value


def parse_gpu_uuid(value: object) -> str:
    """Return the UUID of a GPU, its digits in lower case.

    Raises:
        ParseError: it is none.
    """
    uuid = value.lower().replace("gpu-", "GPU-", 1) if isinstance(value, str) else ""
    if _GPU_UUID.fullmatch(uuid) is None:
        raise ParseError(f"not the UUID of a GPU: {preview(value)}")
    return uuid


def parse_mig_uuid(value: object) -> str:
    """Return the UUID of a MIG device, its digits in lower case.

    Raises:
        ParseError: it is none.
    """
    uuid = value.lower().replace("mig-", "MIG-", 1).replace("gpu-", "GPU-", 1) if isinstance(value, str) else ""
    if _MIG_UUID.fullmatch(uuid) is None:
        raise ParseError(f"not the UUID of a MIG device: {preview(value)}")
    return uuid


def parse_mig_name(value: object) -> str:
    """Return the profile in the name of a MIG device: the GPU's name, `MIG`, and the profile.

    Raises:
        ParseError: the name does not end so.
    """
    if not isinstance(value, str) or "MIG " not in value:
        raise ParseError(f"not the name of a MIG device: {preview(value)}")
    return parse_profile(value.rpartition("MIG ")[2])


def parse_name(value: object) -> str:
    """Return a name or a version as it is.

    Raises:
        ParseError: it is no text, empty, too long, or has characters that cannot be printed.
    """
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise ParseError(f"not a printable text: {preview(value)}")
    return value


def parse_number(value: object) -> int:
    """Return a minor, an index, or the ID of an instance, as it is.

    Raises:
        ParseError: it cannot be one.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_NUMBER:
        raise ParseError(f"not a number from 0 to {MAX_NUMBER}: {preview(value)}")
    return value


def parse_profile(value: object) -> str:
    """Return the profile of a MIG device, such as `1c.2g.10gb` or `1g.24gb+gfx`, as it is.

    Raises:
        ParseError: it is none.
    """
    if not isinstance(value, str) or _PROFILE.fullmatch(value) is None:
        raise ParseError(f"not a MIG profile: {preview(value)}")
    return value


def preview(value: object) -> str:
    """Return `value` as a reason repeats it: short and on one line."""
    if isinstance(value, dict | list):
        return "a collection"
    return repr(value[:120] if isinstance(value, str) else value)
