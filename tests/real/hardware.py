"""The rest of a host around a driver: what the kernel shows of eight GPUs, as files in a root.

Device nodes are real (mknod), so that an engine can give them to a container; opening one answers ENXIO or
ENODEV on a machine without a GPU, which is what NVIDIA's libraries expect of such a machine. The texts have
the kernel module's own format, tabs and blanks included: `nv_procfs_read_version` and
`nv_procfs_read_gpu_info` in `nv-procfs.c` of NVIDIA/open-gpu-kernel-modules, the same from 515 to 580.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.hosts import capability_minor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

KERNEL_RELEASE = "6.1.0-0-amd64"

_NVIDIA_MAJOR = 195  # assigned by Linux, Documentation/admin-guide/devices.txt
_DRM_MAJOR = 226  # likewise
_UVM_MAJOR = 511  # dynamic: the kernel hands them out from 511 downwards
_CAPABILITIES_MAJOR = 508  # likewise
_RENDER_MINORS = 128  # of renderD<128 + n>
_VIDEO_GROUP = 44  # Debian's static group `video`


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU of the made-up host.

    Attributes:
        bdf: its PCI address, as the kernel writes it.
        minor: the number in /dev/nvidia<N>.
        drm: the number in /dev/dri/card<N>; the render node is renderD<128 + N>.
        uuid: what its `information` says.
    """

    bdf: str
    minor: int
    drm: int
    uuid: str


GPUS = tuple(
    Gpu(bdf=bdf, minor=minor, drm=drm, uuid=f"GPU-00000000-0000-4000-8000-0000000000{minor:02x}")
    for bdf, minor, drm in (
        # In PCI order, so the index is the position. The minors are those of a published eight-GPU host.
        # Index, minor and DRM number differ in every row: whoever mistakes one for another is found out.
        ("0000:07:00.0", 2, 7),
        ("0000:0b:00.0", 3, 6),
        ("0000:48:00.0", 0, 5),
        ("0000:4c:00.0", 1, 4),
        ("0000:88:00.0", 6, 3),
        ("0000:8b:00.0", 7, 2),
        ("0000:c8:00.0", 4, 1),
        ("0000:cb:00.0", 5, 0),
    )
)
"""The host's GPUs in PCI order."""

_VERSION = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Thu Jan  1 00:00:00 UTC 1970\n"
    "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14+deb12u1) \n"
)

_INFORMATION = (
    "Model: \t\t NVIDIA H100 80GB HBM3\n"
    "IRQ:   \t\t {irq}\n"
    "GPU UUID: \t {uuid}\n"
    "Video BIOS: \t 96.00.74.00.01\n"
    "Bus Type: \t PCIe\n"
    "DMA Size: \t 52 bits\n"
    "DMA Mask: \t 0xfffffffffffff\n"
    "Bus Location: \t {bdf}\n"
    "Device Minor: \t {minor}\n"
    "GPU Firmware: \t {version}\n"
    "GPU Excluded:\t No\n"
)

# Up to R535 one entry stands for the GPUs, nvidiactl and nvidia-modeset.
_DEVICES = (
    "Character devices:\n"
    "  1 mem\n"
    "  5 /dev/tty\n"
    " 10 misc\n"
    "195 nvidia-frontend\n"
    "226 drm\n"
    "511 nvidia-uvm\n"
    "\n"
    "Block devices:\n"
    "  8 sd\n"
    "259 blkext\n"
)


def add_hardware(root: Path, version: str, gpus: tuple[Gpu, ...] = GPUS) -> None:
    """Add /dev, /proc and /sys of a host with `gpus` to `root`, whose driver is `version`.

    Needs the right to make device nodes. What is there already, such as /dev/null, stays.
    """
    _add_nodes(root / "dev", gpus)
    _add_procfs(root / "proc", version, gpus)
    _add_sysfs(root / "sys", version, gpus)


