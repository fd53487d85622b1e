"""Work that may crash, end the process or never come back, done in a process of its own.

The process is a fork that runs no other program: what it needs is already there, and what it returns are bytes over
a pipe. Nothing of what happens to it happens to us.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.errors import CdigenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_LENGTH_BYTES = 8
_GRACE = 2.0  # seconds for a process that was killed to go; one that a driver holds in the kernel stays longer
_OWN_END = 5.0  # seconds after the deadline at which the process ends itself, if we could not do it

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_NO_STATUS = -1  # no wait status is negative


class ChildError(CdigenError):
    """The work did not come to an end; the message is the reason, without the place."""


def run_in_child(work: Callable[[], bytes], *, timeout: float, limit: int) -> bytes:
    """Return what `work` returns in a forked process, whose standard streams are /dev/null.

    Args:
        work: what is done. Whatever it changes is lost. An exception of it counts as no answer.
        timeout: seconds after which the process is killed, with the processes that it started.
        limit: the most bytes of an answer.

    Raises:
        ChildError: no answer in time, none at all, or a larger one.
        OSError: no process can be started, so that nobody was asked.
    """
    deadline = time.monotonic() + timeout
    reader, writer = os.pipe()
    # A Ctrl-C that comes now waits until what it ends is sure to be cleaned up.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise
    if pid == 0:
        os.close(reader)
        _be_the_child(work, writer, timeout, mask)
    status = None
    try:
        os.close(writer)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        with suppress(OSError):  # both of us do it: whoever comes first
            os.setpgid(pid, pid)
        length = int.from_bytes(_read(reader, _LENGTH_BYTES, deadline), "big")
        if length > limit:
            raise ChildError(f"an answer of {length} bytes, more than {limit}")
        return _read(reader, length, deadline)
    except EOFError:
        status = _wait(pid, deadline)
        if status is None:
            raise ChildError(_too_late(timeout)) from None
        raise ChildError(_describe_end(status)) from None
    except TimeoutError:
        raise ChildError(_too_late(timeout)) from None
    finally:
        os.close(reader)
        if status is None:
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            _wait(pid, time.monotonic() + _GRACE)


def _be_the_child(work: Callable[[], bytes], writer: int, timeout: float, mask: set[int | signal.Signals]) -> NoReturn:
    code = 1
    try:
        _stand_alone(timeout)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        answer = work()
        rest = len(answer).to_bytes(_LENGTH_BYTES, "big") + answer
        while rest:
            rest = rest[os.write(writer, rest) :]
        code = 0
    finally:
        os._exit(code)  # nothing of the parent's is flushed, closed or cleaned up a second time


def _stand_alone(timeout: float) -> None:
    """Take from this process what belongs to the parent: signals, streams, environment, core files."""
    import faulthandler
    import resource

    with suppress(OSError):
        os.setpgid(0, 0)  # Ctrl-C is for the parent, who kills the group
    for number in (*_ENDING, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    # The parent can be killed and leave nobody to keep the deadline.
    signal.setitimer(signal.ITIMER_REAL, timeout + _OWN_END)
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.environ.clear()


def _read(reader: int, size: int, deadline: float) -> bytes:
    """Read `size` bytes; EOFError where they end sooner, TimeoutError where they come too late."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    data = b""
    while len(data) < size:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError
        part = os.read(reader, size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _wait(pid: int, deadline: float) -> int | None:
    """Return the wait status of a process that has ended, `_NO_STATUS` if nobody knows it, None if it has not ended."""
    pause = 0.0005
    while True:
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # whoever started us ignores SIGCHLD, so the kernel keeps no status
            return _NO_STATUS
        if ended:
            return status
        if time.monotonic() >= deadline:
            return None
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def _too_late(timeout: float) -> str:
    return f"no answer within {timeout:g} s"


def _describe_end(status: int) -> str:
    if status == _NO_STATUS:
        return "ended with no answer"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with exit code {code} and no answer"
    try:
        return f"ended by signal {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"ended by signal {-code}"
