"""The errors that end a run, each with its exit code (README, "Exit codes").

A message is one line: what is wrong, where, and what to do about it. Text that comes from a host or a
document is passed through `one_line` so that it cannot forge a second line.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

from cdigen.findings import Finding, Remedy, sentence
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence


class CdigenError(Exception):
    """An error that the command line prints as one line before it exits with `exit_code`.

    Attributes:
        exit_code: see the README.
        code: a stable identifier in kebab case, for programs that read `--json`; a class has one of its own.
        message: what is wrong and where; one line.
        remedy: what to do about it.
        subject: the path or the name that it is about; "" if it is about none.
        findings: what was found on the way and may be the cause.
        is_reported: whether standard output has a report already, or cannot have one, so that the error is not written
            there too.
    """

    exit_code = 1
    code = "error"
    findings: tuple[Finding, ...] = ()
    is_reported = False

    def __init__(
        self, message: str, *, hint: str = "", commands: tuple[str, ...] = (), subject: str = "", code: str = ""
    ) -> None:
        """Say what is wrong; see the class and `Remedy`."""
        self.message = message
        self.remedy = Remedy(hint, commands)
        self.subject = subject
        if code:
            self.code = code
        super().__init__(sentence(message, self.remedy))


class DocumentError(CdigenError):
    """A document handed to us (a spec, a snapshot) is not valid; exit 1."""

    exit_code = 1
    code = "invalid-document"


class UsageError(CdigenError):
    """Options that cannot be used together or have no meaning; exit 2, click's own code."""

    exit_code = 2
    code = "usage"


class NoDriverError(CdigenError):
    """There is no NVIDIA driver on this host; exit 3."""

    exit_code = 3
    code = "no-driver"


class VersionMismatchError(CdigenError):
    """The kernel module and the user-space driver are of different builds; exit 4."""

    exit_code = 4
    code = "version-mismatch"


class IncompleteError(CdigenError):
    """Something without which the spec would not work is missing or unusable; exit 5."""

    exit_code = 5
    code = "incomplete"


class InvalidSpecError(CdigenError):
    """The spec that was built breaks the rules: our bug, nothing was written; exit 6."""

    exit_code = 6
    code = "invalid-spec"


class FileError(CdigenError):
    """A file could not be read or written; exit 7."""

    exit_code = 7
    code = "file-error"


EXHAUSTED = {
    errno.EMFILE: "raise the limit on open files (ulimit -n; LimitNOFILE= of a unit)",
    errno.ENFILE: "raise the limit of the system (fs.file-max)",
    errno.ENOMEM: "free some memory, or raise the limit (ulimit -v)",
    errno.EAGAIN: "raise the limit on processes (ulimit -u)",
}
"""What this machine or its limits do not give, and what to do: it says nothing of what was to be read."""


class FailedRead(NamedTuple):
    """A file or directory of a host of which nothing can be said, as the kernel failed to read it.

    Attributes:
        host_path: the path.
        reason: why, in the kernel's words.
        remedy: what to do.
        number: the kernel's number of the reason, as in `errno`.
    """

    host_path: str
    reason: str
    remedy: Remedy
    number: int | None = None


class UnreadableError(FileError):
    """Something on the host could not be read, so that it is not known what is there; exit 7."""

    code = "unreadable"

    def __init__(self, reads: Sequence[FailedRead], findings: tuple[Finding, ...]) -> None:
        """Name the first of `reads`, and how many others there are; `findings` tell of each."""
        first, *others = reads
        more = f", nor {count(len(others), 'other path')}" if others else ""
        super().__init__(
            f"cannot read {first.host_path}{more}: {first.reason}",
            hint=first.remedy.hint,
            commands=first.remedy.commands,
            subject=first.host_path,
        )
        self.findings = findings


class ParseError(CdigenError):
    """Bytes or text are not what their format says; the message is the reason, without the place.

    Raised by `cdigen.parse` alone, which knows no path. Whoever knows the path catches it and makes a
    finding or an error that names it.
    """


class Ended(KeyboardInterrupt):
    """A signal has asked the process to end.

    Attributes:
        exit_code: what a shell reports for a program that the signal has ended.
    """

    def __init__(self, number: int = 2) -> None:
        """Say which: SIGINT, as Ctrl-C sends it, if nothing else is known."""
        self.exit_code = 128 + number
        super().__init__()


def one_line(text: str) -> str:
    r"""Return `text` with every character that is not printable written as an escape.

    Args:
        text: any string, also one with line breaks, terminal escapes or lone surrogates.

    Returns:
        A string of printable characters, `\n` and the like spelt out.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shell_word(text: str) -> str:
    """Return `text` as one word of a command that a user is shown.

    What is not printable is written as an escape, see `one_line`: a shell takes the word for another then, but a path
    that cannot be shown cannot be pasted either.
    """
    from shlex import quote

    return quote(one_line(text))
