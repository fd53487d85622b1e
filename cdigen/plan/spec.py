"""From a plan to the spec that engines read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.cdi.model import ContainerEdits, Device, DeviceNode, Mount, Spec
from cdigen.plan.groups import needed_gids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdigen import facts
    from cdigen.plan.plan import Plan, PlannedEnv


def build_spec(plan: Plan, *, with_groups: bool = False) -> Spec:
    """Return the spec of `plan`, without its reasons.

    Device numbers are not written: some majors are dynamic and differ after a boot, and the engine fills them
    in when a container starts. Mode and group are the host's, as they were found. `hostPath` is written only where it
    differs from `path`.

    Args:
        plan: the plan.
        with_groups: give containers the groups of nodes that are not open to all, as additionalGids of the edits that
            have the nodes.
    """

    def groups(nodes: tuple[facts.DeviceNode, ...]) -> tuple[int, ...]:
        return needed_gids(nodes) if with_groups else ()

    return Spec(
        kind=plan.kind,
        devices=tuple(
            Device(
                name=device.name,
                edits=ContainerEdits(
                    env=_env(device.env), device_nodes=_nodes(device.nodes), additional_gids=groups(device.nodes)
                ),
                annotations=device.annotations,
            )
            for device in plan.devices
        ),
        edits=ContainerEdits(
            env=_env(plan.env),
            device_nodes=_nodes(plan.nodes),
            additional_gids=groups(plan.nodes),
            mounts=tuple(
                Mount(host_path=mount.host_path, container_path=mount.container_path, options=mount.options)
                for mount in plan.mounts
            ),
        ),
    )


def _env(variables: Iterable[PlannedEnv]) -> tuple[str, ...]:
    return tuple(f"{variable.name}={variable.value}" for variable in variables)


def _nodes(nodes: Iterable[facts.DeviceNode]) -> tuple[DeviceNode, ...]:
    return tuple(
        DeviceNode(
            path=node.path,
            host_path=None if node.host_path == node.path else node.host_path,
            file_mode=node.mode,
            gid=node.gid,
        )
        for node in nodes
    )
