"""The driver's device nodes: those without which containers lack a GPU, and those that are not what they seem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.diagnosis import NOT_RECORDED, Diagnosis, diagnosis, pass_on, run, unreadable
from cdigen.discover.driver import has_module
from cdigen.doctor.access import is_open_to_all, judge_access
from cdigen.errors import shell_word
from cdigen.findings import Remedy
from cdigen.host import UNREADABLE
from cdigen.nodes.expected import find_expected_nodes
from cdigen.notes import Notes
from cdigen.wording import count

if TYPE_CHECKING:
    from cdigen.diagnosis import Level
    from cdigen.facts import ExpectedNode
    from cdigen.session.context import Context

_CREATE = "cdigen nodes --create"


def check_nodes(context: Context) -> tuple[Diagnosis, ...]:
    """Return a line for every node that is not right, or one for all if they are."""
    if not has_module(context.views.system):
        return (
            diagnosis(
                "nodes", "/dev", "unknown", "nodes-unknown", "no kernel module tells which nodes there should be"
            ),
        )
    notes = Notes()
    try:
        nodes = find_expected_nodes(context.views, notes)
    except UNREADABLE as error:
        return (unreadable("nodes", "/dev", error),)
    found = []
    for finding in notes.findings:
        if finding.code == "majors-unknown" and context.is_recorded:
            found.append(diagnosis("nodes", finding.subject, "unknown", "not-recorded", NOT_RECORDED))
        else:
            found.append(pass_on("nodes", finding.subject, "warning", finding))
    found += filter(None, (_judge(context, node) for node in nodes))
    if not found:
        right = sum(node.found is not None for node in nodes)
        absent = len(nodes) - right
        more = f"; {absent} optional {'one' if absent == 1 else 'ones'} absent" if absent else ""
        closed = sum(not is_open_to_all(node) for node in nodes)  # none that a container needs
        but = f" except {closed} that containers do not need" if closed else ""
        message = f"{count(right, 'device node')}, open to all users{but}{more}"
        found.append(diagnosis("nodes", "/dev", "ok", "nodes-right", message))
    return tuple(found)


def _judge(context: Context, node: ExpectedNode) -> Diagnosis | None:
    level: Level = "problem" if node.required else "warning"
    if node.state == "wrong device":
        return diagnosis("nodes", node.host_path, level, "wrong-device", _wrong(node), _how_to_make(node))
    if node.state == "missing" and node.required:
        return diagnosis("nodes", node.host_path, "problem", "node-missing", f"missing: {node.why}", _how_to_make(node))
    if node.state == "module not loaded" and node.required:
        return diagnosis(
            "nodes",
            node.host_path,
            "problem",
            "module-not-loaded",
            f"the module {node.module} is not loaded: {node.why}",
            run(f"modprobe {node.module}", _CREATE),
        )
    if node.required and not is_open_to_all(node):
        return judge_access(context, node)
    return None


def _how_to_make(node: ExpectedNode) -> Remedy:
    if node.modify:
        return run(_CREATE)
    hint = "the driver is told to leave the nodes alone (NVreg_ModifyDeviceFiles=0): make it yourself"
    if node.major is None:
        return Remedy(hint)
    path = shell_word(node.host_path)
    remove = () if node.found is None else (f"rm {path}",)
    return run(*remove, f"mknod -m {node.mode:04o} {path} c {node.major} {node.minor}", hint=hint)


def _wrong(node: ExpectedNode) -> str:
    found = node.found
    if found is None or found.kind != "char":
        return f"not a character device: {node.why}"
    return (
        f"has the numbers {found.major}:{found.minor}, not {'?' if node.major is None else node.major}:{node.minor}:"
        f" {node.why}"
    )
