"""The program, run on every golden host, says byte for byte what is written down for it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cdigen.cdi.validate import find_violations
from cdigen.parse.document import parse_document
from cdigen.run import run
from cdigen.schema import find_schema_violations
from tests.golden.hosts import (
    ARGUMENTS,
    EXIT_CODE,
    GOLDEN,
    GOLDEN_HOSTS,
    OF_GPUS,
    SNAPSHOT,
    SPEC,
    STDERR,
    GoldenHost,
    Outcome,
    find_difference,
)

if TYPE_CHECKING:
    from pathlib import Path

every_host = pytest.mark.parametrize("host", GOLDEN_HOSTS, ids=lambda host: host.name)


def run_program(host: GoldenHost, directory: Path) -> Outcome:
    """Run `cdigen generate` as a process of its own in `directory`."""
    done = subprocess.run(
        [sys.executable, "-m", "cdigen", "generate", "--snapshot", host.snapshot, "-o", "-", *host.arguments],
        cwd=directory,
        env={name: value for name, value in os.environ.items() if not name.startswith("CDIGEN_")},
        capture_output=True,
        check=False,
    )
    return Outcome(stdout=done.stdout, stderr=done.stderr, exit_code=done.returncode)


def run_here(snapshot: Path, host: GoldenHost, capture: pytest.CaptureFixture[bytes]) -> Outcome:
    """Run `cdigen generate` in this process, which is quicker, on `snapshot` with the options of `host`."""
    exit_code = run(["generate", "--snapshot", str(snapshot), "-o", "-", *host.arguments])
    stdout, stderr = capture.readouterr()
    return Outcome(stdout=stdout, stderr=stderr, exit_code=exit_code)


def expect(host: GoldenHost, outcome: Outcome, *, update: bool = False) -> None:
    """Fail with a diff unless `outcome` is what is written down for `host`."""
    differences = [
        find_difference(host.directory / name, actual, update=update) for name, actual in outcome.files().items()
    ]
    if any(differences):
        pytest.fail("\n".join([*filter(None, differences), "accept it with: pytest --update-golden"]), pytrace=False)


@every_host
def test_the_program_says_what_is_written_down(host: GoldenHost, tmp_path: Path, update_golden: bool) -> None:
    expect(host, run_program(host, tmp_path), update=update_golden)
    assert list(tmp_path.iterdir()) == []


@every_host
def test_a_snapshot_of_a_snapshot_says_the_same(
    host: GoldenHost, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    again = tmp_path / SNAPSHOT
    assert run(["snapshot", "--snapshot", str(host.snapshot), "-o", str(again)]) == 0
    capsysbinary.readouterr()
    expect(host, run_here(again, host, capsysbinary))


@pytest.mark.parametrize(
    "host",
    [host for host in GOLDEN_HOSTS if not any(argument.startswith("--mode") for argument in host.arguments)],
    ids=lambda host: host.name,
)
def test_the_specs_of_all_modes_are_what_is_written_down(
    host: GoldenHost, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], update_golden: bool
) -> None:
    again = tmp_path / SNAPSHOT
    asks = [argument for argument in host.arguments if argument.startswith("--nvml")]
    assert run(["snapshot", "--snapshot", str(host.snapshot), "-o", str(again), *asks]) == 0
    for snapshot in (host.snapshot, again):
        main = tmp_path / f"specs-of-{snapshot.parent.name}" / SPEC
        main.parent.mkdir()
        exit_code = run(["generate", "--all-modes", "--snapshot", str(snapshot), "-o", str(main), *host.arguments])
        capsysbinary.readouterr()
        assert bool(exit_code) == host.is_refused
        written = {path.name: path.read_bytes() for path in main.parent.glob("nvidia-*.yaml")}
        names = {name for name in written if name not in OF_GPUS} | host.mode_specs.keys()
        differences = [
            find_difference(host.directory / name, written.get(name, b""), update=update_golden)
            for name in sorted(names)
        ]
        assert not any(differences), "\n".join([*filter(None, differences), "accept it with: pytest --update-golden"])


@every_host
def test_the_order_of_the_entries_makes_no_difference(
    host: GoldenHost, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    entries = list(host.entries.items())
    random.Random(host.name).shuffle(entries)  # noqa: S311 - an order, not a secret
    shuffled = tmp_path / SNAPSHOT
    shuffled.write_text(json.dumps({**host.document, "entries": dict(entries)}))
    expect(host, run_here(shuffled, host, capsysbinary))


@every_host
def test_the_snapshot_obeys_its_schema_and_is_sorted(host: GoldenHost) -> None:
    assert find_schema_violations(host.document, "snapshot") == ()
    assert list(host.entries) == sorted(host.entries)


@every_host
def test_the_note_names_the_source(host: GoldenHost) -> None:
    assert "\nSource: " in str(host.document["note"])


@every_host
def test_a_spec_is_valid_and_free_of_hooks_and_a_refusal_has_none(host: GoldenHost) -> None:
    if host.is_refused:
        assert not host.spec_path.exists()
    else:
        for path in (host.spec_path, *host.mode_specs.values()):
            assert find_violations(parse_document(path.read_bytes()), hook_free=True) == ()


@every_host
def test_the_directory_holds_what_the_outcome_calls_for_and_nothing_else(host: GoldenHost) -> None:
    must = {SNAPSHOT, EXIT_CODE, STDERR} if host.is_refused else {SNAPSHOT, SPEC}
    may = {ARGUMENTS} if host.is_refused else {ARGUMENTS, STDERR, *host.mode_specs}
    files = {path.name for path in host.directory.iterdir()}
    assert must <= files <= must | may
    assert all((host.directory / name).stat().st_size for name in files)


def test_the_readme_has_a_row_for_every_host_and_no_other() -> None:
    rows = [line for line in (GOLDEN / "README.md").read_text().splitlines() if line.startswith("| [")]
    assert [row.partition("]")[0].removeprefix("| [") for row in rows] == [host.name for host in GOLDEN_HOSTS]


def test_a_difference_is_shown_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "host" / SPEC
    path.parent.mkdir()
    path.write_bytes(b"kind: a/b\nx: 1\n")
    assert find_difference(path, b"kind: a/b\nx: 2\n", update=False) == (
        "--- host/nvidia.yaml (expected)\n+++ host/nvidia.yaml (now)\n@@ -1,2 +1,2 @@\n kind: a/b\n-x: 1\n+x: 2"
    )
    assert find_difference(path, b"kind: a/b\nx: 1", update=False) == "host/nvidia.yaml: only the line ends differ"
    assert path.read_bytes() == b"kind: a/b\nx: 1\n"


def test_an_update_rewrites_what_differs_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    same, changed, new, gone = (tmp_path / name for name in ("same", "changed", "new", "gone"))
    for path in (same, changed, gone):
        path.write_bytes(b"old\n")
    os.utime(same, (1, 1))
    contents = {same: b"old\n", changed: b"new\n", new: b"new\n", gone: b"", tmp_path / "never": b""}
    assert [find_difference(path, actual, update=True) for path, actual in contents.items()] == [""] * 5
    assert {path.name: path.read_bytes() for path in sorted(tmp_path.iterdir())} == {
        "changed": b"new\n",
        "new": b"new\n",
        "same": b"old\n",
    }
    assert same.stat().st_mtime == 1


def test_an_update_is_refused_under_ci() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--update-golden", "--collect-only", "-q", "-p", "no:cacheprovider", __file__],
        cwd=GOLDEN.parent,
        env={**os.environ, "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    message = (
        "ERROR: --update-golden rewrites what the tests expect, which CI (the variable CI is set) must not do:"
        " run it in a checkout and review the difference\n\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (pytest.ExitCode.USAGE_ERROR, "", message)
