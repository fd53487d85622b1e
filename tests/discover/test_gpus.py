from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.errors import CdigenError, IncompleteError
from tests.hosts import (
    Entries,
    Entry,
    bdf_of,
    char,
    drm_entries,
    gpu_entries,
    information,
    inventory_of,
    link,
    minimal_entries,
    text,
    unreadable,
    uuid_of,
    without,
)

if TYPE_CHECKING:
    from cdigen.facts import Gpu

GPUS = "/proc/driver/nvidia/gpus"
FIRST = f"{GPUS}/{bdf_of(0)}/information"


def gpus(entries: Entries) -> tuple[Gpu, ...]:
    return inventory_of(entries).gpus


def findings(entries: Entries) -> list[tuple[str, str, str]]:
    return [(finding.code, finding.subject, finding.text) for finding in inventory_of(entries).findings]


def left_out(entries: Entries) -> list[tuple[str, str]]:
    return [(entry.host_path, entry.reason) for entry in inventory_of(entries).left_out]


def refusal(entries: Entries) -> str:
    with pytest.raises(CdigenError) as caught:
        inventory_of(entries)
    assert isinstance(caught.value, IncompleteError)
    return str(caught.value)


def node_paths(gpu: Gpu) -> list[str]:
    return [node.path for node in gpu.nodes]


def with_first(entry: Entry) -> Entries:
    return {**minimal_entries(gpus=2), FIRST: entry}


def test_a_gpu_has_its_node_then_its_drm_nodes_then_their_names_by_path() -> None:
    (gpu,) = gpus(minimal_entries())
    assert (gpu.index, gpu.minor, gpu.bdf, gpu.uuid, gpu.model) == (
        0,
        0,
        "0000:01:00.0",
        "GPU-00000000-0000-4000-8000-000000000000",
        "NVIDIA Fictional 9000",
    )
    assert [(node.path, node.host_path, node.major, node.minor, node.mode) for node in gpu.nodes] == [
        ("/dev/nvidia0", "/dev/nvidia0", 195, 0, 0o666),
        ("/dev/dri/card0", "/dev/dri/card0", 226, 0, 0o660),
        ("/dev/dri/renderD128", "/dev/dri/renderD128", 226, 128, 0o666),
        ("/dev/dri/by-path/pci-0000:01:00.0-card", "/dev/dri/card0", 226, 0, 0o660),
        ("/dev/dri/by-path/pci-0000:01:00.0-render", "/dev/dri/renderD128", 226, 128, 0o666),
    ]


def test_gpus_are_in_pci_order_with_the_domain_first() -> None:
    order = ["0000:02:00.0", "0000:0a:00.0", "0000:0a:01.0", "0001:01:00.0", "0008:01:00.0", "10000:01:00.0"]
    entries = minimal_entries(gpus=0)
    for number, bdf in enumerate(reversed(order)):
        entries |= gpu_entries(number, bdf=bdf)
    assert [(gpu.index, gpu.bdf, gpu.minor) for gpu in gpus(entries)] == [
        (index, bdf, len(order) - 1 - index) for index, bdf in enumerate(order)
    ]


def test_the_index_is_the_position_in_pci_order_and_not_the_minor() -> None:
    entries = {**minimal_entries(gpus=0), **gpu_entries(0, minor=7), **gpu_entries(1, minor=3)}
    assert [(gpu.index, gpu.minor, gpu.nodes[0].path) for gpu in gpus(entries)] == [
        (0, 7, "/dev/nvidia7"),
        (1, 3, "/dev/nvidia3"),
    ]


