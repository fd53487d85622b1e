"""Runs cdigen as a user does, on a tree of the test cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.real.make_driver import HostTree


def run_cdigen(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run cdigen with `arguments` and return its status and output; it asks no engine unless they say so."""
    return subprocess.run(
        [sys.executable, "-m", "cdigen", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env={"CDIGEN_GENERATE_ADDITIONAL_GIDS": "never", **os.environ},
    )


def as_whole_host(tree: HostTree) -> list[str]:
    """Return the options for a tree that is a host's `/`: no path of this machine is in the spec."""
    return ["--host-root", str(tree.root)]


def as_driver_root(tree: HostTree) -> list[str]:
    """Return the options for a tree that is a directory of this machine, so that engines here can mount from it."""
    root = str(tree.root)
    return ["--driver-root", root, "--dev-root", root, "--procfs", f"{root}/proc", "--sysfs", f"{root}/sys"]


def report_of(*arguments: str) -> dict[str, Any]:
    """Run a reporting command with --json and return its report."""
    done = run_cdigen(*arguments, "--json")
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report
