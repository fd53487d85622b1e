"""A disk that is full or read-only, a writer that is interrupted, two at a time: nothing is lost."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from cdigen.errors import FileError
from cdigen.write import write_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Mount = Callable[[Path, list[str]], None]

OLD = b"old: content\n"
NEW = b"new: content that is longer\n"

WRITE_ONE = """
import sys
from cdigen.errors import FileError
from cdigen.write import write_file
try:
    print(write_file(sys.argv[1], b"new: content that is longer\\n"))
except FileError as error:
    sys.exit(str(error))
"""

WRITE_MANY = """
import sys
from cdigen.write import write_file
letter = sys.argv[2].encode()
for length in range(1, 61):
    write_file(sys.argv[1], letter * (length * 5000))
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "cdi" / "nvidia.yaml"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def write_under(strace: list[str], injection: str, path: Path) -> subprocess.CompletedProcess[str]:
    calls = injection.partition(":")[0]
    command = [*strace, "-e", f"trace={calls}", "-e", f"inject={injection}", sys.executable, "-c", WRITE_ONE, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_full_file_system_leaves_the_old_file_and_no_litter(tmp_path: Path, mount: Mount) -> None:
    directory = tmp_path / "small"
    directory.mkdir()
    mount(directory, ["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
    spec = directory / "nvidia.yaml"
    spec.write_bytes(OLD)

    with pytest.raises(FileError) as caught:
        write_file(spec, b"x" * 1_000_000)

    assert str(caught.value) == f"cannot write {spec}: No space left on device; free some space there"
    assert spec.read_bytes() == OLD
    assert names(directory) == ["nvidia.yaml"]


def test_a_read_only_file_system_is_refused_unless_there_is_nothing_to_do(spec: Path, mount: Mount) -> None:
    mount(spec.parent, ["--bind", str(spec.parent)])
    subprocess.run(["mount", "-o", "remount,bind,ro", str(spec.parent)], check=True)

    assert write_file(spec, OLD) is False
    for path in (spec, spec.parent / "sub" / "a.yaml"):
        with pytest.raises(FileError) as caught:
            write_file(path, NEW)
        assert str(caught.value) == (
            f"cannot write {path}: Read-only file system; choose an output file on a file system that can be written"
        )
    assert spec.read_bytes() == OLD


def test_a_file_that_is_a_mount_point_is_refused(spec: Path, mount: Mount) -> None:
    source = spec.parent.parent / "source"
    source.write_bytes(OLD)
    mount(spec, ["--bind", str(source)])

    with pytest.raises(FileError) as caught:
        write_file(spec, NEW)

    assert str(caught.value) == (
        f"cannot write {spec}: Device or resource busy; "
        "it is a mount point; write to the file on the other side of the mount"
    )
    assert source.read_bytes() == OLD
    assert names(spec.parent) == ["nvidia.yaml"]


@pytest.mark.parametrize("moment", ["fsync:signal=SIGINT:when=1", "fchmod:signal=SIGINT:when=1"])
def test_an_interrupted_writer_leaves_the_old_file_and_no_litter(moment: str, spec: Path, strace: list[str]) -> None:
    run = write_under(strace, moment, spec)

    assert "KeyboardInterrupt" in run.stderr
    assert spec.read_bytes() == OLD
    assert names(spec.parent) == ["nvidia.yaml"]


@pytest.mark.parametrize(
    ("injection", "message"),
    [
        ("fsync:error=EIO:when=1", "Input/output error; look for errors of the disk in the kernel's log (dmesg)"),
        ("/^rename:error=EPERM", "Operation not permitted; run as root, or check whether it is immutable (lsattr)"),
        ("fchmod:error=EDQUOT", "Disk quota exceeded; free some of the quota"),
        ("flock:error=EIO", "Input/output error; look for errors of the disk in the kernel's log (dmesg)"),
    ],
)
def test_an_error_at_any_step_leaves_the_old_file_and_no_litter(
    injection: str, message: str, spec: Path, strace: list[str]
) -> None:
    run = write_under(strace, injection, spec)

    assert (run.returncode, run.stderr) == (1, f"cannot write {spec}: {message}\n")
    assert spec.read_bytes() == OLD
    assert names(spec.parent) == ["nvidia.yaml"]


@pytest.mark.parametrize("error", ["EOPNOTSUPP", "ENOLCK", "EBADF"])
def test_without_locks_the_file_is_written_and_others_temporary_files_are_left(
    error: str, spec: Path, strace: list[str]
) -> None:
    maybe_at_work = ".nvidia.yaml.0123456789abcdef.tmp"
    (spec.parent / maybe_at_work).touch()

    run = write_under(strace, f"flock:error={error}", spec)

    assert (run.stdout, run.stderr) == ("True\n", "")
    assert spec.read_bytes() == NEW
    assert names(spec.parent) == [maybe_at_work, "nvidia.yaml"]


def test_a_file_system_that_cannot_sync_a_directory_is_written(spec: Path, strace: list[str]) -> None:
    run = write_under(strace, "fsync:error=EINVAL:when=2", spec)

    assert (run.stdout, run.stderr) == ("True\n", "")
    assert spec.read_bytes() == NEW


def test_a_directory_that_another_makes_meanwhile_is_written_to(tmp_path: Path, strace: list[str]) -> None:
    log, path = tmp_path / "log", tmp_path / "cdi" / "nvidia.yaml"
    injection = ["-o", str(log), "-e", "trace=mkdirat", "-e", "inject=mkdirat:delay_enter=1000000:when=1"]
    command = [*strace, *injection, sys.executable, "-c", WRITE_ONE, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 60
        while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.001)
        path.parent.mkdir()
        out, _ = run.communicate(timeout=60)

    assert (out, path.read_bytes()) == ("True\n", NEW)
    assert "EEXIST" in log.read_text()


def test_every_step_is_on_the_disk_before_the_next(tmp_path: Path, strace: list[str]) -> None:
    log = tmp_path / "log"
    path = tmp_path / "cdi" / "nvidia.yaml"
    calls = ["-y", "-o", str(log), "-e", "trace=/^mkdir,/^rename,fsync"]

    subprocess.run([*strace, *calls, sys.executable, "-c", WRITE_ONE, str(path)], check=True, timeout=60)

    steps = [re.sub(r"[0-9a-f]{16}", "RANDOM", line.split(maxsplit=1)[1]) for line in log.read_text().splitlines()]
    mine = [step for step in steps if str(tmp_path) in step]
    cdi, new = f"<{tmp_path}/cdi>", f"<{tmp_path}/cdi/.nvidia.yaml.RANDOM.tmp>"
    assert [re.sub(r"\b\d+(?=<)|\s+= 0$|, 0\d+|at2?(?=\()", "", step) for step in mine] == [
        f'mkdir(<{tmp_path}>, "cdi")',
        f"fsync(<{tmp_path}>)",
        f"fsync({new})",
        f'rename({cdi}, ".nvidia.yaml.RANDOM.tmp", {cdi}, "nvidia.yaml")',
        f"fsync({cdi})",
    ]


def test_a_reader_sees_whole_files_alone_while_two_write(spec: Path) -> None:
    write_file(spec, b"a")
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE_MANY, str(spec), letter], stderr=subprocess.PIPE)
        for letter in "ab"
    ]
    seen = set()
    deadline = time.monotonic() + 60
    while any(writer.poll() is None for writer in writers) and time.monotonic() < deadline:
        content = spec.read_bytes()
        seen.add((content[:1], len(content)))
        assert len(set(content)) == 1, "two writers in one file"
        assert len(content) == 1 or len(content) % 5000 == 0, "a part of a file"

    assert [(writer.wait(), writer.communicate()[1]) for writer in writers] == [(0, b""), (0, b"")]
    assert len(seen) > 2
    assert len(spec.read_bytes()) == 60 * 5000
    assert names(spec.parent) == ["nvidia.yaml"]
