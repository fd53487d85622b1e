"""A plan as the bytes of a file, checked as an engine would read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.cdi.model import to_document
from cdigen.cdi.render import render_json, render_yaml
from cdigen.errors import InvalidSpecError, ParseError
from cdigen.plan.header_options import format_choices
from cdigen.plan.spec import build_spec
from cdigen.specs.header import spec_header
from cdigen.write import read_head

if TYPE_CHECKING:
    from cdigen.session.planner import Planned


def render_plan(planned: Planned, file_format: str) -> bytes:
    """Return the spec of a plan as the bytes of a file: "yaml" with a comment header, or "json"."""
    document = to_document(build_spec(planned.plan, with_groups=planned.with_groups))
    if file_format == "json":
        return render_json(document)
    inventory = planned.inventory
    subject = planned.plan.kind if inventory is None else f"NVIDIA driver {inventory.driver.name}"
    return render_yaml(document, spec_header(subject, format_choices(planned.choices)))


def check_rendered(path: str, data: bytes, file_format: str, *, root: str | None = None) -> None:
    """Check the bytes of a spec before they are written to the file at `path`; see `validate_rendered`, `read_head`.

    Bytes that are on the disk already were validated by this same version before they got there: the header names it.
    JSON has no header, so it is always validated.
    """
    if file_format == "json" or read_head(path, len(data) + 1, root=root) != data:
        validate_rendered(data, file_format)


def validate_rendered(data: bytes, file_format: str) -> None:
    """Check the bytes of a spec as an engine would read them, and that they hold no hook.

    Raises:
        InvalidSpecError: they break a rule.
    """
    from cdigen.cdi.validate import find_violations
    from cdigen.parse.document import parse_document

    try:
        violations = [
            f"{violation.place}: {violation.message}"
            for violation in find_violations(parse_document(data, is_json=file_format == "json"), hook_free=True)
        ]
    except ParseError as error:
        violations = [str(error)]
    if violations:
        raise InvalidSpecError(
            f"the spec that was built is not valid, which is a bug in cdigen: {'; '.join(violations)}; nothing was"
            " written",
            hint="please report it with the output of cdigen snapshot",
        )
