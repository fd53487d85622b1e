"""The record of the facts behind the spec of the real driver."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.real.program import as_driver_root, as_whole_host, report_of, run_cdigen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.make_driver import HostTree

SEEN_FROM = {"as a whole host": as_whole_host, "as a driver root": as_driver_root}


@pytest.mark.parametrize("how", SEEN_FROM)
@pytest.mark.parametrize("tree_name", ["driver_plain", "driver_debian"])
def test_the_record_gives_the_very_same_specs_and_no_change_is_seen(
    tree_name: str, how: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tree: HostTree = request.getfixturevalue(tree_name)
    seen_from = SEEN_FROM[how](tree)
    first, again, record = tmp_path / "cdi", tmp_path / "again", tmp_path / "facts.yaml"
    options = ("--all-modes", "--output", f"{first}/nvidia.yaml", "--record", str(record), "--create-dirs")

    assert run_cdigen("generate", *seen_from, *options).returncode == 0
    stamp = record.stat().st_mtime_ns
    assert run_cdigen("generate", *seen_from, *options).returncode == 0
    assert record.stat().st_mtime_ns == stamp

    done = run_cdigen(
        "generate", "--all-modes", "--snapshot", str(record), "--output", f"{again}/nvidia.yaml", "--create-dirs"
    )
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(first)) == ["nvidia-management.yaml", "nvidia.yaml"]
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in first.iterdir()
    }
    # The record has the roots of the host; only where it is visible has to be said again.
    where = seen_from if how == "as a whole host" else seen_from[4:]
    report = report_of("diff", "--facts", str(record), *where)
    assert (report["changes"], report["findings"]) == ([], [])
