"""What goes into the container and why: a spec with a reason for every entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import CdigenError, IncompleteError, UnreadableError, one_line
from cdigen.facts import LeftOut
from cdigen.plan.lacking import find_relevant, refuse_lacking, warn_of_lacking
from cdigen.plan.missing import refuse_missing
from cdigen.plan.selection import select_gpus
from cdigen.plan.sockets import warn_of_sockets
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cdigen.facts import DeviceNode, DriverFile, Gpu, Inventory, Library, MigInstance, Socket
    from cdigen.findings import Finding
    from cdigen.plan.options import BuildOptions

CONTAINER_LIBRARY_DIRECTORIES = {
    "x86_64": ("/usr/lib/x86_64-linux-gnu", "/usr/lib64"),
    "aarch64": ("/usr/lib/aarch64-linux-gnu", "/usr/lib64"),
}
"""Built-in directories of the loader in Debian's family of images, and in Red Hat's, SUSE's and Arch's.

The image is not known when the spec is made, and without hooks nobody rebuilds its linker cache, so only a
built-in directory is sure to be searched (glibc: `ld.so --help`, "system search path")."""

CONTAINER_LIBRARY_DIRECTORIES_32 = ("/usr/lib/i386-linux-gnu", "/usr/lib")
"""The same for 32-bit libraries on x86-64."""

MIG_PROFILE = "cdigen/mig-profile"
"""The annotation with a MIG device's profile, such as "1g.5gb", which NVML alone tells: a scheduler that reads the spec
cannot ask it."""

MOUNT_OPTIONS = ("ro", "nosuid", "nodev", "bind")
"""A file of the driver: nothing in a container has a reason to change it."""

_32_BIT = "32-bit; injected with --compat32"

SOCKET_OPTIONS = ("nosuid", "nodev", "noexec", "bind")
"""A socket: connecting to it needs write permission, so it is not read-only."""


_SHARED_NAMES = {"index": "0", "type-index": "gpu0"}
"""What GPUs are called that cannot be told apart, by strategy; no UUID is known of them."""


class PlannedMount(Record):
    """A mount, and what it is.

    Attributes:
        host_path, container_path, options: as in the spec.
        source: the fact that it comes from.
        named: what there is to say of this mount beside the source's own reason; one line, "" for nothing.
    """

    host_path: str
    container_path: str
    options: tuple[str, ...]
    source: Library | DriverFile | Socket
    named: str = ""

    @property
    def why(self) -> str:
        """Why it is mounted under this name; one line."""
        return "; ".join(filter(None, (self.source.why, self.named)))


class PlannedEnv(Record):
    """An environment variable.

    Attributes:
        name, value: as in the spec.
        why: what it is for; one line.
    """

    name: str
    value: str
    why: str


_VOID = PlannedEnv(
    name="NVIDIA_VISIBLE_DEVICES",
    value="void",
    why="keeps the vendor's legacy hook from injecting a second time",
)
"""What every container gets. A device without any edit is invalid, so it is also all that the device `none` has."""


class PlannedDevice(Record):
    """A device that can be asked for.

    Attributes:
        name: as in the spec.
        gpus: the GPUs that it gives, by index.
        nodes: their device nodes.
        mig: the MIG instance that it gives of its only GPU; None if it is no MIG device.
        env: environment variables of its own.
        annotations: what the spec tells programs that choose devices, and engines pass over.
    """

    name: str
    gpus: tuple[Gpu, ...]
    nodes: tuple[DeviceNode, ...]
    mig: MigInstance | None = None
    env: tuple[PlannedEnv, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()


class Plan(Record):
    """A spec with reasons.

    Attributes:
        kind: "vendor/class".
        devices: in the order of the spec.
        nodes: device nodes that every container gets.
        mounts: sorted by container path.
        env: sorted by name.
        left_out: what the inventory left out and what the options did, sorted by path.
        findings: what it lacks of what the options ask for.
    """

    kind: str
    devices: tuple[PlannedDevice, ...]
    nodes: tuple[DeviceNode, ...]
    mounts: tuple[PlannedMount, ...]
    env: tuple[PlannedEnv, ...]
    left_out: tuple[LeftOut, ...]
    findings: tuple[Finding, ...] = ()


def build_plan(inventory: Inventory, options: BuildOptions) -> Plan:
    """Return what the spec of a host holds.

    Args:
        inventory: the facts.
        options: the choices.

    Raises:
        IncompleteError: a device node or a library of the driver is missing, a GPU that is asked for is not there, or
            no device would have a name. It carries the findings: one of them may be the cause.
        UnreadableError: something could not be read, which is not absence.
    """
    if inventory.failed_reads and not options.allow_incomplete:
        raise UnreadableError(inventory.failed_reads, inventory.findings)
    try:
        return build_plan_of(inventory, options, _devices(inventory, options), inventory.control_nodes)
    except CdigenError as error:
        error.findings = inventory.findings
        raise


def build_plan_of(
    inventory: Inventory, options: BuildOptions, devices: tuple[PlannedDevice, ...], nodes: tuple[DeviceNode, ...]
) -> Plan:
    """Return a spec with these devices, these nodes for every container, and the driver's files; see `build_plan`."""
    left_out = {entry.host_path: entry.reason for entry in inventory.left_out}
    chosen = choose_libraries(inventory, options.capabilities)
    lacking = find_relevant(inventory, options, chosen)
    if not options.allow_incomplete:
        refuse_lacking(lacking, inventory.driver.name)
    directories = options.library_directories or (
        *CONTAINER_LIBRARY_DIRECTORIES[inventory.driver.machine],
        *inventory.driver.library_directories,
    )
    mounts: dict[str, PlannedMount] = {}
    for mount in _all_mounts(inventory, options, chosen, directories, left_out):
        rival = mounts.setdefault(mount.container_path, mount)
        if rival.host_path != mount.host_path:
            left_out.setdefault(mount.host_path, f"{rival.host_path} is already mounted at {mount.container_path}")
    return Plan(
        kind=options.kind,
        devices=devices,
        nodes=nodes,
        mounts=tuple(mount for _, mount in sorted(mounts.items())),
        env=_env(directories),
        left_out=tuple(LeftOut(host_path=path, reason=why) for path, why in sorted(left_out.items())),
        findings=(*warn_of_lacking(lacking, inventory.driver.name), *warn_of_sockets(inventory, options)),
    )


