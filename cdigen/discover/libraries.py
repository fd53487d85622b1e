"""The driver's shared objects, and the names under which programs ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import (
    LEFT_OUT_LIBRARIES,
    LIBRARY_PREFIXES,
    MACHINES,
    SUBDIRECTORIES,
    UNKNOWN_LIBRARY_GROUP,
    LibraryRow,
    find_library_row,
    matches_stem,
)
from cdigen.discover.driver import is_version_suffix
from cdigen.discover.lacking import UnusableLibrary
from cdigen.errors import ParseError
from cdigen.facts import Driver, Library, LibraryName
from cdigen.host import UNSEEN, HostReadError
from cdigen.notes import UNSAFE_PATH, is_safe_name, is_safe_path, reason_of
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.host import View
    from cdigen.notes import Notes
    from cdigen.parse.elf import ElfFacts


_REINSTALL = "reinstall the package that it belongs to"


class _File:
    """A file that may be a library of the driver, and where the search met it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.names: dict[tuple[str, str], bool] = {}  # (subdir, name): met as a link
        self.why = ""
        self.row: LibraryRow | None = None
        self.elf: ElfFacts | None = None

    @property
    def file_name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return self.file_name.partition(".so")[0]

    @property
    def suffix(self) -> str:
        return self.file_name.partition(".so.")[2]


class FoundLibraries(Record):
    """The driver's libraries.

    Attributes:
        usable: what can be injected, 64-bit first, sorted by file name.
        unusable: what is there in the place of one and cannot, in the order of the search.
    """

    usable: tuple[Library, ...]
    unusable: tuple[UnusableLibrary, ...]


def find_libraries(view: View, directories: tuple[str, ...], driver: Driver, notes: Notes) -> FoundLibraries:
    """Return every library of the driver.

    Args:
        view: the driver root.
        directories: see `find_library_directories`; a file in an earlier one hides its namesake in a later one.
        driver: its version selects, its machine is what 64-bit libraries must be made for.
        notes: gets what is damaged, foreign, dangling, or of another driver.
    """
    unusable: list[UnusableLibrary] = []
    files = _find_files(view, directories, driver.name, notes, unusable)
    taken = [file for file in files if _classify(file, view, driver.name, notes)]
    readable = []
    for file in taken:
        reason = _read_elf(file, view, driver, notes)
        if reason is None:
            readable.append(file)
        else:
            names = (file.file_name, *(name for _, name in file.names))
            unusable.append(UnusableLibrary(host_path=view.host_path(file.path), names=names, reason=reason))
    chosen = _one_for_each_name(readable, view, driver.name, notes)
    libraries = [_library(file, view, notes) for file in chosen]
    return FoundLibraries(
        usable=tuple(sorted(libraries, key=lambda library: (-library.elf.bits, library.file_name))),
        unusable=tuple(unusable),
    )


def _find_files(
    view: View, directories: tuple[str, ...], version: str, notes: Notes, unusable: list[UnusableLibrary]
) -> list[_File]:
    """Return what the names that may be the driver's lead to, in order of the search."""
    files: dict[str, _File] = {}
    for directory in directories:
        for sub in SUBDIRECTORIES:
            place = f"{directory}/{sub}".rstrip("/")
            for name in _candidate_names(view, place, version, notes):
                path = f"{place}/{name}"
                if not is_safe_name(name):
                    notes.leave_out(view.host_path(path), "its name has characters that no library's name has")
                    continue
                try:
                    target = view.find(path)
                except UNSEEN as error:
                    host_path = view.host_path(path)
                    notes.damaged(host_path, error, "it is not injected")
                    unusable.append(UnusableLibrary(host_path=host_path, names=(name,), reason=reason_of(error)))
                    continue
                if target is None:
                    notes.dangling(view, path)
                elif target[1].kind != "dir" or ".so" in name:  # one beside the libraries is nothing of ours
                    file = files.setdefault(target[0], _File(target[0]))
                    entry = view.lstat(path)
                    file.names.setdefault((sub, name), entry is None or entry.kind == "link")
    return list(files.values())


def _candidate_names(view: View, place: str, version: str, notes: Notes) -> tuple[str, ...]:
    suffix = f".so.{version}"
    try:
        names = view.names(place, LIBRARY_PREFIXES, suffix)
        # A library that the catalog does not know: its links begin with its stem.
        unknown = {name.removesuffix(suffix) for name in names if not name.startswith(LIBRARY_PREFIXES)}
        return (
            view.names(place, LIBRARY_PREFIXES + tuple(f"{stem}.so" for stem in unknown), suffix) if unknown else names
        )
    except UNSEEN as error:
        notes.damaged(view.host_path(place), error, "its libraries are not injected")
        return ()


