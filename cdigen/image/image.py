"""An image that has been read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cdigen.image.tree import Tree

Form = Literal["directory", "OCI layout", "OCI archive", "docker archive"]

DIRECTORY = "directory"
"""The layer of a root directory that is not made of layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer.

    Attributes:
        name: its digest, or `DIRECTORY`.
        created_by: the command that made it, as the image's history has it; "" if it does not say.
    """

    name: str
    created_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
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
