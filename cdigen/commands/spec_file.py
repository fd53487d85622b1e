"""A spec on the disk, whoever wrote it."""

from __future__ import annotations

from typing import cast

from cdigen.cdi.validate import find_violations
from cdigen.commands.target import read_input
from cdigen.errors import DocumentError, ParseError, one_line
from cdigen.parse.document import parse_document

_MOST_NAMED = 10
"""Violations that the error names: a hostile file can have a million, and `cdigen validate` shows them all."""


def load_spec(path: str) -> dict[str, object]:
    """Return the document of a valid spec.

    Args:
        path: the file; "-" is standard input.

    Raises:
        FileError: it cannot be read.
        DocumentError: it is not a valid spec; its first violations are named.
    """
    name = one_line(path)
    try:
        document = parse_document(read_input(path), is_json=path.endswith(".json"))
    except ParseError as error:
        raise DocumentError(f"{name}: {error}; write it anew with: cdigen generate") from error
    violations = find_violations(document)
    if violations:
        places = "; ".join(f"{violation.place}: {violation.message}" for violation in violations[:_MOST_NAMED])
        more = f"; and {len(violations) - _MOST_NAMED} more" if len(violations) > _MOST_NAMED else ""
        raise DocumentError(f"{name} is not a valid spec: {places}{more}; write it anew with: cdigen generate")
    return cast("dict[str, object]", document)
