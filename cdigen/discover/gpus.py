"""The GPUs of this host, their names and their nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdigen.discover.devices import GPU_NODE, find_node
from cdigen.errors import IncompleteError, ParseError
from cdigen.host import HostReadError, LinkError
from cdigen.inventory import DeviceNode, Gpu
from cdigen.parse.procfs import GpuInformation, parse_gpu_information

if TYPE_CHECKING:
    from cdigen.discover.notes import Notes
    from cdigen.discover.views import Views

PROC_GPUS = "/proc/driver/nvidia/gpus"
PROC_CAPABILITIES = "/proc/driver/nvidia/capabilities"

_BDF = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")
_DRM_NODE = re.compile(r"(card|renderD)[0-9]{1,6}")
_BY_PATH = re.compile(r"[A-Za-z0-9_.:-]+-(card|render)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """A GPU that procfs lists and does not exclude."""

    bdf: str
    information: GpuInformation
    minor: int


def find_gpus(views: Views, notes: Notes) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """Return the GPUs in PCI order, and the paths of GPU nodes that are missing.

    Where procfs does not list GPUs, those of /dev/nvidia<N> are returned in the order of N, without UUID, PCI
    address and DRM nodes.

    Args:
        views: the host.
        notes: gets excluded GPUs, unknown UUIDs, missing DRM nodes and the like.

    Raises:
        IncompleteError: there is no GPU, or two claim the same minor.
        HostReadError, LinkError: procfs or /dev cannot be read.
    """
    if views.system.find(PROC_GPUS) is None:
        return _find_by_minor(views, notes), ()
    listed = _find_listed(views, notes)
    if not listed:
        raise IncompleteError(
            f"{PROC_GPUS} lists no GPU that can be used; see what the kernel log says of NVRM: dmesg | grep NVRM"
        )
    by_minor: dict[int, str] = {}
    for gpu in listed:
        if gpu.minor in by_minor:
            raise IncompleteError(
                f"{PROC_GPUS}: {by_minor[gpu.minor]} and {gpu.bdf} both have Device Minor {gpu.minor};"
                " name the host's procfs with --procfs"
            )
        by_minor[gpu.minor] = gpu.bdf
    uuids = [gpu.information.uuid for gpu in listed]
    by_path = _find_by_path(views, notes)
    gpus = []
    missing = []
    for index, gpu in enumerate(listed):
        path = f"/dev/nvidia{gpu.minor}"
        node = find_node(views.dev, path, f"GPU {gpu.bdf}")
        if node is None:
            missing.append(path)
            continue
        _note_mig(views, gpu, notes)
        uuid = gpu.information.uuid
        if uuid is not None and uuids.count(uuid) > 1:
            notes.add(
                "warning",
                "uuid-not-unique",
                uuid,
                f"several GPUs have the UUID {uuid}; they are named by index only",
            )
            uuid = None
        gpus.append(
            Gpu(
                index=index,
                minor=gpu.minor,
                bdf=gpu.bdf,
                uuid=uuid,
                model=gpu.information.model,
                nodes=(node, *_find_drm_nodes(views, gpu.bdf, by_path, notes)),
            )
        )
    return tuple(gpus), tuple(missing)


def _find_by_minor(views: Views, notes: Notes) -> tuple[Gpu, ...]:
    minors = sorted(
        int(match.group(1)) for match in map(GPU_NODE.fullmatch, views.dev.names("/dev", ("nvidia",))) if match
    )
    nodes = [(minor, find_node(views.dev, f"/dev/nvidia{minor}", f"GPU with minor {minor}")) for minor in minors]
    present = [(minor, node) for minor, node in nodes if node is not None]
    if not present:
        raise IncompleteError(
            f"no GPU: {PROC_GPUS} is not there and there is no /dev/nvidia<N>; load the module with: modprobe nvidia,"
            " or name the host's procfs with --procfs"
        )
    notes.add(
        "warning",
        "procfs-masked",
        PROC_GPUS,
        f"{PROC_GPUS} is not there (masked?), so the GPUs are numbered by minor and have no UUID and no DRM nodes;"
        " name the host's procfs with --procfs",
    )
    return tuple(
        Gpu(index=index, minor=minor, bdf=None, uuid=None, model=None, nodes=(node,))
        for index, (minor, node) in enumerate(present)
    )


def _pci_key(bdf: str) -> tuple[int, ...]:
    match = _BDF.fullmatch(bdf)
    return tuple(int(part, 16) for part in match.groups()) if match else ()


def _find_listed(views: Views, notes: Notes) -> list[_Listed]:
    names = views.system.names(PROC_GPUS)
    for name in names:
        if not _BDF.fullmatch(name):
            notes.leave_out(f"{PROC_GPUS}/{name}", "its name is not a PCI address")
    listed = []
    for bdf in sorted(filter(_BDF.fullmatch, names), key=_pci_key):
        path = f"{PROC_GPUS}/{bdf}/information"
        try:
            data = views.system.read(path)
            information = parse_gpu_information(data or b"")
        except (ParseError, HostReadError, LinkError) as error:
            notes.damaged(path, error, "this GPU is not offered; see: dmesg | grep NVRM")
            continue
        if information.excluded:
            notes.add("note", "gpu-excluded", bdf, f"GPU {bdf} is excluded (NVreg_ExcludedGpus) and is not offered")
            notes.leave_out(path, "the GPU is excluded by the driver's NVreg_ExcludedGpus")
        elif information.minor is None:
            notes.damaged(path, ParseError("no Device Minor"), "this GPU is not offered; see: dmesg | grep NVRM")
        else:
            if information.uuid is None:
                text = f" ({information.uuid_text})" if information.uuid_text else ""
                notes.add(
                    "warning",
                    "uuid-unknown",
                    bdf,
                    f"GPU {bdf} has no known UUID yet{text} and is named by index only; it has one once a"
                    " program has used it: run nvidia-smi, then generate again",
                )
            listed.append(_Listed(bdf=bdf, information=information, minor=information.minor))
    return listed


def _note_mig(views: Views, gpu: _Listed, notes: Notes) -> None:
    """Say so if the GPU is divided into MIG instances, which cannot be offered yet."""
    directory = f"{PROC_CAPABILITIES}/gpu{gpu.minor}/mig"
    try:
        instances = [name for name in views.system.names(directory, ("gi",)) if name[2:].isdecimal()]
    except (HostReadError, LinkError) as error:
        notes.damaged(directory, error, "whether the GPU has MIG instances is not known")
        return
    if instances:
        notes.add(
            "warning",
            "mig-not-supported",
            gpu.bdf,
            f"GPU {gpu.bdf} has {len(instances)} MIG instances, which are not supported yet; CUDA programs find"
            " no device in the whole GPU; disable MIG with nvidia-smi -mig 0, or do not use this GPU",
        )


def _find_by_path(views: Views, notes: Notes) -> dict[str, list[str]]:
    """Return the names in /dev/dri/by-path by the resolved path of the node that they lead to."""
    found: dict[str, list[str]] = {}
    try:
        for name in views.dev.names("/dev/dri/by-path"):
            resolved = views.dev.resolve(f"/dev/dri/by-path/{name}") if _BY_PATH.fullmatch(name) else None
            if resolved is not None:
                found.setdefault(resolved, []).append(name)
    except (HostReadError, LinkError) as error:
        notes.damaged(views.dev.host_path("/dev/dri/by-path"), error, "by-path names are not injected")
    return found


def _find_drm_nodes(views: Views, bdf: str, by_path: dict[str, list[str]], notes: Notes) -> tuple[DeviceNode, ...]:
    """Return card and render node of the GPU, then their by-path names. Stale controlD* nodes are not looked at."""
    directory = f"/sys/bus/pci/devices/{bdf}/drm"
    nodes: list[DeviceNode] = []
    aliases: list[DeviceNode] = []
    try:
        for name in filter(_DRM_NODE.fullmatch, views.system.names(directory)):
            path = f"/dev/dri/{name}"
            node = find_node(views.dev, path, f"DRM node of GPU {bdf}")
            if node is None:
                notes.add(
                    "warning",
                    "missing-node",
                    views.dev.host_path(path),
                    f"{views.dev.host_path(path)} of GPU {bdf} is missing; graphics programs will not find it;"
                    " run: udevadm trigger",
                )
                continue
            nodes.append(node)
            for alias in by_path.get(views.dev.resolve(path) or "", ()):
                named = find_node(views.dev, f"/dev/dri/by-path/{alias}", f"DRM node of GPU {bdf} by its PCI address")
                if named is not None:
                    aliases.append(named)
    except (HostReadError, LinkError) as error:
        notes.damaged(directory, error, f"GPU {bdf} is offered without DRM nodes")
    return (*nodes, *aliases)
