from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.host.views import open_views
from cdigen.nodes.expected import find_expected_nodes
from cdigen.notes import Notes
from tests.hosts import (
    Entries,
    Entry,
    access,
    bdf_of,
    char,
    host_of,
    information,
    link,
    mig_entries,
    text,
    unreadable,
    without,
)
from tests.nodes import CAPABILITIES, DEVICES, OLD_DEVICES, node_entries, proc_entries

if TYPE_CHECKING:
    from cdigen.facts import ExpectedNode

Row = tuple[str, int | None, int, str, str]


def look(entries: Entries, dev_root: str | None = None) -> tuple[tuple[ExpectedNode, ...], list[str]]:
    notes = Notes()
    views = open_views(host_of(entries), driver_root="/", dev_root=dev_root)
    nodes = find_expected_nodes(views, notes)
    return nodes, [f"{finding.level} {finding.code} {finding.text}" for finding in notes.findings]


def rows(entries: Entries) -> list[Row]:
    nodes, findings = look(entries)
    assert findings == []
    return [(n.path, n.major, n.minor, f"{n.mode:04o} {n.uid}:{n.gid}", n.state) for n in nodes]


def state_of(path: str, entries: Entries) -> str:
    return next(node.state for node in look(entries)[0] if node.path == path)


EXPECTED: list[Row] = [
    ("/dev/nvidiactl", 195, 255, "0660 0:44", "missing"),
    ("/dev/nvidia-uvm", 511, 0, "0666 0:0", "missing"),
    ("/dev/nvidia-uvm-tools", 511, 1, "0666 0:0", "missing"),
    ("/dev/nvidia-modeset", 195, 254, "0660 0:44", "missing"),
    ("/dev/nvidia0", 195, 0, "0660 0:44", "missing"),
    ("/dev/nvidia-caps/nvidia-cap1", 508, 1, "0400 0:0", "missing"),
    ("/dev/nvidia-caps/nvidia-cap2", 508, 2, "0444 0:0", "missing"),
    ("/dev/nvidia-nvlink", 510, 0, "0666 0:0", "missing"),
]


def test_a_host_without_nodes_could_have_these() -> None:
    assert rows(proc_entries()) == EXPECTED


def test_the_same_host_with_its_nodes() -> None:
    assert rows(proc_entries() | node_entries()) == [(*row[:4], "ok") for row in EXPECTED]


def test_up_to_535_the_frontend_has_the_major_of_three_kinds_of_nodes() -> None:
    assert rows(proc_entries(devices=OLD_DEVICES)) == EXPECTED[:-1]


def test_a_node_says_where_it_is_from_and_how_it_is_made() -> None:
    nodes, _ = look(proc_entries() | mig_entries(0, (2, 1)))

    told = [(n.path, n.driver, n.module, n.required, n.command, n.why, n.source) for n in nodes]
    assert told == [
        (
            "/dev/nvidiactl",
            "nvidiactl",
            "nvidia",
            True,
            ("-c", "255"),
            "control of all GPUs",
            "/proc/driver/nvidia/params",
        ),
        (
            "/dev/nvidia-uvm",
            "nvidia-uvm",
            "nvidia-uvm",
            True,
            ("-u", "-c", "0"),
            "unified memory, which CUDA needs",
            "nvidia-modprobe's defaults",
        ),
        (
            "/dev/nvidia-uvm-tools",
            "nvidia-uvm",
            "nvidia-uvm",
            False,
            ("-u", "-c", "0"),
            "unified memory events, for profilers",
            "nvidia-modprobe's defaults",
        ),
        (
            "/dev/nvidia-modeset",
            "nvidia-modeset",
            "nvidia-modeset",
            False,
            ("-m",),
            "mode setting, for Vulkan and displays",
            "/proc/driver/nvidia/params",
        ),
        (
            "/dev/nvidia0",
            "nvidia",
            "nvidia",
            True,
            ("-c", "0"),
            f"GPU {bdf_of(0)}",
            f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information",
        ),
        *(
            (f"/dev/nvidia-caps/nvidia-cap{minor}", "nvidia-caps", "nvidia", required, ("-f", source), why, source)
            for minor, required, why, source in (
                (1, False, "the right to create MIG instances", f"{CAPABILITIES}/mig/config"),
                (2, False, "the right to watch all MIG instances", f"{CAPABILITIES}/mig/monitor"),
                (21, True, "GPU instance 2 of /dev/nvidia0", f"{CAPABILITIES}/gpu0/mig/gi2/access"),
                (
                    23,
                    True,
                    "compute instance 1 of GPU instance 2 of /dev/nvidia0",
                    f"{CAPABILITIES}/gpu0/mig/gi2/ci1/access",
                ),
            )
        ),
        (
            "/dev/nvidia-nvlink",
            "nvidia-nvlink",
            "nvidia",
            False,
            ("-l",),
            "control of NVLink",
            "/proc/driver/nvidia-nvlink/permissions",
        ),
    ]


