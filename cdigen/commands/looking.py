"""A host as the checks of `cdigen.doctor` look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.commands.own_files import DEFAULT_OUTPUT, is_ours, options_of, read_choices
from cdigen.commands.target import open_target
from cdigen.discover.views import open_views
from cdigen.doctor.diagnosis import UNREADABLE, Context
from cdigen.doctor.programs import run_programs
from cdigen.errors import DocumentError

if TYPE_CHECKING:
    from cdigen.commands.target import OpenTarget, Target


def with_written_roots(target: Target) -> Target:
    """Return `target` with the driver and device root of the GPUs' spec on its host, where it names none itself.

    Raises:
        FileError: the host cannot be opened.
    """
    if target.snapshot is not None:  # it has its own
        return target
    system = open_context(target, open_target(target, may_wake=False)).views.system
    try:
        data = system.read(DEFAULT_OUTPUT)
        if data is not None and is_ours(data):
            choices = read_choices(data, DEFAULT_OUTPUT)
            return target.with_roots(choices.driver_root, choices.dev_root)
    except (*UNREADABLE, DocumentError):  # which the lines about the spec tell
        pass
    return target


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
        is_ours=is_ours,
        options_of=options_of,
        ask_nvml=target.ask_nvml,
    )
