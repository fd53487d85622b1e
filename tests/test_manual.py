"""Manual pages and completion are made of the options themselves, and are what man and the shells take."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import click
import pytest

from cdigen.cli import VERBS, load_verb
from tests.cli.program import run_program

if TYPE_CHECKING:
    from pathlib import Path


def page(*verb: str) -> str:
    run = run_program("help", "--man", *verb)
    assert (run.code, run.err) == (0, "")
    return run.out


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "cdigen"
    path.write_text(run_program("help", "--completion", "bash").out)
    return path


def complete(script: Path, *words: str) -> list[str]:
    """Return what bash offers for the last word."""
    code = f'. "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cdigen; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code, "bash", *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_help_of_a_verb_is_its_own() -> None:
    assert run_program("help", "check").out == run_program("check", "--help").out
    assert run_program("help").out == run_program("--help").out
    assert run_program("help", "help").code == 0


def test_a_verb_that_there_is_not_is_named() -> None:
    run = run_program("help", "generat")

    assert (run.code, run.out) == (2, "")
    assert run.err == "cdigen: error: no such command: generat. Did you mean 'generate'?; see: cdigen --help\n"
    run = run_program("help", "check", "--completion", "bash")
    assert (run.code, run.err) == (2, "cdigen: error: --completion is of all commands; leave the others out\n")


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_in_the_page_of_its_verb(verb: str) -> None:
    text = page(verb)

    for option in load_verb(verb).params:
        if isinstance(option, click.Option):
            for name in option.opts:
                assert f"\\fB{name.replace('-', chr(92) + '-')}\\fR" in text


def test_every_verb_is_in_the_main_page() -> None:
    text = page()

    for verb in VERBS:
        assert f".BR cdigen\\-{verb.replace('-', chr(92) + '-')} (1)" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("cdigen", "ch"), ["check"]),
        (("cdigen", "generate", "--no-"), ["--no-all"]),
        (("cdigen", "check", "--format", "n"), ["nagios", "npd"]),
        (("cdigen", "check", "--output", ""), []),
        (("cdigen", "help", "wa"), ["watch"]),
        (("cdigen", "nonsense", "--"), []),
    ],
)
def test_bash_completes(bash_script: Path, words: tuple[str, ...], expected: list[str]) -> None:
    assert complete(bash_script, *words) == expected


def test_bash_knows_every_verb_and_option(bash_script: Path) -> None:
    assert complete(bash_script, "cdigen", "") == [*VERBS, "--help", "--version"]
    for verb in VERBS:
        offered = complete(bash_script, "cdigen", verb, "--")
        names = [name for option in load_verb(verb).params for name in option.opts if name.startswith("--")]
        assert set(offered) == {*names, "--help"}
