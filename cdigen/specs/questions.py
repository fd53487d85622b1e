"""A host asked everything that any command would ask, so that a snapshot has it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.catalog.classes import CLASSES
from cdigen.discover.classes import find_class
from cdigen.errors import CdigenError
from cdigen.nodes.expected import find_expected_nodes
from cdigen.notes import Notes
from cdigen.plan.options import BuildOptions
from cdigen.plan.plan import build_plan
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.discover.gpus import AskNvml
    from cdigen.findings import Finding
    from cdigen.session.session import Session


class Asked(Record):
    """What came of asking a host everything.

    Attributes:
        refusal: why generate, without options, would write no spec; None if it would.
        is_complete: whether all was asked that can be; a scan ends early where nothing can come of it.
        dev_root: the directory on the host that holds `dev/`, chosen if none was given; None if it cannot be told.
        findings: of the scan for the GPUs' spec.
    """

    refusal: CdigenError | None
    is_complete: bool
    dev_root: str | None = None
    findings: tuple[Finding, ...] = ()


def ask_everything(session: Session, *, ask_nvml: AskNvml) -> Asked:
    """Ask a host whatever any command of ours would ask, however little of a driver it has."""
    try:
        views = session.views
    except CdigenError as error:
        return Asked(refusal=error, is_complete=False, dev_root=session.dev_root)
    inventory = None
    refusal = None
    try:
        inventory = session.inventory(ask_nvml)
        build_plan(inventory, BuildOptions())
    except CdigenError as error:
        refusal = error
    with suppress(CdigenError):  # what `nodes` asks; it was said already if it cannot be read
        find_expected_nodes(views, Notes())
    for row in CLASSES:
        with suppress(CdigenError):  # what the other modes ask; what cannot be read is recorded as such
            find_class(views, row.name)
    return Asked(
        refusal=refusal,
        is_complete=inventory is not None,
        dev_root=views.dev_root,
        findings=() if inventory is None else inventory.findings,
    )
