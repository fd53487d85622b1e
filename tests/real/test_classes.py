"""The specs of the other classes in real containers: exactly the nodes of the class, alone or beside a GPU's."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from tests.classes import MAJORS
from tests.real.engines import run_in_container
from tests.real.hardware import GPUS, add_hardware
from tests.real.program import run_cdigen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.engines import Engine
    from tests.real.make_driver import HostTree

CONTROL = ("nvidia-modeset", "nvidia-uvm", "nvidia-uvm-tools", "nvidiactl")
IMEX = "nvidia-caps-imex-channels"
NODES = {
    **{f"{IMEX}/channel{number}": (MAJORS["nvidia-caps-imex-channels"], number) for number in (0, 2, 10, 2047)},
    "nvidia-nvswitchctl": (MAJORS["nvidia-nvswitch"], 255),
    "nvidia-nvswitch0": (MAJORS["nvidia-nvswitch"], 0),
    "nvidia-nvswitch1": (MAJORS["nvidia-nvswitch"], 1),
    "nvidia-nvlink": (MAJORS["nvidia-nvlink"], 0),
    "nvidia-caps/nvidia-cap0": (MAJORS["nvidia-caps"], 0),
    "nvidia-caps/nvidia-cap1": (MAJORS["nvidia-caps"], 1),
    "nvidia-fs0": (498, 0),
    "nvidia-fs1": (498, 1),
    "gdrdrv": (497, 0),
    "infiniband/uverbs0": (231, 192),
    "infiniband/uverbs1": (231, 193),
    "infiniband/rdma_cm": (10, 122),
}
FABRIC = "DeviceFileMinor: 0\nDeviceFileMode: 256\nDeviceFileModify: 1\n"

# Whatever there is of these drivers.
_LIST = "cd /dev && find . ! -type d -printf '%P\\n' | grep -e nvidia -e gdrdrv -e infiniband -e dri/ | sort"


def make_hardware(root: Path, version: str) -> None:
    """Make the GPUs in `root` and devices of every class beside them."""
    root.mkdir()
    add_hardware(root, version)
    for name, (major, minor) in NODES.items():
        path = root / "dev" / name
        path.parent.mkdir(exist_ok=True)
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(major, minor))
    lines = "".join(f"{major:3} {name}\n" for name, major in MAJORS.items())
    (root / "proc/devices").write_text(f"Character devices:\n  1 mem\n{lines}\nBlock devices:\n  8 sd\n")
    access = root / "proc/driver/nvidia-nvlink/capabilities/fabric-mgmt"
    access.parent.mkdir(parents=True)
    access.write_text(FABRIC)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/cufile.json").write_text('{"made": "up"}\n')
    (root / "run/udev/data").mkdir(parents=True)
    (root / "run/udev/data/b259:0").write_text("E:MADE=up\n")


@pytest.fixture(scope="module")
def specs(driver_debian: HostTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory that --all-modes wrote for the real driver and devices of every class."""
    directory = tmp_path_factory.mktemp("classes")
    root, output = directory / "host", directory / "specs/nvidia.yaml"
    make_hardware(root, driver_debian.version)
    places = {"driver-root": driver_debian.root, "dev-root": root, "procfs": root / "proc", "sysfs": root / "sys"}
    options = [f"--{name}={path}" for name, path in places.items()]
    done = run_cdigen("generate", "--all-modes", "--nvml=never", *options, "--output", str(output), "--create-dirs")
    assert (done.returncode, done.stdout) == (0, "")
    assert sorted(path.name for path in output.parent.iterdir()) == sorted(
        [
            "nvidia.yaml",
            *(f"nvidia-{mode}.yaml" for mode in ("management", "imex", "nvswitch", "gds", "gdrcopy", "mofed")),
        ]
    )
    return output.parent


