from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import IncompleteError
from cdigen.plan.options import BuildOptions
from cdigen.plan.plan import build_plan
from tests.hosts import (
    Entries,
    access,
    bdf_of,
    capability_minor,
    char,
    inventory_of,
    mig_entries,
    minimal_entries,
    text,
    unreadable,
    uuid_of,
    without,
)

if TYPE_CHECKING:
    from cdigen.facts import Gpu

CAPABILITIES = "/proc/driver/nvidia/capabilities"
PLACES = ((2, 0), (3, 0), (3, 1), (9, 0))  # those of the published A100, hosts/mig-1xA100-gi2-gi3-gi9.yaml

ORDER_NOTE = (
    "MIG devices are named by index in the order of procfs and have no UUID, as NVML was not asked or did not answer;"
    " nvidia-smi -L may count them in another order; install nvidia-ml-py into cdigen's environment, so that"
    " NVML can be asked"
)


def divided(*places: tuple[int, int], gpus: int = 2) -> Entries:
    return {**minimal_entries(gpus=gpus), **mig_entries(0, *places)}


def refusal(entries: Entries, options: BuildOptions | None = None) -> str:
    with pytest.raises(IncompleteError) as caught:
        build_plan(inventory_of(entries), options or BuildOptions())
    return str(caught.value)


def devices(entries: Entries, options: BuildOptions | None = None) -> list[tuple[str, list[str]]]:
    plan = build_plan(inventory_of(entries), options or BuildOptions())
    return [(device.name, [node.path for node in device.nodes]) for device in plan.devices]


def findings(entries: Entries) -> list[tuple[str, str, str]]:
    return [(finding.code, finding.subject, finding.text) for finding in inventory_of(entries).findings]


def cap(gi: int, ci: int | None = None, gpu: int = 0) -> str:
    return f"/dev/nvidia-caps/nvidia-cap{capability_minor(gpu, gi, ci)}"


def instances(gpu: Gpu) -> list[tuple[int, int, int]]:
    return [(mig.index, mig.gpu_instance, mig.compute_instance) for mig in gpu.mig or ()]


def test_the_numbers_of_the_published_host_are_those_of_the_formula() -> None:
    assert [capability_minor(0, gi) for gi in (2, 3, 9)] == [21, 30, 84]
    assert [capability_minor(0, gi, ci) for gi, ci in PLACES] == [22, 31, 32, 85]


def test_a_mig_device_has_its_gpus_node_and_both_capability_nodes_and_the_gpu_is_not_offered() -> None:
    assert devices(divided(*PLACES)) == [
        ("0:0", ["/dev/nvidia0", cap(2), cap(2, 0)]),
        ("0:1", ["/dev/nvidia0", cap(3), cap(3, 0)]),
        ("0:2", ["/dev/nvidia0", cap(3), cap(3, 1)]),
        ("0:3", ["/dev/nvidia0", cap(9), cap(9, 0)]),
        ("1", whole := [node.path for node in inventory_of(divided(*PLACES)).gpus[1].nodes]),
        (uuid_of(1), whole),
        (
            "all",
            ["/dev/nvidia0", cap(2), cap(2, 0), cap(3), cap(3, 0), cap(3, 1), cap(9), cap(9, 0), *whole],
        ),
    ]


def test_by_type_index_a_mig_device_is_mig() -> None:
    names = [name for name, _ in devices(divided((1, 0)), BuildOptions(strategies=("type-index",)))]
    assert names == ["mig0:0", "gpu1", "all"]


def test_without_nvml_the_order_is_that_of_procfs_and_a_note_says_so() -> None:
    entries = divided((10, 0), (2, 1), (2, 0), (9, 10), (9, 2))
    assert instances(inventory_of(entries).gpus[0]) == [(0, 2, 0), (1, 2, 1), (2, 9, 2), (3, 9, 10), (4, 10, 0)]
    assert findings(entries) == [("mig-order", "/proc/driver/nvidia/gpus", ORDER_NOTE)]


