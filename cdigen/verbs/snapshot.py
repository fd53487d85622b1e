"""cdigen snapshot: record this host's facts."""

from __future__ import annotations

from typing import Any

import click

from cdigen.cdi.render import render_yaml
from cdigen.errors import UsageError, one_line
from cdigen.host.recording import RecordingHost
from cdigen.options.shared import CREATE_DIRS, TARGET_OPTIONS, take_target, with_options
from cdigen.report import emit_bytes, say, say_findings
from cdigen.session.target import open_session
from cdigen.specs.questions import ask_everything
from cdigen.write import check_directory, write_file


@click.command("snapshot")
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    default="-",
    show_default=True,
    help="File to write; - is standard output.",
)
@CREATE_DIRS
@click.option("--note", default="", help="Free text for the reader, stored in the snapshot.")
@with_options(*TARGET_OPTIONS)
def command(output: str, create_dirs: bool, note: str, **values: Any) -> int:
    """Record the facts of this host that cdigen looks at: for a bug report, a test, or to build its spec elsewhere.

    A snapshot contains names of driver files, PCI addresses, GPU UUIDs and models, but no content of libraries. It
    can also be taken where generate refuses to write a spec.
    """
    target = take_target(values)
    if not note.replace("\n", "").isprintable():
        raise UsageError(
            f"--note {one_line(note)}: has characters that are not printable",
            hint="leave them out",
            code="invalid-value",
        )
    if output != "-" and not create_dirs:
        check_directory(output)
    session = open_session(target)
    recording = RecordingHost(session.host)
    asked = ask_everything(session.through(recording), ask_nvml=target.ask_nvml)
    say_findings(asked.findings)
    if asked.refusal is not None:
        say("note", f"generate would refuse this host (exit {asked.refusal.exit_code}): {asked.refusal}")
    document = recording.to_document(
        driver_root=session.driver_root, dev_root=asked.dev_root, platform=session.platform, note=note
    )
    header = "A snapshot of a host by `cdigen snapshot`; use it with: cdigen generate --snapshot FILE"
    data = render_yaml(document, (header,), compact=True)
    if output == "-":
        emit_bytes(data)
    else:
        write_file(output, data)
    return 0
