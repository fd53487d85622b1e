"""What a test of real failures needs of the machine: a reasoned skip without it, a failure under CI."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def lack(what: str) -> NoReturn:
    """End the test that needs `what` of the machine: a skip with the reason, under CI a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and under CI nothing is skipped")
    pytest.skip(what)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[Path, list[str]], None]]:
    """Return a function that mounts at a path, with `mount`'s options; unmounted after the test."""
    mounted: list[Path] = []

    def do(path: Path, options: list[str]) -> None:
        run = subprocess.run(["mount", *options, str(path)], capture_output=True, text=True, check=False)
        if run.returncode:
            lack(f"mounting needs root: {run.stderr.strip()}")
        mounted.append(path)

    yield do
    for path in reversed(mounted):
        subprocess.run(["umount", str(path)], check=True)


@pytest.fixture
def strace() -> list[str]:
    """Return the command that runs another under strace, without its output."""
    if not shutil.which("strace"):
        lack("strace is not installed (package strace)")
    command = ["strace", "-f", "-qq", "-o", os.devnull]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        lack("strace may not trace processes here")
    return command
