"""Where the finders put what they have to say: findings, and what they saw and left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdigen.errors import CdigenError, FailedRead, one_line
from cdigen.facts import LeftOut
from cdigen.findings import Finding, Level, Remedy
from cdigen.host import UNSEEN, HostReadError

if TYPE_CHECKING:
    from cdigen.host import View

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@=-]{0,254}")
_UNSAFE_IN_PATH = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # the last: bytes that are not UTF-8

NOT_A_FILE = "not a regular file"
UNSAFE_PATH = "its path has control characters or is not UTF-8, which no spec can hold"


def is_safe_name(name: str) -> bool:
    """Tell whether a file name or SONAME can be part of a path in a container: no slash, space, control character."""
    return _SAFE_NAME.fullmatch(name) is not None


def is_safe_path(host_path: str) -> bool:
    """Tell whether a spec can name a path of the host: UTF-8 without control characters."""
    return _UNSAFE_IN_PATH.search(host_path) is None


def reason_of(error: CdigenError) -> str:
    """Return why, without the path that a HostReadError's or LinkError's own message begins with."""
    return getattr(error, "reason", None) or str(error)


class Notes:
    """Collects findings in the order of discovery, and left-out files by path."""

    def __init__(self) -> None:
        self._findings: dict[Finding, None] = {}
        self._left_out: dict[str, str] = {}
        self._failed_reads: dict[str, FailedRead] = {}

    def add(
        self, level: Level, code: str, subject: str, message: str, *, hint: str = "", commands: tuple[str, ...] = ()
    ) -> None:
        """Note a finding. See `Finding` and `Remedy`; text of the host is made printable here."""
        finding = Finding(
            level=level,
            code=code,
            subject=one_line(subject),
            message=one_line(message),
            remedy=Remedy(one_line(hint), tuple(map(one_line, commands))),
        )
        self._findings.setdefault(finding)

    def leave_out(self, host_path: str, reason: str) -> None:
        """Note that a file was found and is not injected. The first reason for a path counts."""
        self._left_out.setdefault(one_line(host_path), one_line(reason))

    def dangling(self, view: View, path: str) -> None:
        """Note a link in a view that leads to nothing; where it leaves the view's root, by a finding."""
        host_path = view.host_path(path)
        self.leave_out(host_path, "a link that leads to nothing")
        try:
            outside = view.leads_out(path)
        except UNSEEN:
            return  # it would not be looked at
        if outside is not None:
            self.add(
                "warning",
                "link-leads-out",
                host_path,
                f"{host_path} leads to {outside}, out of the driver root, so it is not injected",
                hint="make it a link within the driver root, or leave out --driver-root",
            )

    def damaged(
        self,
        host_path: str,
        error: CdigenError,
        consequence: str,
        *,
        hint: str = "",
        commands: tuple[str, ...] = (),
    ) -> None:
        """Note a file that is there and cannot be used, both as a finding and as left out.

        Args:
            host_path: the file.
            error: why: a ParseError, HostReadError or LinkError.
            consequence: what follows for containers, a clause.
            hint: what to do, in words; see `Remedy`. Without it and `commands`, what the error says to do.
            commands: what to do, as commands.
        """
        self.note_failure(error)
        reason = reason_of(error)
        message = f"{one_line(host_path)}: {reason}; {consequence}"
        remedy = Remedy(hint, commands) or error.remedy
        self.add("warning", "unusable-file", host_path, message, hint=remedy.hint, commands=remedy.commands)
        self.leave_out(host_path, reason)

    def note_failure(self, error: CdigenError) -> None:
        """Note that something could not be read, if that is what the error says: a failed read is not absence.

        For an error of which there is a finding too; `damaged` does both.
        """
        if isinstance(error, HostReadError) and error.is_failure:
            read = FailedRead(one_line(error.path), one_line(error.reason), error.remedy, error.number)
            self._failed_reads.setdefault(read.host_path, read)

    def fail_to_read(self, error: CdigenError, consequence: str) -> None:
        """Note an error by a finding that says what follows and what to do, and as `note_failure` does."""
        self.note_failure(error)
        path = getattr(error, "path", "") or error.subject
        message = f"{one_line(path)}: {reason_of(error)}; {consequence}"
        self.add("warning", "unreadable", path, message, hint=error.remedy.hint, commands=error.remedy.commands)

    @property
    def failed_reads(self) -> tuple[FailedRead, ...]:
        """What could not be read so far, each path once."""
        return tuple(self._failed_reads.values())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings so far."""
        return tuple(self._findings)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """All left-out files so far, sorted by path."""
        return tuple(LeftOut(host_path=path, reason=why) for path, why in sorted(self._left_out.items()))
