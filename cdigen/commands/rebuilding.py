"""A spec of ours built anew with the options in its header, for commands that judge what is on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.build.choices import format_choices
from cdigen.build.spec import build_spec
from cdigen.cdi.model import to_document
from cdigen.commands.own_files import DEFAULT_OUTPUT, is_ours, read_choices
from cdigen.commands.planning import Planner
from cdigen.commands.target import open_target
from cdigen.doctor.truth import Rebuilt
from cdigen.errors import IncompleteError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdigen.build.choices import Choices
    from cdigen.commands.target import Target
    from cdigen.doctor.spec_files import FoundSpec
    from cdigen.inventory import Inventory


class Rebuilder:
    """Builds any number of specs of one host anew; see `cdigen.doctor.truth.Rebuild`."""

    def __init__(self, target: Target) -> None:
        """Build for the host of `target`, whose roots count more than those in a spec's header; no GPU is woken."""
        self._target = target
        self._planners: dict[tuple[str | None, str | None], Planner] = {}

    def __call__(self, spec: FoundSpec) -> Rebuilt | None:
        """Return what a spec would be now; None if it is not ours, or NVML alone would know.

        Raises:
            DocumentError: its options cannot be read.
            CdigenError: there would be none; see `Planner.plan`.
        """
        if not is_ours(spec.data):
            return None
        choices = read_choices(spec.data, spec.file.path)
        planner = self._planner(choices)
        try:
            planned = planner.plan(choices.options)
        except IncompleteError:
            if choices.options.coherent is not None and not planner.knows_coherence:
                return None
            raise
        options = format_choices(choices)
        unsure, unproven = _names_without_nvml(planned.inventory)
        output = "" if spec.file.path == DEFAULT_OUTPUT else f" --output {one_line(spec.file.path)}"
        return Rebuilt(
            document=to_document(build_spec(planned.plan)),
            left_out={entry.host_path: entry.reason for entry in planned.plan.left_out},
            summary=planned.summary,
            command=f"cdigen generate{output}{' ' * bool(options)}{options}",
            unsure=unsure,
            unproven=unproven,
        )

    def _planner(self, choices: Choices) -> Planner:
        target = self._target.with_roots(choices.driver_root, choices.dev_root)
        key = (target.driver_root, target.dev_root)
        if key not in self._planners:
            self._planners[key] = Planner(target, opened=open_target(target, may_wake=False))
        return self._planners[key]


def _names_without_nvml(inventory: Inventory | None) -> tuple[Callable[[str], bool], Callable[[str], bool]]:
    """Return `Rebuilt.unsure` and `Rebuilt.unproven`: what is not known as long as NVML is not asked."""
    gpus = () if inventory is None else inventory.gpus
    any_mig = any(instance.uuid is None for gpu in gpus for instance in gpu.mig or ())
    any_uuid = any_mig or any(gpu.uuid is None for gpu in gpus)

    def is_unsure(name: str) -> bool:
        return (any_uuid and name.startswith(("GPU-", "MIG-"))) or (any_mig and ":" in name)

    def is_unproven(name: str) -> bool:
        return any_mig and ":" not in name and not name.startswith("MIG-")

    return is_unsure, is_unproven
