"""Each container engine of the host: its version, whether it reads CDI specs, and from where."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdigen.catalog.engines import BOTH, ENGINES, PLACES, at
from cdigen.diagnosis import NOT_RECORDED, Diagnosis, diagnosis, run
from cdigen.engines.config import CRI_TABLES, read_config
from cdigen.findings import Remedy
from cdigen.host import UNREADABLE
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cdigen.catalog.engines import EngineRow, Version
    from cdigen.engines.config import EngineConfig
    from cdigen.host import View
    from cdigen.host.programs import Answer
    from cdigen.session.context import Context

_VERSION = re.compile(r"(?<![\w.])v?((\d{1,5})\.(\d{1,5})(?:\.\d{1,5})?)")

_NEWEST = max(CRI_TABLES)
"""The version of containerd's configuration with which CDI is on by itself."""


class Program(Record):
    """An engine's program on the host.

    Attributes:
        row: the engine.
        path: the program.
    """

    row: EngineRow
    path: str


class Engine(Record):
    """An engine that reads CDI specs, as far as is known.

    Attributes:
        name: with its version, if that is known.
        directories: from which it reads them, the one that counts more last.
        reads: the highest cdiVersion that it is known to read; None if that is not known.
    """

    name: str
    directories: tuple[str, ...]
    reads: str | None


class _Release(Record):
    """What `--version` told: the text and its first two numbers, or why there is none."""

    text: str = ""
    key: Version | None = None
    failure: str = ""


def find_programs(system: View) -> tuple[Program, ...]:
    """Return the engines whose program is in one of the usual directories, in the order of the catalog."""
    found = []
    for row in ENGINES:
        places = (f"{place}/{program}" for program in row.programs for place in PLACES)
        path = next((path for path in places if _is_program(system, path)), None)
        if path is not None:
            found.append(Program(row=row, path=path))
    return tuple(found)


def version_commands(programs: Iterable[Program]) -> list[tuple[str, ...]]:
    """Return the commands that tell the programs' versions."""
    return [(program.path, "--version") for program in programs]


def check_engines(
    context: Context, programs: Sequence[Program], answers: Sequence[Answer]
) -> tuple[tuple[Diagnosis, ...], tuple[Engine, ...]]:
    """Return a line for every engine, and those that read CDI specs.

    Args:
        context: the host.
        programs: what `find_programs` returned.
        answers: to the commands of `version_commands`; none where they were not run.
    """
    lines: list[Diagnosis] = []
    engines: list[Engine] = []
    if not programs:
        if context.is_recorded:
            return (diagnosis("engine", "engines", "unknown", "not-recorded", NOT_RECORDED),), ()
        names = ", ".join(row.name for row in ENGINES)
        message = f"no container engine in {', '.join(PLACES)}; looked for {names}"
        remedy = Remedy("install one, such as podman")
        return (diagnosis("engine", "engines", "warning", "no-engine", message, remedy),), ()
    for position, program in enumerate(programs):
        release = _release(answers[position]) if answers else _Release(failure="not run: the host is not this machine")
        since = program.row.one_main_file_since
        one = since is not None and release.key is not None and release.key >= since
        config = read_config(context.views.system, program.row.config, has_one_main_file=one)
        lines += config.damage
        line, engine = _judge(program, release, config)
        lines.append(line)
        if engine is not None:
            engines.append(engine)
    if not engines and all(line.level != "unknown" for line in lines):
        lines.append(
            diagnosis(
                "engine",
                "engines",
                "problem",
                "no-engine-reads-specs",
                "no engine here reads CDI specs",
                Remedy("set up one of them as said there, or install podman"),
            )
        )
    return tuple(dict.fromkeys(lines)), tuple(engines)  # two may read one configuration


def _is_program(system: View, path: str) -> bool:
    try:
        found = system.find(path)
    except UNREADABLE:
        return False
    return found is not None and found[1].kind == "file"


