"""Hosts to run the program on, and files with the output that is expected."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import pytest

from cdigen.run import run
from tests.cli.program import Run
from tests.cli.recorded_case import RecordedCase
from tests.hosts import minimal_entries, snapshot_document, write_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.hosts import Entries, Entry

pytest.register_assert_rewrite("tests.cli.standing_spec")

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures" / "elf"


class Cdigen(Protocol):
    """Runs the program in this process."""

    def __call__(self, *arguments: str | Path) -> Run: ...


class MakeHost(Protocol):
    """Makes a live host, complete if not said otherwise, and returns its root."""

    def __call__(self, entries: Mapping[str, Entry] | None = None) -> Path: ...


class MakeSnapshot(Protocol):
    """Makes a snapshot of a host, complete if not said otherwise, and returns its path."""

    def __call__(self, entries: Mapping[str, Entry] | None = None, **roots: str) -> Path: ...


class Expect(Protocol):
    """Compares text with an expected file beside the tests; writes the file under --update-golden."""

    def __call__(self, name: str, text: str) -> None: ...


def lack(what: str) -> NoReturn:
    """End the test that needs `what` of the machine: a skip with the reason, under CI a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and under CI nothing is skipped", pytrace=False)
    pytest.skip(what)


@pytest.fixture
def cdigen(capfd: pytest.CaptureFixture[str]) -> Cdigen:
    def do(*arguments: str | Path) -> Run:
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Run(code=code, out=out, err=err)

    return do


@pytest.fixture
def root() -> None:
    """Make sure that device nodes and mounts can be made."""
    if os.geteuid() != 0:
        lack("making device nodes and mounts needs root")


@pytest.fixture
def make_host(tmp_path: Path, root: None) -> MakeHost:
    def do(entries: Mapping[str, Entry] | None = None) -> Path:
        place = tmp_path / "host"
        write_tree(place, minimal_entries() if entries is None else entries, FIXTURES)
        return place

    return do


@pytest.fixture
def make_machine(make_host: MakeHost) -> Iterator[MakeHost]:
    """Make a live host as `make_host` does, whose procfs is one of this machine's kernel."""
    from tests.procfs import own_procfs

    with ExitStack() as mounted:

        def do(entries: Mapping[str, Entry] | None = None) -> Path:
            place = make_host(entries)
            mounted.enter_context(own_procfs(place))
            return place

        yield do


@pytest.fixture
def make_case(make_host: MakeHost, tmp_path: Path) -> Callable[..., RecordedCase]:
    def do(entries: Entries | None = None) -> RecordedCase:
        return RecordedCase(make_host(entries), tmp_path)

    return do


@pytest.fixture
def case(make_case: Callable[..., RecordedCase]) -> RecordedCase:
    """Return a small host whose facts were recorded with its spec."""
    case = make_case()
    assert case.generate().code == 0
    return case


@pytest.fixture
def make_snapshot(tmp_path: Path) -> MakeSnapshot:
    def do(entries: Mapping[str, Entry] | None = None, **roots: str) -> Path:
        path = tmp_path / "snapshot.yaml"
        document = snapshot_document(minimal_entries() if entries is None else entries, **roots)
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return do


@pytest.fixture
def mount(root: None) -> Iterator[Callable[..., None]]:
    """Return a function that mounts at a path, with `mount`'s options; unmounted after the test."""
    mounted: list[Path] = []

    def do(path: Path, *options: str) -> None:
        done = subprocess.run(["mount", *options, str(path)], capture_output=True, text=True, check=False)
        if done.returncode:
            lack(f"mounting is not allowed here: {done.stderr.strip()}")
        mounted.append(path)

    yield do
    for path in reversed(mounted):
        subprocess.run(["umount", str(path)], check=True)


@pytest.fixture
def expect(update_golden: bool) -> Expect:
    def do(name: str, text: str) -> None:
        path = HERE / name
        if update_golden and (not path.exists() or path.read_text(encoding="utf-8") != text):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return do
