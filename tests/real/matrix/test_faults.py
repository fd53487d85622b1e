"""The checks of the matrix see what is wrong: with a spec that is broken in one place, they say so."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.real.conftest import skipped_where_unavailable as skipped_where_unavailable
from tests.real.hardware import GPUS
from tests.real.matrix.cells import DRIVER_ANSWERS, find_faults, start_for
from tests.real.matrix.engines import ROWS
from tests.real.matrix.images import KINDS, STALE_ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.real.matrix.cells import Spec
    from tests.real.matrix.images import Images

Document = dict[str, Any]


def _faults(images: Images, spec: Spec, directory: Path, harm: Callable[[Document], object], kind: str) -> list[str]:
    """Return what is found in a container with GPU 0 of a spec that `harm` has been at."""
    (podman,) = [row for row in ROWS if row.name == "podman 4.3, crun"]
    (chosen,) = [entry for entry in KINDS if entry.name == kind]
    document = copy.deepcopy(spec.document)
    harm(document)
    broken = replace(spec, path=directory / "nvidia.yaml", document=document)
    broken.path.write_text(yaml.safe_dump(document))
    with skipped_where_unavailable(), podman.open(images, broken.path) as engine:
        done = engine.run(start_for(chosen, spec, ("0",)))
    return list(find_faults(done, chosen, images.root(chosen), spec, GPUS[:1], row=podman))


def _drop_mounts(name: str) -> Callable[[Document], object]:
    def drop(document: Document) -> None:
        edits = document["containerEdits"]
        edits["mounts"] = [mount for mount in edits["mounts"] if not mount["containerPath"].endswith(f"/{name}")]

    return drop


def test_a_right_spec_has_no_faults(images: Images, spec: Spec, tmp_path: Path) -> None:
    assert _faults(images, spec, tmp_path, lambda _: None, "rhel-like") == []


def test_a_library_that_is_missing_under_its_soname(images: Images, spec: Spec, tmp_path: Path) -> None:
    faults = _faults(images, spec, tmp_path, _drop_mounts("libcuda.so.1"), "rhel-like")
    assert faults[0].startswith("mounts differ: [('/usr/lib/x86_64-linux-gnu/libcuda.so.1', '")
    assert (
        "the driver's code answers {'cuInit': None, 'nvmlInit_v2': 9}, not {'cuInit': 100, 'nvmlInit_v2': 9}" in faults
    )
    missing = "libcuda.so.1: cannot open shared object file: No such file or directory"
    assert f"libcuda.so.1 is not loaded: {missing}" in faults


def test_a_library_of_the_image_that_wins(images: Images, spec: Spec, tmp_path: Path) -> None:
    faults = _faults(images, spec, tmp_path, _drop_mounts("libcuda.so.1"), "stale-libcuda")
    answers = {"cuInit": STALE_ANSWER, "nvmlInit_v2": 9}
    assert f"the driver's code answers {answers}, not {DRIVER_ANSWERS}" in faults
    assert "libcuda.so.1 is loaded from /lib/x86_64-linux-gnu/libcuda.so.1, which is None" in faults


def test_a_node_of_another_gpu(images: Images, spec: Spec, tmp_path: Path) -> None:
    def add_node(document: Document) -> None:
        first, other = document["devices"][0], document["devices"][2]
        first["containerEdits"]["deviceNodes"].append(other["containerEdits"]["deviceNodes"][0])

    minor = GPUS[1].minor
    assert _faults(images, spec, tmp_path, add_node, "rhel-like") == [
        f"nodes differ: [('/dev/nvidia{minor}', '195:{minor}')]",
        f"a node 195:{minor} made in the container answers ok, ENXIO, not ('ok', 'EPERM')",
    ]


def test_a_node_that_cannot_be_written(images: Images, spec: Spec, tmp_path: Path) -> None:
    def close_node(document: Document) -> None:
        document["containerEdits"]["deviceNodes"][0]["permissions"] = "r"

    assert _faults(images, spec, tmp_path, close_node, "rhel-like") == [
        "/dev/nvidiactl cannot be opened to read and write: EPERM"
    ]


@pytest.mark.parametrize("kind", ["rhel-like", "library-path"])
def test_a_variable_too_many_and_one_too_few(images: Images, spec: Spec, tmp_path: Path, kind: str) -> None:
    def change(document: Document) -> None:
        document["containerEdits"]["env"] = ["LD_LIBRARY_PATH=/mine", "NVIDIA_VISIBLE_DEVICES=void"]

    of_path = {
        "rhel-like": "LD_LIBRARY_PATH is set: '/mine'",
        "library-path": "LD_LIBRARY_PATH is '/mine', not '/opt/application/lib'",
    }
    triton = "TRITON_LIBCUDA_PATH is None, not '/usr/lib/x86_64-linux-gnu'"
    assert _faults(images, spec, tmp_path, change, kind) == [triton, of_path[kind]]


def test_a_file_of_the_driver_over_the_c_library(images: Images, spec: Spec, tmp_path: Path) -> None:
    def add_mount(document: Document) -> None:
        mounts = document["containerEdits"]["mounts"]
        host = f"{spec.tree.root}/lib/x86_64-linux-gnu/libc.so.6"
        mounts.append({"hostPath": host, "containerPath": "/usr/lib64/libc.so.6", "options": ["ro", "bind"]})

    faults = _faults(images, spec, tmp_path, add_mount, "rhel-like")
    assert "libc is /usr/lib64/libc.so.6, which is not the image's own" in faults
