"""Hosts whose device nodes are looked at: what /proc tells of them, and the nodes."""

from __future__ import annotations

from tests.hosts import Entries, access, bdf_of, char, information, kernel_entries, text, uuid_of

DEVICES = """\
Character devices:
  1 mem
195 nvidia
195 nvidiactl
195 nvidia-modeset
234 nvidia-caps-imex-channels
508 nvidia-caps
509 nvidia-nvswitch
510 nvidia-nvlink
511 nvidia-uvm

Block devices:
  8 sd
"""
OLD_DEVICES = "Character devices:\n195 nvidia-frontend\n508 nvidia-caps\n511 nvidia-uvm\n\nBlock devices:\n"
PARAMS = "ModifyDeviceFiles: 1\nDeviceFileUID: 0\nDeviceFileGID: 44\nDeviceFileMode: 432\n"
CAPABILITIES = "/proc/driver/nvidia/capabilities"


def proc_entries(devices: str = DEVICES, gpus: int = 1, params: str | None = PARAMS) -> Entries:
    """Return what /proc has of a driver that is loaded, on a host that has no node yet.

    Args:
        devices: the text of /proc/devices.
        gpus: how many GPUs there are; their minors are their indexes.
        params: the text of /proc/driver/nvidia/params; None for none.
    """
    entries: Entries = {
        **kernel_entries("999.88.77"),
        "/proc/devices": text(devices),
        f"{CAPABILITIES}/mig/config": access(1, 0o400),
        f"{CAPABILITIES}/mig/monitor": access(2),
        "/proc/driver/nvidia/gpus": {"kind": "dir"},
        "/dev": {"kind": "dir"},
    }
    if params is not None:
        entries["/proc/driver/nvidia/params"] = text(params)
    for index in range(gpus):
        entries[f"/proc/driver/nvidia/gpus/{bdf_of(index)}/information"] = information(
            bdf=bdf_of(index), minor=index, uuid=uuid_of(index)
        )
    return entries


def node_entries() -> Entries:
    """Return the nodes that the host of `proc_entries` should have."""
    return {
        "/dev/nvidiactl": char(195, 255, "0660", "0:44"),
        "/dev/nvidia-uvm": char(511, 0),
        "/dev/nvidia-uvm-tools": char(511, 1),
        "/dev/nvidia-modeset": char(195, 254, "0660", "0:44"),
        "/dev/nvidia0": char(195, 0, "0660", "0:44"),
        "/dev/nvidia-caps/nvidia-cap1": char(508, 1, "0400"),
        "/dev/nvidia-caps/nvidia-cap2": char(508, 2, "0444"),
        "/dev/nvidia-nvlink": char(510, 0),
    }
