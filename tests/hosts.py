"""Small hosts to scan: entries of a snapshot that can be put together, taken apart and written as a live tree.

The versions, names and numbers are unmistakably made up. A path that no entry mentions does not exist.
"""

from __future__ import annotations

import base64
import errno
import os
import struct
from typing import TYPE_CHECKING, cast

from cdigen.discover.scan import find_inventory
from cdigen.host import Host
from cdigen.host.snapshot import FORMAT, SnapshotHost
from cdigen.host.views import open_views
from tests.host.soname import with_soname

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdigen.facts import Inventory

Entry = dict[str, object]
Entries = dict[str, Entry]

VERSION = "999.88.77"
OTHER_VERSION = "999.11.22"
TRIPLETS = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}
LIBDIR = "/usr/lib/x86_64-linux-gnu"
OWN_LIBRARIES = {
    f"libcuda.so.{VERSION}": ("libcuda.so", "libcuda.so.1", f"libcuda.so.{VERSION}"),
    f"libnvidia-gpucomp.so.{VERSION}": (f"libnvidia-gpucomp.so.{VERSION}",),
    f"libnvidia-ml.so.{VERSION}": ("libnvidia-ml.so.1", f"libnvidia-ml.so.{VERSION}"),
    f"libnvidia-nvvm.so.{VERSION}": ("libnvidia-nvvm.so.4", f"libnvidia-nvvm.so.{VERSION}"),
    f"libnvidia-ptxjitcompiler.so.{VERSION}": ("libnvidia-ptxjitcompiler.so.1",),
}
"""The file names of the libraries of `user_space_entries`, and the names under which each is injected, all sorted."""

# What the compiler-made fixtures say of themselves (tests/fixtures/elf/README.md), so that a snapshot and the
# live tree that `write_tree` makes of it have the same facts.
_NEEDED = ["libm.so.6", "libc.so.6"]
_VERSIONS = {
    "x86_64": {"libc.so.6": ["GLIBC_2.14", "GLIBC_2.2.5"], "libm.so.6": ["GLIBC_2.29"]},
    "i386": {"libc.so.6": ["GLIBC_2.0"], "libm.so.6": ["GLIBC_2.29"]},
    "aarch64": {"libc.so.6": ["GLIBC_2.17"], "libm.so.6": ["GLIBC_2.29"]},
}
_BITS = {"x86_64": 64, "aarch64": 64, "i386": 32, "s390x": 64}
_DAMAGED = {"empty file": "empty.so", "not an ELF file (starts with the bytes 00 00 00 00)": "zeros.so"}
NOT_ELF = "not an ELF file (starts with the bytes 00 00 00 00)"


def text(content: str) -> Entry:
    """Return a small text file."""
    return {"kind": "file", "text": content}


def link(to: str) -> Entry:
    """Return a symbolic link."""
    return {"kind": "link", "to": to}


def char(major: int, minor: int, mode: str = "0666", owner: str | None = None) -> Entry:
    """Return a character device, of root if no `owner` (uid:gid) is given."""
    entry: Entry = {"kind": "char", "rdev": f"{major}:{minor}", "mode": mode}
    return entry if owner is None else {**entry, "owner": owner}


def library(soname: str | None, machine: str = "x86_64") -> Entry:
    """Return a shared object, as gcc made it of the fixtures; only x86-64 has one without a SONAME."""
    elf: dict[str, object] = {"bits": _BITS[machine], "machine": "em22" if machine == "s390x" else machine}
    if soname is not None:
        elf["soname"] = soname
    known = soname is not None and machine in _VERSIONS
    elf["needed"] = _NEEDED if known else []
    elf["versions"] = _VERSIONS[machine] if known else {}
    return {"kind": "file", "elf": elf}


def program() -> Entry:
    """Return an x86-64 program."""
    elf = {"bits": 64, "machine": "x86_64", "kind": "executable", "needed": ["libplain.so.1"], "versions": {}}
    return {"kind": "file", "elf": elf}


def damaged(reason: str = "empty file") -> Entry:
    """Return a file that is not the ELF file which its name promises."""
    return {"kind": "file", "damaged": reason}


def unreadable(name: str = "EIO", kind: str = "file") -> Entry:
    """Return what the kernel fails to read, with the error of this name."""
    return {"kind": kind, "unreadable": os.strerror(getattr(errno, name)), "errno": name}


def linker_cache(*paths: str, flags: int = 0x303) -> Entry:
    """Return a linker cache with these libraries."""
    return {"kind": "file", "linker_cache": [[path.rpartition("/")[2], flags, path] for path in paths]}


def uuid_of(index: int) -> str:
    """Return the UUID of the GPU that `gpu_entries` makes."""
    return f"GPU-00000000-0000-4000-8000-{index:012d}"


def bdf_of(index: int) -> str:
    """Return the PCI address of the GPU that `gpu_entries` makes."""
    return f"0000:{index + 1:02x}:00.0"