def test_mig_instances_are_found_by_minor_and_not_by_index() -> None:
    entries = {**minimal_entries(gpus=0), **without(minimal_entries(gpus=1), "/dev/nvidia0")}
    path = f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information"
    entries[path] = text(f"Model: \t\t NVIDIA Fictional 9000\nGPU UUID: \t {uuid_of(0)}\nDevice Minor: \t 5\n")
    entries |= {"/dev/nvidia5": char(195, 5), **mig_entries(5, (1, 0)), **mig_entries(0, (7, 0))}
    assert devices(entries)[0] == ("0:0", ["/dev/nvidia5", cap(1, gpu=5), cap(1, 0, gpu=5)])


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (
            [cap(3)],
            (
                "/dev/nvidia-caps/nvidia-cap30 (GPU instance 3 of GPU 0000:01:00.0) is missing; create with: cdigen"
                " nodes --create"
            ),
        ),
        (
            [cap(3, 1)],
            (
                "/dev/nvidia-caps/nvidia-cap32 (compute instance 1 of GPU instance 3 of GPU 0000:01:00.0) is missing;"
                " create with: cdigen nodes --create"
            ),
        ),
        (
            [cap(2), cap(2, 0)],
            (
                "/dev/nvidia-caps/nvidia-cap21 (GPU instance 2 of GPU 0000:01:00.0), /dev/nvidia-caps/nvidia-cap22"
                " (compute instance 0 of GPU instance 2 of GPU 0000:01:00.0) are missing; create with: cdigen nodes"
                " --create"
            ),
        ),
    ],
)
def test_a_missing_capability_node_names_the_instance_and_the_way_out(gone: list[str], message: str) -> None:
    assert refusal(without(divided(*PLACES), *gone)) == message


def test_many_missing_nodes_are_not_all_named() -> None:
    entries = without(divided(*((gi, 0) for gi in range(7))), "/dev/nvidia-caps")
    message = refusal(entries)
    assert message.startswith("/dev/nvidia-caps/nvidia-cap3 (GPU instance 0 of GPU 0000:01:00.0), ")
    assert "are missing; and 6 more; create with: cdigen nodes --create" in message
    assert message.count("/dev/nvidia-caps/nvidia-cap") == 8


def test_a_node_of_another_major_is_as_bad_as_none() -> None:
    entries = {
        **divided((2, 0)),
        "/proc/devices": text("Character devices:\n195 nvidia\n234 nvidia-caps-imex-channels\n511 nvidia-caps\n\n"),
        cap(2): char(234, 21),
        cap(2, 0): char(511, 22),
    }
    assert refusal(entries) == (
        "/dev/nvidia-caps/nvidia-cap21 (GPU instance 2 of GPU 0000:01:00.0) is 234:21 and not 511:21, which its driver"
        " has; create with: cdigen nodes --create"
    )


def test_the_nodes_of_a_gpu_that_is_not_asked_for_may_be_missing() -> None:
    entries = without(divided(*PLACES), cap(2))
    assert devices(entries, BuildOptions(devices=("1",)))[0][0] == "1"
    assert "nvidia-cap21" in refusal(entries, BuildOptions(devices=("0",)))


def test_the_table_of_minors_stands_in_for_an_access_file_that_is_not_there() -> None:
    path = f"{CAPABILITIES}/gpu0/mig/gi2/access"
    entries = without(divided((2, 0)), path)
    table = {"/proc/driver/nvidia-caps/mig-minors": text("config 1\ngpu0/gi2/access 21\ngpu0/gi2/ci0/access 22\n")}
    assert devices({**entries, **table})[0] == ("0:0", ["/dev/nvidia0", cap(2), cap(2, 0)])
    assert refusal(entries) == (
        f"{path} (GPU instance 2 of GPU 0000:01:00.0) is missing and so tells no capability's node; create with:"
        f" cdigen nodes --create"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "does not tell the capability's node (empty file)"),
        ("DeviceFileMode: 292\n", "does not tell the capability's node (no line DeviceFileMinor)"),
        ("DeviceFileMinor: -1\nDeviceFileMode: 1\n", "does not tell the capability's node (DeviceFileMinor is not a"),
        ("DeviceFileMinor: 84\nDeviceFileMode: 292\n", "tells the minor 84 and /proc/driver/nvidia-caps/mig-minors 21"),
    ],
)
def test_an_access_file_that_cannot_be_trusted_stops_the_spec(content: str, problem: str) -> None:
    path = f"{CAPABILITIES}/gpu0/mig/gi2/access"
    entries = {
        **divided((2, 0)),
        path: text(content),
        "/proc/driver/nvidia-caps/mig-minors": text("gpu0/gi2/access 21\ngpu0/gi2/ci0/access 22\n"),
    }
    assert refusal(entries).startswith(f"{path} (GPU instance 2 of GPU 0000:01:00.0) {problem}")