def _all_mounts(
    inventory: Inventory,
    options: BuildOptions,
    chosen: dict[str, str],
    directories: tuple[str, ...],
    left_out: dict[str, str],
) -> Iterator[PlannedMount]:
    for library in inventory.libraries:
        if library.elf.bits == 32 and not options.compat32:
            left_out.setdefault(library.host_path, _32_BIT)
        elif library.host_path not in chosen:
            left_out.setdefault(library.host_path, _not_chosen(library.group))
        else:
            places = directories if library.elf.bits == 64 else CONTAINER_LIBRARY_DIRECTORIES_32
            yield from _library_mounts(library, places, chosen[library.host_path])
    for file in inventory.files:
        if file.bits == 32 and not options.compat32:
            left_out.setdefault(file.host_path, _32_BIT)
            continue
        if file.group is not None and file.group not in options.capabilities:
            left_out.setdefault(file.host_path, _not_chosen(file.group))
            continue
        paths = (*file.container_paths, *(f"{d}/{p}" for d in directories for p in file.library_relative))
        for path in paths:
            yield PlannedMount(
                host_path=file.host_path,
                container_path=path,
                options=MOUNT_OPTIONS,
                source=file,
            )
    for socket in inventory.sockets:
        if socket.problem:
            left_out.setdefault(socket.host_path, f"{socket.problem}, where the {socket.why} should be")
        elif options.ipc:
            yield PlannedMount(
                host_path=socket.host_path,
                container_path=socket.container_path,
                options=SOCKET_OPTIONS,
                source=socket,
            )
        else:
            left_out.setdefault(
                socket.host_path,
                f"{socket.why}: it stops every container's start when it is gone; injected with --ipc",
            )


def choose_libraries(inventory: Inventory, capabilities: tuple[str, ...]) -> dict[str, str]:
    """Return the libraries of the groups in `capabilities`, and all that they and the groups' programs need.

    Args:
        inventory: the facts.
        capabilities: groups.

    Returns:
        By host path, why a library of another group is there too: "needed by <file name>"; "" for one of these groups.
    """
    by_name = {(library.elf.bits, name.name): library for library in inventory.libraries for name in library.names}
    own = [library for library in inventory.libraries if library.group in capabilities]
    chosen = {library.host_path: "" for library in own}
    waiting = [(library.host_path, library.elf) for library in own]
    waiting += [(file.host_path, file.elf) for file in inventory.files if file.elf and file.group in capabilities]
    while waiting:
        host_path, elf = waiting.pop(0)
        for name in elf.needed or ():
            needed = by_name.get((elf.bits, name))
            if needed is not None and needed.host_path not in chosen:
                chosen[needed.host_path] = f"needed by {host_path.rpartition('/')[2]}"
                waiting.append((needed.host_path, needed.elf))
    return chosen


def _not_chosen(group: str) -> str:
    return f"of capability {group}, which is not chosen with --capabilities"


def _library_mounts(library: Library, directories: tuple[str, ...], needed_by: str) -> Iterator[PlannedMount]:
    for directory in directories:
        for name in library.names:
            yield PlannedMount(
                host_path=library.host_path,
                container_path="/".join(filter(None, (directory, name.subdir, name.name))),
                options=MOUNT_OPTIONS,
                source=library,
                named="; ".join(filter(None, (needed_by, f"by {name.why}"))),
            )
    for path in library.absolute_paths:
        yield PlannedMount(
            host_path=library.host_path,
            container_path=path,
            options=MOUNT_OPTIONS,
            source=library,
            named="; ".join(filter(None, (needed_by, "a configuration file names this path"))),
        )


