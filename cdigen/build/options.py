"""What a user may choose about a spec."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from cdigen.errors import UsageError, one_line

NameStrategy = Literal["index", "uuid", "type-index"]

CAPABILITIES = ("compute", "utility", "graphics", "video", "display", "ngx")
"""The vendor's words for groups of the driver's files, as in NVIDIA_DRIVER_CAPABILITIES."""

COMPAT32 = "compat32"
"""The vendor's word for 32-bit libraries, of whatever group is chosen beside it."""

_VENDOR = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,251}[A-Za-z0-9]")
_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,61}[A-Za-z0-9]")
_DIRECTORY = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[^/\x00-\x1f\x7f-\x9f\ud800-\udfff]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Choices that do not change what was found, only what of it is written and under which names.

    Attributes:
        vendor: the part of `kind` before the slash.
        device_class: the part of `kind` after it.
        strategies: how each GPU is named, in this order.
        with_all: add a device "all" that has every GPU.
        library_directories: where 64-bit libraries are mounted; () for the two families of distributions.
        capabilities: the groups of which files are mounted; what they need is mounted too.
        ipc: mount sockets of the driver's daemons.
        compat32: mount 32-bit libraries.
    """

    vendor: str = "nvidia.com"
    device_class: str = "gpu"
    strategies: tuple[NameStrategy, ...] = ("index", "uuid")
    with_all: bool = True
    library_directories: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = CAPABILITIES
    ipc: bool = False
    compat32: bool = False

    def __post_init__(self) -> None:
        """Check what the CDI specification says of names, and that directories are absolute.

        Raises:
            UsageError: a value cannot stand in a spec.
        """
        if not _VENDOR.fullmatch(self.vendor):
            raise UsageError(
                f"--vendor {one_line(self.vendor)}: not a vendor name; use two or more letters, digits, '.',"
                " '_' and '-', such as nvidia.com"
            )
        if not _CLASS.fullmatch(self.device_class):
            raise UsageError(
                f"--class {one_line(self.device_class)}: not a class name; use two or more letters, digits, '_'"
                " and '-', such as gpu"
            )
        for word in self.capabilities:
            if word not in CAPABILITIES:
                raise UsageError(
                    f"--capabilities: {one_line(word)!r} is no capability; use some of"
                    f" {', '.join((*CAPABILITIES, COMPAT32))}, with commas between them"
                )
        if not self.capabilities:
            raise UsageError(f"--capabilities: none given; use some of {', '.join((*CAPABILITIES, COMPAT32))}")
        for directory in self.library_directories:
            if not _DIRECTORY.fullmatch(directory) or len(directory) > 1024:
                raise UsageError(
                    f"--container-lib-dir {one_line(directory)}: not an absolute path without '.', '..', '//'"
                    " and a slash at the end; use one such as /usr/lib64"
                )


def parse_capabilities(text: str) -> tuple[tuple[str, ...], bool]:
    """Return the groups that a list such as "compute,utility,compat32" names, and whether it has compat32.

    Args:
        text: words with commas between them, in any order; "all" stands for all groups without compat32.

    Returns:
        The groups in the order of `CAPABILITIES`, then words that are none, for `BuildOptions` to refuse.
    """
    words = {word.strip() for word in text.split(",")} - {""}
    if "all" in words:
        words = (words - {"all"}) | set(CAPABILITIES)
    groups = words - {COMPAT32}
    known = tuple(group for group in CAPABILITIES if group in groups)
    return known + tuple(sorted(groups - set(CAPABILITIES))), COMPAT32 in words
