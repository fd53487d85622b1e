"""Specs of the classes beside the GPUs: what they hold, by what names, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.catalog.classes import CLASSES
from cdigen.cdi.model import to_document
from cdigen.cdi.validate import find_violations
from cdigen.discover.classes import find_class
from cdigen.discover.scan import find_inventory
from cdigen.errors import IncompleteError, UsageError
from cdigen.host.views import open_views
from cdigen.plan.class_plan import build_class_plan, build_management_plan
from cdigen.plan.options import BuildOptions, NameStrategy
from cdigen.plan.spec import build_spec
from tests.classes import (
    IMEX,
    all_class_entries,
    gdrcopy_entries,
    gds_entries,
    imex_entries,
    mofed_entries,
    nvswitch_entries,
)
from tests.hosts import Entries, host_of, minimal_entries, without

if TYPE_CHECKING:
    from cdigen.plan.plan import Plan

SPEC = {
    "cdiVersion": "0.6.0",
    "devices": [{"name": "all", "containerEdits": {"deviceNodes": [{"path": "/dev/a"}]}}],
}
OWN_CLASSES: tuple[str, ...] = ("imex", "nvswitch", "gds", "gdrcopy", "mofed")


def plan_of(entries: Entries, mode: str, **options: Any) -> Plan:
    views = open_views(host_of(entries), driver_root="/", dev_root=None)
    chosen = BuildOptions(mode=mode, **options)
    devices = find_class(views, mode)
    if mode == "management":
        return build_management_plan(find_inventory(views, with_gpus=False), devices, chosen)
    return build_class_plan(devices, chosen)


def nodes_of(plan: Plan) -> dict[str, list[str]]:
    return {device.name: [node.path for node in device.nodes] for device in plan.devices}


def assert_valid(plan: Plan) -> dict[str, object]:
    document = to_document(build_spec(plan))
    assert find_violations(document, hook_free=True) == ()
    return document


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("auto", "nvidia.com/gpu"),
        ("gpu", "nvidia.com/gpu"),
        ("management", "management.nvidia.com/gpu"),
        ("imex", "nvidia.com/imex-channel"),
        ("nvswitch", "nvidia.com/nvswitch"),
        ("gds", "nvidia.com/gds"),
        ("gdrcopy", "nvidia.com/gdrcopy"),
        ("mofed", "nvidia.com/mofed"),
        ("coherent", "nvidia.com/gpu.coherent"),
        ("noncoherent", "nvidia.com/gpu.noncoherent"),
    ],
)
def test_each_mode_has_the_vendors_kind(mode: str, kind: str) -> None:
    assert BuildOptions(mode=mode).kind == kind


def test_vendor_and_class_can_be_chosen_in_every_mode() -> None:
    chosen = BuildOptions(mode="management", vendor="example.com", device_class="card")
    assert chosen.kind == "management.example.com/card"
    assert BuildOptions(mode="imex", device_class="channel").kind == "nvidia.com/channel"
    assert BuildOptions(mode="coherent", device_class="card").kind == "nvidia.com/card.coherent"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"mode": "management", "vendor": "a" * 243},
            (
                f"--vendor {'a' * 243}: not a vendor name; use two or more letters, digits, '.', '_' and '-', such as"
                " nvidia.com"
            ),
        ),
        (
            {"mode": "coherent", "device_class": "a" * 55},
            f"--class {'a' * 55}: not a class name; use two or more letters, digits, '_' and '-', such as gpu",
        ),
    ],
)
def test_what_is_too_long_with_the_modes_own_part_is_refused(options: dict[str, Any], message: str) -> None:
    shorter = {key: value[:-1] if len(value) > 20 else value for key, value in options.items()}
    assert find_violations({**SPEC, "kind": BuildOptions(**shorter).kind}) == ()
    with pytest.raises(UsageError) as caught:
        BuildOptions(**options)
    assert str(caught.value) == message


def test_beside_the_gpus_own_spec_others_keep_what_has_a_meaning_there() -> None:
    chosen = BuildOptions(vendor="example.com", device_class="card", devices=("0",), with_all=False)

    assert chosen.for_mode("gds") == BuildOptions(vendor="example.com", mode="gds")
    assert chosen.for_mode("imex") == BuildOptions(vendor="example.com", mode="imex", with_all=False)
    assert chosen.for_mode("coherent") == BuildOptions(
        vendor="example.com", device_class="card", devices=("0",), with_all=False, mode="coherent"
    )


@pytest.mark.parametrize("mode", ["management", "nvswitch", "gds", "gdrcopy", "mofed"])
def test_what_only_has_all_takes_no_names(mode: str) -> None:
    with pytest.raises(UsageError) as caught:
        BuildOptions(mode=mode, devices=("0",))
    assert str(caught.value) == (
        f"--device chooses GPUs and IMEX channels, of which --mode {mode} offers none by name; leave it out"
    )
    with pytest.raises(UsageError) as caught:
        BuildOptions(mode=mode, with_all=False)
    assert str(caught.value) == f"--no-all would leave nothing, as --mode {mode} has only the device `all`"


@pytest.mark.parametrize("mode", OWN_CLASSES)
def test_a_class_of_its_own_has_no_environment_and_no_node_for_all(mode: str) -> None:
    document = assert_valid(plan_of(all_class_entries(), mode))

    edits = cast("dict[str, object]", document.get("containerEdits", {}))
    assert set(edits) == ({"mounts"} if mode == "gds" else set())


def test_management_has_every_node_in_all_and_the_drivers_files_and_environment() -> None:
    entries = without(all_class_entries(), "/proc/driver/nvidia/gpus", "/dev/nvidia-uvm")

    plan = plan_of(entries, "management")

    assert_valid(plan)
    assert list(nodes_of(plan)) == ["all"]
    assert nodes_of(plan)["all"] == [
        "/dev/nvidia0",
        "/dev/nvidia1",
        "/dev/nvidiactl",
        "/dev/nvidia-uvm-tools",
        "/dev/nvidia-modeset",
        "/dev/nvidia-caps/nvidia-cap0",
    ]
    assert [variable.name for variable in plan.env] == ["NVIDIA_VISIBLE_DEVICES", "TRITON_LIBCUDA_PATH"]
    assert {"/usr/bin/nvidia-smi", "/usr/lib64/libcuda.so.1"} <= {mount.container_path for mount in plan.mounts}


@pytest.mark.parametrize(
    ("strategies", "names"),
    [
        (("index", "uuid"), ["0", "2", "10", "all"]),
        (("type-index",), ["channel0", "channel2", "channel10", "all"]),
        (("index", "type-index"), ["0", "channel0", "2", "channel2", "10", "channel10", "all"]),
        (("uuid",), ["all"]),
    ],
)
def test_channels_are_named_by_number(strategies: tuple[NameStrategy, ...], names: list[str]) -> None:
    assert [device.name for device in plan_of(all_class_entries(), "imex", strategies=strategies).devices] == names


def test_channels_can_be_chosen_by_either_name() -> None:
    plan = plan_of(all_class_entries(), "imex", devices=("channel10", "0"))

    assert nodes_of(plan) == {
        "0": [f"{IMEX}/channel0"],
        "10": [f"{IMEX}/channel10"],
        "all": [f"{IMEX}/channel0", f"{IMEX}/channel10"],
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"devices": ("0", "3", "GPU-1")},
            (
                "--device 3, GPU-1: no such IMEX channel; the channels are 0, 1, 2, 4, 5, 6, 7, 8 and 12 more; see:"
                " cdigen list --mode imex"
            ),
        ),
        (
            {"strategies": ("uuid",), "with_all": False},
            "an IMEX channel has no UUID, so none would have a name; add --device-name-strategy index",
        ),
    ],
)
def test_channels_that_are_not_there_or_have_no_name_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(IncompleteError) as caught:
        plan_of(imex_entries(*(number for number in range(21) if number != 3)), "imex", **options)

    assert str(caught.value) == message


@pytest.mark.parametrize("row", CLASSES, ids=lambda row: row.name)
def test_a_class_without_a_device_is_refused_with_what_is_missing(row: Any) -> None:
    entries = without(minimal_entries(), "/dev") if row.name == "management" else minimal_entries()

    with pytest.raises(IncompleteError) as caught:
        plan_of(entries, row.name)

    assert (caught.value.message, caught.value.remedy) == (row.absent, row.remedy)


@given(
    channels=st.sets(st.integers(0, 4095), max_size=12),
    switches=st.integers(0, 12),
    drives=st.integers(0, 16),
    adapters=st.integers(0, 12),
    has_gdrcopy=st.booleans(),
    random=st.randoms(use_true_random=False),
)
def test_every_device_has_its_own_nodes_in_an_order_that_does_not_depend_on_the_directories(
    channels: set[int], switches: int, drives: int, adapters: int, has_gdrcopy: bool, random: Any
) -> None:
    own: dict[str, Entries] = {
        "imex": imex_entries(*channels),
        "nvswitch": nvswitch_entries(switches) if switches else {},
        "gds": gds_entries(drives) if drives else {},
        "gdrcopy": gdrcopy_entries() if has_gdrcopy else {},
        "mofed": mofed_entries(adapters) if adapters else {},
    }
    entries = {path: entry for part in own.values() for path, entry in part.items()}
    shuffled = list(entries.items())
    random.shuffle(shuffled)
    for mode, part in own.items():
        nodes = [path for path in part if path.startswith("/dev/")]
        if not nodes:
            with pytest.raises(IncompleteError):
                plan_of(entries, mode)
            continue
        plan = plan_of(entries, mode)
        document = assert_valid(plan)
        found = nodes_of(plan)
        assert sorted(found["all"]) == sorted(nodes)
        assert len(plan.devices) == len(found) == (len(channels) + 1 if mode == "imex" else 1)
        if mode == "imex":
            numbers = [str(number) for number in sorted(channels)]
            assert list(found) == [*numbers, "all"]
            assert [found[number] for number in numbers] == [[f"{IMEX}/channel{number}"] for number in numbers]
        assert to_document(build_spec(plan_of(dict(shuffled), mode))) == document
