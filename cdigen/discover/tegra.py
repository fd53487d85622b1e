"""The driver of a Tegra system on chip (Jetson): what its own lists name, or, where it has none, what its folders hold.

A library is mounted in the library directories under every name by which it is asked for, so that no hook has to write
links and a linker cache. The folders that are the driver's alone are mounted whole at their own paths, one mount each.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cdigen.catalog.driver import LEFT_OUT_LIBRARIES, UNKNOWN_LIBRARY_GROUP, find_library_row, matches_stem
from cdigen.catalog.tegra import (
    FILES,
    GPU_NODES,
    GROUPS,
    LEFT_OUT,
    LIBRARY_FOLDERS,
    LIST_NAMES,
    LISTS,
    NAMES,
    NODES,
    OTHER_FOLDERS,
    PLATFORM_NODES,
    PREFIXES,
    PRIVATE_FOLDERS,
)
from cdigen.discover.devices import find_node
from cdigen.discover.platform import TEGRA_RELEASE
from cdigen.discover.shared_object import read_elf
from cdigen.errors import IncompleteError, NoDriverError, ParseError, one_line
from cdigen.facts import Driver, DriverFile, Inventory, LackingLibrary, Library, LibraryName
from cdigen.host import UNREADABLE, UNSEEN
from cdigen.notes import NOT_A_FILE, UNSAFE_PATH, Notes, is_safe_name, is_safe_path
from cdigen.parse.jetson_csv import CsvLine, parse_jetson_csv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cdigen.facts import DeviceNode
    from cdigen.host import View
    from cdigen.host.views import Views
    from cdigen.parse.elf import ElfFacts

_REINSTALL = "reinstall the packages nvidia-l4t-* that have it"
_RELEASE = re.compile(rb"# R(\d{1,3}) \(release\), REVISION: (\d{1,3}(?:\.\d{1,3}){0,2})\b")
_SHARED_OBJECT = re.compile(r"[^/]+\.so(\.[0-9]+)*")
_WILDCARDS = frozenset("*?[")
_MOST_MATCHES = 4096
_MOST_NAMED = 4
_PRIVATE_FOLDERS = tuple(f"{folder}/{name}" for folder in LIBRARY_FOLDERS for name in PRIVATE_FOLDERS)
_ALL_FOLDERS = (*_PRIVATE_FOLDERS, *OTHER_FOLDERS, *LIBRARY_FOLDERS)
_LIBCUDA = "libcuda.so"
_NOT_HERE = "listed, and not on this board"
_DANGLING = "a link that leads to nothing"


def find_tegra_inventory(views: Views, notes: Notes, *, with_gpus: bool = True) -> Inventory:
    """Return everything that a spec of a Jetson is built from.

    Args:
        views: the host.
        notes: gets what is odd but can be lived with.
        with_gpus: False looks for the driver's files alone.

    Raises:
        NoDriverError: there is no libcuda.
        IncompleteError: no device node of a GPU is there.
        HostReadError, LinkError: something without which nothing can be said cannot be read.
    """
    lines = _read_lists(views.driver, notes)
    finder = _Finder(views.driver, notes)
    if any(line.kind == "lib" for line in lines):
        finder.add_listed(line for line in lines if not line.path.startswith("/dev/"))
    else:
        finder.add_folders()
    finder.add_libcuda()
    finder.add_needed()
    libraries = finder.libraries()
    cuda = next((library for library in libraries if library.file_name.startswith("libcuda.so")), None)
    if cuda is None:
        root = one_line(views.driver.host_path("/"))
        raise NoDriverError(
            f"this host is a Jetson and has no libcuda that can be used below {root}",
            hint="install the package nvidia-l4t-cuda (r39: nvidia-l4t-gpu-libs), or name its directory with"
            " --driver-root",
        )
    release = _read_release(views.driver, notes)
    usr_lib = views.driver.host_path("/usr/lib")
    in_usr_lib = any(library.host_path == f"{usr_lib}/{library.file_name}" for library in libraries)
    return Inventory(
        driver=Driver(
            version=None,
            machine=cuda.elf.machine,
            kernel_version_source=None,
            libcuda=cuda.host_path,
            package=release,
            described=f"the driver of {release}",
            library_directories=("/usr/lib",) if in_usr_lib else (),
        ),
        libraries=tuple(_of_one_machine(libraries, cuda.elf.machine, notes)),
        lacking=finder.find_lacking(),
        files=finder.files(),
        shared_nodes=_find_nodes(views.dev, lines, notes) if with_gpus else (),
        failed_reads=notes.failed_reads,
        findings=notes.findings,
        left_out=notes.left_out,
    )


def _of_one_machine(libraries: Iterable[Library], machine: str, notes: Notes) -> Iterator[Library]:
    """Yield the libraries that are for libcuda's machine; what is for another cannot be loaded with it."""
    for library in libraries:
        if library.elf.machine == machine:
            yield library
        else:
            error = ParseError(f"made for {library.elf.machine}, not for {machine}")
            notes.damaged(library.host_path, error, "it is not injected", hint=_REINSTALL)


