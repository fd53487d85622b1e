"""What a check says of a link of the chain, as fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cdigen.errors import CdigenError, ParseError, one_line, shell_word
from cdigen.findings import NOTHING_TO_DO, Remedy
from cdigen.host import HostReadError
from cdigen.notes import reason_of
from cdigen.records import Record, replace

if TYPE_CHECKING:
    from cdigen.findings import Finding

Level = Literal["ok", "warning", "problem", "unknown"]
Topic = Literal["pci", "kernel", "nodes", "driver", "spec", "engine", "selinux", "systemd", "kubelet"]

RUN_AS_ROOT = Remedy("run it as root")
NOT_RECORDED = "not recorded in the snapshot"


class Diagnosis(Record):
    """One line of the report.

    Attributes:
        topic: the link of the chain.
        subject: the path, program or unit that it is about.
        level: "ok"; "warning" if something does not work for somebody; "problem" if containers get no GPU;
            "unknown" if it could not be seen.
        code: a stable identifier of what was found, in kebab case, for programs that read `--json`; a finding or an
            error that is passed on keeps its own.
        message: what was found; one line.
        remedy: what to do.
        about: the paths of other files that it is about.
        names_subject: whether the message says what it is about, as that of a finding does.
    """

    topic: Topic
    subject: str
    level: Level
    code: str
    message: str
    remedy: Remedy = NOTHING_TO_DO
    about: tuple[str, ...] = ()
    names_subject: bool = False


def diagnosis(
    topic: Topic,
    subject: str,
    level: Level,
    code: str,
    message: str,
    remedy: Remedy = NOTHING_TO_DO,
    *,
    about: tuple[str, ...] = (),
) -> Diagnosis:
    """Return a diagnosis, text of the host in it made printable."""
    return Diagnosis(
        topic=topic,
        subject=one_line(subject),
        level=level,
        code=code,
        message=one_line(message),
        remedy=Remedy(one_line(remedy.hint), tuple(map(one_line, remedy.commands))),
        about=tuple(map(one_line, about)),
    )


def pass_on(topic: Topic, subject: str, level: Level, said: CdigenError | Finding) -> Diagnosis:
    """Return what an error or a finding of ours says as a diagnosis."""
    passed = diagnosis(topic, subject, level, said.code, said.message, said.remedy)
    return replace(passed, names_subject=subject == said.subject)


def run(*commands: str, hint: str = "") -> Remedy:
    """Return the remedy of commands to type, each valid by itself; see `Remedy`."""
    return Remedy(hint, commands)


def unreadable(topic: Topic, path: str, error: CdigenError) -> Diagnosis:
    """Return the diagnosis for a file that is there and could not be read, or not be understood."""
    if isinstance(error, ParseError):
        is_kernels = path.startswith(("/proc/", "/sys/"))
        report = run(f"cat {shell_word(path)}", hint="report it as a bug of cdigen's, with what is in the file")
        remedy = report if is_kernels else Remedy(f"correct {path}")
        return diagnosis(topic, path, "problem", "damaged", f"damaged: {error}", remedy)
    if isinstance(error, HostReadError) and error.is_denied:
        return diagnosis(topic, path, "unknown", "not-permitted", reason_of(error), RUN_AS_ROOT)
    look = run(f"ls -ld {shell_word(path)}", hint="see what it is")
    return diagnosis(topic, path, "unknown", "unreadable", reason_of(error), look)


def unread(topic: Topic, error: CdigenError) -> Diagnosis:
    """Return the diagnosis for what the kernel would not let a check read: nothing can be said of it."""
    return unreadable(topic, error.path if isinstance(error, HostReadError) else error.subject, error)
