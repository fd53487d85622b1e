"""cdigen list: the devices that this host, or a spec, offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cdigen.report import emit, emit_json, findings_to_json, format_table, say_findings
from cdigen.session.planner import plan_target
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdigen.facts import Gpu, MigInstance
    from cdigen.plan.options import BuildOptions
    from cdigen.plan.plan import PlannedDevice
    from cdigen.session.target import Target


def run_list(target: Target, options: BuildOptions, *, as_json: bool) -> int:
    """Report the devices that a spec of the host would offer; returns 0."""
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


def run_list_spec(path: str, *, as_json: bool) -> int:
    """Report the devices of the spec at `path`; returns 0.

    Raises:
        FileError: it cannot be read.
        DocumentError: it is not valid.
    """
    from cdigen.specs.on_disk import load_spec

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
