"""cdigen check: are the specs that engines will use still true of this host?"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from cdigen.doctor.check import check_one, check_written
from cdigen.doctor.report import diagnoses_to_json, emit_diagnoses
from cdigen.errors import CdigenError, UsageError
from cdigen.options.shared import JSON, PROBE_OPTIONS, SPEC_FILE, take_spec_file, take_target, with_options
from cdigen.read import read_input
from cdigen.report import emit_bytes, emit_json, json_text
from cdigen.session.context import open_context
from cdigen.session.target import open_session
from cdigen.specs.found import read_spec
from cdigen.specs.rebuild import Rebuilder

if TYPE_CHECKING:
    from cdigen.doctor.check import Checked
    from cdigen.session.context import Context


FORMATS = ("text", "json", "prometheus", "nagios", "checkmk", "npd")
_PLUGINS = ("nagios", "checkmk", "npd")


@click.command("check")
@with_options(*SPEC_FILE)
@click.option(
    "--fail-on",
    type=click.Choice(["warning", "problem"]),
    default="problem",
    show_default=True,
    help="The least that makes the exit code 1.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="What is reported: lines for people, JSON, metrics for Prometheus, or a line with the exit code that Nagios,"
    " Checkmk's local checks or node-problem-detector want.  [default: text]",
)
@click.option("-o", "--output", metavar="FILE", help="Write the report to FILE, whole or not at all.")
@JSON
@with_options(*PROBE_OPTIONS)
def command(
    name: str | None,
    spec: str | None,
    fail_on: str,
    form: str | None,
    output: str | None,
    as_json: bool,
    **values: Any,
) -> int:
    """Tell whether the spec that the engines will use is still true of this host.

    FILE is one to look at, - is standard input; without it, all from which an engine takes NVIDIA's devices are looked
    at: whether what they mount is there and of the driver's version, whether their devices are those of the host, and
    whether another spec hides them. A spec of cdigen's is compared with what would be written now with its own options.
    Nothing is changed and no GPU is woken; any user may run it, every minute. Exit 1 if there is a problem, else 0.
    """
    form = _choose_format(form, as_json=as_json)
    if form not in _PLUGINS:
        return _check(name, spec, fail_on, form, output, values)
    try:
        return _check(name, spec, fail_on, form, output, values)
    except CdigenError as error:
        from cdigen.monitoring.plugins import render_failure

        text, code = render_failure(form, error)
        _put(text, output)
        return code


def _choose_format(form: str | None, *, as_json: bool) -> str:
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} ask for two reports", hint="leave one of them out")
    return "json" if as_json else form or "text"


def _check(
    name: str | None, spec: str | None, fail_on: str, form: str, output: str | None, values: dict[str, Any]
) -> int:
    began = time.monotonic()
    target = take_target(values)
    spec = take_spec_file(name, spec)
    if spec == "-" == target.snapshot:
        raise UsageError(
            "the spec and --snapshot are both standard input, which is read once", hint="name a file for one"
        )
    if output is not None and form == "text":
        raise UsageError("--output writes a report for programs", hint="name one with --format")
    session = open_session(target, may_wake=False)
    context, rebuild = open_context(target, session), Rebuilder(target, session)
    if spec is None:
        checked = check_written(context, rebuild)
    else:
        data = read_input(spec)
        is_on_host = spec != "-" and not context.is_recorded and target.host_root in (None, "/")
        path = os.path.abspath(spec) if is_on_host else spec
        checked = check_one(context, read_spec(path, data, _mode(spec)), rebuild, is_on_host=is_on_host)
    found = checked.diagnoses
    levels = {one.level for one in found}
    is_true = "problem" not in levels
    is_good = is_true and not (fail_on == "warning" and "warning" in levels)
    if form == "json":
        report: dict[str, object] = {"spec": spec, "true": is_true, "diagnoses": diagnoses_to_json(found)}
        if output is None:
            emit_json("check", report)
        else:
            _put(json_text("check", report), output)
    elif form == "text":
        emit_diagnoses(found, good="true of this host", bad="not true of this host")
    else:
        return _report(form, output, context, checked, began=began, is_good=is_good)
    return 0 if is_good else 1


def _report(form: str, output: str | None, context: Context, checked: Checked, *, began: float, is_good: bool) -> int:
    from cdigen.discover.directories import find_library_directories
    from cdigen.discover.driver import find_kernel_version, find_libcudas
    from cdigen.monitoring.plugins import render_checkmk, render_nagios, render_npd
    from cdigen.monitoring.prometheus import render_prometheus
    from cdigen.monitoring.result import CheckResult
    from cdigen.notes import Notes

    notes = Notes()
    driver = context.views.driver
    result = CheckResult(
        diagnoses=checked.diagnoses,
        specs=checked.specs,
        kernel=find_kernel_version(context.views.system, notes),
        user=tuple(sorted(find_libcudas(driver, find_library_directories(driver, notes), notes))),
        seconds=time.monotonic() - began,
        timestamp=float(os.environ.get("SOURCE_DATE_EPOCH") or time.time()),
        is_good=is_good,
    )
    if form == "prometheus":
        _put(render_prometheus(result), output)
        return 0 if is_good else 1
    render = {"nagios": render_nagios, "checkmk": render_checkmk, "npd": render_npd}[form]
    text, code = render(result)
    _put(text, output)
    return code


def _put(text: str, output: str | None) -> None:
    if output in (None, "-"):
        emit_bytes(text.encode())
        return
    from cdigen.write import write_file

    write_file(output or "", text.encode())


def _mode(path: str) -> int:
    """Return the permission bits of a regular file; 0 for standard input and the like, or one that has gone."""
    with suppress(OSError):
        status = os.stat(path)
        if path != "-" and stat.S_ISREG(status.st_mode):
            return stat.S_IMODE(status.st_mode)
    return 0
