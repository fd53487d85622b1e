"""A function in a child process, which is stopped in front of every system call that it makes (ptrace(2)).

There it can be killed, or the call can be made to fail. That is what strace's injection does; but a fork takes a
millisecond where strace and an interpreter take a tenth of a second, and so each and every call can have its turn.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from tests.write.conftest import lack

if TYPE_CHECKING:
    from collections.abc import Callable

# linux/ptrace.h
_TRACEME, _POKEUSER, _SYSCALL, _DETACH, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 6, 24, 17, 0x4200, 0x420E
_O_TRACESYSGOOD, _O_EXITKILL = 1, 1 << 20
_ENTRY = 1
_SYSCALL_STOP = signal.SIGTRAP | 0x80
# sys/reg.h of x86-64: the number of the call, and what it returns.
_ORIG_RAX, _RAX = 15 * 8, 10 * 8

IS_X86_64 = platform.machine() == "x86_64"
"""Whether calls can be told by their numbers and made to fail: both are known of one architecture alone."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class _SyscallInfo(ctypes.Structure):
    """The part of struct ptrace_syscall_info that a call's entry has."""

    _fields_ = [
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A call that is not made, and the error with which it returns.

    Attributes:
        position: of the call, from 0, among those that count.
        error: an errno.
    """

    position: int
    error: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What was seen of a child.

    Attributes:
        calls: the numbers of its system calls that count, in order.
        said: what its function returned; None if it was killed.
    """

    calls: tuple[int, ...]
    said: str | None


def trace(
    work: Callable[[], object],
    *,
    counts: Callable[[int], bool] = lambda _: True,
    kill_at: int | None = None,
    failure: Failure | None = None,
) -> Traced:
    """Run `work` in a child.

    Args:
        work: what it returns or raises is given back as text.
        counts: tells whether a system call, by its number, counts.
        kill_at: the position, from 0, among the calls that count, of that before which the child is killed by SIGKILL.
        failure: the call that fails.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _be_traced(work, writer)
    os.close(writer)
    try:
        calls = _follow(child, counts, kill_at, failure)
        said = os.read(reader, 65536).decode()
        os.waitpid(child, 0)
    finally:
        os.close(reader)
    return Traced(calls=calls, said=said or None)


def _be_traced(work: Callable[[], object], writer: int) -> NoReturn:
    said, me = "", os.getpid()
    try:
        _ptrace(_TRACEME, 0)
        os.kill(me, signal.SIGSTOP)
        try:
            said = repr(work())
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        os.kill(me, signal.SIGSTOP)
        os.write(writer, said.encode())
    finally:
        os._exit(0)


def _follow(child: int, counts: Callable[[int], bool], kill_at: int | None, failure: Failure | None) -> tuple[int, ...]:
    """Follow a child from its first stop to its second, or to where it is killed; return its calls that count."""
    calls: list[int] = []
    call = 0
    _, status = os.waitpid(child, 0)
    if not os.WIFSTOPPED(status):
        lack("a process may not trace its child here")
    _ptrace(_SETOPTIONS, child, _O_TRACESYSGOOD | _O_EXITKILL)
    failing = False
    while True:
        _ptrace(_SYSCALL, child)
        _, status = os.waitpid(child, 0)
        assert os.WIFSTOPPED(status), f"the child ended by itself: {status}"
        if os.WSTOPSIG(status) == signal.SIGSTOP:
            _ptrace(_DETACH, child)
            return tuple(calls[:-1] if counts(call) else calls)  # less the call that stops it
        assert os.WSTOPSIG(status) == _SYSCALL_STOP, f"the child got signal {os.WSTOPSIG(status)}"
        info = _SyscallInfo()
        _libc.ptrace(_GET_SYSCALL_INFO, child, ctypes.sizeof(info), ctypes.byref(info))
        if info.op != _ENTRY:
            if failing and failure is not None:
                _ptrace(_POKEUSER, child, -failure.error, _RAX)
            failing = False
            continue
        call = info.number
        if not counts(call):
            continue
        if len(calls) == kill_at:
            os.kill(child, signal.SIGKILL)  # the kernel does not make a call before which its process was killed
            return tuple(calls)
        if failure is not None and len(calls) == failure.position:
            failing = True
            _ptrace(_POKEUSER, child, -1, _ORIG_RAX)  # a call that there is not
        calls.append(call)


def _ptrace(request: int, child: int, data: int = 0, address: int = 0) -> None:
    if _libc.ptrace(request, child, address, data) == -1 and ctypes.get_errno():
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace: {errno.errorcode[number]}")