def test_fabric_capabilities_nvswitches_and_imex_channels() -> None:
    entries = proc_entries(gpus=0, params="CreateImexChannel0: 1\n") | {
        "/proc/driver/nvidia-nvlink/permissions": text("DeviceFileMode: 438\n"),
        "/proc/driver/nvidia-nvlink/capabilities/fabric-mgmt": access(0, 0o400),
        f"{CAPABILITIES}/fabric-imex-mgmt": access(4323, 0o400),
        "/proc/driver/nvidia-nvswitch/permissions": text("DeviceFileMode: 432\n"),
        "/proc/driver/nvidia-nvswitch/devices/0000:05:00.0/information": text("BIOS Version: N/A\n"),
        "/proc/driver/nvidia-nvswitch/devices/0000:06:00.0/information": text("BIOS Version: N/A\n"),
        "/dev/nvidia-caps-imex-channels/channel10": char(234, 10),
        "/dev/nvidia-caps-imex-channels/channel9": char(508, 9),
        "/dev/nvidia-caps-imex-channels/channel09": char(234, 9),
    }
    assert rows(entries)[4:] == [
        ("/dev/nvidia-caps/nvidia-cap0", 508, 0, "0400 0:0", "missing"),
        ("/dev/nvidia-caps/nvidia-cap1", 508, 1, "0400 0:0", "missing"),
        ("/dev/nvidia-caps/nvidia-cap2", 508, 2, "0444 0:0", "missing"),
        ("/dev/nvidia-caps/nvidia-cap4323", 508, 4323, "0400 0:0", "missing"),
        ("/dev/nvidia-nvlink", 510, 0, "0666 0:0", "missing"),
        ("/dev/nvidia-nvswitchctl", 509, 255, "0660 0:0", "missing"),
        ("/dev/nvidia-nvswitch0", 509, 0, "0660 0:0", "missing"),
        ("/dev/nvidia-nvswitch1", 509, 1, "0660 0:0", "missing"),
        ("/dev/nvidia-caps-imex-channels/channel0", 234, 0, "0666 0:0", "missing"),
        ("/dev/nvidia-caps-imex-channels/channel9", 234, 9, "0666 0:0", "wrong device"),
        ("/dev/nvidia-caps-imex-channels/channel10", 234, 10, "0666 0:0", "ok"),
    ]


def test_the_major_is_that_of_the_whole_name() -> None:
    devices = "Character devices:\n234 nvidia-caps-imex-channels\n195 nvidiactl\n\n"
    nodes, _ = look(proc_entries(devices=devices))
    cap = next(node for node in nodes if node.path == "/dev/nvidia-caps/nvidia-cap1")
    assert (cap.driver, cap.major, cap.state) == ("nvidia-caps", None, "module not loaded")


@pytest.mark.parametrize(
    ("entry", "state"),
    [
        (char(195, 0, "0660", "0:44"), "ok"),
        (char(195, 0, "0666", "0:44"), "other mode"),
        (char(195, 0, "0660", "0:0"), "other mode"),
        (char(195, 0, "0660", "44:44"), "other mode"),
        (char(195, 1, "0660", "0:44"), "wrong device"),
        (char(234, 0, "0660", "0:44"), "wrong device"),
        ({"kind": "block", "rdev": "195:0", "mode": "0660", "owner": "0:44"}, "wrong device"),
        (text("a file"), "wrong device"),
        ({"kind": "dir"}, "wrong device"),
        (link("nowhere"), "wrong device"),
        (link("nvidia0"), "wrong device"),
        (link("elsewhere"), "ok"),
    ],
)
def test_what_is_in_the_place_of_a_node(entry: Entry, state: str) -> None:
    entries = proc_entries() | {"/dev/nvidia0": entry, "/dev/elsewhere": char(195, 0, "0660", "0:44")}
    assert state_of("/dev/nvidia0", entries) == state


