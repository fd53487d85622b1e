"""Sees every remedy that a test run creates, and checks that its commands work when pasted.

A pytest plugin (`tests/conftest.py` registers it). The session fails if a command is no shell command, begins with a
program that does not exist, or is a command line of cdigen's own that cdigen would not take.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Self

import click
import pytest

from cdigen.cli import VERBS, cli, load_verb
from cdigen.findings import Remedy

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE = {
    "apt-get",
    "containerd",
    "crio",
    "crun",
    "dmesg",
    "dnf",
    "docker",
    "dockerd",
    "dracut",
    "getsebool",
    "journalctl",
    "ldconfig",
    "loginctl",
    "lsattr",
    "lspci",
    "mkinitcpio",
    "modprobe",
    "mokutil",
    "nvidia-ctk",
    "nvidia-modprobe",
    "nvidia-smi",
    "pacman",
    "podman",
    "restorecon",
    "rpm",
    "rpm-ostree",
    "runc",
    "setsebool",
    "sudo",
    "systemctl",
    "udevadm",
    "update-initramfs",
    "zypper",
}
"""Programs of the hosts that a remedy is for, which the machine of the tests may lack."""

_PASSED_THROUGH = ("findings.py", "errors.py", "notes.py")
"""Modules that create remedies for others."""

SEEN: dict[str, str] = {}
"""Every command, with the first place that it was made at."""


def notice(commands: object, place: str) -> None:
    """Remember commands that were made at a place."""
    if isinstance(commands, tuple | list):
        for command in commands:
            SEEN.setdefault(str(command), place)


def notice_report(document: object, place: str) -> None:
    """Remember the commands of every remedy in a JSON report."""
    if isinstance(document, dict):
        if set(document) == {"hint", "commands"}:
            notice(document["commands"], place)
        for value in document.values():
            notice_report(value, place)
    elif isinstance(document, list):
        for value in document:
            notice_report(value, place)


def watch() -> None:
    """Notice every `Remedy` that is created in this process from now on."""
    create = Remedy.__new__

    def create_and_notice(cls: type[Remedy], hint: str = "", commands: tuple[str, ...] = ()) -> Remedy:
        if commands:
            notice(commands, _maker())
        return create(cls, hint, commands)

    Remedy.__new__ = create_and_notice  # type: ignore[method-assign, assignment]


def _maker() -> str:
    """Return the line of code that asked for the remedy, and the test that was running."""
    frame = sys._getframe(2)  # noqa: SLF001  # inspect.stack() reads source files
    while frame.f_back and frame.f_code.co_filename.endswith(_PASSED_THROUGH):
        frame = frame.f_back
    test = os.environ.get("PYTEST_CURRENT_TEST", "an import").partition(" (")[0]
    return f"{os.path.relpath(frame.f_code.co_filename)}:{frame.f_lineno}, in {test}"


def faults() -> list[str]:
    """Return what is wrong with the commands that were seen, a line for each."""
    for verb in VERBS:  # to judge a command loads its verb, and the remedies that it makes are seen too
        load_verb(verb)
    return [
        f"{command!r}: {fault} (made at {place})"
        for command, place in SEEN.items()
        for fault in [fault_of(command)]
        if fault
    ]


def fault_of(command: str) -> str:
    """Return why a command does not work when pasted; "" if it does, as far as can be told without running it."""
    if not command.isprintable():
        return "not one line of text"
    checked = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True, check=False)
    if checked.returncode:
        return f"sh does not take it: {checked.stderr.strip()}"
    found = [fault for words in _simple_commands(command) for fault in [_fault_of_words(words)] if fault]
    return found[0] if found else "" if command.strip() else "empty"


def _simple_commands(command: str) -> Iterator[list[str]]:
    """Split a line at `|`, `&&`, `;` and the like; redirections stay."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for token in lexer:
        if set(token) <= set("|&;()"):
            if words:
                yield words
            words = []
        else:
            words.append(token)
    if words:
        yield words


def _fault_of_words(words: list[str]) -> str:
    while words and re.match(r"[A-Za-z_]\w*=", words[0]):
        words = words[1:]
    if words and words[0] == "sudo":
        words = words[1:]
    if not words:
        return ""
    joining = [word for word in words if word in {"or", "then", "...", "…"}]
    if joining:
        return f"{joining[0]!r} is for people, not for a shell"
    if words[0] == "cdigen":
        return _fault_of_ours(words[1:])
    if words[0].rpartition("/")[2] in ELSEWHERE or shutil.which(words[0]):  # the path is one of the host
        return ""
    return f"no program {words[0]!r} is known"


def _fault_of_ours(arguments: list[str]) -> str:
    """Return why cdigen would not take a command line, which is parsed and not run."""
    verb, *rest = arguments or [""]
    command = cli if verb.startswith("-") else load_verb(verb) if verb in VERBS else None
    if command is None:
        return f"cdigen has no verb {verb!r}"
    settings = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("CDIGEN_")}
    try:
        with redirect_stdout(io.StringIO()):  # for --help
            command.make_context(verb, arguments if command is cli else rest)
    except click.exceptions.Exit:
        pass  # --help, --version
    except click.UsageError as error:
        return f"cdigen does not take it: {error.format_message()}"
    finally:
        os.environ.update(settings)
    return ""


class Plugin:
    """Fails the session for commands that do not work, and says which."""

    def __init__(self) -> None:
        """Begin with none."""
        self._faults: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self: Self, session: pytest.Session) -> None:
        """Check what was seen."""
        self._faults = faults()
        if self._faults and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self: Self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what is wrong."""
        if self._faults:
            terminalreporter.section(f"remedies that do not work when pasted (of {len(SEEN)} commands)", red=True)
            for fault in self._faults:
                terminalreporter.line(fault, red=True)
