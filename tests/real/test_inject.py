"""Plain runc and crun, which know nothing of CDI, run what `cdigen inject` made on the real driver.

A bundle here is a configuration and an overlay on an image's root, mounted in a namespace of its own, because runtimes
make the files that they mount on. `cuInit` answers 100 (CUDA_ERROR_NO_DEVICE) on a machine without a GPU: the library
was found, every library that it needs was found, and its code ran.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.real.bundle import inject, make_bundle, run_bundle, write_config
from tests.real.engines import run_in_container
from tests.real.program import as_driver_root, run_cdigen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.real.engines import Engine
    from tests.real.make_driver import HostTree


@pytest.fixture(scope="module")
def specs(driver_debian: HostTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the spec of the real driver."""
    directory = tmp_path_factory.mktemp("specs")
    done = run_cdigen("generate", *as_driver_root(driver_debian), "--output", str(directory / "nvidia.yaml"))
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle")


def test_an_injected_bundle_loads_the_real_driver(engine: Engine, image: Path, specs: Path, bundle: Path) -> None:
    write_config(bundle, ["probe", "--cuinit"])
    config = bundle / "config.json"

    said = inject(bundle, specs, "all")

    document: dict[str, Any] = json.loads(config.read_text())
    added = len(document["mounts"]) - 2
    nodes = document["linux"]["devices"]
    assert said == f"cdigen: wrote {config}: 1 device, {len(nodes)} device nodes, {added} mounts\n"
    assert added > 50
    done = run_bundle(engine, bundle, image)
    assert (done.returncode, done.stderr) == (0, "")
    line = json.loads(done.stdout)
    assert (line["name"], line["ok"], line["result"]) == ("libcuda.so.1", True, 100)


def test_the_same_bundle_without_it_has_no_driver(engine: Engine, image: Path, bundle: Path) -> None:
    write_config(bundle, ["probe", "--cuinit"])

    done = run_bundle(engine, bundle, image)

    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["error"] == "libcuda.so.1: cannot open shared object file: No such file or directory"


def test_the_environment_is_replaced_by_name(engine: Engine, image: Path, specs: Path, bundle: Path) -> None:
    write_config(bundle, ["sh", "-c", 'echo "$NVIDIA_VISIBLE_DEVICES $TRITON_LIBCUDA_PATH $OURS"'])
    inject(bundle, specs, "0")

    done = run_bundle(engine, bundle, image)

    assert (done.returncode, done.stdout, done.stderr) == (0, "void /usr/lib/x86_64-linux-gnu kept\n", "")


# Opening a node that the device cgroup denies is EPERM; one that it allows has no driver here, which is ENXIO.
_OPEN = """\
cd /dev
ls -d nvidia*
mknod other c 195 0
for node in nvidia2 nvidiactl other; do if ! : <"$node"; then :; fi; done 2>&1 | sed 's/.*: //'
"""


def test_only_what_was_asked_for_is_there_and_allowed(
    engine: Engine, image_bookworm: Path, specs: Path, bundle: Path
) -> None:
    write_config(bundle, ["bash", "-c", _OPEN])
    inject(bundle, specs, "0")  # the first in PCI order, which has minor 2

    done = run_bundle(engine, bundle, image_bookworm)

    names = ["nvidia-modeset", "nvidia-uvm", "nvidia-uvm-tools", "nvidia2", "nvidiactl"]
    answers = ["No such device or address", "No such device or address", "Operation not permitted"]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, [*names, *answers], "")


def test_a_process_that_is_not_root_owns_its_nodes(
    engine: Engine, image_bookworm: Path, specs: Path, bundle: Path
) -> None:
    write_config(bundle, ["stat", "-c", "%u:%g %t:%T", "/dev/nvidia2"], user={"uid": 1000, "gid": 100})
    inject(bundle, specs, "0")

    done = run_bundle(engine, bundle, image_bookworm)

    assert (done.returncode, done.stdout, done.stderr) == (0, "1000:100 c3:2\n", "")