def information(*, bdf: str, minor: int, uuid: str | None, extra: str = "") -> Entry:
    """Return a GPU's `information` file of procfs."""
    uuid_line = "" if uuid is None else f"GPU UUID: \t {uuid}\n"
    return text(
        f"Model: \t\t NVIDIA Fictional 9000\nIRQ:   \t\t 99\n{uuid_line}Bus Type: \t PCIe\n"
        f"Bus Location: \t {bdf}\nDevice Minor: \t {minor}\n{extra}"
    )


def gpu_entries(
    index: int, *, bdf: str | None = None, minor: int | None = None, uuid: str | None = None, card: int | None = None
) -> Entries:
    """Return everything that a host has of one GPU: procfs, sysfs, its node, its DRM nodes and by-path names."""
    bdf = bdf_of(index) if bdf is None else bdf
    minor = index if minor is None else minor
    uuid = uuid_of(index) if uuid is None else uuid
    return {
        f"/proc/driver/nvidia/gpus/{bdf}/information": information(bdf=bdf, minor=minor, uuid=uuid),
        f"/dev/nvidia{minor}": char(195, minor),
        **drm_entries(bdf, index if card is None else card),
    }


def drm_entries(bdf: str, card: int) -> Entries:
    """Return sysfs and DRM nodes of any vendor's GPU."""
    return {
        f"/sys/bus/pci/devices/{bdf}": link(f"../../../devices/pci9999:00/{bdf}"),
        f"/sys/devices/pci9999:00/{bdf}/drm/card{card}": {"kind": "dir"},
        f"/sys/devices/pci9999:00/{bdf}/drm/renderD{128 + card}": {"kind": "dir"},
        f"/dev/dri/card{card}": char(226, card, "0660"),
        f"/dev/dri/renderD{128 + card}": char(226, 128 + card),
        f"/dev/dri/by-path/pci-{bdf}-card": link(f"../card{card}"),
        f"/dev/dri/by-path/pci-{bdf}-render": link(f"../renderD{128 + card}"),
    }


def capability_minor(gpu: int, gi: int, ci: int | None = None) -> int:
    """Return the minor of a MIG capability, as the driver numbers them (nv-caps.c)."""
    return 3 + 135 * gpu + 9 * gi + (0 if ci is None else 1 + ci)


def access(minor: int, mode: int = 0o444) -> Entry:
    """Return an access file of a capability."""
    return text(f"DeviceFileMinor: {minor}\nDeviceFileMode: {mode}\nDeviceFileModify: 1\n")


def mig_entries(gpu: int, *places: tuple[int, int]) -> Entries:
    """Return what procfs and /dev have of MIG instances of the GPU with the minor `gpu`.

    Args:
        gpu: the minor.
        places: the numbers of GPU instance and compute instance.
    """
    entries: Entries = {}
    for gi, ci in places:
        for name, minor in (
            (f"gi{gi}", capability_minor(gpu, gi)),
            (f"gi{gi}/ci{ci}", capability_minor(gpu, gi, ci)),
        ):
            entries[f"/proc/driver/nvidia/capabilities/gpu{gpu}/mig/{name}/access"] = access(minor)
            entries[f"/dev/nvidia-caps/nvidia-cap{minor}"] = char(508, minor, "0444")
    return entries


def library_entries(stem: str, soname: str, directory: str, version: str = VERSION, machine: str = "x86_64") -> Entries:
    """Return a library of the driver in `directory` and the link of its SONAME."""
    file_name = f"{stem}.so.{version}"
    return {f"{directory}/{file_name}": library(soname, machine), f"{directory}/{soname}": link(file_name)}


def kernel_entries(version: str, machine: str = "x86_64", *, is_open: bool = True) -> Entries:
    """Return what procfs says of the loaded kernel module."""
    name = f"Open Kernel Module for {machine}" if is_open else f"{machine} Kernel Module"
    line = f"NVRM version: NVIDIA UNIX {name}  {version}  Release Build  (nobody@nowhere)"
    return {"/proc/driver/nvidia/version": text(f"{line}\nGCC version:  gcc version 99.9.9\n")}


def user_space_entries(version: str, directory: str, machine: str = "x86_64") -> Entries:
    """Return the libraries that no driver of any series is without, those of them that the `version` has."""
    gpucomp = f"libnvidia-gpucomp.so.{version}"
    return {
        **library_entries("libcuda", "libcuda.so.1", directory, version, machine),
        f"{directory}/libcuda.so": link("libcuda.so.1"),
        **library_entries("libnvidia-ml", "libnvidia-ml.so.1", directory, version, machine),
        **library_entries("libnvidia-ptxjitcompiler", "libnvidia-ptxjitcompiler.so.1", directory, version, machine),
        **library_entries("libnvidia-nvvm", "libnvidia-nvvm.so.4", directory, version, machine),
        f"{directory}/{gpucomp}": library(gpucomp, machine),
    }


