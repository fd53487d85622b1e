"""A writer that is killed, or whose disk fails, at each of its system calls: the old file or the new one, whole."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from cdigen.specs.header import is_ours
from cdigen.walk import open_place
from cdigen.write import TEMPORARY, Owner, refusing, remove_file, write_at, write_file
from tests.write.conftest import lack
from tests.write.tracing import IS_X86_64, Failure, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    MakePlace = Callable[[], Path]

OLD = b"# Written by cdigen 0.0.1\nold: content\n"
NEW = b"# Written by cdigen 0.0.1\nnew: content that is longer\n"
PART = ".nvidia.yaml.0123456789abcdef.tmp"

# Of x86-64 (asm/unistd_64.h).
COMMITS = {263: "unlinkat", 264: "renameat"}
OF_THE_PROCESS = {9: "mmap", 11: "munmap", 12: "brk", 25: "mremap", 28: "madvise", 95: "umask", 228: "clock_gettime"}
"""Calls that no disk can make fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A change of one file.

    Attributes:
        name: what is done.
        old: the file before; None if there is none.
        new: the file after.
        done: what the call returns.
        again: what the next one returns if the change was made, or was not.
        below: the directories, from one that is there, to that of the file.
        litter: whether a writer was killed before.
        linked: whether the path is a symbolic link to the file.
        bound: whether nothing may lead out of its directory.
        owned: whether the file is given an owner.
    """

    name: str
    old: bytes | None
    new: bytes | None
    done: str
    again: tuple[object, object]
    below: str = ""
    litter: bool = False
    linked: bool = False
    bound: bool = False
    owned: bool = False

    def prepare(self, place: Path) -> Path:
        """Make what is there before in `place`; return the path that is written to."""
        file = place / self.below / "nvidia.yaml"
        if self.old is not None:
            file.write_bytes(self.old)
            file.chmod(0o644)
        if self.litter:
            (place / PART).write_bytes(NEW[:20])
        if self.linked:
            file.rename(place / "real.yaml")
            file.symlink_to("real.yaml")
        return file

    def work(self, path: Path) -> object:
        """Make the change."""
        if self.new is None:
            return remove_file(path, is_ours)
        if self.owned:
            with refusing("write", str(path)), open_place(str(path)) as place:
                return write_at(place, self.new, owner=Owner(os.geteuid(), os.getegid()))
        return write_file(path, self.new, root=str(path.parent) if self.bound else None)


CASES = (
    Case(name="a new file", old=None, new=NEW, done="True", again=(False, True)),
    Case(name="a replacement", old=OLD, new=NEW, done="True", again=(False, True)),
    Case(name="an unchanged file", old=NEW, new=NEW, done="False", again=(False, False)),
    Case(name="new directories", old=None, new=NEW, done="True", again=(False, True), below="etc/cdi"),
    Case(name="a replacement after a kill", old=OLD, new=NEW, done="True", again=(False, True), litter=True),
    Case(name="a replacement behind a link", old=OLD, new=NEW, done="True", again=(False, True), linked=True),
    Case(
        name="a replacement behind a link below a root",
        old=OLD,
        new=NEW,
        done="True",
        again=(False, True),
        linked=True,
        bound=True,
    ),
    Case(name="a replacement that keeps its owner", old=OLD, new=NEW, done="True", again=(False, True), owned=True),
    Case(name="a removal", old=OLD, new=None, done="'removed'", again=("absent", "removed")),
)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def make_place(tmp_path: Path, case: Case) -> Iterator[MakePlace]:
    """Return a function that makes a fresh place and returns the path in it; the umask is narrow meanwhile."""
    places: list[Path] = []

    def do() -> Path:
        places.append(tmp_path / str(len(places)))
        places[-1].mkdir(mode=0o755)
        places[-1].chmod(0o755)
        return case.prepare(places[-1])

    umask = os.umask(0o077)
    yield do
    os.umask(umask)


def concerns_a_disk(call: int) -> bool:
    return call not in OF_THE_PROCESS


def content_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def litter_beside(path: Path) -> list[str]:
    """Return what else is there, after a check that no engine reads it, and that others may read what there is."""
    file = path.resolve()
    for made in (file, file.parent, file.parent.parent):
        if made.exists() and made.name in (file.name, "cdi", "etc"):
            assert stat.S_IMODE(made.stat().st_mode) == (0o644 if made == file else 0o755)
    if not file.parent.exists():
        return []
    litter = [name for name in os.listdir(file.parent) if name not in (file.name, path.name, "etc")]
    for name in litter:
        temporary = TEMPORARY.fullmatch(name)
        assert temporary is not None
        assert temporary[1] == file.name
    return litter


def test_killed_before_any_call_it_leaves_the_old_file_or_the_new_one(case: Case, make_place: MakePlace) -> None:
    path = make_place()
    whole = trace(lambda: case.work(path))
    assert (whole.said, content_of(path), litter_beside(path)) == (case.done, case.new, [])
    seen = []

    for position in range(len(whole.calls)):
        path = make_place()
        killed = trace(lambda path=path: case.work(path), kill_at=position)  # type: ignore[misc]

        assert (killed.said, len(killed.calls)) == (None, position)
        seen.append(content_of(path))
        assert len(litter_beside(path)) <= 1 + case.litter
        # Whoever comes next makes the change and takes away what was left.
        assert case.work(path) == case.again[0 if seen[-1] == case.new else 1]
        assert (content_of(path), litter_beside(path)) == (case.new, [])

    changed_at = seen.index(case.new)
    assert seen == [case.old] * changed_at + [case.new] * (len(seen) - changed_at)
    assert (0 < changed_at < len(seen)) == (case.old != case.new)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_an_error_of_any_call_leaves_the_old_file_or_the_new_one(error: int, case: Case, make_place: MakePlace) -> None:
    if not IS_X86_64:
        lack("calls can be made to fail on x86-64 alone")
    path = make_place()
    calls = trace(lambda: case.work(path), counts=concerns_a_disk).calls
    commit = max((position for position, call in enumerate(calls) if call in COMMITS), default=len(calls))
    refused = 0

    for position in range(len(calls)):
        path = make_place()
        failure = Failure(position=position, error=error)
        done = trace(lambda path=path: case.work(path), counts=concerns_a_disk, failure=failure)  # type: ignore[misc]

        said = done.said or ""
        if said.startswith("FileError: "):
            refused += 1
            verb = "remove" if case.new is None else "write"
            assert said.startswith(f"FileError: cannot {verb} {path}: {os.strerror(error)}; ")
            assert content_of(path) == (case.new if position > commit else case.old)
        else:
            assert said in ("True", case.done)
            assert content_of(path) == case.new
        assert litter_beside(path) in ([], [PART] if case.litter else [])
        case.work(path)
        assert (content_of(path), litter_beside(path)) == (case.new, [])

    assert refused >= 3
