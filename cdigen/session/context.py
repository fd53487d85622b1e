"""A host as checks look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.host.programs import run_programs
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.discover.gpus import AskNvml
    from cdigen.host.programs import Runner
    from cdigen.host.views import Views
    from cdigen.session.session import Session
    from cdigen.session.target import Target


class Context(Record):
    """Everything that checks look at.

    Attributes:
        session: the host.
        is_recorded: whether it is a snapshot, in which what nobody asked for is absent like what is not there.
        runner: runs programs of the host; None where the host is not this machine.
        ask_nvml: when to ask NVML.
    """

    session: Session
    is_recorded: bool
    runner: Runner | None
    ask_nvml: AskNvml = "auto"

    @property
    def views(self) -> Views:
        """The host, seen from its roots; errors as of `Session.views`."""
        return self.session.views


def open_context(target: Target, session: Session) -> Context:
    """Return what checks are given of the host of `target`, which was opened so that no GPU is woken for them.

    Programs are run only where the host is this machine.

    Raises:
        LinkError, HostReadError: the driver root or the device root cannot be found.
    """
    return Context(
        session=session,
        is_recorded=target.snapshot is not None,
        runner=run_programs if session.host.is_this_machine() else None,
        ask_nvml=target.ask_nvml,
    )
