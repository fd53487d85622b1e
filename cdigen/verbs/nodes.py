"""cdigen nodes: the driver's device nodes, what is there of them, and what should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cdigen.errors import CdigenError, UsageError
from cdigen.nodes.create import Made, look_at_nodes, make_nodes
from cdigen.nodes.missing import check_required
from cdigen.options.shared import JSON, TARGET_OPTIONS, take_target, with_options
from cdigen.report import emit, emit_json, findings_to_json, format_table, say, say_findings

if TYPE_CHECKING:
    from cdigen.facts import ExpectedNode


@click.command("nodes")
@click.option("--create", is_flag=True, help="Make missing nodes, and replace those that are another device.")
@click.option(
    "--dev-char",
    is_flag=True,
    help="Make the links /dev/char/MAJOR:MINOR, without which containers lose a GPU when systemd reloads; also to nodes"
    " that the driver could have and that are not there yet.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be made, and make nothing.")
@JSON
@with_options(*TARGET_OPTIONS)
def command(create: bool, dev_char: bool, dry_run: bool, as_json: bool, **values: Any) -> int:
    """Show every device node that the driver can have: its numbers, mode and owner, and whether it exists.

    On the running system --create uses the driver's nvidia-modprobe, which loads modules too, and elsewhere mknod. A
    node that is right, or differs only in its mode, is left alone.
    """
    target = take_target(values)
    if create or dev_char:
        option = "--create" if create else "--dev-char"
        made = make_nodes(target, option=option, create=create, dev_char=dev_char, dry_run=dry_run)
    elif dry_run:
        raise UsageError("--dry-run says what --create or --dev-char would do", hint="add one of them, or leave it out")
    else:
        _, nodes, notes = look_at_nodes(target)
        made = Made(nodes=nodes, actions=(), findings=notes.findings)
    if as_json:
        _emit_report(made, dry_run=dry_run)
    else:
        say_findings(made.findings)
        for action in made.actions:
            say("", action.sentence(done=not dry_run))
        emit(*format_table(("PATH", "NUMBERS", "MODE", "OWNER", "STATE"), map(_row, made.nodes)))
    if create and not dry_run:
        try:
            check_required(made.nodes)
        except CdigenError as error:
            error.is_reported = True
            raise
    return 0


def _row(node: ExpectedNode) -> tuple[str, str, str, str, str]:
    found = node.found
    numbers = f"{'?' if node.major is None else node.major}:{node.minor}"
    mode, owner = f"{node.mode:04o}", f"{node.uid}:{node.gid}"
    if found is None:
        return node.host_path, numbers, mode, owner, node.state
    if found.kind != "char":
        return node.host_path, f"{found.kind}, not {numbers}", mode, owner, node.state
    is_right = node.major is None or (found.major, found.minor) == (node.major, node.minor)
    return (
        node.host_path,
        f"{found.major}:{found.minor}" + ("" if is_right else f", not {numbers}"),
        _differs(f"{found.mode:04o}", mode),
        _differs(f"{found.uid}:{found.gid}", owner),
        node.state,
    )


def _differs(is_so: str, should_be: str) -> str:
    return is_so if is_so == should_be else f"{is_so}, not {should_be}"


def _emit_report(made: Made, *, dry_run: bool) -> None:
    emit_json(
        "nodes",
        {
            "nodes": [_to_json(node) for node in made.nodes],
            "actions": [
                {"action": action.action, "path": action.path, "detail": action.detail, "done": not dry_run}
                for action in made.actions
            ],
            "findings": findings_to_json(made.findings),
        },
    )


def _to_json(node: ExpectedNode) -> dict[str, object]:
    found = node.found
    return {
        "path": node.path,
        "hostPath": node.host_path,
        "state": node.state,
        "driver": node.driver,
        "major": node.major,
        "minor": node.minor,
        "mode": f"{node.mode:04o}",
        "owner": f"{node.uid}:{node.gid}",
        "modify": node.modify,
        "required": node.required,
        "source": node.source,
        "why": node.why,
        "found": None
        if found is None
        else {
            "kind": found.kind,
            "numbers": f"{found.major}:{found.minor}",
            "mode": f"{found.mode:04o}",
            "owner": f"{found.uid}:{found.gid}",
        },
    }
