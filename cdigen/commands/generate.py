"""cdigen generate: scan, build, validate, write."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cdigen import __version__
from cdigen.build.plan import build_plan
from cdigen.build.spec import build_spec
from cdigen.cdi.model import to_document
from cdigen.cdi.render import render_json, render_yaml
from cdigen.commands.target import scan
from cdigen.errors import FileError, InvalidSpecError, ParseError, UsageError
from cdigen.report import count, emit_json, findings_to_json, left_out_to_json, say, say_findings
from cdigen.write import write_file

if TYPE_CHECKING:
    from cdigen.build.options import BuildOptions
    from cdigen.build.plan import Plan
    from cdigen.commands.target import Target
    from cdigen.inventory import Driver, Inventory

ENGINE_SUFFIXES = (".yaml", ".json")
"""Engines read these files of a CDI directory and no others (CDI specification, "Spec files")."""


def run_generate(target: Target, options: BuildOptions, *, output: str, file_format: str | None, as_json: bool) -> int:
    """Write the spec of a host.

    Args:
        target: the host.
        options: the choices.
        output: the file to write, "-" for standard output.
        file_format: "yaml", "json", or None for what the suffix of `output` says.
        as_json: report on standard output as JSON.

    Returns:
        0; everything else is an error that is raised.
    """
    if as_json and output == "-":
        raise UsageError("--json reports on standard output, where --output - writes the spec; choose one of them")
    inventory = scan(target)
    plan = build_plan(inventory, options)
    if file_format is None:
        file_format = "json" if output.endswith(".json") else "yaml"
    data = render_plan(plan, inventory.driver, file_format)
    if not as_json:
        say_findings(inventory.findings)
    if output == "-":
        validate_rendered(data, file_format)
        _write_stdout(data)
        return 0
    # Bytes that are on the disk already were validated by this same version before they got there: the header
    # names it. JSON has no header, so it is always validated.
    if file_format == "json" or not _is_already(output, data):
        validate_rendered(data, file_format)
    changed = write_file(output, data)
    if not output.endswith(ENGINE_SUFFIXES):
        say(
            "warning",
            f"{output} ends neither in .yaml nor in .json, so no engine will read it; choose another name",
        )
    if as_json:
        emit_json("generate", _report(plan, inventory, output, changed))
    state = "wrote" if changed else "unchanged:"
    say(
        "",
        f"{state} {output}: driver {inventory.driver.version}, {count(len(inventory.gpus), 'GPU')},"
        f" {count(len(plan.devices), 'device')}, {count(len(plan.mounts), 'mount')}",
    )
    return 0


def render_plan(plan: Plan, driver: Driver, file_format: str) -> bytes:
    """Return the spec of `plan` as the bytes of a file: "yaml" with a comment header, or "json"."""
    document = to_document(build_spec(plan))
    if file_format == "json":
        return render_json(document)
    header = (
        f"Written by cdigen {__version__} for NVIDIA driver {driver.version}.",
        "Do not edit: `cdigen generate` replaces this file.",
    )
    return render_yaml(document, header)


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
            "the spec that was built is not valid, which is a bug of cdigen; nothing was written; please"
            f" report it with the output of cdigen snapshot: {'; '.join(violations)}"
        )


def _is_already(path: str, data: bytes) -> bool:
    if not os.path.isfile(path):
        return False  # reading from a pipe or a terminal would wait for someone to write to it
    try:
        with open(path, "rb") as file:
            return file.read(len(data) + 1) == data
    except (OSError, ValueError):
        return False  # write_file says what is wrong


def _write_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FileError(f"cannot write to standard output: {error.strerror}; make room, or write elsewhere") from error


def _report(plan: Plan, inventory: Inventory, output: str, changed: bool) -> dict[str, object]:
    return {
        "output": output,
        "changed": changed,
        "driverVersion": inventory.driver.version,
        "devices": [f"{plan.kind}={device.name}" for device in plan.devices],
        "findings": findings_to_json(inventory.findings),
        "leftOut": left_out_to_json(plan.left_out),
    }
