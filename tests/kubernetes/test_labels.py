"""What a node is labelled with, by the names of the vendor's GPU feature discovery."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.facts import Gpu, MigInstance
from cdigen.kubernetes.labels import build_labels, render_labels, value_of
from cdigen.records import replace
from cdigen.schema import find_schema_violations
from tests.cli.conftest import FIXTURES
from tests.cli.program import run_program
from tests.golden.hosts import GOLDEN
from tests.hosts import inventory_of, minimal_entries, write_tree

if TYPE_CHECKING:
    from pathlib import Path

    from cdigen.kubernetes.resources import MigStrategy

DRIVER = {
    "nvidia.com/cuda.driver-version.full": "999.88.77",
    "nvidia.com/cuda.driver-version.major": "999",
    "nvidia.com/cuda.driver-version.minor": "88",
    "nvidia.com/cuda.driver-version.revision": "77",
    "nvidia.com/cuda.driver.major": "999",
    "nvidia.com/cuda.driver.minor": "88",
    "nvidia.com/cuda.driver.rev": "77",
    "nvidia.com/gpu.present": "true",
}


def mig(index: int, profile: str | None) -> MigInstance:
    return MigInstance(index=index, gpu_instance=index, compute_instance=0, uuid=None, profile=profile, nodes=())


def labels_of(strategy: MigStrategy, *gpus: tuple[MigInstance, ...] | None) -> dict[str, str]:
    inventory = inventory_of(minimal_entries())
    [first] = inventory.gpus
    made: tuple[Gpu, ...] = tuple(
        replace(first, index=n, mig=instances, memory=81559, compute="9.0") for n, instances in enumerate(gpus)
    )
    return dict(build_labels(replace(inventory, gpus=made), strategy))


def test_gpus_are_counted_and_named() -> None:
    assert labels_of("none", None, None) == DRIVER | {
        "nvidia.com/gpu.compute.major": "9",
        "nvidia.com/gpu.compute.minor": "0",
        "nvidia.com/gpu.count": "2",
        "nvidia.com/gpu.memory": "81559",
        "nvidia.com/gpu.product": "NVIDIA-Fictional-9000",
        "nvidia.com/mig.strategy": "none",
    }


def test_with_single_the_mig_devices_are_counted_where_there_is_nothing_else() -> None:
    found = labels_of("single", (mig(0, "1g.5gb"), mig(1, "1g.5gb")), (mig(0, "1g.5gb"),))

    assert found["nvidia.com/gpu.count"] == "3"
    assert found["nvidia.com/gpu.product"] == "NVIDIA-Fictional-9000-MIG-1g.5gb"
    for gpus in (((mig(0, "1g.5gb"), mig(1, "2g.10gb")),), (None, (mig(0, "1g.5gb"),)), ((mig(0, None),),)):
        assert labels_of("single", *gpus)["nvidia.com/gpu.product"] == "NVIDIA-Fictional-9000"


def test_with_mixed_each_profile_has_labels_of_its_own() -> None:
    found = labels_of("mixed", None, (mig(0, "1g.5gb"), mig(1, "1g.5gb"), mig(2, "1g.10gb+me"), mig(3, None)))

    assert {name: value for name, value in found.items() if "/mig-" in name} == {
        "nvidia.com/mig-1g.10gb.me.count": "1",
        "nvidia.com/mig-1g.10gb.me.product": "NVIDIA-Fictional-9000-MIG-1g.10gb-me",
        "nvidia.com/mig-1g.5gb.count": "2",
        "nvidia.com/mig-1g.5gb.product": "NVIDIA-Fictional-9000-MIG-1g.5gb",
    }
    assert found["nvidia.com/gpu.count"] == "2"


def test_a_host_without_gpus_has_none() -> None:
    assert labels_of("none") == {}
    assert render_labels({}) == ""


@given(st.text(max_size=200))
def test_any_text_becomes_a_value_that_kubernetes_takes(text: str) -> None:
    value = value_of(text)

    assert re.fullmatch(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", value)
    assert value_of(value) == value


@pytest.mark.parametrize("host", ["wsl2-581", "jetson-orin-540"])
def test_gpus_that_cannot_be_told_apart_are_one(host: str) -> None:
    run = run_program("labels", "--snapshot", GOLDEN / host / "snapshot.yaml")

    assert (run.code, run.out) == (
        0,
        "nvidia.com/gpu.count=1\nnvidia.com/gpu.present=true\nnvidia.com/mig.strategy=none\n",
    )


def test_a_file_is_written_left_alone_and_emptied_when_the_driver_is_gone(tmp_path: Path) -> None:
    root, file = tmp_path / "host", tmp_path / "cdigen"
    write_tree(root, minimal_entries(), FIXTURES)

    runs = [run_program("labels", "--host-root", root, "--output", file) for _ in range(2)]
    assert [(run.code, run.out) for run in runs] == [(0, "")] * 2
    assert runs[0].err.startswith(f"cdigen: wrote {file}: 11 labels\n")
    assert runs[1].err.startswith(f"cdigen: unchanged: {file}: 11 labels\n")
    assert "nvidia.com/gpu.count=1\n" in file.read_text()

    (root / "proc/driver/nvidia").rename(root / "gone")
    for library in (root / "usr/lib/x86_64-linux-gnu").iterdir():
        library.unlink()
    run = run_program("labels", "--host-root", root, "--output", file)
    assert run.code == 3
    assert file.read_text() == ""


def test_the_report() -> None:
    run = run_program("labels", "--json", "--snapshot", GOLDEN / "rocky9-615" / "snapshot.yaml")

    report = json.loads(run.out)
    assert (run.code, find_schema_violations(report, "report")) == (0, ())
    assert report["labels"]["nvidia.com/gpu.product"] == "Tesla-T4"
