"""cdigen snapshot: record this host's facts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.build.options import BuildOptions
from cdigen.build.plan import build_plan
from cdigen.cdi.render import render_yaml
from cdigen.commands.target import open_target
from cdigen.discover.classes import find_class
from cdigen.discover.classes_catalog import CLASSES
from cdigen.discover.expected import find_expected_nodes
from cdigen.discover.notes import Notes
from cdigen.discover.scan import find_inventory
from cdigen.discover.views import open_views
from cdigen.errors import CdigenError
from cdigen.host.recording import RecordingHost
from cdigen.report import emit, say, say_findings
from cdigen.write import write_file

if TYPE_CHECKING:
    from cdigen.commands.target import Target


def run_snapshot(target: Target, *, output: str, note: str) -> int:
    """Write a snapshot of the host, also of one for which generate refuses to write a spec.

    Args:
        target: the host.
        output: the file to write, "-" for standard output.
        note: free text for the reader of the snapshot.

    Returns:
        0.
    """
    opened = open_target(target)
    recording = RecordingHost(opened.host)
    dev_root = opened.dev_root
    try:
        views = open_views(recording, driver_root=opened.driver_root, dev_root=opened.dev_root)
        dev_root = views.dev_root
        inventory = find_inventory(views, ask_nvml=target.ask_nvml)
        say_findings(inventory.findings)
        build_plan(inventory, BuildOptions())
    except CdigenError as error:
        say("note", f"generate would refuse this host (exit {error.exit_code}): {error}")
    with suppress(CdigenError):  # what `nodes` asks; it was said already if it cannot be read
        find_expected_nodes(open_views(recording, driver_root=opened.driver_root, dev_root=dev_root), Notes())
    for row in CLASSES:
        with suppress(CdigenError):  # what the other modes ask; what cannot be read is recorded as such
            find_class(open_views(recording, driver_root=opened.driver_root, dev_root=dev_root), row.name)
    document = recording.to_document(driver_root=opened.driver_root, dev_root=dev_root, note=note)
    header = "A snapshot of a host by `cdigen snapshot`; use it with: cdigen generate --snapshot FILE"
    data = render_yaml(document, (header,), compact=True)
    if output == "-":
        emit(data.decode())
    else:
        write_file(output, data)
    return 0
