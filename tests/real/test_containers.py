"""The spec that cdigen writes for the real driver, in real containers.

On a machine without a GPU the real libcuda answers 100 (CUDA_ERROR_NO_DEVICE) and NVML 9
(NVML_ERROR_DRIVER_NOT_LOADED): found by name, every library that it needs found too, and its code ran.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.real.engines import Engine, run_in_container
from tests.real.program import as_driver_root, report_of, run_cdigen

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.real.make_driver import HostTree

CALLS = [("--cuinit", "libcuda.so.1", 100), ("--nvmlinit", "libnvidia-ml.so.1", 9)]
GPUS = 8


@pytest.fixture(scope="module")
def spec(driver_debian: HostTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "nvidia.yaml"
    done = run_cdigen("generate", *as_driver_root(driver_debian), "--output", str(path))
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def explained(driver_debian: HostTree) -> dict[str, Any]:
    return report_of("explain", *as_driver_root(driver_debian))


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("call", "soname", "answer"), CALLS)
def test_the_real_driver_is_loaded_and_its_code_runs(
    engine: Engine, image: Path, spec: Path, call: str, soname: str, answer: int
) -> None:
    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["probe", call])
    assert done.returncode == 0, done
    (line,) = lines(done)
    assert (line["name"], line["ok"], line["result"]) == (soname, True, answer)


@pytest.mark.parametrize(("call", "soname"), [(call, soname) for call, soname, _ in CALLS])
def test_without_the_device_there_is_no_driver(engine: Engine, image: Path, spec: Path, call: str, soname: str) -> None:
    done = run_in_container(engine, image, spec, [], ["probe", call])
    (line,) = lines(done)
    assert (done.returncode, line["ok"], line["error"]) == (
        1,
        False,
        f"{soname}: cannot open shared object file: No such file or directory",
    )


def _missing_in(image: Path, needs: list[str]) -> set[str]:
    directories = ("lib64", "usr/lib64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
    return {name for name in needs if not any((image / directory / name).exists() for directory in directories)}


def test_every_library_of_compute_and_utility_loads_if_the_image_has_what_it_needs(
    engine: Engine, image: Path, spec: Path, explained: dict[str, Any]
) -> None:
    libraries = [
        file for file in explained["files"] if file["kind"] == "library" and file["group"] in ("compute", "utility")
    ]
    pkcs11 = f"libnvidia-pkcs11-openssl3.so.{explained['driver']['version']}"
    sonames = [file["soname"] for file in libraries]
    assert sorted(sonames) == [
        "libcuda.so.1",
        "libcudadebugger.so.1",
        "libnvidia-allocator.so.1",
        "libnvidia-cfg.so.1",
        "libnvidia-ml.so.1",
        "libnvidia-nvvm.so.4",
        "libnvidia-opencl.so.1",
        pkcs11,
        "libnvidia-ptxjitcompiler.so.1",
    ]
    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["probe", *sonames])
    answers = {line["name"]: line["error"] for line in lines(done)}
    for file in libraries:
        missing = _missing_in(image, file["needsFromImage"])
        error = answers[file["soname"]]
        if missing:
            assert error in {f"{name}: cannot open shared object file: No such file or directory" for name in missing}
        else:
            assert error is None, (file["soname"], error)
    assert {name for name, error in answers.items() if error is not None} <= {
        "libcudadebugger.so.1",  # needs libgcc_s.so.1
        pkcs11,  # needs libcrypto.so.3
    }


def test_every_name_of_every_library_is_there_and_read_only(engine: Engine, image: Path, spec: Path) -> None:
    document = yaml.safe_load(spec.read_text())
    paths = [mount["containerPath"] for mount in document["containerEdits"]["mounts"]]
    script = 'for p; do [ -s "$p" ] || echo "missing $p"; (: >>"$p") 2>/dev/null && echo "writable $p"; done; true'
    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["sh", "-c", script, "sh", *paths])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("devices", "minors"),
    [
        (["all"], [0, 1, 2, 3, 4, 5, 6, 7]),
        (["0"], [2]),  # the first in PCI order has minor 2
        (["0", "7"], [2, 5]),
    ],
)
def test_the_container_has_the_nodes_that_it_asked_for_and_no_others(
    engine: Engine, image: Path, spec: Path, devices: list[str], minors: list[int]
) -> None:
    done = run_in_container(
        engine, image, spec, [f"nvidia.com/gpu={name}" for name in devices], ["sh", "-c", "cd /dev && ls -d nvidia*"]
    )
    control = ["nvidia-modeset", "nvidia-uvm", "nvidia-uvm-tools", "nvidiactl"]
    expected = sorted([f"nvidia{minor}" for minor in minors] + control)
    assert (done.returncode, sorted(done.stdout.split())) == (0, expected)


def test_the_environment_is_set(engine: Engine, image: Path, spec: Path) -> None:
    done = run_in_container(
        engine,
        image,
        spec,
        ["nvidia.com/gpu=all"],
        ["sh", "-c", 'echo "$NVIDIA_VISIBLE_DEVICES $TRITON_LIBCUDA_PATH ${LD_LIBRARY_PATH-unset}"'],
    )
    assert (done.returncode, done.stdout) == (0, "void /usr/lib/x86_64-linux-gnu unset\n")


def test_nvidia_smi_runs_and_finds_nvml(engine: Engine, image: Path, spec: Path) -> None:
    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["nvidia-smi"])
    # 9: the library was found and says that no driver is loaded; 12 would be a library that is not found.
    assert done.returncode == 9, done
    assert "couldn't communicate with the NVIDIA driver" in done.stdout
