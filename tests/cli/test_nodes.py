"""cdigen nodes and generate --create-nodes: what they say and what they make, on trees with real device nodes."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from cdigen.schema import find_schema_violations
from tests.cli.program import run_program
from tests.hosts import Entries, char, link, mig_entries, minimal_entries, text, without
from tests.nodes import DEVICES, OLD_DEVICES, PARAMS, node_entries, proc_entries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost, MakeSnapshot

RIGHT = """\
PATH                          NUMBERS  MODE  OWNER  STATE
/dev/nvidiactl                195:255  0660  0:44   {0}
/dev/nvidia-uvm               511:0    0666  0:0    {0}
/dev/nvidia-uvm-tools         511:1    0666  0:0    {0}
/dev/nvidia-modeset           195:254  0660  0:44   {0}
/dev/nvidia0                  195:0    0660  0:44   {0}
/dev/nvidia-caps/nvidia-cap1  508:1    0400  0:0    {0}
/dev/nvidia-caps/nvidia-cap2  508:2    0444  0:0    {0}
/dev/nvidia-nvlink            510:0    0666  0:0    {0}
"""
MADE = """\
cdigen: made /dev/nvidiactl: 195:255, mode 0660, owner 0:44
cdigen: made /dev/nvidia-uvm: 511:0, mode 0666, owner 0:0
cdigen: made /dev/nvidia-uvm-tools: 511:1, mode 0666, owner 0:0
cdigen: made /dev/nvidia-modeset: 195:254, mode 0660, owner 0:44
cdigen: made /dev/nvidia0: 195:0, mode 0660, owner 0:44
cdigen: made /dev/nvidia-caps/nvidia-cap1: 508:1, mode 0400, owner 0:0
cdigen: made /dev/nvidia-caps/nvidia-cap2: 508:2, mode 0444, owner 0:0
cdigen: made /dev/nvidia-nvlink: 510:0, mode 0666, owner 0:0
"""


def facts_below(root: Path) -> dict[str, tuple[str, str, str]]:
    """Return type and mode, owner, and numbers or link target of everything below a directory."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        about = os.readlink(path) if path.is_symlink() else f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        found[str(path.relative_to(root))] = (
            stat.filemode(status.st_mode),
            f"{status.st_uid}:{status.st_gid}",
            about,
        )
    return found


