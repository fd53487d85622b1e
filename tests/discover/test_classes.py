"""The devices of the classes beside the GPUs: which nodes, in which order, and what is said of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.catalog.classes import CLASSES
from cdigen.discover.classes import find_class
from cdigen.host import HostReadError
from cdigen.host.views import open_views
from tests.classes import IMEX, all_class_entries, gds_entries, imex_entries, nvswitch_entries, proc_devices
from tests.hosts import Entries, char, damaged, host_of, link, minimal_entries, moved, text, unreadable, without

if TYPE_CHECKING:
    from cdigen.facts import ClassDevices


def find(entries: Entries, name: str, *, driver_root: str = "/", dev_root: str | None = None) -> ClassDevices:
    return find_class(open_views(host_of(entries), driver_root=driver_root, dev_root=dev_root), name)


def paths(found: ClassDevices) -> list[str]:
    return [node.path for node in found.nodes]


def messages(found: ClassDevices) -> list[tuple[str, str, str]]:
    return [(finding.level, finding.code, finding.text) for finding in found.findings]


@pytest.mark.parametrize(
    ("name", "nodes", "files"),
    [
        (
            "management",
            [
                "/dev/nvidia0",
                "/dev/nvidia1",
                "/dev/nvidiactl",
                "/dev/nvidia-uvm",
                "/dev/nvidia-uvm-tools",
                "/dev/nvidia-modeset",
                "/dev/nvidia-caps/nvidia-cap0",
            ],
            [],
        ),
        ("imex", [f"{IMEX}/channel0", f"{IMEX}/channel2", f"{IMEX}/channel10"], []),
        (
            "nvswitch",
            [
                "/dev/nvidia-nvswitchctl",
                "/dev/nvidia-nvswitch0",
                "/dev/nvidia-nvswitch1",
                "/dev/nvidia-nvlink",
                "/dev/nvidia-caps/nvidia-cap0",
            ],
            [],
        ),
        ("gds", ["/dev/nvidia-fs0", "/dev/nvidia-fs1"], ["/run/udev", "/etc/cufile.json"]),
        ("gdrcopy", ["/dev/gdrdrv"], []),
        ("mofed", ["/dev/infiniband/uverbs0", "/dev/infiniband/uverbs1", "/dev/infiniband/rdma_cm"], []),
    ],
)
def test_every_class_has_its_nodes_and_files_and_no_other(name: str, nodes: list[str], files: list[str]) -> None:
    found = find(all_class_entries(), name)

    assert paths(found) == nodes
    assert [file.host_path for file in found.files] == files
    assert (found.findings, found.left_out) == ((), ())


@pytest.mark.parametrize("name", [row.name for row in CLASSES])
def test_a_host_without_has_nothing_and_nothing_is_said(name: str) -> None:
    found = find({"/etc/cufile.json": text("{}"), "/run/udev": {"kind": "dir"}}, name)

    assert (found.nodes, found.files, found.findings, found.left_out) == ((), (), (), ())


@pytest.mark.parametrize(
    ("name", "companions"), [("nvswitch", ["/dev/nvidia-nvlink"]), ("mofed", ["/dev/infiniband/rdma_cm"])]
)
def test_what_only_comes_with_a_device_is_none(name: str, companions: list[str]) -> None:
    entries = {path: entry for path, entry in all_class_entries().items() if path in companions}

    assert find(entries, name).nodes == ()


def test_what_has_the_name_and_is_no_device_is_a_finding() -> None:
    entries: Entries = {
        **imex_entries(0, 1),
        f"{IMEX}/channel2": text("not a device"),
        f"{IMEX}/channel3": {"kind": "block", "rdev": "8:0", "mode": "0660"},
        f"{IMEX}/channel4": link("channel99"),
        f"{IMEX}/channel5": link("channel5"),
        f"{IMEX}/channel6": link("../../../../../etc/passwd"),
        f"{IMEX}/channel007": char(507, 7),
        f"{IMEX}/channel8.bak": char(507, 8),
        f"{IMEX}/channels": char(507, 9),
        "/etc/passwd": text("root"),
    }

    found = find(entries, "imex")

    end = "; it is left out; remove it, or reload its driver, which creates it again"
    loop = "leads through more than 40 symbolic links"
    assert paths(found) == [f"{IMEX}/channel0", f"{IMEX}/channel1"]
    assert messages(found) == [
        ("warning", "class-node", f"{IMEX}/channel2 is not a character device{end}"),
        ("warning", "class-node", f"{IMEX}/channel3 is not a character device{end}"),
        ("warning", "class-node", f"{IMEX}/channel4 is missing{end}"),
        ("warning", "class-node", f"{IMEX}/channel5 {loop}{end}"),
        ("warning", "class-node", f"{IMEX}/channel6 is not a character device{end}"),
    ]
    assert [(entry.host_path.rpartition("/")[2], entry.reason) for entry in found.left_out] == [
        ("channel007", "its name is not channel and a number"),
        ("channel2", "is not a character device"),
        ("channel3", "is not a character device"),
        ("channel4", "is missing"),
        ("channel5", loop),
        ("channel6", "is not a character device"),
        ("channel8.bak", "its name is not channel and a number"),
    ]


def test_a_node_of_an_earlier_boot_or_of_another_number_is_left_out() -> None:
    entries = {**proc_devices(), **imex_entries(0), f"{IMEX}/channel1": char(234, 1), f"{IMEX}/channel2": char(507, 3)}

    found = find(entries, "imex")

    end = "which its driver has; it is left out; remove it, or reload its driver, which creates it again"
    assert paths(found) == [f"{IMEX}/channel0"]
    assert messages(found) == [
        ("warning", "class-node", f"{IMEX}/channel1 is 234:1 and not 507:1, {end}"),
        ("warning", "class-node", f"{IMEX}/channel2 is 507:3 and not 507:2, {end}"),
    ]


def test_many_bad_nodes_are_summed_up() -> None:
    entries = {**imex_entries(0), **{f"{IMEX}/channel{number}": text("") for number in range(1, 100)}}

    found = find(entries, "imex")

    assert len(found.findings) == 9
    assert messages(found)[8] == (
        "warning",
        "class-node",
        "91 more device nodes of class imex are left out; see them with: cdigen explain --mode imex",
    )
    assert len(found.left_out) == 99


def test_nodes_of_a_driver_that_is_not_loaded_are_named_once() -> None:
    entries = {**nvswitch_entries(3), "/proc/devices": text("Character devices:\n195 nvidia\n508 nvidia-caps\n")}

    found = find(entries, "nvswitch")

    end = "but /proc/devices does not know its driver, so it cannot be opened"
    fix = "load the module, or remove the node"
    assert messages(found) == [
        ("warning", "module-not-loaded", f"/dev/nvidia-nvswitchctl is there {end}: control of NVSwitches; {fix}"),
        ("warning", "module-not-loaded", f"/dev/nvidia-nvswitch0 is there {end}: an NVSwitch; {fix}"),
        ("warning", "module-not-loaded", f"/dev/nvidia-nvlink is there {end}: control of NVLink; {fix}"),
    ]


def test_thousands_of_channels_are_in_the_order_of_their_numbers() -> None:
    found = find(imex_entries(*range(2047, -1, -1)), "imex")

    assert [node.minor for node in found.nodes] == list(range(2048))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"/dev/nvidia-caps/nvidia-cap0": text("")},
            (
                "/dev/nvidia-caps/nvidia-cap0 is not a character device: the right to manage the NVLink fabric; create"
                " it with: nvidia-modprobe -f /proc/driver/nvidia-nvlink/capabilities/fabric-mgmt"
            ),
        ),
        (
            {"/proc/driver/nvidia-nvlink/capabilities/fabric-mgmt": text("DeviceFileMode: 256\n")},
            (
                "/proc/driver/nvidia-nvlink/capabilities/fabric-mgmt: no line DeviceFileMinor; the right to manage the"
                " NVLink fabric is not injected"
            ),
        ),
    ],
)
def test_a_capability_that_cannot_be_had_is_a_finding(change: Entries, message: str) -> None:
    found = find({**nvswitch_entries(1), **change}, "nvswitch")

    assert paths(found) == ["/dev/nvidia-nvswitchctl", "/dev/nvidia-nvswitch0", "/dev/nvidia-nvlink"]
    assert [text for _, _, text in messages(found)] == [message]


def test_a_file_of_the_wrong_type_is_a_finding() -> None:
    found = find({**gds_entries(1), "/etc/cufile.json": {"kind": "dir"}}, "gds")

    assert [file.host_path for file in found.files] == ["/run/udev"]
    assert messages(found) == [
        ("warning", "unusable-file", "/etc/cufile.json: not a regular file; it is not injected"),
    ]


def test_a_file_that_cannot_be_found_out_about_is_a_finding() -> None:
    found = find({**gds_entries(1), "/etc/cufile.json": link("cufile.json")}, "gds")

    assert [file.host_path for file in found.files] == ["/run/udev"]
    assert messages(found) == [
        (
            "warning",
            "unusable-file",
            "/etc/cufile.json: leads through more than 40 symbolic links; it is not injected; remove the link cycle",
        ),
    ]


def test_nodes_of_a_device_root_are_its_own_and_lose_it_in_the_container() -> None:
    entries = moved({**minimal_entries(), **imex_entries(0)}, "/run/nvidia/driver", "/dev", "/usr", "/lib")

    found = find(entries, "imex", driver_root="/run/nvidia/driver")

    assert [(node.path, node.host_path) for node in found.nodes] == [
        (f"{IMEX}/channel0", f"/run/nvidia/driver{IMEX}/channel0")
    ]


@pytest.mark.parametrize(("name", "expected"), [("gds", ["/dev/nvidia-fs0"]), ("imex", [])])
def test_devices_of_other_packages_are_also_looked_for_in_the_hosts_own_dev(name: str, expected: list[str]) -> None:
    entries = {
        **moved(minimal_entries(), "/run/nvidia/driver", "/dev", "/usr", "/lib"),
        **imex_entries(0),
        **gds_entries(1),
    }

    found = find(entries, name, driver_root="/run/nvidia/driver")

    assert [node.host_path for node in found.nodes] == expected
    assert [file.host_path for file in found.files] == (["/run/udev", "/etc/cufile.json"] if expected else [])


def test_a_directory_that_may_not_be_read_is_an_error_with_the_remarks_so_far() -> None:
    entries: Entries = {
        IMEX: unreadable("EACCES", "dir"),
        "/proc/devices": damaged(),
    }

    with pytest.raises(HostReadError) as caught:
        find(entries, "imex")

    assert str(caught.value) == f"cannot read {IMEX}: Permission denied; run as a user who may read it"
    assert [finding.level for finding in caught.value.findings] == ["warning"]


def test_the_management_class_needs_no_gpu_in_procfs() -> None:
    found = find(without(all_class_entries(), "/proc/driver/nvidia/gpus"), "management")

    assert paths(found)[:2] == ["/dev/nvidia0", "/dev/nvidia1"]