def test_a_node_is_seen_from_the_device_root() -> None:
    entries = proc_entries() | {"/run/driver/dev/nvidia0": char(195, 0, "0660", "0:44")}
    nodes, findings = look(entries, dev_root="/run/driver")
    assert findings == []
    assert [(n.path, n.host_path) for n in nodes if n.state == "ok"] == [("/dev/nvidia0", "/run/driver/dev/nvidia0")]


def test_an_excluded_gpu_has_no_node() -> None:
    entries = proc_entries(gpus=2) | {
        f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information": information(
            bdf=bdf_of(0), minor=0, uuid=None, extra="GPU Excluded:\t Yes\n"
        )
    }
    assert [row[0] for row in rows(entries) if row[0][-1].isdigit() and "cap" not in row[0]] == ["/dev/nvidia1"]


def test_without_a_driver_no_module_is_loaded() -> None:
    assert rows({"/proc/devices": text("Character devices:\n  1 mem\n\n")}) == [
        ("/dev/nvidiactl", None, 255, "0666 0:0", "module not loaded"),
        ("/dev/nvidia-uvm", None, 0, "0666 0:0", "module not loaded"),
        ("/dev/nvidia-uvm-tools", None, 1, "0666 0:0", "module not loaded"),
        ("/dev/nvidia-modeset", None, 254, "0666 0:0", "module not loaded"),
    ]


@pytest.mark.parametrize("devices", [None, "Character devices:\n  1 mem\n\n"])
def test_where_the_majors_are_hidden_minors_are_compared(devices: str | None) -> None:
    entries = without(proc_entries() | node_entries(), "/proc/devices", "/dev/nvidia0")
    entries["/dev/nvidiactl"] = char(195, 254)
    if devices is not None:
        entries["/proc/devices"] = text(devices)
    nodes, findings = look(entries)
    assert findings == [
        (
            "warning majors-unknown /proc/devices tells no major number of the driver, which is loaded, so only minors"
            " are compared and no node can be made; name the host's procfs with --procfs"
        )
    ]
    assert [(node.path, node.major, node.state) for node in nodes] == [
        ("/dev/nvidiactl", None, "wrong device"),
        ("/dev/nvidia-uvm", None, "ok"),
        ("/dev/nvidia-uvm-tools", None, "ok"),
        ("/dev/nvidia-modeset", None, "ok"),
        ("/dev/nvidia0", None, "missing"),
        ("/dev/nvidia-caps/nvidia-cap1", None, "ok"),
        ("/dev/nvidia-caps/nvidia-cap2", None, "ok"),
    ]


@pytest.mark.parametrize(
    ("path", "entry", "finding", "gone"),
    [
        (
            f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information",
            text("Model: \t\t X\n"),
            (
                f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information: no Device Minor; which device node this GPU has is"
                " not known; see what the driver says in the kernel log: dmesg | grep -i nvrm"
            ),
            "/dev/nvidia0",
        ),
        (
            f"{CAPABILITIES}/mig/config",
            text("DeviceFileMinor: 1\n"),
            (
                f"{CAPABILITIES}/mig/config: no line DeviceFileMode; which device node stands for the right to create"
                " MIG instances is not known"
            ),
            "/dev/nvidia-caps/nvidia-cap1",
        ),
        (
            f"{CAPABILITIES}/mig/config",
            access(1 << 20),
            f"{CAPABILITIES}/mig/config: no device has the minor 1048576; its node is left out",
            "/dev/nvidia-caps/nvidia-cap1",
        ),
        (
            "/dev/nvidia-caps",
            unreadable("EACCES", "dir"),
            (
                "/dev/nvidia-caps/nvidia-cap1: Permission denied; whether the node of the right to create MIG instances"
                " is there is not known; run as a user who may read it"
            ),
            "/dev/nvidia-caps/nvidia-cap1",
        ),
    ],
)
def test_what_cannot_be_read_is_a_finding(path: str, entry: Entry, finding: str, gone: str) -> None:
    nodes, findings = look(proc_entries() | {path: entry})
    assert f"warning unusable-file {finding}" in findings
    assert gone not in [node.path for node in nodes]
    assert "/dev/nvidia-uvm" in [node.path for node in nodes]


