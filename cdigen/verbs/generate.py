"""cdigen generate: scan, build, validate, write."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from cdigen.catalog.modes import MAIN_MODES
from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES, SUFFIXES
from cdigen.errors import UsageError, one_line
from cdigen.host.host import NVML_NO_ANSWER
from cdigen.options.shared import (
    BUILD_OPTIONS,
    JSON,
    OUTPUT_OPTIONS,
    TARGET_OPTIONS,
    take_build_options,
    take_target,
    with_options,
)
from cdigen.records import Record
from cdigen.report import emit_bytes, emit_json, findings_to_json, left_out_to_json, say, say_findings
from cdigen.session.planner import Planner
from cdigen.session.target import open_session
from cdigen.specs.groups import GroupChooser
from cdigen.specs.outcome import Outcome
from cdigen.specs.outputs import Outputs
from cdigen.specs.render import check_rendered, render_plan, validate_rendered
from cdigen.write import check_directory, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cdigen.findings import Finding
    from cdigen.host import Host
    from cdigen.plan.options import BuildOptions
    from cdigen.session.planner import Planned
    from cdigen.session.target import Target
    from cdigen.specs.other_modes import ModeOutcome, Prepared
    from cdigen.specs.record import Recorder

ENGINE_DIRECTORIES = (*DEFAULT_DIRECTORIES, "/run/cdi")
"""Those in which engines look; /var/run is a link to /run."""


@click.command("generate")
@with_options(*OUTPUT_OPTIONS)
@JSON
@with_options(*TARGET_OPTIONS, *BUILD_OPTIONS)
def command(
    output: str | None,
    file_format: str | None,
    create_nodes: bool,
    all_modes: bool,
    wait: float,
    create_dirs: bool,
    record: str | None,
    strict: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Scan the host, build its spec, validate and write it.

    The file is replaced atomically, and not touched if nothing has changed. If the spec would not work,
    nothing is written.
    """
    target, options = take_target(values), take_build_options(values)
    outputs = Outputs(target, options.mode, output)
    path = outputs.of(options.mode)
    order = _Order(
        target=target,
        options=options,
        outputs=outputs,
        path=path,
        file_format=file_format or ("json" if path.endswith(".json") else "yaml"),
        all_modes=all_modes,
        record=record,
    )
    _check(order, as_json=as_json)
    if not (output is None or create_dirs or path == "-" or os.path.dirname(path) in ENGINE_DIRECTORIES):
        check_directory(path)
    said = _await_driver(target, create_nodes=create_nodes, wait=wait)
    made = _prepare(order)
    if path == "-":
        say_findings(finding for finding in made.planned.findings if finding not in said)
        validate_rendered(made.data, order.file_format)
        emit_bytes(made.data)
        return 0
    written = _write(order, made)
    shadowed = _find_shadowed(order, made, written)
    findings = (*_findings_of(order, made), *shadowed)
    if as_json:
        emit_json("generate", _report(order, made, written, findings))
    news = () if as_json else (one for one in findings if one not in said and (written.is_news or one.level != "note"))
    _say_result(written, news)
    return max([*(one.exit_code for one in written.outcomes), 1 if strict and shadowed else 0])


class _Order(Record):
    """What is to be made.

    Attributes:
        target: the host.
        options: the choices of the main spec.
        outputs: where specs are written.
        path: the main spec's file, "-" for standard output.
        file_format: "yaml" or "json".
        all_modes: make the specs of all other modes beside it, and remove those of ours without devices.
        record: the file in which to keep the facts behind the specs.
    """

    target: Target
    options: BuildOptions
    outputs: Outputs
    path: str
    file_format: str
    all_modes: bool
    record: str | None


class _Made(Record):
    """What is to be written of a host: the main spec, those of the other modes, and who notes the facts behind them."""

    host: Host
    planned: Planned
    data: bytes
    others: tuple[Prepared, ...]
    recorder: Recorder | None


