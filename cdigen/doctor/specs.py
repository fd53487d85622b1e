"""Which spec gives an engine each device of NVIDIA's, and what would keep it from working."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.engines import BOTH
from cdigen.cdi.registry import Registry
from cdigen.cdi.version import version_key
from cdigen.diagnosis import NOT_RECORDED, Diagnosis, diagnosis, run, unreadable
from cdigen.engines.engines import Engine
from cdigen.errors import shell_word
from cdigen.findings import Remedy
from cdigen.host import UNREADABLE
from cdigen.records import Record, replace
from cdigen.specs.found import TOO_MANY, find_specs, judge_mode
from cdigen.specs.renewal import GENERATE, how_to_renew, how_to_replace, how_to_reveal_ours
from cdigen.wording import count, first_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cdigen.session.context import Context
    from cdigen.specs.found import FoundSpec

NO_DEVICE_FOUND = "no-device-found"
"""The code of what is said of an engine that finds no device."""

_MAX_NAMED = 3
_MAX_FILES = 12  # of a host with every class of devices


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
        return (diagnosis("spec", " and ".join(directories), "unknown", "not-recorded", NOT_RECORDED),), ()
    taken = {directories: _take(directories, specs) for directories in (BOTH, *(e.directories for e in readers))}
    used = {path for one in taken.values() for paths in (*one.disputed, one.winners) for path in paths}
    hiding = {other for one in taken.values() for _, other in one.hidden}
    specs = tuple(
        replace(spec, is_used=spec.file.document is None or spec.file.path in used, hides_ours=spec.file.path in hiding)
        for spec in specs
    )
    found = [*lines]
    blind = any(line.level == "unknown" or line.code == TOO_MANY for line in lines)
    for spec in specs:
        found += judge_file(context, spec)
    alone = not any(taken[engine.directories].winners or taken[engine.directories].disputed for engine in readers)
    seen: set[tuple[str, ...]] = set()
    for engine in readers:
        shadows = engine.directories not in seen
        found += _judge_engine(context, engine, taken[engine.directories], shadows=shadows, blind=blind, alone=alone)
        seen.add(engine.directories)
    return tuple(found), specs


def is_about_one_of_several(line: Diagnosis) -> bool:
    """Tell whether a line says that an engine has no device where another has some: its matter, and no spec's."""
    return line.level == "warning" and line.code == NO_DEVICE_FOUND


def judge_file(context: Context, spec: FoundSpec, *, is_file: bool = True) -> Iterator[Diagnosis]:
    """Yield what is wrong with a spec whoever reads it, and whose it is.

    Args:
        context: the host.
        spec: the spec.
        is_file: False for a pipe or a device, which is not to be written to or removed.
    """
    path = spec.file.path
    if spec.file.problems:
        message = f"not a valid spec, so engines ignore it: {spec.file.reason}"
        remedy = how_to_replace(spec, is_file=is_file)
        yield diagnosis("spec", path, "problem", "invalid-spec", message, remedy)
        return
    yield from judge_mode(path, spec.mode, 0o644)
    for hook in spec.hooks if spec.is_used else ():
        if context.is_recorded:
            continue
        try:
            is_there = context.views.system.find(hook) is not None
        except UNREADABLE as error:
            yield unreadable("spec", hook, error)
            continue
        if not is_there:
            message = f"its hook {hook} is not there: containers do not start"
            remedy = how_to_replace(spec, is_file=is_file)
            yield diagnosis("spec", path, "problem", "hook-missing", message, _or_install(hook, remedy))
    hooks = f", with {count(len(spec.hooks), 'hook program')}" if spec.hooks else ""
    unused = "" if spec.is_used else "; no engine uses it: specs that take precedence have all its devices"
    author = f"written by {spec.author}" if spec.author else "author unknown"
    message = f"{author}: {spec.file.kind}, cdiVersion {spec.version}{hooks}{unused}"
    yield diagnosis("spec", path, "ok", "spec-found", message)


def _or_install(hook: str, remedy: Remedy) -> Remedy:
    return remedy._replace(hint=f"install what has {hook}, or {remedy.hint or 'replace the spec'}")


