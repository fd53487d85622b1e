"""What every command says on a Jetson, and what none says there."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from cdigen.schema import find_schema_violations
from tests.golden.hosts import GOLDEN
from tests.hosts import char, library, text

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost

HOST = GOLDEN / "jetson-orin-540"
SNAPSHOT = HOST / "snapshot.yaml"
HOSTS = [path.name for path in sorted(GOLDEN.glob("jetson-*"))]
FORBIDDEN = ("modprobe", "nvidia.ko", "cdigen nodes", "install the driver", "user-space driver")
"""What nobody may be told to load, make or install there: Jetson Linux has it all."""


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("verb", ["list", "doctor", "check", "explain", "diff"])
def test_no_verb_gives_advice_for_cards(host: str, verb: str, cdigen: Cdigen) -> None:
    spec = ("--spec", GOLDEN / host / "nvidia.yaml") if verb in ("diff", "check") else ()
    run = cdigen(verb, "--snapshot", GOLDEN / host / "snapshot.yaml", *spec)

    assert run.code == 0
    assert [word for word in FORBIDDEN if word in run.out + run.err] == []


def test_it_is_offered_as_one_device_and_as_all(cdigen: Cdigen) -> None:
    run = cdigen("list", "--json", "--snapshot", SNAPSHOT)

    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert [(device["name"], len(device["nodes"])) for device in report["devices"]] == [("0", 36), ("all", 36)]


def test_with_fewer_capabilities_there_are_fewer_mounts(cdigen: Cdigen) -> None:
    counts = {}
    for capabilities in ("all", "compute", "compute,utility", "video", "graphics"):
        run = cdigen("explain", "--json", "--snapshot", SNAPSHOT, "--capabilities", capabilities)
        counts[capabilities] = sum(
            len(one["containerPaths"]) if "containerPaths" in one else len(one["mounts"])
            for one in json.loads(run.out)["files"]
        )

    assert counts["compute"] < counts["compute,utility"] < counts["all"] / 3
    assert counts["graphics"] < counts["video"] < counts["all"]


def test_nothing_is_to_be_made_there(cdigen: Cdigen) -> None:
    run = cdigen("nodes", "--snapshot", SNAPSHOT)

    assert (run.code, run.out) == (3, "")
    assert run.err == "cdigen: error: this host is a Jetson, whose device nodes the kernel and udev make\n"


def test_doctor_speaks_of_its_nodes_and_its_release(cdigen: Cdigen) -> None:
    run = cdigen("doctor", "--snapshot", SNAPSHOT)

    lines = run.out.splitlines()
    assert lines[0] == (
        "ok       nodes    /dev: 36 device nodes of a Jetson; 32 are open to root and their group alone"
    )
    assert lines[2] == (
        "ok       driver   /usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1.1: the driver of Jetson Linux 36.3.0; 156"
        " libraries"
    )
    assert run.code == 0


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("", "", 0),
        ("REVISION: 3.0", "REVISION: 4.0", 0),  # the same files at the same places
        ("libnvidia-eglcore.so.540.3.0", "libnvidia-eglcore.so.540.4.0", 1),
        ("/dev/nvgpu/igpu0/", "/dev/nvgpu/igpu1/", 1),
    ],
)
def test_check_says_whether_the_spec_is_still_true(
    old: str, new: str, code: int, tmp_path: Path, cdigen: Cdigen
) -> None:
    spec, later = tmp_path / "nvidia.yaml", tmp_path / "later.yaml"
    cdigen("generate", "--snapshot", SNAPSHOT, "-o", spec)
    later.write_text(SNAPSHOT.read_text().replace(old, new) if old else SNAPSHOT.read_text())

    run = cdigen("check", "--spec", spec, "--snapshot", later)

    assert run.code == code
    assert [word for word in FORBIDDEN if word in run.out + run.err] == []


def test_a_jetson_whose_driver_is_incomplete_is_not_right_as_it_is(tmp_path: Path, cdigen: Cdigen) -> None:
    host = tmp_path / "host.yaml"
    lines = SNAPSHOT.read_text().splitlines(keepends=True)
    gone = ("libcuda.so.1.1:", "/dev/nvidia", "/proc/", "/etc/cdi")
    host.write_text("".join(line for line in lines if not any(part in line for part in gone)))

    run = cdigen("check", "--snapshot", host)

    assert run.out.splitlines()[0] == "unknown  spec     /etc/cdi and /var/run/cdi: not recorded in the snapshot"


@pytest.mark.parametrize(
    "arguments", [("--create-nodes",), ("--wait", "1h"), ("--create-nodes", "--wait", "1h", "--all-modes"), ()]
)
def test_at_boot_nothing_is_made_or_waited_for_and_the_spec_is_written(
    arguments: tuple[str, ...], make_host: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    folder = "/usr/lib/aarch64-linux-gnu/nvidia"
    root = make_host(
        {
            f"{folder}/libcuda.so.1.1": library("libplain.so.1"),
            "/etc/nv_tegra_release": text("# R36 (release), REVISION: 3.0, GCID: 0\n"),
            "/dev/nvhost-ctrl-gpu": char(508, 3),
        }
    )
    start = time.monotonic()

    run = cdigen("generate", "--host-root", root, "-o", tmp_path / "out/nvidia.yaml", "--create-dirs", *arguments)

    assert (run.code, run.out) == (0, "")
    assert run.err.splitlines()[0] == (
        f"cdigen: wrote {tmp_path}/out/nvidia.yaml: driver Jetson Linux 36.3.0, 2 devices, 1 node, 8 mounts"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["nvidia.yaml"]
    assert time.monotonic() - start < 60


def test_a_platform_that_the_user_names_counts_and_stays_with_the_spec(tmp_path: Path, cdigen: Cdigen) -> None:
    host, spec = tmp_path / "host.yaml", tmp_path / "nvidia.yaml"
    lines = SNAPSHOT.read_text().splitlines(keepends=True)
    host.write_text("".join(line for line in lines if "nv_tegra_release" not in line and "/soc0/" not in line))

    refused = cdigen("generate", "--snapshot", host, "-o", spec)
    written = cdigen("generate", "--snapshot", host, "-o", spec, "--platform", "tegra")
    checked = cdigen("check", "--snapshot", host, "--spec", spec)

    assert (refused.code, written.code, checked.code) == (3, 0, 0)
    assert spec.read_text().splitlines()[2] == "# Options: --platform=tegra"


@pytest.mark.parametrize(
    ("platform", "host", "code", "said"),
    [
        (
            "pci",
            "jetson-orin-540",
            3,
            "no NVIDIA driver: neither /proc/driver/nvidia/version nor a libcuda.so.<version>",
        ),
        ("wsl", "jetson-orin-540", 3, "this host is WSL2 and no driver package of NVIDIA is in /usr/lib/wsl/drivers"),
        ("tegra", "wsl2-581", 3, "this host is a Jetson and has no libcuda that can be used below /"),
    ],
)
def test_a_platform_that_the_host_is_not_is_refused(
    platform: str, host: str, code: int, said: str, tmp_path: Path, cdigen: Cdigen
) -> None:
    snapshot = GOLDEN / host / "snapshot.yaml"
    run = cdigen("generate", "--platform", platform, "--snapshot", snapshot, "-o", tmp_path / "x.yaml")

    assert (run.code, run.out, list(tmp_path.iterdir())) == (code, "", [])
    assert run.err.splitlines()[-1].startswith(f"cdigen: error: {said}")


def test_a_snapshot_and_a_record_keep_the_platform_that_the_user_named(
    make_host: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    folder = "/usr/lib/aarch64-linux-gnu/nvidia"
    root = make_host({f"{folder}/libcuda.so.1.1": library("libplain.so.1"), "/dev/nvhost-ctrl-gpu": char(508, 3)})
    taken, record, spec = tmp_path / "host.yaml", tmp_path / "facts.yaml", tmp_path / "cdi/nvidia.yaml"
    live = ("--host-root", root)
    options = ("--create-dirs", "-o", spec, "--record", record)

    assert cdigen("snapshot", *live, "--platform", "tegra", "-o", taken).code == 0
    assert cdigen("generate", *live, "--platform", "tegra", *options).code == 0
    again = cdigen("generate", "--snapshot", taken, "-o", tmp_path / "again.yaml")
    unchanged = cdigen("diff", "--facts", record, *live)

    assert again.code == 0
    assert (tmp_path / "again.yaml").read_bytes() == spec.read_bytes()
    assert (unchanged.code, unchanged.out, unchanged.err) == (0, "", "")
    assert "\nplatform: tegra\n" in taken.read_text()
    assert "\nplatform: tegra\n" in record.read_text()
    assert cdigen("list", "--snapshot", taken, "--platform", "pci").code == 3
