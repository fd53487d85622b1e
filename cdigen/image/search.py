"""How names are found in a container of an image: by the engine that mounts over them, by the loader, by a shell.

Sources: ld.so(8), the order of the search; glibc's elf/dl-load.c, which passes over an entry of the cache whose file
is missing; what mounts do at links was measured with runc and crun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import BINARY_DIRECTORIES, LINKER_CACHES, SUBDIRECTORIES
from cdigen.host import UNREADABLE, UNSEEN, LinkError, View
from cdigen.image.names import is_program, split_library_name
from cdigen.plan.plan import CONTAINER_LIBRARY_DIRECTORIES

if TYPE_CHECKING:
    from cdigen.errors import CdigenError
    from cdigen.image.image import Image
    from cdigen.parse.ldcache import CacheEntry

PROGRAM_DIRECTORY = "/usr/bin"
"""Where the driver's programs are mounted."""

_SEARCHED_EARLIER = ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Search:
    """Answers for one image.

    Attributes:
        cache: the entries of its linker cache.
        cache_path: where that is; None if there is none.
        cache_error: why it cannot be used; None if it can.
    """

    def __init__(self, image: Image) -> None:
        self._view = View(image.tree)
        self._env = image.env
        self.cache: tuple[CacheEntry, ...] = ()
        self.cache_path: str | None = None
        self.cache_error: str | None = None
        self._read_cache()
        self._mount_directories = self._resolve_all(
            dict.fromkeys(
                f"{directory}/{sub}".rstrip("/")
                for directories in CONTAINER_LIBRARY_DIRECTORIES.values()
                for directory in directories
                for sub in SUBDIRECTORIES
            )
        )
        self._program_directory = self._resolve_all([PROGRAM_DIRECTORY])[0]
        self._program_directories = self._resolve_all(BINARY_DIRECTORIES)
        self._mounted = self._find_mounted()
        self._path_before = self._find_path_before()
        self._found_first = self._find_first()

    def _read_cache(self) -> None:
        for path in LINKER_CACHES:
            try:
                resolved = self._view.resolve(path)
                if resolved is None:
                    continue
                self.cache_path = resolved
                self.cache = self._view.host.linker_cache(resolved, ("lib",))
            except UNREADABLE as error:
                self.cache_error = _reason(error)
            return

    def _resolve_all(self, directories: dict[str, None] | tuple[str, ...] | list[str]) -> list[str]:
        return [*dict.fromkeys(self.resolve(directory) or directory for directory in directories)]

    def _find_mounted(self) -> dict[str, str]:
        """Return the files on which a mount comes to lie, each with the mount's target."""
        mounted: dict[str, str] = {}
        for directory in self._mount_directories:
            for name in self.names(directory):
                if self.is_mount_name(name) and (resolved := self.resolve(f"{directory}/{name}")):
                    mounted.setdefault(resolved, f"{directory}/{name}")
        for name in self.names(self._program_directory):
            if is_program(name) and (resolved := self.resolve(f"{self._program_directory}/{name}")):
                mounted.setdefault(resolved, f"{self._program_directory}/{name}")
        return mounted

    @staticmethod
    def is_mount_name(name: str) -> bool:
        """Tell whether a library is mounted under a name: one of the driver's, without its version."""
        library = split_library_name(name)
        return library is not None and library.is_drivers and library.version is None

    def resolve(self, path: str) -> str | None:
        """Return where a path leads; None if nowhere, also for a cycle of links and what is too long for the kernel."""
        try:
            return self._view.resolve(path)
        except UNSEEN:
            return None

    def is_mount_directory(self, directory: str) -> bool:
        """Tell whether libraries are mounted in a directory."""
        return directory in self._mount_directories

    def is_mount_target(self, path: str) -> bool:
        """Tell whether something is mounted at a path."""
        directory, _, name = path.rpartition("/")
        if directory == self._program_directory and is_program(name):
            return True
        return directory in self._mount_directories and self.is_mount_name(name)

    def is_program_directory(self, directory: str) -> bool:
        """Tell whether programs of the driver are looked for in a directory."""
        return directory in self._program_directories

    def mounted_over(self, path: str) -> str | None:
        """Return the target of the mount that comes to lie on the file at `path`; None if none does."""
        return self._mounted.get(path)

    def found_first_by(self, path: str) -> str | None:
        """Return by what the loader or the shell finds the file at `path` before the host's; None if it does not."""
        directory, _, file_name = path.rpartition("/")
        if is_program(file_name):
            return "PATH" if directory in self._path_before else None
        return self._found_first.get(path)

    def _find_path_before(self) -> frozenset[str]:
        """Return the directories in which a shell looks before it comes to the one with the host's programs."""
        before = self._env.get("PATH", _PATH).split(":")
        if PROGRAM_DIRECTORY in before:
            before = before[: before.index(PROGRAM_DIRECTORY)]
        return frozenset(filter(None, map(self.resolve, filter(None, before))))

    def _find_first(self) -> dict[str, str]:
        """Return the files to which the loader comes by the driver's names before the mounts, each with the way."""
        found: dict[str, str] = {}
        searched: dict[str, str] = {}
        for place in self._env.get("LD_LIBRARY_PATH", "").split(":"):
            if place.startswith("/") and (resolved := self.resolve(place)):
                searched.setdefault(resolved, f"LD_LIBRARY_PATH has {place}")
        self._find_in(searched, found)
        seen = set()
        for entry in self.cache:
            key = (entry.name, entry.flags, entry.hwcap)
            if key not in seen and self.is_mount_name(entry.name) and (file := self.resolve(entry.path)):
                found.setdefault(file, f"{self.cache_path} has {entry.path}")
            seen.add(key)
        # Where /lib is a link to usr/lib, the mounts lie on what is found there.
        self._find_in(
            {self.resolve(place) or place: f"{place} is searched first" for place in _SEARCHED_EARLIER}, found
        )
        return found

    def _find_in(self, directories: dict[str, str], found: dict[str, str]) -> None:
        for directory, how in directories.items():
            for name in self.names(directory):
                if self.is_mount_name(name) and (file := self.resolve(f"{directory}/{name}")):
                    found.setdefault(file, how)

    def names(self, directory: str) -> tuple[str, ...]:
        """Return the names in a directory, links in its path followed; none if it leads nowhere, as for a cycle."""
        try:
            return self._view.names(directory)
        except LinkError:
            return ()


def _reason(error: CdigenError) -> str:
    return getattr(error, "reason", None) or str(error)
