"""A tree with a procfs of this machine's kernel, as a host has that runs, and files of the test in it."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.cli.conftest import lack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COVERED = ("devices", "driver", "modules", "sys/kernel/osrelease")
"""What is covered by the tree's own: files and directories that every procfs has, as nothing can be made in one."""


@contextmanager
def own_procfs(root: Path) -> Iterator[None]:
    """Mount a procfs on the `proc` of the host at `root`, and on its files those that were there.

    What is written to them later is written to the host's.
    """
    files, proc = root.parent / f"{root.name}-proc", root / "proc"
    proc.mkdir(exist_ok=True)
    proc.rename(files)
    proc.mkdir()
    (files / "driver").mkdir(exist_ok=True)
    devices = files / "devices"
    if not devices.exists():
        devices.write_text("Character devices:\n  1 mem\n\nBlock devices:\n  8 sd\n")
    try:
        _run("mount", "-t", "proc", "proc", str(proc))
        for name in _COVERED:
            if (files / name).exists():
                _run("mount", "--bind", str(files / name), str(proc / name))
        yield
    finally:
        subprocess.run(["umount", "--recursive", str(proc)], check=False, capture_output=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lack(f"mounting is not allowed here: {done.stderr.strip()}")
