"""GPUs that the driver has reported an Xid of after which they are no good, as the kernel's log tells.

Such a GPU is given to nobody until the driver says that nothing is to be done any more (154), its module was loaded
anew, or the GPU was away in between, as when it is unbound or reset. What was reported before this process began does
not count: it may have been mended.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cdigen.catalog.xids import RECOVERY_ACTION, XIDS
from cdigen.errors import ParseError
from cdigen.parse.kmsg import parse_kernel_message, parse_xid, says_module_loaded
from cdigen.report import say

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cdigen.kubernetes.devices import OfferedDevice

KMSG = "/dev/kmsg"

_RECORD = 8192  # bytes that a read must have room for
_MOST_RECORDS = 4096  # of one waking


class XidLog:
    """The Xids that count, of all GPUs.

    Attributes:
        fd: readable when there is more to read.
    """

    def __init__(self, path: str = KMSG) -> None:
        """Read the log from its present end on.

        Raises:
            OSError: this process may not read it, or it is not there.
        """
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._failed: dict[str, str] = {}
        try:
            os.lseek(self.fd, 0, os.SEEK_END)
            self._read()  # a container may be given one that can be opened and not read
        except OSError:
            os.close(self.fd)
            raise

    def drain(self) -> bool:
        """Read what there is; return whether something is judged otherwise than before.

        Raises:
            OSError: the log cannot be read any more.
        """
        before = dict(self._failed)
        for _ in range(_MOST_RECORDS):
            data = self._read()
            if not data:
                break
            self.take(data)
        return before != self._failed

    def _read(self) -> bytes:
        """Return the next record; nothing if there is none."""
        while True:
            try:
                return os.read(self.fd, _RECORD)
            except BlockingIOError:
                return b""
            except BrokenPipeError:  # of records that nobody has read in time; the next read goes on behind them
                say("warning", f"records of {KMSG} were lost, and with them maybe an Xid")

    def take(self, data: bytes) -> None:
        """Judge one record; what is none, or none of the kernel's own, says nothing."""
        try:
            message = parse_kernel_message(data)
        except ParseError:
            return
        if not message.is_kernels:
            return
        if says_module_loaded(message.text):
            self._failed.clear()
            return
        xid = parse_xid(message.text)
        if xid is None:
            return
        row = XIDS.get(xid.number)
        if xid.number == RECOVERY_ACTION and xid.recovery == "":
            self._failed.pop(xid.device, None)
        elif xid.number == RECOVERY_ACTION and xid.recovery is not None:
            self._failed[xid.device] = f"Xid {xid.number}: the driver says {xid.recovery}"
        elif row is not None and row.counts:
            self._failed[xid.device] = f"Xid {xid.number}: {row.what}"
        else:
            what = f" ({row.what})" if row is not None else ""
            say("note", f"GPU {xid.device}: Xid {xid.number}{what}; the GPU is offered as before")

    def find_failed(self, devices: Iterable[OfferedDevice], present: Collection[str]) -> dict[str, str]:
        """Return why devices are no good, a clause for each, by ID.

        Args:
            devices: those that are offered.
            present: the PCI addresses of the GPUs that the driver lists. What was said of others is forgotten: one that
                comes back is another matter.
        """
        there = {_device_of(bdf) for bdf in present}
        self._failed = {device: reason for device, reason in self._failed.items() if device in there}
        at = ((device.id, device.place) for device in devices)
        reasons = {name: self._failed.get(_device_of(place.bdf), "") for name, place in at if place is not None}
        return {name: reason for name, reason in reasons.items() if reason}

    def close(self) -> None:
        """Read no more."""
        os.close(self.fd)


def _device_of(bdf: str) -> str:
    """Return a PCI address without its function, as the driver's reports have it."""
    return bdf.rpartition(".")[0]
