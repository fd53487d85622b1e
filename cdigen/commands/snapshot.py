"""cdigen snapshot: record this host's facts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cdigen.cdi.render import render_yaml
from cdigen.commands.target import open_target
from cdigen.discover.classes import find_class
from cdigen.discover.classes_catalog import CLASSES
from cdigen.discover.expected import find_expected_nodes
from cdigen.discover.notes import Notes
from cdigen.discover.scan import find_inventory
from cdigen.discover.views import open_views
from cdigen.errors import CdigenError, UsageError, one_line
from cdigen.host.recording import RecordingHost
from cdigen.plan.options import BuildOptions
from cdigen.plan.plan import build_plan
from cdigen.report import emit_bytes, say, say_findings
from cdigen.write import check_directory, write_file

if TYPE_CHECKING:
    from cdigen.commands.target import OpenTarget, Target
    from cdigen.discover.gpus import AskNvml
    from cdigen.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
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


def ask_everything(opened: OpenTarget, *, ask_nvml: AskNvml) -> Asked:
    """Ask a host whatever any command of ours would ask, however little of a driver it has."""
    try:
        views = open_views(opened.host, driver_root=opened.driver_root, dev_root=opened.dev_root)
    except CdigenError as error:
        return Asked(refusal=error, is_complete=False, dev_root=opened.dev_root)
    inventory = None
    refusal = None
    try:
        inventory = find_inventory(views, ask_nvml=ask_nvml)
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


def run_snapshot(target: Target, *, output: str, note: str, create_directories: bool = False) -> int:
    """Write a snapshot of the host, also of one for which generate refuses to write a spec.

    Args:
        target: the host.
        output: the file to write, "-" for standard output.
        note: free text for the reader of the snapshot.
        create_directories: make the directory of `output` if it is missing.

    Returns:
        0.

    Raises:
        UsageError: the note is not lines of printable text, which is all that a snapshot may have there.
    """
    if not note.replace("\n", "").isprintable():
        raise UsageError(
            f"--note {one_line(note)}: has characters that are not printable",
            hint="leave them out",
            code="invalid-value",
        )
    if output != "-" and not create_directories:
        check_directory(output)
    opened = open_target(target)
    recording = RecordingHost(opened.host)
    asked = ask_everything(replace(opened, host=recording), ask_nvml=target.ask_nvml)
    say_findings(asked.findings)
    if asked.refusal is not None:
        say("note", f"generate would refuse this host (exit {asked.refusal.exit_code}): {asked.refusal}")
    document = recording.to_document(driver_root=opened.driver_root, dev_root=asked.dev_root, note=note)
    header = "A snapshot of a host by `cdigen snapshot`; use it with: cdigen generate --snapshot FILE"
    data = render_yaml(document, (header,), compact=True)
    if output == "-":
        emit_bytes(data)
    else:
        write_file(output, data)
    return 0
