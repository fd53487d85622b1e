"""Which names in an image are those of the driver's files."""

from __future__ import annotations

import re

from cdigen.catalog.driver import BINARIES, LibraryRow, find_library_row
from cdigen.discover.driver import is_version_suffix
from cdigen.records import Record

_LIBRARY = re.compile(r"(?P<stem>[^/]+?)\.so(?:\.(?P<suffix>[0-9][0-9.]*))?")
_PROGRAMS = frozenset(row.name for row in BINARIES)

_LEGITIMATE = re.compile(
    # Forward compatibility: the CUDA toolkit's own driver libraries, which a program chooses by LD_LIBRARY_PATH.
    r"^/usr/local/cuda[^/]*/compat[^/]*/"
    # Libraries to link against where no driver is; they are never loaded.
    r"|/stubs/"
)


class LibraryFileName(Record, kw_only=False):
    """The name of a shared object.

    Attributes:
        stem: up to ".so".
        suffix: after ".so."; "" if there is none.
        row: what the catalog knows of it; None for a library that it does not know.
    """

    stem: str
    suffix: str
    row: LibraryRow | None

    @property
    def version(self) -> str | None:
        """The driver's version in which the name ends; None if it ends in no such thing."""
        return self.suffix if is_version_suffix(self.suffix) else None

    @property
    def is_drivers(self) -> bool:
        """Whether the name alone tells that the file is the driver's."""
        if self.version is not None:
            return self.row is not None or "nvidia" in self.stem.lower()
        # libnvidia-egl-gbm.so.1.1.0 and its like are also packaged by distributions, apart from any driver.
        return self.row is not None and not self.row.own_version


def split_library_name(name: str) -> LibraryFileName | None:
    """Return the parts of a shared object's file name; None if it is not the name of one."""
    if ".so" not in name or (match := _LIBRARY.fullmatch(name)) is None:
        return None
    stem = match["stem"]
    return LibraryFileName(stem, match["suffix"] or "", find_library_row(stem))


def is_program(name: str) -> bool:
    """Tell whether a file name is that of one of the driver's programs."""
    return name in _PROGRAMS


def is_legitimate(path: str) -> bool:
    """Tell whether a path is where driver files may be in an image: forward compatibility, and stubs to link with."""
    return _LEGITIMATE.search(path) is not None
