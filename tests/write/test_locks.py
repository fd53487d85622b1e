"""Nobody waits for anybody: what a user locks delays no writer, and no writer's file is taken for a killed one's."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdigen.write import write_file
from tests.write.conftest import lack
from tests.write.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
OLD = b"old: content\n"
NEW = b"new: content that is longer\n"
NAME = "nvidia.yaml"
LITTER = f".{NAME}.0123456789abcdef.tmp"
PATIENCE = 60.0  # seconds, for what should never be waited for

HOLD = """
import fcntl, os, sys, time
held = []
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
os.chdir(sys.argv[1])
for name in [".", *os.listdir(".")]:
    try:
        held.append(os.open(name, os.O_RDONLY | os.O_NONBLOCK))
    except PermissionError:
        continue
    fcntl.flock(held[-1], fcntl.LOCK_EX)
print(len(held), flush=True)
sys.stdin.read()
"""

WRITE = """
import sys
from cdigen.write import write_file
print(write_file(sys.argv[1], b"new: content that is longer\\n"))
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    """Return a directory that other users can come to; not tmp_path, which they cannot."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def in_use(directory: Path) -> Path:
    """Fill a directory with a spec, and with what a writer left that was killed before it opened the file to all."""
    (directory / NAME).write_bytes(OLD)
    (directory / NAME).chmod(0o644)
    (directory / LITTER).write_bytes(NEW[:5])
    (directory / LITTER).chmod(0o600)
    return directory / NAME


def calls_of(work: Callable[[], object]) -> list[int]:
    """Return the numbers of the calls of a run; how often memory is asked for is chance."""
    memory = (9, 11, 12, 25, 28)
    return [call for call in trace(work).calls if call not in memory]


def test_a_user_who_locks_the_directory_and_all_that_he_can_open_costs_no_call_more(directory: Path) -> None:
    if os.geteuid() != 0:
        lack("to be another user takes root")
    spec = in_use(directory)
    free = calls_of(lambda: write_file(spec, NEW))
    assert sorted(os.listdir(directory)) == [NAME]
    in_use(directory)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None

    try:
        assert holder.stdout.readline() == "2\n"  # the directory and the spec
        held = calls_of(lambda: write_file(spec, NEW))
    finally:
        holder.communicate("", timeout=PATIENCE)

    assert held == free
    assert (spec.read_bytes(), os.listdir(directory)) == (NEW, [NAME])


def test_what_a_writer_is_at_work_on_is_left_to_it(tmp_path: Path) -> None:
    spec = in_use(tmp_path)
    writer = os.open(tmp_path / LITTER, os.O_WRONLY)
    fcntl.flock(writer, fcntl.LOCK_EX)

    assert write_file(spec, NEW) is True
    assert sorted(os.listdir(tmp_path)) == [LITTER, NAME]

    os.close(writer)
    assert write_file(spec, NEW) is False
    assert os.listdir(tmp_path) == [NAME]


@pytest.mark.parametrize("kind", ["pipe", "link", "second name", "directory", "stranger"])
def test_what_no_writer_of_ours_has_left_is_left_alone(kind: str, tmp_path: Path) -> None:
    spec, other = tmp_path / NAME, tmp_path / LITTER
    (tmp_path / "target").write_bytes(OLD)
    if kind == "pipe":
        os.mkfifo(other)
    elif kind == "link":
        other.symlink_to("target")
    elif kind == "second name":
        os.link(tmp_path / "target", other)
    elif kind == "directory":
        other.mkdir()
    else:
        if os.geteuid() != 0:
            lack("to make another user's file takes root")
        other.touch()
        os.chown(other, NOBODY, NOBODY)

    assert write_file(spec, NEW) is True

    assert sorted(os.listdir(tmp_path)) == [LITTER, NAME, "target"]
    assert (tmp_path / "target").read_bytes() == OLD


def test_a_writer_whose_file_was_taken_away_before_it_was_locked_begins_again(
    tmp_path: Path, strace: list[str]
) -> None:
    spec = tmp_path / NAME
    spec.write_bytes(OLD)
    delay = ["-e", "trace=flock", "-e", "inject=flock:delay_enter=1500000:when=1"]
    writer = subprocess.Popen(
        [*strace, *delay, sys.executable, "-c", WRITE, str(spec)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    deadline = time.monotonic() + PATIENCE
    while len(os.listdir(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    [first] = {*os.listdir(tmp_path)} - {NAME}
    assert write_file(spec, OLD) is False  # it takes the file, which nobody has locked, for a killed writer's
    assert os.listdir(tmp_path) == [NAME]
    said, _ = writer.communicate(timeout=PATIENCE)

    assert (said, writer.returncode, spec.read_bytes()) == (b"True\n", 0, NEW)
    assert (os.listdir(tmp_path), first.startswith(f".{NAME}.")) == ([NAME], True)


def test_a_writer_whose_file_is_just_being_taken_away_begins_again(tmp_path: Path, strace: list[str]) -> None:
    spec = tmp_path / NAME
    locked = ["-e", "trace=flock", "-e", "inject=flock:error=EAGAIN:when=1"]

    run = subprocess.run([*strace, *locked, sys.executable, "-c", WRITE, str(spec)], capture_output=True, check=True)

    assert (run.stdout, spec.read_bytes()) == (b"True\n", NEW)
    assert len(os.listdir(tmp_path)) == 2  # whoever had locked it would take it away
    assert write_file(spec, NEW) is False
    assert os.listdir(tmp_path) == [NAME]
