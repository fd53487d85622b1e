"""A spec on the disk, whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.commands.target import read_input
from cdigen.errors import DocumentError, ParseError, one_line
from cdigen.schema import summarise
from cdigen.specs.reading import parse_spec

if TYPE_CHECKING:
    from cdigen.cdi.engine_form import Spec


def load_spec(path: str) -> Spec:
    """Return the document of the valid spec in the file at `path`; "-" is standard input.

    Raises:
        FileError: it cannot be read.
        DocumentError: see `read_spec`.
    """
    return read_spec(read_input(path), path)


def read_spec(data: bytes, path: str) -> Spec:
    """Return a spec as engines hold it.

    Args:
        data: the spec.
        path: where it is, for the error.

    Raises:
        DocumentError: engines would not take it; the first reasons are named.
    """
    name = one_line(path)
    try:
        document, violations = parse_spec(data)
    except ParseError as error:
        raise DocumentError(f"{name}: {error}; write it anew with: cdigen generate") from error
    if document is None or violations:
        raise DocumentError(f"{name} is not a valid spec: {summarise(violations)}; write it anew with: cdigen generate")
    return document
