"""The kernel's own answer to where a path leads below a root: openat2(2)."""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass

_SYS_OPENAT2 = 437  # the same on every architecture
_RESOLVE_IN_ROOT = 0x10

# openat2(2): EAGAIN if something on the machine was renamed or mounted during a `..`; the caller may try again.
_TRIES = 1000


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@dataclass(frozen=True, slots=True)
class Lookup:
    """What became of a path: where it leads, as seen from the root, or why nowhere."""

    path: str | None
    error: int = 0


def resolve_in_root(root: str, path: str) -> Lookup:
    """Resolve `path`, every link followed, as if the directory `root` were `/`."""
    libc = ctypes.CDLL(None, use_errno=True)
    how = _OpenHow(flags=os.O_PATH | os.O_CLOEXEC, mode=0, resolve=_RESOLVE_IN_ROOT)
    base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(_TRIES):
            fd = libc.syscall(_SYS_OPENAT2, base, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
            if fd >= 0 or ctypes.get_errno() != errno.EAGAIN:
                break
        if fd < 0:
            return Lookup(None, ctypes.get_errno())
        try:
            found = os.readlink(f"/proc/self/fd/{fd}")
            return Lookup(found.removeprefix(os.readlink(f"/proc/self/fd/{base}")) or "/")
        finally:
            os.close(fd)
    finally:
        os.close(base)


TOO_MANY_LINKS = Lookup(None, errno.ELOOP)
