"""cdigen export: devices of a spec as options or configuration of engines that do not read specs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES
from cdigen.errors import UsageError
from cdigen.export.injection import build_injection
from cdigen.export.targets import TARGETS, quote_all, render_for
from cdigen.host.live import LiveHost
from cdigen.host.view import View
from cdigen.options.shared import DEVICES, SPEC_DIRS, check_device_names, with_options
from cdigen.report import emit_bytes, say, say_findings
from cdigen.specs.on_disk import read_registry

if TYPE_CHECKING:
    from cdigen.host.host import Entry


@click.command("export")
@with_options(DEVICES, SPEC_DIRS)
@click.option(
    "--for",
    "target",
    type=click.Choice(tuple(TARGETS)),
    required=True,
    help="The engine: its options, one to a line and quoted for a shell; of lxc and incus lines of configuration; json"
    " is for programs.",
)
@click.option("-0", "--null", "is_null", is_flag=True, help="Options as they are, each ended by a NUL character.")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE.  [default: standard output]")
def command(
    devices: tuple[str, ...], spec_dirs: tuple[str, ...], target: str, is_null: bool, output: str | None
) -> int:
    """Give devices to an engine that does not read CDI specs, by its own options or configuration.

    What an engine cannot be told is an error, and so is a spec with hooks. What is given is of the driver that is there
    now: ask again after it was upgraded.
    """
    check_device_names(devices)
    if is_null and not TARGETS[target].are_arguments:
        raise UsageError(f"--null separates options, and {target} has none", hint="leave it out")
    registry = read_registry(spec_dirs or DEFAULT_DIRECTORIES)
    view = View(LiveHost())

    def find(path: str) -> Entry | None:
        found = view.find(path)
        return None if found is None else found[1]

    injection = build_injection(registry.resolve(devices), find)
    parts, left_out = render_for(target, injection)
    if is_null:
        text = "".join(f"{part}\0" for part in parts)
    else:
        text = quote_all(parts) if TARGETS[target].are_arguments else "".join(f"{part}\n" for part in parts)
    data = text.encode(errors="surrogateescape")
    say_findings((*injection.findings, *left_out))
    if output in (None, "-"):
        emit_bytes(data)
        return 0
    from cdigen.write import write_file

    say("", f"{'wrote' if write_file(output or '', data) else 'unchanged:'} {output}")
    return 0
