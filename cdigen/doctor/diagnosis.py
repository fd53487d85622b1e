"""What a check says, and what it is given to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cdigen.discover.notes import reason_of
from cdigen.errors import CdigenError, ParseError, one_line
from cdigen.host import HostReadError, LinkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdigen.discover.gpus import AskNvml
    from cdigen.discover.views import Views
    from cdigen.doctor.programs import Runner
    from cdigen.host import View

Level = Literal["ok", "warning", "problem", "unknown"]
Topic = Literal["platform", "pci", "kernel", "nodes", "driver", "spec", "engine", "selinux", "systemd"]

RUN_AS_ROOT = "run it as root"
NOT_RECORDED = "not recorded in the snapshot"

UNREADABLE = (HostReadError, LinkError, ParseError)
"""What reading a file of a host can raise, and a check lives with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One line of the report.

    Attributes:
        topic: the link of the chain.
        subject: the path, program or unit that it is about.
        level: "ok"; "warning" if something does not work for somebody; "problem" if containers get no GPU;
            "unknown" if it could not be seen.
        message: what was found; one line.
        remedy: what to type or do; None where nothing is to be done.
    """

    topic: Topic
    subject: str
    level: Level
    message: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything that checks look at.

    Attributes:
        views: the host.
        is_recorded: whether it is a snapshot, in which what nobody asked for is absent like what is not there.
        runner: runs programs of the host; None where the host is not this machine.
        is_ours: tells a spec of ours by its first bytes.
        options_of: returns the options with which a spec of ours was made, as one types them; "" if they are not known.
        ask_nvml: when to ask NVML.
    """

    views: Views
    is_recorded: bool
    runner: Runner | None
    is_ours: Callable[[bytes], bool]
    options_of: Callable[[bytes], str]
    ask_nvml: AskNvml = "auto"


def diagnosis(topic: Topic, subject: str, level: Level, message: str, remedy: str | None = None) -> Diagnosis:
    """Return a diagnosis, text of the host in it made printable."""
    return Diagnosis(
        topic=topic,
        subject=one_line(subject),
        level=level,
        message=one_line(message),
        remedy=None if remedy is None else one_line(remedy),
    )


def unreadable(topic: Topic, path: str, error: CdigenError) -> Diagnosis:
    """Return the diagnosis for a file that is there and could not be read, or not be understood."""
    if isinstance(error, ParseError):
        return diagnosis(topic, path, "problem", f"damaged: {error}", f"mend {path}")
    denied = isinstance(error, HostReadError) and error.is_denied
    return diagnosis(topic, path, "unknown", reason_of(error), RUN_AS_ROOT if denied else f"see: ls -l {path}")


def read_text(view: View, path: str) -> str | None:
    """Return a small text of the kernel's without blanks around it; None if it is not there or cannot be read."""
    try:
        data = view.read(path)
    except UNREADABLE:
        return None
    return None if data is None else data.decode(errors="replace").strip()


def exists(view: View, path: str) -> bool:
    """Tell whether something is at `path`; what cannot be seen is not."""
    try:
        return view.find(path) is not None
    except UNREADABLE:
        return False


def split_remedy(text: str) -> tuple[str, str | None]:
    """Return what an error or a finding of ours says is the case, and what to do: what its last semicolon parts."""
    message, semicolon, remedy = text.rpartition("; ")
    return (message, remedy) if semicolon else (text, None)
