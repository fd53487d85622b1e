"""The whole way of a pod's GPU: image, watch, device plugin, Allocate, containerd's CRI, the real driver's answer."""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from cdigen.parse.document import parse_document
from tests.kubernetes.background import wait_until
from tests.kubernetes.kubelet import Kubelet
from tests.real.conftest import skipped_where_unavailable
from tests.real.container import CHECKOUT, BuiltImage
from tests.real.engines import container_command
from tests.real.hardware import GPUS
from tests.real.matrix.engines import ROWS, Start
from tests.real.matrix.images import KINDS
from tests.real.process import command_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.real.make_driver import HostTree
    from tests.real.matrix.engines import Row
    from tests.real.matrix.images import Images

GPU = "nvidia.com/gpu"
CONTAINERD = [row for row in ROWS if row.name.startswith("containerd")]


@contextmanager
def pod_container(
    built: BuiltImage, place: Path, name: str, more: Sequence[str], volumes: Mapping[str, str], beside: Sequence[str]
) -> Iterator[Path]:
    """Run a container of the DaemonSet as its manifest says; give the file with what it says.

    Args:
        built: cdigen's image.
        place: a directory for what it takes.
        name: the container's.
        more: further arguments.
        volumes: the directories of this machine that stand for those of the manifest's volumes, by name.
        beside: further volumes, as podman has them.
    """
    specs, empty, said = (place / f"{name}-{what}" for what in ("specs", "empty", "said"))
    specs.mkdir()
    empty.mkdir()
    [container] = [one for one in manifest()["spec"]["template"]["spec"]["containers"] if one["name"] == name]
    mounts = [
        f"{volumes[mount['name']]}:{mount['mountPath']}{':ro' if mount.get('readOnly') else ''}"
        for mount in container["volumeMounts"]
        if mount["name"] in volumes
    ]
    context = container["securityContext"]
    assert context == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    closed = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--tmpfs=/tmp")
    options = (*closed, *(f"--volume={volume}" for volume in (*mounts, *beside)))
    argv = [*built.config["config"]["Entrypoint"], *container["args"], *more]
    command = container_command("crun", built.root, specs, empty, [], argv, options=options, seconds=600)
    with said.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=command_environment())
    try:
        yield said
        process.terminate()
        assert process.wait(30) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()


def manifest() -> dict[str, Any]:
    """Return the DaemonSet."""
    return cast("dict[str, Any]", parse_document((CHECKOUT / "deploy/base/daemonset.yaml").read_bytes()))


@pytest.fixture(scope="module")
def node(built: BuiltImage, driver_debian: HostTree) -> Iterator[tuple[Kubelet, Path]]:
    """Give a kubelet, and the directory of specs, of a node on which cdigen's two containers run."""
    tree = str(driver_debian.root)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="node-")))
        volumes = {"host": "/", "sockets": f"{place}/sockets"}
        for name in ("specs", "run-specs", "status"):
            (place / name).mkdir()
            volumes[name] = f"{place}/{name}"
        kubelet = Kubelet(place / "sockets")
        kubelet.start()
        stack.callback(kubelet.stop)
        # The tree stands for the host's driver, kernel and devices, which this machine does not have.
        kernel = (f"--procfs=/host{tree}/proc", f"--sysfs=/host{tree}/sys")
        more = (f"--driver-root={tree}", f"--dev-root={tree}", *kernel, "--additional-gids=never")
        watch = stack.enter_context(pod_container(built, place, "watch", more, volumes, ()))
        wait_until((place / "specs/nvidia.yaml").exists, watch.read_text)
        beside = [f"{tree}/{name}:/host{tree}/{name}:ro" for name in ("dev", "proc", "sys")]
        stack.enter_context(pod_container(built, place, "device-plugin", kernel, volumes, beside))
        yield kubelet, place / "specs"


def test_the_plugin_offers_what_watch_has_written_and_says_that_it_is_true(node: tuple[Kubelet, Path]) -> None:
    kubelet, specs = node
    plugin = kubelet.plugin(GPU)
    found = plugin.wait(lambda found: len(found) == len(GPUS) and {one[1] for one in found} == {"Healthy"})

    assert [name for name, _, _ in found] == [gpu.uuid for gpu in GPUS]
    assert json.loads((specs.parent / "status/watch.json").read_text())["state"] == "true"


@pytest.mark.parametrize("row", CONTAINERD, ids=lambda row: row.name)
def test_a_container_that_gets_what_allocate_answers_runs_the_real_driver(
    node: tuple[Kubelet, Path], images: Images, row: Row
) -> None:
    kubelet, specs = node
    plugin = kubelet.plugin(GPU)
    plugin.wait(lambda found: len(found) == len(GPUS))
    [devices] = plugin.allocate([GPUS[2].uuid, GPUS[5].uuid])
    kind = next(kind for kind in KINDS if kind.name == "distroless")
    with skipped_where_unavailable():
        context = row.open(images, specs / "nvidia.yaml")
        engine = context.__enter__()
    try:
        done = engine.run(Start(kind=kind, devices=tuple(devices), argv=("probe", "--cuinit")))
        numbers = [f"195:{gpu.minor}" for gpu in GPUS]
        looked = engine.run(Start(kind=kind, devices=tuple(devices), argv=("look", *numbers)))
    finally:
        context.__exit__(None, None, None)

    assert done.returncode == 0, done
    answer = json.loads(done.stdout)
    assert (answer["name"], answer["ok"], answer["result"]) == ("libcuda.so.1", True, 100)
    nodes = {GPUS[2].minor, GPUS[5].minor}
    for gpu in GPUS:
        assert (f'/dev/nvidia{gpu.minor}"' in looked.stdout) == (gpu.minor in nodes), looked.stdout


def test_a_node_that_goes_is_unhealthy_until_it_is_back(node: tuple[Kubelet, Path], driver_debian: HostTree) -> None:
    """The spec is written anew without it, or refused; either way nobody is given it until it is back."""
    kubelet, _ = node
    plugin = kubelet.plugin(GPU)
    plugin.wait(lambda found: {one[1] for one in found} == {"Healthy"})
    place = driver_debian.root / "dev/nvidia0"
    kept = place.with_name("kept")
    place.rename(kept)
    try:
        plugin.wait(lambda found: "Unhealthy" in {one[1] for one in found})
    finally:
        kept.rename(place)
    plugin.wait(lambda found: len(found) == len(GPUS) and {one[1] for one in found} == {"Healthy"})
