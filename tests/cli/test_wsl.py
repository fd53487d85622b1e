"""What every command says on WSL2, and what none says there."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from cdigen.schema import find_schema_violations
from tests.golden.hosts import GOLDEN
from tests.hosts import char, library

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost

HOST = GOLDEN / "wsl2-581"
SNAPSHOT = HOST / "snapshot.yaml"
PACKAGE = "nvmii.inf_amd64_c5b5db3e12daa5e3"
LINUX = "cdigen: note: the Linux driver 550.120 (/usr/lib/x86_64-linux-gnu/libcuda.so.550.120) has no part in WSL2"
FORBIDDEN = ("modprobe", "nvidia.ko", "cdigen nodes", "install the driver", "/dev/nvidia")
"""What nobody may be told to load, make or install there: a Linux driver is how people break it."""


def test_it_is_offered_as_one_device_and_as_all(cdigen: Cdigen) -> None:
    run = cdigen("list", "--snapshot", SNAPSHOT)

    assert (run.code, run.err) == (0, f"{LINUX} and is left out\n")
    assert run.out == "DEVICE              NODES\nnvidia.com/gpu=0    /dev/dxg\nnvidia.com/gpu=all  /dev/dxg\n"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), ["0", "all"]),
        (("--device-name-strategy", "type-index"), ["gpu0", "all"]),
        (("--device", "0", "--no-all"), ["0"]),
        (("--device-name-strategy", "uuid"), ["all"]),
        (("--none-device",), ["0", "all", "none"]),
    ],
)
def test_its_names_are_those_that_are_chosen(options: tuple[str, ...], names: list[str], cdigen: Cdigen) -> None:
    run = cdigen("list", "--json", "--snapshot", SNAPSHOT, *options)

    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert [device["name"] for device in report["devices"]] == names


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            ("--device", "1"),
            5,
            "--device 1: no such GPU; those of this host cannot be told apart; use 0, which is all of them",
        ),
        (
            ("--device-name-strategy", "uuid", "--no-all"),
            5,
            "no GPU has a known UUID, so none would have a name; add --device-name-strategy index",
        ),
        (("--mode", "management"), 5, "there is no device node of the NVIDIA driver; WSL2 has none; leave --mode out"),
        (("--mode", "coherent"), 5, "no GPU is known to be coherent, which only NVML can tell; let it be asked with"),
    ],
)
def test_what_it_does_not_have_is_refused(
    options: tuple[str, ...], code: int, message: str, tmp_path: Path, cdigen: Cdigen
) -> None:
    run = cdigen("generate", "--snapshot", SNAPSHOT, "-o", tmp_path / "nvidia.yaml", *options)

    assert (run.code, run.out) == (code, "")
    assert run.err.splitlines()[-1].startswith(f"cdigen: error: {message}")


def test_the_other_modes_write_nothing(tmp_path: Path, cdigen: Cdigen) -> None:
    run = cdigen("generate", "--all-modes", "--snapshot", SNAPSHOT, "-o", tmp_path / "nvidia.yaml")

    assert run.code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["nvidia.yaml"]
    assert (tmp_path / "nvidia.yaml").read_bytes() == (HOST / "nvidia.yaml").read_bytes()


def test_nothing_is_to_be_made_there(tmp_path: Path, cdigen: Cdigen) -> None:
    run = cdigen("nodes", "--snapshot", SNAPSHOT)

    assert (run.code, run.out) == (3, "")
    assert (
        run.err
        == "cdigen: error: this host is WSL2, which has no device node but /dev/dxg, and the kernel makes that\n"
    )


def test_doctor_speaks_of_its_device_and_of_windows_package(cdigen: Cdigen) -> None:
    run = cdigen("doctor", "--snapshot", SNAPSHOT)

    libcuda = f"/usr/lib/wsl/drivers/{PACKAGE}/libcuda.so.1.1"
    assert run.out.splitlines()[:2] == [
        "ok       nodes    /dev/dxg: the one device of all GPUs of WSL2, open to all users",
        f"ok       driver   {libcuda}: Windows' driver package {PACKAGE}; 19 libraries, 1 note (cdigen list)",
    ]
    assert run.code == 0
    assert [word for word in FORBIDDEN if word in run.out + run.err] == []


def test_a_device_that_is_not_open_to_all_is_said(tmp_path: Path, cdigen: Cdigen) -> None:
    snapshot = tmp_path / "host.yaml"
    snapshot.write_text(SNAPSHOT.read_text().replace('mode: "0666"', 'mode: "0660"'))

    run = cdigen("doctor", "--snapshot", snapshot)

    assert (
        "warning  nodes    /dev/dxg: mode 0660: not open to all users\n                  $ chmod 0666 /dev/dxg\n"
        in run.out
    )


@pytest.mark.parametrize("gone", ["nvmii.inf_amd64_0000000000000000", "iigd.inf_amd64_1"])
def test_after_an_update_of_windows_driver_check_says_that_the_spec_is_stale(
    gone: str, tmp_path: Path, cdigen: Cdigen
) -> None:
    spec, later = tmp_path / "nvidia.yaml", tmp_path / "later.yaml"
    cdigen("generate", "--snapshot", SNAPSHOT, "-o", spec)
    later.write_text(SNAPSHOT.read_text().replace(PACKAGE, gone))

    now = cdigen("check", "--spec", spec, "--snapshot", SNAPSHOT)
    after = cdigen("check", "--spec", spec, "--snapshot", later)

    assert (now.code, after.code) == (0, 1)
    assert [word for word in FORBIDDEN if word in after.out + after.err] == []


def test_without_a_package_nobody_is_told_to_install_a_linux_driver(tmp_path: Path, cdigen: Cdigen) -> None:
    host = tmp_path / "host.yaml"
    lines = SNAPSHOT.read_text().splitlines(keepends=True)
    host.write_text("".join(line for line in lines if f"/{PACKAGE}/" not in line))
    for verb in (("generate", "-o", tmp_path / "x.yaml"), ("list",), ("doctor",), ("check",), ("explain",)):
        run = cdigen(*verb, "--snapshot", host)

        assert run.code in (0, 1, 3)
        assert [word for word in FORBIDDEN if word in run.out + run.err] == [], verb


def test_explain_and_the_report_of_generate_tell_no_version(tmp_path: Path, cdigen: Cdigen) -> None:
    explained = cdigen("explain", "--json", "--snapshot", SNAPSHOT)
    written = cdigen("generate", "--json", "--snapshot", SNAPSHOT, "-o", tmp_path / "nvidia.yaml")

    reports = [json.loads(run.out) for run in (explained, written)]
    assert [find_schema_violations(report, "report") for report in reports] == [(), ()]
    assert (reports[0]["driver"]["version"], reports[1]["driverVersion"]) == (None, None)
    assert cdigen("explain", "--snapshot", SNAPSHOT).out.startswith(f"driver {PACKAGE} for x86_64\n")


def test_with_less_chosen_both_directories_stay(tmp_path: Path, cdigen: Cdigen) -> None:
    run = cdigen("explain", "--json", "--snapshot", SNAPSHOT, "--capabilities", "utility")

    files = {file["hostPath"].rpartition("/")[2] for file in json.loads(run.out)["files"]}
    assert files == {"lib", PACKAGE, "libdxcore.so", "libnvidia-ml.so.1", "nvidia-smi"}


def test_at_boot_nothing_is_made_or_waited_for_and_the_spec_is_written(
    make_host: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    store = f"/usr/lib/wsl/drivers/{PACKAGE}"
    files = {f"{store}/libcuda.so.1.1": "libplain.so.1", "/usr/lib/wsl/lib/libdxcore.so": "libneeds.so.1"}
    root = make_host({path: library(soname) for path, soname in files.items()} | {"/dev/dxg": char(10, 258)})
    start = time.monotonic()

    run = cdigen("generate", "--host-root", root, "-o", tmp_path / "nvidia.yaml", "--create-nodes", "--wait", "1h")

    assert (run.code, run.out) == (0, "")
    assert run.err == f"cdigen: wrote {tmp_path}/nvidia.yaml: driver {PACKAGE}, 2 devices, 1 node, 10 mounts\n"
    assert time.monotonic() - start < 60


UUIDS = [f"GPU-00000000-0000-4000-8000-00000000000{number}" for number in (1, 2)]


@pytest.fixture
def answering(tmp_path: Path) -> Path:
    """Return a snapshot of the host with an answer of NVML's, of two GPUs."""
    snapshot = tmp_path / "answering.yaml"
    gpus = ", ".join(f'{{bdf: "000{at}:01:00.0", uuid: {uuid}}}' for at, uuid in enumerate(reversed(UUIDS)))
    library = f"{PACKAGE}/libnvidia-ml.so.1: {{kind: file, "
    text = SNAPSHOT.read_text()
    assert text.count(library) == 1
    snapshot.write_text(text.replace(library, f"{library}nvml: {{driver_version: '581.57', gpus: [{gpus}]}}, "))
    return snapshot


