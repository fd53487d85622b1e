"""What wakes a process that keeps something true of a host: changes in directories, and events of the kernel.

Neither says what has changed: whoever is woken looks. Python has neither in its library, and a package for inotify
would be one more on every host for three calls.

Sources: inotify(7); netlink(7), NETLINK_KOBJECT_UEVENT (Linux, lib/kobject_uevent.c: the kernel sends to every network
namespace of the initial user namespace, so a pod hears it too).
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.errors import EXHAUSTED
from cdigen.walk import UnfitPathError, open_directory

if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE, _DELETE, _MOVED_FROM, _MOVED_TO, _CLOSE_WRITE = 0x100, 0x200, 0x40, 0x80, 0x8
_WATCHED = _CREATE | _DELETE | _MOVED_FROM | _MOVED_TO | _CLOSE_WRITE
_ONLYDIR = 0x01000000
_BUFFER = 1 << 16

_UEVENT_PROTOCOL = 15  # NETLINK_KOBJECT_UEVENT
_FROM_KERNEL = 1  # the group in which the kernel speaks; in the other one udev does
_MOST_UEVENTS = 4096  # of one waking: who reads on while a storm lasts would never look


class ChangesError(Exception):
    """Nothing wakes us; the message is the reason, in the kernel's words."""


class DirectoryChanges:
    """Wakes when something in one of some directories appears, goes or has been written.

    Attributes:
        fd: readable then.
    """

    def __init__(self) -> None:
        """Watch nothing yet.

        Raises:
            ChangesError: this process may not have one more, or the kernel has none.
        """
        import ctypes

        self._libc = ctypes.CDLL(None, use_errno=True)
        self._errno = ctypes.get_errno
        self.fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise ChangesError(_reason(self._errno()))

    def watch(self, directories: Iterable[str], *, root: str | None = None) -> tuple[str, ...]:
        """Watch directories too, those that are watched already as well: another may be in the place of one.

        Args:
            directories: paths; one that is not there is passed over.
            root: out of which no link of theirs leads; see `cdigen.walk.open_directory`.

        Returns:
            Why some cannot be watched though they are there.
        """
        reasons: dict[str, None] = {}
        for path in directories:
            try:
                with open_directory(path if root is None else root.rstrip("/") + path, root=root) as fd:
                    name = f"/proc/self/fd/{fd}".encode()
                    if self._libc.inotify_add_watch(self.fd, name, _WATCHED | _ONLYDIR) < 0:
                        number = self._errno()
                        if number != errno.ENOENT:
                            reasons[_reason(number)] = None
            except (OSError, UnfitPathError):
                continue
        return tuple(reasons)

    def drain(self) -> None:
        """Take all that was said, so that `fd` is not readable any more."""
        with suppress(BlockingIOError):
            while os.read(self.fd, _BUFFER):
                pass

    def close(self) -> None:
        """Watch nothing any more."""
        os.close(self.fd)


class KernelEvents:
    """Wakes when a device or a module comes or goes, or is bound to a driver.

    Attributes:
        fd: readable then.
    """

    def __init__(self) -> None:
        """Listen.

        Raises:
            ChangesError: this process may not, or the kernel has no such socket.
        """
        try:
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, _UEVENT_PROTOCOL
            )
            try:
                self._socket.bind((0, _FROM_KERNEL))
            except OSError:
                self._socket.close()
                raise
        except OSError as error:
            raise ChangesError(error.strerror or str(error)) from error
        self.fd = self._socket.fileno()

    def drain(self, words: Iterable[bytes]) -> bool:
        """Take what was said, and tell whether any of it has one of some words, or some of it was lost."""
        is_heard = False
        wanted = tuple(words)
        for _ in range(_MOST_UEVENTS):
            try:
                message = self._socket.recv(_BUFFER)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: more was said than the kernel keeps
                is_heard = True
                continue
            is_heard = is_heard or any(word in message for word in wanted)
        return is_heard

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


def _reason(number: int) -> str:
    advice = EXHAUSTED.get(number)
    if number == errno.ENOSPC:
        advice = "raise fs.inotify.max_user_watches"
    elif number == errno.EMFILE:
        advice = "raise fs.inotify.max_user_instances"
    return os.strerror(number) + (f"; {advice}" if advice else "")
