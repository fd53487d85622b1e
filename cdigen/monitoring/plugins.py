"""A check as a line and an exit code: for Nagios and its kin, for Checkmk, for node-problem-detector.

Sources: Monitoring Plugins Development Guidelines ("Plugin Output for Nagios", "Performance data", "Plugin Return
Codes"); Checkmk, "Local checks"; kubernetes/node-problem-detector, docs/custom_plugin_monitor.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import one_line
from cdigen.findings import sentence
from cdigen.wording import count

if TYPE_CHECKING:
    from cdigen.diagnosis import Diagnosis, Level
    from cdigen.errors import CdigenError
    from cdigen.monitoring.result import CheckResult

STATES: dict[Level, tuple[int, str]] = {
    "ok": (0, "OK"),
    "warning": (1, "WARNING"),
    "problem": (2, "CRITICAL"),
    "unknown": (3, "UNKNOWN"),
}
"""The exit code and the word of each level, for Nagios and Checkmk."""

_SERVICE = "CDI"
_MAX_LINE = 80  # of node-problem-detector, unless it is told another number
_NPD = {"problem": 1, "unknown": 2}


def render_nagios(result: CheckResult) -> tuple[str, int]:
    """Return the lines and the exit code: the state with the gravest matter, figures, then all that is not right."""
    code, word = STATES[result.level]
    wrong = _wrong(result)
    figures = " ".join(
        (
            f"problems={result.count('problem')}",
            f"warnings={result.count('warning')}",
            f"unknown={result.count('unknown')}",
            f"time={result.seconds:.3f}s",
        )
    )
    first = f"{_SERVICE} {word} - {_without_bar(_summary(result))} | {figures}"
    return "\n".join((first, *(_without_bar(_line(one)) for one in wrong))) + "\n", code


def render_checkmk(result: CheckResult) -> tuple[str, int]:
    """Return the line of a local check, and its exit code, which is that it ran."""
    code, _ = STATES[result.level]
    figures = "|".join(f"{level}s={result.count(level)}" for level in ("problem", "warning"))
    return f'{code} "{_SERVICE}" {figures} {_summary(result)}\n', 0


def render_npd(result: CheckResult) -> tuple[str, int]:
    """Return a line of at most 80 characters and the exit code: 0 for no problem, 1 for one, 2 for unknown."""
    line = _summary(result)
    shown = line if len(line) <= _MAX_LINE else f"{line[: _MAX_LINE - 3]}..."
    return f"{shown}\n", _NPD.get(result.level, 0)


def render_failure(form: str, error: CdigenError) -> tuple[str, int]:
    """Return what a plugin says that could not look, and its exit code: unknown.

    Args:
        form: "nagios", "checkmk" or "npd".
        error: why.
    """
    text = one_line(str(error))
    if form == "checkmk":
        return f'3 "{_SERVICE}" - {text}\n', 0
    if form == "npd":
        return f"{text[:_MAX_LINE]}\n", 2
    return f"{_SERVICE} UNKNOWN - {_without_bar(text)}\n", 3


def _wrong(result: CheckResult) -> list[Diagnosis]:
    order = {level: rank for rank, level in enumerate(("problem", "warning", "unknown"))}
    return sorted((one for one in result.diagnoses if one.level in order), key=lambda one: order[one.level])


def _summary(result: CheckResult) -> str:
    wrong = _wrong(result)
    if not wrong:
        return f"{count(len(result.specs), 'spec')} true of this host" if result.specs else "no spec and no driver"
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return one_line(f"{_subject(wrong[0])}{wrong[0].message}{more}")


def _line(one: Diagnosis) -> str:
    return one_line(f"{one.level}: {_subject(one)}{sentence(one.message, one.remedy)}")


def _subject(one: Diagnosis) -> str:
    return "" if one.names_subject else f"{one.subject}: "


def _without_bar(text: str) -> str:
    return text.replace("|", "/")  # what follows it are figures