def add_mig(root: Path, places: Mapping[int, tuple[tuple[int, int], ...]]) -> None:
    """Add what /dev and /proc of a host have of MIG instances to `root`, to which `add_hardware` has added GPUs.

    Args:
        root: the host's root.
        places: for the minor of a GPU, the numbers of GPU instance and compute instance of each of its MIG devices.
    """
    numbers = {"mig/config": (1, 0o400), "mig/monitor": (2, 0o444)}
    for gpu, instances in places.items():
        for gi, ci in instances:
            numbers[f"gpu{gpu}/mig/gi{gi}/access"] = (capability_minor(gpu, gi), 0o444)
            numbers[f"gpu{gpu}/mig/gi{gi}/ci{ci}/access"] = (capability_minor(gpu, gi, ci), 0o444)
    (root / "dev/nvidia-caps").mkdir()
    for name, (minor, mode) in numbers.items():
        _make_node(root / f"dev/nvidia-caps/nvidia-cap{minor}", _CAPABILITIES_MAJOR, minor, mode=mode)
        text = f"DeviceFileMinor: {minor}\nDeviceFileMode: {mode}\nDeviceFileModify: 1\n"
        _write(root / "proc/driver/nvidia/capabilities" / name, text)
    _write(root / "proc/driver/nvidia-caps/mig-minors", "".join(_mig_minors()))
    uvm = f"{_UVM_MAJOR} nvidia-uvm\n"
    _write(root / "proc/devices", _DEVICES.replace(uvm, f"{_CAPABILITIES_MAJOR} nvidia-caps\n{uvm}"))


def _mig_minors() -> Iterator[str]:
    """Yield the lines of mig-minors: one for every instance that could be (`nv-caps.c`)."""
    yield "config 1\nmonitor 2\n"
    for gpu in range(32):
        for gi in range(15):
            yield f"gpu{gpu}/gi{gi}/access {capability_minor(gpu, gi)}\n"
            for ci in range(8):
                yield f"gpu{gpu}/gi{gi}/ci{ci}/access {capability_minor(gpu, gi, ci)}\n"


def _add_nodes(dev: Path, gpus: tuple[Gpu, ...]) -> None:
    by_path = dev / "dri" / "by-path"
    by_path.mkdir(parents=True)
    _make_node(dev / "nvidiactl", _NVIDIA_MAJOR, 255)
    _make_node(dev / "nvidia-modeset", _NVIDIA_MAJOR, 254)
    _make_node(dev / "nvidia-uvm", _UVM_MAJOR, 0)
    _make_node(dev / "nvidia-uvm-tools", _UVM_MAJOR, 1)
    for gpu in gpus:
        _make_node(dev / f"nvidia{gpu.minor}", _NVIDIA_MAJOR, gpu.minor)
        for kind, name, number in _drm_nodes(gpu):
            _make_node(dev / "dri" / name, _DRM_MAJOR, number, mode=0o660, group=_VIDEO_GROUP)
            (by_path / f"pci-{gpu.bdf}-{kind}").symlink_to(f"../{name}")


def _drm_nodes(gpu: Gpu) -> tuple[tuple[str, str, int], ...]:
    """Return (kind in by-path names, name, minor) of a GPU's DRM nodes."""
    render = _RENDER_MINORS + gpu.drm
    return (("card", f"card{gpu.drm}", gpu.drm), ("render", f"renderD{render}", render))


def _make_node(path: Path, major: int, minor: int, *, mode: int = 0o666, group: int = 0) -> None:
    os.mknod(path, stat.S_IFCHR | mode, os.makedev(major, minor))
    path.chmod(mode)  # mknod heeds the umask
    os.chown(path, 0, group)


def _add_procfs(proc: Path, version: str, gpus: tuple[Gpu, ...]) -> None:
    _write(proc / "devices", _DEVICES)
    _write(proc / "sys/kernel/osrelease", f"{KERNEL_RELEASE}\n")
    _write(proc / "driver/nvidia/version", _VERSION.format(version=version))
    for irq, gpu in enumerate(gpus, start=200):
        text = _INFORMATION.format(irq=irq, uuid=gpu.uuid, bdf=gpu.bdf, minor=gpu.minor, version=version)
        _write(proc / "driver/nvidia/gpus" / gpu.bdf / "information", text)


def _add_sysfs(sys: Path, version: str, gpus: tuple[Gpu, ...]) -> None:
    _write(sys / "module/nvidia/version", f"{version}\n")
    _write(sys / "module/firmware_class/parameters/path", "\n")
    links = sys / "bus/pci/devices"
    links.mkdir(parents=True)
    (sys / "bus/pci/drivers/nvidia").mkdir(parents=True)
    for gpu in gpus:
        device = sys / "devices/pci0000:00" / gpu.bdf
        _write(device / "vendor", "0x10de\n")
        _write(device / "device", "0x2330\n")
        _write(device / "class", "0x030200\n")
        (device / "driver").symlink_to("../../../bus/pci/drivers/nvidia")
        for _, name, number in _drm_nodes(gpu):
            _write(device / "drm" / name / "dev", f"{_DRM_MAJOR}:{number}\n")
        (links / gpu.bdf).symlink_to(f"../../../devices/pci0000:00/{gpu.bdf}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
