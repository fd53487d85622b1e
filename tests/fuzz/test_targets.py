"""The table of what `make fuzz` looks at is complete, and every input that is kept is replayed; without atheris."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdigen.errors import ParseError
from tests.fuzz.__main__ import too_costly
from tests.fuzz.seeds import CORPUS, FOUND, ROOT, files_of
from tests.fuzz.targets import TARGETS, Target, find_excess, judge

if TYPE_CHECKING:
    from types import FrameType


LARGEST_FILE = 16 << 10
LARGEST_CORPUS = 256 << 10

each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


def modules_entered(target: Target) -> set[str]:
    """Return the modules of cdigen whose functions a target calls for its inputs."""
    found = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            found.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for _, data in target.seeds():
            judge(target, data)
    finally:
        sys.setprofile(before)
    package = ROOT / "cdigen"
    return {
        ".".join(Path(path).relative_to(package).with_suffix("").parts)
        for path in found
        if Path(path).is_relative_to(package)
    }


def fake(read: object) -> Target:
    """Return a target that reads by a function of the test's."""
    return Target(name="fake", read=read, modules=())  # type: ignore[arg-type]


@each_target
def test_every_input_that_is_kept_is_judged_and_costs_what_one_of_its_size_may(target: Target) -> None:
    excesses = {name: find_excess(target, data) for name, data in target.seeds()}

    assert {name: excess for name, excess in excesses.items() if excess} == {}


@each_target
def test_every_error_that_is_declared_is_one_that_an_input_raises(target: Target) -> None:
    raised = set()
    for _, data in target.seeds():
        try:
            target.read(data)
        except target.raises as error:
            raised.add(type(error))

    assert raised == set(target.raises)


@each_target
def test_the_inputs_of_a_target_reach_the_modules_that_it_is_for(target: Target) -> None:
    assert set(target.modules) - modules_entered(target) == set()


def test_every_parser_has_a_target() -> None:
    parsers = {f"parse.{path.stem}" for path in (ROOT / "cdigen/parse").glob("*.py")} - {"parse.__init__"}
    covered = {module for target in TARGETS for module in target.modules}

    assert parsers - covered == set()


def test_every_target_has_a_name_of_its_own_and_every_file_a_target() -> None:
    names = [target.name for target in TARGETS]

    assert len(set(names)) == len(names)
    for directory in (CORPUS, FOUND):
        assert {path.name for path in directory.iterdir() if path.is_dir()} <= set(names)


def test_what_is_kept_is_small() -> None:
    sizes = [path.stat().st_size for target in TARGETS for path in files_of(CORPUS, target.name)]

    assert max(sizes) <= LARGEST_FILE
    assert sum(sizes) <= LARGEST_CORPUS


def test_an_error_that_is_not_declared_is_a_finding() -> None:
    def broken(data: bytes) -> None:
        int(data)

    judge(fake(broken), b"1")
    with pytest.raises(ValueError, match=r"^invalid literal"):
        judge(fake(broken), b"x")


def test_an_error_that_is_declared_is_none_unless_it_forges_a_line() -> None:
    def refusing(data: bytes) -> None:
        raise ParseError(data.decode())

    judge(fake(refusing), b"not one")
    with pytest.raises(AssertionError, match=r"^not printable: 'a\\nb'"):
        judge(fake(refusing), b"a\nb")


def test_work_and_memory_beyond_what_the_size_allows_are_findings() -> None:
    def quadratic(data: bytes) -> None:
        for _ in range(len(data) ** 2):
            len(data)

    target = replace(fake(quadratic), calls=(100, 10), memory=(64 << 10, 10))
    assert find_excess(target, b"x" * 8) is None
    assert find_excess(target, b"x" * 100) == "more than 1100 calls for 100 bytes"

    excess = find_excess(replace(target, read=lambda data: bytes(len(data) << 12)), b"x" * 100)
    assert excess is not None
    assert excess.endswith(" bytes of memory for 100 bytes, more than 66536")


def test_of_new_inputs_the_smallest_that_costs_too_much_is_kept(tmp_path: Path) -> None:
    def costly(data: bytes) -> None:
        for _ in range(10_000 * data.startswith(b"x")):
            len(data)

    for data in (b"xxx", b"xx", b"y"):
        (tmp_path / data.decode()).write_bytes(data)

    assert too_costly(fake(costly), tmp_path) == [b"xx"]


def test_a_target_that_is_not_there_is_a_mistake() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "elf", "elves"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "error: no target elves; there are elf, ldcache, " in done.stderr
