"""A real engine that reads the spec while it is replaced again and again: it never finds a part of one, or none."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.real.engines import Engine, run_in_container
from tests.real.program import as_driver_root, run_cdigen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real.make_driver import HostTree

STARTS = 10

# Writes the files of the arguments by turns to the first until its standard input ends; says how often.
WRITE = """\
import select, sys
from cdigen.write import write_file
contents = [open(path, "rb").read() for path in sys.argv[1:]]
written = 0
while not select.select([0], [], [], 0)[0]:
    written += write_file(sys.argv[1], contents[(written + 1) % 2])
print(written)
"""


@pytest.fixture
def specs(driver_debian: HostTree, tmp_path: Path) -> Path:
    """Return a directory with the spec of the real driver; beside it is another one, `other.yaml`."""
    for path, strategy in ((tmp_path / "specs/nvidia.yaml", "index"), (tmp_path / "other.yaml", "type-index")):
        options = ("--output", str(path), "--create-dirs", "--device-name-strategy", strategy)
        done = run_cdigen("generate", *as_driver_root(driver_debian), *options)
        assert done.returncode == 0, done.stderr
    return tmp_path / "specs"


@pytest.fixture
def writer(specs: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a process that replaces the spec until its standard input ends."""
    paths = [str(path) for path in (specs / "nvidia.yaml", specs.parent / "other.yaml")]
    command = [sys.executable, "-c", WRITE, *paths]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_every_container_gets_its_device_while_the_spec_is_replaced(
    engine: Engine, image_bookworm: Path, specs: Path, writer: subprocess.Popen[str]
) -> None:
    for _ in range(STARTS):
        done = run_in_container(engine, image_bookworm, specs, ["nvidia.com/gpu=all"], ["true"])
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    written, _ = writer.communicate(timeout=60)
    assert writer.returncode == 0
    assert int(written) > 10 * STARTS
    assert os.listdir(specs) == ["nvidia.yaml"]
