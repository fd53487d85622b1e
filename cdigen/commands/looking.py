"""A host as the checks of `cdigen.doctor` look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.commands.own_files import is_ours
from cdigen.commands.target import open_target
from cdigen.discover.views import open_views
from cdigen.doctor.diagnosis import Context
from cdigen.doctor.programs import run_programs

if TYPE_CHECKING:
    from cdigen.commands.target import Target


def open_context(target: Target) -> Context:
    """Return what checks are given of the host of `target`; no GPU is woken for them.

    Programs are run only where the host is this machine.

    Raises:
        FileError, DocumentError, LinkError: the host or the snapshot cannot be opened.
    """
    opened = open_target(target, may_wake=False)
    is_own = target.snapshot is None and target.host_root in (None, "/")
    return Context(
        views=open_views(opened.host, driver_root=opened.driver_root, dev_root=opened.dev_root),
        is_recorded=target.snapshot is not None,
        runner=run_programs if is_own else None,
        is_ours=is_ours,
        ask_nvml=target.ask_nvml,
    )
