"""Makes device nodes and the links to them below /dev: by mknod(2), or by the driver's own nvidia-modprobe.

Every path is walked one part at a time from an open directory with O_NOFOLLOW: whatever a link in the tree says,
nothing is made anywhere else. A node gets a temporary name in its own directory first, with mode and owner, and is then
renamed: whoever opens it finds none, the old one, or the new one.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cdigen.discover.majors import DYNAMIC_MAJORS, NVIDIA_MAJOR, may_be_of_nvidia
from cdigen.errors import FileError, one_line, shell_word
from cdigen.parse.procfs import PROC_DEVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Make = Callable[[str, int], None]

MODPROBE_PLACES = ("/usr/bin/nvidia-modprobe", "/usr/sbin/nvidia-modprobe")
"""Where distributions put it."""

MAX_MINOR = (1 << 20) - 1
"""The largest minor number of a device: MINORBITS of the kernel, include/linux/kdev_t.h."""

_DIRECTORY_MODE = 0o755
_OPEN_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_ADVICE = {
    errno.EACCES: "run as root",
    errno.EPERM: "run as root, in a container with the capability MKNOD",
    errno.EROFS: "make /dev writable",
    errno.ENOENT: "name the directory that holds dev/ with --dev-root",
    errno.EISDIR: "remove the directory that is in its place",
    errno.EBUSY: "remove the mount that is on it",
    errno.ENOSPC: "free some space there",
}


class NodeError(FileError):
    """A node or link could not be made; exit 7.

    Attributes:
        path: as the host sees it.
        reason: why.
    """

    code = "node-failed"

    def __init__(self, path: str, reason: str, *, hint: str, commands: tuple[str, ...] = ()) -> None:
        self.path = path
        self.reason = reason
        shown = one_line(path)
        super().__init__(f"cannot make {shown}: {reason}", hint=hint, commands=commands, subject=shown)


class DeviceDirectory:
    """The directory of a host that holds `dev/`, open to make nodes in."""

    def __init__(self, host_root: str, dev_root: str) -> None:
        """Open nothing yet.

        Args:
            host_root: where the host's `/` is visible to this process.
            dev_root: the directory that holds `dev/`, as the host sees it, free of links.
        """
        self._host_root = host_root
        self._dev_root = dev_root.rstrip("/")

    def make_node(self, path: str, *, major: int, minor: int, mode: int, uid: int, gid: int) -> None:
        """Make a character device, in place of what is there; whatever the umask.

        Args:
            path: below the device root, such as `/dev/nvidia-caps/nvidia-cap1`; a directory below `/dev` that is not
                there is made.
            major: the major number.
            minor: the minor number.
            mode: the permission bits.
            uid: the number of the owner.
            gid: the number of the group.

        Raises:
            NodeError: it could not be made; what was there is still there.
        """
        self.check_numbers(path, major, minor)

        def make(name: str, directory: int) -> None:
            before = os.umask(0)
            try:
                os.mknod(name, stat.S_IFCHR | mode, os.makedev(major, minor), dir_fd=directory)
            finally:
                os.umask(before)
            made = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if (made.st_uid, made.st_gid) != (uid, gid):
                os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)

        self._place(path, make)

    def check_numbers(self, path: str, major: int, minor: int) -> None:
        """Refuse numbers that no device of NVIDIA's has, whoever says that it has: 1:1 is this machine's memory.

        Raises:
            NodeError: they are such numbers.
        """
        if may_be_of_nvidia(major) and minor <= MAX_MINOR:
            return
        ranges = [f"{first} to {last}" for first, last in DYNAMIC_MAJORS]
        raise NodeError(
            self._dev_root + path,
            f"{PROC_DEVICES} gives its driver the major number {major}, and a driver of NVIDIA's has"
            f" {', '.join([str(NVIDIA_MAJOR), *ranges[:-1]])} or {ranges[-1]}"
            if minor <= MAX_MINOR
            else f"no device has the minor number {minor}",
            hint="see which driver that is",
            commands=("cat /proc/devices",),
        )

    def make_link(self, path: str, target: str) -> None:
        """Make a symbolic link to `target`, in place of a link or what else is no directory; see `make_node`.

        Raises:
            NodeError: it could not be made.
        """

        def make(name: str, directory: int) -> None:
            os.symlink(target, name, dir_fd=directory)

        self._place(path, make)

    def _place(self, path: str, make: Make) -> None:
        """Let `make` make something under a temporary name in the directory of `path`, and give it its name."""
        parent, _, name = path.rpartition("/")
        temporary = f".{name}.{os.urandom(8).hex()}.tmp"
        try:
            with self._open(parent) as directory:
                try:
                    make(temporary, directory)
                    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
                except BaseException:  # KeyboardInterrupt too
                    with suppress(OSError):
                        os.unlink(temporary, dir_fd=directory)
                    raise
        except OSError as error:
            full = self._dev_root + path
            known = _ADVICE.get(error.errno or 0)
            commands = () if known else (f"ls -ld {shell_word(full)}",)
            raise NodeError(
                full, error.strerror or str(error), hint=known or "see what is there with", commands=commands
            ) from error

    @contextmanager
    def _open(self, directory: str) -> Iterator[int]:
        """Give a descriptor of `directory` below the device root, which is made if it is below /dev and missing."""
        fd = os.open(self._host_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            seen = ""
            for part in f"{self._dev_root}{directory}".strip("/").split("/"):
                seen += f"/{part}"
                if seen.startswith(f"{self._dev_root}/dev/"):
                    _make_directory(part, fd)
                try:
                    inner = os.open(part, _OPEN_FLAGS, dir_fd=fd)
                except OSError as error:
                    if error.errno in (errno.ELOOP, errno.ENOTDIR):
                        raise NodeError(
                            self._dev_root + directory,
                            f"{one_line(seen)} is a symbolic link or a file, where a directory has to be",
                            hint="remove it",
                        ) from error
                    raise
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)


def _make_directory(name: str, parent: int) -> None:
    """Make a directory for all to search, whatever the umask, if nothing has its name."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return
    fd = os.open(name, _OPEN_FLAGS, dir_fd=parent)
    try:
        os.fchmod(fd, _DIRECTORY_MODE)
    finally:
        os.close(fd)


def find_modprobe(places: Sequence[str] = MODPROBE_PLACES) -> str | None:
    """Return the path of the running system's nvidia-modprobe; None if there is none in `places` that can be run."""
    return next((path for path in places if os.path.isfile(path) and os.access(path, os.X_OK)), None)
