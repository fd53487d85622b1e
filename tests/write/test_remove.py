"""A file of ours is removed, durably; anything else stays."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cdigen.errors import FileError
from cdigen.specs.header import is_ours, may_become_ours, output_of, spec_header, standing_file
from cdigen.walk import open_place
from cdigen.write import remove_at, remove_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OURS = b"# Written by cdigen 0.0.1 for nvidia.com/gds.\ncdiVersion: 0.3.0\n"


def test_a_file_of_ours_is_removed_and_its_neighbours_stay(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(OURS)
    (tmp_path / "b.yaml").write_bytes(OURS)

    assert remove_file(tmp_path / "a.yaml", is_ours) == "removed"
    assert remove_file(tmp_path / "a.yaml", is_ours) == "absent"
    assert remove_file(tmp_path / "no" / "such" / "directory.yaml", is_ours) == "absent"
    assert os.listdir(tmp_path) == ["b.yaml"]


@pytest.mark.parametrize(
    "content",
    [b"", b"# Written by cdige", b"cdiVersion: 0.3.0\n", b"\xff\xfe\0", b"\n" + OURS, b"{}", OURS.lower()],
    ids=range(7),
)
def test_a_file_of_anyone_else_or_a_damaged_one_stays(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)

    assert remove_file(path, is_ours) == "left"
    assert path.read_bytes() == content
    assert standing_file(str(path)) == "foreign"


def test_what_is_no_regular_file_stays(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_bytes(OURS)
    (tmp_path / "link.yaml").symlink_to("file.yaml")
    (tmp_path / "directory.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")

    for name in ("link.yaml", "directory.yaml", "pipe.yaml"):
        assert remove_file(tmp_path / name, is_ours) == "left"
    assert len(os.listdir(tmp_path)) == 4
    assert [standing_file(str(tmp_path / name)) for name in ("link.yaml", "pipe.yaml", "none.yaml")] == [
        "ours",
        "foreign",
        "absent",
    ]


def test_what_may_not_be_removed_is_an_error_and_stays(
    tmp_path: Path, mount: Callable[[Path, list[str]], None]
) -> None:
    place = tmp_path / "ro"
    place.mkdir()
    (place / "a.yaml").write_bytes(OURS)
    mount(place, ["-o", "bind,ro", str(place)])

    with pytest.raises(FileError) as caught:
        remove_file(place / "a.yaml", is_ours)

    assert str(caught.value) == (f"cannot remove {place}/a.yaml: Read-only file system; make its file system writable")
    assert (place / "a.yaml").read_bytes() == OURS


def test_what_a_writer_is_at_work_on_stays_until_it_has_ended(tmp_path: Path) -> None:
    name = ".a.yaml.0123456789abcdef.tmp"
    (tmp_path / name).write_bytes(OURS[:10])
    writer = os.open(tmp_path / name, os.O_WRONLY)
    fcntl.flock(writer, fcntl.LOCK_EX)

    with open_place(str(tmp_path / name)) as place:
        at_work = remove_at(place, may_become_ours, is_part=True)
        there = os.listdir(tmp_path)
        os.close(writer)
        ended = remove_at(place, may_become_ours, is_part=True)

    assert (at_work, there, ended, os.listdir(tmp_path)) == ("left", [name], "removed", [])


def test_a_name_alone_is_removed_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_bytes(OURS)
    monkeypatch.chdir(tmp_path)

    assert remove_file("a.yaml", is_ours) == "removed"
    assert os.listdir(tmp_path) == []


def test_of_a_file_its_first_bytes_are_judged_and_no_more_than_were_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(OURS * 100)
    judged = []

    def judge(head: bytes) -> bool:
        judged.append(head)
        return False

    assert remove_file(tmp_path / "a.yaml", judge) == "left"
    assert remove_file(tmp_path / "a.yaml", judge, head_bytes=7) == "left"
    assert judged == [(OURS * 100)[:512], OURS[:7]]


def test_a_whole_file_is_removed_whoever_has_a_lock_on_it_or_its_directory(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(OURS)
    locks = [os.open(path, os.O_RDONLY) for path in (tmp_path, tmp_path / "a.yaml")]
    for lock in locks:
        fcntl.flock(lock, fcntl.LOCK_EX)

    try:
        assert remove_file(tmp_path / "a.yaml", is_ours) == "removed"
    finally:
        for lock in locks:
            os.close(lock)
    assert os.listdir(tmp_path) == []


def test_a_file_that_takes_the_place_of_one_that_was_judged_is_judged_too(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(OURS)
    judged = []

    def judge(head: bytes) -> bool:
        judged.append(head)
        if len(judged) == 1:
            (tmp_path / "new").write_bytes(b"an administrator's")
            (tmp_path / "new").rename(path)
        return is_ours(head)

    assert remove_file(path, judge) == "left"
    assert (judged, path.read_bytes()) == ([OURS, b"an administrator's"], b"an administrator's")


def test_an_error_that_nothing_better_is_known_for_leaves_the_file_to_the_user(
    tmp_path: Path, strace: list[str]
) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(OURS)
    script = f"""
from cdigen.errors import FileError
from cdigen.write import remove_file
try:
    remove_file({str(path)!r}, lambda head: True)
except FileError as error:
    print(error)
    print(error.code, error.subject)
"""

    command = [*strace, "-e", "inject=unlinkat:error=ENOMEM", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [
        f"cannot remove {path}: Cannot allocate memory; remove it by hand",
        f"cannot-remove {path}",
    ]
    assert path.read_bytes() == OURS


@pytest.mark.parametrize("content", [b"", OURS[:1], OURS[:20], OURS])
def test_a_part_of_a_file_of_ours_may_become_one(content: bytes) -> None:
    assert may_become_ours(content)
    assert not may_become_ours(content + b"x") or is_ours(content)


def test_the_directory_is_synced_after_the_file_is_gone(tmp_path: Path, strace: list[str]) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(OURS)
    script = f"from cdigen.write import remove_file; remove_file({str(path)!r}, lambda head: True)"
    trace = tmp_path / "trace"

    options = ["-o", str(trace), "-e", "trace=/stat,unlinkat,unlink,fsync"]
    subprocess.run([*strace[:3], *options, sys.executable, "-c", script], check=True)

    calls = [line.split("(")[0].split()[-1] for line in trace.read_text().splitlines() if "(" in line]
    assert calls[-2:] == ["unlinkat", "fsync"]
    assert "stat" in calls[-3]  # whether it is the file that was judged, last of all


def test_the_header_is_what_makes_a_file_ours() -> None:
    assert is_ours(("# " + spec_header("anything", "")[0]).encode())


@pytest.mark.parametrize(
    ("mode", "main", "path"),
    [
        ("auto", "/etc/cdi/nvidia.yaml", "/etc/cdi/nvidia.yaml"),
        ("gpu", "x.yaml", "x.yaml"),
        ("imex", "/etc/cdi/nvidia.yaml", "/etc/cdi/nvidia-imex.yaml"),
        ("gds", "/a.b/c", "/a.b/c-gds"),
    ],
)
def test_each_mode_has_a_file_of_its_own_beside_the_main_one(mode: str, main: str, path: str) -> None:
    assert output_of(mode, main) == path
