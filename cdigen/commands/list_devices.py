"""cdigen list: the devices that this host, or a spec, offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cdigen.build.plan import build_plan
from cdigen.commands.target import scan
from cdigen.report import count, emit, emit_json, findings_to_json, format_table, say_findings

if TYPE_CHECKING:
    from cdigen.build.options import BuildOptions
    from cdigen.build.plan import PlannedDevice
    from cdigen.commands.target import Target


def run_list(target: Target, options: BuildOptions, *, as_json: bool) -> int:
    """Report the devices that a spec of the host would offer; returns 0."""
    inventory = scan(target)
    plan = build_plan(inventory, options)
    if as_json:
        emit_json(
            "list",
            {
                "devices": [_to_json(plan.kind, device) for device in plan.devices],
                "findings": findings_to_json(inventory.findings),
            },
        )
        return 0
    say_findings(inventory.findings)
    rows = []
    for device in plan.devices:
        gpu = device.gpus[0] if device.name != "all" else None
        about = (
            (gpu.bdf or "-", gpu.uuid or "-", gpu.model or "-") if gpu else ("-", "-", count(len(device.gpus), "GPU"))
        )
        rows.append((f"{plan.kind}={device.name}", *about, " ".join(node.path for node in device.nodes)))
    emit(format_table(("DEVICE", "PCI", "UUID", "MODEL", "NODES"), rows))
    return 0


def _to_json(kind: str, device: PlannedDevice) -> dict[str, object]:
    return {
        "device": f"{kind}={device.name}",
        "name": device.name,
        "gpus": [
            {"index": gpu.index, "minor": gpu.minor, "pci": gpu.bdf, "uuid": gpu.uuid, "model": gpu.model}
            for gpu in device.gpus
        ],
        "nodes": [node.path for node in device.nodes],
    }


def run_list_spec(path: str, *, as_json: bool) -> int:
    """Report the devices of the spec at `path`; returns 0.

    Raises:
        FileError: it cannot be read.
        DocumentError: it is not valid.
    """
    from cdigen.commands.spec_file import load_spec

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
        rows = [(str(device["device"]), " ".join(cast("list[str]", device["nodes"]))) for device in devices]
        emit(format_table(("DEVICE", "NODES"), rows))
    return 0