def test_a_host_whose_procfs_is_masked_has_its_gpus_by_minor() -> None:
    entries = without(minimal_entries(gpus=12), GPUS)
    assert [(gpu.index, gpu.minor, gpu.bdf, gpu.uuid, node_paths(gpu)) for gpu in gpus(entries)] == [
        (number, number, None, None, [f"/dev/nvidia{number}"]) for number in range(12)
    ]
    assert findings(entries) == [
        (
            "procfs-masked",
            GPUS,
            (
                f"{GPUS} is not there (masked?), so the GPUs are numbered by minor and have no UUID and no DRM nodes;"
                " name the host's procfs with --procfs"
            ),
        )
    ]


def test_a_masked_procfs_and_a_gap_between_minors_give_consecutive_indices() -> None:
    entries = without({**minimal_entries(gpus=0), "/dev/nvidia2": char(195, 2), "/dev/nvidia10": char(195, 10)}, GPUS)
    assert [(gpu.index, gpu.minor) for gpu in gpus(entries)] == [(0, 2), (1, 10)]


def test_what_only_looks_like_a_gpus_node_is_none() -> None:
    entries = without(minimal_entries(), GPUS)
    entries |= {
        "/dev/nvidia00": char(195, 3),
        "/dev/nvidia-caps/nvidia-cap1": char(510, 1),
        "/dev/nvidia5": text("a file"),
        "/dev/nvidia6": {"kind": "dir"},
        "/dev/nvidia7": {"kind": "block", "rdev": "7:0"},
        "/dev/nvidia8": link("nowhere"),
    }
    assert [gpu.minor for gpu in gpus(entries)] == [0]


def test_a_masked_procfs_without_any_node_is_incomplete() -> None:
    assert refusal(without(minimal_entries(), GPUS, "/dev/nvidia0")) == (
        f"no GPU: {GPUS} is not there and there is no /dev/nvidia<N>; name the host's procfs with"
        " --procfs, or load the module with: modprobe nvidia"
    )


def test_a_driver_that_lists_no_gpu_is_incomplete() -> None:
    assert refusal(minimal_entries(gpus=0)) == (
        f"{GPUS} lists no GPU that can be used; see what the driver says in the kernel log: dmesg | grep -i nvrm"
    )


def test_an_excluded_gpu_is_not_offered_and_not_counted() -> None:
    entries = with_first(information(bdf=bdf_of(0), minor=0, uuid=uuid_of(0), extra="GPU Excluded:\t Yes\n"))
    assert [(gpu.index, gpu.minor, gpu.uuid) for gpu in gpus(entries)] == [(0, 1, uuid_of(1))]
    assert findings(entries) == [
        ("gpu-excluded", bdf_of(0), f"GPU {bdf_of(0)} is excluded (NVreg_ExcludedGpus) and is not offered")
    ]
    assert left_out(entries) == [(FIRST, "the GPU is excluded by the driver's NVreg_ExcludedGpus")]


def test_an_excluded_gpu_needs_no_node() -> None:
    entries = with_first(information(bdf=bdf_of(0), minor=0, uuid=uuid_of(0), extra="GPU Excluded:\t Yes\n"))
    assert len(gpus(without(entries, "/dev/nvidia0"))) == 1


@pytest.mark.parametrize(
    ("uuid", "shown"),
    [
        ("GPU-????????-????-????-????-????????????", " (GPU-????????-????-????-????-????????????)"),
        (None, ""),
        ("N/A", " (N/A)"),
        ('GPU-"\n- x: {y}', ' (GPU-")'),
        ("GPU-\x1b[2J", " (GPU-\\x1b[2J)"),
        ("GPU-00000000-0000-4000-8000-00000000000g", " (GPU-00000000-0000-4000-8000-00000000000g)"),
        ("all", " (all)"),
    ],
)
def test_a_uuid_that_is_not_known_or_not_one_is_no_name(uuid: str | None, shown: str) -> None:
    entries = with_first(information(bdf=bdf_of(0), minor=0, uuid=uuid))
    assert [gpu.uuid for gpu in gpus(entries)] == [None, uuid_of(1)]
    assert findings(entries) == [
        (
            "uuid-unknown",
            bdf_of(0),
            (
                f"GPU {bdf_of(0)} has no known UUID yet{shown} and is named by index only; it has one once a program"
                " has used it: nvidia-smi && cdigen generate"
            ),
        )
    ]


