"""Libraries of the driver's own that something needs and that are not there, or cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import REQUIREMENTS, UNKNOWN_LIBRARY_GROUP, find_library_row
from cdigen.errors import one_line
from cdigen.facts import LackingLibrary
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cdigen.facts import DriverFile, Library

_MISSING = "is missing"


class UnusableLibrary(Record):
    """What is there in the place of a library of the driver.

    Attributes:
        host_path: where.
        names: the file names under which it was met.
        reason: why it cannot be used; a clause.
    """

    host_path: str
    names: tuple[str, ...]
    reason: str


def find_lacking(
    libraries: Iterable[Library], files: Iterable[DriverFile], unusable: Iterable[UnusableLibrary], version: str
) -> tuple[LackingLibrary, ...]:
    """Return what is lacking of the driver's own: names in NEEDED, and what the catalog knows to be required.

    Args:
        libraries: what can be injected.
        files: programs and modules that can be injected, which need libraries too.
        unusable: what is there in the place of a library.
        version: the driver's.

    Returns:
        In the order of those who need it, and what a whole group needs at the end.
    """
    libraries, unusable = tuple(libraries), tuple(unusable)
    return (
        *_not_injected(libraries, files, unusable, version),
        *_required(libraries, unusable, version),
    )


def is_of_driver(name: str, version: str) -> bool:
    """Tell whether a name in NEEDED is that of a library which comes with the driver, and with nothing else."""
    return name.endswith(f".so.{version}") or find_library_row(_stem(name)) is not None


def _not_injected(
    libraries: tuple[Library, ...], files: Iterable[DriverFile], unusable: tuple[UnusableLibrary, ...], version: str
) -> Iterator[LackingLibrary]:
    known = {(library.elf.bits, name.name) for library in libraries for name in library.names}
    loadable = [(library.host_path, library.elf) for library in libraries]
    loadable += [(file.host_path, file.elf) for file in files if file.elf is not None]
    for host_path, elf in loadable:
        for name in elf.needed or ():
            if (elf.bits, name) not in known and is_of_driver(name, version):
                why = f"{host_path.rpartition('/')[2]} needs it"
                yield _lacking(name, elf.bits, unusable, why=why, needed_by=host_path)


def _required(
    libraries: tuple[Library, ...], unusable: tuple[UnusableLibrary, ...], version: str
) -> Iterator[LackingLibrary]:
    series = int(version.partition(".")[0])
    there = {(library.elf.bits, _stem(library.file_name)): library for library in libraries}
    has_cuda = (64, "libcuda") in there  # without it, it is the display half alone, which is whole without NVML
    for row in REQUIREMENTS:
        if series < row.since:
            continue
        name = f"{row.stem}.so.{version}"
        if not row.by and has_cuda and (64, row.stem) not in there:
            known = find_library_row(row.stem)
            group = UNKNOWN_LIBRARY_GROUP if known is None else known.group
            yield _lacking(name, 64, unusable, why=row.reason, group=group)
        for (bits, stem), library in there.items():
            if stem == row.by and (bits, row.stem) not in there:
                yield _lacking(name, bits, unusable, why=row.reason, needed_by=library.host_path)


def _lacking(
    name: str,
    bits: int,
    unusable: Iterable[UnusableLibrary],
    *,
    why: str,
    group: str = "",
    needed_by: str = "",
) -> LackingLibrary:
    """Return the fact that a library is lacking, with what is there in its place."""
    found = next((file for file in unusable if _stem(name) in map(_stem, file.names)), None)
    return LackingLibrary(
        name=one_line(name),
        bits=bits,
        host_path="" if found is None else one_line(found.host_path),
        problem=_MISSING if found is None else f"cannot be used: {one_line(found.reason)}",
        why=one_line(why),
        group=group,
        needed_by=needed_by,
    )


def _stem(name: str) -> str:
    return name.partition(".so")[0]
