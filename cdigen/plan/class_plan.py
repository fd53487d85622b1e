"""What a spec of a class other than the GPUs' holds: IMEX channels, NVSwitches and the like, and management."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.modes import MODES
from cdigen.errors import IncompleteError, UnreadableError, one_line
from cdigen.plan.plan import MOUNT_OPTIONS, Plan, PlannedDevice, PlannedMount, build_plan_of
from cdigen.wording import first_of

if TYPE_CHECKING:
    from cdigen.facts import ClassDevices, DeviceNode, Inventory
    from cdigen.plan.options import BuildOptions

_MOST_NAMED = 8


def build_class_plan(devices: ClassDevices, options: BuildOptions) -> Plan:
    """Return what the spec of a class holds that needs no file of the driver.

    As the vendor's: nothing for every container, and no environment. IMEX channels can be asked for one by one, all
    others by `all` alone.

    Args:
        devices: what the host has of the class.
        options: the choices.

    Raises:
        IncompleteError: it has none, or not the ones that are asked for, or none would have a name.
        UnreadableError: something could not be read, which is not absence.
    """
    if devices.failed_reads and not options.allow_incomplete:
        raise UnreadableError(devices.failed_reads, devices.findings)
    planned = _channels(devices, options) if MODES[devices.name].has_names else (_all(devices),)
    return Plan(
        kind=options.kind,
        devices=planned,
        nodes=(),
        mounts=tuple(
            PlannedMount(host_path=file.host_path, container_path=path, options=MOUNT_OPTIONS, source=file)
            for file in sorted(devices.files, key=lambda file: file.container_paths)
            for path in file.container_paths
        ),
        env=(),
        left_out=devices.left_out,
    )


def build_management_plan(inventory: Inventory, devices: ClassDevices, options: BuildOptions) -> Plan:
    """Return what the spec of the management class holds: every node of the driver in `all`, and the driver's files.

    Args:
        inventory: the driver's files; its GPUs do not matter.
        devices: the nodes.
        options: the choices.

    Raises:
        IncompleteError: there is no node.
        UnreadableError: something could not be read, which is not absence.
    """
    failed_reads = (*inventory.failed_reads, *devices.failed_reads)
    if failed_reads and not options.allow_incomplete:
        raise UnreadableError(failed_reads, (*inventory.findings, *devices.findings))
    return build_plan_of(inventory, options, (_all(devices),), ())


def _all(devices: ClassDevices) -> PlannedDevice:
    if not devices.nodes:
        raise _absent(devices)
    return PlannedDevice(name="all", gpus=(), nodes=devices.nodes)


def _channels(devices: ClassDevices, options: BuildOptions) -> tuple[PlannedDevice, ...]:
    by_number = {node.path.rpartition("/channel")[2]: node for node in devices.nodes}
    if not by_number:
        raise _absent(devices)
    chosen = _chosen(by_number, options.devices)
    planned = [
        PlannedDevice(name=f"{prefix}{number}", gpus=(), nodes=(node,))
        for number, node in chosen.items()
        for prefix in _prefixes(options)
    ]
    if options.with_all:
        planned.append(PlannedDevice(name="all", gpus=(), nodes=tuple(chosen.values())))
    elif not planned:
        raise IncompleteError(
            "an IMEX channel has no UUID, so none would have a name", hint="add --device-name-strategy index"
        )
    return tuple(planned)


def _prefixes(options: BuildOptions) -> tuple[str, ...]:
    """Return what stands before the number of a channel in each of its names."""
    known = {"index": "", "type-index": "channel"}
    return tuple(known[strategy] for strategy in dict.fromkeys(options.strategies) if strategy in known)


def _chosen(by_number: dict[str, DeviceNode], wanted: tuple[str, ...]) -> dict[str, DeviceNode]:
    if not wanted:
        return by_number
    numbers = {name.strip().lower().removeprefix("channel"): name for name in wanted}
    unknown = [name for number, name in numbers.items() if number not in by_number]
    if unknown:
        raise IncompleteError(
            f"--device {', '.join(map(one_line, unknown))}: no such IMEX channel",
            hint=f"the channels are {first_of(list(by_number), _MOST_NAMED)}; see",
            commands=("cdigen list --mode imex",),
        )
    return {number: node for number, node in by_number.items() if number in numbers}


def _absent(devices: ClassDevices) -> IncompleteError:
    error = IncompleteError(devices.absent, hint=devices.remedy.hint, commands=devices.remedy.commands)
    error.findings = devices.findings
    return error
