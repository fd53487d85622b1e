"""What is held against the commands of every remedy that a run of the tests creates."""

from __future__ import annotations

import re

import pytest

from cdigen.errors import CdigenError
from tests.remedies import SEEN, fault_of


@pytest.mark.parametrize(
    "command",
    [
        "ldconfig",
        "systemctl restart docker.service",
        "nvidia-smi -q | grep -i fabric",
        "cdigen generate --output '/etc/cdi/it'\"'\"'s.yaml' --capabilities compute",
        "cdigen nodes --create && cdigen check",
        "LC_ALL=C sudo cdigen check --json",
        "cdigen --version",
        "sed -i 's/or/then/' '/etc/a file; or none'",
        "ls >/dev/null 2>&1",
    ],
)
def test_a_command_that_works_when_pasted_is_taken(command: str) -> None:
    assert fault_of(command) == ""


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("", "empty"),
        ("ls\nls", "not one line of text"),
        ("nvidia-smii -q", "no program 'nvidia-smii' is known"),
        ("ls | nvidia-smii", "no program 'nvidia-smii' is known"),
        ("run it as root", "no program 'run' is known"),
        ("modprobe nvidia or reboot", "'or' is for people, not for a shell"),
        ("cdigen generate --output ...", "'...' is for people, not for a shell"),
        ("cdigen wirte", "cdigen has no verb 'wirte'"),
        ("cdigen", "cdigen has no verb ''"),
    ],
)
def test_one_that_does_not_is_refused_with_the_reason(command: str, fault: str) -> None:
    assert fault_of(command) == fault


@pytest.mark.parametrize(
    "command", ["cdigen generate --out", "cdigen check && cdigen nodes --mode", "cdigen --verbose"]
)
def test_an_option_that_cdigen_does_not_have_is_refused_in_clicks_words(command: str) -> None:
    assert fault_of(command).startswith("cdigen does not take it: No such option")


@pytest.mark.parametrize("command", ["echo 'it", "ls (a)", "echo $(ls"])
def test_what_sh_does_not_take_is_refused_in_its_words(command: str) -> None:
    assert fault_of(command).startswith("sh does not take it: ")


def test_a_remedy_is_seen_with_the_place_that_made_it() -> None:
    command = "true 'a command of this test'"
    try:
        CdigenError("wrong", commands=(command,))
    finally:
        place = SEEN.pop(command)

    assert re.fullmatch(r"tests/test_remedies.py:\d+, in tests/test_remedies.py::test_a_remedy_is_seen_\w+", place)


def test_a_variable_that_sets_an_option_makes_no_command_line_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDIGEN_GENERATE_MODE", "nonsense")

    assert fault_of("cdigen generate") == ""
