"""cdigen generate: scan, build, validate, write."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES
from cdigen.errors import UsageError, one_line
from cdigen.host.host import NVML_NO_ANSWER
from cdigen.report import emit_bytes, emit_json, findings_to_json, left_out_to_json, say, say_findings
from cdigen.session.planner import Planner
from cdigen.session.target import open_session
from cdigen.specs.groups import GroupChooser
from cdigen.specs.outputs import Outputs
from cdigen.specs.render import check_rendered, render_plan, validate_rendered
from cdigen.write import check_directory, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cdigen.findings import Finding
    from cdigen.plan.options import BuildOptions
    from cdigen.session.planner import Planned
    from cdigen.session.target import Target
    from cdigen.specs.other_modes import Done, Prepared
    from cdigen.specs.record import Kept, Recorder

ENGINE_DIRECTORIES = (*DEFAULT_DIRECTORIES, "/run/cdi")
"""Those in which engines look; /var/run is a link to /run."""

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
    strict: bool = False,
    create_directories: bool = False,
) -> int:
    """Write the spec of a host.

    Args:
        target: the host.
        options: the choices.
        output: the file to write, "-" for standard output, None for the mode's own on the host.
        file_format: "yaml", "json", or None for what the suffix of `output` says.
        as_json: report on standard output as JSON.
        create_nodes: make the device nodes that are missing first.
        all_modes: write the specs of all other modes beside the GPUs', and remove those of ours without devices.
        record: the file in which to keep the facts behind the specs.
        wait: seconds to wait for a driver that is still coming up; see `cdigen.session.wait`.
        strict: whether it is a failure that engines take a device of what was written from elsewhere.
        create_directories: make the directory of `output` if it is missing; those in which engines look always are.

    Returns:
        0; 1 for a failure of `strict`; everything else is an error that is raised.
    """
    makes_directory = output is None or create_directories
    outputs = Outputs(target, options.mode, output)
    output = outputs.of(options.mode)
    if file_format is None:
        file_format = "json" if output.endswith(".json") else "yaml"
    if as_json and output == "-":
        raise UsageError(
            "--json reports on standard output, where --output - writes the spec",
            hint="use one of them",
            code="conflicting-options",
        )
    if all_modes:
        _check_all_modes(options, output, file_format)
    if record is not None:
        from cdigen.specs.record import check_record

        check_record(record, output, snapshot=target.snapshot)
    if not (makes_directory or output == "-" or os.path.dirname(output) in ENGINE_DIRECTORIES):
        check_directory(output)
    said = _await_driver(target, create_nodes=create_nodes, wait=wait)
    session = open_session(target)
    recorder = None
    if record is not None:
        from cdigen.specs.record import Recorder

        recorder = Recorder(target, session, record)
    planner = Planner(target, session=session if recorder is None else recorder.session)
    groups = GroupChooser(target, session)
    planned = groups.settle(planner.plan(options))
    data = render_plan(planned, file_format)
    if output == "-":
        say_findings(finding for finding in planned.findings if finding not in said)
        validate_rendered(data, file_format)
        emit_bytes(data)
        return 0
    if is_unanswered(planned):
        from cdigen.specs.unanswered import refuse_to_lose

        refuse_to_lose(planned, output, root=outputs.root)
    check_rendered(output, data, file_format, root=outputs.root)
    others: tuple[Prepared, ...] = ()
    if all_modes:
        from cdigen.specs.other_modes import prepare_others

        others = prepare_others(planner, groups, options, outputs)
    findings = tuple(dict.fromkeys([*planned.findings, *(finding for one in others for finding in one.findings)]))
    if not output.endswith(ENGINE_SUFFIXES):
        findings = (*findings, _unread_finding(output))
    changed = write_file(output, data, root=outputs.root)
    done: tuple[Done, ...] = ()
    if all_modes:
        from cdigen.specs.other_modes import settle_others

        done = settle_others(others, root=outputs.root)
    shadowed = _find_shadowed(target, planned, output, done)
    findings = (*findings, *shadowed)
    kept = None if recorder is None else _keep_record(recorder, options, {output: data}, others, done, changed=changed)
    if as_json:
        report = _report(planned, findings, output, changed)
        if all_modes:
            report["others"] = [one.to_json() for one in done]
        if kept is not None:
            report["record"] = kept.to_json()
        emit_json("generate", report)
    lines = [Line("", f"{'wrote' if changed else 'unchanged:'} {outputs.shown(output)}: {planned.summary}")]
    lines += [Line(one.level, one.text, one.exit_code) for one in done]
    if kept is not None:
        lines.append(Line("error" if kept.state == "failed" else "", kept.text, kept.exit_code))
    is_news = changed or any(one.state == "wrote" for one in done)
    worth_saying = (one for one in findings if one not in said and (is_news or one.level != "note"))
    _say_result(lines, () if as_json else worth_saying)
    return max([*(line.exit_code for line in lines), 1 if strict and shadowed else 0])


def is_unanswered(planned: Planned) -> bool:
    """Tell whether NVML was asked, did not tell everything, and names of devices are not known."""
    inventory = planned.inventory
    if inventory is None or all(finding.code != NVML_NO_ANSWER for finding in inventory.findings):
        return False
    return any(gpu.uuid is None or any(mig.uuid is None for mig in gpu.mig or ()) for gpu in inventory.gpus)


class Line(NamedTuple):
    """What became of one file, as it is said.

    Attributes:
        level, message: see `say`.
        exit_code: 0, or that of the error for which it failed.
    """

    level: str
    message: str
    exit_code: int = 0


def _say_result(lines: Sequence[Line], findings: Iterable[Finding]) -> None:
    """Say what was done, then what was found, then what has failed.

    The reason of a failure is the last line: that is what the journal and `systemctl status` show.
    """
    for line in lines:
        if not line.exit_code:
            say(line.level, line.message)
    say_findings(findings)
    for line in lines:
        if line.exit_code:
            say(line.level, line.message)


def _await_driver(target: Target, *, create_nodes: bool, wait: float) -> tuple[Finding, ...]:
    """Wait for the driver and make its nodes, as far as that is wanted; return what was said already."""
    if wait:
        from cdigen.session.wait import check_wait

        check_wait(target)
    if create_nodes:
        from cdigen.nodes.create import make_nodes_first

        return make_nodes_first(target, wait=wait)
    if wait:
        from cdigen.session.wait import wait_for_driver

        wait_for_driver(target, wait)
    return ()


def _find_shadowed(target: Target, planned: Planned, output: str, done: Sequence[Done]) -> tuple[Finding, ...]:
    """Return what keeps engines from taking the devices of the files that stand now from these."""
    if target.snapshot is not None:
        return ()
    from cdigen.specs.shadowed import find_shadowed

    written = {one.output: one.devices for one in done if one.devices}
    return find_shadowed(target, {output: _devices_of(planned), **written})


def _devices_of(planned: Planned) -> tuple[str, ...]:
    return tuple(f"{planned.plan.kind}={device.name}" for device in planned.plan.devices)


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
            f"--all-modes writes the specs of all modes and cannot be used together with --mode {options.mode}",
            hint="use one of them",
            code="conflicting-options",
        )
    if output == "-":
        raise UsageError(
            "--all-modes writes several files and cannot be used together with --output -",
            hint="name a file",
            code="conflicting-options",
        )
    if file_format == "json":
        raise UsageError(
            "--all-modes writes YAML only: JSON has no comments, so a later run could not tell that it wrote the file",
            hint="name a file that ends in .yaml",
            code="conflicting-options",
        )


def _unread_finding(output: str) -> Finding:
    from cdigen.findings import Finding, Remedy

    return Finding(
        level="warning",
        code="output-not-read",
        subject=output,
        message=f"no engine reads {one_line(output)}: its name ends neither in .yaml nor in .json",
        remedy=Remedy("choose another name"),
    )


def _report(planned: Planned, findings: tuple[Finding, ...], output: str, changed: bool) -> dict[str, object]:
    plan, inventory = planned.plan, planned.inventory
    return {
        "output": output,
        "changed": changed,
        "driverVersion": None if inventory is None else inventory.driver.version,
        "devices": list(_devices_of(planned)),
        "findings": findings_to_json(findings),
        "leftOut": left_out_to_json(plan.left_out),
    }
