"""cdigen doctor: the whole chain from a GPU to a container, and what to do where it is broken."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cdigen.commands.own_files import is_ours
from cdigen.commands.target import open_target
from cdigen.discover.views import open_views
from cdigen.doctor.checks import diagnose
from cdigen.doctor.diagnosis import Context
from cdigen.doctor.programs import run_programs
from cdigen.report import count, emit, emit_json

if TYPE_CHECKING:
    from cdigen.commands.target import Target
    from cdigen.doctor.diagnosis import Diagnosis

_COLOURS = {"ok": 32, "warning": 33, "problem": 31, "unknown": 36}
"""Of the terminal: ECMA-48, select graphic rendition."""


def run_doctor(target: Target, *, as_json: bool) -> int:
    """Report on every link of the chain.

    Args:
        target: the host. Only where it is this machine are programs run.
        as_json: report as JSON.

    Returns:
        1 if anything is a problem, else 0.

    Raises:
        FileError, DocumentError, LinkError: the host or the snapshot cannot be opened.
    """
    opened = open_target(target)
    is_own = target.snapshot is None and target.host_root in (None, "/")
    context = Context(
        views=open_views(opened.host, driver_root=opened.driver_root, dev_root=opened.dev_root),
        is_recorded=target.snapshot is not None,
        runner=run_programs if is_own else None,
        is_ours=is_ours,
        ask_nvml=target.ask_nvml,
    )
    found = diagnose(context)
    problems = sum(one.level == "problem" for one in found)
    if as_json:
        emit_json("doctor", {"healthy": not problems, "diagnoses": [_to_json(one) for one in found]})
    else:
        with_colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        emit("".join(_to_text(one, with_colours=with_colours) for one in found) + _summary(found))
    return 1 if problems else 0


def _to_json(one: Diagnosis) -> dict[str, object]:
    return {
        "topic": one.topic,
        "subject": one.subject,
        "level": one.level,
        "message": one.message,
        "remedy": one.remedy,
    }


def _to_text(one: Diagnosis, *, with_colours: bool) -> str:
    level = f"{one.level:<7}"
    if with_colours:
        level = f"\x1b[{_COLOURS[one.level]}m{level}\x1b[0m"
    line = f"{level}  {one.topic:<7}  {one.subject}: {one.message}\n"
    return line if one.remedy is None else f"{line}                  -> {one.remedy}\n"


def _summary(found: tuple[Diagnosis, ...]) -> str:
    numbers = {level: sum(one.level == level for one in found) for level in _COLOURS}
    return (
        f"\n{numbers['ok']} ok, {count(numbers['warning'], 'warning')}, {count(numbers['problem'], 'problem')},"
        f" {numbers['unknown']} unknown\n"
    )
