"""An image that has been read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.image.tree import Tree

Form = Literal["directory", "OCI layout", "OCI archive", "docker archive"]

DIRECTORY = "directory"
"""The layer of a root directory that is not made of layers."""


class Layer(Record):
    """One layer.

    Attributes:
        name: its digest, or `DIRECTORY`.
        created_by: the command that made it, as the image's history has it; "" if it does not say.
    """

    name: str
    created_by: str = ""


class Image(Record):
    """The root of an image.

    Attributes:
        form: how it is kept.
        tree: its files.
        layers: lowest first; a file's `Node.layer` is a position in them.
        env: the environment that the image's configuration sets; empty for a directory.
    """

    form: Form
    tree: Tree
    layers: tuple[Layer, ...]
    env: dict[str, str]
