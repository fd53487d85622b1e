"""cdigen diff: what generate would change, entry by entry."""

from __future__ import annotations

import os
from typing import Any

import click

from cdigen.cdi.entries import entries_of, find_differing
from cdigen.cdi.model import to_document
from cdigen.options.shared import (
    BUILD_OPTIONS,
    JSON,
    OF_TARGET,
    SPEC_FILE,
    TARGET_OPTIONS,
    are_defaults,
    given_options,
    take_build_options,
    take_spec_file,
    take_target,
    with_options,
)
from cdigen.plan.header_options import Choices
from cdigen.plan.options import BuildOptions
from cdigen.plan.spec import build_spec
from cdigen.read import read_input
from cdigen.report import emit, emit_json, findings_to_json, format_change, say_findings
from cdigen.session.planner import Planner
from cdigen.session.target import open_session
from cdigen.specs.groups import GroupChooser
from cdigen.specs.header import RECORD, is_ours, read_choices
from cdigen.specs.on_disk import read_spec
from cdigen.specs.outputs import Outputs


@click.command("diff")
@with_options(*SPEC_FILE)
@click.option(
    "--facts",
    metavar="[FILE]",
    is_flag=False,
    flag_value=RECORD,
    help="Compare the host with its facts in FILE, written by `cdigen generate --record` or `cdigen snapshot`, in place"
    f" of a spec; - is standard input.  [default: {RECORD}]",
)
@JSON
@with_options(*TARGET_OPTIONS, *BUILD_OPTIONS)
@click.pass_context
def command(
    context: click.Context, /, name: str | None, spec: str | None, facts: str | None, as_json: bool, **values: Any
) -> int:
    """Show what generate would change in a spec, entry by entry; with --facts, what has changed on the host.

    The spec is FILE, - for standard input, or the one that generate would write. + is new, - is gone, ~ is changed. If
    no option of generate is given, those in the spec's header are used. Exits with 0 if nothing has changed, else with
    1.
    """
    target, options = take_target(values), take_build_options(values)
    if facts is not None:
        given = given_options(context, except_for=("name", "facts", "as_json", *OF_TARGET)) + ["FILE"] * bool(name)
        if given:
            raise click.UsageError(f"--facts reads no spec and cannot be used together with {', '.join(given)}.")
        from cdigen.specs.record_diff import run_facts_diff

        return run_facts_diff(target, facts=facts, as_json=as_json)
    is_chosen = not are_defaults(context, except_for=("name", "spec", "facts", "as_json", *OF_TARGET))
    spec = take_spec_file(name, spec)
    if spec is None:
        mode = options.mode
        outputs = Outputs(target, mode)
        spec = outputs.of(mode)
        data = read_input(spec, root=outputs.root) if os.path.lexists(spec) else None
    else:
        data = read_input(spec)
    if not is_chosen:
        choices = read_choices(data, spec) if data is not None and is_ours(data) else Choices(options=BuildOptions())
        target, options = target.with_choices(choices), choices.options
    session = open_session(target)
    planned = Planner(target, session=session).plan(options)
    if is_chosen:
        planned = GroupChooser(target, session).settle(planned)
    new = entries_of(to_document(build_spec(planned.plan, with_groups=planned.with_groups)))
    old = {} if data is None else entries_of(read_spec(data, spec))
    changes = [(key, old.get(key), new.get(key)) for key in find_differing(old, new)]
    if as_json:
        emit_json(
            "diff",
            {
                "spec": spec,
                "changes": [
                    {"entry": key.title, "name": key.name, "old": before, "new": after}
                    for key, before, after in changes
                ],
                "findings": findings_to_json(planned.findings),
            },
        )
    else:
        say_findings(planned.findings)
        emit(*(format_change(key.text, before, after) for key, before, after in changes))
    return 1 if changes else 0
