"""Commands of this machine, run so that a failure says in a line what was run and what it answered."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class UnavailableError(Exception):
    """Real input cannot be had on this machine; the message says what is missing and what to do."""


class CommandError(Exception):
    """A command failed; the message has its argument vector, its status and the end of its output."""


def require_root() -> None:
    """Raise `UnavailableError` unless this process may make device nodes and change roots."""
    if os.geteuid() != 0:
        raise UnavailableError("real input needs root (mknod, chroot, mount): run the tests as root")


def run(argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run `argv` to its end and return what it wrote to stdout.

    Args:
        argv: the command; looked up on PATH and in the system's `sbin` directories.
        env: variables that are added to this process's own.
        cwd: the directory to run in; this process's own by default.

    Raises:
        UnavailableError: the command is not installed.
        CommandError: it ended with a status other than 0.
    """
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
            env=command_environment(env),
            cwd=cwd,
        )
    except FileNotFoundError as error:
        raise UnavailableError(
            f"{argv[0]} is not installed: apt-get install what tests/real/packages.txt lists"
        ) from error
    if done.returncode != 0:
        tail = " / ".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise CommandError(f"{' '.join(argv)[:300]}: status {done.returncode}: {tail}")
    return done.stdout


def download(argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command that needs the network: like `run`, but its failure is this machine's, not ours.

    Raises:
        UnavailableError: it is not installed or it failed.
    """
    try:
        return run(argv, env=env, cwd=cwd)
    except CommandError as error:
        raise UnavailableError(f"a download failed: {error}") from error


def command_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a command: ours, untranslated messages, `sbin` on PATH, and `extra`."""
    path = os.environ.get("PATH", "/usr/bin:/bin")
    return {**os.environ, "LC_ALL": "C", "PATH": f"{path}:/usr/sbin:/sbin", **(extra or {})}
