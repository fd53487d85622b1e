"""The facts of one host, frozen: what discovery found, what it left out, and what it has to say about it.

Paths are absolute POSIX paths as strings. A `host_path` is the path as the host sees it, every symbolic link
resolved; it becomes a `hostPath` of the spec. Collections are tuples in an order that does not depend on
the order of directory entries, so the same host gives the same inventory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cdigen.parse.elf import ElfFacts

Level = Literal["warning", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about the host that its administrator should know, though a spec can be written.

    Attributes:
        level: "warning" if a container may miss something, "note" if it is only worth knowing.
        code: a stable identifier in kebab case, for programs that read `--json`.
        subject: the path or the name that it is about.
        message: what is the case and, after a semicolon, what to do; one line.
    """

    level: Level
    code: str
    subject: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that was found and is not injected.

    Attributes:
        host_path: where it is, or the name under which it was found.
        reason: why it is left out; one line.
    """

    host_path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """The driver's two halves, which are of the same build.

    Attributes:
        version: the version, e.g. "535.309.01".
        machine: the machine of libcuda as in `ElfFacts.machine`, "x86_64" or "aarch64".
        kernel_version_source: the file that told the kernel module's version; None if nothing told it.
        libcuda: the host path of libcuda.
    """

    version: str
    machine: str
    kernel_version_source: str | None
    libcuda: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryName:
    """One name under which a library is asked for.

    Attributes:
        name: the file name in the container, e.g. "libcuda.so.1".
        subdir: the directory below the library directory, "" for the directory itself, or "vdpau", "gbm".
        why: "soname", "link", "alias" or "file name".
    """

    subdir: str
    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFile:
    """A file of the driver that is not a shared object in a library directory.

    Attributes:
        kind: "binary", "firmware", "config", "data" or "xorg".
        host_path: see the module.
        container_paths: where it is mounted; more than one where images differ.
        library_relative: paths below every library directory at which it is mounted as well.
        group: the capability group in the vendor's words.
        why: why it is taken; one line.
        asks_for: for a configuration file, the libraries that it names.
        elf: for a program or a module, what its ELF headers say.
    """

    kind: str
    host_path: str
    container_paths: tuple[str, ...]
    group: str
    why: str
    library_relative: tuple[str, ...] = ()
    asks_for: tuple[str, ...] = ()
    elf: ElfFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """A socket or directory of a driver's daemon, injected only on demand.

    Attributes:
        host_path: see the module.
        container_path: where the driver's libraries look for it.
        why: whose it is; one line.
    """

    host_path: str
    container_path: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNode:
    """A device node on the host.

    Attributes:
        path: its path in the container, e.g. "/dev/nvidia0".
        host_path: its path on the host; not a symbolic link.
        major: the device's major number when scanned. Never written to a spec: it may differ after a boot.
        minor: the device's minor number when scanned.
        mode: the permission bits, e.g. 0o666.
        why: one line.
    """

    path: str
    host_path: str
    major: int
    minor: int
    mode: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU that is offered to containers.

    Attributes:
        index: the position in PCI order among the GPUs that are not excluded, from 0; the order of nvidia-smi.
        minor: N of /dev/nvidia<N>.
        bdf: the PCI address, lower case, "dddd:bb:dd.f"; None if procfs does not tell.
        uuid: "GPU-..." or None if it is not known.
        model: the model's name or None.
        nodes: its device nodes: /dev/nvidia<N>, then those of DRM.
    """

    index: int
    minor: int
    bdf: str | None
    uuid: str | None
    model: str | None
    nodes: tuple[DeviceNode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything that a spec is built from.

    Attributes:
        driver: the driver.
        libraries: sorted by word size (64 bits first), then by file name.
        files: binaries, firmware, configuration, sorted by kind and container path.
        sockets: sockets of the driver's daemons, sorted by container path.
        control_nodes: nodes that every container needs, in the order of the catalog.
        gpus: by index.
        findings: in the order of discovery, which is fixed.
        left_out: sorted by path.
    """

    driver: Driver
    libraries: tuple[Library, ...]
    files: tuple[DriverFile, ...]
    sockets: tuple[Socket, ...]
    control_nodes: tuple[DeviceNode, ...]
    gpus: tuple[Gpu, ...]
    findings: tuple[Finding, ...]
    left_out: tuple[LeftOut, ...]
