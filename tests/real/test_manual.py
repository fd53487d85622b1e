"""groff formats every manual page without a complaint, and zsh and fish take their scripts."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from cdigen.cli import VERBS
from tests.cli.program import run_program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_groff_has_nothing_to_say(verb: str) -> None:
    page = run_program("help", "--man", *verb.split()).out
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-cbou"], input=page, capture_output=True, text=True, check=True
    )

    assert done.stderr == ""
    assert (f"cdigen-{verb} - " if verb else "cdigen-generate(1)") in " ".join(done.stdout.split())


@pytest.mark.parametrize("command", [("zsh", "-n"), ("fish", "--no-execute"), ("bash", "-n")])
def test_the_shell_takes_its_script(command: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(run_program("help", "--completion", command[0]).out)
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_fish_completes(tmp_path: Path) -> None:
    path = tmp_path / "cdigen.fish"
    path.write_text(run_program("help", "--completion", "fish").out)

    def complete(line: str) -> list[str]:
        code = f"source {path}; complete -C '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, check=True)
        return [found.split("\t")[0] for found in done.stdout.splitlines()]

    assert complete("cdigen ch") == ["check"]
    assert complete("cdigen check --format np") == ["npd"]
    assert "--fail-on" in complete("cdigen check --fail")
