"""The bytes of anyone's spec as engines read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.cdi.engine_form import read_as_engines
from cdigen.parse.engine_document import format_scalar, parse_as_engines

if TYPE_CHECKING:
    from cdigen.cdi.engine_form import Spec
    from cdigen.schema import Violation


def parse_spec(data: bytes) -> tuple[Spec | None, tuple[Violation, ...]]:
    """Return the spec in the bytes of a file, whatever its suffix, and why engines would not take it.

    Returns:
        See `read_as_engines`.

    Raises:
        ParseError: they cannot read it.
    """
    return read_as_engines(parse_as_engines(data), format_scalar)
