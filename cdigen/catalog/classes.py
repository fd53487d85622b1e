"""The classes of devices beside the GPUs, as data: nodes, files, and where each comes from.

Sources, by the letters of a row's `source`: T NVIDIA/nvidia-container-toolkit, pkg/nvcdi and internal/discover, with
the test data of these; M NVIDIA/nvidia-modprobe, modprobe-utils/nvidia-modprobe-utils.h (names and minors);
F NVIDIA/gds-nvidia-fs; G NVIDIA/gdrcopy; R Linux, drivers/infiniband/core/uverbs_main.c and ucma.c.
"""

from __future__ import annotations

from cdigen.findings import Remedy
from cdigen.records import Record


class NodeRow(Record, kw_only=False):
    """Device nodes of one name.

    Attributes:
        directory: where they are.
        name: their name, without its number if they have one.
        reason: what they are.
        is_numbered: a number follows the name.
        minor: of a node without a number, the minor that it must have; of the others it is the number.
        driver: the key of `catalog.NODE_DRIVERS` whose major they must have; None if that cannot be told.
        is_device: the class is offered because of them; the others only come with them.
    """

    directory: str
    name: str
    reason: str
    is_numbered: bool = False
    minor: int = 0
    driver: str | None = None
    is_device: bool = True


class FileRow(Record, kw_only=False):
    """A file or directory that is mounted at its own path.

    Attributes:
        path: where it is.
        file_type: "file" or "dir".
        kind: see `DriverFile`.
        reason: what it is for.
    """

    path: str
    file_type: str
    kind: str
    reason: str


class ClassRow(Record, kw_only=False):
    """A class of devices.

    Attributes:
        name: the vendor's word for the mode.
        device_class: the class part of its kind.
        nodes: in the order in which they are offered.
        absent: what is missing if there is no device.
        remedy: how it would come.
        source: letters of the module's list of sources.
        capabilities: files of procfs that tell the minor of a capability node that comes with the devices, and what
            it gives the right to.
        files: what is mounted where it is there.
        prefix: what stands before the vendor's part of its kind.
        has_names: each device can be had by itself, by its number.
        with_driver: the driver's files come with the devices.
        is_foreign: they are another package's, which makes them in the host's own /dev, wherever the driver's are.
    """

    name: str
    device_class: str
    nodes: tuple[NodeRow, ...]
    absent: str
    remedy: Remedy
    source: str
    capabilities: tuple[tuple[str, str], ...] = ()
    files: tuple[FileRow, ...] = ()
    prefix: str = ""
    has_names: bool = False
    with_driver: bool = False
    is_foreign: bool = False


CLASSES = (
    ClassRow(
        "management",
        "gpu",
        (
            NodeRow("/dev", "nvidia", "a GPU", is_numbered=True, driver="nvidia"),
            NodeRow("/dev", "nvidiactl", "control of all GPUs", minor=255, driver="nvidiactl"),
            NodeRow("/dev", "nvidia-uvm", "unified memory", minor=0, driver="nvidia-uvm"),
            NodeRow("/dev", "nvidia-uvm-tools", "unified memory events", minor=1, driver="nvidia-uvm-tools"),
            NodeRow("/dev", "nvidia-modeset", "mode setting", minor=254, driver="nvidia-modeset"),
            NodeRow("/dev/nvidia-caps", "nvidia-cap", "a capability", is_numbered=True, driver="nvidia-cap"),
        ),
        "there is no device node of the NVIDIA driver",
        Remedy("create them with", ("cdigen nodes --create",)),
        "T, M",
        prefix="management.",
        with_driver=True,
    ),
    ClassRow(
        "imex",
        "imex-channel",
        (
            NodeRow(
                "/dev/nvidia-caps-imex-channels",
                "channel",
                "a channel for memory of other machines (IMEX)",
                is_numbered=True,
                driver="channel",
            ),
        ),
        "there is no IMEX channel, /dev/nvidia-caps-imex-channels/channel<N>",
        Remedy(
            "load the module nvidia with NVreg_CreateImexChannel0=1 (555 and later), which makes channel0; for others"
            " see docs/classes.md"
        ),
        "T, M",
        has_names=True,
    ),
    ClassRow(
        "nvswitch",
        "nvswitch",
        (
            NodeRow("/dev", "nvidia-nvswitchctl", "control of NVSwitches", minor=255, driver="nvidia-nvswitch"),
            NodeRow("/dev", "nvidia-nvswitch", "an NVSwitch", is_numbered=True, driver="nvidia-nvswitch"),
            NodeRow("/dev", "nvidia-nvlink", "control of NVLink", minor=0, driver="nvidia-nvlink", is_device=False),
        ),
        "there is no NVSwitch, /dev/nvidia-nvswitch<N>",
        Remedy("on a machine that has some, create their nodes with", ("cdigen nodes --create",)),
        "T, M",
        capabilities=(
            (
                "/proc/driver/nvidia-nvlink/capabilities/fabric-mgmt",
                "the right to manage the NVLink fabric",
            ),
        ),
    ),
    ClassRow(
        "gds",
        "gds",
        (NodeRow("/dev", "nvidia-fs", "GPUDirect Storage", is_numbered=True),),
        "there is no GPUDirect Storage, /dev/nvidia-fs<N>",
        Remedy("install the package nvidia-fs and load its module with", ("modprobe nvidia-fs",)),
        "T, F",
        files=(
            FileRow("/run/udev", "dir", "data", "udev's database, by which cuFile tells disks"),
            FileRow("/etc/cufile.json", "file", "config", "settings of cuFile"),
        ),
        is_foreign=True,
    ),
    ClassRow(
        "gdrcopy",
        "gdrcopy",
        (NodeRow("/dev", "gdrdrv", "GDRCopy"),),
        "there is no GDRCopy, /dev/gdrdrv",
        Remedy("install the package gdrdrv-dkms or gdrcopy-kmod and load its module with", ("modprobe gdrdrv",)),
        "T, G",
        is_foreign=True,
    ),
    ClassRow(
        "mofed",
        "mofed",
        (
            NodeRow("/dev/infiniband", "uverbs", "an RDMA device", is_numbered=True),
            NodeRow("/dev/infiniband", "rdma_cm", "RDMA connections", is_device=False),
        ),
        "there is no RDMA device, /dev/infiniband/uverbs<N>",
        Remedy(
            "install the package rdma-core, MLNX_OFED or DOCA, and load the adapter's modules and",
            ("modprobe -a ib_uverbs rdma_ucm",),
        ),
        "T, R",
        is_foreign=True,
    ),
)
"""Every class, in the order in which they are looked for.

The vendor's management class leaves out nvidia-fs*, nvidia-nvswitch*, nvidia-nvlink* and IMEX channels, as ours does;
its nvswitch class has neither nvidia-nvlink nor the capability fabric-mgmt, which are for who manages the switches.
"""
