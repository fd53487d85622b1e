"""The GPUs of this host, their names and their nodes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from cdigen.discover.devices import GPU_NODE, find_right_node
from cdigen.discover.drm import find_by_path_names, find_drm_nodes
from cdigen.discover.mig import MigFinder, without_shared_uuids
from cdigen.discover.pci import SEE_KERNEL_LOG, find_lost_gpus, lost_gpu
from cdigen.errors import IncompleteError, ParseError
from cdigen.facts import DeviceNode, Gpu, MissingNode
from cdigen.host import UNREADABLE, UNSEEN, HostReadError, LinkError
from cdigen.parse.procfs import PROC_GPUS, GpuInformation, parse_gpu_information
from cdigen.records import Record, replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdigen.discover.majors import Majors
    from cdigen.host.views import Views
    from cdigen.notes import Notes
    from cdigen.parse.nvml import NvmlFacts, NvmlGpu

AskNvml = Literal["auto", "never", "always"]
"""When NVML is asked; "auto" is where procfs cannot tell: UUIDs that it does not know, and those of MIG devices."""

_BDF = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")


class FoundGpus(Record):
    """The GPUs of a host.

    Attributes:
        gpus: by index.
        missing: device nodes of theirs that are not there.
        with_firmware: names of those that say which firmware their GSP runs.
    """

    gpus: tuple[Gpu, ...]
    missing: tuple[MissingNode, ...]
    with_firmware: tuple[str, ...]


class _Listed(Record):
    """A GPU that is not excluded: its place in PCI order is its index."""

    bdf: str | None
    minor: int
    uuid: str | None
    uuid_text: str | None
    model: str | None
    firmware: str | None = None

    @property
    def name(self) -> str:
        return self.bdf or f"with minor {self.minor}"


def find_gpus(
    views: Views, majors: Majors, notes: Notes, *, ask_nvml: AskNvml, nvml: Callable[[], NvmlFacts | None]
) -> FoundGpus:
    """Return the GPUs in PCI order, and their device nodes that are missing.

    Where procfs does not list GPUs, those of /dev/nvidia<N> are returned in the order of N, without UUID, PCI
    address and DRM nodes, unless NVML tells them.

    Args:
        views: the host.
        majors: see `cdigen.discover.devices.find_right_node`.
        notes: gets excluded GPUs, unknown UUIDs, missing DRM nodes and the like.
        ask_nvml: when to ask NVML.
        nvml: asks NVML; None if it does not answer, of which it has left a note.

    Raises:
        IncompleteError: there is no GPU, or two GPUs or MIG capabilities claim the same minor.
        HostReadError, LinkError: procfs or /dev cannot be read.
    """
    mig = MigFinder(views, majors, notes)
    is_masked = views.system.find(PROC_GPUS) is None
    listed = _list_by_minor(views) if is_masked else _woken(views, _list(views, notes), notes)
    is_divided = any(mig.gpu_instances(gpu.minor) for gpu in listed)
    is_wanted = ask_nvml == "always" or is_divided or any(gpu.uuid is None for gpu in listed)
    facts = nvml() if ask_nvml != "never" and is_wanted else None
    answers = _match(listed, facts, notes)
    if is_masked:
        listed, answers = _unmasked(listed, answers, notes)
    elif is_divided and facts is None:
        notes.add(
            "note",
            "mig-order",
            PROC_GPUS,
            "MIG devices are named by index in the order of procfs and have no UUID, as NVML was not asked or did not"
            " answer; nvidia-smi -L may count them in another order",
            hint="install nvidia-ml-py into cdigen's environment, so that NVML can be asked",
        )
    uuids = [
        answer.uuid if answer and gpu.uuid is None else gpu.uuid for gpu, answer in zip(listed, answers, strict=True)
    ]
    by_path = find_by_path_names(views, notes)
    gpus = []
    missing: list[MissingNode] = []
    for index, (gpu, answer) in enumerate(zip(listed, answers, strict=True)):
        path = f"/dev/nvidia{gpu.minor}"
        node = find_right_node(views.dev, path, f"GPU {gpu.name}", majors, "nvidia", gpu.minor)
        if not isinstance(node, DeviceNode):
            missing.append(
                MissingNode(
                    host_path=views.dev.host_path(path),
                    problem=node,
                    whose=f"GPU {gpu.name}",
                    command=f"nvidia-modprobe -c {gpu.minor}",
                    gpu=index,
                )
            )
        instances = None
        if gpu.bdf is not None:
            found = mig.find(index=index, minor=gpu.minor, bdf=gpu.bdf, nvml=answer)
            instances = found.instances
            missing += found.missing
        gpus.append(
            Gpu(
                index=index,
                minor=gpu.minor,
                bdf=gpu.bdf,
                uuid=_usable_uuid(gpu, uuids[index], uuids, notes),
                model=gpu.model,
                node=node if isinstance(node, DeviceNode) else None,
                drm_nodes=() if gpu.bdf is None else find_drm_nodes(views, gpu.bdf, by_path, notes),
                mig=instances,
                coherent=answer.coherent if answer else None,
                memory=answer.memory if answer else None,
                compute=answer.compute if answer else None,
            )
        )
    return FoundGpus(
        gpus=without_shared_uuids(tuple(gpus), notes),
        missing=tuple(missing),
        with_firmware=tuple(gpu.name for gpu in listed if gpu.firmware is not None),
    )


def _list(views: Views, notes: Notes) -> list[_Listed]:
    """Return the GPUs of procfs in PCI order, less those that are excluded or cannot be told."""
    names = views.system.names(PROC_GPUS)
    for name in names:
        if not _BDF.fullmatch(name):
            notes.leave_out(f"{PROC_GPUS}/{name}", "its name is not a PCI address")
    listed = []
    for bdf in sorted(filter(_BDF.fullmatch, names), key=_pci_key):
        path = f"{PROC_GPUS}/{bdf}/information"
        try:
            information = _read_information(views, bdf)
        except UNREADABLE as error:
            notes.damaged(
                path, error, "this GPU is not offered", hint=SEE_KERNEL_LOG.hint, commands=SEE_KERNEL_LOG.commands
            )
            continue
        if information.excluded:
            notes.add("note", "gpu-excluded", bdf, f"GPU {bdf} is excluded (NVreg_ExcludedGpus) and is not offered")
            notes.leave_out(path, "the GPU is excluded by the driver's NVreg_ExcludedGpus")
        elif information.minor is None:
            notes.damaged(
                path,
                ParseError("no Device Minor"),
                "this GPU is not offered",
                hint=SEE_KERNEL_LOG.hint,
                commands=SEE_KERNEL_LOG.commands,
            )
        else:
            listed.append(
                _Listed(
                    bdf=bdf,
                    minor=information.minor,
                    uuid=information.uuid,
                    uuid_text=information.uuid_text,
                    model=information.model,
                    firmware=information.firmware,
                )
            )
    _note_lost(views, notes)
    if not listed:
        raise IncompleteError(
            f"{PROC_GPUS} lists no GPU that can be used", hint=SEE_KERNEL_LOG.hint, commands=SEE_KERNEL_LOG.commands
        )
    by_minor: dict[int, str | None] = {}
    for gpu in listed:
        if gpu.minor in by_minor:
            raise IncompleteError(
                f"{PROC_GPUS}: {by_minor[gpu.minor]} and {gpu.bdf} both have Device Minor {gpu.minor}",
                hint="name the host's procfs with --procfs",
            )
        by_minor[gpu.minor] = gpu.bdf
    return listed


def _note_lost(views: Views, notes: Notes) -> None:
    try:
        lost = find_lost_gpus(views.system)
    except UNSEEN as error:
        notes.fail_to_read(error, "whether the driver has lost a GPU is not known")
        return
    for finding in map(lost_gpu, lost):
        remedy = finding.remedy
        notes.add(
            finding.level,
            finding.code,
            finding.subject,
            finding.message,
            hint=remedy.hint,
            commands=remedy.commands,
        )


def _read_information(views: Views, bdf: str) -> GpuInformation:
    return parse_gpu_information(views.system.read(f"{PROC_GPUS}/{bdf}/information") or b"")


def _pci_key(bdf: str) -> tuple[int, ...]:
    match = _BDF.fullmatch(bdf)
    return tuple(int(part, 16) for part in match.groups()) if match else ()


def _woken(views: Views, listed: list[_Listed], notes: Notes) -> list[_Listed]:
    """Return the GPUs, those without a known UUID asked again after their node was opened once.

    Opening the node initialises a GPU, if this is the system that runs; the driver knows its UUID then.
    """
    woken = []
    for gpu in listed:
        if gpu.uuid is None and gpu.bdf is not None and views.dev_root == "/" and _wake(views, gpu.minor):
            try:
                information = _read_information(views, gpu.bdf)
            except (ParseError, LinkError):
                information = None  # it was told before; without the UUID, a finding will say so
            except HostReadError as error:
                notes.fail_to_read(error, "what it says since the GPU woke is not known")
                information = None
            if information is not None and information.minor == gpu.minor:
                gpu = replace(
                    gpu, uuid=information.uuid, uuid_text=information.uuid_text, firmware=information.firmware
                )
        woken.append(gpu)
    return woken


def _wake(views: Views, minor: int) -> bool:
    resolved = views.dev.resolve(f"/dev/nvidia{minor}")
    return resolved is not None and views.dev.host.wake(views.dev.host_path(resolved))


def _list_by_minor(views: Views) -> list[_Listed]:
    """Return the GPUs that have a node, by minor, if procfs does not list them."""
    names = views.dev.names("/dev", ("nvidia",))
    minors = sorted(int(match.group(1)) for match in map(GPU_NODE.fullmatch, names) if match)
    present = []
    for minor in minors:
        target = views.dev.find(f"/dev/nvidia{minor}")
        if target is not None and target[1].kind == "char":
            present.append(_Listed(bdf=None, minor=minor, uuid=None, uuid_text=None, model=None))
    if not present:
        raise IncompleteError(
            f"no GPU: {PROC_GPUS} is not there and there is no /dev/nvidia<N>",
            hint="name the host's procfs with --procfs, or load the module with",
            commands=("modprobe nvidia",),
        )
    return present


def _match(listed: list[_Listed], facts: NvmlFacts | None, notes: Notes) -> list[NvmlGpu | None]:
    """Return what NVML says of each GPU: by PCI address, or by minor where that is not known."""
    if facts is None:
        return [None] * len(listed)
    by_bdf = {gpu.bdf: gpu for gpu in facts.gpus}
    by_minor = {gpu.minor: gpu for gpu in facts.gpus}
    answers: list[NvmlGpu | None] = []
    for gpu in listed:
        answer = by_bdf.get(gpu.bdf) if gpu.bdf is not None else by_minor.get(gpu.minor)
        reason = None
        if answer is None:
            reason = "NVML does not have it"
        elif answer.minor not in (None, gpu.minor):
            reason = f"NVML says that its minor is {answer.minor}, procfs {gpu.minor}"
        elif gpu.uuid is not None and answer.uuid not in (None, gpu.uuid):
            reason = f"NVML says that its UUID is {answer.uuid}, procfs {gpu.uuid}"
        if reason is not None:
            answer = None
            notes.add(
                "warning",
                "nvml-disagrees",
                gpu.name,
                f"GPU {gpu.name}: {reason}; what procfs says is taken",
                hint="compare with",
                commands=("nvidia-smi -L",),
            )
        answers.append(answer)
    for extra in sorted(by_bdf.keys() - {gpu.bdf for gpu in listed}) if listed[0].bdf is not None else ():
        notes.add(
            "warning", "nvml-disagrees", extra, f"NVML has a GPU {extra} that procfs does not list; it is not offered"
        )
    return answers


def _unmasked(
    listed: list[_Listed], answers: list[NvmlGpu | None], notes: Notes
) -> tuple[list[_Listed], list[NvmlGpu | None]]:
    """Return the GPUs of a host whose procfs is masked: in PCI order if NVML told it of all, else by minor."""
    pairs = list(zip(listed, answers, strict=True))
    if all(answer is not None for answer in answers):
        told = [
            (replace(gpu, bdf=answer.bdf, uuid=answer.uuid, model=answer.model), answer)
            for gpu, answer in pairs
            if answer is not None
        ]
        told.sort(key=lambda pair: _pci_key(pair[1].bdf))
        return [gpu for gpu, _ in told], [answer for _, answer in told]
    notes.add(
        "warning",
        "procfs-masked",
        PROC_GPUS,
        f"{PROC_GPUS} is not there (masked?), so the GPUs are numbered by minor and have no UUID and no DRM nodes",
        hint="name the host's procfs with --procfs",
    )
    return listed, [None] * len(listed)


def _usable_uuid(gpu: _Listed, uuid: str | None, uuids: list[str | None], notes: Notes) -> str | None:
    if uuid is None:
        if gpu.bdf is not None:
            text = f" ({gpu.uuid_text})" if gpu.uuid_text else ""
            notes.add(
                "warning",
                "uuid-unknown",
                gpu.bdf,
                f"GPU {gpu.bdf} has no known UUID yet{text} and is named by index only",
                hint="it has one once a program has used it",
                commands=("nvidia-smi", "cdigen generate"),
            )
        return None
    if uuids.count(uuid) > 1:
        notes.add(
            "warning",
            "uuid-not-unique",
            uuid,
            f"several GPUs have the UUID {uuid}; they are named by index only",
        )
        return None
    return uuid
