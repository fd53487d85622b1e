"""The verbs that make or change something: files, device nodes."""

from __future__ import annotations

from typing import Any

import click

from cdigen.cli.duration import parse_duration
from cdigen.cli.options import BUILD_OPTIONS, JSON, TARGET_OPTIONS, take_build_options, take_target, with_options

CREATE_DIRS = click.option("--create-dirs", is_flag=True, help="Make the directory of the output if it is missing.")


@click.command()
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="File to write; - is standard output.  [default: /etc/cdi/nvidia.yaml on the host, or nvidia-<mode>.yaml for"
    " another mode]",
)
@CREATE_DIRS
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("yaml", "json")),
    help="Format of the spec.  [default: by the suffix of the output, else yaml]",
)
@click.option("--create-nodes", is_flag=True, help="Make missing device nodes first, as `cdigen nodes --create` does.")
@click.option(
    "--all-modes",
    is_flag=True,
    help="Also write the specs of all other modes that have devices, as NAME-<mode>.yaml beside the first, and remove"
    " those that cdigen wrote and whose devices are gone.",
)
@click.option(
    "--wait",
    metavar="TIME",
    type=parse_duration,
    default="0",
    help="Wait up to TIME, such as 30s or 1min 30s (at most an hour), for a driver that is still coming up: its"
    " module, GPUs and device nodes. Does not wait where there is no sign of a driver.  [default: 0]",
)
@click.option(
    "--record",
    metavar="FILE",
    help="Also keep the facts behind the specs in FILE, as a snapshot; `cdigen diff --facts FILE` shows later what has"
    " changed. FILE is written only when a spec is.",
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
    create_dirs: bool,
    record: str | None,
    strict: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Scan the host, build its spec, validate and write it.

    The file is replaced atomically, and not touched if nothing has changed. If the spec would not work,
    nothing is written.
    """
    target, options = take_target(values), take_build_options(values)
    from cdigen.verbs.generate import run_generate

    return run_generate(
        target,
        options,
        output=output,
        file_format=file_format,
        as_json=as_json,
        create_nodes=create_nodes,
        all_modes=all_modes,
        wait=wait,
        create_directories=create_dirs,
        record=record,
        strict=strict,
    )


@click.command()
@click.option("--create", is_flag=True, help="Make missing nodes, and replace those that are another device.")
@click.option(
    "--dev-char",
    is_flag=True,
    help="Make the links /dev/char/MAJOR:MINOR, without which containers lose a GPU when systemd reloads; also to nodes"
    " that the driver could have and that are not there yet.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be made, and make nothing.")
@JSON
@with_options(*TARGET_OPTIONS)
def nodes(create: bool, dev_char: bool, dry_run: bool, as_json: bool, **values: Any) -> int:
    """Show every device node that the driver can have: its numbers, mode and owner, and whether it exists.

    On the running system --create uses the driver's nvidia-modprobe, which loads modules too, and elsewhere mknod. A
    node that is right, or differs only in its mode, is left alone.
    """
    target = take_target(values)
    from cdigen.verbs.nodes import run_nodes

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
@CREATE_DIRS
@click.option("--note", default="", help="Free text for the reader, stored in the snapshot.")
@with_options(*TARGET_OPTIONS)
def snapshot(output: str, create_dirs: bool, note: str, **values: Any) -> int:
    """Record the facts of this host that cdigen looks at: for a bug report, a test, or to build its spec elsewhere.

    A snapshot contains names of driver files, PCI addresses, GPU UUIDs and models, but no content of libraries. It
    can also be taken where generate refuses to write a spec.
    """
    target = take_target(values)
    from cdigen.verbs.snapshot import run_snapshot

    return run_snapshot(target, output=output, note=note, create_directories=create_dirs)


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
    help="Directory of specs; repeatable, a later one takes precedence.  [default: /etc/cdi and /var/run/cdi]",
)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="File to write; - is standard output.  [default: where the configuration came from]",
)
@click.argument("config", metavar="BUNDLE|FILE")
def inject(devices: tuple[str, ...], spec_dirs: tuple[str, ...], output: str | None, config: str) -> int:
    """Add devices to an OCI runtime configuration: a bundle's config.json, or - for standard input.

    For runtimes that do not read CDI specs, such as plain runc and crun, and to see what an engine would do. The
    specs may be of any vendor; their hooks are added too.

    A configuration keeps its owner and mode, but its group and others lose the right to write where another user owns
    it. Access control lists and other extended attributes are lost. A symbolic link in its place is refused.
    """
    from cdigen.verbs.inject import run_inject

    return run_inject(config, devices=devices, spec_dirs=spec_dirs, output=output)


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--spec-dir",
    "spec_dirs",
    metavar="DIR",
    multiple=True,
    help="Look only in this directory; repeatable.  [default: /etc/cdi, /var/run/cdi and /var/lib/cdigen]",
)
@click.option(
    "--host-root",
    metavar="DIR",
    help="Look in these directories of the host whose / is visible to this process at DIR.  [default: /]",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@JSON
def remove(
    files: tuple[str, ...], spec_dirs: tuple[str, ...], host_root: str | None, dry_run: bool, as_json: bool
) -> int:
    """Remove what generate wrote, and nothing else: specs, and the record of the facts behind them.

    With FILE, remove only that. A file is removed only if it begins with the header that generate writes. JSON files
    have no header, and symbolic links are not followed: they are left, with a message.
    """
    from cdigen.verbs.remove import run_remove

    return run_remove(files, spec_dirs=spec_dirs, host_root=host_root, dry_run=dry_run, as_json=as_json)
