"""cdigen diff: what generate would change, entry by entry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cdigen.build.spec import build_spec
from cdigen.cdi.entries import entries_of
from cdigen.cdi.model import to_document
from cdigen.commands.own_files import output_of
from cdigen.commands.planning import plan_target
from cdigen.commands.spec_file import load_spec
from cdigen.errors import one_line
from cdigen.report import emit, emit_json, findings_to_json, say_findings

if TYPE_CHECKING:
    from cdigen.build.options import BuildOptions
    from cdigen.commands.target import Target


def run_diff(target: Target, options: BuildOptions, *, spec: str | None, as_json: bool) -> int:
    """Report how the spec at `spec` differs from what generate would write.

    Args:
        target: the host.
        options: the choices.
        spec: the file to compare with, None for the mode's own; one that does not exist has no entry.
        as_json: report as JSON.

    Returns:
        0 if the entries are the same, else 1.
    """
    spec = output_of(options.mode) if spec is None else spec
    planned = plan_target(target, options)
    new = entries_of(to_document(build_spec(planned.plan)))
    old = entries_of(load_spec(spec)) if spec == "-" or os.path.lexists(spec) else {}
    changes = [(key, old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if as_json:
        emit_json(
            "diff",
            {
                "spec": spec,
                "changes": [
                    {"entry": what, "name": name, "old": before, "new": after}
                    for (what, name), before, after in changes
                ],
                "findings": findings_to_json(planned.findings),
            },
        )
    else:
        say_findings(planned.findings)
        emit("".join(_line(what, name, before, after) for (what, name), before, after in changes))
    return 1 if changes else 0


def _line(what: str, name: str, before: str | None, after: str | None) -> str:
    entry = f"{what} {name}" if name else what
    if before is None:
        text = f"+ {entry}: {after}"
    elif after is None:
        text = f"- {entry}: {before}"
    else:
        text = f"~ {entry}: {before} -> {after}"
    return one_line(text) + "\n"
