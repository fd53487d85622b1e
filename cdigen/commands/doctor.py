"""cdigen doctor: the whole chain from a GPU to a container, and what to do where it is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.commands.diagnoses import diagnoses_to_json, emit_diagnoses
from cdigen.commands.looking import open_context, with_written_roots
from cdigen.commands.rebuilding import Rebuilder
from cdigen.commands.target import open_target
from cdigen.doctor.checks import diagnose
from cdigen.report import emit_json

if TYPE_CHECKING:
    from cdigen.commands.target import Target


def run_doctor(target: Target, *, as_json: bool) -> int:
    """Report on every link of the chain.

    Args:
        target: the host; its driver root is that of its spec if none is given. Only where it is this machine are
            programs run.
        as_json: report as JSON.

    Returns:
        1 if anything is a problem, else 0.

    Raises:
        FileError, DocumentError, LinkError: the host or the snapshot cannot be opened.
    """
    target = with_written_roots(target)
    opened = open_target(target, may_wake=False)
    found = diagnose(open_context(target, opened), Rebuilder(target, opened))
    problems = sum(one.level == "problem" for one in found)
    if as_json:
        emit_json("doctor", {"healthy": not problems, "diagnoses": diagnoses_to_json(found)})
    else:
        emit_diagnoses(found, good="healthy", bad="not healthy")
    return 1 if problems else 0