def minimal_entries(version: str = VERSION, gpus: int = 1, machine: str = "x86_64") -> Entries:
    """Return a small complete host, about which discovery has nothing to complain.

    Args:
        version: of both halves of the driver.
        gpus: how many; their PCI order is that of their minors.
        machine: "x86_64" or "aarch64".
    """
    entries: Entries = {
        **kernel_entries(version, machine),
        **user_space_entries(version, f"/usr/lib/{TRIPLETS[machine]}", machine),
        "/lib": link("usr/lib"),
        f"/usr/lib/firmware/nvidia/{version}/gsp_ga10x.bin": {"kind": "file"},
        "/proc/driver/nvidia/gpus": {"kind": "dir"},
        "/proc/sys/kernel/osrelease": text("99.9.9-fictional\n"),
        "/dev/nvidiactl": char(195, 255),
        "/dev/nvidia-uvm": char(511, 0),
        "/dev/nvidia-uvm-tools": char(511, 1),
        "/dev/nvidia-modeset": char(195, 254),
    }
    if machine == "x86_64":
        entries["/usr/bin/nvidia-smi"] = program()
    for index in range(gpus):
        entries.update(gpu_entries(index))
    return entries


def without(entries: Mapping[str, Entry], *paths: str) -> Entries:
    """Return `entries` less `paths` and everything below them; a path that is not there is a mistake."""
    gone = {entry for entry in entries for path in paths if f"{entry}/".startswith(f"{path}/")}
    for path in paths:
        assert any(f"{entry}/".startswith(f"{path}/") for entry in gone), path
    return {path: entry for path, entry in entries.items() if path not in gone}


def moved(entries: Mapping[str, Entry], root: str, *parts: str) -> Entries:
    """Return `entries`, those below `parts` (paths of directories) moved below the directory `root`."""
    return {
        root + path if any(f"{path}/".startswith(f"{part}/") for part in parts) else path: entry
        for path, entry in entries.items()
    }


def snapshot_document(entries: Mapping[str, Entry], **roots: str) -> dict[str, object]:
    """Return the snapshot document of `entries`; `roots` are its `driver_root` and `dev_root`."""
    return {"cdigen_snapshot": FORMAT, **roots, "entries": dict(entries)}


def host_of(entries: Mapping[str, Entry]) -> SnapshotHost:
    """Return the host that has `entries`."""
    return SnapshotHost(entries)


def inventory_of(
    entries: Mapping[str, Entry] | Host, *, driver_root: str = "/", dev_root: str | None = None
) -> Inventory:
    """Return what discovery finds on a host, or on the host that has `entries`."""
    host = entries if isinstance(entries, Host) else host_of(entries)
    return find_inventory(open_views(host, driver_root=driver_root, dev_root=dev_root))


def write_tree(root: Path, entries: Mapping[str, Entry], fixtures: Path) -> None:
    """Make `entries` below `root`, so that a live host at `root` has the same facts.

    Args:
        root: a directory; made if it is not there.
        entries: as for `host_of`.
        fixtures: `tests/fixtures/elf`; what is a library or a program becomes a copy of one of these.

    Device nodes are made only by root, who alone may; sockets and FIFOs are not made.
    """
    root.mkdir(parents=True, exist_ok=True)
    for path, entry in entries.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if entry["kind"] == "dir":
            place.mkdir(exist_ok=True)
        elif entry["kind"] == "link":
            place.symlink_to(str(entry["to"]))
        elif entry["kind"] == "file":
            place.write_bytes(_content(entry, fixtures))
        elif os.geteuid() == 0:
            major, minor = map(int, str(entry["rdev"]).split(":"))
            os.mknod(place, 0o020600, os.makedev(major, minor))
            os.chown(place, *map(int, str(entry.get("owner", "0:0")).split(":")))
            place.chmod(int(str(entry.get("mode", "0666")), 8))


def _content(entry: Entry, fixtures: Path) -> bytes:
    if "text" in entry:
        return str(entry["text"]).encode()
    if "base64" in entry:
        return base64.b64decode(str(entry["base64"]))
    if "damaged" in entry:
        return (fixtures / "damaged" / _DAMAGED[str(entry["damaged"])]).read_bytes()
    if "linker_cache" in entry:
        return _cache(cast("list[tuple[str, int, str]]", entry["linker_cache"]))
    if "elf" not in entry:
        return b""
    elf = cast("dict[str, object]", entry["elf"])
    machine = "s390x" if elf["machine"] == "em22" else str(elf["machine"])
    if elf.get("kind") == "executable":
        return (fixtures / machine / "program-pie").read_bytes()
    if "soname" not in elf:
        return (fixtures / machine / "libnosoname.so").read_bytes()
    if machine == "s390x":
        return (fixtures / machine / "libplain.so.1").read_bytes()
    return with_soname((fixtures / machine / "libneeds.so.1").read_bytes(), str(elf["soname"]))


def _cache(rows: list[tuple[str, int, str]]) -> bytes:
    """Return a linker cache in the new layout: glibc, sysdeps/generic/dl-cache.h."""
    at = 48 + 24 * len(rows)
    table, strings = b"", b""
    for name, flags, path in rows:
        offsets = (at + len(strings), at + len(strings) + len(name) + 1)
        table += struct.pack("<iIIIQ", flags, *offsets, 0, 0)
        strings += f"{name}\0{path}\0".encode()
    return struct.pack("<20sIIB3xI12x", b"glibc-ld.so.cache1.1", len(rows), len(strings), 2, 0) + table + strings
