"""The files of an image whose content is looked at."""

from __future__ import annotations

from cdigen.catalog.driver import LINKER_CACHES
from cdigen.errors import ParseError
from cdigen.image.limits import MAX_KEPT, MAX_KEPT_FILE

PACKAGE_LISTS = "/var/lib/dpkg/info"
"""Where dpkg keeps the list of files of each package: dpkg(1), FILES."""

_DRIVER_WORDS = ("nvidia", "cuda", "nvcuvid", "nvoptix")


def is_package_list(name: str) -> bool:
    """Tell whether a file in `PACKAGE_LISTS` is the list of a package that may be the driver's."""
    return name.endswith(".list") and any(word in name for word in _DRIVER_WORDS)


class Keeper:
    """Says whose content is kept, and counts it."""

    def __init__(self) -> None:
        self._left = MAX_KEPT

    def wants(self, path: str, size: int) -> bool:
        """Tell whether the content of the file at the absolute `path` is looked at.

        Raises:
            ParseError: all such files of the image are too large together.
        """
        directory, _, name = path.rpartition("/")
        if path not in LINKER_CACHES and not (directory == PACKAGE_LISTS and is_package_list(name)):
            return False
        if size > MAX_KEPT_FILE:
            return False  # who looks for it says so
        self._left -= size
        if self._left < 0:
            raise ParseError(f"more than {MAX_KEPT >> 20} MiB of linker caches and package lists")
        return True