class _Taken(Record):
    """What an engine takes from which file.

    Attributes:
        by_path: the specs that it reads.
        winners: how many devices it takes, by file.
        disputed: devices that it cannot tell from which to take, by files.
        hidden: how many devices of ours another's file hides, by both.
    """

    by_path: Mapping[str, FoundSpec]
    winners: Mapping[str, int]
    disputed: Mapping[tuple[str, ...], list[str]]
    hidden: Mapping[tuple[str, str], int]


def _take(directories: tuple[str, ...], specs: Sequence[FoundSpec]) -> _Taken:
    rank = {directory: position for position, directory in enumerate(directories)}
    read = [spec for spec in specs if spec.directory in rank]
    registry = Registry(directories, [replace(spec.file, rank=rank[spec.directory]) for spec in read])
    by_path = {spec.file.path: spec for spec in read}
    winners: dict[str, int] = {}
    disputed: dict[tuple[str, ...], list[str]] = {}
    hidden: dict[tuple[str, str], int] = {}
    for name in registry.devices():
        winner = registry.winner(name)
        if winner is None:
            disputed.setdefault(tuple(file.path for file in registry.disputing(name)), []).append(name)
            continue
        winners[winner.path] = winners.get(winner.path, 0) + 1
        for file in registry.providers(name)[:-1]:
            if by_path[file.path].author == "cdigen" and by_path[winner.path].author != "cdigen":
                key = (file.path, winner.path)
                hidden[key] = hidden.get(key, 0) + 1
    return _Taken(by_path=by_path, winners=winners, disputed=disputed, hidden=hidden)


def _judge_engine(
    context: Context, engine: Engine, taken: _Taken, *, shadows: bool, blind: bool, alone: bool
) -> Iterator[Diagnosis]:
    for paths, names in taken.disputed.items():
        where = first_of(paths, _MAX_NAMED, separator=" and ")
        message = f"{first_of(names, _MAX_NAMED)} cannot be resolved: defined in {where}, with equal precedence"
        remedy = _keep_one(taken, paths)
        yield diagnosis("spec", engine.name, "problem", "device-twice", message, remedy, about=paths)
    if shadows:
        for (ours, other), number in taken.hidden.items():
            author = taken.by_path[other].author
            message = (
                f"{count(number, 'device')} of it hidden by {other}, which takes precedence"
                f" ({f'written by {author}' if author else 'author unknown'})"
            )
            remedy = how_to_reveal_ours(other)
            yield diagnosis("spec", ours, "warning", "spec-hidden", message, remedy, about=(other,))
    winners = taken.winners
    for path in winners:
        version = taken.by_path[path].version
        if engine.reads and version_key(version) > version_key(engine.reads):
            message = f"{path} has cdiVersion {version}; it is known to read up to {engine.reads}, and may refuse it"
            remedy = how_to_renew(taken.by_path[path])
            remedy = remedy._replace(hint=f"if it does, {remedy.hint or 'regenerate the spec'}")
            yield diagnosis("spec", engine.name, "warning", "cdi-version-too-new", message, remedy, about=(path,))
    if winners:
        files = [f"{count(number, 'device')} from {path}" for path, number in sorted(winners.items())]
        more = f" and from {len(files) - _MAX_FILES} more files" if len(files) > _MAX_FILES else ""
        message = f"takes {' and '.join(files[:_MAX_FILES])}{more}"
        yield diagnosis("spec", engine.name, "ok", "devices-found", message)
    elif not taken.disputed:
        message = f"finds no device of nvidia.com in {' and '.join(engine.directories)}"
        if blind:
            message = f"{message}, of which not all could be read"
            yield diagnosis("spec", engine.name, "unknown", NO_DEVICE_FOUND, message)
        else:
            yield diagnosis(
                "spec", engine.name, "problem" if alone else "warning", NO_DEVICE_FOUND, message, run(GENERATE)
            )


def _keep_one(taken: _Taken, paths: Sequence[str]) -> Remedy:
    """Return how all but one of the files that have the same device are taken away; one of ours is kept."""
    kept = next((path for path in paths if taken.by_path[path].author == "cdigen"), paths[0])
    others = [shell_word(path) for path in paths if path != kept]
    hint = f"keep one of them, such as {kept}"
    return Remedy(hint) if len(others) > _MAX_FILES else run(f"rm {' '.join(others)}", hint=hint)
