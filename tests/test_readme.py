"""What the README says is so: its examples are run, its tables are held against the program."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cdigen import cli, errors

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLE_HOST = ROOT / "golden/debian12-535-current/snapshot.yaml"
DEFAULT_OUTPUT = "/etc/cdi/nvidia.yaml"

EXAMPLES = [
    pytest.param(command, output, id=command)
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]


DOCUMENTED = [
    pytest.param(command, output, id=f"{path.name}: {command}")
    for path in sorted((ROOT / "docs").glob("*.md"))
    for block in re.findall(r"```console\n(.*?)```", path.read_text(), re.DOTALL)
    for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]
"""Of docs/: commands that are run in a clone of the repository, on `DOCUMENTED_HOST` if they name no other."""

DOCUMENTED_HOST = ROOT / "golden/gb200-580-imex/snapshot.yaml"


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its header."""
    table = re.search(rf"^#+ {re.escape(heading)}$.*?\n\n?(\|.*?)(?:\n\n|\Z)", README, re.DOTALL | re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()[2:]]


@pytest.mark.parametrize(("command", "output"), EXAMPLES)
def test_an_example_prints_what_the_readme_shows(command: str, output: str, tmp_path: Path) -> None:
    program, verb, *arguments = shlex.split(command)
    assert program == "cdigen"
    spec = tmp_path / "nvidia.yaml"
    environment = {
        **os.environ,
        f"CDIGEN_{verb.upper()}_SNAPSHOT": str(EXAMPLE_HOST),
        "CDIGEN_GENERATE_OUTPUT": str(spec),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cdigen", verb, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
        text=True,
        env=environment,
    )
    assert done.stdout.replace(str(spec), DEFAULT_OUTPUT) == output


@pytest.mark.parametrize(("command", "output"), DOCUMENTED)
def test_an_example_prints_what_the_documents_show(command: str, output: str, tmp_path: Path) -> None:
    program, *arguments = shlex.split(command)
    assert program == "cdigen"
    spec = tmp_path / "nvidia.yaml"
    environment = {
        **os.environ,
        "CDIGEN_GENERATE_SNAPSHOT": str(DOCUMENTED_HOST),
        "CDIGEN_GENERATE_OUTPUT": str(spec),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cdigen", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.stdout.replace(str(tmp_path), "/etc/cdi") == output


def test_there_are_examples() -> None:
    assert [example.values[0] for example in EXAMPLES] == ["cdigen generate", "cdigen explain libnvidia-encode"]


def test_the_table_of_commands_has_every_command() -> None:
    documented = {re.findall(r"`cdigen ([\w-]+)", row[0])[0] for row in rows("Use it")}
    assert documented == set(cli.VERBS)


def test_the_table_of_roots_has_every_root_option() -> None:
    documented = set(re.findall(r"--[a-z-]+", " ".join(row[0] for row in rows("Where the host is not `/`"))))
    generate = cli.load_verb("generate")
    roots = {option for parameter in generate.params for option in parameter.opts if option.endswith(("-root", "fs"))}
    assert documented == roots


def test_every_option_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", README))
    known = {
        option for command in map(cli.load_verb, cli.VERBS) for parameter in command.params for option in parameter.opts
    }
    others = {"--rm", "--device", "--gpus", "--now"}  # of podman, docker and systemctl
    assert named - others <= known


def test_the_table_of_exit_codes_is_the_program_s() -> None:
    documented = {int(row[0]) for row in rows("Exit codes")}
    subclasses: list[type[errors.CdigenError]] = [errors.CdigenError, *errors.CdigenError.__subclasses__()]
    raised = {error.exit_code for error in subclasses} | {0, click.UsageError.exit_code}
    raised |= {errors.Ended(number).exit_code for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    assert documented == raised


def test_ci_runs_the_readme_s_test_command() -> None:
    commands = re.findall(r"^(apt-get .*?&& make (?:show|test)) ", README, re.MULTILINE)
    assert commands == [f"apt-get update && apt-get install -y make && make {target}" for target in ("show", "test")]
    script = (ROOT / ".ci/run").read_text()
    steps = [line for line in script.splitlines() if line.startswith(("apt-get", "make"))]
    assert steps == ["apt-get update", "apt-get install -y make", "make test"]


def test_links_lead_to_files() -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert targets
    for target in targets:
        assert (ROOT / target).is_file(), target
