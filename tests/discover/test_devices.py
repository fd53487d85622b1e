from __future__ import annotations

import pytest

from cdigen.errors import IncompleteError
from cdigen.plan.options import BuildOptions
from cdigen.plan.plan import build_plan
from tests.hosts import Entries, Entry, char, inventory_of, link, minimal_entries, text, without


def refusal(entries: Entries, **roots: str) -> str:
    inventory = inventory_of(entries, **roots)
    with pytest.raises(IncompleteError) as caught:
        build_plan(inventory, BuildOptions())
    assert caught.value.findings == inventory.findings
    assert caught.value.exit_code == 5
    return str(caught.value)


def test_control_nodes_are_in_the_order_of_the_catalog() -> None:
    inventory = inventory_of(minimal_entries())
    assert [(node.path, node.host_path, node.major, node.minor, node.why) for node in inventory.control_nodes] == [
        ("/dev/nvidiactl", "/dev/nvidiactl", 195, 255, "catalog: control of all GPUs"),
        ("/dev/nvidia-uvm", "/dev/nvidia-uvm", 511, 0, "catalog: unified memory, which CUDA needs"),
        ("/dev/nvidia-uvm-tools", "/dev/nvidia-uvm-tools", 511, 1, "catalog: unified memory events, for profilers"),
        ("/dev/nvidia-modeset", "/dev/nvidia-modeset", 195, 254, "catalog: mode setting, for Vulkan and displays"),
    ]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (
            ["nvidiactl"],
            "/dev/nvidiactl is missing; create with: cdigen nodes --create",
        ),
        (
            ["nvidia-uvm"],
            "/dev/nvidia-uvm is missing; create with: cdigen nodes --create",
        ),
        (
            ["nvidia1"],
            ("/dev/nvidia1 (GPU 0000:02:00.0) is missing; create with: cdigen nodes --create"),
        ),
        (
            ["nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1"],
            (
                "/dev/nvidiactl, /dev/nvidia-uvm, /dev/nvidia0 (GPU 0000:01:00.0), /dev/nvidia1 (GPU 0000:02:00.0) are"
                " missing; create with: cdigen nodes --create"
            ),
        ),
    ],
)
def test_required_nodes_that_are_missing_are_named_with_the_command_that_creates_them(
    missing: list[str], message: str
) -> None:
    entries = without(minimal_entries(gpus=2), *(f"/dev/{name}" for name in missing))
    assert refusal(entries) == message


def test_a_missing_node_is_named_as_the_host_knows_it() -> None:
    entries = {**minimal_entries(), "/run/driver/dev/nvidiactl": char(195, 255)}
    assert refusal(entries, dev_root="/run/driver") == (
        "/run/driver/dev/nvidia-uvm, /run/driver/dev/nvidia0 (GPU 0000:01:00.0) are missing; create with:"
        " cdigen nodes --create"
    )


@pytest.mark.parametrize("entry", [text("a file"), {"kind": "dir"}, {"kind": "block", "rdev": "195:255"}])
def test_a_required_node_that_is_no_character_device_is_as_good_as_missing(entry: Entry) -> None:
    assert refusal({**minimal_entries(), "/dev/nvidiactl": entry}) == (
        "/dev/nvidiactl is not a character device; create with: cdigen nodes --create"
    )


@pytest.mark.parametrize(
    ("name", "reason", "command"),
    [
        ("nvidia-uvm-tools", "unified memory events, for profilers", "nvidia-modprobe -u -c 0"),
        ("nvidia-modeset", "mode setting, for Vulkan and displays", "nvidia-modprobe -m"),
    ],
)
@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (None, "is missing"),
        (text("a file"), "is not a character device"),
        (
            link("nvidia-cycle"),
            "cannot be looked at (leads through more than 40 symbolic links)",
        ),
    ],
)
def test_a_node_that_not_every_program_needs_is_a_finding(
    name: str, reason: str, command: str, entry: Entry | None, problem: str
) -> None:
    path = f"/dev/{name}"
    entries = without(minimal_entries(), path)
    if entry is not None:
        entries |= {path: entry, "/dev/nvidia-cycle": link("nvidia-cycle")}
    inventory = inventory_of(entries)
    assert path not in [node.path for node in inventory.control_nodes]
    assert [(finding.level, finding.code, finding.subject, finding.text) for finding in inventory.findings] == [
        (
            "warning",
            "missing-node",
            path,
            f"{path} {problem.replace('PATH', path)}: {reason}; create it with: {command}",
        )
    ]


def test_a_node_behind_a_link_keeps_its_name_in_the_container() -> None:
    entries = {**minimal_entries(), "/dev/nvidia-uvm": link("elsewhere/uvm"), "/dev/elsewhere/uvm": char(511, 0)}
    node = inventory_of(entries).control_nodes[1]
    assert (node.path, node.host_path) == ("/dev/nvidia-uvm", "/dev/elsewhere/uvm")


@pytest.mark.parametrize("numbers", [(1, 1), (8, 0), (233, 0), (383, 7)])
def test_where_procfs_tells_no_numbers_another_device_is_not_taken_for_one_of_the_drivers(
    numbers: tuple[int, int],
) -> None:
    entries = {**minimal_entries(), "/dev/nvidia-uvm": char(*numbers)}
    assert "/proc/devices" not in entries
    is_other = f"/dev/nvidia-uvm is {numbers[0]}:{numbers[1]}, which is no device of NVIDIA's"
    assert refusal(entries) == f"{is_other}; create with: cdigen nodes --create"
