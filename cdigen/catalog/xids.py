"""Error reports of the driver (Xids), and whether the GPU can still be given to another container.

Sources: NVIDIA's "XID Errors" and "Analyzing Xid Errors with the Xid Catalog" (docs.nvidia.com/deploy/xid-errors), for
what each is; NVIDIA/k8s-device-plugin, internal/rm/health.go, for those that its plugin takes for faults of programs;
NVIDIA/k8s-device-plugin#1014, for what it means to users that 94 takes a GPU away for good.
"""

from __future__ import annotations

from cdigen.records import Record


class XidRow(Record, kw_only=False):
    """One of them.

    Attributes:
        number: which.
        counts: whether a GPU that reports it is not given to anybody until it was reset.
        what: what has happened, a clause.
    """

    number: int
    counts: bool
    what: str


RECOVERY_ACTION = 154
"""Says by itself what is to be done, and that nothing is any more: its text counts, and no row."""

XIDS = {
    row.number: row
    for row in (
        XidRow(13, False, "a program's fault: an exception of the graphics engine"),
        XidRow(31, False, "a program's fault: it used memory that it does not have"),
        XidRow(43, False, "a program's fault: its work was stopped, and the GPU goes on"),
        XidRow(45, False, "a program was ended, and its work taken from the GPU"),
        XidRow(48, True, "an error of memory that ECC cannot correct"),
        XidRow(62, True, "a controller of the GPU has halted"),
        XidRow(63, False, "a row of memory is to be replaced at the next reset, and works till then"),
        XidRow(64, True, "a row of memory could not be noted to be replaced"),
        XidRow(68, False, "a program's fault: an exception of the video engine"),
        XidRow(74, True, "an NVLink has failed"),
        XidRow(79, True, "the GPU has fallen off the bus"),
        XidRow(92, False, "many errors of memory, all of which ECC has corrected"),
        XidRow(94, False, "an error of memory that met one program, which was ended; others are not concerned"),
        XidRow(95, True, "an error of memory that may concern every program on the GPU"),
        XidRow(109, False, "a program's fault: its context took too long to switch"),
        XidRow(119, True, "the GPU's system processor (GSP) does not answer"),
        XidRow(120, True, "the GPU's system processor (GSP) has failed"),
        XidRow(140, True, "errors of memory that could not be recovered from"),
        XidRow(143, True, "the GPU could not be initialised"),
    )
}
"""By number; what is not here does not count."""