def _read_release(view: View, notes: Notes) -> str:
    """Return the release of Jetson Linux, as far as it is told."""
    try:
        found = _RELEASE.match(view.read(TEGRA_RELEASE) or b"")
    except UNREADABLE as error:
        notes.fail_to_read(error, "the release of Jetson Linux is not known")
        found = None
    return "Jetson Linux" if found is None else f"Jetson Linux {found.group(1).decode()}.{found.group(2).decode()}"


def _read_lists(view: View, notes: Notes) -> tuple[CsvLine, ...]:
    """Return the lines of the driver's lists, each once."""
    lines: dict[CsvLine, None] = {}
    for name in view.names(LISTS):
        path = f"{LISTS}/{name}"
        host_path = view.host_path(path)
        if not name.lower().endswith(".csv") or name.lower() == ".csv":
            continue
        if name not in LIST_NAMES:
            notes.leave_out(host_path, f"a list of other files than the driver's, which are {', '.join(LIST_NAMES)}")
            continue
        try:
            parsed = parse_jetson_csv(view.read(path) or b"")
        except UNREADABLE as error:
            notes.damaged(host_path, error, "nothing that it names is injected for it", hint=_REINSTALL)
            continue
        lines.update(dict.fromkeys(parsed.lines))
        for number, problem in parsed.problems[:_MOST_NAMED]:
            message = f"{one_line(host_path)}, line {number}: {problem}; it is left out"
            notes.add("warning", "csv-line", host_path, message, hint="correct the line")
        more = len(parsed.problems) - _MOST_NAMED
        if more > 0:
            message = f"{one_line(host_path)}: {more} more lines cannot be used and are left out"
            notes.add("warning", "csv-line", host_path, message, hint="correct them")
    return tuple(lines)


def _expand(view: View, pattern: str) -> tuple[str, ...]:
    """Return the paths that a pattern stands for, sorted; its own where it has no wildcard, whatever is there.

    Raises:
        HostReadError, LinkError: a directory on the way cannot be listed.
        ParseError: there are too many.
    """
    paths = [""]
    for part in pattern.removeprefix("/").split("/"):
        head = part[: min((part.find(char) for char in _WILDCARDS if char in part), default=len(part))]
        if head == part:
            paths = [f"{path}/{part}" for path in paths]
            continue
        found = []
        for path in paths:
            found += [f"{path}/{name}" for name in view.names(path or "/", (head,)) if fnmatchcase(name, part)]
        if len(found) > _MOST_MATCHES:
            raise ParseError(f"more than {_MOST_MATCHES} paths match it")
        paths = found
    return tuple(sorted(paths))