@pytest.mark.parametrize(("said", "mode"), [({}, "640"), ({"fileMode": 0o600}, "600")])
def test_a_node_without_a_mode_has_the_hosts(
    engine: Engine, image_bookworm: Path, bundle: Path, tmp_path: Path, said: dict[str, int], mode: str
) -> None:
    os.mknod(tmp_path / "node", stat.S_IFCHR | 0o640, os.makedev(195, 7))
    (tmp_path / "node").chmod(0o640)  # whatever the umask
    node = {"path": "/dev/node", "hostPath": f"{tmp_path}/node", **said, "gid": 44}
    device = {"name": "0", "containerEdits": {"deviceNodes": [node]}}
    spec = {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [device]}
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/node.json").write_text(json.dumps(spec))
    write_config(bundle, ["stat", "-c", "%a %u:%g %t:%T", "/dev/node"])
    inject(bundle, tmp_path / "specs", "0")

    done = run_bundle(engine, bundle, image_bookworm)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{mode} 0:44 c3:7\n", "")


def test_a_hook_of_anyone_s_spec_is_run(engine: Engine, image: Path, bundle: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    hook = {
        "hookName": "createRuntime",
        "path": "/bin/sh",
        "args": ["sh", "-c", f'cat >/dev/null; echo "$SAYS" >>{trace}'],
        "env": ["SAYS=hello"],
    }
    device = {"name": "0", "containerEdits": {"hooks": [hook]}}
    spec = {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [device]}
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/hook.json").write_text(json.dumps(spec))
    write_config(bundle, ["true"])
    inject(bundle, tmp_path / "specs", "0")

    done = run_bundle(engine, bundle, image)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert trace.read_text() == "hello\n"


_KEEP_CONFIG = """\
#!/bin/sh
for argument; do
  if [ "${previous-}" = --bundle ]; then cp "$argument/config.json" "$0.json"; fi
  previous=$argument
done
exec runc "$@"
"""


def podman_config(image: Path, specs: Path, directory: Path, devices: Sequence[str]) -> dict[str, Any]:
    """Return the configuration that podman makes for runc."""
    runtime = directory / f"runc-{len(devices)}"
    runtime.write_text(_KEEP_CONFIG)
    runtime.chmod(0o755)
    engine = cast("Engine", str(runtime))
    options = ("--user=1000:100", "--hostname=host", "--env=NVIDIA_VISIBLE_DEVICES=all")
    done = run_in_container(engine, image, specs, devices, ["true"], options=options)
    assert done.returncode == 0, done
    config: dict[str, Any] = json.loads(Path(f"{runtime}.json").read_text())
    return config


@pytest.mark.parametrize("engine", ["runc"], indirect=True)
def test_the_edits_are_those_of_the_engines_own_library(
    engine: Engine, image_bookworm: Path, driver_debian: HostTree, specs: Path, tmp_path: Path
) -> None:
    devices = ["nvidia.com/gpu=0", "nvidia.com/gpu=3"]
    theirs = podman_config(image_bookworm, specs, tmp_path, devices)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(podman_config(image_bookworm, specs, tmp_path, [])))

    options = [f"--device={name}" for name in devices]
    done = run_cdigen("inject", *options, "--spec-dir", str(specs), "-o", "-", str(config))

    assert (done.returncode, done.stderr) == (0, "")
    ours: dict[str, Any] = json.loads(done.stdout)
    # This old podman adds to the image's variable of the same name, and leaves it to runc that the last one counts.
    env, their_env = (document["process"].pop("env") for document in (ours, theirs))
    assert dict(entry.split("=", 1) for entry in env) == dict(entry.split("=", 1) for entry in their_env)
    assert [entry for entry in env if entry.startswith("NVIDIA_")] == ["NVIDIA_VISIBLE_DEVICES=void"]
    assert ours["process"] == theirs["process"]
    assert ours["linux"]["devices"] == theirs["linux"]["devices"]
    assert len(ours["linux"]["devices"]) > 10
    # Two names of one node have one rule.
    rules, expected = (document["linux"]["resources"]["devices"] for document in (ours, theirs))
    assert rules == [rule for position, rule in enumerate(expected) if rule not in expected[:position]]
    # podman has mounts of its own for each container, and this old one an unstable order.
    ours_mounts, their_mounts = (
        [mount for mount in document["mounts"] if mount["source"].startswith(str(driver_debian.root))]
        for document in (ours, theirs)
    )
    assert sorted(ours_mounts, key=str) == sorted(their_mounts, key=str)
    assert len(ours_mounts) > 50
    depths = [mount["destination"].count("/") for mount in ours["mounts"]]
    assert depths == sorted(depths)
