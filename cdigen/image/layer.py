"""A layer's tar archive to its changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import ParseError, one_line
from cdigen.image.limits import MAX_DEPTH, MAX_ENTRIES, MAX_NAME_BYTES
from cdigen.image.tar import TarReader
from cdigen.image.tree import Change

if TYPE_CHECKING:
    from cdigen.image.content import Keeper
    from cdigen.image.stream import Stream


class LayerReader:
    """Reads the layers of one image, and counts what they have together."""

    def __init__(self, keeper: Keeper, *, max_entries: int = MAX_ENTRIES, max_name_bytes: int = MAX_NAME_BYTES) -> None:
        """Read at most so many entries with names of so many bytes; `keeper` says whose content is kept."""
        self._keeper = keeper
        self._entries = max_entries
        self._name_bytes = max_name_bytes

    def read(self, stream: Stream) -> tuple[Change, ...]:
        """Return the entries of a layer.

        Args:
            stream: its archive, not compressed.

        Raises:
            ParseError: no tar archive, truncated, damaged, names that lead out of it, or more than an image may have.
        """
        changes = []
        archive = TarReader(stream)
        for member in archive:
            self._entries -= 1
            self._name_bytes -= len(member.name) + len(member.target)
            if self._entries < 0:
                raise ParseError("more entries than any image has")
            if self._name_bytes < 0:
                raise ParseError("names longer together than those of any image")
            path = clean_path(member.name)
            is_kept = member.kind == "file" and self._keeper.wants(f"/{path}", member.size)
            changes.append(
                Change(
                    path=path,
                    kind=member.kind,
                    size=member.size,
                    target=clean_path(member.target) if member.is_hard_link else member.target,
                    is_hard_link=member.is_hard_link,
                    content=archive.read(member.size) if is_kept else None,
                )
            )
        return tuple(changes)


def clean_path(name: str) -> str:
    """Return a name of a layer's archive as a path below the root; an absolute one is taken as if it were not.

    Raises:
        ParseError: it leads out of the image, or is too deep.
    """
    if name.startswith("./"):
        name = name[2:]
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or (parts and parts[-1] in (".wh.", ".wh..", ".wh...")):
        raise ParseError(f"the name '{one_line(name[:100])}', which leads out of the image")
    if len(parts) > MAX_DEPTH:
        raise ParseError(f"directories more than {MAX_DEPTH} levels deep")
    return "/".join(parts)
