"""Runs cdigen as a user does: a process, its streams and its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.remedies import notice_report

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = (sys.executable, "-m", "cdigen")
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run of the program left.

    Attributes:
        code: its exit code; negative for a signal.
        out: standard output.
        err: standard error.
    """

    code: int
    out: str
    err: str


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what changes the program, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CDIGEN_", "COLUMNS", "COV_"))}
    # The checkout is found from any directory, also where the package is not installed.
    path = os.pathsep.join(filter(None, (CHECKOUT, kept.get("PYTHONPATH"))))
    return {**kept, "PYTHONPATH": path, **variables}


def run_program(
    *arguments: str | Path,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    before: tuple[str, ...] = (),
    timeout: float = 120,
) -> Run:
    """Run the program in a process of its own.

    Args:
        arguments: its command line.
        env: further environment variables.
        cwd: its working directory.
        stdin: what it reads from standard input, which is empty if this is None.
        before: a command that runs it, such as setpriv with its options.
        timeout: seconds after which it is killed, and the test fails.
    """
    done = subprocess.run(
        [*before, *COMMAND, *map(str, arguments)],
        input=b"" if stdin is None else stdin,
        capture_output=True,
        check=False,
        cwd=cwd,
        env=environment(**(env or {})),
        timeout=timeout,
    )
    run = Run(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())
    if "--json" in arguments:
        with suppress(ValueError):
            notice_report(json.loads(run.out), f"cdigen {' '.join(map(str, arguments))}")
    return run


def bound_to_permissions() -> tuple[str, ...]:
    """Return the command that runs another with the rights of the files' modes, which do not bind root."""
    if os.geteuid() != 0:
        return ()
    # Still root, so that the interpreter is found wherever it is, but without the capabilities to override modes.
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