def identities_below(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return what would differ if anything had been touched: inodes and times of change."""
    return {
        str(path): (path.lstat().st_ino, path.lstat().st_ctime_ns, path.lstat().st_mtime_ns)
        for path in [
            root,
            *(found for part in root.iterdir() if part.name != "proc" for found in [part, *part.rglob("*")]),
        ]
    }


# What is there


def test_a_host_without_nodes(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    run = cdigen("nodes", "--snapshot", make_snapshot(proc_entries()))

    assert (run.code, run.out, run.err) == (0, RIGHT.format("missing"), "")


def test_what_is_there_and_what_should_be(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    entries = proc_entries(devices=DEVICES.replace("195 nvidia-modeset\n", "")) | {
        "/dev/nvidiactl": char(195, 255, "0666", "44:44"),
        "/dev/nvidia-uvm": char(234, 0),
        "/dev/nvidia-uvm-tools": text("a file"),
        "/dev/nvidia-modeset": char(195, 254),
        "/dev/nvidia0": link("nowhere"),
    }
    run = cdigen("nodes", "--snapshot", make_snapshot(entries))

    assert (run.code, run.err) == (0, "")
    assert run.out == (
        "PATH                          NUMBERS           MODE            OWNER            STATE\n"
        "/dev/nvidiactl                195:255           0666, not 0660  44:44, not 0:44  other mode\n"
        "/dev/nvidia-uvm               234:0, not 511:0  0666            0:0              wrong device\n"
        "/dev/nvidia-uvm-tools         file, not 511:1   0666            0:0              wrong device\n"
        "/dev/nvidia-modeset           195:254           0666, not 0660  0:0, not 0:44    module not loaded\n"
        "/dev/nvidia0                  link, not 195:0   0660            0:44             wrong device\n"
        "/dev/nvidia-caps/nvidia-cap1  508:1             0400            0:0              missing\n"
        "/dev/nvidia-caps/nvidia-cap2  508:2             0444            0:0              missing\n"
        "/dev/nvidia-nvlink            510:0             0666            0:0              missing\n"
    )


def test_the_report_of_a_host_has_everything(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    entries = proc_entries(devices="x") | {"/dev/nvidia0": char(195, 0, "0666", "0:44")}
    run = cdigen("nodes", "--json", "--snapshot", make_snapshot(entries))

    report = json.loads(run.out)
    assert (run.code, run.err) == (0, "")
    assert find_schema_violations(report, "report") == ()
    assert (report["report"], report["actions"]) == ("nodes", [])
    assert [finding["code"] for finding in report["findings"]] == ["unusable-file", "majors-unknown"]
    assert report["nodes"][4] == {
        "path": "/dev/nvidia0",
        "hostPath": "/dev/nvidia0",
        "state": "other mode",
        "driver": "nvidia",
        "major": None,
        "minor": 0,
        "mode": "0660",
        "owner": "0:44",
        "modify": True,
        "required": True,
        "source": "/proc/driver/nvidia/gpus/0000:01:00.0/information",
        "why": "GPU 0000:01:00.0",
        "found": {"kind": "char", "numbers": "195:0", "mode": "0666", "owner": "0:44"},
    }


def test_a_snapshot_of_a_host_has_the_same_table(make_host: MakeHost, tmp_path: Path, cdigen: Cdigen) -> None:
    entries = minimal_entries() | proc_entries() | node_entries() | mig_entries(0, (2, 0))
    entries |= {
        "/dev/nvidia-uvm": char(511, 0, "0600", "7:8"),
        "/dev/nvidia-caps-imex-channels/channel3": char(234, 3),
        "/proc/driver/nvidia-nvswitch/devices/0000:05:00.0/information": text("BIOS Version: N/A\n"),
        "/proc/driver/nvidia-nvlink/permissions": text("DeviceFileMode: 438\n"),
    }
    snapshot = tmp_path / "snapshot.yaml"
    root = make_host(entries)
    live = cdigen("nodes", "--host-root", root)
    recorded = cdigen("snapshot", "--host-root", root, "-o", snapshot)

    assert (live.code, recorded.code) == (0, 0)
    assert "/dev/nvidia-uvm                          511:0    0600, not 0666  7:8, not 0:0   other mode" in live.out
    assert cdigen("nodes", "--snapshot", snapshot) == live
    assert "owner: 7:8" in snapshot.read_text() or "owner: '7:8'" in snapshot.read_text()


def test_a_snapshot_of_a_host_that_generate_refuses_has_the_same_table(
    make_host: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    root = make_host(proc_entries())
    cdigen("snapshot", "--host-root", root, "-o", tmp_path / "snapshot.yaml")

    assert cdigen("nodes", "--snapshot", tmp_path / "snapshot.yaml").out == RIGHT.format("missing")


# What is made


@pytest.mark.parametrize("devices", [DEVICES, OLD_DEVICES])
def test_nodes_that_are_missing_are_made_once(devices: str, make_machine: MakeHost, cdigen: Cdigen) -> None:
    root = make_machine(proc_entries(devices=devices))
    is_old = devices == OLD_DEVICES
    table = RIGHT.format("ok")
    made = MADE
    if is_old:
        table, made = table[: table.index("/dev/nvidia-nvlink")], made[: made.index("cdigen: made /dev/nvidia-nvlink")]

    first = cdigen("nodes", "--create", "--host-root", root)
    before = identities_below(root)
    second = cdigen("nodes", "--create", "--host-root", root)

    assert (first.code, first.out, first.err) == (0, table, made)
    assert (second.code, second.out, second.err) == (0, table, "")
    assert identities_below(root) == before
    expected = {
        "nvidia-caps": ("drwxr-xr-x", "0:0", "0:0"),
        "nvidia-caps/nvidia-cap1": ("cr--------", "0:0", "508:1"),
        "nvidia-caps/nvidia-cap2": ("cr--r--r--", "0:0", "508:2"),
        "nvidia-modeset": ("crw-rw----", "0:44", "195:254"),
        "nvidia-nvlink": ("crw-rw-rw-", "0:0", "510:0"),
        "nvidia-uvm": ("crw-rw-rw-", "0:0", "511:0"),
        "nvidia-uvm-tools": ("crw-rw-rw-", "0:0", "511:1"),
        "nvidia0": ("crw-rw----", "0:44", "195:0"),
        "nvidiactl": ("crw-rw----", "0:44", "195:255"),
    }
    if is_old:
        del expected["nvidia-nvlink"]
    assert facts_below(root / "dev") == expected


def test_what_is_right_or_has_another_mode_is_left_alone(make_machine: MakeHost, cdigen: Cdigen) -> None:
    entries = proc_entries() | node_entries() | {"/dev/nvidia0": char(195, 0, "0600", "0:44")}
    root = make_machine(without(entries, "/dev/nvidia-uvm-tools"))
    before = identities_below(root)

    run = cdigen("nodes", "--create", "--host-root", root)

    assert run.code == 0
    assert run.err == (
        "cdigen: note: /dev/nvidia0 has mode 0600 and owner 0:44 where the driver's settings say 0660 and 0:44; it is"
        " left as it is\n"
        "cdigen: made /dev/nvidia-uvm-tools: 511:1, mode 0666, owner 0:0\n"
    )
    after = identities_below(root)
    assert {path for path in after if after[path] != before.get(path)} == {
        f"{root}/dev",
        f"{root}/dev/nvidia-uvm-tools",
    }


def test_another_device_is_replaced(make_machine: MakeHost, cdigen: Cdigen) -> None:
    entries = {
        **proc_entries(),
        **node_entries(),
        "/dev/nvidia-uvm": char(234, 0),
        "/dev/nvidia-uvm-tools": text("a file"),
        "/dev/nvidia0": link("/etc/passwd"),
    }
    root = make_machine(entries)

    run = cdigen("nodes", "--create", "--host-root", root)

    assert (run.code, run.out) == (0, RIGHT.format("ok"))
    assert run.err == (
        "cdigen: replaced /dev/nvidia-uvm: 511:0, mode 0666, owner 0:0\n"
        "cdigen: replaced /dev/nvidia-uvm-tools: 511:1, mode 0666, owner 0:0\n"
        "cdigen: replaced /dev/nvidia0: 195:0, mode 0660, owner 0:44\n"
    )


def test_a_dry_run_makes_nothing(make_machine: MakeHost, cdigen: Cdigen) -> None:
    root = make_machine(proc_entries())
    before = identities_below(root)

    run = cdigen("nodes", "--create", "--dev-char", "--dry-run", "--host-root", root)

    assert (run.code, run.out) == (0, RIGHT.format("missing"))
    assert run.err.startswith(MADE.replace("made", "would make"))
    assert run.err.splitlines()[8:10] == [
        "cdigen: would link /dev/char/195:255 to ../nvidiactl",
        "cdigen: would link /dev/char/511:0 to ../nvidia-uvm",
    ]
    assert identities_below(root) == before


def test_the_report_has_what_was_made(make_machine: MakeHost, cdigen: Cdigen) -> None:
    root = make_machine(without(proc_entries() | node_entries(), "/dev/nvidia0") | {"/dev/nvidiactl": char(9, 9)})

    reports = []
    for options in (["--dry-run"], [], []):
        run = cdigen("nodes", "--create", "--json", "--host-root", root, *options)
        assert (run.code, run.err) == (0, "")
        reports.append(json.loads(run.out))
        assert find_schema_violations(reports[-1], "report") == ()
    would, did, nothing = (report["actions"] for report in reports)
    assert did == [
        {
            "action": "replace",
            "path": "/dev/nvidiactl",
            "detail": "195:255, mode 0660, owner 0:44",
            "done": True,
        },
        {"action": "make", "path": "/dev/nvidia0", "detail": "195:0, mode 0660, owner 0:44", "done": True},
    ]
    assert would == [{**action, "done": False} for action in did]
    assert nothing == []
    assert {node["state"] for node in reports[1]["nodes"]} == {"ok"}


def test_nodes_are_made_below_the_device_root(make_machine: MakeHost, cdigen: Cdigen) -> None:
    root = make_machine({**proc_entries(), "/run/driver/dev": {"kind": "dir"}})

    run = cdigen("nodes", "--create", "--host-root", root, "--dev-root", "/run/driver")

    assert run.code == 0
    assert run.err == MADE.replace(" /dev/", " /run/driver/dev/")
    assert not list((root / "dev").iterdir())
    assert (root / "run/driver/dev/nvidia0").is_char_device()


@pytest.mark.parametrize("umask", ["0077", "0000"])
def test_the_umask_does_not_matter(umask: str, make_machine: MakeHost) -> None:
    root = make_machine(proc_entries())
    run = run_program("nodes", "--create", "--host-root", root, before=("sh", "-c", f'umask {umask}; exec "$@"', "sh"))

    assert run.code == 0
    facts = facts_below(root / "dev")
    assert (facts["nvidia-uvm"][0], facts["nvidia-caps"][0]) == ("crw-rw-rw-", "drwxr-xr-x")
    assert facts["nvidia-caps/nvidia-cap1"][0] == "cr--------"


# What cannot be made


def test_nodes_of_the_administrator_are_not_made(make_machine: MakeHost, cdigen: Cdigen) -> None:
    root = make_machine(proc_entries(params="ModifyDeviceFiles: 0\n"))

    run = cdigen("nodes", "--create", "--host-root", root)

    assert run.code == 5
    assert run.err.splitlines()[0] == (
        "cdigen: warning: /dev/nvidiactl, /dev/nvidia-modeset are left to the administrator"
        " (/proc/driver/nvidia/params); make them, or set NVreg_ModifyDeviceFiles=1"
    )
    assert run.err.splitlines()[-1] == (
        "cdigen: error: /dev/nvidiactl, /dev/nvidia0 are not there, and containers need them; make those that are left"
        " to the administrator, or set NVreg_ModifyDeviceFiles=1"
    )
    assert sorted(facts_below(root / "dev")) == [
        "nvidia-caps",
        "nvidia-caps/nvidia-cap1",
        "nvidia-caps/nvidia-cap2",
        "nvidia-nvlink",
        "nvidia-uvm",
        "nvidia-uvm-tools",
    ]


def test_a_module_that_is_not_loaded_is_exit_5_after_all_others_were_made(
    make_machine: MakeHost, cdigen: Cdigen
) -> None:
    root = make_machine(proc_entries(devices=DEVICES.replace("511 nvidia-uvm\n", "")))

    run = cdigen("nodes", "--create", "--host-root", root)

    assert run.code == 5
    assert run.err == (
        "cdigen: warning: the module nvidia-uvm is not loaded, so /dev/nvidia-uvm, /dev/nvidia-uvm-tools cannot be"
        " made; load it with: modprobe nvidia-uvm\n"
        + "".join(line for line in MADE.splitlines(keepends=True) if "uvm" not in line)
        + "cdigen: error: /dev/nvidia-uvm is not there, and containers need it; load the module with: modprobe"
        " nvidia-uvm\n"
    )
    assert run.out == RIGHT.format("ok").replace(
        "511:0    0666  0:0    ok", "?:0      0666  0:0    module not loaded"
    ).replace("511:1    0666  0:0    ok", "?:1      0666  0:0    module not loaded")


def test_a_module_that_not_all_containers_need_is_a_warning(make_machine: MakeHost, cdigen: Cdigen) -> None:
    root = make_machine(proc_entries(devices=DEVICES.replace("195 nvidia-modeset\n", "")))

    run = cdigen("nodes", "--create", "--host-root", root)

    assert (run.code, run.err.splitlines()[0]) == (
        0,
        (
            "cdigen: warning: the module nvidia-modeset is not loaded, so /dev/nvidia-modeset cannot be made; load it"
            " with: modprobe nvidia-modeset"
        ),
    )


def test_no_driver_is_exit_3(make_machine: MakeHost, cdigen: Cdigen) -> None:
    root = make_machine({"/proc/devices": text("Character devices:\n  1 mem\n\n"), "/dev": {"kind": "dir"}})

    run = cdigen("nodes", "--create", "--host-root", root)

    assert (run.code, run.err.splitlines()[-1]) == (
        3,
        (
            "cdigen: error: the NVIDIA driver is not loaded: /proc/devices has none of its names; load it with:"
            " modprobe nvidia"
        ),
    )
    assert facts_below(root / "dev") == {}


def test_majors_that_are_not_known_are_exit_5(make_machine: MakeHost, cdigen: Cdigen) -> None:
    root = make_machine(without(proc_entries(), "/proc/devices"))

    run = cdigen("nodes", "--create", "--host-root", root)

    assert (run.code, run.err.splitlines()[-1]) == (
        5,
        (
            "cdigen: error: /dev/nvidiactl, /dev/nvidia-uvm, /dev/nvidia0 are not there, and containers need them; name"
            " the host's procfs with --procfs"
        ),
    )
    assert facts_below(root / "dev") == {}


def test_a_link_that_leads_out_of_the_host_is_an_error_and_the_others_are_made(
    make_machine: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    (tmp_path / "outside").mkdir()
    root = make_machine(
        {**proc_entries(), "/dev/nvidia-caps": link("../../outside"), "/dev/nvidia-uvm": {"kind": "dir"}}
    )

    run = cdigen("nodes", "--create", "--host-root", root)

    assert (run.code, run.out) == (7, "")
    assert run.err == (
        "cdigen: warning: cannot make /dev/nvidia-caps: /dev/nvidia-caps is a symbolic link or a file, where a"
        " directory has to be; remove it\n"
        "cdigen: error: cannot make /dev/nvidia-uvm: Is a directory; remove the directory that is in its place\n"
    )
    assert list((tmp_path / "outside").iterdir()) == []
    assert (root / "dev/nvidia-nvlink").is_char_device()


def test_who_may_not_make_nodes_is_told_once(make_machine: MakeHost) -> None:
    root = make_machine(proc_entries())
    run = run_program("nodes", "--create", "--host-root", root, before=("setpriv", "--bounding-set=-mknod"))

    assert (run.code, run.out) == (7, "")
    assert run.err == (
        "cdigen: error: cannot make /dev/nvidiactl, /dev/nvidia-uvm, /dev/nvidia-uvm-tools, /dev/nvidia-modeset,"
        " /dev/nvidia0, /dev/nvidia-caps/nvidia-cap1, /dev/nvidia-caps/nvidia-cap2, /dev/nvidia-nvlink: Operation not"
        " permitted; run as root, in a container with the capability MKNOD\n"
    )
    assert facts_below(root / "dev") == {"nvidia-caps": ("drwxr-xr-x", "0:0", "0:0")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["nodes", "--create", "--dry-run"],
            "--create changes a host and cannot be used together with --snapshot; leave one of them out",
        ),
        (
            ["nodes", "--dev-char"],
            "--dev-char changes a host and cannot be used together with --snapshot; leave one of them out",
        ),
        (
            ["nodes", "--dry-run"],
            "--dry-run says what --create or --dev-char would do; add one of them, or leave it out",
        ),
        (
            ["generate", "--create-nodes", "-o", "-"],
            "--create-nodes changes a host and cannot be used together with --snapshot; leave one of them out",
        ),
    ],
)
def test_options_that_have_no_meaning_together(
    options: list[str], message: str, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    run = cdigen(*options, "--snapshot", make_snapshot(proc_entries()))

    assert (run.code, run.out, run.err) == (2, "", f"cdigen: error: {message}\n")


# Whose numbers they are


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (("nodes", "--create"), "--create"),
        (("nodes", "--create", "--dry-run"), "--create"),
        (("nodes", "--dev-char"), "--dev-char"),
        (("generate", "--create-nodes"), "--create-nodes"),
    ],
)
def test_a_tree_that_is_no_running_host_tells_no_numbers(
    options: tuple[str, ...], option: str, make_host: MakeHost, cdigen: Cdigen
) -> None:
    root = make_host(proc_entries(devices=DEVICES.replace("508 nvidia-caps", "1 nvidia-caps")))
    before = identities_below(root)

    run = cdigen(*options, "--host-root", root)
    by_procfs = cdigen(*options, "--host-root", root, "--procfs", root / "proc")

    assert (run.code, run.out) == (7, "")
    assert run.err == (
        f"cdigen: error: {option} takes device numbers from the kernel alone, and {root}/proc is not a procfs of this"
        " machine; name one with --procfs /proc\n"
    )
    assert by_procfs == run
    assert identities_below(root) == before


def test_a_tree_without_procfs_tells_no_numbers(make_host: MakeHost, cdigen: Cdigen) -> None:
    root = make_host({"/dev": {"kind": "dir"}})

    run = cdigen("nodes", "--create", "--host-root", root)

    assert (run.code, run.err.partition(" takes")[0]) == (7, "cdigen: error: --create")


@pytest.mark.parametrize("major", [1, 8, 194, 196, 233, 255, 383, 512, 4095])
def test_a_number_that_no_driver_of_nvidia_has_makes_no_node(
    major: int, make_machine: MakeHost, cdigen: Cdigen
) -> None:
    root = make_machine(proc_entries(devices=DEVICES.replace("508 nvidia-caps", f"{major} nvidia-caps")))

    run = cdigen("nodes", "--create", "--dev-char", "--host-root", root)

    assert (run.code, run.out) == (7, "")
    assert run.err == (
        "cdigen: error: cannot make /dev/nvidia-caps/nvidia-cap1, /dev/nvidia-caps/nvidia-cap2: /proc/devices gives its"
        f" driver the major number {major}, and a driver of NVIDIA's has 195, 234 to 254 or 384 to 511; see which"
        " driver that is: cat /proc/devices\n"
    )
    made = facts_below(root / "dev")
    assert made["nvidiactl"] == ("crw-rw----", "0:44", "195:255")
    assert [name for name in made if "nvidia-cap" in name or name.startswith(f"char/{major}:")] == []


@pytest.mark.parametrize("major", [195, 234, 254, 384, 511])
def test_a_number_that_the_kernel_gives_out_makes_nodes(major: int, make_machine: MakeHost, cdigen: Cdigen) -> None:
    root = make_machine(proc_entries(devices=DEVICES.replace("508 nvidia-caps", f"{major} nvidia-caps")))

    assert cdigen("nodes", "--create", "--host-root", root).code == 0
    assert facts_below(root / "dev")["nvidia-caps/nvidia-cap1"] == ("cr--------", "0:0", f"{major}:1")


# /dev/char


def test_links_to_the_nodes_are_made_once(make_machine: MakeHost, cdigen: Cdigen) -> None:
    root = make_machine(proc_entries() | node_entries() | {"/dev/nvidia0": char(195, 0, "0600", "0:44")})

    first = cdigen("nodes", "--dev-char", "--host-root", root)
    before = identities_below(root)
    second = cdigen("nodes", "--dev-char", "--host-root", root)

    links = {
        "195:255": "../nvidiactl",
        "511:0": "../nvidia-uvm",
        "511:1": "../nvidia-uvm-tools",
        "195:254": "../nvidia-modeset",
        "195:0": "../nvidia0",
        "508:1": "../nvidia-caps/nvidia-cap1",
        "508:2": "../nvidia-caps/nvidia-cap2",
        "510:0": "../nvidia-nvlink",
    }
    assert first.err == "".join(f"cdigen: linked /dev/char/{name} to {target}\n" for name, target in links.items())
    assert {name: os.readlink(root / "dev/char" / name) for name in os.listdir(root / "dev/char")} == links
    for name in links:
        assert os.path.samefile(root / "dev/char" / name, root / "dev" / links[name].removeprefix("../"))
    assert (second.code, second.out, second.err) == (0, first.out, "")
    assert identities_below(root) == before


def test_a_link_that_is_right_stays_and_another_is_replaced(make_machine: MakeHost, cdigen: Cdigen) -> None:
    entries: Entries = {
        **proc_entries(devices=OLD_DEVICES),
        **without(node_entries(), "/dev/nvidia-nvlink", "/dev/nvidia-caps"),
        "/dev/char/195:0": link("/dev/nvidia0"),  # as nvidia-ctk makes it
        "/dev/char/195:255": link("../nvidia0"),
        "/dev/char/195:254": link("../nowhere"),
        "/dev/char/511:0": text("a file"),
        "/dev/char/511:1": char(511, 1),
    }
    root = make_machine(entries)

    run = cdigen("nodes", "--dev-char", "--host-root", root)

    assert run.code == 0
    assert run.err == (
        "cdigen: warning: /dev/char/511:0 is a file and is left alone; remove it, so that it can be a link to"
        " /dev/nvidia-uvm\n"
        "cdigen: linked /dev/char/195:255 to ../nvidiactl\n"
        "cdigen: linked /dev/char/195:254 to ../nvidia-modeset\n"
        "cdigen: linked /dev/char/508:1 to ../nvidia-caps/nvidia-cap1\n"
        "cdigen: linked /dev/char/508:2 to ../nvidia-caps/nvidia-cap2\n"
    )
    assert facts_below(root / "dev/char") == {
        "195:0": ("lrwxrwxrwx", "0:0", "/dev/nvidia0"),
        "195:254": ("lrwxrwxrwx", "0:0", "../nvidia-modeset"),
        "195:255": ("lrwxrwxrwx", "0:0", "../nvidiactl"),
        "508:1": ("lrwxrwxrwx", "0:0", "../nvidia-caps/nvidia-cap1"),
        "508:2": ("lrwxrwxrwx", "0:0", "../nvidia-caps/nvidia-cap2"),
        "511:0": ("-rw-r--r--", "0:0", "0:0"),
        "511:1": ("crw-rw-rw-", "0:0", "511:1"),
    }


def test_nodes_to_come_are_linked_already_and_another_device_is_not(make_machine: MakeHost, cdigen: Cdigen) -> None:
    nodes = without(node_entries(), "/dev/nvidia0", "/dev/nvidia-caps", "/dev/nvidia-uvm-tools")
    root = make_machine(
        {
            **proc_entries(),
            **nodes,
            "/dev/nvidia-uvm": char(234, 0),
            "/dev/char/508:1": link("/dev/nvidia-caps/nvidia-cap1"),  # as nvidia-ctk makes it
            "/dev/char/508:2": link("../nvidia-caps/nvidia-cap1"),
            "/dev/char/511:0": link("../elsewhere"),
        }
    )

    first = cdigen("nodes", "--dev-char", "--host-root", root)
    before = identities_below(root)
    second = cdigen("nodes", "--dev-char", "--host-root", root)

    links = {
        "195:255": "../nvidiactl",
        "511:1": "../nvidia-uvm-tools",
        "195:254": "../nvidia-modeset",
        "195:0": "../nvidia0",
        "508:2": "../nvidia-caps/nvidia-cap2",
        "510:0": "../nvidia-nvlink",
    }
    assert (first.code, first.err) == (
        0,
        "".join(f"cdigen: linked /dev/char/{name} to {target}\n" for name, target in links.items()),
    )
    assert {name: os.readlink(root / "dev/char" / name) for name in os.listdir(root / "dev/char")} == {
        **links,
        "508:1": "/dev/nvidia-caps/nvidia-cap1",
        "511:0": "../elsewhere",
    }
    assert (second.code, second.err, identities_below(root)) == (0, "", before)


# generate --create-nodes


def host_without_nodes(params: str = PARAMS) -> Entries:
    nodes = [path for path in minimal_entries() if path.startswith("/dev/nvidia")]
    return {**without(minimal_entries(), *nodes), **proc_entries(params=params)}


def test_generate_makes_the_nodes_that_it_needs(make_machine: MakeHost, tmp_path: Path, cdigen: Cdigen) -> None:
    root, output = make_machine(host_without_nodes()), tmp_path / "nvidia.yaml"
    arguments = ("generate", "--host-root", root, "-o", output)

    refused = cdigen(*arguments)
    first = cdigen(*arguments, "--create-nodes")
    before = identities_below(root)
    second = cdigen(*arguments, "--create-nodes")

    assert refused.code == 5
    assert first.code == 0
    assert first.err.startswith(MADE + f"cdigen: wrote {output}: driver 999.88.77, 1 GPU")
    assert (second.code, second.err.partition(" driver")[0]) == (0, f"cdigen: unchanged: {output}:")
    assert identities_below(root) == before


def test_generate_without_a_driver_has_its_own_exit_code(
    make_machine: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    root = make_machine({"/proc/devices": text("Character devices:\n  1 mem\n\n"), "/dev": {"kind": "dir"}})

    run = cdigen("generate", "--create-nodes", "--host-root", root, "-o", tmp_path / "nvidia.yaml")

    assert run.code == 3
    assert not (tmp_path / "nvidia.yaml").exists()


def test_generate_that_may_not_make_nodes_writes_nothing(make_machine: MakeHost, tmp_path: Path) -> None:
    root = make_machine(host_without_nodes())
    run = run_program(
        "generate",
        "--create-nodes",
        "--host-root",
        root,
        "-o",
        tmp_path / "nvidia.yaml",
        before=("setpriv", "--bounding-set=-mknod"),
    )

    assert (run.code, run.err.partition(" /dev")[0]) == (7, "cdigen: error: cannot make")
    assert not (tmp_path / "nvidia.yaml").exists()


def test_a_mount_in_place_of_a_node_is_left_alone(
    make_machine: MakeHost, mount: Callable[..., None], cdigen: Cdigen
) -> None:
    root = make_machine({**proc_entries(), "/dev/nvidia0": text("a mount point")})
    mount(root / "dev/nvidia0", "--bind", "/dev/null")

    run = cdigen("nodes", "--create", "--host-root", root)

    assert (run.code, run.err) == (
        7,
        "cdigen: error: cannot make /dev/nvidia0: Device or resource busy; remove the mount that is on it\n",
    )
