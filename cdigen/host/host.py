"""What discovery may ask of a host."""

from __future__ import annotations

import errno
import stat
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from cdigen.errors import EXHAUSTED, CdigenError, FileError, one_line, shell_word
from cdigen.findings import Remedy
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdigen.parse.elf import ElfFacts
    from cdigen.parse.ldcache import CacheEntry
    from cdigen.parse.nvml import NvmlFacts

FORMAT = 1
"""The version of a snapshot document's format, its key `cdigen_snapshot`."""

Kind = Literal["file", "dir", "link", "char", "block", "socket", "fifo"]


_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "fifo",
}


def kind_of(mode: int) -> Kind:
    """Return the file type in `st_mode`, as lstat(2) gives it."""
    return _KINDS[stat.S_IFMT(mode)]


class HostReadError(FileError):
    """Something on the host is there and cannot be read; exit 7 unless discovery can do without it.

    Attributes:
        path: the path as the host sees it.
        reason: why, in the kernel's words or ours.
        number: the kernel's number of it, as in `errno`; None where the reason is ours.
    """

    def __init__(self, path: str, reason: str, *, number: int | None = None) -> None:
        self.path = path
        self.reason = reason
        self.number = number
        shown = one_line(path)
        if self.is_denied:
            advice = Remedy("run as a user who may read it")
        elif number in EXHAUSTED:
            advice = Remedy(EXHAUSTED[number])
        else:
            advice = Remedy("see what it is with", (f"ls -ld {shell_word(path)}",))
        super().__init__(
            f"cannot read {shown}: {reason}",
            hint=advice.hint,
            commands=advice.commands,
            subject=shown,
            code="unreadable",
        )

    @property
    def is_denied(self) -> bool:
        """Whether this user may not read what another one may."""
        return self.number in (errno.EACCES, errno.EPERM)

    @property
    def is_failure(self) -> bool:
        """Whether the kernel failed to read what may be there, so that nothing can be said of it.

        Otherwise it is known what is there: no regular file, one that is too large, or nothing, as no name is so long.
        """
        return self.number not in (None, errno.ENAMETOOLONG)

    @classmethod
    def of(cls, path: str, error: OSError) -> HostReadError:
        """Return the error for what the kernel said of `path`."""
        return cls(path, error.strerror or str(error), number=error.errno)


NVML_NOT_INSTALLED = "nvml-not-installed"
"""The code of an `NvmlError` where the extra is not installed."""

NVML_NOT_RECORDED = "nvml-not-recorded"
"""The code of an `NvmlError` where nobody asked when the snapshot was made."""

NVML_OTHER_MACHINE = "nvml-other-machine"
"""The code of an `NvmlError` where the host's procfs is not this machine's: NVML would answer for this one."""

NVML_UNTRUSTED = "nvml-untrusted"
"""The code of an `NvmlError` where root would run the code of a library that others may change."""

NVML_NO_ANSWER = "nvml"
"""The code of an `NvmlError`, and of a finding, where NVML was wanted and gave no answer, or not to everything."""

NVML_NOT_ASKED = frozenset({NVML_NOT_INSTALLED, NVML_NOT_RECORDED, NVML_OTHER_MACHINE, NVML_UNTRUSTED})
"""The codes of an `NvmlError` where nobody was asked, so that nothing has failed."""


class NvmlError(CdigenError):
    """NVML cannot be asked, or did not answer.

    Attributes:
        reason: why, without the place; one line.
    """

    exit_code = 5

    def __init__(self, reason: str, *, hint: str = "", code: str = NVML_NO_ANSWER) -> None:
        self.reason = one_line(reason)
        super().__init__(self.reason, hint=hint, code=code)


class Entry(Record):
    """A directory entry, as lstat(2) tells.

    Attributes:
        kind: the file type.
        mode: the permission bits.
        target: of a symbolic link, its text.
        major: of a device node, the major number.
        minor: of a device node, the minor number.
        uid: of a device node, the number of the owner.
        gid: of a device node, the number of the group.
    """

    kind: Kind
    mode: int = 0
    target: str = ""
    major: int = 0
    minor: int = 0
    uid: int = 0
    gid: int = 0


class Host(ABC):
    """Facts of one host. All paths are absolute, normalised, and free of symbolic links but for the last part.

    `cdigen.host.view.View` makes such paths of any others.
    """

    @abstractmethod
    def lstat(self, path: str) -> Entry | None:
        """Return what is at `path`, not following a link; None if nothing is.

        Raises:
            HostReadError: the directory that holds it may not be searched.
        """

    @abstractmethod
    def names(self, directory: str, prefixes: tuple[str, ...], suffix: str | None = None) -> tuple[str, ...]:
        """Return the names in `directory` that begin with one of `prefixes` or end with `suffix`, sorted.

        A directory that is not there, or is not a directory, has none. Patterns are no more than this because
        compiling fnmatch's took a tenth of a run.

        Raises:
            HostReadError: the directory may not be read.
        """

    @abstractmethod
    def read(self, path: str) -> bytes:
        """Return the content of a small regular file (procfs, sysfs, JSON), at most `MAX_TEXT_BYTES`.

        Raises:
            HostReadError: it cannot be read, is no regular file, or is larger.
        """

    @abstractmethod
    def elf(self, path: str) -> ElfFacts:
        """Return what the ELF headers of the regular file at `path` say.

        Raises:
            HostReadError: it cannot be read or is no regular file.
            ParseError: it is not an ELF file that can be loaded.
        """

    @abstractmethod
    def linker_cache(self, path: str, prefixes: tuple[str, ...]) -> tuple[CacheEntry, ...]:
        """Return the entries of the dynamic linker's cache whose library name has one of `prefixes`, in its order.

        Raises:
            HostReadError: it cannot be read or is no regular file.
            ParseError: it is not such a cache.
        """

    def has_own_procfs(self) -> bool:
        """Tell whether its procfs is one of the kernel that runs this process.

        Then device numbers in it are this machine's, and what NVML says here is about the GPUs in it.

        Raises:
            HostReadError: that cannot be told.
        """
        return False

    def is_this_machine(self) -> bool:
        """Tell whether its root is this process's own, so that its paths are ours and its programs can be run here.

        Its procfs need not be: see `has_own_procfs`.
        """
        return False

    def nvml(self, path: str) -> NvmlFacts:
        """Return what NVML says of the GPUs, asked through the driver's library at `path`.

        Raises:
            NvmlError: it cannot be asked, or did not answer. Only a host with a procfs of this machine can be asked.
            HostReadError: the library cannot be read.
        """
        raise NvmlError(f"{path} is not on a running host")

    def wake(self, path: str) -> bool:
        """Open the device node of a GPU at `path` once, which initialises the GPU; procfs then knows its UUID.

        Returns:
            Whether that was done. A host that is not this machine is left alone.

        Raises:
            HostReadError: it cannot be tried.
        """
        return False


def matching(names: Iterable[str], prefixes: tuple[str, ...], suffix: str | None) -> tuple[str, ...]:
    """Return those of `names` that `Host.names` is asked for, sorted."""
    ends = () if suffix is None else (suffix,)
    return tuple(sorted(name for name in names if name.startswith(prefixes) or name.endswith(ends)))


MAX_TEXT_BYTES = 1 << 20
"""The largest file that `Host.read` returns. /proc/devices, the largest that is asked for, has some kilobytes."""
