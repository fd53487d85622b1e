"""cdigen validate: anyone's spec against the schema and the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from cdigen.cdi.validate import find_violations
from cdigen.errors import FileError, ParseError
from cdigen.options.shared import JSON
from cdigen.parse.document import parse_document
from cdigen.read import read_input
from cdigen.report import emit, emit_json, remedy_to_json, say
from cdigen.schema import Violation
from cdigen.specs.reading import find_misreadings
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("validate")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--hook-free", is_flag=True, help="Also report hooks.")
@JSON
def command(files: tuple[str, ...], hook_free: bool, as_json: bool) -> int:
    """Check specs of any author against the CDI schema and rules; - is standard input.

    Every violation is reported with its place, as FILE::$.devices[0].name: message. So is what engines, which read YAML
    1.1 in every file, read otherwise than it says, such as a name y that is not in quotes.
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