@pytest.mark.parametrize(
    "directory",
    [
        "/proc/driver/nvidia/gpus",
        CAPABILITIES,
        f"{CAPABILITIES}/gpu0/mig",
        f"{CAPABILITIES}/gpu0/mig/gi1",
        "/proc/driver/nvidia-nvswitch/devices",
        "/dev/nvidia-caps-imex-channels",
    ],
)
def test_a_directory_that_cannot_be_read_is_a_finding_and_the_other_nodes_are_known(directory: str) -> None:
    entries = proc_entries() | mig_entries(0, (1, 0))
    below = {path for path in entries if path.startswith(f"{directory}/")}
    nodes, findings = look(without(entries, *below) | {directory: unreadable("EIO", "dir")})
    finding = (
        f"warning unusable-file {directory}: Input/output error; the device nodes that it tells of are left out; see"
        f" what it is with: ls -ld {directory}"
    )
    assert finding in findings
    assert {"/dev/nvidiactl", "/dev/nvidia-uvm"} <= {node.path for node in nodes}


def test_damaged_parameters_leave_the_nodes_alone() -> None:
    nodes, findings = look(proc_entries(params="DeviceFileMode: 666\n"))
    assert findings == [
        (
            "warning unusable-file /proc/driver/nvidia/params: DeviceFileMode 666 is not a file mode; it is decimal, so"
            " that 0666 is 438; mode and owner of its device nodes are not known, so none of them is made"
        )
    ]
    assert [node.path for node in nodes if not node.modify] == ["/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia0"]


def test_parameters_that_are_not_there_are_the_defaults() -> None:
    assert {row[3] for row in rows(proc_entries(params=None)) if "cap" not in row[0]} == {"0666 0:0"}


def test_two_files_that_name_one_minor_make_one_node() -> None:
    entries = proc_entries() | {f"{CAPABILITIES}/mig/monitor": access(1)}
    nodes, findings = look(entries)
    assert [node.why for node in nodes if node.minor == 1 and "caps" in node.path] == [
        "the right to create MIG instances"
    ]
    path = f"{CAPABILITIES}/mig/monitor"
    assert findings == [
        (
            f"warning unusable-file {path}: it tells the minor 1, as {CAPABILITIES}/mig/config does;"
            " /dev/nvidia-caps/nvidia-cap1 is made for the right to create MIG instances alone"
        )
    ]


@given(
    minors=st.lists(st.integers(0, 40), unique=True, max_size=6),
    places=st.lists(st.tuples(st.integers(0, 31), st.integers(0, 14), st.integers(0, 7)), unique=True, max_size=12),
    present=st.integers(0, 2**64 - 1),
)
def test_every_gpu_and_instance_has_its_nodes_whatever_is_there(
    minors: list[int], places: list[tuple[int, int, int]], present: int
) -> None:
    entries = proc_entries(gpus=0)
    for index, minor in enumerate(minors):
        bdf = bdf_of(index)
        entries[f"/proc/driver/nvidia/gpus/{bdf}/information"] = information(bdf=bdf, minor=minor, uuid=None)
        entries[f"/dev/nvidia{minor}"] = char(195, minor, "0660", "0:44")
    for gpu, gi, ci in places:
        entries |= mig_entries(gpu, (gi, ci))
    there = [path for path in entries if path.startswith("/dev/")]
    for position, path in enumerate(there):
        if present >> position & 1:
            del entries[path]
    wanted = {f"/dev/nvidia{minor}" for minor in minors} | {
        f"/dev/nvidia-caps/nvidia-cap{3 + 135 * gpu + 9 * gi + part}" for gpu, gi, ci in places for part in (0, 1 + ci)
    }
    nodes, findings = look(dict(sorted(entries.items(), reverse=bool(present & 1))))
    assert findings == []
    assert nodes == look(entries)[0]
    assert {node.path for node in nodes if node.required} == wanted | {"/dev/nvidiactl", "/dev/nvidia-uvm"}
    assert len({node.path for node in nodes}) == len(nodes)
    for node in nodes:
        assert node.state == ("ok" if node.path in entries else "missing")


@given(st.binary(max_size=80) | st.sampled_from([DEVICES.encode(), DEVICES.encode()[:40]]))
def test_any_bytes_in_procfs_are_a_result(data: bytes) -> None:
    damaged: Entry = {"kind": "file", "base64": base64.b64encode(data).decode()}
    entries = proc_entries()
    for path in list(entries):
        if path.startswith("/proc/") and entries[path]["kind"] == "file":
            entries[path] = damaged
    nodes, findings = look(entries)
    assert [node.path for node in nodes][:4] == [row[0] for row in EXPECTED[:4]]
    assert all("\n" not in finding for finding in findings)
