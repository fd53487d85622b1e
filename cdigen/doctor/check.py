"""Whether the specs that engines will use are still true, for a probe that asks often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.diagnosis import diagnosis
from cdigen.discover.driver import has_gpu_node, has_module
from cdigen.doctor.platform import is_on_pci
from cdigen.doctor.specs import NO_DEVICE_FOUND, check_specs, is_about_one_of_several, judge_file
from cdigen.engines.engines import check_engines, find_programs, version_commands
from cdigen.errors import one_line
from cdigen.host import UNREADABLE
from cdigen.records import Record
from cdigen.specs.compare_host import check_truth

if TYPE_CHECKING:
    from cdigen.diagnosis import Diagnosis
    from cdigen.session.context import Context
    from cdigen.specs.compare_host import Rebuild
    from cdigen.specs.found import FoundSpec


class Checked(Record):
    """What was found of specs: lines, and the specs that were looked at."""

    diagnoses: tuple[Diagnosis, ...]
    specs: tuple[FoundSpec, ...]


def check_written(context: Context, rebuild: Rebuild) -> Checked:
    """Return what is wrong with any spec that an engine takes NVIDIA's devices from, and a line for each that is true.

    A host without a driver and without a spec is right as it is.

    Args:
        context: the host.
        rebuild: builds specs of that host anew.
    """
    lines, specs = _survey(context)
    truth = [line for spec in specs for line in check_truth(context, spec, rebuild)]
    wrong = [line for line in lines if line.level != "ok" and not is_about_one_of_several(line)]
    views = context.views
    if not (specs or has_module(views.system) or has_gpu_node(views.dev) or not is_on_pci(context)):
        wrong = [line for line in wrong if line.code != NO_DEVICE_FOUND]
        message = "no driver is loaded, and there is no spec for its devices"
        nothing = diagnosis("spec", "specs", "ok", "nothing-to-check", message)
        return Checked(diagnoses=(*wrong, nothing), specs=specs)
    return Checked(diagnoses=tuple(dict.fromkeys([*wrong, *truth])), specs=specs)


def check_one(context: Context, spec: FoundSpec, rebuild: Rebuild, *, is_on_host: bool) -> Checked:
    """Return what is wrong with one spec, or the line that it is true.

    Args:
        context: the host.
        spec: the spec.
        rebuild: builds specs of that host anew.
        is_on_host: whether its path is one of the host, where engines may find it.
    """
    path = spec.file.path
    found = [line for line in judge_file(context, spec, is_file=spec.mode != 0) if line.level != "ok"]
    if is_on_host:
        lines, specs = _survey(context)
        here = {one_line(other.file.path) for other in specs if _is_same(context, other.file.path, path)}
        found += [line for line in lines if line.level != "ok" and here & {line.subject, *line.about}]
    truth = check_truth(context, spec, rebuild)
    return Checked(diagnoses=tuple(dict.fromkeys([*found, *truth])), specs=(spec,))


def _survey(context: Context) -> tuple[tuple[Diagnosis, ...], tuple[FoundSpec, ...]]:
    programs = find_programs(context.views.system)
    answers = context.runner(version_commands(programs)) if context.runner else ()
    _, engines = check_engines(context, programs, answers)
    return check_specs(context, engines)


def _is_same(context: Context, path: str, other: str) -> bool:
    try:
        return context.views.system.resolve(path) == context.views.system.resolve(other)
    except UNREADABLE:
        return False
