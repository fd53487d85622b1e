"""cdigen diff --facts: what has changed on a host since the facts behind its specs were recorded."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.errors import CdigenError, FileError, ParseError, UsageError, one_line
from cdigen.findings import Finding, Remedy
from cdigen.host import HostReadError
from cdigen.host.recording import RecordingHost
from cdigen.host.snapshot import SnapshotHost, load_snapshot
from cdigen.host.snapshot_diff import compare_entries
from cdigen.plan.options import BuildOptions
from cdigen.read import read_input
from cdigen.records import replace
from cdigen.report import emit, emit_json, findings_to_json, format_change, say_findings
from cdigen.session.planner import Planner
from cdigen.session.target import open_session
from cdigen.specs.header import RECORD
from cdigen.specs.questions import Asked, ask_everything
from cdigen.specs.record import questions_of
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cdigen.discover.gpus import AskNvml
    from cdigen.host import Host
    from cdigen.host.snapshot import Snapshot
    from cdigen.host.snapshot_diff import Change
    from cdigen.session.session import Session
    from cdigen.session.target import Target
    from cdigen.specs.record import Questions

    Entries = Mapping[str, Mapping[str, object]]

_KERNEL_TEXTS = ("/proc/devices", "/proc/driver/", "/sys/module/nvidia")
"""Where files are whose content is read because a record has it, though discovery did not come to them.

No others: a record may be anyone's, and must not choose which of this host's files are shown.
"""

_KERNEL_FILES = ("/proc/", "/sys/")
"""Where there is no library, and where reading can have an effect, such as taking lines out of the kernel's log."""


def run_facts_diff(target: Target, *, facts: str, as_json: bool) -> int:
    """Report how a host differs from its facts as they were recorded.

    Args:
        target: the host, seen from the roots of the record where it names none itself.
        facts: the record, or any other snapshot; "-" is standard input.
        as_json: report as JSON.

    Returns:
        0 if nothing has changed, else 1.

    Raises:
        FileError: the record or the host cannot be opened.
        DocumentError: the record is not one.
    """
    record = _load(facts, target)
    session = open_session(target)
    if target.snapshot is None and target.driver_root is None:
        platform = record.platform if target.platform == "auto" else target.platform
        session = session.at(record.driver_root, target.dev_root or record.dev_root, platform)
    recording = RecordingHost(session.host)
    asked = _ask(session.through(recording), target, questions_of(record.generated))
    now = _entries_now(recording, session.host, record.host.entries)
    with_gone = target.snapshot is None or asked.is_complete
    result = compare_entries(record.host.entries, now, with_gone=with_gone)
    findings = (
        *_find_other_roots(record, session),
        *_find_refusal(asked, with_gone=with_gone),
        *_find_denied(result.denied),
    )
    if as_json:
        changes = [
            {"path": change.path, "fact": change.fact, "old": change.old, "new": change.new}
            for change in result.changes
        ]
        emit_json("diff-facts", {"facts": facts, "changes": changes, "findings": findings_to_json(findings)})
    else:
        say_findings(findings)
        emit(*map(_line, result.changes))
    return 1 if result.changes else 0


def _load(facts: str, target: Target) -> Snapshot:
    if facts == "-" and target.snapshot == "-":
        raise UsageError(
            "--facts and --snapshot cannot both be standard input",
            hint="name a file with one of them",
            code="conflicting-options",
        )
    if facts != "-":
        _check_is_there(facts)
    return load_snapshot(read_input(facts), facts)


def _check_is_there(facts: str) -> None:
    try:
        os.lstat(facts)
    except FileNotFoundError as error:
        raise FileError(
            f"cannot read {one_line(facts)}: there is no such record",
            hint="name another file, or keep the facts behind the next spec with",
            commands=(f"cdigen generate --record {RECORD}",),
            subject=facts,
            code="no-record",
        ) from error
    except (OSError, ValueError):
        return  # whoever reads it says why it cannot be


def _ask(session: Session, target: Target, questions: Questions | None) -> Asked:
    """Ask the host what the record was asked.

    Args:
        session: the host.
        target: what the user wants of NVML, where that is not the default.
        questions: those of the record; None asks everything, as for a snapshot.
    """
    ask_nvml: AskNvml = target.ask_nvml if target.ask_nvml != "auto" or questions is None else questions.ask_nvml
    if questions is None:
        return ask_everything(session, ask_nvml=ask_nvml)
    refusal: CdigenError | None = None
    is_complete = False
    try:
        planner = Planner(replace(target, ask_nvml=ask_nvml), session=session)
        for mode in questions.modes:
            try:
                planner.plan(BuildOptions(mode=mode))
                is_complete = is_complete or mode == questions.modes[0]
            except CdigenError as error:
                if mode == questions.modes[0]:
                    refusal, is_complete = error, planner.has_scanned
    except CdigenError as error:
        refusal = error
    return Asked(refusal=refusal, is_complete=is_complete)


def _entries_now(recording: RecordingHost, host: Host, recorded: Entries) -> Entries:
    """Return what there is now, also of what discovery did not come to, as it was refused or took another way.

    Args:
        recording: what discovery has asked.
        host: the host that it asked.
        recorded: the entries of the record.
    """
    if isinstance(host, SnapshotHost):
        there = {path: host.entries[path] for path in recorded if path in host.entries}
        return {path: host.entries.get(path, entry) for path, entry in recording.entries.items()} | there
    for path, entry in recorded.items():
        with suppress(HostReadError):
            if path not in recording.entries:
                recording.lstat(path)
            known = recording.entries.get(path, {})
            if known.get("kind") != "file" or entry["kind"] != "file":
                continue
            if "text" in entry and not known.keys() & {"text", "base64"} and path.startswith(_KERNEL_TEXTS):
                recording.read(path)
            if "elf" in entry and not known.keys() & {"elf", "damaged"} and not path.startswith(_KERNEL_FILES):
                with suppress(ParseError):
                    recording.elf(path)
    return recording.entries


def _find_other_roots(record: Snapshot, session: Session) -> Iterator[Finding]:
    if record.driver_root != session.driver_root:
        yield Finding(
            level="warning",
            code="other-root",
            subject=one_line(session.driver_root),
            message=f"the facts were recorded with --driver-root {one_line(record.driver_root)} and are compared with"
            f" {one_line(session.driver_root)}",
            remedy=Remedy("leave out --driver-root to compare the same directory"),
        )


def _find_refusal(asked: Asked, *, with_gone: bool) -> Iterator[Finding]:
    if asked.refusal is not None:
        new = "" if asked.is_complete else ", so new facts may not be shown"
        gone = "" if with_gone else "; what is gone is not shown, because the snapshot may not contain it"
        yield Finding(
            level="note",
            code="refused",
            subject="generate",
            message=f"generate without options would now refuse the host{new}"
            f" (exit {asked.refusal.exit_code}): {asked.refusal}{gone}",
        )


def _find_denied(paths: tuple[str, ...]) -> Iterator[Finding]:
    if paths:
        yield Finding(
            level="warning",
            code="not-compared",
            subject=one_line(paths[0]),
            message=f"not compared: {count(len(paths), 'path')} that cannot be read now, or could not be read then,"
            f" such as {one_line(paths[0])}",
            remedy=Remedy("run as root"),
        )


def _line(change: Change) -> str:
    return format_change(", ".join(filter(None, (change.path, change.fact))), change.old, change.new)
