"""cdigen generate --wait: processes on hosts whose driver comes up while they wait, or never does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from cdigen.options.duration import parse_duration
from tests.cli.conftest import FIXTURES
from tests.cli.program import CHECKOUT, COMMAND, Run, environment, run_program
from tests.hosts import Entries, minimal_entries, moved, text, without, write_tree
from tests.nodes import DEVICES
from tests.pci import on_the_bus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cli.conftest import Cdigen, MakeHost, MakeSnapshot

PROC = "/proc/driver/nvidia"
NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset", "/dev/nvidia0")
NOT_LOADED = "the kernel module nvidia is not loaded"
MADE = [f" made {path}" for path in (*NODES, "/dev/nvidia-nvlink")]
WAITING = "cdigen: note: waiting up to 60 s for the driver: "
LONG = 60.0  # seconds that nobody waits
SOON = 10.0  # seconds in which a run is over that does not wait, also on a busy machine

UP = minimal_entries() | on_the_bus("nvidia") | {"/proc/devices": text(DEVICES)}
KERNEL_HALF = {path: entry for path, entry in UP.items() if path.startswith((PROC, "/proc/devices", "/dev/nvidia"))}
DOWN = without(UP, PROC, "/proc/devices", "/sys", *NODES) | on_the_bus(None)


def wait(
    root: Path, *arguments: str | Path, seconds: float = LONG, steps: Sequence[Entries] = (), pause: float = 1.0
) -> tuple[Run, float]:
    """Run generate on the host at `root`; return what it left, and how long it took.

    Args:
        root: where the host is.
        arguments: further ones.
        seconds: how long it is to wait.
        steps: entries that appear on the host one after the other, once it has said that it waits.
        pause: seconds before each of them.
    """
    start = time.monotonic()
    output = root.parent / "nvidia.yaml"
    process = subprocess.Popen(
        [*COMMAND, "generate", "--host-root", root, "-o", output, "--wait", str(seconds), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline() if steps else ""
        for step in steps:
            time.sleep(pause)
            write_tree(root, step, FIXTURES)
        out, err = process.communicate(timeout=2 * LONG)
    finally:
        process.kill()
    return Run(code=process.returncode, out=out, err=said + err), time.monotonic() - start


def wrote(root: Path) -> str:
    return f"cdigen: wrote {root.parent}/nvidia.yaml: driver 999.88.77, 1 GPU, 3 devices, "


def part(*paths: str) -> Entries:
    return {path: entry for path, entry in UP.items() if path.startswith(paths)}


# It comes


def test_a_driver_that_is_up_is_not_waited_for(make_host: MakeHost) -> None:
    root = make_host(UP)
    run, seconds = wait(root)

    assert run.code == 0
    assert run.err.startswith(wrote(root))
    assert run.err.count("\n") == 1
    assert seconds < SOON


def test_a_module_that_comes_late_is_waited_for(make_host: MakeHost) -> None:
    root = make_host(DOWN)
    run, seconds = wait(root, steps=(KERNEL_HALF,))

    waiting, result = run.err.splitlines()
    assert (run.code, waiting) == (0, WAITING + NOT_LOADED)
    assert result.startswith(wrote(root))
    assert 1 < seconds < SOON


def test_nothing_is_written_before_all_of_it_is_there(make_host: MakeHost) -> None:
    root = make_host(DOWN)
    steps = (
        part(f"{PROC}/version", "/proc/devices") | {"/sys/module/nvidia/initstate": text("coming\n")},
        part(f"{PROC}/gpus", "/dev/nvidiactl", "/dev/nvidia-uvm"),
        part("/dev/nvidia0"),
        {"/sys/module/nvidia/initstate": text("live\n")},
    )
    run, seconds = wait(root, steps=steps, pause=0.7)

    waiting, result, *findings = run.err.splitlines()
    assert (run.code, waiting) == (0, WAITING + NOT_LOADED)
    assert ["modeset" in finding for finding in findings] == [True]  # the one node that has not come, and may lack
    assert result.startswith(wrote(root))
    assert seconds > 2.8


def test_a_driver_is_waited_for_that_is_mounted_after_its_module_was_loaded(make_host: MakeHost) -> None:
    place = "/run/nvidia/driver"
    driver = part("/usr")
    root = make_host(without(UP, *driver))
    run, seconds = wait(root, "--driver-root", place, steps=(moved(driver, place, "/usr"),))

    waiting, result, *_ = run.err.splitlines()
    assert (run.code, waiting) == (0, f"{WAITING}there is no libcuda.so.999.88.77 below {place}")
    assert result.startswith(wrote(root))
    assert 1 < seconds < SOON


def test_with_create_nodes_the_nodes_are_made_when_the_module_has_come(make_machine: MakeHost) -> None:
    root = make_machine(DOWN)
    run, seconds = wait(root, "--create-nodes", steps=(part(PROC, "/proc/devices"),))

    waiting, *made, result = run.err.splitlines()
    assert (run.code, waiting) == (0, WAITING + NOT_LOADED)
    assert [line.partition(":")[2].split(":")[0] for line in made] == MADE
    assert result.startswith(wrote(root))
    assert 1 < seconds < SOON


def test_with_create_nodes_nodes_that_can_be_made_are_not_waited_for(make_machine: MakeHost) -> None:
    root = make_machine(without(UP, *NODES))
    run, seconds = wait(root, "--create-nodes")

    *made, result = run.err.splitlines()
    assert [line.partition(":")[2].split(":")[0] for line in made] == MADE
    assert result.startswith(wrote(root))
    assert seconds < SOON


# It does not come


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        pytest.param({"/sys/bus/pci/devices": {"kind": "dir"}}, 3, id="no bus, no driver"),
        pytest.param(without(DOWN, "/sys/bus"), 3, id="no bus"),
        pytest.param(without(DOWN, "/usr"), 3, id="no user-space driver"),
        pytest.param(DOWN | on_the_bus(None, vendor="0x1002"), 3, id="no GPU of NVIDIA's"),
        pytest.param(DOWN | on_the_bus("nouveau"), 3, id="nouveau"),
        pytest.param(DOWN | on_the_bus("vfio-pci"), 3, id="a virtual machine's"),
        pytest.param(UP | minimal_entries("999.22.33", gpus=0) | part(PROC), 0, id="two user-space drivers"),
        pytest.param(
            without(UP, "/dev/nvidiactl") | {f"{PROC}/version": minimal_entries("999.22.33")[f"{PROC}/version"]},
            4,
            id="another version",
        ),
    ],
)
def test_it_goes_on_at_once_as_without_where_nothing_will_come(
    entries: Entries, code: int, make_host: MakeHost
) -> None:
    root = make_host(entries)
    run, seconds = wait(root)
    (root.parent / "nvidia.yaml").unlink(missing_ok=True)

    assert run == run_program("generate", "--host-root", root, "-o", root.parent / "nvidia.yaml")
    assert run.code == code
    assert seconds < SOON


def test_a_module_that_does_not_come_is_said_twice_and_generate_says_the_rest(make_host: MakeHost) -> None:
    run, seconds = wait(make_host(DOWN), seconds=1.2)

    assert (run.code, run.out) == (3, "")
    assert run.err == (
        f"cdigen: note: waiting up to 1.2 s for the driver: {NOT_LOADED}\n"
        f"cdigen: warning: the driver is not ready after 1.2 s: {NOT_LOADED}\n"
        "cdigen: error: the user-space driver 999.88.77 is installed but the kernel module is not loaded: no"
        " /proc/driver/nvidia/version, no /sys/module/nvidia/version and no /dev/nvidia<N>; load it with: modprobe"
        " nvidia\n"
    )
    assert 1.2 < seconds < SOON


def test_what_is_missing_in_the_end_is_named_and_not_what_was_missing_first(make_host: MakeHost) -> None:
    root = make_host(DOWN)
    run, _ = wait(
        root, seconds=2, steps=(part(f"{PROC}/version", f"{PROC}/gpus", "/proc/devices", "/dev/nvidiactl"),), pause=0.5
    )

    waiting, in_vain, *_, refusal = run.err.splitlines()
    assert waiting == f"cdigen: note: waiting up to 2 s for the driver: {NOT_LOADED}"
    assert in_vain == (
        "cdigen: warning: the driver is not ready after 2 s: /dev/nvidia-uvm is missing,"
        " /dev/nvidia0 (GPU 0000:01:00.0) is missing"
    )
    assert refusal.startswith("cdigen: error: /dev/nvidia-uvm, /dev/nvidia0 (GPU 0000:01:00.0) are missing;")
    assert run.code == 5


def test_no_more_than_three_things_are_named(make_host: MakeHost) -> None:
    root = make_host(without(minimal_entries(gpus=4), *(f"/dev/nvidia{name}" for name in ("ctl", "-uvm", 0, 1, 3))))
    run, _ = wait(root, seconds=0.1)

    assert run.err.splitlines()[0] == (
        "cdigen: note: waiting up to 0.1 s for the driver: /dev/nvidiactl is missing, /dev/nvidia-uvm is missing,"
        " /dev/nvidia0 (GPU 0000:01:00.0) is missing and 2 more"
    )


def test_a_host_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    run, seconds = wait(tmp_path / "nowhere")

    assert (run.code, run.out) == (7, "")
    assert run.err == (
        f"cdigen: error: cannot open {tmp_path}/nowhere: No such file or directory; name a directory with --host-root\n"
    )
    assert seconds < SOON


ENDED = "cdigen: error: interrupted; a spec that is on the disk is whole\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_while_it_waits(number: signal.Signals, make_host: MakeHost) -> None:
    root = make_host(DOWN)
    output = root.parent / "nvidia.yaml"
    process = subprocess.Popen(
        [*COMMAND, "generate", "--host-root", str(root), "-o", str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(CDIGEN_GENERATE_WAIT="1min"),
    )
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=SOON)
    finally:
        process.kill()

    assert (process.returncode, out, said, err) == (128 + number, "", f"{WAITING}{NOT_LOADED}\n", ENDED)
    assert os.listdir(root.parent) == ["host"]


# How long


@pytest.mark.parametrize(
    ("span", "seconds"),
    [
        ("0", 0),
        ("30", 30),
        ("1.5", 1.5),
        ("30s", 30),
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("2min", 120),
        ("5 m", 300),
        ("1h", 3600),
        ("1min 30s", 90),
        (" 1min30sec ", 90),
        ("20minutes 1 second", 1201),
    ],
)
def test_a_time_span_is_one_of_systemds(span: str, seconds: float) -> None:
    assert parse_duration(span) == seconds


@pytest.mark.parametrize("span", ["", "s", "-1", "1e3", "inf", "infinity", "30 s 5", "1x", "1month", "1..5s", "٣s"])
def test_what_is_no_time_span_is_refused(span: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a time span such as 30s, 500ms or 1min 30s"):
        parse_duration(span)


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ("soon\n", "'soon' is not a time span such as 30s, 500ms or 1min 30s."),
        ("61min", "'61min' is longer than 3600 seconds."),
    ],
)
def test_a_bad_time_span_is_a_usage_error(span: str, reason: str, cdigen: Cdigen) -> None:
    run = cdigen("generate", "--wait", span)

    assert (run.code, run.out) == (2, "")
    assert run.err == f"cdigen: error: Invalid value for '--wait': {reason} Try 'cdigen generate --help'.\n"


def test_a_snapshot_does_not_change(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    snapshot = make_snapshot()
    run = cdigen("generate", "--snapshot", snapshot, "--wait", "1s", "-o", "-")

    assert (run.code, run.out) == (2, "")
    assert run.err == (
        "cdigen: error: --wait waits for a host to change and cannot be used together with --snapshot; use one of"
        " them\n"
    )
    assert cdigen("generate", "--snapshot", snapshot, "--wait", "0", "-o", "-").code == 0


def test_the_unit_waits_for_less_time_than_systemd_gives_it() -> None:
    unit = Path(CHECKOUT, "systemd/cdigen.service").read_text(encoding="utf-8")
    (span,) = re.findall(r"^Environment=CDIGEN_GENERATE_WAIT=(.*)$", unit, re.MULTILINE)
    (limit,) = re.findall(r"^TimeoutStartSec=(.*)$", unit, re.MULTILINE)

    assert parse_duration(span) == 30
    assert parse_duration(limit) >= 3 * parse_duration(span)  # NVML may take as long once more
