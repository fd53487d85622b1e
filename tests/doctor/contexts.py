"""Hosts as a check sees them, and diagnoses as lines to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.host import Host
from cdigen.session.context import Context
from cdigen.session.session import Session
from tests.hosts import host_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cdigen.diagnosis import Diagnosis
    from cdigen.host.programs import Answer, Runner
    from tests.hosts import Entry


def context_of(
    entries: Mapping[str, Entry] | Host, *, is_recorded: bool = False, runner: Runner | None = None
) -> Context:
    """Return what checks are given of a host; by default one that is not this machine, but no snapshot either."""
    host = entries if isinstance(entries, Host) else host_of(entries)
    return Context(
        session=Session(host),
        is_recorded=is_recorded,
        runner=runner,
        ask_nvml="never",
    )


def lines(found: Iterable[Diagnosis]) -> list[str]:
    """Return diagnoses as lines: level, topic, subject, message and, after an arrow, the remedy."""
    return [
        f"{one.level} {one.topic} {one.subject}: {one.message}" + (f" -> {one.remedy}" if one.remedy else "")
        for one in found
    ]


def no_answers(commands: Sequence[tuple[str, ...]]) -> tuple[Answer, ...]:
    """Be a runner on a host that has nothing to run."""
    assert not commands
    return ()
