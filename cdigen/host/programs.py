"""Programs of the host, asked for a line or two: side by side, for a bounded time, in an environment of their own.

They get the user's home and runtime directory, without which podman does not even tell its version, and nothing else
of what the user has set.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from cdigen.records import Record

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

TIMEOUT = 2.0
"""Seconds for all of them together; a version takes a few hundredths."""

MAX_OUTPUT = 64 << 10
"""The most bytes that are read of one program; what follows is not waited for."""

_GRACE = 0.05  # seconds between the end of a program's output and its own

_MAX_SHOWN = 200  # characters of what a program that failed said


class Answer(Record):
    """What a program said.

    Attributes:
        output: what it wrote to standard output.
        failure: why there is nothing to be read in it, with the first line of its standard error; None if it ended
            with status 0.
    """

    output: str
    failure: str | None


class Runner(Protocol):
    """Runs programs."""

    def __call__(self, commands: Sequence[tuple[str, ...]]) -> tuple[Answer, ...]:
        """Return what each command says, a program's absolute path and its arguments, in their order."""


def run_programs(
    commands: Sequence[tuple[str, ...]], *, timeout: float = TIMEOUT, umask: int = -1
) -> tuple[Answer, ...]:
    """Run all commands side by side; see `Runner`.

    Args:
        commands: a program's absolute path and its arguments.
        timeout: seconds after which those that have not ended are killed, with what they started.
        umask: that of the programs; -1 for this process's.
    """
    import subprocess

    deadline = time.monotonic() + timeout
    environment = own_environment(os.environ, os.getuid())
    started: list[subprocess.Popen[bytes] | Answer] = []
    for command in commands:
        try:
            started.append(
                subprocess.Popen(  # noqa: S603 - programs of a table, no shell
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd="/",
                    env=environment,
                    umask=umask,
                    start_new_session=True,  # so that what it starts can be killed with it
                )
            )
        except OSError as error:
            started.append(Answer(output="", failure=error.strerror or str(error)))
    return tuple(one if isinstance(one, Answer) else _finish(one, deadline, timeout) for one in started)


def _finish(process: subprocess.Popen[bytes], deadline: float, timeout: float) -> Answer:
    import subprocess

    try:
        data, errors = _read(process, deadline)
        code = process.wait(max(_GRACE, deadline - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        return Answer(output="", failure=f"no answer within {timeout:g} s")
    except OverflowError:
        return Answer(output="", failure=f"an answer of more than {MAX_OUTPUT} bytes")
    finally:
        with suppress(OSError):  # also of one that ended: what it started may hang
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in filter(None, (process.stdout, process.stderr)):
            stream.close()
    if code != 0:
        lines = errors.decode(errors="replace").strip().splitlines()
        said = f": {lines[0][:_MAX_SHOWN]}" if lines else ""
        return Answer(output="", failure=f"ended with exit code {code}{said}")
    return Answer(output=data.decode(errors="replace"), failure=None)


def own_environment(caller: Mapping[str, str], uid: int) -> dict[str, str]:
    """Return the environment in which programs are run.

    Args:
        caller: that of this process. The home is not taken from it where the user has one, nor for root: sudo may leave
            another's.
        uid: the user's number.
    """
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C",
        "HOME": _home(uid) or (caller.get("HOME", "/") if uid != 0 else "/"),
    }
    if uid != 0 and "XDG_RUNTIME_DIR" in caller:
        environment["XDG_RUNTIME_DIR"] = caller["XDG_RUNTIME_DIR"]
    return environment


def _home(uid: int) -> str | None:
    """Return the home of a user; None of one without an entry, as in a container."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return None


def _read(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
    """Return what a program wrote to standard output and to standard error.

    Raises:
        TimeoutError: it has not closed both by the deadline.
        OverflowError: it has written too much.
    """
    if process.stdout is None or process.stderr is None:
        return b"", b""
    output, errors = process.stdout.fileno(), process.stderr.fileno()
    data = {output: b"", errors: b""}
    poll = select.poll()
    for descriptor in data:
        poll.register(descriptor, select.POLLIN)
    left = len(data)
    while left:
        # What is there is read also when the time is up: others may have used it.
        ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            raise TimeoutError
        for descriptor, _ in ready:
            part = os.read(descriptor, MAX_OUTPUT)
            if not part:
                poll.unregister(descriptor)
                left -= 1
            data[descriptor] += part
            if len(data[descriptor]) > MAX_OUTPUT:
                raise OverflowError
    return data[output], data[errors]
