"""A spec of a Jetson in real containers.

Files for aarch64 cannot run here, so a board is made of x86-64 ones: every name and link of golden/jetson-orin-540,
with its SONAMEs; what libcuda is linked with is compiled so that a container's loader has to find the whole chain.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, cast

import pytest

from cdigen.parse.document import parse_document
from tests.golden.hosts import GOLDEN, GoldenHost
from tests.hosts import Entries, write_tree
from tests.real.engines import Engine, run_in_container
from tests.real.program import run_cdigen

if TYPE_CHECKING:
    from pathlib import Path

FIXTURES = GOLDEN.parent / "tests/fixtures/elf"
FOLDER = "usr/lib/aarch64-linux-gnu/nvidia"
TARGET = "/usr/lib/x86_64-linux-gnu"
CHAIN = {
    "libnvos.so": ("libnvos.so", [], "int os(void) { return 40; }"),
    "libnvrm_gpu.so": ("libnvrm_gpu.so", ["libnvos.so"], "int os(void); int rm(void) { return os() + 1; }"),
    "libcuda.so.1.1": (
        "libcuda.so.1",
        ["libnvrm_gpu.so"],
        "int rm(void); int cuInit(unsigned flags) { return rm() + 1; }",
    ),
}
"""File, SONAME, what it is linked with, code: in the order in which they can be linked."""


def _compile(folder: Path, name: str, soname: str, needed: list[str], code: str) -> None:
    (folder / name).unlink()
    linked = [f"-L{folder}", "-Wl,--no-as-needed", *(f"-l:{one}" for one in needed), "-Wl,--allow-shlib-undefined"]
    command = ["gcc", "-shared", "-fPIC", "-nostartfiles", f"-Wl,-soname,{soname}", "-o", str(folder / name)]
    subprocess.run([*command, "-x", "c", "-", *linked], input=code, text=True, check=True)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory that is seen as the root of a Jetson."""
    root = tmp_path_factory.mktemp("tegra")
    entries = {path: dict(entry) for path, entry in GoldenHost(directory=GOLDEN / "jetson-orin-540").entries.items()}
    for entry in entries.values():
        if "elf" in entry:
            entry["elf"] = {**cast("Entries", entry)["elf"], "machine": "x86_64"}
    write_tree(root, entries, FIXTURES)
    for name, made in CHAIN.items():
        _compile(root / FOLDER, name, *made)
    return root


@pytest.fixture(scope="module")
def spec(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "nvidia.yaml"
    options = ("--platform", "tegra", "--driver-root", str(tree), "--dev-root", str(tree))
    done = run_cdigen("generate", *options, "--output", str(path))
    assert done.returncode == 0, done.stderr
    return path


def asked_names(spec: Path) -> list[str]:
    """Return the names of libraries in the first library directory, less those of folders below it."""
    document = cast("dict[str, dict[str, list[dict[str, str]]]]", parse_document(spec.read_bytes()))
    paths = [mount["containerPath"] for mount in document["containerEdits"]["mounts"]]
    names = [path.removeprefix(f"{TARGET}/") for path in paths if path.startswith(f"{TARGET}/")]
    return sorted(name for name in names if "/" not in name and ".so" in name)


def test_every_name_that_programs_open_is_found_by_the_loader(engine: Engine, image: Path, spec: Path) -> None:
    names = asked_names(spec)
    assert len(names) > 140

    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["probe", *names])

    assert done.returncode == 0, done
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == names


def test_libcuda_runs_with_all_that_it_is_linked_with(engine: Engine, image: Path, spec: Path) -> None:
    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=0"], ["probe", "--cuinit"])

    assert json.loads(done.stdout)["result"] == 42


def test_plugins_folders_and_files_are_where_programs_look(engine: Engine, image: Path, spec: Path) -> None:
    paths = [
        f"/{FOLDER}/libcuda.so.1.1",
        "/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1.1",
        f"{TARGET}/gbm/tegra_gbm.so",
        f"{TARGET}/gstreamer-1.0/libgstnvjpeg.so",
        f"{TARGET}/libv4l/plugins/nv/libv4l2_nvargus.so",
        *("/etc/nv_tegra_release", "/etc/vulkan/icd.d/nvidia_icd.json", "/usr/bin/nvidia-smi"),
        "/usr/share/glvnd/egl_vendor.d/10_nvidia.json",
    ]
    script = (
        "for path; do test -f $path || exit 9; done; test -c /dev/nvmap && test -c /dev/nvgpu/igpu0/ctrl && echo right"
    )

    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["sh", "-c", script, "sh", *paths])

    assert done.stdout == "right\n", done
