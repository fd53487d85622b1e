"""What is done with an input that is an image, or a part of one; and what must hold of the answer."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.errors import ParseError
from cdigen.image import open_image
from cdigen.image.image import Image, Layer
from cdigen.image.layer import clean_path
from cdigen.image.manifest import find_docker_pieces, find_oci_pieces
from cdigen.image.rules import find_driver_files
from cdigen.image.store import Store
from cdigen.image.stream import FileStream
from cdigen.image.tar import TarReader
from cdigen.image.tree import Change, Tree

if TYPE_CHECKING:
    from cdigen.host.host import Kind
    from cdigen.image.stream import Stream


from tests.fuzz.properties import SEPARATOR, check_line, write_temporary

VERSION = "999.88.77"


def tar(data: bytes) -> None:
    """List an archive, whose sums are put right, so that what is behind them is reached."""
    for member in TarReader(FileStream(io.BytesIO(with_sums(data)))):
        assert member.size >= 0


def image(data: bytes) -> None:
    """Open an archive of an image and judge what is in it; compressed or not."""
    opened = open_image(write_temporary("image.tar", with_sums(data)))
    _judge_image(opened)


def manifest(data: bytes) -> None:
    """Find the layers of an image whose JSON documents are the parts of the input."""
    store = _Pieces(data.split(SEPARATOR))
    with suppress(ParseError):
        find_docker_pieces(store)
    find_oci_pieces(store)


def layers(data: bytes) -> None:
    """Merge layers and judge the tree.

    A line is an entry: its kind, its path and, behind `>`, its target or content; `-` begins another layer.
    """
    tree = Tree()
    changes: list[Change] = []
    position = 0
    for line in (*data.decode(errors="surrogateescape").split("\n"), "-"):
        if line == "-":
            tree.apply(changes, position)
            changes = []
            position += 1
        elif line:
            changes.append(_change(line))
    _judge_image(
        Image(form="docker archive", tree=tree, layers=tuple(Layer(name=str(n)) for n in range(position)), env={})
    )


def with_sums(data: bytes) -> bytes:
    """Return `data` with the sum of every block that says `ustar` where a header does: a tar archive's."""
    blocks = [data[start : start + 512] for start in range(0, len(data), 512)]
    for number, block in enumerate(blocks):
        if block[257:262] == b"ustar":
            total = sum(block[:148]) + 8 * 32 + sum(block[156:])
            blocks[number] = block[:148] + b"%06o\0 " % total + block[156:]
    return b"".join(blocks)


class _Pieces(Store):
    """Parts of an input as the pieces of an image: manifest and index both, then the configuration, then blobs."""

    def __init__(self, parts: list[bytes]) -> None:
        self._pieces = {"manifest.json": parts[0], "index.json": parts[0]}
        self._pieces |= {"config.json": parts[1 % len(parts)]}
        self._pieces |= {f"blobs/sha256/{number}": part for number, part in enumerate(parts)}

    def size(self, name: str) -> int | None:
        return len(self._pieces[name]) if name in self._pieces else None

    def open(self, name: str) -> Stream:
        return FileStream(io.BytesIO(self._pieces[name]))

    def place(self, name: str) -> int:
        del name
        return 0


def _change(line: str) -> Change:
    kinds: dict[str, Kind] = {"d": "dir", "l": "link", "f": "file", "h": "file", "c": "char"}
    kind, _, rest = line.partition(" ")
    path, _, target = rest.partition(">")
    is_hard = kind == "h"
    return Change(
        path=clean_path(path),
        kind=kinds.get(kind, "file"),
        size=len(target) if kind == "f" else 0,
        target=clean_path(target) if is_hard else target if kind == "l" else "",
        is_hard_link=is_hard,
        content=target.encode(errors="surrogateescape") if kind == "f" and target else None,
    )


def _judge_image(opened: Image) -> None:
    for version in (VERSION, None):
        for file in find_driver_files(opened, version):
            check_line(file.effect, file.fix)
