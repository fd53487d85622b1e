"""Whether a spec gives its containers the groups of device nodes that are not open to all: `--additional-gids`.

The field for it, `additionalGids`, needs cdiVersion 0.7.0, and an engine that does not know that version refuses the
whole file. So without a word from the user it is written only if every engine of this machine is known to read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import one_line
from cdigen.findings import NOTHING_TO_DO, Finding, Remedy
from cdigen.plan.groups import find_closed
from cdigen.records import replace
from cdigen.wording import first_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdigen.engines.engines import Engine
    from cdigen.session.planner import Planned
    from cdigen.session.session import Session
    from cdigen.session.target import Target

_MOST_NAMED = 3
_NEEDED = "0.7.0"  # cdigen.cdi.version, additionalGids


class GroupChooser:
    """Decides for all specs of one run; engines are asked for their versions once, and only if that matters."""

    def __init__(self, target: Target, session: Session) -> None:
        """Ask nothing yet.

        Args:
            target: which host.
            session: the host itself, and not what records it: what engines are set to is none of the facts of a spec.
        """
        self._target = target
        self._session = session
        self._answer: tuple[bool, str] | None = None

    def settle(self, planned: Planned) -> Planned:
        """Return the plan with "always" where groups are to be written, and a note that says what was decided.

        A plan whose options say "always" or "never", or whose nodes are all open, stays as it is. Where the decision is
        against groups it stays "auto", so that the header says nothing and a later run decides again.

        Raises:
            LinkError, HostReadError: the driver root or the device root cannot be found.
        """
        options = planned.choices.options
        closed = () if options.additional_gids != "auto" else find_closed(planned.plan)
        if not closed:
            return planned
        if self._answer is None:
            self._answer = self._ask()
        wanted, why = self._answer
        gids = ", ".join(map(str, sorted({node.gid for node in closed})))
        nodes = first_of([one_line(node.path) for node in closed], _MOST_NAMED)
        of_group = f"group {gids}" if "," not in gids else f"groups {gids}"
        if wanted:
            message = f"containers get {of_group} for {nodes}, as {why}"
            remedy = NOTHING_TO_DO
            choices = replace(planned.choices, options=replace(options, additional_gids="always"))
        else:
            message = f"{nodes} not open to all; containers do not get {of_group} (additionalGids), as {why}"
            remedy = Remedy(f"if all your engines read cdiVersion {_NEEDED}, use --additional-gids always")
            choices = planned.choices
        note = Finding(
            level="note", code="additional-gids", subject=one_line(closed[0].path), message=message, remedy=remedy
        )
        return replace(planned, choices=choices, findings=(*planned.findings, note))

    def _ask(self) -> tuple[bool, str]:
        """Return whether groups are to be written, and why: a clause."""
        if self._target.snapshot is not None:
            return False, "a snapshot does not tell which engines there are"
        from cdigen.session.context import open_context

        context = open_context(self._target, self._session)
        if context.runner is None:
            return False, "the host is not this machine, so its engines cannot be asked for their versions"
        from cdigen.engines.engines import check_engines, find_programs, version_commands

        programs = find_programs(context.views.system)
        _, engines = check_engines(context, programs, context.runner(version_commands(programs)))
        return judge_engines(engines)


def judge_engines(engines: Sequence[Engine]) -> tuple[bool, str]:
    """Return whether all engines are known to read additionalGids, and the reason: a clause.

    Args:
        engines: those of the host that read CDI specs.
    """
    from cdigen.cdi.version import version_key

    if not engines:
        return False, "no engine here reads CDI specs"
    unsure = [one for one in engines if one.reads is None or version_key(one.reads) < version_key(_NEEDED)]
    names = first_of([one_line(one.name) for one in unsure or engines], _MOST_NAMED)
    if unsure:
        return False, f"{names} may not read cdiVersion {_NEEDED}"
    return True, f"{names} {'reads' if len(engines) == 1 else 'read'} cdiVersion {_NEEDED}"
