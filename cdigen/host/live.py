"""A host whose file system is visible to this process, below any directory."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cdigen.errors import EXHAUSTED, FileError, one_line
from cdigen.host.host import (
    MAX_TEXT_BYTES,
    NVML_OTHER_MACHINE,
    NVML_UNTRUSTED,
    Entry,
    Host,
    HostReadError,
    NvmlError,
    kind_of,
    matching,
)

if TYPE_CHECKING:
    from cdigen.parse.elf import ElfFacts
    from cdigen.parse.ldcache import CacheEntry
    from cdigen.parse.nvml import NvmlFacts

_MAX_CACHE_BYTES = 64 << 20  # a linker cache with some 2,500 libraries has 200 kB
_MAX_OPEN_DIRS = 128
_PROC_SUPER_MAGIC = 0x9FA0  # linux/magic.h
_DIR_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class LiveHost(Host):
    """A host at `host_root`, with procfs and sysfs anywhere.

    Every path is walked one part at a time from an open directory with O_NOFOLLOW, so the kernel never
    follows a link for us: whatever a link in the tree says, and however the tree changes meanwhile, nothing
    outside of the three roots is read.
    """

    def __init__(
        self,
        host_root: str = "/",
        *,
        procfs: str | None = None,
        sysfs: str | None = None,
        nvml_timeout: float = 30.0,
        may_wake: bool = True,
    ) -> None:
        """Open the roots.

        Args:
            host_root: where the host's `/` is visible to this process.
            procfs: where its `/proc` is; by default below `host_root`.
            sysfs: where its `/sys` is; by default below `host_root`.
            nvml_timeout: seconds to wait for NVML, or for a GPU that wakes.
            may_wake: whether `wake` does anything.

        Raises:
            FileError: one of them is not a directory that can be opened.
        """
        roots = {"": ("--host-root", host_root), "/proc": ("--procfs", procfs), "/sys": ("--sysfs", sysfs)}
        self._nvml_timeout = nvml_timeout
        self._may_wake = may_wake
        self._roots: dict[str, int] = {}
        self._dirs: dict[str, int] = {}
        self._elf: dict[str, ElfFacts] = {}
        for prefix, (option, directory) in roots.items():
            if directory is None:
                continue
            try:
                self._roots[prefix] = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except (OSError, ValueError) as error:
                self.close()
                number = error.errno if isinstance(error, OSError) else None
                reason = error.strerror if isinstance(error, OSError) else "a NUL character in the path"
                hint = EXHAUSTED.get(number or 0, f"name a directory with {option}")
                raise FileError(f"cannot open {one_line(directory)}: {reason}", hint=hint) from error
        self._has_own_root = host_root == "/" or os.path.realpath(host_root) == "/"
        self._has_own_procfs = True if self._has_own_root and procfs is None else None

    def close(self) -> None:
        """Close every directory that is open. The host cannot be used after that."""
        for fd in (*self._dirs.values(), *self._roots.values()):
            os.close(fd)
        self._dirs.clear()
        self._roots.clear()

    def __del__(self) -> None:
        self.close()

    def _open_dir(self, path: str) -> int:
        """Return a descriptor of the directory `path`, which stays ours; OSError if it is none."""
        unopened = []
        while path not in self._roots and path not in self._dirs:
            unopened.append(path)
            path = path.rpartition("/")[0]
        fd = self._roots[path] if path in self._roots else self._dirs[path]
        for directory in reversed(unopened):  # no recursion: a hostile tree can be deeper than the stack
            fd = os.open(directory.rpartition("/")[2], _DIR_FLAGS, dir_fd=fd)
            if len(self._dirs) >= _MAX_OPEN_DIRS:
                os.close(self._dirs.pop(next(iter(self._dirs))))
            self._dirs[directory] = fd
        return fd

    def lstat(self, path: str) -> Entry | None:
        """See `Host.lstat`."""
        try:
            if path in self._roots or path == "/":
                return Entry(kind="dir")
            parent, _, name = path.rpartition("/")
            fd = self._open_dir(parent)
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            kind = kind_of(status.st_mode)
            is_device = kind in ("char", "block")
            return Entry(
                kind=kind,
                mode=stat.S_IMODE(status.st_mode),
                target=os.readlink(name, dir_fd=fd) if kind == "link" else "",
                major=os.major(status.st_rdev) if is_device else 0,
                minor=os.minor(status.st_rdev) if is_device else 0,
                uid=status.st_uid if is_device else 0,
                gid=status.st_gid if is_device else 0,
            )
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
            return None
        except OSError as error:
            raise HostReadError.of(path, error) from error

    def names(self, directory: str, prefixes: tuple[str, ...], suffix: str | None = None) -> tuple[str, ...]:
        """See `Host.names`."""
        try:
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._open_dir(directory.rstrip("/")))
            try:
                found = os.listdir(fd)
            finally:
                os.close(fd)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return ()
        except OSError as error:
            raise HostReadError.of(directory, error) from error
        return matching(found, prefixes, suffix)

    def _open(self, path: str) -> int:
        parent, _, name = path.rpartition("/")
        fd = -1
        try:
            directory = self._open_dir(parent)
            # A device node's driver must not notice us, so the kind is asked before the file is opened.
            if not stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                raise HostReadError(path, "not a regular file")
            fd = os.open(name, _READ_FLAGS, dir_fd=directory)
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                os.close(fd)
                raise HostReadError(path, "not a regular file")
        except OSError as error:
            raise HostReadError.of(path, error) from error
        return fd

    def _read(self, path: str, limit: int) -> bytes:
        try:
            with open(self._open(path), "rb", closefd=True) as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise HostReadError.of(path, error) from error
        if len(data) > limit:
            raise HostReadError(path, f"larger than {limit} bytes")
        return data

    def read(self, path: str) -> bytes:
        """See `Host.read`."""
        return self._read(path, MAX_TEXT_BYTES)

    def elf(self, path: str) -> ElfFacts:
        """See `Host.elf`."""
        from cdigen.parse.elf import parse_elf

        if path not in self._elf:
            try:
                with open(self._open(path), "rb", closefd=True) as file:
                    self._elf[path] = parse_elf(file, os.fstat(file.fileno()).st_size)
            except OSError as error:
                raise HostReadError.of(path, error) from error
        return self._elf[path]

    def linker_cache(self, path: str, prefixes: tuple[str, ...]) -> tuple[CacheEntry, ...]:
        """See `Host.linker_cache`."""
        from cdigen.parse.ldcache import parse_ldcache

        entries = parse_ldcache(self._read(path, _MAX_CACHE_BYTES))
        return tuple(entry for entry in entries if entry.name.startswith(prefixes))

    def has_own_procfs(self) -> bool:
        """See `Host.has_own_procfs`.

        statfs(2) tells, which no tree can forge: whoever may mount a procfs anywhere gets that of this kernel. That of
        our own root is not asked about: another one there is a matter of who runs us.
        """
        if self._has_own_procfs is None:
            try:
                self._has_own_procfs = _file_system_of(self._open_dir("/proc")) == _PROC_SUPER_MAGIC
            except (FileNotFoundError, NotADirectoryError):
                self._has_own_procfs = False
            except OSError as error:
                raise HostReadError.of("/proc", error) from error
        return self._has_own_procfs

    def is_this_machine(self) -> bool:
        """See `Host.is_this_machine`."""
        return self._has_own_root

    def _find_strangers(self, path: str, library: int) -> str | None:
        """Return what on the way to a library lets others than root decide what the library is; None if nothing does.

        In a sticky directory nobody else can put another in the place of root's file; /nix/store is one.
        """
        parts = path.split("/")
        for directory in ("/".join(parts[:count]) for count in range(1, len(parts))):
            status = os.fstat(self._open_dir(directory))
            if status.st_uid != 0 or (status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX):
                return directory or "/"
        status = os.fstat(library)
        return path if status.st_uid != 0 or status.st_mode & 0o022 else None

    def nvml(self, path: str) -> NvmlFacts:
        """See `Host.nvml`. The library is loaded into a process of its own, and is what is at `path` below the root.

        Its code can do whatever this user may, so root loads none that others may change.
        """
        if not self.has_own_procfs():
            raise NvmlError(
                "the host's /proc is not of this machine",
                hint="if the host is this machine, name its procfs with --procfs /proc",
                code=NVML_OTHER_MACHINE,
            )
        from cdigen.host.nvml import ask_nvml

        fd = self._open(path)
        try:
            if os.geteuid() == 0 and (place := self._find_strangers(path, fd)) is not None:
                raise NvmlError(
                    f"others than root may change {one_line(place)}, and root would run what is there",
                    hint="make root its owner, and let nobody else write to it",
                    code=NVML_UNTRUSTED,
                )
            # The linker would follow a link that somebody puts in the path's way; it cannot where it gets the file.
            return ask_nvml(f"/proc/self/fd/{fd}", self._nvml_timeout, name=path)
        except OSError as error:
            raise HostReadError.of(path, error) from error
        finally:
            os.close(fd)

    def wake(self, path: str) -> bool:
        """See `Host.wake`."""
        if not (self._may_wake and self.is_this_machine() and self.has_own_procfs()):
            return False
        from cdigen.host.nvml import wake

        try:
            return wake(path, self._nvml_timeout)
        except OSError as error:
            raise HostReadError.of(path, error) from error


def _file_system_of(descriptor: int) -> int:
    """Return the type of the file system of an open file: `f_type` of statfs(2), which `os.statvfs` does not have.

    Raises:
        OSError: the kernel does not tell.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    status = (ctypes.c_long * 64)()  # more than struct statfs has; the type is its first word (asm-generic/statfs.h)
    if libc.fstatfs(descriptor, status):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(status[0])
