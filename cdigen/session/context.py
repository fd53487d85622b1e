"""A host as checks look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdigen.host.programs import run_programs
from cdigen.host.views import open_views

if TYPE_CHECKING:
    from cdigen.discover.gpus import AskNvml
    from cdigen.host.programs import Runner
    from cdigen.host.views import Views
    from cdigen.session.target import OpenTarget, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything that checks look at.

    Attributes:
        views: the host.
        is_recorded: whether it is a snapshot, in which what nobody asked for is absent like what is not there.
        runner: runs programs of the host; None where the host is not this machine.
        ask_nvml: when to ask NVML.
    """

    views: Views
    is_recorded: bool
    runner: Runner | None
    ask_nvml: AskNvml = "auto"


def open_context(target: Target, opened: OpenTarget) -> Context:
    """Return what checks are given of the host of `target`, which was opened so that no GPU is woken for them.

    Programs are run only where the host is this machine.

    Raises:
        LinkError, HostReadError: the driver root or the device root cannot be found.
    """
    return Context(
        views=open_views(opened.host, driver_root=opened.driver_root, dev_root=opened.dev_root),
        is_recorded=target.snapshot is not None,
        runner=run_programs if opened.host.is_this_machine() else None,
        ask_nvml=target.ask_nvml,
    )
