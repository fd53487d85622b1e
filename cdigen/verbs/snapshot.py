"""cdigen snapshot: record this host's facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.cdi.render import render_yaml
from cdigen.errors import UsageError, one_line
from cdigen.host.recording import RecordingHost
from cdigen.report import emit_bytes, say, say_findings
from cdigen.session.target import open_session
from cdigen.specs.questions import ask_everything
from cdigen.write import check_directory, write_file

if TYPE_CHECKING:
    from cdigen.session.target import Target


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
    session = open_session(target)
    recording = RecordingHost(session.host)
    asked = ask_everything(session.through(recording), ask_nvml=target.ask_nvml)
    say_findings(asked.findings)
    if asked.refusal is not None:
        say("note", f"generate would refuse this host (exit {asked.refusal.exit_code}): {asked.refusal}")
    document = recording.to_document(driver_root=session.driver_root, dev_root=asked.dev_root, note=note)
    header = "A snapshot of a host by `cdigen snapshot`; use it with: cdigen generate --snapshot FILE"
    data = render_yaml(document, (header,), compact=True)
    if output == "-":
        emit_bytes(data)
    else:
        write_file(output, data)
    return 0
