"""--annotations: the profile of each MIG device stands in the spec, where a scheduler can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from cdigen.parse.document import parse_document
from tests.cli.program import run_program
from tests.golden.hosts import GOLDEN

if TYPE_CHECKING:
    from pathlib import Path


def spec_of(host: str, *options: str) -> dict[str, Any]:
    run = run_program("generate", "--snapshot", GOLDEN / host / "snapshot.yaml", "--output", "-", *options)
    assert run.code == 0, run.err
    return cast("dict[str, Any]", parse_document(run.out.encode()))


def test_each_mig_device_says_its_profile_under_each_of_its_names() -> None:
    plain, annotated = (spec_of("a100-580-mig", *options) for options in ((), ("--annotations",)))

    assert (plain["cdiVersion"], annotated["cdiVersion"]) == ("0.5.0", "0.6.0")
    profiles = {device["name"]: device.pop("annotations", None) for device in annotated["devices"]}
    assert annotated["devices"] == plain["devices"]
    assert profiles == {
        "0:0": {"cdigen/mig-profile": "4g.20gb"},
        "MIG-c42101f0-a1fa-5b68-8908-7c5c887f28bd": {"cdigen/mig-profile": "4g.20gb"},
        "0:1": {"cdigen/mig-profile": "1c.2g.10gb"},
        "MIG-8970491e-16e0-5140-9f8f-d561baa3c186": {"cdigen/mig-profile": "1c.2g.10gb"},
        "0:2": {"cdigen/mig-profile": "1c.2g.10gb"},
        "MIG-239565ce-30e3-52d7-8197-5630d3ce21fa": {"cdigen/mig-profile": "1c.2g.10gb"},
        "0:3": {"cdigen/mig-profile": "1g.5gb"},
        "MIG-20301a31-77fa-59ec-b0b8-7ef543821f29": {"cdigen/mig-profile": "1g.5gb"},
        "all": None,
    }


@pytest.mark.parametrize("host", ["rocky9-615", "a100-580-mig-without-nvml", "wsl2-581"])
def test_where_there_is_nothing_to_say_the_spec_has_the_lowest_version(host: str) -> None:
    assert spec_of(host, "--annotations") == spec_of(host)


def test_the_header_says_so_and_check_builds_the_same(tmp_path: Path) -> None:
    snapshot, path = GOLDEN / "a100-580-mig" / "snapshot.yaml", tmp_path / "nvidia.yaml"
    run_program("generate", "--snapshot", snapshot, "--output", path, "--annotations")
    assert path.read_text().splitlines()[2] == "# Options: --annotations"

    assert run_program("diff", path, "--snapshot", snapshot).code == 0
    changed = path.read_text().replace("4g.20gb", "7g.40gb")
    path.write_text(changed)
    assert run_program("diff", path, "--snapshot", snapshot).out.count("annotations") == 2
