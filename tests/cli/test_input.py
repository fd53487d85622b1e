"""Documents that are no regular files: pipes that the caller has opened are read, all else is refused."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import lack
from tests.cli.program import COMMAND, environment, run_program
from tests.golden.hosts import GOLDEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import MakeSnapshot

SPEC = GOLDEN / "rocky9-615/nvidia.yaml"
COMMANDS = (
    "validate {}",
    "list --spec {}",
    "check --spec {} --snapshot {snapshot}",
    "check --snapshot {}",
    "diff --spec {} --snapshot {snapshot}",
    "diff --facts {} --snapshot {snapshot}",
    "generate --snapshot {} -o -",
    "list --snapshot {}",
    "explain --snapshot {}",
    "doctor --snapshot {}",
    "inject {} --device nvidia.com/gpu=0",
)


def make(kind: str, path: Path) -> Path:
    """Make a file of a kind, or name one that is there."""
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a directory":
        path.mkdir()
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as one:
            before = os.getcwd()
            os.chdir(path.parent)  # the path of a socket is short
            try:
                one.bind(path.name)
            finally:
                os.chdir(before)
    elif kind == "a block device":
        if os.geteuid() != 0:
            lack("making device nodes needs root")
        os.mknod(path, 0o60600, os.makedev(7, 200))
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_that_nobody_has_opened_is_not_waited_for(
    command: str, tmp_path: Path, make_snapshot: MakeSnapshot
) -> None:
    pipe = make("a named pipe", tmp_path / "pipe")

    # A run that waits for the other end would be killed by its time limit.
    run = run_program(*(word.format(pipe, snapshot=make_snapshot()) for word in command.split()), timeout=20)

    message = f"cannot read {pipe}: it is a named pipe; name a regular file, or - for standard input"
    assert run.code in (1, 7)
    assert message in run.out + run.err


def test_a_pipe_in_a_bundle_is_not_waited_for(tmp_path: Path) -> None:
    pipe = make("a named pipe", tmp_path / "config.json")

    run = run_program("inject", tmp_path, "--device", "nvidia.com/gpu=0", timeout=20)

    message = f"cannot read {pipe}: it is a named pipe; name a regular file, or - for standard input"
    assert (run.code, run.err) == (7, f"cdigen: error: {message}\n")


@pytest.mark.parametrize("kind", ["a named pipe", "a directory", "a socket", "a block device", "a character device"])
def test_what_is_no_file_is_named(kind: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path / "it")

    run = run_program("list", "--spec", path, timeout=20)

    message = f"cannot read {path}: it is {kind}; name a regular file, or - for standard input"
    assert (run.code, run.out, run.err) == (7, "", f"cdigen: error: {message}\n")


@pytest.mark.parametrize(
    ("command", "is_file"),
    [
        ("validate {}", True),
        ("validate - <{}", True),
        ("validate /dev/stdin <{}", True),
        ("validate - <{}", False),
        ("validate /dev/stdin <{}", False),
    ],
)
def test_no_more_is_read_than_a_document_may_have(command: str, is_file: bool, tmp_path: Path) -> None:
    path = tmp_path / "large"
    if is_file:
        path.touch()
        os.truncate(path, 10**12)
    else:
        path.symlink_to("/dev/zero")
    # Without room for more than some documents.
    script = f'ulimit -v 1000000; exec "$@" {command.format(path)}'
    done = subprocess.run(
        ["sh", "-c", script, "", *COMMAND], capture_output=True, text=True, check=False, env=environment(), timeout=60
    )

    name = command.split()[1].format(path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == f"{name}::$: larger than 16 MiB, which no spec and no snapshot is\n"


@pytest.mark.parametrize(
    "script",
    [
        '"$@" validate <(cat {spec})',
        '"$@" validate - <{spec}',
        'cat {spec} | "$@" validate -',
        'cat {spec} | "$@" validate /dev/stdin',
        'cat {spec} | "$@" validate /dev/fd/0',
        'cat {spec} | "$@" validate /proc/self/fd/0',
        '"$@" validate /dev/stdin <{spec}',
        'exec 5<{spec}; head -c 100 <&5 >/dev/null; "$@" validate /dev/fd/5 /dev/fd/5',
        '(sleep 1; cat {spec}) | "$@" validate -',
    ],
)
def test_what_the_caller_has_opened_is_read(script: str) -> None:
    done = subprocess.run(
        ["bash", "-c", script.format(spec=SPEC), "", *COMMAND],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert all(": valid, " in line for line in done.stdout.splitlines())


def test_two_documents_may_come_from_two_commands(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    script = f'"$@" list --snapshot <(cat {snapshot}) && "$@" diff --spec <(cat {SPEC}) --snapshot <(cat {snapshot})'
    done = subprocess.run(
        ["bash", "-c", script, "", *COMMAND], capture_output=True, text=True, check=False, env=environment(), timeout=60
    )

    assert (done.returncode, done.stderr) == (1, "")  # they differ
    assert "nvidia.com/gpu=0" in done.stdout


def test_standard_input_that_does_not_block_is_waited_for() -> None:
    # As some programs leave it to those that they start.
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with subprocess.Popen([*COMMAND, "validate", "-"], stdin=reader, stdout=subprocess.PIPE, env=environment()) as run:
        os.close(reader)
        data = SPEC.read_bytes()
        os.write(writer, data[:1000])
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(timeout=1)
        os.write(writer, data[1000:])
        os.close(writer)
        out, _ = run.communicate(timeout=60)

    assert (run.returncode, out.startswith(b"-: valid, ")) == (0, True)