def test_a_damaged_table_of_minors_is_a_finding_and_the_access_files_count() -> None:
    entries = {**divided((2, 0)), "/proc/driver/nvidia-caps/mig-minors": text("gpu0/gi2/access\n")}
    assert devices(entries)[0] == ("0:0", ["/dev/nvidia0", cap(2), cap(2, 0)])
    assert findings(entries)[-1] == (
        "unusable-file",
        "/proc/driver/nvidia-caps/mig-minors",
        (
            "/proc/driver/nvidia-caps/mig-minors: not a capability and its minor: 'gpu0/gi2/access'; the access files"
            " alone tell capability nodes"
        ),
    )


def test_a_gpu_instance_without_compute_instances_is_no_device() -> None:
    entries = {**divided((2, 0)), f"{CAPABILITIES}/gpu0/mig/gi5/access": access(capability_minor(0, 5))}
    assert [name for name, _ in devices(entries)][:2] == ["0:0", "1"]
    assert findings(entries)[-1] == (
        "mig-without-compute-instance",
        bdf_of(0),
        (
            "GPU instance 5 of GPU 0000:01:00.0 has no compute instance, so it is not offered; create one with:"
            " nvidia-smi mig -i 0000:01:00.0 -gi 5 -cci"
        ),
    )


def test_a_gpu_that_is_divided_and_has_no_device_is_not_offered() -> None:
    entries = minimal_entries(gpus=2)
    entries[f"{CAPABILITIES}/gpu0/mig/gi5/access"] = access(capability_minor(0, 5))
    assert [name for name, _ in devices(entries)] == ["1", uuid_of(1), "all"]
    assert findings(entries)[-1] == (
        "mig-without-instances",
        bdf_of(0),
        (
            "MIG is enabled on GPU 0000:01:00.0, which has no MIG device, so it is not offered; create MIG"
            " devices (nvidia-smi mig -cgi) or disable MIG (nvidia-smi -mig 0); the profiles are listed by: nvidia-smi"
            " mig -i 0000:01:00.0 -lgip"
        ),
    )
    assert refusal(without(entries, f"/proc/driver/nvidia/gpus/{bdf_of(1)}")) == (
        "no device: MIG is enabled on every GPU and there is no MIG device; create MIG devices (nvidia-smi"
        " mig -cgi) or disable MIG (nvidia-smi -mig 0); the profiles are listed by: nvidia-smi mig -lgip"
    )


def test_capabilities_of_a_gpu_that_is_not_divided_change_nothing() -> None:
    entries: Entries = {
        **minimal_entries(),
        f"{CAPABILITIES}/mig/config": access(1, 0o400),
        f"{CAPABILITIES}/mig/monitor": access(2),
        f"{CAPABILITIES}/gpu0/mig": {"kind": "dir"},
        f"{CAPABILITIES}/gpu0/mig/gi": {"kind": "dir"},
        f"{CAPABILITIES}/gpu0/mig/gi01": {"kind": "dir"},
        f"{CAPABILITIES}/gpu0/mig/gi-1": {"kind": "dir"},
    }
    assert inventory_of(entries) == inventory_of(minimal_entries())


def test_instances_that_cannot_be_read_are_a_finding() -> None:
    directory = f"{CAPABILITIES}/gpu0/mig"
    entries = minimal_entries()
    entries[directory] = unreadable("EACCES", "dir")
    assert findings(entries) == [
        (
            "unusable-file",
            directory,
            f"{directory}: Permission denied; MIG instances in it are not offered; run as a user who may read it",
        )
    ]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (("0:1",), ["0:1", "all"]),
        (("mig0:3", "0:1"), ["0:1", "0:3", "all"]),
        (("0",), ["0:0", "0:1", "0:2", "0:3", "all"]),
        (("gpu1", "0:0"), ["0:0", "1", uuid_of(1), "all"]),
        ((uuid_of(1).upper(),), ["1", uuid_of(1), "all"]),
        (("0000:02:00.0",), ["1", uuid_of(1), "all"]),
        (("00000000:02:00.0",), ["1", uuid_of(1), "all"]),
        (("02:00.0",), ["1", uuid_of(1), "all"]),
    ],
)
def test_some_gpus_or_instances_can_be_chosen(wanted: tuple[str, ...], names: list[str]) -> None:
    found = devices(divided(*PLACES), BuildOptions(devices=wanted))
    assert [name for name, _ in found] == names
    single = {node for name, nodes in found if name != "all" for node in nodes}
    assert set(dict(found)["all"]) == single


