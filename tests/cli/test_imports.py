"""Nothing is imported before it is needed: start-up time is import time."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cdigen.cli import VERBS
from tests.cli.program import environment, run_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import MakeHost, MakeSnapshot

# A library that is heavy, by the name of its package.
CLICK, YAML, JSONSCHEMA, ELFTOOLS = "click", "yaml", "jsonschema", "elftools"
HEAVY = {CLICK, YAML, JSONSCHEMA, ELFTOOLS}


def heavy_imports(*arguments: str | Path) -> set[str]:
    """Return which of the heavy libraries the program imports for these arguments."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cdigen", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=60,
    )
    assert done.returncode in (0, 1), done.stderr[-2000:]
    rows = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert len(rows) > 50
    return {row.rpartition("|")[2].strip().partition(".")[0] for row in rows} & HEAVY


@pytest.mark.parametrize("arguments", ["--help", "--version", *(f"{verb} --help" for verb in VERBS)])
def test_help_imports_click_alone(arguments: str) -> None:
    assert heavy_imports(*arguments.split()) == {CLICK}


def test_the_package_alone_imports_nothing_heavy() -> None:
    script = f"import sys, cdigen, cdigen.errors, cdigen.facts; print({HEAVY!r} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment())

    assert done.stdout == "set()\n"


def test_generate_on_an_unchanged_host_does_not_validate_again(make_host: MakeHost, tmp_path: Path) -> None:
    arguments = ("generate", "--host-root", make_host(), "-o", tmp_path / "nvidia.yaml")

    assert heavy_imports(*arguments) == {CLICK, YAML, JSONSCHEMA, ELFTOOLS}
    assert heavy_imports(*arguments) == {CLICK, YAML, ELFTOOLS}


@pytest.mark.parametrize("command", ["list", "explain"])
def test_a_report_of_a_host_needs_neither_yaml_nor_jsonschema(command: str, make_host: MakeHost) -> None:
    assert heavy_imports(command, "--host-root", make_host()) == {CLICK, ELFTOOLS}


def test_a_snapshot_is_read_without_elftools(make_snapshot: MakeSnapshot) -> None:
    assert ELFTOOLS not in heavy_imports("list", "--snapshot", make_snapshot())


def test_validate_and_list_of_a_spec_read_no_elf(make_snapshot: MakeSnapshot, tmp_path: Path) -> None:
    spec = tmp_path / "nvidia.yaml"
    run_program("generate", "--snapshot", make_snapshot(), "-o", spec)

    assert heavy_imports("validate", spec) == {CLICK, YAML, JSONSCHEMA}
    assert heavy_imports("list", "--spec", spec) == {CLICK, YAML}