class _Written(Record):
    """What became of the main spec, of those of the other modes, and of the record."""

    main: Outcome
    others: tuple[ModeOutcome, ...]
    record: Outcome | None

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All of them."""
        return (self.main, *self.others, *filter(None, (self.record,)))

    @property
    def is_news(self) -> bool:
        """Whether a spec was written."""
        return any(one.state == "wrote" for one in (self.main, *self.others))


def _check(order: _Order, *, as_json: bool) -> None:
    """Check that what is asked for goes together."""
    if as_json and order.path == "-":
        raise UsageError(
            "--json reports on standard output, where --output - writes the spec",
            hint="use one of them",
            code="conflicting-options",
        )
    if order.all_modes:
        _check_all_modes(order.options, order.path, order.file_format)
    if order.record is not None:
        from cdigen.specs.record import check_record

        check_record(order.record, order.path, snapshot=order.target.snapshot)


def _prepare(order: _Order) -> _Made:
    """Scan the host and build everything; nothing is written."""
    session = open_session(order.target)
    recorder = None
    if order.record is not None:
        from cdigen.specs.record import Recorder

        recorder = Recorder(order.target, session, order.record)
    planner = Planner(order.target, session=session if recorder is None else recorder.session)
    groups = GroupChooser(order.target, session)
    planned = groups.settle(planner.plan(order.options))
    data = render_plan(planned, order.file_format)
    if order.path != "-":
        if _is_unanswered(planned):
            from cdigen.specs.unanswered import refuse_to_lose

            refuse_to_lose(planned, order.path, root=order.outputs.root)
        check_rendered(order.path, data, order.file_format, root=order.outputs.root)
    others: tuple[Prepared, ...] = ()
    if order.all_modes:
        from cdigen.specs.other_modes import prepare_others

        others = prepare_others(planner, groups, order.options, order.outputs)
    return _Made(host=session.host, planned=planned, data=data, others=others, recorder=recorder)


def _write(order: _Order, made: _Made) -> _Written:
    """Write the specs, then the record."""
    path, root = order.path, order.outputs.root
    changed = write_file(path, made.data, root=root)
    shown = order.outputs.shown(path)
    main = Outcome(
        path=path,
        state="wrote" if changed else "unchanged",
        message=f"{'wrote' if changed else 'unchanged:'} {shown}: {made.planned.summary}",
    )
    others: tuple[ModeOutcome, ...] = ()
    if made.others:
        from cdigen.specs.other_modes import settle_others

        others = settle_others(made.others, root=root)
    record = None if made.recorder is None else _keep_record(order, made, made.recorder, main, others)
    return _Written(main=main, others=others, record=record)


def _keep_record(
    order: _Order, made: _Made, recorder: Recorder, main: Outcome, others: Sequence[ModeOutcome]
) -> Outcome:
    """Keep the facts behind the main spec, and behind those of the others that stand."""
    standing = {one.path for one in others if one.state in ("wrote", "unchanged")}
    specs = {order.path: made.data, **{one.output: one.data for one in made.others if one.output in standing}}
    changed = any(one.state in ("wrote", "removed") for one in (main, *others))
    return recorder.keep(specs, [order.options.mode, *(one.mode for one in made.others)], changed=changed)


def _findings_of(order: _Order, made: _Made) -> tuple[Finding, ...]:
    """Return what was found, of all specs, each once."""
    found = [*made.planned.findings, *(finding for one in made.others for finding in one.findings)]
    unread = [] if order.path.endswith(SUFFIXES) else [_unread_finding(order.path)]
    return (*dict.fromkeys(found), *unread)


def _say_result(written: _Written, findings: Iterable[Finding]) -> None:
    """Say what was done, then what was found, then what has failed.

    The reason of a failure is the last line: that is what the journal and `systemctl status` show.
    """
    for one in written.outcomes:
        if not one.exit_code:
            say(one.level, one.text)
    say_findings(findings)
    for one in written.outcomes:
        if one.exit_code:
            say(one.level, one.text)


def _is_unanswered(planned: Planned) -> bool:
    """Tell whether NVML was asked, did not tell everything, and names of devices are not known."""
    inventory = planned.inventory
    if inventory is None or all(finding.code != NVML_NO_ANSWER for finding in inventory.findings):
        return False
    return inventory.lacks_uuids


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


def _find_shadowed(order: _Order, made: _Made, written: _Written) -> tuple[Finding, ...]:
    """Return what keeps engines from taking the devices of the files that stand now from these."""
    if order.target.snapshot is not None:
        return ()
    from cdigen.specs.shadowed import find_shadowed

    others = {one.path: one.devices for one in written.others if one.devices}
    return find_shadowed(order.target, made.host, {order.path: made.planned.device_names, **others})


def _check_all_modes(options: BuildOptions, output: str, file_format: str) -> None:
    if options.mode not in MAIN_MODES:
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


def _report(order: _Order, made: _Made, written: _Written, findings: tuple[Finding, ...]) -> dict[str, object]:
    plan, inventory = made.planned.plan, made.planned.inventory
    return {
        "output": order.path,
        "changed": written.main.state == "wrote",
        "driverVersion": None if inventory is None else inventory.driver.version,
        "devices": list(made.planned.device_names),
        "findings": findings_to_json(findings),
        "leftOut": left_out_to_json(plan.left_out),
        **({"others": [_mode_to_json(one) for one in written.others]} if order.all_modes else {}),
        **({} if written.record is None else {"record": written.record.to_json("file")}),
    }


def _mode_to_json(one: ModeOutcome) -> dict[str, object]:
    return {"mode": one.mode, **one.to_json("output", devices=list(one.devices))}
