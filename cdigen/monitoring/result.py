"""A check as every form of monitoring takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from cdigen.diagnosis import Level, Topic
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.diagnosis import Diagnosis
    from cdigen.specs.found import FoundSpec

LEVELS: tuple[Level, ...] = ("problem", "warning", "unknown", "ok")
"""The gravest first."""

TOPICS: tuple[Topic, ...] = get_args(Topic)


class CheckResult(Record):
    """What was found.

    Attributes:
        diagnoses: all of it.
        specs: the specs that were looked at.
        kernel: the version of the kernel module; None if none is loaded or nothing tells.
        user: the versions of the user-space driver that are installed, sorted.
        seconds: how long it took.
        timestamp: when it ended, in seconds since 1970.
        is_good: whether the exit code is that of success.
    """

    diagnoses: tuple[Diagnosis, ...]
    specs: tuple[FoundSpec, ...]
    kernel: str | None
    user: tuple[str, ...]
    seconds: float
    timestamp: float
    is_good: bool

    @property
    def level(self) -> Level:
        """The gravest level of what was found; "ok" if nothing was."""
        return next((level for level in LEVELS if any(one.level == level for one in self.diagnoses)), "ok")

    def count(self, level: Level, topic: Topic | None = None) -> int:
        """Return how many diagnoses are of a level, and of a topic."""
        return sum(one.level == level and topic in (None, one.topic) for one in self.diagnoses)
