"""Every device node that the driver could have on this host, and what is there in its place.

Numbers: minors are those of nvidia-modprobe-utils.h (NVIDIA/nvidia-modprobe), majors those of /proc/devices. Mode and
owner: `cdigen.parse.params`; of a capability, its access file; of nvidia-uvm, nvidia-modprobe's defaults.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdigen.catalog.driver import CONTROL_NODES
from cdigen.discover.majors import find_majors
from cdigen.discover.mig import COMPUTE_INSTANCE, GPU_INSTANCE, PROC_CAPABILITIES
from cdigen.discover.pci import SEE_KERNEL_LOG
from cdigen.errors import ParseError
from cdigen.host import UNREADABLE, UNSEEN
from cdigen.nodes.judge import WantedNode, judge_node
from cdigen.parse.capabilities import parse_capability_access
from cdigen.parse.params import DeviceFileParameters, parse_device_file_parameters
from cdigen.parse.procfs import PROC_DEVICES, PROC_GPUS, parse_gpu_information
from cdigen.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.discover.majors import Majors
    from cdigen.facts import ExpectedNode
    from cdigen.host import View
    from cdigen.host.views import Views
    from cdigen.notes import Notes

PROC_PARAMS = "/proc/driver/nvidia/params"
PROC_NVLINK = "/proc/driver/nvidia-nvlink"
PROC_NVSWITCH = "/proc/driver/nvidia-nvswitch"
IMEX_DIRECTORY = "/dev/nvidia-caps-imex-channels"

_DEFAULTS = DeviceFileParameters()
_DEFAULT_SOURCE = "nvidia-modprobe's defaults"
_MAX_MINOR = (1 << 20) - 1  # MINORBITS of the kernel, include/linux/kdev_t.h
_NVSWITCH_CONTROL_MINOR = 255

_GPU = re.compile(r"gpu(0|[1-9][0-9]{0,5})")
_CHANNEL = re.compile(r"channel(0|[1-9][0-9]{0,5})")


def find_expected_nodes(views: Views, notes: Notes) -> tuple[ExpectedNode, ...]:
    """Return every node that the driver could have, whether its module is loaded or not.

    Args:
        views: the host.
        notes: gets files of procfs that cannot be read, and what follows for nodes.

    Returns:
        Control nodes in the order of the catalog, then GPUs, capabilities, NVLink, NVSwitches and IMEX channels, each
        by minor. Of GPUs and capabilities those that procfs lists, of IMEX channels those that are there.
    """
    majors = find_majors(views.system, notes)
    # The module makes both when it is loaded: if one is there and the other is not, something hides it.
    unknown = not majors.known and views.system.find("/proc/driver/nvidia/version") is not None
    if unknown:
        notes.add(
            "warning",
            "majors-unknown",
            PROC_DEVICES,
            f"{PROC_DEVICES} tells no major number of the driver, which is loaded, so only minors are compared and no"
            " node can be made",
            hint="name the host's procfs with --procfs",
        )
    params = _read_settings(views.system, PROC_PARAMS, notes)
    wanted: dict[str, WantedNode] = {}
    for node in (
        *_control_nodes(params),
        *sorted(_gpus(views.system, params, notes), key=lambda node: node.minor),
        *sorted(_capabilities(views.system, notes), key=lambda node: node.minor),
        *_nvlink(views.system, majors, notes),
        *_nvswitches(views.system, notes),
        *sorted(_imex_channels(views.dev, params, notes), key=lambda node: node.minor),
    ):
        if node.minor > _MAX_MINOR:
            notes.damaged(node.source, ParseError(f"no device has the minor {node.minor}"), "its node is left out")
        else:
            other = wanted.setdefault(node.path, node)
            if other.source != node.source:
                error = ParseError(f"it tells the minor {node.minor}, as {other.source} does")
                notes.damaged(node.source, error, f"{node.path} is made for {other.why} alone")
    judged = (judge_node(views.dev, majors, unknown, node, notes) for node in wanted.values())
    return tuple(node for node in judged if node is not None)


def _control_nodes(params: DeviceFileParameters) -> Iterator[WantedNode]:
    for row in CONTROL_NODES:
        has_params = not row.name.startswith("nvidia-uvm")
        yield WantedNode(
            path=f"/dev/{row.name}",
            stem=row.name,
            minor=row.minor,
            settings=params if has_params else _DEFAULTS,
            source=PROC_PARAMS if has_params else _DEFAULT_SOURCE,
            why=row.reason,
            command=tuple(row.command.split()[1:]),
            required=row.required,
        )


def _gpus(system: View, params: DeviceFileParameters, notes: Notes) -> Iterator[WantedNode]:
    for bdf in _names(system, PROC_GPUS, "", notes):
        source = f"{PROC_GPUS}/{bdf}/information"
        try:
            minor = _minor_of_gpu(system.read(source) or b"")
        except UNREADABLE as error:
            notes.damaged(
                source,
                error,
                "which device node this GPU has is not known",
                hint=SEE_KERNEL_LOG.hint,
                commands=SEE_KERNEL_LOG.commands,
            )
            continue
        if minor is not None:
            yield WantedNode(
                path=f"/dev/nvidia{minor}",
                stem="nvidia",
                minor=minor,
                settings=params,
                source=source,
                why=f"GPU {bdf}",
                command=("-c", str(minor)),
                required=True,
            )


def _minor_of_gpu(data: bytes) -> int | None:
    """Return the minor of a GPU; None if it is excluded."""
    information = parse_gpu_information(data)
    if information.minor is None:
        raise ParseError("no Device Minor")
    return None if information.excluded else information.minor


def _capabilities(system: View, notes: Notes) -> Iterator[WantedNode]:
    files = [
        (f"{PROC_CAPABILITIES}/mig/config", "the right to create MIG instances", False),
        (f"{PROC_CAPABILITIES}/mig/monitor", "the right to watch all MIG instances", False),
        (f"{PROC_CAPABILITIES}/fabric-imex-mgmt", "the right to manage IMEX", False),
        (f"{PROC_NVLINK}/capabilities/fabric-mgmt", "the right to manage the NVLink fabric", False),
    ]
    for gpu in filter(_GPU.fullmatch, _names(system, PROC_CAPABILITIES, "gpu", notes)):
        mig = f"{PROC_CAPABILITIES}/{gpu}/mig"
        for gi in filter(GPU_INSTANCE.fullmatch, _names(system, mig, "gi", notes)):
            whose = f"GPU instance {gi[2:]} of /dev/nvidia{gpu[3:]}"
            files.append((f"{mig}/{gi}/access", whose, True))
            files += [
                (f"{mig}/{gi}/{ci}/access", f"compute instance {ci[2:]} of {whose}", True)
                for ci in filter(COMPUTE_INSTANCE.fullmatch, _names(system, f"{mig}/{gi}", "ci", notes))
            ]
    for source, why, required in files:
        try:
            data = system.read(source)
            if data is None:
                continue
            access = parse_capability_access(data)
        except UNREADABLE as error:
            notes.damaged(source, error, f"which device node stands for {why} is not known")
            continue
        yield WantedNode(
            path=f"/dev/nvidia-caps/nvidia-cap{access.minor}",
            stem="nvidia-cap",
            minor=access.minor,
            settings=DeviceFileParameters(mode=access.mode, modify=access.modify),
            source=source,
            why=why,
            command=("-f", source),
            required=required,
        )


def _nvlink(system: View, majors: Majors, notes: Notes) -> Iterator[WantedNode]:
    if majors.of("nvidia-nvlink") is not None:
        yield WantedNode(
            path="/dev/nvidia-nvlink",
            stem="nvidia-nvlink",
            minor=0,
            settings=_read_settings(system, f"{PROC_NVLINK}/permissions", notes),
            source=f"{PROC_NVLINK}/permissions",
            why="control of NVLink",
            command=("-l",),
        )


def _nvswitches(system: View, notes: Notes) -> Iterator[WantedNode]:
    # procfs has their PCI addresses alone; the module numbers them from 0 (linux_nvswitch.c, nvswitch_find_minor).
    devices = _names(system, f"{PROC_NVSWITCH}/devices", "", notes)
    if not devices:
        return
    source = f"{PROC_NVSWITCH}/permissions"
    settings = _read_settings(system, source, notes)
    nodes = [(minor, f"/dev/nvidia-nvswitch{minor}", "an NVSwitch") for minor in range(len(devices))]
    for minor, path, why in ((_NVSWITCH_CONTROL_MINOR, "/dev/nvidia-nvswitchctl", "control of NVSwitches"), *nodes):
        yield WantedNode(
            path=path,
            stem="nvidia-nvswitch",
            minor=minor,
            settings=settings,
            source=source,
            why=why,
            command=("-s", "-c", str(minor)),
        )


def _imex_channels(dev: View, params: DeviceFileParameters, notes: Notes) -> Iterator[WantedNode]:
    matches = filter(None, map(_CHANNEL.fullmatch, _names(dev, IMEX_DIRECTORY, "channel", notes)))
    channels = {int(match[1]) for match in matches}
    if params.create_imex_channel0:
        channels.add(0)
    for channel in channels:
        yield WantedNode(
            path=f"{IMEX_DIRECTORY}/channel{channel}",
            stem="channel",
            minor=channel,
            settings=params,
            source=PROC_PARAMS,
            why="a channel for memory of other machines (IMEX)",
            command=None,  # newer versions of nvidia-modprobe have an option for it, 535 has none
        )


def _names(view: View, directory: str, prefix: str, notes: Notes) -> tuple[str, ...]:
    try:
        return view.names(directory, (prefix,))
    except UNSEEN as error:
        notes.damaged(view.host_path(directory), error, "the device nodes that it tells of are left out")
        return ()


def _read_settings(system: View, path: str, notes: Notes) -> DeviceFileParameters:
    """Return what a module says of its nodes. Where it cannot be read, none is made: few may be meant to open them."""
    try:
        data = system.read(path)
        return _DEFAULTS if data is None else parse_device_file_parameters(data)
    except UNREADABLE as error:
        notes.damaged(path, error, "mode and owner of its device nodes are not known, so none of them is made")
        return replace(_DEFAULTS, modify=False)