def gpu_nodes(index: int) -> list[str]:
    """Return the nodes of a GPU below /dev, besides the control nodes."""
    gpu = GPUS[index]
    drm = (f"dri/card{gpu.drm}", f"dri/renderD{128 + gpu.drm}")
    return [f"nvidia{gpu.minor}", *drm, *(f"dri/by-path/pci-{gpu.bdf}-{kind}" for kind in ("card", "render"))]


SWITCHES = ("nvidia-caps/nvidia-cap0", "nvidia-nvlink", "nvidia-nvswitch0", "nvidia-nvswitch1", "nvidia-nvswitchctl")
STORAGE = ("nvidia-fs0", "nvidia-fs1")
RDMA = ("infiniband/rdma_cm", "infiniband/uverbs0", "infiniband/uverbs1")


@pytest.mark.parametrize(
    ("devices", "nodes"),
    [
        (["imex-channel=10"], [f"{IMEX}/channel10"]),
        (["imex-channel=0", "imex-channel=2047"], [f"{IMEX}/channel0", f"{IMEX}/channel2047"]),
        (["imex-channel=all"], [f"{IMEX}/channel{number}" for number in (0, 2, 10, 2047)]),
        (["nvswitch=all"], SWITCHES),
        (["gdrcopy=all"], ["gdrdrv"]),
        (["mofed=all"], RDMA),
        (["gds=all"], STORAGE),
        (["gpu=1", "imex-channel=2"], [*CONTROL, *gpu_nodes(1), f"{IMEX}/channel2"]),
        (
            ["gpu=0", "gds=all", "gdrcopy=all", "mofed=all"],
            [*CONTROL, *gpu_nodes(0), *STORAGE, "gdrdrv", *RDMA],
        ),
    ],
    ids=lambda value: " ".join(value) if value and "=" in value[0] else "",
)
def test_the_container_has_the_nodes_of_the_class_and_no_others(
    engine: Engine, image_bookworm: Path, specs: Path, devices: list[str], nodes: list[str]
) -> None:
    names = [f"nvidia.com/{device}" for device in devices]
    done = run_in_container(engine, image_bookworm, specs, names, ["sh", "-c", _LIST])
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, sorted(nodes), "")


def test_management_has_every_node_of_the_driver_and_its_code_runs(
    engine: Engine, image_bookworm: Path, specs: Path
) -> None:
    script = f"({_LIST}); nvidia-smi >/dev/null; echo $?"
    done = run_in_container(engine, image_bookworm, specs, ["management.nvidia.com/gpu=all"], ["sh", "-c", script])
    gpus = [f"nvidia{gpu.minor}" for gpu in GPUS]
    caps = ["nvidia-caps/nvidia-cap0", "nvidia-caps/nvidia-cap1"]
    # 9: NVML was found and says that no driver is loaded.
    assert (done.returncode, done.stdout.splitlines()) == (0, [*sorted([*CONTROL, *gpus, *caps]), "9"])


def test_the_files_of_gpudirect_storage_are_there_and_read_only(
    engine: Engine, image_bookworm: Path, specs: Path, tmp_path: Path
) -> None:
    root = specs.parent / "host"
    both = tmp_path / "specs"
    both.mkdir()
    shutil.copy(specs / "nvidia.yaml", both)
    options = ("--driver-root", str(root), "--dev-root", str(root), "--procfs", str(root / "proc"))
    done = run_cdigen("generate", "--mode=gds", *options, "--output", str(both / "nvidia-gds.yaml"))
    assert (done.returncode, done.stderr) == (
        0,
        f"cdigen: wrote {both}/nvidia-gds.yaml: 1 device, 2 nodes, 2 mounts\n",
    )

    script = "cat /etc/cufile.json /run/udev/data/*; (: >>/etc/cufile.json) 2>/dev/null || echo read-only"
    devices = ["nvidia.com/gpu=0", "nvidia.com/gds=all"]
    done = run_in_container(engine, image_bookworm, both, devices, ["sh", "-c", script])

    assert (done.returncode, done.stdout) == (0, '{"made": "up"}\nE:MADE=up\nread-only\n')
