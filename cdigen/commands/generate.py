"""cdigen generate: scan, build, validate, write."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cdigen.commands.own_files import output_of
from cdigen.commands.planning import Planner
from cdigen.commands.rendering import check_rendered, render_plan, validate_rendered
from cdigen.errors import FileError, UsageError
from cdigen.report import emit_json, findings_to_json, left_out_to_json, say, say_findings
from cdigen.write import write_file

if TYPE_CHECKING:
    from cdigen.commands.all_modes import Done, Prepared
    from cdigen.commands.planning import Planned
    from cdigen.commands.record import Kept, Recorder
    from cdigen.commands.target import Target
    from cdigen.findings import Finding
    from cdigen.plan.options import BuildOptions

ENGINE_SUFFIXES = (".yaml", ".json")
"""Engines read these files of a CDI directory and no others (CDI specification, "Spec files")."""


def run_generate(
    target: Target,
    options: BuildOptions,
    *,
    output: str | None,
    file_format: str | None,
    as_json: bool,
    create_nodes: bool = False,
    all_modes: bool = False,
    record: str | None = None,
    wait: float = 0.0,
) -> int:
    """Write the spec of a host.

    Args:
        target: the host.
        options: the choices.
        output: the file to write, "-" for standard output, None for the mode's own.
        file_format: "yaml", "json", or None for what the suffix of `output` says.
        as_json: report on standard output as JSON.
        create_nodes: make the device nodes that are missing first.
        all_modes: write the specs of all other modes beside the GPUs', and remove those of ours without devices.
        record: the file in which to keep the facts behind the specs.
        wait: seconds to wait for a driver that is still coming up; see `cdigen.commands.waiting`.

    Returns:
        0; everything else is an error that is raised.
    """
    output = output_of(options.mode) if output is None else output
    if file_format is None:
        file_format = "json" if output.endswith(".json") else "yaml"
    if as_json and output == "-":
        raise UsageError("--json reports on standard output, where --output - writes the spec; choose one of them")
    if all_modes:
        _check_all_modes(options, output, file_format)
    if record is not None:
        from cdigen.commands.record import check_record

        check_record(record, output, snapshot=target.snapshot)
    if wait:
        from cdigen.commands.waiting import check_wait

        check_wait(target)
    said: tuple[Finding, ...] = ()
    if create_nodes:
        from cdigen.commands.make_nodes import make_nodes_first

        said = make_nodes_first(target, wait=wait)
    elif wait:
        from cdigen.commands.waiting import wait_for_driver

        wait_for_driver(target, wait)
    recorder = None
    if record is not None:
        from cdigen.commands.record import Recorder

        recorder = Recorder(target, record)
    planner = Planner(target, opened=None if recorder is None else recorder.opened)
    planned = planner.plan(options)
    data = render_plan(planned, file_format)
    if output == "-":
        say_findings(finding for finding in planned.findings if finding not in said)
        validate_rendered(data, file_format)
        _write_stdout(data)
        return 0
    check_rendered(output, data, file_format)
    others: tuple[Prepared, ...] = ()
    if all_modes:
        from cdigen.commands.all_modes import prepare_others

        others = prepare_others(planner, options, output)
    findings = tuple(dict.fromkeys([*planned.findings, *(finding for one in others for finding in one.findings)]))
    if not as_json:
        say_findings(finding for finding in findings if finding not in said)
    changed = write_file(output, data)
    if not output.endswith(ENGINE_SUFFIXES):
        say(
            "warning",
            f"{output} ends neither in .yaml nor in .json, so no engine will read it; choose another name",
        )
    done: tuple[Done, ...] = ()
    if all_modes:
        from cdigen.commands.all_modes import settle_others

        done = settle_others(others)
    kept = None if recorder is None else _keep_record(recorder, options, {output: data}, others, done, changed=changed)
    if as_json:
        report = _report(planned, findings, output, changed)
        if all_modes:
            report["others"] = [one.to_json() for one in done]
        if kept is not None:
            report["record"] = kept.to_json()
        emit_json("generate", report)
    say("", f"{'wrote' if changed else 'unchanged:'} {output}: {planned.summary}")
    lines = [(one.level, one.message, one.exit_code) for one in done]
    if kept is not None:
        lines.append(("error" if kept.state == "failed" else "", kept.message, kept.exit_code))
    # The reason of a failure is the last line: that is what the journal and `systemctl status` show.
    for level, message, _ in sorted(lines, key=lambda line: line[2] != 0):
        say(level, message)
    return max((code for _, _, code in lines), default=0)


def _keep_record(
    recorder: Recorder,
    options: BuildOptions,
    specs: dict[str, bytes],
    others: tuple[Prepared, ...],
    done: tuple[Done, ...],
    *,
    changed: bool,
) -> Kept:
    """Keep the facts behind the main spec, which is in `specs`, and behind those of the others that stand."""
    standing = {one.output for one in done if one.state in ("wrote", "unchanged")}
    specs.update((one.output, one.data) for one in others if one.output in standing)
    changed = changed or any(one.state in ("wrote", "removed") for one in done)
    return recorder.keep(specs, [options.mode, *(one.mode for one in others)], changed=changed)


def _check_all_modes(options: BuildOptions, output: str, file_format: str) -> None:
    if options.mode not in ("auto", "gpu"):
        raise UsageError(
            f"--all-modes writes the specs of all modes, so it cannot be used together with --mode {options.mode}"
        )
    if output == "-":
        raise UsageError("--all-modes writes several files, so it cannot be used together with --output -; name a file")
    if file_format == "json":
        raise UsageError(
            "--all-modes writes YAML alone: a JSON file has no comment by which a later run knows it for ours; name a"
            " file that ends in .yaml"
        )


def _write_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FileError(f"cannot write to standard output: {error.strerror}; make room, or write elsewhere") from error


def _report(planned: Planned, findings: tuple[Finding, ...], output: str, changed: bool) -> dict[str, object]:
    plan, inventory = planned.plan, planned.inventory
    return {
        "output": output,
        "changed": changed,
        "driverVersion": None if inventory is None else inventory.driver.version,
        "devices": [f"{plan.kind}={device.name}" for device in plan.devices],
        "findings": findings_to_json(findings),
        "leftOut": left_out_to_json(plan.left_out),
    }
