"""Programs of the host, asked for a line or two: side by side, for a bounded time, in a clean environment."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

TIMEOUT = 2.0
"""Seconds for all of them together; a version takes a few hundredths."""

MAX_OUTPUT = 64 << 10
"""The most bytes that are read of one program; what follows is not waited for."""

_GRACE = 0.05  # seconds between the end of a program's output and its own

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/"}  # podman wants one


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a program said.

    Attributes:
        text: its standard output.
        failure: why there is nothing to be read in `text`; None if it ended with status 0.
    """

    text: str
    failure: str | None


class Runner(Protocol):
    """Runs programs."""

    def __call__(self, commands: Sequence[tuple[str, ...]]) -> tuple[Answer, ...]:
        """Return what each command says, a program's absolute path and its arguments, in their order."""


def run_programs(commands: Sequence[tuple[str, ...]], *, timeout: float = TIMEOUT) -> tuple[Answer, ...]:
    """Run all commands side by side; see `Runner`.

    Args:
        commands: a program's absolute path and its arguments.
        timeout: seconds after which those that have not ended are killed, with what they started.
    """
    import subprocess

    deadline = time.monotonic() + timeout
    started: list[subprocess.Popen[bytes] | Answer] = []
    for command in commands:
        try:
            started.append(
                subprocess.Popen(  # noqa: S603 - programs of a table, no shell
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env=_ENVIRONMENT,
                    start_new_session=True,  # so that what it starts can be killed with it
                )
            )
        except OSError as error:
            started.append(Answer(text="", failure=error.strerror or str(error)))
    return tuple(one if isinstance(one, Answer) else _finish(one, deadline, timeout) for one in started)


def _finish(process: subprocess.Popen[bytes], deadline: float, timeout: float) -> Answer:
    import subprocess

    try:
        data = _read(process, deadline)
        code = process.wait(max(_GRACE, deadline - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        return Answer(text="", failure=f"no answer within {timeout:g} s")
    except OverflowError:
        return Answer(text="", failure=f"an answer of more than {MAX_OUTPUT} bytes")
    finally:
        with suppress(OSError):  # also of one that ended: what it started may hang
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if code != 0:
        return Answer(text="", failure=f"ended with exit code {code}")
    return Answer(text=data.decode(errors="replace"), failure=None)


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    if process.stdout is None:
        return b""
    descriptor = process.stdout.fileno()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    data = b""
    while True:
        # What is there is read also when the time is up: others may have used it.
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        part = os.read(descriptor, MAX_OUTPUT)
        if not part:
            return data
        data += part
        if len(data) > MAX_OUTPUT:
            raise OverflowError
