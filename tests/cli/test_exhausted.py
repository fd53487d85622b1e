"""A machine that gives no file descriptor: nothing of the host is known then, and least that it has no driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.program import Run, run_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import MakeHost

OPEN_FILES = (7, 9, 12, 16, 20, 26)
RAISE_IT = "raise the limit on open files (ulimit -n; LimitNOFILE= of a unit)\n"
OLD = b"# what was there\n"
VERBS = {
    "list": (),
    "explain": (),
    "generate": ("--all-modes", "-o", "{}/nvidia.yaml"),
    "snapshot": ("-o", "{}/nvidia.yaml"),
    "diff": ("--spec", "{}/spec.yaml"),
}


def limited(limit: str, verb: str, *arguments: str | Path) -> Run:
    return run_program(verb, *arguments, before=("sh", "-c", f'ulimit {limit}; exec "$@"', "sh"))


@pytest.fixture
def host(make_host: MakeHost, tmp_path: Path) -> Path:
    host = make_host()
    assert run_program("generate", "--host-root", host, "-o", tmp_path / "spec.yaml").code == 0
    (tmp_path / "nvidia.yaml").write_bytes(OLD)
    return host


@pytest.mark.parametrize("verb", VERBS)
def test_without_file_descriptors_nothing_is_said_of_the_host(verb: str, host: Path, tmp_path: Path) -> None:
    arguments = [word.format(tmp_path) for word in VERBS[verb]]
    for limit in OPEN_FILES:
        run = limited(f"-n {limit}", verb, "--host-root", host, *arguments)
        assert (run.code, run.out) == (7, ""), limit
        last = run.err.splitlines(keepends=True)[-1]
        assert last.startswith(("cdigen: error: cannot read /", "cdigen: error: cannot open /"))
        assert last.endswith(f": Too many open files; {RAISE_IT}")
        assert (tmp_path / "nvidia.yaml").read_bytes() == OLD


def test_without_file_descriptors_check_does_not_know(host: Path, tmp_path: Path) -> None:
    for limit in OPEN_FILES:
        run = limited(f"-n {limit}", "check", "--host-root", host, "--spec", tmp_path / "spec.yaml")
        problems = [line for line in run.out.splitlines() if line.startswith(("problem", "warning"))]
        assert (run.code, problems) in ((0, []), (7, [])), limit
        assert RAISE_IT.strip() in " ".join((run.out + run.err).split())
