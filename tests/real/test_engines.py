"""The engines do what the container tests rest on, shown with a spec written by hand.

`cuInit` answers 100 (CUDA_ERROR_NO_DEVICE) and `nvmlInit_v2` 9 (NVML_ERROR_DRIVER_NOT_LOADED) on a machine
without a GPU: the library was found, every library that it needs was found, and its code ran.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.real.engines import Engine, run_in_container

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.make_driver import HostTree

LIBRARY_DIRECTORIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64")
CALLS = [("--cuinit", "libcuda.so.1", 100), ("--nvmlinit", "libnvidia-ml.so.1", 9)]


@pytest.fixture
def spec(driver_plain: HostTree, tmp_path: Path) -> Path:
    root, version = driver_plain.root, driver_plain.version
    current = root / "usr/lib/x86_64-linux-gnu/nvidia/current"
    document = {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [
            {
                "name": "all",
                "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0", "hostPath": f"{root}/dev/nvidia0"}]},
            }
        ],
        "containerEdits": {
            "mounts": [
                {
                    "hostPath": f"{current}/{name}.so.{version}",
                    "containerPath": f"{directory}/{name}.so.1",
                    "options": ["ro", "nosuid", "nodev", "bind"],
                }
                for name in ("libcuda", "libnvidia-ml")
                for directory in LIBRARY_DIRECTORIES
            ]
        },
    }
    path = tmp_path / "nvidia.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(("call", "soname", "answer"), CALLS)
def test_device_brings_the_real_library_and_its_code_runs(
    engine: Engine, image: Path, spec: Path, call: str, soname: str, answer: int
) -> None:
    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["probe", call])
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found.pop("path").endswith(f"/{soname}")
    assert found == {"name": soname, "ok": True, "error": None, "result": answer}


@pytest.mark.parametrize(("call", "soname"), [(call, soname) for call, soname, _ in CALLS])
def test_without_the_device_there_is_no_library(
    engine: Engine, image: Path, spec: Path, call: str, soname: str
) -> None:
    done = run_in_container(engine, image, spec, [], ["probe", call])
    assert done.returncode == 1, done.stderr
    error = f"{soname}: cannot open shared object file: No such file or directory"
    assert json.loads(done.stdout) == {
        "name": soname,
        "ok": False,
        "error": error,
        "path": None,
        "result": None,
    }


def test_device_node_comes_from_the_host_tree(engine: Engine, image: Path, spec: Path) -> None:
    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["stat", "-c", "%F %t:%T", "/dev/nvidia0"])
    assert (done.returncode, done.stdout) == (0, "character special file c3:0\n"), done.stderr


def test_device_that_no_spec_has_is_refused(engine: Engine, image: Path) -> None:
    done = run_in_container(engine, image, None, ["nvidia.com/gpu=all"], ["true"])
    message = "Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all\n"
    assert (done.returncode, done.stdout, done.stderr) == (126, "", message)
