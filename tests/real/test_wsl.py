"""A spec of WSL2 in real containers.

Windows' driver cannot be had here, so its files are made: libraries of the right names and SONAMEs, as published (see
golden/wsl2-581), each of which tells by what it returns which file it is.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.real.engines import Engine, run_in_container
from tests.real.program import run_cdigen

if TYPE_CHECKING:
    from pathlib import Path

STORE = "usr/lib/wsl/drivers/nvmii.inf_amd64_c5b5db3e12daa5e3"
FOLDER = "usr/lib/wsl/lib"
IN_STORE = {
    "libcuda.so.1.1": "libcuda.so.1",
    "libnvidia-ml.so.1": "libnvidia-ml.so.1",
    "libnvidia-ptxjitcompiler.so.1": "libnvidia-ptxjitcompiler.so.1",
    "libnvdxgdmal.so.1": "libnvdxgdmal.so.1",
}
IN_FOLDER = {
    "libcuda.so.1": "libcuda.so.1",
    "libdxcore.so": "libdxcore.so",
    "libnvidia-encode.so.1": "libnvidia-encode.so.1",
    "libnvidia-ml.so.1": "libnvidia-ml.so.1",
    "libnvoptix.so.1": "libnvoptix_loader.so.1",
}
_CODE = "int cuInit(unsigned flags) {{ return {cuda}; }} int nvmlInit_v2(void) {{ return {nvml}; }}"


def _compile(path: Path, soname: str, code: str) -> None:
    command = ["gcc", "-shared", "-fPIC", "-nostartfiles", f"-Wl,-soname,{soname}", "-o", str(path), "-x", "c", "-"]
    subprocess.run(command, input=code, text=True, check=True)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory that is seen as the root of a WSL2 host."""
    root = tmp_path_factory.mktemp("wsl")
    for directory in (STORE, FOLDER, "dev"):
        (root / directory).mkdir(parents=True)
    for name, soname in IN_STORE.items():
        _compile(
            root / STORE / name,
            soname,
            "int cuInit(unsigned flags) { return 42; } int nvmlInit_v2(void) { return 43; }",
        )
    for name, soname in IN_FOLDER.items():
        _compile(
            root / FOLDER / name, soname, "int cuInit(unsigned flags) { return 1; } int nvmlInit_v2(void) { return 2; }"
        )
    os.mknod(root / "dev/dxg", stat.S_IFCHR | 0o666, os.makedev(1, 3))  # of /dev/null: any that can be opened
    (root / "dev/dxg").chmod(0o666)
    return root


@pytest.fixture(scope="module")
def spec(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "nvidia.yaml"
    done = run_cdigen("generate", "--driver-root", str(tree), "--dev-root", str(tree), "--output", str(path))
    assert done.returncode == 0, done.stderr
    return path


def test_every_name_that_programs_open_is_found_by_the_loader(engine: Engine, image: Path, spec: Path) -> None:
    names = sorted({"libcuda.so", *IN_STORE, *IN_FOLDER})

    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["probe", *names])

    assert done.returncode == 0, done
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == names


@pytest.mark.parametrize(("call", "answer"), [("--cuinit", 42), ("--nvmlinit", 43)])
def test_the_real_libraries_of_the_driver_package_run(
    engine: Engine, image: Path, spec: Path, call: str, answer: int
) -> None:
    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=0"], ["probe", call])

    assert json.loads(done.stdout)["result"] == answer


def test_both_directories_are_at_their_own_paths_where_loaders_look(engine: Engine, image: Path, spec: Path) -> None:
    names = [f"/{STORE}/libcuda.so.1.1", f"/{FOLDER}/libdxcore.so"]

    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["probe", *names])

    assert done.returncode == 0, done
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == names


def test_the_device_is_there_and_the_driver_cannot_be_changed(engine: Engine, image: Path, spec: Path) -> None:
    script = f"test -c /dev/dxg && ! touch /{STORE}/new 2>/dev/null && ! touch /{FOLDER}/new 2>/dev/null && echo right"

    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["sh", "-c", script])

    assert done.stdout == "right\n"
