"""Which spec gives an engine each device of NVIDIA's, and what would keep it from working."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cdigen.cdi.registry import Registry
from cdigen.cdi.version import version_key
from cdigen.doctor.diagnosis import NOT_RECORDED, Diagnosis, diagnosis, exists
from cdigen.doctor.engines import Engine
from cdigen.doctor.engines_catalog import BOTH
from cdigen.doctor.spec_files import find_specs
from cdigen.doctor.units import DISABLE_VENDORS, VENDORS_SPEC

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cdigen.doctor.diagnosis import Context
    from cdigen.doctor.spec_files import FoundSpec

_GENERATE = "cdigen generate"
_MAX_NAMED = 3


def check_specs(context: Context, engines: Sequence[Engine]) -> tuple[tuple[Diagnosis, ...], tuple[FoundSpec, ...]]:
    """Return a line for every spec for NVIDIA's devices, and for every engine, which of them it takes; and the specs.

    Args:
        context: the host.
        engines: those that read specs; if there is none, what most would read is looked at.
    """
    readers = list(engines) or [Engine(name="an engine", directories=BOTH, reads=None)]
    directories = tuple(
        dict.fromkeys(d for directories in (BOTH, *(e.directories for e in readers)) for d in directories)
    )
    specs, lines = find_specs(context, directories)
    if not specs and not lines and context.is_recorded:
        return (diagnosis("spec", " and ".join(directories), "unknown", NOT_RECORDED),), ()
    found = [*lines]
    for spec in specs:
        found += judge_file(context, spec)
    seen: set[tuple[str, ...]] = set()
    for engine in readers:
        found += _judge_engine(engine, specs, shadows=engine.directories not in seen, blind=bool(lines))
        seen.add(engine.directories)
    return tuple(found), specs


def judge_file(context: Context, spec: FoundSpec) -> Iterator[Diagnosis]:
    """Yield what is wrong with a spec whoever reads it, and whose it is."""
    path, remove = spec.file.path, f"{_GENERATE} --output {spec.file.path}, or remove it"
    if spec.file.problems:
        message = f"not a valid spec, so engines pass it over: {spec.file.problems[0]}"
        yield diagnosis("spec", path, "problem", message, remove)
        return
    if spec.mode and spec.mode & 0o444 != 0o444:
        message = f"mode {spec.mode:04o}: rootless engines cannot read it"
        yield diagnosis("spec", path, "warning", message, f"chmod 0644 {path}")
    for hook in spec.hooks:
        if not exists(context.views.system, hook) and not context.is_recorded:
            message = f"its hook {hook} is not there: containers do not start"
            yield diagnosis("spec", path, "problem", message, f"{remove}, or install what has {hook}")
    hooks = f", with {len(spec.hooks)} hook program{'s' * (len(spec.hooks) != 1)}" if spec.hooks else ""
    yield diagnosis("spec", path, "ok", f"of {spec.author}: {spec.file.kind}, cdiVersion {spec.version}{hooks}")


def _judge_engine(engine: Engine, specs: Sequence[FoundSpec], *, shadows: bool, blind: bool) -> Iterator[Diagnosis]:
    rank = {directory: position for position, directory in enumerate(engine.directories)}
    read = [spec for spec in specs if spec.directory in rank]
    registry = Registry(engine.directories, [replace(spec.file, rank=rank[spec.directory]) for spec in read])
    by_path = {spec.file.path: spec for spec in read}
    winners: dict[str, int] = {}
    disputed: dict[tuple[str, ...], list[str]] = {}
    hidden: dict[tuple[str, str], int] = {}
    for name in registry.devices():
        providers = registry.providers(name)
        highest = [file for file in providers if file.rank == providers[-1].rank]
        if len(highest) > 1:
            disputed.setdefault(tuple(file.path for file in highest), []).append(name)
            continue
        winners[highest[0].path] = winners.get(highest[0].path, 0) + 1
        for file in providers[:-1]:
            if by_path[file.path].author == "cdigen" and by_path[highest[0].path].author != "cdigen":
                key = (file.path, highest[0].path)
                hidden[key] = hidden.get(key, 0) + 1
    for paths, names in disputed.items():
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        message = (
            f"{', '.join(names[:_MAX_NAMED])}{more} cannot be resolved: in {' and '.join(paths)}, which count the same"
        )
        yield diagnosis("spec", engine.name, "problem", message, f"remove all but one: rm {paths[-1]}")
    if shadows:
        for (ours, other), number in hidden.items():
            message = f"{_devices(number)} of it hidden by {other}, which counts more and is of {by_path[other].author}"
            remedy = DISABLE_VENDORS if other == VENDORS_SPEC else f"remove one of the two: rm {other}"
            yield diagnosis("spec", ours, "warning", message, remedy)
    for path in winners:
        version = by_path[path].version
        if engine.reads and version_key(version) > version_key(engine.reads):
            message = f"{path} has cdiVersion {version}; it is known to read up to {engine.reads}, and may refuse it"
            yield diagnosis("spec", engine.name, "warning", message, f"if it does: {_GENERATE} --output {path}")
    if winners:
        taken = " and ".join(f"{_devices(number)} from {path}" for path, number in sorted(winners.items()))
        yield diagnosis("spec", engine.name, "ok", f"takes {taken}")
    elif not disputed:
        where = " and ".join(engine.directories)
        message = f"finds no device of nvidia.com in {where}"
        if blind:
            yield diagnosis("spec", engine.name, "unknown", f"{message}, of which not all could be read")
        else:
            yield diagnosis("spec", engine.name, "problem", message, _GENERATE)


def _devices(number: int) -> str:
    return f"{number} device{'s' * (number != 1)}"
