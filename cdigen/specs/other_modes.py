"""The specs of all other modes beside the GPUs' own: written, left alone, or removed when their devices are gone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cdigen.catalog.modes import OTHER_MODES
from cdigen.errors import CdigenError, FileError, IncompleteError, InvalidSpecError, one_line
from cdigen.findings import Remedy
from cdigen.records import Record, to_dict
from cdigen.specs.header import HEAD_BYTES, is_ours, standing_file
from cdigen.specs.outcome import Outcome, failed
from cdigen.specs.render import check_rendered, render_plan
from cdigen.write import remove_file, write_file

if TYPE_CHECKING:
    from cdigen.findings import Finding
    from cdigen.plan.options import BuildOptions
    from cdigen.session.planner import Planned, Planner
    from cdigen.specs.groups import GroupChooser
    from cdigen.specs.outputs import Outputs


class Prepared(Record):
    """What is to become of one mode's file.

    Attributes:
        mode: the mode.
        output: its file.
        planned: what is to be in it; None if it is to be removed, or left because of `error`.
        data: the file's bytes.
        error: why it cannot be told what should be in it.
        findings: about the mode alone.
    """

    mode: str
    output: str
    planned: Planned | None = None
    data: bytes = b""
    error: CdigenError | None = None
    findings: tuple[Finding, ...] = ()


class ModeOutcome(Outcome):
    """What became of one mode's file.

    Attributes:
        mode: the mode.
        devices: the qualified names that it offers, if it was written or is unchanged.
    """

    mode: str
    devices: tuple[str, ...] = ()


def prepare_others(
    planner: Planner, groups: GroupChooser, options: BuildOptions, outputs: Outputs
) -> tuple[Prepared, ...]:
    """Build and check the specs of all other modes; nothing is written.

    Args:
        planner: the host, of which the main spec was planned already.
        groups: decides for all specs of the run.
        options: the main spec's choices.
        outputs: where specs are written.

    Raises:
        InvalidSpecError: one of them breaks the rules.
    """
    return tuple(
        _prepare(planner, groups, options.for_mode(mode), outputs.of(mode), outputs.root) for mode in OTHER_MODES
    )


def _prepare(planner: Planner, groups: GroupChooser, options: BuildOptions, output: str, root: str | None) -> Prepared:
    mode = options.mode
    if options.coherent is not None and not planner.knows_coherence:
        error = IncompleteError(
            "only NVML tells which GPUs are coherent", hint="ask it with --nvml always", code="coherence-unknown"
        )
        return Prepared(mode=mode, output=output, error=error)
    try:
        plain = planner.plan(options)
    except IncompleteError:
        return Prepared(mode=mode, output=output, findings=planner.findings_of(mode))
    except InvalidSpecError:
        raise
    except CdigenError as error:
        return Prepared(mode=mode, output=output, error=error)
    planned = groups.settle(plain)
    data = render_plan(planned, "yaml")
    check_rendered(output, data, "yaml", root=root)
    findings = (*planner.findings_of(mode), *planned.findings[len(plain.findings) :])
    return Prepared(mode=mode, output=output, planned=planned, data=data, findings=findings)


def settle_others(prepared: tuple[Prepared, ...], *, root: str | None = None) -> tuple[ModeOutcome, ...]:
    """Write and remove the files of all other modes; one that fails keeps no other from its turn.

    Args:
        prepared: what is to become of each.
        root: out of which nothing leads; see `cdigen.walk.open_place`.

    Returns:
        What became of each; those of which there is nothing to say are left out.
    """
    done = (_settle(one, root) for one in prepared)
    return tuple(one for one in done if one is not None)


def _settle(one: Prepared, root: str | None) -> ModeOutcome | None:
    shown = one_line(one.output)
    try:
        if one.error is not None:
            if not os.path.lexists(one.output):
                quiet = isinstance(one.error, IncompleteError)
                what = f"no spec of mode {one.mode} was written"
                return None if quiet else _left(one, f"{what}: {one.error.message}", one.error.remedy)
            return _left(one, f"left {shown} as it is: {one.error.message}", one.error.remedy)
        if one.planned is None:
            return _remove(one, shown, root)
        if standing_file(one.output, root=root) == "foreign":
            message = f"left {shown} as it is: it was not written by cdigen"
            return _left(one, message, Remedy("remove it and run cdigen generate again"))
        changed = write_file(one.output, one.data, root=root)
    except FileError as error:
        return ModeOutcome(mode=one.mode, **to_dict(failed(one.output, error)))
    return ModeOutcome(
        mode=one.mode,
        path=one.output,
        state="wrote" if changed else "unchanged",
        devices=one.planned.device_names,
        message=f"{'wrote' if changed else 'unchanged:'} {shown}: {one.planned.summary}",
    )


def _remove(one: Prepared, shown: str, root: str | None) -> ModeOutcome | None:
    outcome = remove_file(one.output, is_ours, head_bytes=HEAD_BYTES, root=root)
    if outcome == "absent":
        return None
    if outcome == "left":
        message = f"left {shown}, which has no device to offer: it was not written by cdigen"
        return _left(one, message, Remedy("remove it by hand"))
    return ModeOutcome(
        mode=one.mode, path=one.output, state="removed", message=f"removed {shown}: its devices are gone"
    )


def _left(one: Prepared, message: str, remedy: Remedy) -> ModeOutcome:
    return ModeOutcome(mode=one.mode, path=one.output, state="left", message=message, remedy=remedy, level="warning")
