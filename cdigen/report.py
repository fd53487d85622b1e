"""Findings and reports as text or JSON: the only door to a terminal.

Text goes out as lines, and what is not printable in a line is escaped here, whoever made it of whatever a host, a
snapshot, a spec or an image says: none of them can write a second line, move the cursor or turn the text around. The
JSON of every command obeys `schemas/report.schema.json` and is ASCII. Data goes to standard output, all else to
standard error.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from cdigen.errors import FileError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cdigen.errors import CdigenError
    from cdigen.facts import LeftOut
    from cdigen.findings import Finding, Remedy


class Coloured(NamedTuple):
    """A line whose start has a colour on a terminal.

    Attributes:
        colour: the parameter of ECMA-48's "select graphic rendition", such as 31 for red.
        start: what has it.
        rest: what follows.
    """

    colour: int
    start: str
    rest: str


def emit(*lines: str | Coloured) -> None:
    """Write lines to standard output; what is not printable in one is written as an escape, a line break too.

    Raises:
        FileError: it cannot be written, e.g. because the disk is full. A reader that has gone away is no error
            of ours and stays a BrokenPipeError.
    """
    _write("".join(f"{_to_text(line)}\n" for line in lines))


def _to_text(line: str | Coloured) -> str:
    if isinstance(line, str):
        return one_line(line)
    start, rest = one_line(line.start), one_line(line.rest)
    return f"\x1b[{line.colour}m{start}\x1b[0m{rest}" if _has_colours() else start + rest


def _has_colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise stdout_error(error) from error


def emit_bytes(data: bytes) -> None:
    """Write a document that is for a program, such as a spec, to standard output as it is; errors as of `emit`."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise stdout_error(error) from error


def stdout_error(error: OSError) -> FileError:
    """Return what is said where standard output cannot be written."""
    failure = FileError(
        f"cannot write to standard output: {error.strerror}",
        hint="make room, or write elsewhere",
        code="cannot-write-stdout",
    )
    failure.is_reported = True
    return failure


def emit_json(command: str, fields: dict[str, object]) -> None:
    """Write the report of `command` as one JSON document; see `emit`."""
    _write(json_text(command, fields))


def json_text(command: str, fields: dict[str, object]) -> str:
    """Return the report of `command` as one JSON document."""
    import json

    return json.dumps({"report": command, **fields}, indent=2) + "\n"


def emit_error(error: CdigenError) -> None:
    """Write an error as one JSON document, in place of the report that there would have been; see `emit`."""
    fields = {
        "code": error.code,
        "exitCode": error.exit_code,
        "subject": one_line(error.subject),
        "message": one_line(error.message),
        "remedy": remedy_to_json(error.remedy),
        "findings": findings_to_json(error.findings),
    }
    import json

    _write(json.dumps({"error": fields}, indent=2) + "\n")


def say(level: str, message: str) -> None:
    """Write one line for the user to standard error.

    Args:
        level: "error", "warning", "note" or "" for plain information.
        message: one line.
    """
    prefix = f"cdigen: {level}: " if level else "cdigen: "
    with suppress(OSError):  # a full or broken standard error is no reason to stop
        sys.stderr.write(prefix + one_line(message) + "\n")


def say_again(said: bytes) -> None:
    """Write to standard error what another run of the program has written to its own, line by line."""
    with suppress(OSError):
        lines = said.decode(errors="backslashreplace").splitlines()
        sys.stderr.write("".join(f"{one_line(line)}\n" for line in lines))
        sys.stderr.flush()


def say_help(text: str) -> None:
    """Write the help to standard error, where nothing else was asked for."""
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")


def say_findings(findings: Iterable[Finding]) -> None:
    """Write every finding to standard error."""
    for finding in findings:
        say(finding.level, finding.text)


def findings_to_json(findings: Iterable[Finding]) -> list[dict[str, object]]:
    """Return findings as JSON values."""
    return [
        {
            "level": finding.level,
            "code": finding.code,
            "subject": finding.subject,
            "message": finding.message,
            "remedy": remedy_to_json(finding.remedy),
        }
        for finding in findings
    ]


def remedy_to_json(remedy: Remedy) -> dict[str, object] | None:
    """Return what to do as a JSON value; None if nothing is."""
    return {"hint": remedy.hint, "commands": [*remedy.commands]} if remedy else None


def left_out_to_json(left_out: Iterable[LeftOut]) -> list[dict[str, str]]:
    """Return left-out files as JSON values."""
    return [{"hostPath": entry.host_path, "reason": entry.reason} for entry in left_out]


def format_change(entry: str, before: str | None, after: str | None) -> str:
    """Return a line of a comparison: what is new, gone, or changed.

    Args:
        entry: what it is about.
        before: its value then; None where there was none.
        after: its value now; None where there is none.
    """
    if before is None:
        return f"+ {entry}: {after}"
    return f"- {entry}: {before}" if after is None else f"~ {entry}: {before} -> {after}"


def format_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table with columns as wide as their widest cell, without trailing blanks."""
    lines = [tuple(header), *(tuple(map(one_line, row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
