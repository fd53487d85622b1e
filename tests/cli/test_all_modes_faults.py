"""Several specs and their record in one run that is killed, or whose disk is full: each file is the old or the new."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from cdigen.run import run
from cdigen.write import TEMPORARY
from tests.classes import gds_entries, imex_entries
from tests.cli.conftest import FIXTURES, lack
from tests.hosts import Entries, minimal_entries, text, write_tree
from tests.write.tracing import IS_X86_64, trace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Cdigen

    Files = dict[str, bytes]

PAGE = 4096  # what a tmpfs is made of
MAIN, MANAGEMENT, GDS, IMEX, RECORD = (
    "nvidia.yaml",
    "nvidia-management.yaml",
    "nvidia-gds.yaml",
    "nvidia-imex.yaml",
    "record/facts.yaml",
)
FULL = "No space left on device; free some space there"

# Of x86-64 (asm/unistd_64.h): the calls after which a directory is another one than before, and the lock.
FLOCK = 73
CHANGES = {1: "write", FLOCK: "flock", 74: "fsync", 91: "fchmod", 257: "openat", 263: "unlinkat", 264: "renameat"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A host that is another one now, and the files before and after.

    Attributes:
        arguments: the command line that makes one of the other; the files are in a directory that it lacks yet.
        old: by name; a mode that is gone later is among them, and one that is new is not.
        new: by name.
    """

    arguments: tuple[str, ...]
    old: Files
    new: Files

    def generate_in(self, directory: Path) -> list[str]:
        """Return the command line for the files in `directory`."""
        return [*self.arguments, "-o", str(directory / MAIN), "--record", str(directory / RECORD)]


def files_in(directory: Path) -> Files:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def put(directory: Path, files: Files) -> None:
    (directory / "record").mkdir(parents=True, exist_ok=True)
    for path in directory.rglob("*"):
        if path.is_file():
            path.unlink()
    for name, content in files.items():
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o644)


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """Return the directory of the specs; the paths in them are those of the record's note."""
    directory = tmp_path / "cdi"
    (directory / "record").mkdir(parents=True)
    return directory


MANY_DISKS: Entries = {"/proc/devices": text("Block devices:\n" + "  8 sd\n" * 1000)}
"""What makes the record longer than any spec."""


@pytest.fixture
def change(tmp_path: Path, specs: Path, root: None, cdigen: Cdigen) -> Change:
    hosts = {
        "old": {**minimal_entries(gpus=1), **imex_entries(0), **MANY_DISKS},
        "new": {**minimal_entries(gpus=2), **gds_entries(1), **MANY_DISKS},
    }
    states = []
    for name, entries in hosts.items():
        write_tree(tmp_path / name, entries, FIXTURES)
        put(specs, {})
        arguments = ("generate", "--all-modes", "--host-root", str(tmp_path / name))
        change = Change(arguments=arguments, old={}, new={})
        assert cdigen(*change.generate_in(specs)).code == 0
        states.append(files_in(specs))
    old, new = states
    assert (set(old), set(new)) == ({MAIN, MANAGEMENT, IMEX, RECORD}, {MAIN, MANAGEMENT, GDS, RECORD})
    assert all(old[name] != new[name] for name in (MAIN, MANAGEMENT, RECORD))
    return Change(arguments=arguments, old=old, new=new)


def run_silently(arguments: list[str]) -> int:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    return run(arguments)


def test_killed_before_any_change_each_file_is_the_old_or_the_new_one(
    change: Change, specs: Path, cdigen: Cdigen
) -> None:
    if not IS_X86_64:
        lack("the numbers of calls are known of x86-64 alone")
    arguments = change.generate_in(specs)
    put(specs, change.old)
    whole = trace(lambda: run_silently(arguments), counts=CHANGES.__contains__)
    assert (whole.said, files_in(specs)) == ("0", change.new)
    seen = set()

    for position in range(whole.calls.index(FLOCK), len(whole.calls)):
        put(specs, change.old)
        killed = trace(lambda: run_silently(arguments), counts=CHANGES.__contains__, kill_at=position)

        assert killed.said is None
        left = files_in(specs)
        litter = [name for name in left if TEMPORARY.fullmatch(name.rpartition("/")[2])]
        assert len(litter) <= 1
        state = {name: content for name, content in left.items() if name not in litter}
        assert state.keys() <= change.old.keys() | change.new.keys()
        for name in change.old | change.new:
            assert state.get(name) in (change.old.get(name), change.new.get(name))
        seen.add(
            tuple(name for name in (MAIN, MANAGEMENT, IMEX, GDS, RECORD) if state.get(name) == change.new.get(name))
        )
        # The next run makes good what is missing, the record too, and takes away what was left.
        assert cdigen(*arguments).code == 0
        assert files_in(specs) == change.new

    # One after the other, the record last.
    assert sorted(seen, key=len) == [
        (),
        (MAIN,),
        (MAIN, MANAGEMENT),
        (MAIN, MANAGEMENT, IMEX),
        (MAIN, MANAGEMENT, IMEX, GDS),
        (MAIN, MANAGEMENT, IMEX, GDS, RECORD),
    ]


def test_a_disk_that_is_full_at_any_file_leaves_the_others_whole(
    change: Change, specs: Path, mount: Callable[..., None], cdigen: Cdigen
) -> None:
    put(specs, {})
    # Without an old main spec, whose room would be the next file's.
    old = {name: content for name, content in change.old.items() if name != MAIN}
    failures = set()
    arguments = change.generate_in(specs)
    needed = sum(-(-len(content) // PAGE) for files in (old, change.new) for content in files.values())
    mount(specs, "-t", "tmpfs", "-o", f"size={needed * PAGE}", "tmpfs")
    ballast = specs / "ballast"

    for free in range(needed):
        put(specs, old)
        ballast.write_bytes(b"x" * max(0, os.statvfs(specs).f_bfree - free) * PAGE)
        done = cdigen(*arguments)

        ballast.unlink()
        state = files_in(specs)
        assert not [name for name in state if TEMPORARY.fullmatch(name.rpartition("/")[2])]
        failed = tuple(name for name in change.new if state.get(name) != change.new[name])
        failures.add(frozenset(failed))
        for name in failed:
            assert state.get(name) == old.get(name)
        assert (IMEX in state) == (MAIN in failed)  # without the main spec, nothing else is touched
        told = [MAIN] if MAIN in failed else failed
        errors = [line for line in done.err.splitlines() if line.startswith("cdigen: error: ")]
        assert sorted(errors) == sorted(f"cdigen: error: cannot write {specs / name}: {FULL}" for name in told)
        assert done.code == (7 if failed else 0)

    assert failures >= {
        frozenset({MAIN, MANAGEMENT, GDS, RECORD}),
        frozenset({MANAGEMENT, RECORD}),  # between them one is removed, and one has its room
        frozenset({RECORD}),
        frozenset(),
    }
