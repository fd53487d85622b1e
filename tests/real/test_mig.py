"""MIG devices in real containers: exactly the GPU's node and the two capability nodes of the instance, and no more.

The driver is the real one; the GPUs, two of them divided, are nodes and texts in a tree beside it. Index, minor and
position of a MIG device differ wherever they can.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.hosts import capability_minor
from tests.real.bundle import inject, make_bundle, run_bundle, write_config
from tests.real.engines import run_in_container
from tests.real.hardware import GPUS, add_hardware, add_mig
from tests.real.program import run_cdigen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real.engines import Engine
    from tests.real.make_driver import HostTree

# The GPU with index 0, minor 2, as the published A100 of hosts/mig-1xA100-gi2-gi3-gi9.yaml; index 3 has minor 1.
DIVIDED = {2: ((2, 0), (3, 0), (3, 1), (9, 0)), 1: ((1, 0), (2, 0), (2, 1))}
WHOLE = {index: gpu for index, gpu in enumerate(GPUS) if gpu.minor not in DIVIDED}

CONTROL = ("nvidia-modeset", "nvidia-uvm", "nvidia-uvm-tools", "nvidiactl")
PLACES_OF = {"0": 2, "3": 1}
"""The minors of the divided GPUs by index."""

ORDER_NOTE = (
    "cdigen: note: MIG devices are named by index in the order of procfs and have no UUID, as NVML was not asked or did"
    " not answer; nvidia-smi -L may count them in another order; install nvidia-ml-py into cdigen's environment,"
    " so that NVML can be asked\n"
)


def cap(minor: int, gi: int, ci: int | None = None) -> str:
    """Return the capability node of an instance of the GPU with that minor, below /dev."""
    return f"nvidia-caps/nvidia-cap{capability_minor(minor, gi, ci)}"


def nodes_of(*names: str) -> list[str]:
    """Return the nodes of devices below /dev, besides the control nodes: of `0:1` or of the whole GPU `1`."""
    nodes: set[str] = set()
    for name in names:
        index, _, position = name.partition(":")
        if position:
            minor = PLACES_OF[index]
            gi, ci = DIVIDED[minor][int(position)]
            nodes |= {f"nvidia{minor}", cap(minor, gi), cap(minor, gi, ci)}
        else:
            gpu = WHOLE[int(index)]
            drm = (f"card{gpu.drm}", f"renderD{128 + gpu.drm}")
            by_path = (f"by-path/pci-{gpu.bdf}-card", f"by-path/pci-{gpu.bdf}-render")
            nodes |= {f"nvidia{gpu.minor}", *(f"dri/{node}" for node in (*drm, *by_path))}
    return sorted(nodes)


EVERYTHING = (
    *(f"{index}:{position}" for index, minor in PLACES_OF.items() for position in range(len(DIVIDED[minor]))),
    *(str(index) for index in WHOLE),
)


def make_hardware(root: Path, driver: HostTree) -> list[str]:
    """Make the GPUs in `root` and return the options for them beside the real driver."""
    root.mkdir()
    add_hardware(root, driver.version)
    add_mig(root, DIVIDED)
    places = {"driver-root": driver.root, "dev-root": root, "procfs": root / "proc", "sysfs": root / "sys"}
    return [f"--{name}={path}" for name, path in places.items()]


@pytest.fixture(scope="module")
def specs(driver_debian: HostTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the spec of the real driver and the divided GPUs."""
    directory = tmp_path_factory.mktemp("mig")
    options = make_hardware(directory / "host", driver_debian)
    output = directory / "specs/nvidia.yaml"
    done = run_cdigen("generate", *options, "--nvml=never", "--output", str(output), "--create-dirs")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith(ORDER_NOTE)
    assert done.stderr.count("\n") == 2  # and the line of what was written
    return output.parent


# Whatever there is of GPUs: nodes, links and what else a name could lead to.
_LIST = "cd /dev && find . ! -type d -printf '%P\\n' | grep -e nvidia -e dri/ | sort"


@pytest.mark.parametrize(
    "names",
    [
        ("0:1",),
        ("0:1", "0:2"),  # two compute instances of one GPU instance share its capability
        ("3:0",),
        ("0:0", "3:2", "1"),  # two divided GPUs and a whole one
        EVERYTHING,
    ],
    ids=lambda names: " ".join(names) if len(names) < 5 else "each",
)
def test_the_container_has_the_nodes_of_its_instances_and_no_others(
    engine: Engine, image_bookworm: Path, specs: Path, names: tuple[str, ...]
) -> None:
    devices = [f"nvidia.com/gpu={name}" for name in names]
    done = run_in_container(engine, image_bookworm, specs, devices, ["sh", "-c", _LIST])
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, sorted([*CONTROL, *nodes_of(*names)]), "")


def test_all_has_every_instance_and_every_whole_gpu(engine: Engine, image_bookworm: Path, specs: Path) -> None:
    done = run_in_container(engine, image_bookworm, specs, ["nvidia.com/gpu=all"], ["sh", "-c", _LIST])
    assert (done.returncode, done.stdout.splitlines()) == (0, sorted([*CONTROL, *nodes_of(*EVERYTHING)]))
    # No graphics on a divided GPU, and nothing that configures or watches MIG.
    divided = {f"card{gpu.drm}" for gpu in GPUS if gpu.minor in DIVIDED}
    assert divided == {"card7", "card4"}
    assert "dri/card7" not in done.stdout
    assert "dri/card4" not in done.stdout
    assert "nvidia-cap1\n" not in done.stdout
    assert "nvidia-cap2\n" not in done.stdout


