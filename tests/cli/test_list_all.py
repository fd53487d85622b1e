"""cdigen list --all: every vendor's devices, and the file from which engines take each."""

from __future__ import annotations

import json
import os
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdigen.schema import find_schema_violations
from tests.cli.test_shadowed import spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Cdigen

BOTH = ("--spec-dir", "low", "--spec-dir", "high")


@pytest.fixture(autouse=True)
def place(tmp_path: Path) -> Iterator[Path]:
    with chdir(tmp_path):
        for directory in ("low", "high"):
            Path(directory).mkdir()
        yield tmp_path


def test_each_device_has_the_file_that_counts_and_the_others(cdigen: Cdigen) -> None:
    Path("low/a.yaml").write_text(spec("0", "all", "x"))
    Path("high/b.json").write_text(spec("0"))
    Path("low/c.json").write_text(spec("x"))
    Path("low/amd.json").write_text(spec("0", kind="amd.com/gpu"))
    Path("high/broken.yaml").write_text("a: 1\n")

    run = cdigen("list", "--all", *BOTH)

    assert run.code == 0
    assert run.out == (
        "DEVICE              FILE                        ALSO IN\n"
        "amd.com/gpu=0       low/amd.json                -\n"
        "nvidia.com/gpu=0    high/b.json                 low/a.yaml\n"
        "nvidia.com/gpu=all  low/a.yaml                  -\n"
        "nvidia.com/gpu=x    none: these count the same  low/a.yaml low/c.json\n"
    )
    assert run.err == (
        "cdigen: warning: high/broken.yaml::$: key 'cdiVersion' is missing or empty (and 3 more); engines pass it"
        " over\n"
    )


def test_the_report_obeys_its_schema(cdigen: Cdigen) -> None:
    Path("low/a.yaml").write_text(spec("0", "x"))
    Path("high/b.json").write_text(spec("0"))
    Path("low/c.json").write_text(spec("x"))

    run = cdigen("list", "--all", "--json", *BOTH)

    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert (run.code, run.err) == (0, "")
    assert report == {
        "report": "list-all",
        "directories": ["low", "high"],
        "devices": [
            {"device": "nvidia.com/gpu=0", "file": "high/b.json", "disputed": [], "others": ["low/a.yaml"]},
            {
                "device": "nvidia.com/gpu=x",
                "file": None,
                "disputed": ["low/a.yaml", "low/c.json"],
                "others": ["low/a.yaml", "low/c.json"],
            },
        ],
        "findings": [],
    }


def test_no_device_is_an_empty_list(cdigen: Cdigen) -> None:
    run = cdigen("list", "--all", *BOTH)
    assert (run.code, run.out, run.err) == (0, "DEVICE  FILE  ALSO IN\n", "")
    assert json.loads(cdigen("list", "--all", "--json", *BOTH).out)["devices"] == []


def test_the_directories_of_another_root_are_read_by_its_own_links(tmp_path: Path, cdigen: Cdigen) -> None:
    root = tmp_path / "root"
    for directory in ("etc/cdi", "run/cdi", "var"):
        (root / directory).mkdir(parents=True)
    (root / "var/run").symlink_to("/run")
    (root / "etc/cdi/a.yaml").write_text(spec("0", "1"))
    (root / "run/real").write_text(spec("1"))
    (root / "run/cdi/link.yaml").symlink_to("/run/real")
    (root / "run/cdi/out.yaml").symlink_to(tmp_path / "low/secret.yaml")
    (tmp_path / "low/secret.yaml").write_text(spec("2"))

    run = cdigen("list", "--all", "--host-root", root)

    assert run.code == 0
    assert [line.split() for line in run.out.splitlines()[1:]] == [
        ["nvidia.com/gpu=0", f"{root}/etc/cdi/a.yaml", "-"],
        ["nvidia.com/gpu=1", f"{root}/run/cdi/link.yaml", f"{root}/etc/cdi/a.yaml"],
    ]
    assert run.err == (
        f"cdigen: warning: cannot read {root}/run/cdi/out.yaml: it is a symbolic link to"
        f" {tmp_path}/low/secret.yaml, which is missing; remove the link; engines pass it over\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--all", "x.yaml"), "--all lists all specs and cannot be used together with FILE."),
        (("--all", "--mode", "gpu"), "--all lists all specs and cannot be used together with --mode."),
        (("--spec-dir", "x"), "--spec-dir says where --all looks; add --all, or leave it out\n"),
        (("x.yaml", "--mode", "gpu"), "FILE is all that is read and cannot be used together with --mode."),
    ],
)
def test_options_without_meaning_are_refused(arguments: tuple[str, ...], message: str, cdigen: Cdigen) -> None:
    run = cdigen("list", *arguments)

    assert (run.code, run.out) == (2, "")
    assert message in run.err


def test_a_directory_that_cannot_be_read_is_an_error(cdigen: Cdigen) -> None:
    Path("file").write_text("")

    run = cdigen("list", "--all", "--spec-dir", "file")

    assert (run.code, run.out) == (7, "")
    assert run.err == (
        "cdigen: error: cannot read the spec directory file: Not a directory; name a directory that you may read\n"
    )


def test_the_file_of_a_device_cannot_forge_a_line(cdigen: Cdigen) -> None:
    Path("low/a\nb.yaml").write_text(spec("0"))
    os.mkfifo("low/pipe\n.yaml")

    run = cdigen("list", "--all", *BOTH)

    assert run.out.splitlines()[1:] == ["nvidia.com/gpu=0  low/a\\nb.yaml  -"]
    assert run.err == "cdigen: warning: low/pipe\\n.yaml is not a regular file; engines pass it over\n"
