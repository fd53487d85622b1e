"""Inventories, any that the types allow and discovery could make, as a strategy of hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from cdigen.facts import (
    DeviceNode,
    Driver,
    DriverFile,
    Gpu,
    Inventory,
    LeftOut,
    Library,
    LibraryName,
    MigInstance,
    Socket,
)
from cdigen.parse.elf import ElfFacts

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+@=-]{0,20}", fullmatch=True)
HOST_PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
UUIDS = st.uuids().map("GPU-{}".format)
MACHINES = {64: "x86_64", 32: "i386"}


def node(path: str, host_path: str | None = None) -> DeviceNode:
    """Return a device node, at the same path on the host if no other is given."""
    return DeviceNode(path=path, host_path=host_path or path, major=511, minor=9, mode=0o660, gid=44, why="made up")


def elf(bits: int, soname: str | None = None) -> ElfFacts:
    """Return the facts of a library that needs nothing."""
    return ElfFacts(bits=bits, machine=MACHINES[bits], kind="shared", soname=soname, needed=(), versions=(), runpath=())


@st.composite
def gpus(draw: st.DrawFn) -> tuple[Gpu, ...]:
    """Return up to eight GPUs, by index, with or without UUID, PCI address and DRM nodes."""
    minors = draw(st.lists(st.integers(0, 99), unique=True, min_size=1, max_size=8))
    uuids = draw(st.lists(UUIDS, unique=True, min_size=len(minors), max_size=len(minors)))
    made = []
    for index, minor in enumerate(minors):
        drm_nodes = []
        if draw(st.booleans()):
            drm_nodes = [
                node(f"/dev/dri/card{minor}"),
                node(f"/dev/dri/by-path/pci-{minor}-card", f"/dev/dri/card{minor}"),
            ]
        made.append(
            Gpu(
                index=index,
                minor=minor,
                bdf=draw(st.sampled_from([None, f"0000:{minor:02x}:00.0"])),
                uuid=uuids[index] if draw(st.booleans()) else None,
                model=None,
                node=node(f"/dev/nvidia{minor}", draw(st.sampled_from([None, f"/run/driver/dev/nvidia{minor}"]))),
                drm_nodes=tuple(drm_nodes),
                mig=draw(st.none() | instances(minor)),
                coherent=draw(st.none() | st.booleans()),
            )
        )
    return tuple(made)


@st.composite
def instances(draw: st.DrawFn, minor: int) -> tuple[MigInstance, ...]:
    """Return up to seven MIG instances of the GPU with that minor; two of them can share a GPU instance."""
    places = draw(st.sets(st.tuples(st.integers(0, 14), st.integers(0, 7)), max_size=7))
    return tuple(
        MigInstance(
            index=index,
            gpu_instance=gi,
            compute_instance=ci,
            uuid=draw(st.none() | st.uuids().map("MIG-{}".format)),
            profile=draw(st.sampled_from([None, "1g.5gb", "1c.2g.10gb", "1g.24gb+gfx", "1g.10gb+me"])),
            nodes=(capability(3 + 135 * minor + 9 * gi), capability(4 + 135 * minor + 9 * gi + ci)),
        )
        for index, (gi, ci) in enumerate(sorted(places))
    )


def capability(minor: int) -> DeviceNode:
    """Return the node of a capability."""
    return node(f"/dev/nvidia-caps/nvidia-cap{minor}")


@st.composite
def libraries(draw: st.DrawFn) -> Library:
    """Return a library of either word size with any names, which others may have too."""
    file_name = draw(NAMES)
    names = draw(st.lists(st.tuples(st.sampled_from(["", "vdpau", "gbm"]), NAMES), unique=True, min_size=1, max_size=3))
    return Library(
        file_name=file_name,
        host_path=f"{draw(HOST_PATHS)}/{file_name}",
        elf=elf(draw(st.sampled_from([32, 64]))),
        group="compute",
        why="made up",
        names=tuple(LibraryName(subdir=subdir, name=name, why="link") for subdir, name in sorted(names)),
    )


@st.composite
def files(draw: st.DrawFn) -> DriverFile:
    """Return a file at fixed places, or below every library directory."""
    relative = draw(st.booleans())
    places = draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))
    return DriverFile(
        kind="config",
        host_path=draw(HOST_PATHS),
        container_paths=() if relative else tuple(f"/etc/made-up/{name}" for name in places),
        library_relative=tuple(f"made-up/{name}" for name in places) if relative else (),
        group="graphics",
        why="made up",
    )


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Return an inventory in the order of discovery: libraries by word size and name, files by place."""
    found = draw(st.lists(libraries(), max_size=8, unique_by=lambda library: library.host_path))
    others = draw(st.lists(files(), max_size=4))
    return Inventory(
        driver=Driver(
            version="999.88.77",
            machine=draw(st.sampled_from(["x86_64", "aarch64"])),
            kernel_version_source=None,
            libcuda="/usr/lib/libcuda.so.999.88.77",
        ),
        libraries=tuple(sorted(found, key=lambda library: (-library.elf.bits, library.file_name))),
        lacking=(),
        files=tuple(sorted(others, key=lambda file: (file.kind, file.container_paths, file.library_relative))),
        sockets=draw(
            st.sampled_from([(), (Socket(host_path="/run/a/socket", container_path="/run/a/socket", why="made up"),)])
        ),
        control_nodes=(node("/dev/nvidiactl"), node("/dev/nvidia-uvm")),
        gpus=draw(gpus().filter(lambda made: any(gpu.mig != () for gpu in made))),
        missing=(),
        failed_reads=(),
        findings=(),
        left_out=tuple(
            LeftOut(host_path=path, reason="made up") for path in sorted(draw(st.sets(HOST_PATHS, max_size=3)))
        ),
    )
