"""cdigen diff: what generate would change, entry by entry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from cdigen.build.spec import build_spec
from cdigen.cdi.model import to_document
from cdigen.commands.own_files import output_of
from cdigen.commands.planning import plan_target
from cdigen.commands.spec_file import load_spec
from cdigen.errors import one_line
from cdigen.report import emit, emit_json, findings_to_json, say_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.build.options import BuildOptions
    from cdigen.commands.target import Target

Entries = dict[tuple[str, str], str]
"""What an entry is and its name in the container, and its value as text."""


def run_diff(target: Target, options: BuildOptions, *, spec: str | None, as_json: bool) -> int:
    """Report how the spec at `spec` differs from what generate would write.

    Args:
        target: the host.
        options: the choices.
        spec: the file to compare with, None for the mode's own; one that does not exist has no entry.
        as_json: report as JSON.

    Returns:
        0 if the entries are the same, else 1.
    """
    spec = output_of(options.mode) if spec is None else spec
    planned = plan_target(target, options)
    new = dict(_entries(to_document(build_spec(planned.plan))))
    old = dict(_entries(load_spec(spec))) if spec == "-" or os.path.lexists(spec) else {}
    changes = [(key, old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if as_json:
        emit_json(
            "diff",
            {
                "spec": spec,
                "changes": [
                    {"entry": what, "name": name, "old": before, "new": after}
                    for (what, name), before, after in changes
                ],
                "findings": findings_to_json(planned.findings),
            },
        )
    else:
        say_findings(planned.findings)
        emit("".join(_line(what, name, before, after) for (what, name), before, after in changes))
    return 1 if changes else 0


def _line(what: str, name: str, before: str | None, after: str | None) -> str:
    entry = f"{what} {name}" if name else what
    if before is None:
        text = f"+ {entry}: {after}"
    elif after is None:
        text = f"- {entry}: {before}"
    else:
        text = f"~ {entry}: {before} -> {after}"
    return one_line(text) + "\n"


def _entries(document: dict[str, object]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the entries of a valid spec; order inside it, and what has no meaning to an engine, do not count."""
    for key, value in document.items():
        if key == "containerEdits":
            yield from _edits("", value)
        elif key == "devices":
            for device in cast("list[dict[str, object]]", value):
                name = f"device {device['name']}"
                yield (name, ""), "offered"
                yield from _edits(f"{name}, ", device["containerEdits"])
                for other in device.keys() - {"name", "containerEdits"}:
                    yield (f"{name}, {other}", ""), _text(device[other])
        else:
            yield (key, ""), _text(value)


def _edits(prefix: str, edits: object) -> Iterator[tuple[tuple[str, str], str]]:
    for key, value in cast("dict[str, object]", edits).items():
        if key == "env":
            for variable in cast("list[str]", value):
                name, _, text = variable.partition("=")
                yield (f"{prefix}env", name), text
        elif key in ("mounts", "deviceNodes"):
            what, name_key = ("mount", "containerPath") if key == "mounts" else ("node", "path")
            for item in cast("list[dict[str, object]]", value):
                rest = {k: item[k] for k in sorted(item) if k != name_key}
                yield (f"{prefix}{what}", cast("str", item[name_key])), _text(rest)
        else:
            yield (f"{prefix}{key}", ""), _text(value)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)
    return str(value)