def _find_nodes(dev: View, lines: Iterable[CsvLine], notes: Notes) -> tuple[DeviceNode, ...]:
    """Return the device nodes that this board has of those that are listed, by path.

    Raises:
        IncompleteError: none of them is a GPU's.
    """
    listed = [line for line in lines if line.path.startswith("/dev/")]
    patterns = [line.path + ("/*" if line.kind == "dir" else "") for line in listed] or list(NODES)
    nodes: dict[str, DeviceNode] = {}
    for pattern in (*patterns, *PLATFORM_NODES):
        why = f"listed in {LISTS}" if listed and pattern not in PLATFORM_NODES else "catalog: a node of the driver"
        try:
            for path in _expand(dev, pattern):
                node = find_node(dev, path, why) if path not in nodes and is_safe_path(path) else None
                if node is not None:
                    nodes[path] = node
        except UNREADABLE as error:
            notes.damaged(dev.host_path(pattern), error, "its nodes are not injected")
    if not any(path.startswith(GPU_NODES) for path in nodes):
        shown = one_line(dev.host_path("/dev/nvgpu"))
        raise IncompleteError(
            f"this host is a Jetson and has no device node of its GPU, neither {shown} nor /dev/nvhost-*gpu",
            hint="see what the kernel says of it with",
            commands=("dmesg | grep -i nvgpu",),
            subject=shown,
            code="missing-node",
        )
    return tuple(node for _, node in sorted(nodes.items()))


def _group_of(file_name: str) -> tuple[str, str]:
    """Return the capability group of a library, and what it is."""
    for row in GROUPS:
        if file_name.startswith(row.prefixes):
            return row.group, row.reason
    known = find_library_row(file_name.partition(".so")[0])
    return (UNKNOWN_LIBRARY_GROUP, "") if known is None else (known.group, known.reason)


class _Found:
    """A library, and under which names it is asked for."""

    def __init__(self, elf: ElfFacts, why: str) -> None:
        self.elf = elf
        self.why = why
        self.names: dict[tuple[str, str], str] = {}  # (subdir, name): why


def _needs_of(library: _Found) -> Iterator[str]:
    """Yield what a library is linked with of the driver's own."""
    for name in library.elf.needed or ():
        if name.startswith(PREFIXES) and is_safe_name(name):
            yield name


