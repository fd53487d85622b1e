"""The verbs that make or change something: files, device nodes."""

from __future__ import annotations

from typing import Any

import click

from cdigen.cli.duration import parse_duration
from cdigen.cli.options import BUILD_OPTIONS, JSON, TARGET_OPTIONS, take_build_options, take_target, with_options


@click.command()
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="File to write; - is standard output.  [default: /etc/cdi/nvidia.yaml on the host, of other modes"
    " nvidia-<mode>.yaml]",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("yaml", "json")),
    help="[default: by the suffix of the output, else yaml]",
)
@click.option("--create-nodes", is_flag=True, help="Make missing device nodes first, as `cdigen nodes --create` does.")
@click.option(
    "--all-modes",
    is_flag=True,
    help="Also write the specs of all other modes that have devices, beside the first as NAME-<mode>.yaml, and remove"
    " those of ours whose devices are gone.",
)
@click.option(
    "--wait",
    metavar="TIME",
    type=parse_duration,
    default="0",
    help="Wait as long as this for a driver that is still coming up, such as 30s or 1min 30s, an hour at most: its"
    " module, its GPUs and their nodes. Not where none will come.  [default: 0]",
)
@click.option(
    "--record",
    metavar="FILE",
    help="Also keep the facts behind what was written in FILE, a snapshot; `cdigen diff --facts FILE` tells later what"
    " has changed. It is left alone while the specs are.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Exit 1 if another spec keeps engines from taking a device of what was written; it stays written.",
)
@JSON
@with_options(*TARGET_OPTIONS, *BUILD_OPTIONS)
def generate(
    output: str | None,
    file_format: str | None,
    create_nodes: bool,
    all_modes: bool,
    wait: float,
    record: str | None,
    strict: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Scan the host, build its spec, validate and write it.

    The file is replaced in one step, and left alone if nothing has changed. If the spec would not work,
    nothing is written.
    """
    target, options = take_target(values), take_build_options(values)
    from cdigen.commands.generate import run_generate

    return run_generate(
        target,
        options,
        output=output,
        file_format=file_format,
        as_json=as_json,
        create_nodes=create_nodes,
        all_modes=all_modes,
        wait=wait,
        record=record,
        strict=strict,
    )


@click.command()
@click.option("--create", is_flag=True, help="Make the nodes that are missing; replace those that are other devices.")
@click.option(
    "--dev-char",
    is_flag=True,
    help="Make the links /dev/char/MAJOR:MINOR, without which containers lose a GPU when systemd reloads.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@JSON
@with_options(*TARGET_OPTIONS)
def nodes(create: bool, dev_char: bool, dry_run: bool, as_json: bool, **values: Any) -> int:
    """Show every device node that the driver could have: its numbers, mode and owner, and whether it is there.

    --create uses the driver's nvidia-modprobe where the host is the running system, which loads modules too, and
    mknod otherwise. A node that is right, or only has another mode, is left alone.
    """
    target = take_target(values)
    from cdigen.commands.nodes import run_nodes

    return run_nodes(target, create=create, dev_char=dev_char, dry_run=dry_run, as_json=as_json)


@click.command()
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    default="-",
    show_default=True,
    help="File to write; - is standard output.",
)
@click.option("--note", default="", help="Free text for the reader, put into the snapshot.")
@with_options(*TARGET_OPTIONS)
def snapshot(output: str, note: str, **values: Any) -> int:
    """Record the facts of this host that cdigen looks at: for a bug report, a test, or to build elsewhere.

    It holds names of driver files, PCI addresses, GPU UUIDs and models, and no content of libraries. It is
    recorded also where generate refuses to write a spec.
    """
    target = take_target(values)
    from cdigen.commands.snapshot import run_snapshot

    return run_snapshot(target, output=output, note=note)


@click.command()
@click.option(
    "--device",
    "devices",
    metavar="KIND=NAME",
    multiple=True,
    required=True,
    help="Device to inject, such as nvidia.com/gpu=0; repeatable.",
)
@click.option(
    "--spec-dir",
    "spec_dirs",
    metavar="DIR",
    multiple=True,
    help="Directory of specs; repeatable, a later one counts more.  [default: /etc/cdi and /var/run/cdi]",
)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="File to write; - is standard output.  [default: where the configuration came from]",
)
@click.argument("config", metavar="BUNDLE|FILE")
def inject(devices: tuple[str, ...], spec_dirs: tuple[str, ...], output: str | None, config: str) -> int:
    """Put devices into an OCI runtime configuration: a bundle's config.json, or - for standard input.

    For runtimes that read no CDI specs, such as plain runc and crun, and to see what an engine would do. Specs
    may be anyone's; hooks in them are carried over.
    """
    from cdigen.commands.inject import run_inject

    return run_inject(config, devices=devices, spec_dirs=spec_dirs, output=output)


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--spec-dir",
    "spec_dirs",
    metavar="DIR",
    multiple=True,
    help="Look in this directory alone; repeatable.  [default: /etc/cdi, /var/run/cdi and /var/lib/cdigen]",
)
@click.option(
    "--host-root",
    metavar="DIR",
    help="Look in these directories of the host whose / is visible to this process at DIR.  [default: /]",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@JSON
def remove(
    files: tuple[str, ...], spec_dirs: tuple[str, ...], host_root: str | None, dry_run: bool, as_json: bool
) -> int:
    """Remove what generate wrote, and nothing else: specs, and the record of the facts behind them.

    FILE restricts that to these. A file goes only if it begins with the header that generate gives it. JSON has none,
    and symbolic links are not followed: these are left, and said.
    """
    from cdigen.commands.remove import run_remove

    return run_remove(files, spec_dirs=spec_dirs, host_root=host_root, dry_run=dry_run, as_json=as_json)
