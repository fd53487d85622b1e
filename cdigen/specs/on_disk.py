"""A spec on the disk, whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import DocumentError, ParseError, one_line, shell_word
from cdigen.findings import Remedy
from cdigen.read import read_input
from cdigen.schema import summarise
from cdigen.specs.header import is_ours, regenerate
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
    try:
        document, violations = parse_spec(data)
    except ParseError as error:
        raise _invalid(data, path, f"cannot be read as a spec: {error}", Remedy("correct it")) from error
    if document is None or violations:
        all_of_it = () if path == "-" else (f"cdigen validate {shell_word(path)}",)
        remedy = Remedy("see all that is wrong with" if all_of_it else "correct it", all_of_it)
        raise _invalid(data, path, f"is not a valid spec: {summarise(violations)}", remedy)
    return document


def _invalid(data: bytes, path: str, message: str, remedy: Remedy) -> DocumentError:
    """Return the error for a spec that engines would not take; one of ours is best written again."""
    name = one_line(path)
    if is_ours(data) and path != "-":
        remedy = Remedy("regenerate it with", (regenerate(data, path),))
    return DocumentError(f"{name} {message}", hint=remedy.hint, commands=remedy.commands, subject=name)
