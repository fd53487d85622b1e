"""What NVML answers of the GPUs beside what procfs says of them: which counts, and what is said where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.discover.scan import find_inventory
from cdigen.findings import Finding, Remedy
from cdigen.host.views import open_views
from tests.hosts import (
    LIBDIR,
    VERSION,
    Entries,
    bdf_of,
    host_of,
    information,
    mig_entries,
    minimal_entries,
    uuid_of,
    without,
)
from tests.nvml.stub import mig_uuid

if TYPE_CHECKING:
    from cdigen.discover.gpus import AskNvml
    from cdigen.facts import Inventory

GPUS = "/proc/driver/nvidia/gpus"
FIRST = bdf_of(0)
COMPARE = Remedy("compare with", ("nvidia-smi -L",))
AGAIN = Remedy("generate again once nobody changes MIG instances", ("cdigen generate",))


def inventory(entries: Entries, *gpus: dict[str, object], ask_nvml: AskNvml = "always") -> Inventory:
    """Return what is found on a host whose NVML tells of these GPUs."""
    library = f"{LIBDIR}/libnvidia-ml.so.{VERSION}"
    answer = {"driver_version": VERSION, "gpus": list(gpus)}
    host = host_of({**entries, library: {**entries[library], "nvml": answer}})
    return find_inventory(open_views(host, driver_root="/", dev_root=None), ask_nvml=ask_nvml)


def told(index: int, **more: object) -> dict[str, object]:
    """Return what NVML says of the GPU that `minimal_entries` has at this index."""
    return {"bdf": bdf_of(index), "minor": index, "uuid": uuid_of(index), **more}


def mig(index: int, gpu_instance: int, compute_instance: int = 0, **more: object) -> dict[str, object]:
    """Return what NVML says of a MIG device."""
    uuid = mig_uuid(10 * gpu_instance + compute_instance)
    place = {"gpu_instance": gpu_instance, "compute_instance": compute_instance}
    return {"index": index, **place, "uuid": uuid, **more}


def divided(*places: tuple[int, int]) -> Entries:
    return {**minimal_entries(), **mig_entries(0, *places)}


def disagreement(subject: str, message: str, remedy: Remedy) -> Finding:
    return Finding(level="warning", code="nvml-disagrees", subject=subject, message=message, remedy=remedy)


def instances(found: Inventory) -> list[tuple[int, int, int, str | None, str | None]]:
    """Return index, GPU instance, compute instance, UUID and profile of the MIG devices of the first GPU."""
    return [
        (device.index, device.gpu_instance, device.compute_instance, device.uuid, device.profile)
        for device in found.gpus[0].mig or ()
    ]


def test_an_answer_that_says_the_same_changes_nothing_and_is_no_finding() -> None:
    found = inventory(minimal_entries(gpus=2), told(1), told(0))
    assert found.gpus == inventory(minimal_entries(gpus=2), ask_nvml="never").gpus
    assert found.findings == ()


def test_an_idle_gpu_has_the_uuid_that_nvml_tells() -> None:
    entries = minimal_entries(gpus=2)
    entries[f"{GPUS}/{FIRST}/information"] = information(bdf=FIRST, minor=0, uuid=None)
    found = inventory(entries, told(0, coherent=True), told(1, coherent=False), ask_nvml="auto")
    assert [(gpu.uuid, gpu.coherent) for gpu in found.gpus] == [(uuid_of(0), True), (uuid_of(1), False)]
    assert found.findings == ()


def test_nvml_is_not_asked_where_procfs_tells_everything() -> None:
    found = inventory(minimal_entries(gpus=2), told(0, coherent=True), ask_nvml="auto")
    assert [gpu.coherent for gpu in found.gpus] == [None, None]
    assert found.findings == ()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((), "NVML does not have it"),
        ((told(0, minor=7, coherent=True),), "NVML says that its minor is 7, procfs 0"),
        (
            (told(0, uuid=uuid_of(9), coherent=True),),
            f"NVML says that its UUID is {uuid_of(9)}, procfs {uuid_of(0)}",
        ),
    ],
)
def test_where_nvml_says_otherwise_of_a_gpu_procfs_counts(answer: tuple[dict[str, object], ...], reason: str) -> None:
    found = inventory(minimal_entries(gpus=2), *answer, told(1, coherent=False))
    assert [(gpu.minor, gpu.uuid, gpu.coherent) for gpu in found.gpus] == [
        (0, uuid_of(0), None),
        (1, uuid_of(1), False),
    ]
    assert found.findings == (disagreement(FIRST, f"GPU {FIRST}: {reason}; what procfs says is taken", COMPARE),)


def test_gpus_that_only_nvml_has_are_not_offered() -> None:
    found = inventory(minimal_entries(), told(2), told(0), told(1))
    assert [gpu.bdf for gpu in found.gpus] == [FIRST]
    assert found.findings == tuple(
        disagreement(bdf, f"NVML has a GPU {bdf} that procfs does not list; it is not offered", Remedy())
        for bdf in (bdf_of(1), bdf_of(2))
    )


def test_where_procfs_is_masked_nvml_tells_the_gpus_and_their_order() -> None:
    answer = [told(2 - minor, minor=minor, model=f"NVIDIA Fictional {minor}") for minor in range(3)]
    found = inventory(without(minimal_entries(gpus=3), GPUS), *answer, ask_nvml="auto")
    assert [(gpu.index, gpu.minor, gpu.bdf, gpu.uuid, gpu.model) for gpu in found.gpus] == [
        (index, 2 - index, bdf_of(index), uuid_of(index), f"NVIDIA Fictional {2 - index}") for index in range(3)
    ]
    assert [[node.path for node in gpu.nodes][:3] for gpu in found.gpus] == [
        [f"/dev/nvidia{2 - index}", f"/dev/dri/card{index}", f"/dev/dri/renderD{128 + index}"] for index in range(3)
    ]
    assert found.findings == ()


def test_where_procfs_is_masked_and_nvml_omits_a_gpu_the_minors_count() -> None:
    entries = without(minimal_entries(gpus=2), GPUS)
    found = inventory(entries, told(0, coherent=True), ask_nvml="auto")
    assert [(gpu.index, gpu.minor, gpu.bdf, gpu.uuid, gpu.coherent) for gpu in found.gpus] == [
        (0, 0, None, None, None),
        (1, 1, None, None, None),
    ]
    assert found.findings == (
        disagreement("with minor 1", "GPU with minor 1: NVML does not have it; what procfs says is taken", COMPARE),
        Finding(
            level="warning",
            code="procfs-masked",
            subject=GPUS,
            message=f"{GPUS} is not there (masked?), so the GPUs are numbered by minor and have no UUID and no DRM"
            " nodes",
            remedy=Remedy("name the host's procfs with --procfs"),
        ),
    )


def test_mig_devices_have_the_order_uuid_and_profile_that_nvml_tells() -> None:
    answer = told(0, mig_enabled=True, mig=[mig(0, 9), mig(2, 1, 1, profile="1c.2g.10gb"), mig(1, 1, 0)])
    found = inventory(divided((1, 0), (1, 1), (9, 0)), answer, ask_nvml="auto")
    assert instances(found) == [
        (0, 9, 0, mig_uuid(90), None),
        (1, 1, 0, mig_uuid(10), None),
        (2, 1, 1, mig_uuid(11), "1c.2g.10gb"),
    ]
    assert found.findings == ()


def test_a_mig_device_that_nvml_omits_comes_last_and_one_that_procfs_omits_is_not_offered() -> None:
    answer = told(0, mig_enabled=True, mig=[mig(4, 2), mig(1, 9), mig(0, 7, 1), mig(2, 7, 0)])
    found = inventory(divided((1, 0), (2, 0), (3, 0), (9, 0)), answer)
    assert instances(found) == [
        (1, 9, 0, mig_uuid(90), None),
        (4, 2, 0, mig_uuid(20), None),
        (5, 1, 0, None, None),
        (6, 3, 0, None, None),
    ]
    assert found.findings == (
        *(
            disagreement(
                FIRST,
                f"GPU {FIRST}: NVML has a MIG device (GPU instance 7, compute instance {number}) that procfs does not"
                " list; it is not offered",
                AGAIN,
            )
            for number in (0, 1)
        ),
        *(
            disagreement(
                FIRST,
                f"GPU {FIRST}: procfs has a MIG device (GPU instance {number}, compute instance 0) that NVML does not"
                " list; it is named by index only",
                AGAIN,
            )
            for number in (1, 3)
        ),
    )


@pytest.mark.parametrize(
    ("places", "answer", "mig_devices", "message"),
    [
        (
            [(1, 0)],
            told(0, mig_enabled=False, mig=[mig(3, 1)]),
            [(0, 1, 0, None, None)],
            "NVML says that MIG is disabled, procfs has MIG instances",
        ),
        (
            [],
            told(0, mig_enabled=True, mig=[mig(0, 1)]),
            [],
            "NVML has MIG devices, procfs has none (masked?), so they are not offered",
        ),
    ],
)
def test_where_nvml_and_procfs_differ_over_mig_procfs_counts(
    places: list[tuple[int, int]],
    answer: dict[str, object],
    mig_devices: list[tuple[int, int, int, str | None, str | None]],
    message: str,
) -> None:
    found = inventory(divided(*places), answer)
    assert found.gpus[0].mig is not None  # so the undivided GPU is not offered
    assert instances(found) == mig_devices
    assert found.findings == (disagreement(FIRST, f"GPU {FIRST}: {message}", AGAIN),)


def test_a_gpu_without_mig_devices_is_offered_unless_nvml_says_that_mig_is_enabled() -> None:
    assert inventory(minimal_entries(), told(0, mig_enabled=False)).gpus[0].mig is None
    found = inventory(minimal_entries(), told(0, mig_enabled=True))
    assert found.gpus[0].mig == ()
    assert [(finding.code, finding.subject) for finding in found.findings] == [("mig-without-instances", FIRST)]


def test_a_uuid_that_several_mig_devices_have_names_none_of_them() -> None:
    entries = {**minimal_entries(gpus=3), **mig_entries(0, (1, 0), (2, 0)), **mig_entries(1, (1, 0))}
    shared = mig_uuid(10)
    found = inventory(
        entries,
        told(0, mig_enabled=True, mig=[mig(0, 1), mig(1, 2)]),
        told(1, mig_enabled=True, mig=[mig(0, 1)]),
        told(2),
    )
    assert [[device.uuid for device in gpu.mig or ()] for gpu in found.gpus] == [[None, mig_uuid(20)], [None], []]
    assert [gpu.uuid for gpu in found.gpus] == [uuid_of(0), uuid_of(1), uuid_of(2)]
    assert found.findings == (
        Finding(
            level="warning",
            code="uuid-not-unique",
            subject=shared,
            message=f"several MIG devices have the UUID {shared}; they are named by index only",
        ),
    )


def test_a_uuid_of_a_driver_before_r470_is_no_name() -> None:
    uuid = f"MIG-{uuid_of(0)}/1/0"
    found = inventory(divided((1, 0)), told(0, mig_enabled=True, mig=[mig(0, 1, uuid=uuid)]))
    assert instances(found) == [(0, 1, 0, None, None)]