def test_a_uuid_that_two_gpus_have_names_neither() -> None:
    entries = with_first(information(bdf=bdf_of(0), minor=0, uuid=uuid_of(1)))
    assert [(gpu.index, gpu.uuid) for gpu in gpus(entries)] == [(0, None), (1, None)]
    assert findings(entries) == [
        (
            "uuid-not-unique",
            uuid_of(1),
            f"several GPUs have the UUID {uuid_of(1)}; they are named by index only",
        )
    ]


def test_two_gpus_with_one_minor_are_refused() -> None:
    assert refusal(with_first(information(bdf=bdf_of(0), minor=1, uuid=uuid_of(0)))) == (
        f"{GPUS}: 0000:01:00.0 and 0000:02:00.0 both have Device Minor 1; name the host's procfs with --procfs"
    )


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (text(""), "empty file"),
        (text("nothing of a GPU\n"), "no line of a GPU's information"),
        (text("Model: \t NVIDIA Fictional 9000\n"), "no Device Minor"),
        (text("Device Minor: \t -1\n"), "Device Minor is not a number: '-1'"),
        (unreadable("EIO"), "Input/output error"),
        ({"kind": "dir"}, "not a regular file"),
    ],
)
def test_a_gpu_of_which_too_little_is_told_is_a_finding_and_the_others_are_offered(entry: Entry, reason: str) -> None:
    entries = with_first(entry)
    assert [(gpu.index, gpu.bdf) for gpu in gpus(entries)] == [(0, bdf_of(1))]
    assert findings(entries) == [
        (
            "unusable-file",
            FIRST,
            (
                f"{FIRST}: {reason}; this GPU is not offered; see what the driver says in the kernel log: dmesg |"
                " grep -i nvrm"
            ),
        )
    ]
    assert left_out(entries) == [(FIRST, reason)]


def test_a_directory_that_is_no_pci_address_is_left_out() -> None:
    entries = {**minimal_entries(), f"{GPUS}/a\nb/information": text("x")}
    assert len(gpus(entries)) == 1
    assert left_out(entries) == [(f"{GPUS}/a\\nb", "its name is not a PCI address")]


def test_nodes_of_another_vendors_gpu_are_never_given() -> None:
    entries = {**minimal_entries(gpus=0), **drm_entries("0000:00:02.0", 0), **gpu_entries(0, card=1)}
    (gpu,) = gpus(entries)
    assert node_paths(gpu) == [
        "/dev/nvidia0",
        "/dev/dri/card1",
        "/dev/dri/renderD129",
        f"/dev/dri/by-path/pci-{bdf_of(0)}-card",
        f"/dev/dri/by-path/pci-{bdf_of(0)}-render",
    ]


def test_names_by_path_follow_the_node_and_not_the_address_in_the_name() -> None:
    entries = {**minimal_entries(gpus=0), **drm_entries("0000:00:02.0", 0), **gpu_entries(0, card=1)}
    entries["/dev/dri/by-path/pci-0000:00:02.0-card"] = link("../card1")
    entries[f"/dev/dri/by-path/pci-{bdf_of(0)}-card"] = link("../card0")
    (gpu,) = gpus(entries)
    assert node_paths(gpu) == [
        "/dev/nvidia0",
        "/dev/dri/card1",
        "/dev/dri/renderD129",
        "/dev/dri/by-path/pci-0000:00:02.0-card",
        f"/dev/dri/by-path/pci-{bdf_of(0)}-render",
    ]


