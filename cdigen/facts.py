"""The facts of one host, frozen: what discovery found, what it left out, and what it has to say about it.

Paths are absolute POSIX paths as strings. A `host_path` is the path as the host sees it, every symbolic link
resolved; it becomes a `hostPath` of the spec. Collections are tuples in an order that does not depend on
the order of directory entries, so the same host gives the same inventory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.errors import FailedRead
    from cdigen.findings import Finding, Remedy
    from cdigen.parse.elf import ElfFacts

PlatformKind = Literal["pci", "wsl", "tegra"]
"""GPUs on a PCI bus, WSL2, a Jetson's own GPU."""

AskedPlatform = Literal["auto", "pci", "wsl", "tegra"]
"""What a user may say of it; "auto" lets files tell."""

NodeState = Literal["ok", "missing", "wrong device", "other mode", "module not loaded"]


class LeftOut(Record):
    """A file that was found and is not injected.

    Attributes:
        host_path: where it is, or the name under which it was found.
        reason: why it is left out; one line.
    """

    host_path: str
    reason: str


class Driver(Record):
    """The driver's two halves, which are of the same build.

    Attributes:
        version: the version, e.g. "535.309.01"; None where no file tells it, as on WSL2.
        machine: the machine of its libraries as in `ElfFacts.machine`, "x86_64" or "aarch64".
        kernel_version_source: the file that told the kernel module's version; None if nothing told it.
        libcuda: the host path of libcuda; None where only the display half of the driver is installed.
        package: where no version is told, what the driver is of: on WSL2 the name of Windows' driver package, which
            changes with every update, on a Jetson the release of Jetson Linux; else "".
        described: the same in words.
        library_directories: where images of this distribution look for libraries, beside the usual directories.
    """

    version: str | None
    machine: str
    kernel_version_source: str | None
    libcuda: str | None
    package: str = ""
    described: str = ""
    library_directories: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The version, or what there is in its place."""
        return self.version or self.package


class LibraryName(Record):
    """One name under which a library is asked for.

    Attributes:
        name: the file name in the container, e.g. "libcuda.so.1".
        subdir: the directory below the library directory, "" for the directory itself, or "vdpau", "gbm".
        why: "soname", "link", "alias" or "file name".
    """

    subdir: str
    name: str
    why: str


class Library(Record):
    """A shared object of the driver.

    Attributes:
        file_name: the base name of the file on the host.
        host_path: see the module.
        elf: what its ELF headers say.
        group: the capability group in the vendor's words, e.g. "compute".
        why: why it is taken; one line.
        names: the names under which it is mounted, sorted.
        absolute_paths: paths in the container at which a configuration file asks for it; usually none.
    """

    file_name: str
    host_path: str
    elf: ElfFacts
    group: str
    why: str
    names: tuple[LibraryName, ...]
    absolute_paths: tuple[str, ...] = ()


class LackingLibrary(Record):
    """A library of the driver's own that is not there or cannot be used, and what does not work without it.

    Attributes:
        name: its file name, or the name under which it is asked for.
        bits: the word size of those who ask for it.
        host_path: what is there in its place; "" if nothing is.
        problem: a clause such as "is missing".
        why: what needs it; a clause.
        group: the capability group that needs it; "" if one file does.
        needed_by: the host path of that file; "" if a group does.
    """

    name: str
    bits: int
    host_path: str
    problem: str
    why: str
    group: str
    needed_by: str


class DriverFile(Record):
    """A file of the driver that is not a shared object in a library directory.

    Attributes:
        kind: "binary", "firmware", "config", "data" or "xorg".
        host_path: see the module.
        container_paths: where it is mounted; more than one where images differ.
        library_relative: paths below every library directory at which it is mounted as well.
        group: the capability group in the vendor's words; None for what all need.
        why: why it is taken; one line.
        asks_for: for a configuration file, the libraries that it names.
        elf: for a program or a module, what its ELF headers say.
        bits: the word size of the libraries that it names, and of itself if it is one.
    """

    kind: str
    host_path: str
    container_paths: tuple[str, ...]
    group: str | None
    why: str
    library_relative: tuple[str, ...] = ()
    asks_for: tuple[str, ...] = ()
    elf: ElfFacts | None = None
    bits: int = 64


class Socket(Record):
    """A socket or directory of a driver's daemon, injected only on demand.

    Attributes:
        host_path: see the module.
        container_path: where the driver's libraries look for it.
        why: whose it is; one line.
        problem: why it cannot be injected, a clause: something else is in its place; "" if it can.
    """

    host_path: str
    container_path: str
    why: str
    problem: str = ""


class DeviceNode(Record):
    """A device node on the host.

    Attributes:
        path: its path in the container, e.g. "/dev/nvidia0".
        host_path: its path on the host; not a symbolic link.
        major: the device's major number when scanned. Never written to a spec: it may differ after a boot.
        minor: the device's minor number when scanned.
        mode: the permission bits, e.g. 0o666.
        gid: the number of the group.
        why: one line.
    """

    path: str
    host_path: str
    major: int
    minor: int
    mode: int
    gid: int
    why: str


class MissingNode(Record):
    """A device node without which containers would not work, and which is not there.

    Attributes:
        host_path: where it should be.
        problem: what is the case, a clause such as "is missing".
        whose: what it belongs to, such as "GPU instance 2 of GPU 0000:07:00.0"; "" if that is the driver.
        command: the driver's command that creates it.
        gpu: the index of the GPU that lacks it; None if all do.
    """

    host_path: str
    problem: str
    whose: str
    command: str
    gpu: int | None


class MigInstance(Record):
    """A compute instance of a GPU that is divided by MIG: what a container is given in place of the GPU.

    Attributes:
        index: the position among the GPU's MIG devices, from 0, as NVML counts where it was asked.
        gpu_instance: the GPU instance's number.
        compute_instance: the compute instance's number in it.
        uuid: "MIG-..." or None if it is not known.
        profile: such as "1g.5gb", or None if it is not known.
        nodes: the capability nodes of the GPU instance and of the compute instance, in this order.
    """

    index: int
    gpu_instance: int
    compute_instance: int
    uuid: str | None
    profile: str | None
    nodes: tuple[DeviceNode, ...]

    @property
    def has_graphics(self) -> bool:
        """Whether its profile is one for graphics, such as "1g.24gb+gfx"."""
        return self.profile is not None and "gfx" in self.profile.split("+")[1:]


class FoundNode(Record):
    """What is at the path of a node, links followed.

    Attributes:
        kind: the file type, "char" if it is right; "link" is one that leads to nothing.
        major: of a device, the major number.
        minor: of a device, the minor number.
        mode: of a device, the permission bits.
        uid: of a device, the number of the owner.
        gid: of a device, the number of the group.
    """

    kind: str
    major: int
    minor: int
    mode: int
    uid: int
    gid: int


class ExpectedNode(Record):
    """A node that the driver could have on this host, and what is there in its place.

    Attributes:
        path: its path below the device root, e.g. "/dev/nvidia-caps/nvidia-cap21".
        host_path: its path on the host; its name may be a symbolic link to the node.
        driver: the name in /proc/devices whose major it has, e.g. "nvidia-caps".
        module: the kernel module that has this driver, as modprobe knows it.
        major: None if /proc/devices does not have the name.
        minor: the minor number.
        mode: the permission bits that it should have.
        uid: the number of the owner that it should have.
        gid: the number of the group that it should have.
        modify: False if the administrator manages it, so that no program may make it.
        required: whether containers would lack a GPU without it.
        source: the file or table that told that there should be one, or how.
        why: one line.
        command: the arguments with which nvidia-modprobe makes it; None if it cannot.
        state: how what is there compares.
        found: what is there; None if nothing is.
    """

    path: str
    host_path: str
    driver: str
    module: str
    major: int | None
    minor: int
    mode: int
    uid: int
    gid: int
    modify: bool
    required: bool
    source: str
    why: str
    command: tuple[str, ...] | None
    state: NodeState
    found: FoundNode | None


class Gpu(Record):
    """A GPU that is offered to containers, as a whole or by its MIG instances.

    Attributes:
        index: the position in PCI order among the GPUs that are not excluded, from 0; the order of nvidia-smi.
        minor: N of /dev/nvidia<N>.
        bdf: the PCI address, lower case, "dddd:bb:dd.f"; None if procfs does not tell.
        uuid: "GPU-..." or None if it is not known.
        model: the model's name or None.
        node: /dev/nvidia<N>; None if it is missing (see `Inventory.missing`).
        drm_nodes: card and render node, then their names by PCI address.
        mig: its MIG instances, by index; None if MIG is not enabled.
        coherent: whether it addresses the host's memory coherently (ATS); None if that is not known.
        memory: its memory in MiB; None if that is not known.
        compute: its compute capability, such as "9.0"; None if that is not known.
    """

    index: int
    minor: int
    bdf: str | None
    uuid: str | None
    model: str | None
    node: DeviceNode | None
    drm_nodes: tuple[DeviceNode, ...]
    mig: tuple[MigInstance, ...] | None = None
    coherent: bool | None = None
    memory: int | None = None
    compute: str | None = None

    @property
    def nodes(self) -> tuple[DeviceNode, ...]:
        """Its device nodes that are there: /dev/nvidia<N>, then those of DRM."""
        return self.drm_nodes if self.node is None else (self.node, *self.drm_nodes)


class PciPlace(Record):
    """Where a GPU is.

    Attributes:
        bdf: its PCI address, "dddd:bb:dd.f".
        root: the root of the bus that it is behind, such as "pci0000:00"; None if sysfs does not tell.
        numa_node: the NUMA node that is near to it; None if there is none, or sysfs does not tell.
    """

    bdf: str
    root: str | None
    numa_node: int | None


class ClassDevices(Record):
    """What a host has of a class of devices that are no GPUs, or that are the GPUs' nodes whatever their state.

    Attributes:
        name: the class.
        nodes: its device nodes, those with a number in the order of the numbers; () if the host has no such device.
        files: files and directories that are mounted with them.
        absent: what is not there if there are no nodes; one line.
        remedy: how it would come.
        failed_reads, findings, left_out: see `Inventory`; of this class alone.
    """

    name: str
    nodes: tuple[DeviceNode, ...]
    files: tuple[DriverFile, ...]
    absent: str
    remedy: Remedy
    failed_reads: tuple[FailedRead, ...]
    findings: tuple[Finding, ...]
    left_out: tuple[LeftOut, ...]


class Inventory(Record):
    """Everything that a spec is built from.

    Attributes:
        driver: the driver.
        libraries: sorted by word size (64 bits first), then by file name.
        lacking: libraries that should be among them, one for each file or group that needs one.
        files: binaries, firmware, configuration, sorted by kind and container path.
        sockets: sockets of the driver's daemons, sorted by container path.
        control_nodes: nodes that every container needs, in the order of the catalog.
        gpus: by index.
        shared_nodes: nodes of all GPUs together, where they cannot be told apart (WSL2, Jetson); then `gpus` has none.
        shared_uuids: the UUIDs of these GPUs, as far as they are known, sorted.
        missing: nodes without which containers would not work, in the order of discovery.
        failed_reads: what could not be read, in the order of discovery; there is a finding for each.
        findings: in the order of discovery, which is fixed.
        left_out: sorted by path.
    """

    driver: Driver
    libraries: tuple[Library, ...]
    files: tuple[DriverFile, ...]
    failed_reads: tuple[FailedRead, ...]
    findings: tuple[Finding, ...]
    left_out: tuple[LeftOut, ...]
    lacking: tuple[LackingLibrary, ...] = ()
    sockets: tuple[Socket, ...] = ()
    control_nodes: tuple[DeviceNode, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    missing: tuple[MissingNode, ...] = ()
    shared_nodes: tuple[DeviceNode, ...] = ()
    shared_uuids: tuple[str, ...] = ()

    @property
    def lacks_uuids(self) -> bool:
        """Whether there are GPUs or MIG instances whose UUID is not known."""
        if self.shared_nodes:
            return not self.shared_uuids
        return any(gpu.uuid is None or any(mig.uuid is None for mig in gpu.mig or ()) for gpu in self.gpus)
