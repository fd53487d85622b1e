"""Ctrl-C at a moment when a spec is being written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import lack
from tests.cli.program import COMMAND, environment
from tests.cli.standing_spec import StandingSpec

if TYPE_CHECKING:
    from tests.cli.conftest import MakeSnapshot

MESSAGE = b"cdigen: error: interrupted; a spec that is on the disk is whole\n"
PATIENCE = 20.0  # seconds


@pytest.fixture
def standing(tmp_path: Path) -> StandingSpec:
    return StandingSpec(tmp_path / "cdi")


def test_ctrl_c_while_waiting_to_write_leaves_the_old_spec(make_snapshot: MakeSnapshot, standing: StandingSpec) -> None:
    directory = standing.path.parent
    lock = os.open(directory, os.O_RDONLY)
    flock(lock, LOCK_EX)  # another writer is at work, so ours has to wait in front of its first change
    writer = subprocess.Popen(
        [*COMMAND, "generate", "--snapshot", str(make_snapshot()), "--output", str(standing.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    try:
        _wait_until_open(directory, writer)
        writer.send_signal(signal.SIGINT)
        out, err = writer.communicate(timeout=PATIENCE)
    finally:
        writer.kill()
        os.close(lock)

    assert (writer.returncode, out, err) == (130, b"", MESSAGE)
    standing.assert_untouched()


def _wait_until_open(directory: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until `process` has opened `directory`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                if link.readlink() == directory:
                    return
            except OSError:
                continue  # closed meanwhile
        time.sleep(0.01)
    pytest.fail("the writer did not open the directory")


@pytest.mark.parametrize("moment", ["fchmod", "fsync", "/^rename"])
def test_ctrl_c_in_the_middle_of_writing_leaves_the_old_spec_and_no_litter(
    moment: str, make_snapshot: MakeSnapshot, standing: StandingSpec
) -> None:
    strace = ["strace", "-f", "-qq", "-o", os.devnull]
    if not shutil.which("strace") or subprocess.run([*strace, "true"], capture_output=True, check=False).returncode:
        lack("strace, which stops the program at a system call, is missing or not allowed")
    # The call itself fails: a rename that was done before the signal is seen would leave the new spec, whole.
    inject = f"inject={moment}:error=EINTR:signal=SIGINT:when=1"

    done = subprocess.run(
        [*strace, "-e", f"trace={moment}", "-e", inject, *COMMAND, "generate"],
        capture_output=True,
        check=False,
        env=environment(CDIGEN_GENERATE_SNAPSHOT=str(make_snapshot()), CDIGEN_GENERATE_OUTPUT=str(standing.path)),
        timeout=60,
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, b"", MESSAGE)
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
