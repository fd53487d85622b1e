"""What a host has of the classes of devices beside the GPUs, as entries of a snapshot."""

from __future__ import annotations

from tests.hosts import Entries, access, char, minimal_entries, text

IMEX = "/dev/nvidia-caps-imex-channels"
MAJORS = {
    "nvidia-frontend": 195,
    "nvidia-nvlink": 240,
    "nvidia-nvswitch": 236,
    "nvidia-caps-imex-channels": 507,
    "nvidia-caps": 508,
    "nvidia-uvm": 511,
}


def proc_devices(**other: int) -> Entries:
    """Return /proc/devices with every driver of NVIDIA's; `other` replaces majors, by names with _ for -."""
    majors = {**MAJORS, **{name.replace("_", "-"): major for name, major in other.items()}}
    lines = "".join(f"{major:3} {name}\n" for name, major in majors.items())
    return {"/proc/devices": text(f"Character devices:\n  1 mem\n{lines}\nBlock devices:\n  8 sd\n")}


def imex_entries(*channels: int) -> Entries:
    """Return IMEX channels."""
    return {f"{IMEX}/channel{channel}": char(507, channel) for channel in channels}


def nvswitch_entries(count: int) -> Entries:
    """Return NVSwitches with their control nodes and the capability to manage the fabric."""
    return {
        "/dev/nvidia-nvswitchctl": char(236, 255),
        **{f"/dev/nvidia-nvswitch{number}": char(236, number) for number in range(count)},
        "/dev/nvidia-nvlink": char(240, 0),
        "/proc/driver/nvidia-nvlink/capabilities/fabric-mgmt": access(0, 0o400),
        "/dev/nvidia-caps/nvidia-cap0": char(508, 0, "0400"),
    }


def gds_entries(count: int = 2) -> Entries:
    """Return GPUDirect Storage with its files."""
    return {
        **{f"/dev/nvidia-fs{number}": char(498, number) for number in range(count)},
        "/etc/cufile.json": text("{}\n"),
        "/run/udev/data": {"kind": "dir"},
    }


def gdrcopy_entries() -> Entries:
    """Return GDRCopy."""
    return {"/dev/gdrdrv": char(497, 0)}


def mofed_entries(count: int = 2) -> Entries:
    """Return RDMA devices."""
    return {
        **{f"/dev/infiniband/uverbs{number}": char(231, 192 + number) for number in range(count)},
        "/dev/infiniband/rdma_cm": char(10, 122),
    }


def all_class_entries() -> Entries:
    """Return a small complete host with devices of every class."""
    return {
        **minimal_entries(gpus=2),
        **proc_devices(),
        **imex_entries(10, 0, 2),
        **nvswitch_entries(2),
        **gds_entries(),
        **gdrcopy_entries(),
        **mofed_entries(),
    }
