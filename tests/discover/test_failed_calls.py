"""Whichever call fails with which a live host is looked at, the spec is the same or there is none.

Of 1,098 runs with one such error 480 once wrote another spec and said that all is well.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import FIXTURES, lack
from tests.cli.program import environment
from tests.discover.outcomes import a_host_with_everything
from tests.host.test_live import needs_root
from tests.hosts import write_tree

SOURCE = Path(__file__).parents[1] / "fixtures/host/failing.c"
ERRORS = (errno.EIO, errno.EMFILE, errno.ENOMEM, errno.ESTALE, errno.EACCES, errno.ENFILE, errno.ETIMEDOUT)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "host"
    entries = a_host_with_everything()
    sockets = [path for path, entry in entries.items() if entry["kind"] == "socket"]
    write_tree(root, {path: entry for path, entry in entries.items() if path not in sockets}, FIXTURES)
    for path in sockets:
        place = root / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(place, 0o140666)
    return root


@pytest.fixture
def library(tmp_path: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        lack("there is no C compiler (package gcc)")
    path = tmp_path / "failing.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-o", path, SOURCE, "-ldl"], check=True)
    return path


def sweep(tree: Path, library: Path, every: int, *errors: int) -> tuple[int, str]:
    """Return how many calls there were, and what is wrong for which of them."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.discover.sweep", str(tree), str(every), *map(str, errors)],
        env=environment(LD_PRELOAD=str(library)),
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    calls, failures = map(int, done.stdout.split())
    assert failures == len(done.stderr.splitlines()), done.stderr
    return calls, done.stderr


@needs_root
def test_whichever_call_fails_the_spec_is_the_same_or_there_is_none(tree: Path, library: Path) -> None:
    calls, wrong = sweep(tree, library, 3, *ERRORS)
    assert wrong == ""
    assert calls > 500


@needs_root
@pytest.mark.real
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.__getitem__)
def test_the_same_of_each_call_with_each_error(number: int, tree: Path, library: Path) -> None:
    assert sweep(tree, library, 1, number)[1] == ""