def _classify(file: _File, view: View, version: str, notes: Notes) -> bool:
    """Decide whether `file` is taken, and why; note why not."""
    host_path = view.host_path(file.path)
    if not is_safe_name(file.file_name):
        notes.leave_out(host_path, "its name has characters that no library's name has")
        return False
    if not is_safe_path(host_path):
        notes.damaged(host_path, ParseError(UNSAFE_PATH), "it is not injected", hint="rename it")
        return False
    file.row = find_library_row(file.stem)
    if file.row is None:
        for left_out in LEFT_OUT_LIBRARIES:
            if matches_stem(file.stem, left_out.name):
                notes.leave_out(host_path, left_out.reason)
                return False
    if file.suffix == version:
        file.why = f"version suffix {version}" + (f": {file.row.reason}" if file.row else "")
        return True
    if is_version_suffix(file.suffix):
        notes.leave_out(host_path, f"of driver {file.suffix}; this one is {version}")
    elif file.row is not None and file.row.own_version:
        file.why = f"catalog: {file.row.reason}"
        return True
    elif file.row is not None:
        notes.leave_out(host_path, f"its name does not end in the driver's version {version}")
    else:
        notes.leave_out(host_path, "not known to belong to the driver: no version suffix, not in the catalog")
    return False


def _read_elf(file: _File, view: View, driver: Driver, notes: Notes) -> str | None:
    """Read the ELF headers of `file`; return why no program of this host's machine can load it, None if one can."""
    host_path = view.host_path(file.path)
    try:
        elf = file.elf = view.host.elf(host_path)
    except (ParseError, HostReadError) as error:
        notes.damaged(host_path, error, "it is not injected", hint=_REINSTALL)
        return reason_of(error)
    wanted = driver.machine if elf.bits == 64 else MACHINES[driver.machine][1]
    if elf.machine != wanted:
        problem = f"made for {elf.bits}-bit {elf.machine}, not for {wanted}"
    elif elf.kind != "shared":
        problem = "not a shared object"
    elif elf.soname is not None and not is_safe_name(elf.soname):
        problem = f"its SONAME {elf.soname!r} is not a file name"
    else:
        return None
    notes.damaged(host_path, ParseError(problem), "it is not injected", hint=_REINSTALL)
    return problem


def _one_for_each_name(files: list[_File], view: View, version: str, notes: Notes) -> list[_File]:
    """Of files that would answer to the same SONAME keep one: the driver's, then the one its link leads to."""
    chosen: dict[tuple[int, str], _File] = {}
    for file in files:
        assert file.elf is not None  # noqa: S101 - for the type checker; _read_elf has set it
        key = (file.elf.bits, file.elf.soname or file.file_name)
        rival = chosen.setdefault(key, file)
        if rival is file:
            continue
        better = max(rival, file, key=lambda f: (f.suffix == version, _is_linked(f)))  # the first of equals
        worse = rival if better is file else file
        chosen[key] = better
        notes.leave_out(
            view.host_path(worse.path),
            f"{view.host_path(better.path)} answers to the same name {key[1]} and comes first",
        )
    return list(chosen.values())


def _is_linked(file: _File) -> bool:
    soname = file.elf.soname if file.elf else None
    return any(name == soname for _, name in file.names)


def _library(file: _File, view: View, notes: Notes) -> Library:
    assert file.elf is not None  # noqa: S101 - for the type checker; _read_elf has set it
    row = file.row or LibraryRow(file.stem, UNKNOWN_LIBRARY_GROUP, "not known")
    if file.row is None:
        notes.add(
            "note",
            "unknown-library",
            view.host_path(file.path),
            f"{view.host_path(file.path)} has the driver's version but is not in the catalog; it is injected as"
            f" {UNKNOWN_LIBRARY_GROUP}",
        )
    home = next((sub for (sub, _), is_link in file.names.items() if not is_link), None)
    if home is None:
        home = next((sub for sub, _ in file.names), "")
    names: dict[tuple[str, str], str] = {}
    if file.elf.soname:
        names[row.subdir or home, file.elf.soname] = "soname"
    for (sub, name), is_link in file.names.items():
        if is_link and name != file.file_name:  # on NixOS every file is seen through a link of its own name
            names.setdefault((row.subdir or sub, name), "link")
    for alias in row.aliases:
        sub, _, name = alias.rpartition("/")
        names.setdefault((sub, name), "alias")
    if row.keep_file_name or not file.elf.soname:
        names.setdefault((row.subdir or home, file.file_name), "file name")
    return Library(
        file_name=file.file_name,
        host_path=view.host_path(file.path),
        elf=file.elf,
        group=row.group,
        why=file.why,
        names=tuple(LibraryName(subdir=s, name=n, why=why) for (s, n), why in sorted(names.items())),
    )
