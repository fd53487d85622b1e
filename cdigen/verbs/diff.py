"""cdigen diff: what generate would change, entry by entry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cdigen.cdi.entries import entries_of
from cdigen.cdi.model import to_document
from cdigen.plan.header_options import Choices
from cdigen.plan.options import BuildOptions
from cdigen.plan.spec import build_spec
from cdigen.read import read_input
from cdigen.report import emit, emit_json, findings_to_json, format_change, say_findings
from cdigen.session.planner import Planner
from cdigen.session.target import open_session
from cdigen.specs.groups import GroupChooser
from cdigen.specs.header import is_ours, read_choices
from cdigen.specs.on_disk import read_spec
from cdigen.specs.outputs import Outputs

if TYPE_CHECKING:
    from cdigen.session.target import Target


def run_diff(target: Target, options: BuildOptions | None, *, spec: str | None, as_json: bool) -> int:
    """Report how the spec at `spec` differs from what generate would write.

    Args:
        target: the host.
        options: the choices; None for those in the spec's header, or the defaults if it is not ours.
        spec: the file to compare with; None for the mode's own on the host, which has no entry if it is not there.
        as_json: report as JSON.

    Returns:
        0 if the entries are the same, else 1.

    Raises:
        FileError: it cannot be read, or is named and not there.
    """
    is_chosen = options is not None
    if spec is None:
        mode = "auto" if options is None else options.mode
        outputs = Outputs(target, mode)
        spec = outputs.of(mode)
        data = read_input(spec, root=outputs.root) if os.path.lexists(spec) else None
    else:
        data = read_input(spec)
    if options is None:
        choices = read_choices(data, spec) if data is not None and is_ours(data) else Choices(options=BuildOptions())
        target, options = target.with_roots(choices.driver_root, choices.dev_root), choices.options
    session = open_session(target)
    planned = Planner(target, session=session).plan(options)
    if is_chosen:
        planned = GroupChooser(target, session).settle(planned)
    new = entries_of(to_document(build_spec(planned.plan, with_groups=planned.with_groups)))
    old = {} if data is None else entries_of(read_spec(data, spec))
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
        emit(*(format_change(" ".join(filter(None, key)), before, after) for key, before, after in changes))
    return 1 if changes else 0