@pytest.mark.parametrize("name", ["pci-0000:01:00.0-card\n- x", "pci-0000:01:00.0-control", "'-card", "stale-card"])
def test_a_name_by_path_that_is_odd_or_stale_is_not_given(name: str) -> None:
    target = "../card9" if name == "stale-card" else "../card0"
    (gpu,) = gpus({**minimal_entries(), f"/dev/dri/by-path/{name}": link(target)})
    assert len(gpu.nodes) == 5


def test_control_nodes_of_drm_are_not_given() -> None:
    entries: Entries = {
        **minimal_entries(),
        f"/sys/devices/pci9999:00/{bdf_of(0)}/drm/controlD64": {"kind": "dir"},
        "/dev/dri/controlD64": char(226, 64),
    }
    assert "/dev/dri/controlD64" not in node_paths(gpus(entries)[0])


def test_a_missing_drm_node_is_a_finding() -> None:
    entries = without(minimal_entries(), "/dev/dri/card0")
    assert node_paths(gpus(entries)[0]) == [
        "/dev/nvidia0",
        "/dev/dri/renderD128",
        f"/dev/dri/by-path/pci-{bdf_of(0)}-render",
    ]
    assert findings(entries) == [
        (
            "missing-node",
            "/dev/dri/card0",
            (
                f"/dev/dri/card0 of GPU {bdf_of(0)} is missing; graphics programs will not find it; let udev"
                " create it: udevadm trigger --subsystem-match=drm"
            ),
        )
    ]


def test_a_host_without_drm_has_gpus_without_drm_nodes() -> None:
    entries = without(minimal_entries(), "/sys", "/dev/dri")
    assert node_paths(gpus(entries)[0]) == ["/dev/nvidia0"]
    assert findings(entries) == []


def test_a_cycle_in_sysfs_costs_only_the_drm_nodes() -> None:
    directory = f"/sys/bus/pci/devices/{bdf_of(0)}"
    entries = {**minimal_entries(), directory: link(bdf_of(0))}
    assert node_paths(gpus(entries)[0]) == ["/dev/nvidia0"]
    assert findings(entries) == [
        (
            "unusable-file",
            f"{directory}/drm",
            (
                f"{directory}/drm: leads through more than 40 symbolic links;"
                f" GPU {bdf_of(0)} is offered without DRM nodes; remove the link cycle"
            ),
        )
    ]


def lost_entries(bdf: str) -> Entries:
    """Return what sysfs has of a GPU that is bound to nvidia."""
    return {
        f"/sys/bus/pci/drivers/nvidia/{bdf}": link(f"../../devices/{bdf}"),
        f"/sys/bus/pci/devices/{bdf}/vendor": text("0x10de\n"),
    }


def test_a_gpu_that_the_driver_has_lost_is_a_finding() -> None:
    entries = {**minimal_entries(), **lost_entries(bdf_of(0)), **lost_entries("0000:0a:00.0")}
    assert findings(entries) == [
        (
            "gpu-lost",
            "0000:0a:00.0",
            (
                "GPU 0000:0a:00.0 is bound to nvidia on the PCI bus, but the driver does not list it in"
                " /proc/driver/nvidia/gpus, so it is not offered; if it fell off the bus, power-cycle the machine; see"
                " what the driver says in the kernel log: dmesg | grep -i nvrm"
            ),
        )
    ]


def test_where_procfs_is_masked_no_gpu_is_called_lost() -> None:
    entries = {**without(minimal_entries(), "/proc/driver/nvidia/gpus"), **lost_entries("0000:0a:00.0")}
    assert [code for code, *_ in findings(entries)] == ["procfs-masked"]


def test_an_excluded_gpu_is_not_lost() -> None:
    path = f"/proc/driver/nvidia/gpus/{bdf_of(1)}/information"
    excluded = information(bdf=bdf_of(1), minor=1, uuid=None, extra="GPU Excluded:\t Yes\n")
    entries = {**minimal_entries(gpus=2), path: excluded, **lost_entries(bdf_of(1))}
    assert [code for code, *_ in findings(entries)] == ["gpu-excluded"]
