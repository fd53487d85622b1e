"""Two runs at once, many times, while an engine reads: it sees whole specs alone, and one of both is what stays."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from typing import TYPE_CHECKING

import pytest

from cdigen.run import run
from tests.classes import all_class_entries
from tests.cli.conftest import lack
from tests.cli.program import COMMAND, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost, MakeSnapshot

    Start = Callable[[Sequence[str], int], Callable[[], int | None]]

ROUNDS = 200
EVERYDAY_ROUNDS = 40
ROUNDS_WITH_REMOVAL = 40
ROUNDS_OF_PROGRAMS = 4
PATIENCE = 60.0  # seconds, for one round


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    directory = tmp_path / "cdi"
    directory.mkdir()
    return directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A valid spec, and the arguments that write it to the same file as the others."""

    content: bytes
    arguments: list[str]


@pytest.fixture
def variants(specs: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> tuple[Variant, ...]:
    """Return three specs. The first is there before each round, so that both that are written differ from it."""
    path = specs / "nvidia.yaml"
    generate = ["generate", "--snapshot", str(make_snapshot()), "-o", str(path)]
    found = []
    for arguments in (generate, [*generate, "--device-name-strategy", "type-index"], [*generate, "--no-all"]):
        assert cdigen(*arguments).code == 0
        assert cdigen("validate", "--hook-free", path).code == 0
        found.append(Variant(content=path.read_bytes(), arguments=arguments))
    assert len({variant.content for variant in found}) == 3
    return tuple(found)


def in_fork(arguments: Sequence[str], gate: int) -> Callable[[], int | None]:
    """Run the program in a fork of this process, which has imported it all; return what tells its exit code.

    Args:
        arguments: its command line.
        gate: the end of a pipe that is read before, so that several begin at the same time.
    """
    child = os.fork()
    if child == 0:
        code = 99
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            os.read(gate, 1)
            code = run(list(arguments))
        finally:
            os._exit(code)

    def poll() -> int | None:
        pid, status = os.waitpid(child, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    return poll


def as_program(arguments: Sequence[str], gate: int) -> Callable[[], int | None]:
    """Run the program, in the same way."""
    shell = ("sh", "-c", 'read -r _; exec "$@" </dev/null', "sh")
    return subprocess.Popen(
        [*shell, *COMMAND, *arguments],
        stdin=gate,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ).poll


def begin(start: Start, *runs: Sequence[str]) -> list[Callable[[], int | None]]:
    """Start runs of the program that begin at the same time."""
    gate, opener = os.pipe()
    polls = [start(arguments, gate) for arguments in runs]
    os.write(opener, b"\n" * len(runs))
    os.close(gate)
    os.close(opener)
    return polls


def read_as_an_engine(directory: Path) -> dict[str, bytes]:
    """Return the specs of a directory; one that is removed while it is looked through is none."""
    found = {}
    for name in os.listdir(directory):
        if name.endswith((".yaml", ".json")):
            with suppress(FileNotFoundError):
                found[name] = (directory / name).read_bytes()
    return found


def read_while(polls: Sequence[Callable[[], int | None]], specs: Path, allowed: Sequence[dict[str, bytes]]) -> None:
    """Read the specs until all runs have ended, with 0; check what is seen each time."""
    deadline = time.monotonic() + PATIENCE
    codes: list[int | None] = [None] * len(polls)
    while None in codes:
        assert read_as_an_engine(specs) in allowed
        assert time.monotonic() < deadline, "a run did not end"
        time.sleep(0.0002)  # leaves the processors to the writers
        codes = [poll() if code is None else code for poll, code in zip(polls, codes, strict=True)]
    assert codes == [0] * len(polls)


@pytest.mark.parametrize(
    ("start", "rounds"),
    [
        (in_fork, EVERYDAY_ROUNDS),
        pytest.param(in_fork, ROUNDS, marks=pytest.mark.real),
        (as_program, ROUNDS_OF_PROGRAMS),
    ],
)
def test_two_that_write_leave_one_of_both_and_a_reader_sees_no_part(
    start: Start, rounds: int, specs: Path, variants: tuple[Variant, ...]
) -> None:
    first, *both = variants
    allowed = [{"nvidia.yaml": variant.content} for variant in variants]

    for number in range(rounds):
        (specs / "nvidia.yaml").write_bytes(first.content)
        order = both if number % 2 else both[::-1]
        read_while(begin(start, *(variant.arguments for variant in order)), specs, allowed)

        assert (specs / "nvidia.yaml").read_bytes() in {variant.content for variant in both}
        assert os.listdir(specs) == ["nvidia.yaml"]


def test_one_that_writes_and_one_that_removes_leave_a_whole_file_or_none(
    specs: Path, variants: tuple[Variant, ...]
) -> None:
    first, new, _ = variants
    removal = ["remove", "--spec-dir", str(specs)]
    allowed = [{}, {"nvidia.yaml": first.content}, {"nvidia.yaml": new.content}]

    for _ in range(ROUNDS_WITH_REMOVAL):
        (specs / "nvidia.yaml").write_bytes(first.content)
        read_while(begin(in_fork, new.arguments, removal), specs, allowed)

        assert read_as_an_engine(specs) in ({}, {"nvidia.yaml": new.content})
        assert os.listdir(specs) in ([], ["nvidia.yaml"])


def test_a_run_waits_for_nobody_who_locks_the_directories_and_all_that_is_in_them(
    make_host: MakeHost, tmp_path: Path
) -> None:
    strace = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=flock,nanosleep,clock_nanosleep"]
    if not shutil.which("strace") or subprocess.run([*strace, "true"], capture_output=True, check=False).returncode:
        lack("strace, which tells the calls of a program, is missing or not allowed")
    specs, record = tmp_path / "cdi", tmp_path / "record"
    output = ["--output", str(specs / "nvidia.yaml"), "--record", str(record / "facts.yaml")]
    generate = [*COMMAND, "generate", "--all-modes", "--host-root", str(make_host(all_class_entries())), *output]
    subprocess.run([*generate, "--create-dirs"], env=environment(), capture_output=True, check=True)
    files = [*specs.iterdir(), *record.iterdir()]
    for path in files:
        path.write_text("# Written by cdigen 0.0.1\n")
    locks = [os.open(path, os.O_RDONLY) for path in (specs, record, *files)]
    for lock in locks:
        flock(lock, LOCK_EX)

    done = subprocess.run([*strace, *generate], env=environment(), capture_output=True, check=False, text=True)

    for lock in locks:
        os.close(lock)
    assert done.returncode == 0
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["wrote"] * len(files)
    calls = [line.split(maxsplit=1)[1] for line in (tmp_path / "trace").read_text().splitlines()]
    assert len(calls) == len(files) > 5
    assert {re.sub("[0-9]+|\\s+", "", call) for call in calls} == {"flock(,LOCK_EX|LOCK_NB)="}
    assert all(call.endswith("= 0") for call in calls)
