"""cdigen inject: devices into an OCI runtime configuration, for runtimes without CDI of their own."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

import click

from cdigen.cdi.render import render_json
from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES
from cdigen.errors import DocumentError, ParseError, one_line
from cdigen.findings import Remedy
from cdigen.host.live import LiveHost
from cdigen.host.view import View
from cdigen.oci.bundle import open_config, write_elsewhere
from cdigen.oci.config import find_config_violations
from cdigen.oci.edits import apply_edits
from cdigen.options.shared import DEVICES, SPEC_DIRS, check_device_names, with_options
from cdigen.parse.document import parse_document
from cdigen.read import is_descriptor, read_input
from cdigen.report import emit_bytes, say
from cdigen.schema import summarise
from cdigen.specs.on_disk import read_registry
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdigen.cdi.registry import Registry, SourcedEdits
    from cdigen.host.host import Entry

_MAKE_ONE = Remedy("make one with", ("runc spec",))


@click.command("inject")
@with_options(DEVICES, SPEC_DIRS)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="File to write; - is standard output.  [default: where the configuration came from]",
)
@click.argument("config", metavar="BUNDLE|FILE")
def command(devices: tuple[str, ...], spec_dirs: tuple[str, ...], output: str | None, config: str) -> int:
    """Add devices to an OCI runtime configuration: a bundle's config.json, or - for standard input.

    For runtimes that do not read CDI specs, such as plain runc and crun, and to see what an engine would do. The
    specs may be of any vendor; their hooks are added too.

    A configuration keeps its owner and mode, but its group and others lose the right to write where another user owns
    it. Access control lists and other extended attributes are lost. A symbolic link in its place is refused.
    """
    check_device_names(devices)
    with ExitStack() as stack:
        source = None if is_descriptor(config) else open_config(config, stack)
        path = config if source is None else source.place.path
        document = _parse_config(read_input(config) if source is None else source.data, path)
        registry = read_registry(spec_dirs or DEFAULT_DIRECTORIES)
        edits = registry.resolve(devices)
        _warn_of_invalid(registry)
        view = View(LiveHost())
        data = render_json(apply_edits(document, edits, find_node=lambda node: _find_node(view, node)))
        target = ("-" if source is None else path) if output is None else output
        if target == "-":
            emit_bytes(data)
            return 0
        here = source if output is None else None
        changed = write_elsewhere(target, data, source) if here is None else here.write(data)
    say("", f"{'wrote' if changed else 'unchanged:'} {target}: {_summarise(devices, edits)}")
    return 0


def _parse_config(data: bytes, path: str) -> dict[str, object]:
    name = one_line(path)
    try:
        document = parse_document(data, is_json=True)
    except ParseError as error:
        raise _not_a_configuration(name, str(error)) from error
    violations = find_config_violations(document)
    if violations:
        raise _not_a_configuration(name, summarise(violations))
    return cast("dict[str, object]", document)


def _not_a_configuration(name: str, reason: str) -> DocumentError:
    message = f"{name} is not an OCI runtime configuration: {reason}"
    return DocumentError(message, hint=_MAKE_ONE.hint, commands=_MAKE_ONE.commands, subject=name)


def _warn_of_invalid(registry: Registry) -> None:
    for file in registry.files:
        if file.document is None:
            more = f" (and {len(file.problems) - 1} more)" if len(file.problems) > 1 else ""
            say("warning", f"{file.problems[0]}{more}; this spec was passed over")


def _find_node(view: View, path: str) -> Entry | None:
    """Return what is at a path of this host, whose parents may be links; engines do not follow one at its end."""
    parent, _, name = path.rpartition("/")
    directory = view.resolve(parent or "/")
    return None if directory is None else view.lstat(f"{directory.rstrip('/')}/{name}")


def _summarise(devices: Sequence[str], edits: Sequence[SourcedEdits]) -> str:
    def total(key: str) -> int:
        return sum(len(cast("list[object]", sourced.edits.get(key, []))) for sourced in edits)

    hooks = f", {count(total('hooks'), 'hook')}" if total("hooks") else ""
    return (
        f"{count(len(set(devices)), 'device')}, {count(total('deviceNodes'), 'device node')},"
        f" {count(total('mounts'), 'mount')}{hooks}"
    )
