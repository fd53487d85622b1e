"""cdigen configure: switches CDI on in the configuration of an engine that reads specs only where it is told to."""

from __future__ import annotations

import difflib
import stat
from typing import TYPE_CHECKING

import click

from cdigen.catalog.engines import PLACES
from cdigen.engines.config import read_config
from cdigen.engines.engines import check_engines, find_programs, version_commands
from cdigen.engines.switch import switch_on
from cdigen.errors import DocumentError, IncompleteError, ParseError, one_line, shell_word
from cdigen.options.shared import HOST_ROOT, with_options
from cdigen.records import Record
from cdigen.report import emit, say
from cdigen.session.context import open_context
from cdigen.session.target import Target, open_session
from cdigen.specs.outputs import place_below, root_of
from cdigen.walk import open_place
from cdigen.write import FILE_MODE, refusing, remove_file, write_file

if TYPE_CHECKING:
    from cdigen.engines.config import EngineConfig
    from cdigen.session.context import Context

_BACKUP = ".before-cdigen"
"""Ends the name of the file that keeps what was there before; no engine reads it."""

_BY_HAND = {
    "docker": 'put "features": {"cdi": true} there by hand',
    "containerd": "put enable_cdi = true into the table of its CRI plugin by hand",
}

_ON, _OFF, _UNKNOWN = "engine-reads-specs", "cdi-off", "engine-unknown"


@click.command("configure")
@click.argument("engine", type=click.Choice(("docker", "containerd")))
@click.option("--write", is_flag=True, help="Do it; without this, the difference is shown and nothing is changed.")
@click.option("--undo", is_flag=True, help="Put back what was there before.")
@with_options(HOST_ROOT)
def command(engine: str, write: bool, undo: bool, host_root: str | None) -> int:
    """Switch CDI on in an engine's own configuration, where its version reads specs only if it is told to.

    That is docker 25 to 28.1, and containerd 1.7 for Kubernetes. Everything else in the file stays as it is, and what
    it was is kept beside it in a file that ends in .before-cdigen.
    """
    target = Target(host_root=host_root)
    context = open_context(target, open_session(target, may_wake=False))
    config = read_config(context.views.system, engine)
    if not undo and _reads_already(engine, context, config):
        return 0
    change = _undo(engine, context, config) if undo else _do(engine, context, config)
    if change is None:
        return 0
    if not write:
        _show(change)
        return 0
    root = root_of(host_root)
    place, backup = (
        path if root is None else place_below(context.views.system, root, path)
        for path in (change.path, change.path + _BACKUP)
    )
    mode = _mode(place, root)
    if not undo and change.old is not None:
        write_file(backup, change.old, mode=mode, root=root)
    if change.new is None:
        remove_file(place, lambda head: head == change.old, head_bytes=len(change.old or b"") + 1, root=root)
    else:
        write_file(place, change.new, mode=mode, root=root)
    if undo and change.new is not None:
        remove_file(backup, lambda head: head == change.new, head_bytes=len(change.new) + 1, root=root)
    done = "removed" if change.new is None else "wrote"
    say("", f"{done} {one_line(place)}; to let it take effect: systemctl restart {engine}")
    return 0


class _Change(Record):
    """What a file is and is to be, as bytes; None for no file. Its path is the host's."""

    path: str
    old: bytes | None
    new: bytes | None


def _reads_already(engine: str, context: Context, config: EngineConfig) -> bool:
    """Tell whether the engine reads specs as it is; raise if configuration does not help it."""
    programs = [program for program in find_programs(context.views.system) if program.row.name == engine]
    if not programs:
        message = f"there is no {engine} in {', '.join(PLACES)}"
        raise IncompleteError(message, hint="install it first", subject=engine, code="no-engine")
    answers = context.runner(version_commands(programs)) if context.runner else ()
    lines, _ = check_engines(context, programs, answers)
    line = lines[0]  # what is damaged, or else what the engine is
    if line.code == _OFF or (line.code == _UNKNOWN and config.enabled is not True):
        return False
    if line.code not in (_ON, _UNKNOWN):
        hint, commands = line.remedy
        message = f"{line.subject}: {line.message}"
        raise DocumentError(message, hint=hint, commands=commands, subject=line.subject, code=line.code)
    say("", f"nothing to do: {line.message}")
    return True


def _do(engine: str, context: Context, config: EngineConfig) -> _Change:
    old = context.views.system.read(config.source)
    return _Change(path=config.source, old=old, new=_switched_on(engine, config.source, old or b""))


def _undo(engine: str, context: Context, config: EngineConfig) -> _Change | None:
    path, backup = config.source, config.source + _BACKUP
    current, kept = (context.views.system.read(one) for one in (path, backup))
    if current is None or current == kept or (kept is None and config.enabled is not True):
        say("", f"nothing to undo: {one_line(path)} does not switch CDI on")
        return None
    if _switched_on(engine, path, kept or b"") != current:
        commands = () if kept is None else (f"cp {shell_word(backup)} {shell_word(path)}",)
        raise DocumentError(
            f"{one_line(path)} is not as cdigen wrote it",
            hint="put back what was there before" if commands else "take out by hand what switches CDI on",
            commands=commands,
            subject=path,
            code="changed-since",
        )
    return _Change(path=path, old=current, new=kept)


def _switched_on(engine: str, path: str, data: bytes) -> bytes:
    try:
        return switch_on(engine, data)
    except ParseError as error:
        raise DocumentError(
            f"cannot change {one_line(path)}: {error}",
            hint=_BY_HAND[engine],
            subject=path,
            code="cannot-configure",
        ) from error


def _mode(path: str, root: str | None) -> int:
    """Return the mode of a file, which may hold secrets, or that of a new one."""
    with refusing("write", path):
        try:
            with open_place(path, root=root) as place:
                found = place.lstat()
        except FileNotFoundError:  # nor its directory
            return FILE_MODE
    return FILE_MODE if found is None else stat.S_IMODE(found.st_mode)


def _show(change: _Change) -> None:
    old, new = ((data or b"").decode(errors="backslashreplace").splitlines() for data in (change.old, change.new))
    before, after = ("/dev/null" if data is None else change.path for data in (change.old, change.new))
    emit(*(line.expandtabs(4) for line in difflib.unified_diff(old, new, before, after, lineterm="")))
    say("", "nothing was changed; to do it, add --write")