def _release(answer: Answer) -> _Release:
    if answer.failure is not None:
        return _Release(failure=answer.failure)
    match = _VERSION.search(answer.output)
    if match is None:
        return _Release(failure=f"no version in {answer.output[:60]!r}")
    return _Release(text=match[1], key=(int(match[2]), int(match[3])))


def _judge(program: Program, release: _Release, config: EngineConfig) -> tuple[Diagnosis, Engine | None]:
    row, key = program.row, release.key
    name = f"{row.name} {release.text}".rstrip()
    if row.name == "docker" and program.path.endswith("/docker"):
        message = f"{program.path} is a client without dockerd beside it: the engine is elsewhere, or it is podman's"
        return diagnosis("engine", name, "unknown", "engine-is-client", message), None
    if key is not None and key < row.since:
        since = ".".join(map(str, row.since))
        message = f"{program.path} reads no CDI specs; {row.name} does from {since} on"
        other = "" if row.name == "podman" else ", or use podman"
        remedy = Remedy(f"install {row.name} {since} or later{other}")
        return diagnosis("engine", name, "warning", "engine-too-old", message, remedy), None
    if config.cri_disabled:
        message = f"its CRI plugin is switched off in {config.source}: Kubernetes cannot use it; docker and nerdctl can"
        return diagnosis("engine", name, "ok", "cri-disabled", message), None
    enabled = _is_enabled(row, key, config)
    directories = _directories(row, key, config)
    if enabled is False:
        message = f"{program.path} has CDI switched off" + (f" in {config.source}" if config.enabled is False else "")
        return diagnosis("engine", name, "warning", "cdi-off", message, _how_to_enable(row, config)), None
    engine = Engine(name=name, directories=directories, reads=at(row.reads, key) if key else None)
    where = " and ".join(directories) or "no directory"
    if key is None or enabled is None:
        why = release.failure or f"no {config.source} says whether CDI is on"
        message = f"{program.path}: {why}; if it reads CDI specs, from {where}"
        remedy = (
            run(f"{program.path} --version") if key is None else Remedy(f"start {row.name}, which writes that file")
        )
        return diagnosis("engine", name, "unknown", "engine-unknown", message, remedy), engine
    only = f"; {row.limits}" if row.limits else ""
    up_to = f", cdiVersion {engine.reads} at least" if engine.reads else ""
    if not directories:
        message = f"{config.source} names no directory of CDI specs"
        remedy = Remedy(f"name {' and '.join(BOTH)} there")
        return diagnosis("engine", name, "warning", "no-spec-directory", message, remedy), None
    message = f"{program.path} reads CDI specs from {where}{up_to}{only}"
    return diagnosis("engine", name, "ok", "engine-reads-specs", message), engine


def _is_enabled(row: EngineRow, key: Version | None, config: EngineConfig) -> bool | None:
    if config.enabled is not None:
        return config.enabled
    if row.config in ("k3s", "rke2"):
        return None if config.generation is None else config.generation >= _NEWEST
    if row.on_since is None:
        return True
    return None if key is None else key >= row.on_since


def _directories(row: EngineRow, key: Version | None, config: EngineConfig) -> tuple[str, ...]:
    newest = key or (1 << 20, 0)
    if config.directories is not None and newest >= row.configurable_since:
        default = (at(row.directories, newest) or BOTH) if config.keeps_default else ()
        return tuple(dict.fromkeys((*default, *config.directories)))
    return at(row.directories, newest) or BOTH


def _how_to_enable(row: EngineRow, config: EngineConfig) -> Remedy:
    if row.config in ("docker", "containerd"):
        return run(f"cdigen configure {row.name} --write", f"systemctl restart {row.name}")
    is_newest = config.generation == _NEWEST
    _, table = CRI_TABLES[_NEWEST if is_newest else 2]
    template = "config-v3.toml.tmpl" if is_newest else "config.toml.tmpl"
    directory = config.source.rpartition("/")[0]
    # Its unit has one name on servers and another on agents.
    return Remedy(f'put enable_cdi = true below [plugins."{table}"] in {directory}/{template} and restart {row.name}')
