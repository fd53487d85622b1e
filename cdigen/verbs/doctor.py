"""cdigen doctor: the whole chain from a GPU to a container, and what to do where it is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cdigen.doctor.checks import diagnose
from cdigen.doctor.report import diagnoses_to_json, emit_diagnoses
from cdigen.errors import DocumentError
from cdigen.host import UNREADABLE
from cdigen.options.shared import JSON, TARGET_OPTIONS, take_target, with_options
from cdigen.report import emit_json
from cdigen.session.context import open_context
from cdigen.session.target import open_session
from cdigen.specs.header import DEFAULT_OUTPUT, is_ours, read_choices
from cdigen.specs.rebuild import Rebuilder

if TYPE_CHECKING:
    from cdigen.session.session import Session
    from cdigen.session.target import Target


@click.command("doctor")
@JSON
@with_options(*TARGET_OPTIONS)
def command(as_json: bool, **values: Any) -> int:
    """Look at the whole chain from the GPU to the container, and say what to do where it is broken.

    A line each for GPUs, kernel modules, device nodes, the driver, specs, container engines, SELinux and systemd's
    units. Nothing is changed. Any user may run it; what only root can see is said. Exit 0 if nothing is a problem,
    else 1.
    """
    target = take_target(values)
    session = open_session(target, may_wake=False)
    if target.snapshot is None:  # which has its own
        target = _with_written_roots(target, session)
        session = session.at(target.driver_root, target.dev_root, target.platform)
    context = open_context(target, session)
    found = diagnose(context, Rebuilder(target, session))
    problems = sum(one.level == "problem" for one in found)
    if as_json:
        emit_json("doctor", {"healthy": not problems, "diagnoses": diagnoses_to_json(found)})
    else:
        emit_diagnoses(found, good="healthy", bad="not healthy")
    return 1 if problems else 0


def _with_written_roots(target: Target, session: Session) -> Target:
    """Return `target` with the driver and device root of the GPUs' spec on its host, where it names none itself."""
    try:
        data = session.views.system.read(DEFAULT_OUTPUT)
        if data is not None and is_ours(data):
            choices = read_choices(data, DEFAULT_OUTPUT)
            return target.with_choices(choices)
    except (*UNREADABLE, DocumentError):  # which the lines about the spec tell
        pass
    return target
