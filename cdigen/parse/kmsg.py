"""Records of the kernel's log, and what NVIDIA's driver reports in them.

Sources: Linux, Documentation/ABI/testing/dev-kmsg, for a record; for an Xid, NVIDIA's "XID Errors"
(docs.nvidia.com/deploy/xid-errors), "Viewing Xid Error Messages", and published logs, such as

    NVRM: Xid (PCI:0000:03:00): 79, pid=1194, GPU has fallen off the bus.
    NVRM: Xid (PCI:0008:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)
"""

from __future__ import annotations

import re

from cdigen.errors import ParseError
from cdigen.records import Record

_PREFIX = re.compile(rb"([0-9]{1,10}),([0-9]{1,20}),[0-9]{1,20},[^;\n]{0,200};")
_XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})(?:\.[0-7])?\): ([0-9]{1,4})(?:,|$)")
_RECOVERY = re.compile(
    r"GPU recovery action changed from 0x[0-9a-f]{1,8} \([^)]{0,60}\) to 0x([0-9a-f]{1,8}) \(([^)]{0,60})\)"
)
_LOADING = "NVRM: loading NVIDIA UNIX"


class KernelMessage(Record):
    """A record of the kernel's log.

    Attributes:
        is_kernels: whether the kernel itself has said it: what a program writes there has another facility.
        text: what it says, without what follows on further lines.
    """

    is_kernels: bool
    text: str


class Xid(Record):
    """An error report of the driver's.

    Attributes:
        device: the PCI address of the GPU without its function, "dddd:bb:dd".
        number: which error.
        recovery: of number 154, what the driver wants to be done, in its words; "" for nothing; None for all others.
    """

    device: str
    number: int
    recovery: str | None


def parse_kernel_message(data: bytes) -> KernelMessage:
    """Return one record, as one read of /dev/kmsg gives it.

    Raises:
        ParseError: it is none.
    """
    found = _PREFIX.match(data)
    if found is None:
        raise ParseError(f"no record of the kernel's log: {data[:120]!r}")
    text = data[found.end() :].split(b"\n", 1)[0]
    return KernelMessage(is_kernels=int(found[1]) >> 3 == 0, text=text.decode(errors="replace"))


def parse_xid(text: str) -> Xid | None:
    """Return the Xid that a message reports; None if it reports none."""
    found = _XID.match(text)
    if found is None:
        return None
    domain, bus, device, number = found.groups()
    recovery = _RECOVERY.search(text) if number == "154" else None
    return Xid(
        device=f"{int(domain, 16):04x}:{bus}:{device}",
        number=int(number),
        recovery=None if recovery is None else "" if int(recovery[1], 16) == 0 else recovery[2],
    )


def says_module_loaded(text: str) -> bool:
    """Tell whether a message says that the driver's module has just been loaded."""
    return text.startswith(_LOADING)