def test_uuids_that_nvml_tells_are_names_of_the_same_device(answering: Path, cdigen: Cdigen) -> None:
    run = cdigen("list", "--snapshot", answering)

    assert [line.split() for line in run.out.splitlines()[1:]] == [
        [f"nvidia.com/gpu={name}", "/dev/dxg"] for name in ("0", *UUIDS, "all")
    ]
    assert cdigen("list", "--snapshot", answering, "--nvml", "never").out.count("/dev/dxg") == 2
    assert cdigen("list", "--snapshot", answering, "--device", UUIDS[1]).code == 0


def test_a_spec_with_uuids_is_true_also_where_nvml_is_not_asked(
    answering: Path, tmp_path: Path, cdigen: Cdigen
) -> None:
    spec = tmp_path / "nvidia.yaml"
    cdigen("generate", "--snapshot", answering, "-o", spec)

    run = cdigen("check", "--spec", spec, "--snapshot", answering)

    assert (run.code, run.out.splitlines()[-1]) == (0, "true of this host: 1 ok")


def test_uuids_are_not_lost_because_nvml_does_not_answer(answering: Path, tmp_path: Path, cdigen: Cdigen) -> None:
    spec = tmp_path / "nvidia.yaml"
    cdigen("generate", "--snapshot", answering, "-o", spec)
    before = spec.read_bytes()
    failed = tmp_path / "failed.yaml"
    text = answering.read_text()
    start = text.index("nvml: {")
    failed.write_text(f"{text[:start]}nvml: {{failed: no answer}}{text[text.index(']}', start) + 2 :]}")

    run = cdigen("generate", "--snapshot", failed, "-o", spec)

    assert (run.code, spec.read_bytes()) == (5, before)
    assert run.err.splitlines()[-1].startswith(
        f"cdigen: error: NVML did not tell which devices {UUIDS[0]}, {UUIDS[1]} are"
    )
    assert "NVML gives no answer: no answer; GPUs have no names by UUID" in run.err
