"""What a directory holds that cdigen wrote, or may have written."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Literal

from cdigen.specs.header import is_ours, may_become_ours
from cdigen.write import READ_FLAGS, TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Iterator

What = Literal["ours", "part", "json", "link", "unknown"]
"""A file of ours; a part of one, of a writer that was killed; JSON of our kind, a link to a file of ours or to nothing,
and an unreadable file, any of which may be ours."""

# Of JSON as cdigen writes it. Other programs' specs have kinds of their own, such as k8s.gpu.nvidia.com/claim.
_NVIDIA_KIND = re.compile(rb'"kind"\s*:\s*"(?:management\.)?nvidia\.com/')
_HEAD_BYTES = 512  # of a file, in which the header or the kind is looked for


def find_own(directory_fd: int) -> Iterator[tuple[str, What, str]]:
    """Yield the name of every file that is or may be ours, what it is, and a detail: a link's target, an error.

    Files of others, of which there can be thousands, are passed over, as are directories, pipes and the like.

    Args:
        directory_fd: the directory, open.

    Raises:
        OSError: the directory cannot be read.
    """
    with os.scandir(directory_fd) as entries:
        for entry in entries:
            temporary = TEMPORARY.fullmatch(entry.name)
            name = temporary[1] if temporary else entry.name
            if not name.endswith((".yaml", ".json")):
                continue
            try:
                if entry.is_symlink():
                    if name.endswith(".yaml") and not temporary and _may_lead_to_ours(entry.name, directory_fd):
                        yield entry.name, "link", os.readlink(entry.name, dir_fd=directory_fd)
                elif entry.is_file(follow_symlinks=False):
                    what = _judge(name, _read_head(entry.name, directory_fd), bool(temporary))
                    if what is not None:
                        yield entry.name, what, ""
            except FileNotFoundError:
                continue  # removed meanwhile
            except OSError as error:
                if name.endswith(".yaml"):
                    yield entry.name, "unknown", error.strerror or str(error)


def _may_lead_to_ours(name: str, directory_fd: int) -> bool:
    """Tell whether a link leads to a file of ours, or to nothing that can be looked at."""
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=directory_fd).st_mode):
            return False
        return is_ours(_read_head(name, directory_fd, READ_FLAGS & ~os.O_NOFOLLOW))
    except OSError:
        return True


def _read_head(name: str, directory_fd: int, flags: int = READ_FLAGS) -> bytes:
    with open(os.open(name, flags, dir_fd=directory_fd), "rb", buffering=0) as file:
        return file.read(_HEAD_BYTES) or b""


def _judge(name: str, head: bytes, is_temporary: bool) -> What | None:
    if is_temporary:
        return "part" if may_become_ours(head) else None
    if is_ours(head):
        return "ours"
    return "json" if name.endswith(".json") and _NVIDIA_KIND.search(head) else None
