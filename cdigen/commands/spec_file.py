"""A spec on the disk, whoever wrote it."""

from __future__ import annotations

from typing import cast

from cdigen.cdi.validate import find_violations
from cdigen.commands.target import read_input
from cdigen.errors import DocumentError, ParseError, one_line
from cdigen.parse.document import parse_document
from cdigen.schema import summarise


def load_spec(path: str) -> dict[str, object]:
    """Return the document of the valid spec in the file at `path`; "-" is standard input.

    Raises:
        FileError: it cannot be read.
        DocumentError: see `read_spec`.
    """
    return read_spec(read_input(path), path)


def read_spec(data: bytes, path: str) -> dict[str, object]:
    """Return the document of a valid spec.

    Args:
        data: the spec.
        path: where it is; a name that ends in ".json" says that it is JSON.

    Raises:
        DocumentError: it is not a valid spec; its first violations are named.
    """
    name = one_line(path)
    try:
        document = parse_document(data, is_json=path.endswith(".json"))
    except ParseError as error:
        raise DocumentError(f"{name}: {error}; write it anew with: cdigen generate") from error
    violations = find_violations(document)
    if violations:
        raise DocumentError(f"{name} is not a valid spec: {summarise(violations)}; write it anew with: cdigen generate")
    return cast("dict[str, object]", document)
