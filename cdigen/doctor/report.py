"""Diagnoses as the report of a command: lines for a reader, coloured on a terminal, or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.report import Coloured, emit, remedy_to_json
from cdigen.wording import count, first_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cdigen.diagnosis import Diagnosis

_COLOURS = {"ok": 32, "unknown": 36, "warning": 33, "problem": 31}
"""Of the terminal: ECMA-48, select graphic rendition. In the order of the report: what matters most is read last."""

_MARGIN = " " * 18  # what to do stands below the subject
_MAX_NAMED = 3


def emit_diagnoses(found: Sequence[Diagnosis], *, good: str, bad: str) -> None:
    """Write a line for each, those that say the same of several subjects as one, below it what to do, then the verdict.

    Args:
        found: in the order of the chain; here the problems are last.
        good: the verdict where nothing is a problem.
        bad: the verdict where something is.
    """
    groups = sorted(_fold(found), key=lambda group: [*_COLOURS].index(group[0].level))
    emit(*(line for group in groups for line in _to_lines(group)), "", _verdict(found, good, bad))


def diagnoses_to_json(found: Iterable[Diagnosis]) -> list[dict[str, object]]:
    """Return diagnoses as JSON values, every one by itself."""
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


def _fold(found: Iterable[Diagnosis]) -> list[list[Diagnosis]]:
    """Return diagnoses in groups that are a line each: the same was found of several subjects, and is to be done.

    What is right is one line only if every word of it is the same, as it may have numbers of its subject.
    """
    groups: dict[object, list[Diagnosis]] = {}
    for one in found:
        key = (one.topic, one.level, one.code, one.remedy, one.message if one.level == "ok" else None)
        group = groups.setdefault(key, [])
        if any(other.subject == one.subject for other in group):  # another matter of the same subject
            groups[(key, one.subject, one.message)] = [one]
        else:
            group.append(one)
    return [*groups.values()]


def _to_lines(group: Sequence[Diagnosis]) -> list[str | Coloured]:
    one = group[0]
    same = [other for other in group if other.message == one.message]
    others = [other.subject for other in group if other.message != one.message]
    subjects = (
        "" if one.names_subject and len(same) == 1 else first_of([other.subject for other in same], _MAX_NAMED) + ": "
    )
    likewise = f"; likewise {first_of(others, _MAX_NAMED)}" if others else ""
    hint = [f"-> {one.remedy.hint}"] if one.remedy.hint else []
    remedy = (*hint, *(f"$ {command}" for command in one.remedy.commands))
    said = f"  {one.topic:<7}  {subjects}{one.message}{likewise}"
    return [Coloured(_COLOURS[one.level], f"{one.level:<7}", said), *(f"{_MARGIN}{part}" for part in remedy)]


def _verdict(found: Sequence[Diagnosis], good: str, bad: str) -> str:
    """Return the last line: the verdict, and what it is made of, the gravest first."""
    levels = [one.level for one in found]
    numbers = {level: levels.count(level) for level in ("problem", "warning", "unknown", "ok")}
    verdict = bad if numbers["problem"] else good
    unseen = ", as far as could be seen" if numbers["unknown"] and not numbers["problem"] else ""
    parts = [
        count(number, level) if level in ("problem", "warning") else f"{number} {level}"
        for level, number in numbers.items()
        if number
    ]
    return f"{verdict}{unseen}: {', '.join(parts)}"
