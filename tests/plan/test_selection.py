"""GPUs and MIG instances are chosen by any of their names."""

from __future__ import annotations

import pytest

from cdigen.errors import IncompleteError
from cdigen.facts import Gpu, MigInstance
from cdigen.plan.selection import select_gpus


def gpu(index: int, *, mig: tuple[MigInstance, ...] | None = None, bdf: str | None = None) -> Gpu:
    return Gpu(
        index=index,
        minor=7 - index,
        bdf=bdf,
        uuid=f"GPU-0{index}c94f04-2b8f-4f7b-b5a5-4d3a2e4f3d1A",
        model=None,
        node=None,
        drm_nodes=(),
        mig=mig,
    )


def instance(index: int) -> MigInstance:
    return MigInstance(
        index=index, gpu_instance=index + 7, compute_instance=0, uuid=f"MIG-{index}", profile=None, nodes=()
    )


DIVIDED = gpu(2, mig=(instance(0), instance(1), instance(2)), bdf="0001:c1:00.0")
GPUS = (gpu(0, bdf="0000:3b:00.0"), gpu(1), DIVIDED)


def chosen(*names: str) -> list[str]:
    """Return the indexes of the chosen GPUs, and of the instances of those that are divided."""
    return [
        str(found.index) if found.mig is None else f"{found.index}:{','.join(str(mig.index) for mig in found.mig)}"
        for found in select_gpus(GPUS, names)
    ]


def test_nothing_wanted_is_all_wanted() -> None:
    assert select_gpus(GPUS, ()) is GPUS


@pytest.mark.parametrize(
    ("name", "is_chosen"),
    [
        ("0", "0"),
        ("gpu1", "1"),
        ("GPU1", "1"),
        (" 1 ", "1"),
        ("gpu-00c94f04-2b8f-4f7b-b5a5-4d3a2e4f3d1a", "0"),
        ("GPU-01C94F04-2b8f-4f7b-b5a5-4d3a2e4f3d1a", "1"),
        ("0000:3b:00.0", "0"),
        ("00000000:3B:00.0", "0"),  # as NVML writes it
        ("3b:00.0", "0"),
        ("00000001:C1:00.0", "2:0,1,2"),
        ("2", "2:0,1,2"),
        ("2:1", "2:1"),
        ("mig2:2", "2:2"),
        ("mig-0", "2:0"),
    ],
)
def test_each_name_of_a_gpu_or_an_instance_chooses_it_alone(name: str, is_chosen: str) -> None:
    assert chosen(name) == [is_chosen]


def test_what_is_chosen_keeps_the_hosts_order_and_is_there_once() -> None:
    assert chosen("2:2", "2:0", "3b:00.0", "gpu0") == ["0", "2:0,2"]


def test_a_gpu_brings_all_its_instances_also_beside_one_of_them() -> None:
    assert chosen("2:1", "2") == ["2:0,1,2"]


def test_a_chosen_instance_leaves_the_rest_of_its_gpu_as_it_is() -> None:
    (found,) = select_gpus(GPUS, ("2:1",))

    assert (found.uuid, found.bdf, found.minor) == (DIVIDED.uuid, DIVIDED.bdf, DIVIDED.minor)
    assert found.mig == (instance(1),)


@pytest.mark.parametrize("name", ["3", "2:3", "0:0", "c1:00.0", "0001:3b:00.0", "3b:00.8", "GPU-", "MIG-9", "all"])
def test_a_name_of_none_is_refused_and_named_alone(name: str) -> None:
    with pytest.raises(IncompleteError) as caught:
        select_gpus(GPUS, ("0", name, "2:1"))

    assert str(caught.value) == (
        f"--device {name}: no such GPU or MIG device; the GPUs are 0 (0000:3b:00.0), 1, 2 (0001:c1:00.0);"
        " see: cdigen list"
    )