def test_a_gpu_that_is_not_there_is_named() -> None:
    assert refusal(divided(*PLACES), BuildOptions(devices=("1", "7", "0:9", "a b"))) == (
        "--device 7, 0:9, a b: no such GPU or MIG device; the GPUs are 0 (0000:01:00.0), 1 (0000:02:00.0);"
        " see: cdigen list"
    )


@given(
    places=st.dictionaries(
        st.integers(0, 5),
        st.sets(st.tuples(st.integers(0, 14), st.integers(0, 7)), max_size=7),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_instances_there_are_each_device_has_its_own_nodes_and_no_others(
    places: dict[int, set[tuple[int, int]]],
) -> None:
    entries = minimal_entries(gpus=6)
    for gpu, divided_into in places.items():
        entries |= mig_entries(gpu, *divided_into)
    plan = build_plan(inventory_of(entries), BuildOptions())
    expected: dict[str, set[str]] = {}
    for gpu in range(6):
        for index, (gi, ci) in enumerate(sorted(places.get(gpu, ()))):
            expected[f"{gpu}:{index}"] = {f"/dev/nvidia{gpu}", cap(gi, gpu=gpu), cap(gi, ci, gpu=gpu)}
        if not places.get(gpu):
            nodes = {node.path for node in inventory_of(minimal_entries(gpus=6)).gpus[gpu].nodes}
            expected |= {str(gpu): nodes, uuid_of(gpu): nodes}
    expected["all"] = set().union(*expected.values())
    assert {device.name: {node.path for node in device.nodes} for device in plan.devices} == expected
    assert len(plan.devices) == len(expected)
    reverse = dict(reversed(entries.items()))
    assert build_plan(inventory_of(reverse), BuildOptions()) == plan


def test_two_capabilities_of_one_minor_are_refused_and_both_are_named() -> None:
    gi, ci = f"{CAPABILITIES}/gpu0/mig/gi2/access", f"{CAPABILITIES}/gpu0/mig/gi2/ci0/access"
    other = f"{CAPABILITIES}/gpu1/mig/gi1/access"
    entries = divided((2, 0)) | mig_entries(1, (1, 0))
    for first, second in ((gi, ci), (gi, other), (ci, other)):
        shared = entries | {second: entries[first]}
        assert refusal(shared) == (
            f"{first} and {second} both tell the minor"
            f" {capability_minor(0, 2, None if first == gi else 0)}, so one device node would stand for both;"
            " name the host's procfs with --procfs"
        )


@given(st.lists(st.integers(3, 8), min_size=5, max_size=5))
def test_each_capability_has_a_node_of_its_own_or_there_is_no_spec(minors: list[int]) -> None:
    names = ("gpu0/mig/gi1", "gpu0/mig/gi1/ci0", "gpu0/mig/gi1/ci1", "gpu1/mig/gi4", "gpu1/mig/gi4/ci0")
    entries = minimal_entries(gpus=2)
    for name, minor in zip(names, minors, strict=True):
        entries[f"{CAPABILITIES}/{name}/access"] = access(minor)
        entries[f"/dev/nvidia-caps/nvidia-cap{minor}"] = char(508, minor, "0444")
    if len({*minors}) < len(minors):
        assert "both tell the minor" in refusal(entries)
        return
    nodes = {name: paths[1:] for name, paths in devices(entries) if name != "all"}
    expected = {"0:0": minors[:2], "0:1": [minors[0], minors[2]], "1:0": minors[3:]}
    assert nodes == {
        name: [f"/dev/nvidia-caps/nvidia-cap{minor}" for minor in of_device] for name, of_device in expected.items()
    }
