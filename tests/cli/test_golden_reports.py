"""The reports of real hosts obey the schema that is published for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdigen.schema import find_schema_violations

if TYPE_CHECKING:
    from tests.cli.conftest import Cdigen

GOLDEN = Path(__file__).parents[2] / "golden"
HOSTS = sorted(path.parent for path in GOLDEN.glob("*/nvidia.yaml"))


@pytest.mark.parametrize("command", ["generate", "list", "diff", "explain"])
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_the_report_of_a_golden_host_obeys_its_schema(command: str, host: Path, tmp_path: Path, cdigen: Cdigen) -> None:
    arguments = host / "arguments"
    options = arguments.read_text(encoding="utf-8").split() if arguments.exists() else []
    place = {"generate": ["-o", str(tmp_path / "x.yaml")], "diff": ["--spec", str(host / "nvidia.yaml")]}

    run = cdigen(command, "--json", "--snapshot", host / "snapshot.yaml", *options, *place.get(command, []))

    assert run.code == 0
    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert report["report"] == command
    if command == "diff":
        assert report["changes"] == []


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_a_golden_spec_is_valid_and_listed(host: Path, cdigen: Cdigen) -> None:
    validated = cdigen("validate", "--hook-free", host / "nvidia.yaml")
    listed = cdigen("list", "--json", "--spec", host / "nvidia.yaml")

    assert (validated.code, validated.err, listed.code, listed.err) == (0, "", 0, "")
    assert find_schema_violations(json.loads(listed.out), "report") == ()