class _Finder:
    """Collects the driver's files, each by its resolved path."""

    def __init__(self, view: View, notes: Notes) -> None:
        self._view = view
        self._notes = notes
        self._libraries: dict[str, _Found] = {}
        self._unusable: set[str] = set()
        self._provided: dict[str, str] = {}  # by every name that a library can be needed by, its path
        self._files: dict[str, dict[str, str]] = {}  # by resolved path, the paths in the container, each with why
        self._folders: dict[str, dict[str, str]] = {}  # the same of directories

    def add_listed(self, lines: Iterable[CsvLine]) -> None:
        """Add what lists name, as far as this board has it: what it does not have is left out, which is usual."""
        for line in lines:
            try:
                paths = _expand(self._view, line.path)
            except UNREADABLE as error:
                self._notes.damaged(self._view.host_path(line.path), error, "it is not injected")
                continue
            for path in paths:
                self._add(path, is_link=line.kind == "sym", why=f"listed in {LISTS}")

    def add_folders(self) -> None:
        """Add what is in the folders that are the driver's alone, and what has a name of the driver's elsewhere."""
        for folder in _PRIVATE_FOLDERS:
            for name in self._names(folder, ("lib",)):
                if _SHARED_OBJECT.fullmatch(name):
                    self._add(f"{folder}/{name}", why=f"in {folder}", absent=_DANGLING)
        for folder in LIBRARY_FOLDERS:
            for name in self._names(folder, NAMES):
                stem = name.partition(".so")[0]
                if _SHARED_OBJECT.fullmatch(name) and not any(
                    matches_stem(stem, row.name) for row in LEFT_OUT_LIBRARIES
                ):
                    self._add(f"{folder}/{name}", why="catalog: a name of the driver's", absent=_DANGLING)
        for path in FILES:
            self._add(path, why="catalog: programs look there", absent="")

    def add_libcuda(self) -> None:
        """Add libcuda where no list names it: lists of Jetson Linux 39 have forgotten it."""
        for folder in _ALL_FOLDERS:
            if self._has_libcuda():
                return
            for name in self._names(folder, (_LIBCUDA,)):
                self._add(f"{folder}/{name}", why="the CUDA driver, which no list names", absent=_DANGLING)

    def _has_libcuda(self) -> bool:
        return any(path.rpartition("/")[2].startswith(_LIBCUDA) for path in self._libraries)

    def add_needed(self) -> None:
        """Add what the libraries need of the driver's own."""
        waiting = list(self._libraries)
        while waiting:
            path = waiting.pop(0)
            why = f"needed by {path.rpartition('/')[2]}"
            for name in _needs_of(self._libraries[path]):
                known = len(self._libraries)
                if name not in self._provided and any(
                    self._add(f"{folder}/{name}", why=why, absent="") for folder in _ALL_FOLDERS
                ):
                    waiting += list(self._libraries)[known:]

    def find_lacking(self) -> tuple[LackingLibrary, ...]:
        """Return what libcuda needs, itself or by another library, and is not among the libraries."""
        lacking: dict[str, LackingLibrary] = {}
        seen = {path for path in self._libraries if path.rpartition("/")[2].startswith(_LIBCUDA)}
        waiting = sorted(seen)
        while waiting:
            path = waiting.pop(0)
            for name in _needs_of(self._libraries[path]):
                found = self._provided.get(name)
                if found is None:
                    lacking.setdefault(name, self._lacking(name, path))
                elif found not in seen:
                    seen.add(found)
                    waiting.append(found)
        return tuple(lacking.values())

    def _lacking(self, name: str, needed_by: str) -> LackingLibrary:
        return LackingLibrary(
            name=name,
            bits=64,
            host_path="",
            problem="is missing or cannot be used",
            why=f"{needed_by.rpartition('/')[2]} needs it",
            group="",
            needed_by=self._view.host_path(needed_by),
        )

    def libraries(self) -> tuple[Library, ...]:
        """Return the libraries, sorted by file name."""
        found = []
        for path, one in self._libraries.items():
            file_name = path.rpartition("/")[2]
            group, reason = _group_of(file_name)
            names = dict(one.names)
            home = (_split(path)[1] or "").rpartition("/")[0]
            row = find_library_row(file_name.partition(".so")[0])
            if one.elf.soname:
                names.setdefault((home, one.elf.soname), "soname")
            if not one.elf.soname or (row is not None and row.keep_file_name):
                names.setdefault((home, file_name), "file name")
            for alias in row.aliases if row is not None else ():
                subdir, _, name = alias.rpartition("/")
                names.setdefault((subdir, name), "alias")
            found.append(
                Library(
                    file_name=file_name,
                    host_path=self._view.host_path(path),
                    elf=one.elf,
                    group=group,
                    why=one.why + (f": {reason}" if reason else ""),
                    names=tuple(LibraryName(subdir=s, name=n, why=why) for (s, n), why in sorted(names.items())),
                )
            )
        return tuple(sorted(found, key=lambda library: (library.file_name, library.host_path)))

    def files(self) -> tuple[DriverFile, ...]:
        """Return all that is no library: folders, firmware, configuration, programs."""
        files = [
            self._file("data", path, tuple(sorted(paths)), None, next(iter(paths.values())))
            for path, paths in self._folders.items()
        ]
        files += filter(None, (self._file_of(path, paths) for path, paths in self._files.items()))
        if (found := self._find(TEGRA_RELEASE)) is not None:
            files.append(
                self._file("config", found, (TEGRA_RELEASE,), None, "programs tell by it which release this is")
            )
        return tuple(sorted(files, key=lambda file: (file.kind, file.container_paths)))

    def _file_of(self, path: str, asked: dict[str, str]) -> DriverFile | None:
        paths, why = tuple(sorted(asked)), next(iter(asked.values()))
        if "/bin/" in path or "/sbin/" in path:
            elf = read_elf(self._view, path, self._notes, hint=_REINSTALL)
            if elf is None:
                return None
            name = path.rpartition("/")[2]
            return self._file("binary", path, tuple(sorted({*paths, f"/usr/bin/{name}"})), "utility", why, elf)
        if "/firmware/" in path:
            return self._file("firmware", path, paths, "video", why)
        if path.endswith((".json", ".conf")):
            return self._file("config", path, paths, "graphics", why)
        return self._file("data", path, paths, "utility", why)

    def _file(
        self, kind: str, path: str, paths: tuple[str, ...], group: str | None, why: str, elf: ElfFacts | None = None
    ) -> DriverFile:
        return DriverFile(
            kind=kind, host_path=self._view.host_path(path), container_paths=paths, group=group, why=why, elf=elf
        )

    def _names(self, folder: str, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return self._view.names(folder, prefixes)
        except UNSEEN as error:
            self._notes.damaged(self._view.host_path(folder), error, "its libraries are not looked at")
            return ()

    def _find(self, path: str) -> str | None:
        """Return the resolved path of a regular file that a spec can name; None if there is none."""
        try:
            place = self._view.find(path)
        except UNSEEN as error:
            self._notes.damaged(self._view.host_path(path), error, "it is not injected")
            return None
        if place is None or place[1].kind != "file":
            return None
        return place[0] if is_safe_path(self._view.host_path(place[0])) else None

    def _add(self, path: str, *, why: str, is_link: bool = False, absent: str = _NOT_HERE) -> bool:
        """Add what is at a path; return whether there is something that can be used.

        Args:
            path: in the view.
            why: why it is taken.
            is_link: whether programs open it by this name, which is another than the file's.
            absent: what is said of a path that leads to nothing; "" for nothing.
        """
        view, host_path = self._view, self._view.host_path(path)
        try:
            place = view.find(path)
        except UNSEEN as error:
            self._notes.damaged(host_path, error, "it is not injected")
            return False
        if place is None:
            if absent:
                self._notes.leave_out(host_path, absent)
            return False
        resolved, entry = place
        if entry.kind not in ("file", "dir") or not is_safe_path(path) or not is_safe_path(view.host_path(resolved)):
            problem = UNSAFE_PATH if entry.kind in ("file", "dir") else NOT_A_FILE
            self._notes.damaged(host_path, ParseError(problem), "it is not injected")
            return False
        if entry.kind == "dir":
            self._folders.setdefault(resolved, {}).setdefault(path, why)
            return True
        private, relative = _split(path)
        subdir, _, name = (relative or "").rpartition("/")
        if private and LEFT_OUT in subdir.split("/"):
            self._notes.leave_out(host_path, "demo programs of a compositor; they are in the folder that is mounted")
            return False
        if private:
            self._add(private, why="the driver's own folder; opened by absolute path", absent="")
        if relative is None or not _SHARED_OBJECT.fullmatch(name):
            if not private:
                self._files.setdefault(resolved, {}).setdefault(path, why)
            return True
        if not all(map(is_safe_name, relative.split("/"))):
            self._notes.leave_out(host_path, "its name has characters that no library's name has")
            return False
        return self._add_library(resolved, subdir, name, is_link=is_link or not resolved.endswith(f"/{name}"), why=why)

    def _add_library(self, resolved: str, subdir: str, name: str, *, is_link: bool, why: str) -> bool:
        found = self._libraries.get(resolved)
        if found is None:
            if resolved in self._unusable:
                return False
            elf = read_elf(self._view, resolved, self._notes, hint=_REINSTALL)
            if elf is None:
                self._unusable.add(resolved)
                return False
            found = self._libraries[resolved] = _Found(elf, why)
            self._provided.setdefault(resolved.rpartition("/")[2], resolved)
            self._provided.setdefault(elf.soname or name, resolved)
        self._provided.setdefault(name, resolved)
        if is_link or subdir:
            found.names.setdefault((subdir, name), "link" if is_link else "file name")
        return True


def _split(path: str) -> tuple[str, str | None]:
    """Return the folder that is the driver's alone in which a path is, if any, and the path in the library directory.

    The second is None for what is in no library directory.
    """
    for folder in (*OTHER_FOLDERS, *LIBRARY_FOLDERS):
        if path.startswith(f"{folder}/"):
            first, slash, rest = path.removeprefix(f"{folder}/").partition("/")
            if slash and first in PRIVATE_FOLDERS and folder in LIBRARY_FOLDERS:
                return f"{folder}/{first}", rest
            return "", first + slash + rest
    return "", None