def _devices(inventory: Inventory, options: BuildOptions) -> tuple[PlannedDevice, ...]:
    if inventory.shared_nodes:
        return _shared_devices(inventory, options)
    gpus = tuple(
        gpu
        for gpu in select_gpus(inventory.gpus, options.devices)
        if options.coherent is None or (gpu.coherent is options.coherent and gpu.mig is None)
    )
    refuse_missing(inventory.missing, (gpu.index for gpu in gpus))
    singles = [device for gpu in gpus for device in _devices_of(gpu)]
    if not singles:
        raise _nothing_to_offer(options.coherent)
    devices = [
        PlannedDevice(
            name=name,
            gpus=device.gpus,
            nodes=device.nodes,
            mig=device.mig,
            annotations=_annotations(device.mig) if options.annotations else (),
        )
        for device in singles
        for name in _names(device.gpus[0], device.mig, options)
    ]
    if options.with_all:
        offered = tuple(gpu for gpu in gpus if gpu.mig != ())
        devices.append(PlannedDevice(name="all", gpus=offered, nodes=_union(device.nodes for device in singles)))
    elif not devices:
        raise IncompleteError(
            "no GPU has a known UUID, so none would have a name", hint="add --device-name-strategy index"
        )
    if options.none_device:
        devices.append(PlannedDevice(name="none", gpus=(), nodes=(), env=(_VOID,)))
    return tuple(devices)


def _shared_devices(inventory: Inventory, options: BuildOptions) -> tuple[PlannedDevice, ...]:
    """Return the devices of a host whose GPUs have their nodes together: one that stands for all, under each name."""
    if options.coherent is not None:
        raise _nothing_to_offer(options.coherent)
    nodes, uuids = inventory.shared_nodes, inventory.shared_uuids
    unknown = [name for name in options.devices if name not in (*_SHARED_NAMES.values(), *uuids)]
    if unknown:
        raise IncompleteError(
            f"--device {', '.join(map(one_line, unknown))}: no such GPU; those of this host cannot be told apart",
            hint="use 0, which is all of them, or leave it out",
            code="no-such-device",
        )
    names: list[str] = []
    for strategy in dict.fromkeys(options.strategies):
        names += uuids if strategy == "uuid" else [_SHARED_NAMES[strategy]]
    if options.with_all:
        names.append("all")
    if not names:
        raise IncompleteError(
            "no GPU has a known UUID, so none would have a name", hint="add --device-name-strategy index"
        )
    devices = [PlannedDevice(name=name, gpus=(), nodes=nodes) for name in names]
    if options.none_device:
        devices.append(PlannedDevice(name="none", gpus=(), nodes=(), env=(_VOID,)))
    return tuple(devices)


def _nothing_to_offer(coherent: bool | None) -> IncompleteError:
    if coherent is None:
        return IncompleteError(
            "no device: MIG is enabled on every GPU and there is no MIG device",
            hint="create MIG devices (nvidia-smi mig -cgi) or disable MIG (nvidia-smi -mig 0); the profiles are"
            " listed by",
            commands=("nvidia-smi mig -lgip",),
        )
    which = "coherent" if coherent else "non-coherent"
    return IncompleteError(
        f"no GPU is known to be {which}, which only NVML can tell", hint="let it be asked with --nvml always"
    )


def _devices_of(gpu: Gpu) -> Iterator[PlannedDevice]:
    """Yield what a GPU offers, still without names: itself, or its MIG instances in its place."""
    if gpu.mig is None:
        yield PlannedDevice(name="", gpus=(gpu,), nodes=gpu.nodes)
        return
    for mig in gpu.mig:
        node = () if gpu.node is None else (gpu.node,)
        drm_nodes = gpu.drm_nodes if mig.has_graphics else ()
        yield PlannedDevice(name="", gpus=(gpu,), nodes=node + mig.nodes + drm_nodes, mig=mig)


def _annotations(mig: MigInstance | None) -> tuple[tuple[str, str], ...]:
    return () if mig is None or mig.profile is None else ((MIG_PROFILE, mig.profile),)


def _names(gpu: Gpu, mig: MigInstance | None, options: BuildOptions) -> Iterator[str]:
    position = str(gpu.index) if mig is None else f"{gpu.index}:{mig.index}"
    uuid = gpu.uuid if mig is None else mig.uuid
    for strategy in dict.fromkeys(options.strategies):
        if strategy == "index":
            yield position
        elif strategy == "type-index":
            yield f"{'gpu' if mig is None else 'mig'}{position}"
        elif uuid is not None:
            yield uuid


def _union(groups: Iterable[tuple[DeviceNode, ...]]) -> tuple[DeviceNode, ...]:
    return tuple({node.path: node for nodes in groups for node in nodes}.values())


def _env(directories: tuple[str, ...]) -> tuple[PlannedEnv, ...]:
    return (
        _VOID,
        PlannedEnv(
            name="TRITON_LIBCUDA_PATH",
            value=directories[0],
            why="Triton asks ldconfig -p for libcuda, which knows nothing of mounts, unless this is set",
        ),
    )
