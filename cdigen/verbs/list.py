"""cdigen list: the devices that this host, or a spec, offers; or those of all specs, and where engines take each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES
from cdigen.errors import UsageError, one_line
from cdigen.findings import Finding
from cdigen.options.shared import (
    BUILD_OPTIONS,
    JSON,
    SPEC_FILE,
    TARGET_OPTIONS,
    given_options,
    take_build_options,
    take_spec_file,
    take_target,
    with_options,
)
from cdigen.report import emit, emit_json, findings_to_json, format_table, say_findings
from cdigen.session.planner import plan_target
from cdigen.specs.on_disk import load_spec, read_registry
from cdigen.specs.outputs import place_below, root_of, view_below
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cdigen.cdi.registry import Registry
    from cdigen.facts import Gpu, MigInstance
    from cdigen.plan.options import BuildOptions
    from cdigen.plan.plan import PlannedDevice
    from cdigen.session.target import Target


@click.command("list")
@with_options(*SPEC_FILE)
@click.option(
    "--all", "all_specs", is_flag=True, help="List the devices of every vendor in the spec directories, as engines do."
)
@click.option(
    "--spec-dir",
    "spec_dirs",
    metavar="DIR",
    multiple=True,
    help="With --all, a directory of specs; repeatable, a later one takes precedence."
    "  [default: /etc/cdi and /var/run/cdi]",
)
@JSON
@with_options(*TARGET_OPTIONS, *BUILD_OPTIONS)
@click.pass_context
def command(
    context: click.Context,
    /,
    name: str | None,
    spec: str | None,
    all_specs: bool,
    spec_dirs: tuple[str, ...],
    as_json: bool,
    **values: Any,
) -> int:
    """List the devices that this host offers, or a spec: FILE, - for standard input; or all specs: --all.

    With --all, each device has the file from which engines take it, or those that keep them from it.
    """
    target, options = take_target(values), take_build_options(values)
    spec = take_spec_file(name, spec)
    if all_specs:
        given = given_options(context, except_for=("name", "all_specs", "spec_dirs", "as_json", "host_root"))
        if given or name is not None:
            raise click.UsageError(
                f"--all lists all specs and cannot be used together with {', '.join([*given, *['FILE'] * bool(name)])}."
            )
        return _list_all(target, spec_dirs=spec_dirs, as_json=as_json)
    if spec_dirs:
        raise UsageError(
            "--spec-dir says where --all looks", hint="add --all, or leave it out", code="conflicting-options"
        )
    if spec is not None:
        given = given_options(context, except_for=("name", "spec", "as_json"))
        if given:
            raise click.UsageError(f"FILE is all that is read and cannot be used together with {', '.join(given)}.")
        return _list_spec(spec, as_json=as_json)
    return _list_host(target, options, as_json=as_json)


def _list_host(target: Target, options: BuildOptions, *, as_json: bool) -> int:
    """Report the devices that a spec of the host would offer."""
    planned = plan_target(target, options)
    plan = planned.plan
    if as_json:
        emit_json(
            "list",
            {
                "devices": [_to_json(plan.kind, device) for device in plan.devices],
                "findings": findings_to_json(planned.findings),
            },
        )
        return 0
    say_findings(planned.findings)
    if not plan.devices[0].gpus:
        emit(*_table_of_nodes((f"{plan.kind}={device.name}", _paths(device)) for device in plan.devices))
        return 0
    rows = [(f"{plan.kind}={device.name}", *_about(device), " ".join(_paths(device))) for device in plan.devices]
    emit(*format_table(("DEVICE", "PCI", "UUID", "MODEL", "NODES"), rows))
    return 0


def _paths(device: PlannedDevice) -> list[str]:
    return [node.path for node in device.nodes]


def _table_of_nodes(devices: Iterable[tuple[str, list[str]]]) -> list[str]:
    return format_table(("DEVICE", "NODES"), ((name, " ".join(nodes)) for name, nodes in devices))


def _about(device: PlannedDevice) -> tuple[str, str, str]:
    """Return PCI address, UUID and model, of a MIG device the model with its profile."""
    if device.name == "all":
        return "-", "-", count(len(device.gpus), "GPU")
    if not device.gpus:
        return "-", "-", count(0, "GPU")
    gpu = device.gpus[0]
    if device.mig is None:
        return gpu.bdf or "-", gpu.uuid or "-", gpu.model or "-"
    profile = f" MIG {device.mig.profile}" if device.mig.profile else " MIG"
    return gpu.bdf or "-", device.mig.uuid or "-", f"{gpu.model or '-'}{profile}"


def _to_json(kind: str, device: PlannedDevice) -> dict[str, object]:
    return {
        "device": f"{kind}={device.name}",
        "name": device.name,
        **({"gpus": [_gpu_to_json(gpu) for gpu in device.gpus]} if device.gpus else {}),
        **({"mig": _mig_to_json(device.mig)} if device.mig else {}),
        "nodes": _paths(device),
    }


def _gpu_to_json(gpu: Gpu) -> dict[str, object]:
    return {"index": gpu.index, "minor": gpu.minor, "pci": gpu.bdf, "uuid": gpu.uuid, "model": gpu.model}


def _mig_to_json(mig: MigInstance) -> dict[str, object]:
    return {
        "index": mig.index,
        "gpuInstance": mig.gpu_instance,
        "computeInstance": mig.compute_instance,
        "uuid": mig.uuid,
        "profile": mig.profile,
    }


def _list_spec(path: str, *, as_json: bool) -> int:
    """Report the devices of a valid spec."""
    spec = load_spec(path)
    kind = cast("str", spec["kind"])
    devices = []
    for device in cast("list[dict[str, object]]", spec["devices"]):
        edits = cast("dict[str, list[dict[str, str]]]", device["containerEdits"])
        name = cast("str", device["name"])
        nodes = [node["path"] for node in edits.get("deviceNodes", [])]
        devices.append({"device": f"{kind}={name}", "name": name, "nodes": nodes})
    if as_json:
        emit_json("list", {"devices": devices, "findings": []})
    else:
        emit(*_table_of_nodes((str(device["device"]), cast("list[str]", device["nodes"])) for device in devices))
    return 0


def _list_all(target: Target, *, spec_dirs: Sequence[str], as_json: bool) -> int:
    """Report the devices of all specs in these directories of the host, the one that counts more last."""
    root = root_of(target.host_root)
    directories: Sequence[str] = spec_dirs or DEFAULT_DIRECTORIES
    if root is not None:
        view = view_below(root)
        directories = [place_below(view, root, directory) for directory in directories]
    registry = read_registry(directories, root=root)
    findings = tuple(_passed_over(registry))
    devices = [_Device(registry, name) for name in registry.devices()]
    if as_json:
        emit_json(
            "list-all",
            {
                "directories": list(registry.directories),
                "devices": [device.to_json() for device in devices],
                "findings": findings_to_json(findings),
            },
        )
        return 0
    say_findings(findings)
    emit(*format_table(("DEVICE", "FILE", "ALSO IN"), (device.row() for device in devices)))
    return 0


class _Device:
    """A device, and the files that have it."""

    def __init__(self, registry: Registry, name: str) -> None:
        winner = registry.winner(name)
        self.name = name
        self.file = None if winner is None else winner.path
        self.disputing = [file.path for file in registry.disputing(name)]
        self.others = [file.path for file in registry.providers(name) if file.path != self.file]

    def to_json(self) -> dict[str, object]:
        return {"device": self.name, "file": self.file, "disputed": self.disputing, "others": self.others}

    def row(self) -> tuple[str, str, str]:
        if self.file is None:
            return self.name, "none: these count the same", " ".join(self.disputing)
        return self.name, self.file, " ".join(self.others) or "-"


def _passed_over(registry: Registry) -> list[Finding]:
    found = []
    for file in registry.files:
        if file.document is None:
            more = f" (and {len(file.problems) - 1} more)" if len(file.problems) > 1 else ""
            message = f"{file.problems[0]}{more}; engines pass it over"
            found.append(Finding(level="warning", code="unusable-spec", subject=one_line(file.path), message=message))
    return found
