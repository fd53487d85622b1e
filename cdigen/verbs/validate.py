"""cdigen validate: anyone's spec against the schema and the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cdigen.cdi.validate import find_violations
from cdigen.errors import FileError, ParseError
from cdigen.parse.document import parse_document
from cdigen.read import read_input
from cdigen.report import emit, emit_json, remedy_to_json, say
from cdigen.schema import Violation
from cdigen.specs.reading import find_misreadings
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_validate(files: Sequence[str], *, hook_free: bool, as_json: bool) -> int:
    """Report every violation in `files`, each with its place.

    Args:
        files: paths; "-" is standard input.
        hook_free: hooks are violations too.
        as_json: report as JSON.

    Returns:
        0 if all are valid, 7 if one could not be read, else 1.
    """
    code = 0
    reports: list[dict[str, object]] = []
    for file in files:
        try:
            data = read_input(file)
        except FileError as error:
            say("error", str(error))
            code = FileError.exit_code
            unread = {"error": error.message, "remedy": remedy_to_json(error.remedy)}
            reports.append({"file": file, "valid": False, **unread, "violations": []})
            continue
        document: object = None
        try:
            document = parse_document(data, is_json=file.endswith(".json"))
            violations = find_violations(document, hook_free=hook_free, misread=find_misreadings(data, document))
        except ParseError as error:
            violations = (Violation(place="$", message=str(error)),)
        code = code or (1 if violations else 0)
        reports.append(
            {
                "file": file,
                "valid": not violations,
                "violations": [{"place": v.place, "message": v.message} for v in violations],
            }
        )
        if not as_json:
            _emit_text(file, document, violations)
    if as_json:
        emit_json("validate", {"files": reports})
    return code


def _emit_text(file: str, document: object, violations: Sequence[Violation]) -> None:
    if violations:
        emit(*(f"{file}::{v.place}: {v.message}" for v in violations))
        return
    spec = cast("dict[str, list[object]]", document)
    emit(f"{file}: valid, cdiVersion {spec['cdiVersion']}, {spec['kind']}, {count(len(spec['devices']), 'device')}")
