"""cdigen check: are the specs that engines will use still true of this host?"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Any

import click

from cdigen.doctor.check import check_one, check_written
from cdigen.doctor.report import diagnoses_to_json, emit_diagnoses
from cdigen.errors import UsageError
from cdigen.options.shared import JSON, PROBE_OPTIONS, SPEC_FILE, take_spec_file, take_target, with_options
from cdigen.read import read_input
from cdigen.report import emit_json
from cdigen.session.context import open_context
from cdigen.session.target import open_session
from cdigen.specs.found import read_spec
from cdigen.specs.rebuild import Rebuilder


@click.command("check")
@with_options(*SPEC_FILE)
@click.option(
    "--fail-on",
    type=click.Choice(["warning", "problem"]),
    default="problem",
    show_default=True,
    help="The least that makes the exit code 1.",
)
@JSON
@with_options(*PROBE_OPTIONS)
def command(name: str | None, spec: str | None, fail_on: str, as_json: bool, **values: Any) -> int:
    """Tell whether the spec that the engines will use is still true of this host.

    FILE is one to look at, - is standard input; without it, all from which an engine takes NVIDIA's devices are looked
    at: whether what they mount is there and of the driver's version, whether their devices are those of the host, and
    whether another spec hides them. A spec of cdigen's is compared with what would be written now with its own options.
    Nothing is changed and no GPU is woken; any user may run it, every minute. Exit 1 if there is a problem, else 0.
    """
    target = take_target(values)
    spec = take_spec_file(name, spec)
    if spec == "-" == target.snapshot:
        raise UsageError(
            "the spec and --snapshot are both standard input, which is read once", hint="name a file for one"
        )
    session = open_session(target, may_wake=False)
    context, rebuild = open_context(target, session), Rebuilder(target, session)
    if spec is None:
        found = check_written(context, rebuild)
    else:
        data = read_input(spec)
        is_on_host = spec != "-" and not context.is_recorded and target.host_root in (None, "/")
        path = os.path.abspath(spec) if is_on_host else spec
        found = check_one(context, read_spec(path, data, _mode(spec)), rebuild, is_on_host=is_on_host)
    levels = {one.level for one in found}
    is_true = "problem" not in levels
    if as_json:
        emit_json("check", {"spec": spec, "true": is_true, "diagnoses": diagnoses_to_json(found)})
    else:
        emit_diagnoses(found, good="true of this host", bad="not true of this host")
    return 1 if not is_true or (fail_on == "warning" and "warning" in levels) else 0


def _mode(path: str) -> int:
    """Return the permission bits of a regular file; 0 for standard input and the like, or one that has gone."""
    with suppress(OSError):
        status = os.stat(path)
        if path != "-" and stat.S_ISREG(status.st_mode):
            return stat.S_IMODE(status.st_mode)
    return 0