def test_the_real_driver_is_loaded_and_its_code_runs(engine: Engine, image: Path, specs: Path) -> None:
    done = run_in_container(engine, image, specs, ["nvidia.com/gpu=0:1"], ["probe", "--cuinit"])
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["result"] == 100  # CUDA_ERROR_NO_DEVICE: on this machine


# Opening a node that the device cgroup denies is EPERM; one that it allows has no driver here, which is ENXIO. The
# others are made in the container, as its root could. The numbers are those of the kernel, not of the spec's file.
_OPEN = f"""\
cd /dev
mknod other-gpu c 195 0
mknod other-instance c 508 {capability_minor(2, 2)}
mknod other-compute-instance c 508 {capability_minor(2, 3, 1)}
mknod config c 508 1
for node in nvidia2 {cap(2, 3)} {cap(2, 3, 0)} other-gpu other-instance other-compute-instance config; do
  stat -c '%t:%T' "$node" | tr '\\n' ' '
  if : <"$node"; then :; fi 2>&1 | sed 's/.*: //'
done
"""

_ANSWERS = [
    "c3:2 No such device or address",
    f"1fc:{capability_minor(2, 3):x} No such device or address",
    f"1fc:{capability_minor(2, 3, 0):x} No such device or address",
    "c3:0 Operation not permitted",
    f"1fc:{capability_minor(2, 2):x} Operation not permitted",
    f"1fc:{capability_minor(2, 3, 1):x} Operation not permitted",
    "1fc:1 Operation not permitted",
]


def test_the_device_cgroup_allows_its_own_nodes_alone(engine: Engine, image_bookworm: Path, specs: Path) -> None:
    done = run_in_container(
        engine,
        image_bookworm,
        specs,
        ["nvidia.com/gpu=0:1"],
        ["bash", "-c", _OPEN],
        options=("--cap-add=MKNOD",),
    )
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, _ANSWERS, "")


def test_so_it_is_without_an_engine_that_knows_cdi(
    engine: Engine, image_bookworm: Path, specs: Path, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    write_config(bundle, ["bash", "-c", f"{_LIST}\n{_OPEN}"])
    inject(bundle, specs, "0:1")
    done = run_bundle(engine, bundle, image_bookworm)
    nodes = sorted([*CONTROL, *nodes_of("0:1")])
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, [*nodes, *_ANSWERS], "")


@pytest.mark.parametrize("name", ["0:9", "0", "mig0:1", "3:3", GPUS[0].uuid])
def test_a_device_that_is_not_there_is_refused_by_the_engine(
    engine: Engine, image_bookworm: Path, specs: Path, name: str
) -> None:
    done = run_in_container(engine, image_bookworm, specs, [f"nvidia.com/gpu={name}"], ["true"])
    assert (done.returncode, done.stdout, done.stderr) == (
        126,
        "",
        f"Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu={name}\n",
    )


@pytest.fixture(scope="module")
def hardware(driver_debian: HostTree, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return a tree with the divided GPUs, of which the tests below take something away, and the options for it."""
    root = tmp_path_factory.mktemp("lacking") / "host"
    return root, make_hardware(root, driver_debian)


@contextmanager
def replaced(node: Path, numbers: tuple[int, int] | None) -> Iterator[None]:
    """Remove a node, or put one with other numbers in its place, and put it right again."""
    before = node.stat()
    node.unlink()
    if numbers is not None:
        os.mknod(node, before.st_mode, os.makedev(*numbers))
    yield
    node.unlink(missing_ok=True)
    os.mknod(node, before.st_mode, before.st_rdev)


ACCESS = "/proc/driver/nvidia/capabilities/gpu1/mig/gi2"


@pytest.mark.parametrize(
    ("place", "numbers", "problem"),
    [
        ((2, None), None, "(GPU instance 2 of GPU 0000:4c:00.0) is missing"),
        ((2, 1), None, "(compute instance 1 of GPU instance 2 of GPU 0000:4c:00.0) is missing"),
        (
            (2, 1),
            (234, 157),
            (
                "(compute instance 1 of GPU instance 2 of GPU 0000:4c:00.0) is 234:157 and not 508:158, which its"
                " driver has"
            ),
        ),
    ],
    ids=["GPU instance", "compute instance", "of an earlier boot"],
)
def test_without_both_capability_nodes_nothing_is_written(
    hardware: tuple[Path, list[str]],
    tmp_path: Path,
    place: tuple[int, int | None],
    numbers: tuple[int, int] | None,
    problem: str,
) -> None:
    root, options = hardware
    node = root / "dev" / cap(1, *place)
    standing = tmp_path / "standing.yaml"
    standing.write_text("kept")
    with replaced(node, numbers):
        for output in (tmp_path / "new.yaml", standing):
            done = run_cdigen("generate", *options, "--nvml=never", "--output", str(output), "--create-dirs")
            remedy = "create with: cdigen nodes --create"
            assert done.stderr == f"{ORDER_NOTE}cdigen: error: {node} {problem}; {remedy}\n"
            assert (done.returncode, done.stdout) == (5, "")
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"standing.yaml": "kept"}
        # Who does not ask for that GPU does not need the node.
        done = run_cdigen("generate", *options, "--nvml=never", "--device=0:1", "--output", str(standing))
        assert done.returncode == 0, done.stderr
        names = [device["name"] for device in yaml.safe_load(standing.read_text())["devices"]]
        assert names == ["0:1", "all"]
