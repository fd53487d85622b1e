"""A spec as frozen facts, and the document that says the same.

Only what a spec without hooks needs is here: environment, device nodes and mounts.
"""

from __future__ import annotations

from cdigen.cdi.version import required_version
from cdigen.records import Record


class DeviceNode(Record):
    """A device node to make in the container.

    Attributes:
        path: where, in the container.
        file_mode: its permission bits. Without them runtimes make it open to all, and gVisor crashes.
        host_path: the node on the host; None if it has the same path there.
        permissions: what the device cgroup allows, of `rwm`.
        gid: the number of its group. For root's, 0, engines put the group of the container's process.

    There are no device numbers: some change at boot, and the engine reads them when a container starts. There is no
    owner either: engines make it the user of the container's process, which may then open it.
    """

    path: str
    file_mode: int
    host_path: str | None = None
    permissions: str = "rw"
    gid: int = 0


class Mount(Record):
    """A file or directory of the host to mount in the container."""

    host_path: str
    container_path: str
    options: tuple[str, ...]


class ContainerEdits(Record):
    """What changes in a container; `env` entries are `NAME=VALUE`, `additional_gids` are groups of its process."""

    env: tuple[str, ...] = ()
    device_nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[Mount, ...] = ()
    additional_gids: tuple[int, ...] = ()


class Device(Record):
    """What a user asks for by name, and the edits that give it; `annotations` are what engines leave to others."""

    name: str
    edits: ContainerEdits
    annotations: tuple[tuple[str, str], ...] = ()


class Spec(Record):
    """All devices of one kind (`vendor/class`).

    Attributes:
        kind: the vendor and the class, as `example.com/gpu`.
        devices: in the order in which they are written.
        edits: for every container that gets any of the devices.
    """

    kind: str
    devices: tuple[Device, ...]
    edits: ContainerEdits


def to_document(spec: Spec) -> dict[str, object]:
    """Return the CDI document of `spec`, with the lowest version that it can have.

    Keys are in the order in which a reader wants them; what is empty or a default is left out. The order
    of entries is the spec's.
    """
    body: dict[str, object] = {
        "kind": spec.kind,
        "devices": [_device_to_document(device) for device in spec.devices],
    }
    edits = _edits_to_document(spec.edits)
    if edits:
        body["containerEdits"] = edits
    return {"cdiVersion": required_version(body), **body}


def _device_to_document(device: Device) -> dict[str, object]:
    annotations: dict[str, object] = {"annotations": dict(device.annotations)} if device.annotations else {}
    return {"name": device.name, **annotations, "containerEdits": _edits_to_document(device.edits)}


def _edits_to_document(edits: ContainerEdits) -> dict[str, object]:
    document: dict[str, object] = {}
    if edits.env:
        document["env"] = list(edits.env)
    if edits.device_nodes:
        document["deviceNodes"] = [_node_to_document(node) for node in edits.device_nodes]
    if edits.mounts:
        document["mounts"] = [_mount_to_document(mount) for mount in edits.mounts]
    if edits.additional_gids:
        document["additionalGids"] = list(edits.additional_gids)
    return document


def _node_to_document(node: DeviceNode) -> dict[str, object]:
    # A needless hostPath would cost the oldest engines: it raises the version to 0.5.0.
    differs = node.host_path is not None and node.host_path != node.path
    host_path: dict[str, object] = {"hostPath": node.host_path} if differs else {}
    group: dict[str, object] = {"gid": node.gid} if node.gid else {}
    return {"path": node.path, **host_path, "fileMode": node.file_mode, "permissions": node.permissions, **group}


def _mount_to_document(mount: Mount) -> dict[str, object]:
    options: dict[str, object] = {"options": list(mount.options)} if mount.options else {}
    return {"hostPath": mount.host_path, "containerPath": mount.container_path, **options}
