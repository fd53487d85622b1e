"""Signals that ask for the end: at any moment of a start, and while a spec is being written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import lack
from tests.cli.program import COMMAND, environment
from tests.cli.standing_spec import StandingSpec

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import MakeSnapshot

MESSAGE = b"cdigen: error: interrupted; a spec that is on the disk is whole\n"
PATIENCE = 20.0  # seconds


COUNTED = """\
import atexit, os, sys
moment, number = map(int, sys.argv[1:3])
del sys.argv[1:3]
from cdigen.main import main
passed = 0
def step(*_):
    global passed
    passed += 1
    if passed == moment:
        os.kill(os.getpid(), number)
if not moment:
    atexit.register(lambda: print(passed))
sys.setprofile(step)
main()
"""
"""Sends itself a signal at one of the calls and returns after `main` was called, or prints how many there are."""


def run_counted(moment: int, number: int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", COUNTED, str(moment), str(number), *arguments],
        capture_output=True,
        check=False,
        env=environment(),
        timeout=60,
    )


def test_ctrl_c_at_any_moment_of_a_start_gives_no_traceback() -> None:
    # While signals are taken, while modules are imported, and when the output has been written. What is before the
    # first line of `main`, and after its last, is the interpreter's own.
    last = int(run_counted(0, 0, "--version").stdout.split()[-1])
    assert last > 1000
    moments = {*range(2, 12), *range(12, last, last // 40), last - 10}

    ends = {moment: run_counted(moment, signal.SIGINT, "--version") for moment in sorted(moments)}

    assert {moment: end.returncode for moment, end in ends.items()} == dict.fromkeys(ends, 130)
    assert {end.stderr for end in ends.values()} == {b"", MESSAGE}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_requests_to_end_are_heeded_in_the_same_way(number: signal.Signals) -> None:
    last = int(run_counted(0, 0, "--version").stdout.split()[-1])

    # Not before they are taken, when the process ends by the signal itself.
    ends = [run_counted(moment, number, "--version") for moment in range(last // 4, last, last // 8)]

    assert {end.returncode for end in ends} == {128 + number}
    assert {end.stderr for end in ends} <= {b"", MESSAGE}


def test_a_signal_that_is_to_be_ignored_stays_ignored() -> None:
    # As nohup starts a program, here with a signal that comes when everything is set up for it.
    last = int(run_counted(0, 0, "--version").stdout.split()[-1])
    number = str(int(signal.SIGHUP))
    done = subprocess.run(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "", sys.executable, "-c", COUNTED, str(last // 2), number, "--version"],
        capture_output=True,
        check=False,
        env=environment(),
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_who_says_it_twice_at_once_gets_the_same_end(make_snapshot: MakeSnapshot, standing: StandingSpec) -> None:
    # A terminal that closes, say: both are waiting when the first is heeded.
    code = COUNTED.replace("os.kill(os.getpid(), number)", "os.kill(os.getpid(), number); os.kill(os.getpid(), 1)")
    arguments = ["generate", "--snapshot", str(make_snapshot()), "-o", str(standing.path)]

    done = subprocess.run(
        [sys.executable, "-c", code, "300000", "15", *arguments],
        capture_output=True,
        check=False,
        env=environment(),
        timeout=60,
    )

    assert (done.returncode, done.stdout) in ((143, b""), (129, b""))
    assert done.stderr == MESSAGE
    standing.assert_untouched()


@pytest.fixture
def standing(tmp_path: Path) -> StandingSpec:
    return StandingSpec(tmp_path / "cdi")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["flock", "fchmod", "fsync", "/^rename"])
def test_a_signal_in_the_middle_of_writing_leaves_the_old_spec_and_no_litter(
    moment: str, number: signal.Signals, make_snapshot: MakeSnapshot, standing: StandingSpec
) -> None:
    strace = ["strace", "-f", "-qq", "-o", os.devnull]
    if not shutil.which("strace") or subprocess.run([*strace, "true"], capture_output=True, check=False).returncode:
        lack("strace, which stops the program at a system call, is missing or not allowed")
    # The call itself fails: a rename that was done before the signal is seen would leave the new spec, whole.
    inject = f"inject={moment}:error=EINTR:signal={number.name}:when=1"

    done = subprocess.run(
        [*strace, "-e", f"trace={moment}", "-e", inject, *COMMAND, "generate"],
        capture_output=True,
        check=False,
        env=environment(CDIGEN_GENERATE_SNAPSHOT=str(make_snapshot()), CDIGEN_GENERATE_OUTPUT=str(standing.path)),
        timeout=60,
    )

    assert (done.returncode, done.stdout, done.stderr) == (128 + number, b"", MESSAGE)
    standing.assert_untouched()


def test_a_run_after_ctrl_c_writes_the_spec(make_snapshot: MakeSnapshot, standing: StandingSpec) -> None:
    (standing.path.parent / ".nvidia.yaml.0123456789abcdef.tmp").write_text("left by one that was killed")

    done = subprocess.run(
        [*COMMAND, "generate", "--snapshot", str(make_snapshot()), "-o", str(standing.path)],
        capture_output=True,
        check=False,
        env=environment(),
    )

    assert done.returncode == 0
    assert os.listdir(standing.path.parent) == ["nvidia.yaml"]
