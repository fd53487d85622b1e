"""The MIG instances of a GPU: procfs tells which there are and their capability nodes, NVML their order and names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdigen.discover.devices import find_right_node
from cdigen.errors import IncompleteError
from cdigen.facts import DeviceNode, MigInstance, MissingNode
from cdigen.host import UNREADABLE, UNSEEN
from cdigen.notes import reason_of
from cdigen.parse.capabilities import parse_capability_access, parse_capability_minors
from cdigen.records import Record, replace

if TYPE_CHECKING:
    from cdigen.discover.majors import Majors
    from cdigen.facts import Gpu
    from cdigen.host.views import Views
    from cdigen.notes import Notes
    from cdigen.parse.nvml import NvmlGpu, NvmlMig

PROC_CAPABILITIES = "/proc/driver/nvidia/capabilities"
MIG_MINORS = "/proc/driver/nvidia-caps/mig-minors"

GPU_INSTANCE = re.compile(r"gi(0|[1-9][0-9]{0,3})")
COMPUTE_INSTANCE = re.compile(r"ci(0|[1-9][0-9]{0,3})")
_DEVICE_UUID = re.compile(r"MIG-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class MigFound(Record):
    """The MIG instances of one GPU.

    Attributes:
        instances: by index; None if MIG is not enabled, as far as can be known.
        missing: capability nodes that are not there.
    """

    instances: tuple[MigInstance, ...] | None
    missing: tuple[MissingNode, ...] = ()


class _Place(Record, kw_only=False):
    """A compute instance by its numbers, in the order of procfs."""

    gpu_instance: int
    compute_instance: int


class MigFinder:
    """Finds the MIG instances of one GPU after the other."""

    def __init__(self, views: Views, majors: Majors, notes: Notes) -> None:
        """Look at `views`; `notes` gets what is odd."""
        self._views = views
        self._majors = majors
        self._notes = notes
        self._minors: dict[str, int] | None = None
        self._gpu_instances: dict[int, list[int]] = {}
        self._access_by_minor: dict[int, str] = {}

    def gpu_instances(self, minor: int) -> list[int]:
        """Return the numbers of the GPU instances that procfs has of the GPU with that minor."""
        if minor not in self._gpu_instances:
            directory = f"{PROC_CAPABILITIES}/gpu{minor}/mig"
            self._gpu_instances[minor] = self._numbers(directory, "gi", GPU_INSTANCE)
        return self._gpu_instances[minor]

    def find(self, *, index: int, minor: int, bdf: str, nvml: NvmlGpu | None) -> MigFound:
        """Return the MIG instances of a GPU.

        Args:
            index: the GPU's position in PCI order.
            minor: N of its /dev/nvidia<N>, by which procfs knows it here.
            bdf: its PCI address.
            nvml: what NVML says of it; None if it was not asked or did not answer.

        Raises:
            IncompleteError: two capabilities have one node: whoever is given one of them would have both.
        """
        directory = f"{PROC_CAPABILITIES}/gpu{minor}/mig"
        places: list[_Place] = []
        for gi in self.gpu_instances(minor):
            compute = self._numbers(f"{directory}/gi{gi}", "ci", COMPUTE_INSTANCE)
            places += [_Place(gi, ci) for ci in compute]
            if not compute:
                self._notes.add(
                    "warning",
                    "mig-without-compute-instance",
                    bdf,
                    f"GPU instance {gi} of GPU {bdf} has no compute instance, so it is not offered",
                    hint="create one with",
                    commands=(f"nvidia-smi mig -i {bdf} -gi {gi} -cci",),
                )
        enabled = None if nvml is None else nvml.mig_enabled
        if not places:
            if nvml is not None and nvml.mig:
                self._disagree(bdf, "NVML has MIG devices, procfs has none (masked?), so they are not offered")
                return MigFound(instances=())
            if enabled or self.gpu_instances(minor):
                self._notes.add(
                    "warning",
                    "mig-without-instances",
                    bdf,
                    f"MIG is enabled on GPU {bdf}, which has no MIG device, so it is not offered",
                    hint="create MIG devices (nvidia-smi mig -cgi) or disable MIG (nvidia-smi -mig 0); the profiles are"
                    " listed by",
                    commands=(f"nvidia-smi mig -i {bdf} -lgip",),
                )
                return MigFound(instances=())
            return MigFound(instances=None)
        if enabled is False:
            self._disagree(bdf, "NVML says that MIG is disabled, procfs has MIG instances")
            nvml = None
        instances: list[MigInstance] = []
        missing: list[MissingNode] = []
        for position, place, told in self._in_order(bdf, places, nvml):
            nodes: list[DeviceNode] = []
            instance = f"GPU instance {place.gpu_instance}"
            for path, whose in (
                (f"gi{place.gpu_instance}", f"{instance} of GPU {bdf}"),
                (
                    f"gi{place.gpu_instance}/ci{place.compute_instance}",
                    f"compute instance {place.compute_instance} of {instance} of GPU {bdf}",
                ),
            ):
                found = self._find_capability(minor, f"mig/{path}/access", whose, index)
                if isinstance(found, DeviceNode):
                    nodes.append(found)
                elif found not in missing:
                    missing.append(found)
            instances.append(
                MigInstance(
                    index=position,
                    gpu_instance=place.gpu_instance,
                    compute_instance=place.compute_instance,
                    uuid=self._usable_uuid(told),
                    profile=told.profile if told else None,
                    nodes=tuple(nodes),
                )
            )
        return MigFound(instances=tuple(instances), missing=tuple(missing))

    def _numbers(self, directory: str, prefix: str, pattern: re.Pattern[str]) -> list[int]:
        try:
            names = self._views.system.names(directory, (prefix,))
        except UNSEEN as error:
            self._notes.damaged(directory, error, "MIG instances in it are not offered")
            return []
        return sorted(int(match.group(1)) for match in map(pattern.fullmatch, names) if match)

    def _in_order(
        self, bdf: str, places: list[_Place], nvml: NvmlGpu | None
    ) -> list[tuple[int, _Place, NvmlMig | None]]:
        """Return the instances with their index and what NVML says of them, in its order; what it omits comes last."""
        told = {_Place(mig.gpu_instance, mig.compute_instance): mig for mig in nvml.mig} if nvml is not None else {}
        if nvml is not None and (len(told) != len(nvml.mig) or len({mig.index for mig in nvml.mig}) != len(nvml.mig)):
            self._disagree(bdf, "NVML names a MIG device twice")
            told = {}
        for place in sorted(told.keys() - set(places), key=lambda place: (place.gpu_instance, place.compute_instance)):
            self._disagree(
                bdf,
                f"NVML has a MIG device (GPU instance {place.gpu_instance}, compute instance"
                f" {place.compute_instance}) that procfs does not list; it is not offered",
            )
        ordered: list[tuple[int, _Place, NvmlMig | None]] = sorted(
            ((told[place].index, place, told[place]) for place in places if place in told), key=lambda row: row[0]
        )
        following = ordered[-1][0] + 1 if ordered else 0
        for place in places:
            if place not in told:
                if told:
                    self._disagree(
                        bdf,
                        f"procfs has a MIG device (GPU instance {place.gpu_instance}, compute instance"
                        f" {place.compute_instance}) that NVML does not list; it is named by index only",
                    )
                ordered.append((following, place, None))
                following += 1
        return ordered

    def _disagree(self, bdf: str, what: str) -> None:
        self._notes.add(
            "warning",
            "nvml-disagrees",
            bdf,
            f"GPU {bdf}: {what}",
            hint="generate again once nobody changes MIG instances",
            commands=("cdigen generate",),
        )

    @staticmethod
    def _usable_uuid(told: NvmlMig | None) -> str | None:
        """Return the UUID if it can be a device's name: before R470 it had slashes in it."""
        return told.uuid if told and told.uuid and _DEVICE_UUID.fullmatch(told.uuid) else None

    def _find_capability(self, minor: int, name: str, whose: str, index: int) -> DeviceNode | MissingNode:
        """Return the node of the capability `name` of the GPU with that minor."""
        access = f"{PROC_CAPABILITIES}/gpu{minor}/{name}"
        number = self._capability_minor(access, f"gpu{minor}/{name.removeprefix('mig/')}")
        if isinstance(number, str):
            return MissingNode(
                host_path=access, problem=number, whose=whose, command=f"nvidia-modprobe -f {access}", gpu=index
            )
        other = self._access_by_minor.setdefault(number, access)
        if other != access:
            raise IncompleteError(
                f"{other} and {access} both tell the minor {number}, so one device node would stand for both",
                hint="name the host's procfs with --procfs",
                subject=access,
                code="shared-capability",
            )
        path = f"/dev/nvidia-caps/nvidia-cap{number}"
        node = find_right_node(self._views.dev, path, f"capability of {whose}", self._majors, "nvidia-cap", number)
        if isinstance(node, DeviceNode):
            return node
        return MissingNode(
            host_path=self._views.dev.host_path(path),
            problem=node,
            whose=whose,
            command=f"nvidia-modprobe -f {access}",
            gpu=index,
        )

    def _capability_minor(self, access: str, name: str) -> int | str:
        """Return the minor that the access file tells and the table does not deny, or what is wrong with it."""
        try:
            data = self._views.system.read(access)
            told = None if data is None else parse_capability_access(data).minor
        except UNREADABLE as error:
            self._notes.note_failure(error)
            return f"does not tell the capability's node ({reason_of(error)})"
        listed = self._table().get(name)
        if told is None:
            return listed if listed is not None else "is missing and so tells no capability's node"
        if listed is not None and listed != told:
            return f"tells the minor {told} and {MIG_MINORS} {listed}"
        return told

    def _table(self) -> dict[str, int]:
        if self._minors is None:
            self._minors = {}
            try:
                data = self._views.system.read(MIG_MINORS)
                if data is not None:
                    self._minors = parse_capability_minors(data)
            except UNREADABLE as error:
                self._notes.damaged(MIG_MINORS, error, "the access files alone tell capability nodes")
        return self._minors


def without_shared_uuids(gpus: tuple[Gpu, ...], notes: Notes) -> tuple[Gpu, ...]:
    """Return the GPUs, less the UUIDs of MIG instances that several have."""
    uuids = [mig.uuid for gpu in gpus for mig in gpu.mig or () if mig.uuid is not None]
    shared = sorted({uuid for uuid in uuids if uuids.count(uuid) > 1})
    for uuid in shared:
        notes.add(
            "warning",
            "uuid-not-unique",
            uuid,
            f"several MIG devices have the UUID {uuid}; they are named by index only",
        )
    if not shared:
        return gpus
    return tuple(
        replace(gpu, mig=tuple(replace(mig, uuid=None) if mig.uuid in shared else mig for mig in gpu.mig))
        if gpu.mig
        else gpu
        for gpu in gpus
    )
