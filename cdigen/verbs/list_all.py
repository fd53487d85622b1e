"""cdigen list --all: the devices of every vendor's specs, and the file from which engines take each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.cdi.registry import read_registry
from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES
from cdigen.errors import one_line
from cdigen.findings import Finding
from cdigen.read import read_input
from cdigen.report import emit, emit_json, findings_to_json, format_table, say_findings
from cdigen.specs.outputs import place_below, root_of
from cdigen.specs.reading import parse_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdigen.cdi.registry import Registry
    from cdigen.session.target import Target


def run_list_all(target: Target, *, spec_dirs: Sequence[str], as_json: bool) -> int:
    """Report the devices of all specs.

    Args:
        target: the host, of which only the root counts.
        spec_dirs: the directories of specs, the one that counts more last; those of the engines if there is none.
        as_json: report as JSON.

    Returns:
        0, also if there is no device.

    Raises:
        FileError: a directory cannot be read.
    """
    root = root_of(target)
    directories: Sequence[str] = spec_dirs or DEFAULT_DIRECTORIES
    if root is not None:
        directories = [place_below(root, directory) for directory in directories]
    registry = read_registry(directories, lambda path: parse_spec(read_input(path, root=root)), root=root)
    findings = tuple(_passed_over(registry))
    devices = [_Device(registry, name) for name in registry.devices()]
    if as_json:
        emit_json(
            "list-all",
            {
                "directories": list(registry.directories),
                "devices": [device.to_json() for device in devices],
                "findings": findings_to_json(findings),
            },
        )
        return 0
    say_findings(findings)
    emit(*format_table(("DEVICE", "FILE", "ALSO IN"), (device.row() for device in devices)))
    return 0


class _Device:
    """A device, and the files that have it."""

    def __init__(self, registry: Registry, name: str) -> None:
        winner = registry.winner(name)
        self.name = name
        self.file = None if winner is None else winner.path
        self.disputing = [file.path for file in registry.disputing(name)]
        self.others = [file.path for file in registry.providers(name) if file.path != self.file]

    def to_json(self) -> dict[str, object]:
        return {"device": self.name, "file": self.file, "disputed": self.disputing, "others": self.others}

    def row(self) -> tuple[str, str, str]:
        if self.file is None:
            return self.name, "none: these count the same", " ".join(self.disputing)
        return self.name, self.file, " ".join(self.others) or "-"


def _passed_over(registry: Registry) -> list[Finding]:
    found = []
    for file in registry.files:
        if file.document is None:
            more = f" (and {len(file.problems) - 1} more)" if len(file.problems) > 1 else ""
            message = f"{file.problems[0]}{more}; engines pass it over"
            found.append(Finding(level="warning", code="unusable-spec", subject=one_line(file.path), message=message))
    return found
