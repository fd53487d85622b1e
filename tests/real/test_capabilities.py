"""A choice of capabilities, on the real driver in real containers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.real.engines import Engine, run_in_container
from tests.real.program import as_driver_root, run_cdigen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.make_driver import HostTree


@pytest.fixture(scope="module")
def spec(driver_debian: HostTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compute") / "nvidia.yaml"
    done = run_cdigen("generate", *as_driver_root(driver_debian), "--capabilities", "compute", "--output", str(path))
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    return path


def test_compute_alone_loads_cuda_and_has_nothing_else(engine: Engine, image: Path, spec: Path) -> None:
    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["probe", "--cuinit"])
    assert (done.returncode, json.loads(done.stdout)["result"]) == (0, 100)
    done = run_in_container(engine, image, spec, ["nvidia.com/gpu=all"], ["probe", "libnvidia-ml.so.1"])
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (1, False)


def test_compute_alone_is_less_than_a_quarter_of_the_mounts(spec: Path) -> None:
    document = yaml.safe_load(spec.read_text())
    names = {mount["containerPath"].rpartition("/")[2] for mount in document["containerEdits"]["mounts"]}
    assert {"libcuda.so.1", "libnvidia-ptxjitcompiler.so.1", "libnvidia-nvvm.so.4", "nvidia.icd"} <= names
    assert "nvidia-smi" not in names
    assert len(document["containerEdits"]["mounts"]) == 25
