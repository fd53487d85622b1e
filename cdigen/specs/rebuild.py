"""A spec of ours built anew with the options in its header, for commands that judge what is on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.modes import MODES
from cdigen.cdi.model import to_document
from cdigen.errors import IncompleteError, shell_word
from cdigen.plan.header_options import format_choices
from cdigen.plan.selection import select_gpus
from cdigen.plan.spec import build_spec
from cdigen.records import replace
from cdigen.session.planner import Planner
from cdigen.specs.compare_host import Rebuilt
from cdigen.specs.header import DEFAULT_OUTPUT, is_ours, read_choices

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdigen.facts import Inventory
    from cdigen.plan.header_options import Choices
    from cdigen.plan.options import BuildOptions
    from cdigen.session.planner import Planned
    from cdigen.session.session import Session
    from cdigen.session.target import Target
    from cdigen.specs.found import FoundSpec


_OF_THE_CHOICES = ("cdiVersion", "kind")


class Rebuilder:
    """Builds any number of specs of one host anew; see `cdigen.specs.compare_host.Rebuild`."""

    def __init__(self, target: Target, session: Session) -> None:
        """Build for the host of `target`, whose roots count more than those in a spec's header; no GPU is woken.

        Args:
            target: the host.
            session: the same, with these roots; a snapshot has no others, and may be on standard input.
        """
        self._target = target
        self._session = session
        self._planners: dict[tuple[object, ...], Planner] = {}

    def __call__(self, spec: FoundSpec) -> Rebuilt | None:
        """Return what a spec would be now; None if it is not ours.

        Raises:
            DocumentError: its options cannot be read.
            CdigenError: there would be none; see `Planner.plan`.
        """
        if not is_ours(spec.data):
            return None
        choices = read_choices(spec.data, spec.file.path)
        try:
            planner = self._planner(choices)
            planned, is_wide = _plan(planner, choices.options)
        except IncompleteError as error:
            if MODES[choices.options.mode].is_of_gpus:
                raise
            raise _or_remove(error, spec.file.path) from error
        document = to_document(build_spec(planned.plan, with_groups=planned.with_groups))
        summary = planned.summary
        if is_wide:  # these two follow from the names and the mode
            document |= {key: value for key, value in (spec.file.document or {}).items() if key in _OF_THE_CHOICES}
            summary = f"{planned.contents[0]}; NVML alone tells which devices its names mean"
        options = format_choices(choices)
        unsure, unproven = _names_without_nvml(planned.inventory)
        output = "" if spec.file.path == DEFAULT_OUTPUT else f" --output {shell_word(spec.file.path)}"
        return Rebuilt(
            document=document,
            left_out={entry.host_path: entry.reason for entry in planned.plan.left_out},
            summary=summary,
            command=f"cdigen generate{output}{' ' * bool(options)}{options}",
            is_wide=is_wide,
            unsure=unsure,
            unproven=unproven,
            findings=planned.findings,
            failed_reads=planner.failed_reads,
        )

    def _planner(self, choices: Choices) -> Planner:
        target = self._target.with_choices(choices)
        session = self._session
        seen = session if target.snapshot is not None else target  # a snapshot has its own roots
        session = session.at(seen.driver_root, seen.dev_root, target.platform)
        if session.roots not in self._planners:
            self._planners[session.roots] = Planner(target, session=session, allows_failed_reads=True)
        return self._planners[session.roots]


def _or_remove(error: IncompleteError, path: str) -> IncompleteError:
    """Return the error of a host without any device of a class, with what to do about its spec if that is for good."""
    remove = f"if they are gone for good, remove the spec instead: cdigen remove {shell_word(path)}"
    return IncompleteError(
        error.message,
        hint=", or, ".join(filter(None, (error.remedy.hint, remove))),
        commands=error.remedy.commands,
        subject=error.subject,
        code=error.code,
    )


def _plan(planner: Planner, options: BuildOptions) -> tuple[Planned, bool]:
    """Return the plan of `options`, and whether it is one of all GPUs, as NVML alone knows which of them are meant."""
    try:
        planned = planner.plan(options)
    except IncompleteError:
        if not MODES[options.mode].is_of_gpus or not planner.has_scanned:
            raise
        wide = planner.plan(_widened(options))
        if _tells_which(planner, wide.inventory, options):
            raise
        return wide, True
    if _tells_which(planner, planned.inventory, options):
        return planned, False
    return planner.plan(_widened(options)), True


def _widened(options: BuildOptions) -> BuildOptions:
    """Return the same for all GPUs, each under a name that is known without NVML."""
    strategies = options.strategies if {"index", "type-index"} & {*options.strategies} else ("index",)
    return replace(
        options, devices=(), strategies=strategies, mode="gpu" if options.coherent is not None else options.mode
    )


def _tells_which(planner: Planner, inventory: Inventory | None, options: BuildOptions) -> bool:
    """Tell whether it is known of every GPU and MIG device whether `options` choose it."""
    if not MODES[options.mode].is_of_gpus or inventory is None:
        return True
    if options.coherent is not None and not planner.knows_coherence:
        return False
    if not inventory.lacks_uuids:
        return True
    if not {"index", "type-index"} & {*options.strategies}:
        return False
    try:  # a name of a MIG device may be another's: NVML alone tells their order
        select_gpus(tuple(replace(gpu, mig=None) for gpu in inventory.gpus), options.devices)
    except IncompleteError:
        return False
    return True


def _names_without_nvml(inventory: Inventory | None) -> tuple[Callable[[str], bool], Callable[[str], bool]]:
    """Return `Rebuilt.unsure` and `Rebuilt.unproven`: what is not known as long as NVML is not asked."""
    gpus = () if inventory is None else inventory.gpus
    any_mig = any(instance.uuid is None for gpu in gpus for instance in gpu.mig or ())
    any_uuid = inventory is not None and inventory.lacks_uuids

    def is_unsure(name: str) -> bool:
        return (any_uuid and name.startswith(("GPU-", "MIG-"))) or (any_mig and ":" in name)

    def is_unproven(name: str) -> bool:
        return any_mig and ":" not in name and not name.startswith("MIG-")

    return is_unsure, is_unproven
