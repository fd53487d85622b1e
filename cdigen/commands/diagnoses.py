"""Diagnoses as the report of a command: lines for a reader, coloured on a terminal, or JSON."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cdigen.report import emit, remedy_to_json
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cdigen.doctor.diagnosis import Diagnosis

_COLOURS = {"ok": 32, "warning": 33, "problem": 31, "unknown": 36}
"""Of the terminal: ECMA-48, select graphic rendition."""

_MARGIN = " " * 18  # what to do stands below the subject


def emit_diagnoses(found: Sequence[Diagnosis]) -> None:
    """Write a line for each, below it what to do, and at the end how many there are of each level."""
    with_colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    emit("".join(_to_text(one, with_colours=with_colours) for one in found) + _summary(found))


def diagnoses_to_json(found: Iterable[Diagnosis]) -> list[dict[str, object]]:
    """Return diagnoses as JSON values."""
    return [
        {
            "topic": one.topic,
            "subject": one.subject,
            "level": one.level,
            "code": one.code,
            "message": one.message,
            "remedy": remedy_to_json(one.remedy),
        }
        for one in found
    ]


def _to_text(one: Diagnosis, *, with_colours: bool) -> str:
    level = f"{one.level:<7}"
    if with_colours:
        level = f"\x1b[{_COLOURS[one.level]}m{level}\x1b[0m"
    line = f"{level}  {one.topic:<7}  {one.subject}: {one.message}\n"
    hint = [f"-> {one.remedy.hint}"] if one.remedy.hint else []
    return line + "".join(
        f"{_MARGIN}{part}\n" for part in (*hint, *(f"$ {command}" for command in one.remedy.commands))
    )


def _summary(found: Iterable[Diagnosis]) -> str:
    levels = [one.level for one in found]
    return (
        f"\n{levels.count('ok')} ok, {count(levels.count('warning'), 'warning')},"
        f" {count(levels.count('problem'), 'problem')}, {levels.count('unknown')} unknown\n"
    )
