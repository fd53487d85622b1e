"""Standard streams that are full, closed, or read by nobody."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import COMMAND, environment
from tests.golden.hosts import GOLDEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import MakeSnapshot

OTHER = shlex.quote(str(GOLDEN / "rocky9-615/nvidia.yaml"))
COMMANDS = ("generate --output -", "list", "list --json", f"diff --spec {OTHER}", "explain", "snapshot")
FULL = "cdigen: error: cannot write to standard output: No space left on device; make room, or write elsewhere\n"
CLOSED = "cdigen: error: cannot write to standard output: Bad file descriptor; make room, or write elsewhere\n"


def run_in_shell(arguments: str, redirection: str) -> tuple[int, str]:
    """Return exit code and standard error of the program with `redirection` by a shell."""
    script = f"{shlex.join(COMMAND)} {arguments} {redirection}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("redirection", "message"), [(">/dev/full", FULL), (">&-", CLOSED)], ids=["full", "closed"])
def test_output_that_cannot_be_written_is_an_error(
    command: str, redirection: str, message: str, make_snapshot: MakeSnapshot
) -> None:
    assert run_in_shell(f"{command} --snapshot {make_snapshot()}", redirection) == (7, message)


@pytest.mark.parametrize("arguments", ["--help", "--version", "generate --help"])
def test_help_that_cannot_be_written_is_an_error(arguments: str) -> None:
    assert run_in_shell(arguments, ">/dev/full") == (7, FULL)


@pytest.mark.parametrize("command", [*COMMANDS, "--help"])
def test_a_reader_that_has_gone_is_no_error(command: str, make_snapshot: MakeSnapshot) -> None:
    snapshot = "" if command == "--help" else f"--snapshot {make_snapshot()}"
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [*COMMAND, *command.split(), *snapshot.split()],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        env=environment(),
        timeout=60,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"], ids=["full", "closed"])
def test_the_spec_is_written_though_nothing_can_be_said(
    redirection: str, tmp_path: Path, make_snapshot: MakeSnapshot
) -> None:
    output = tmp_path / "nvidia.yaml"

    result = run_in_shell(f"generate --snapshot {make_snapshot()} -o {output}", redirection)

    assert result == (0, "")
    assert output.read_text().startswith("# Written by cdigen")


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"], ids=["full", "closed"])
def test_the_exit_code_is_the_same_though_nothing_can_be_said(redirection: str, make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot({"/dev": {"kind": "dir"}})

    assert run_in_shell(f"generate --snapshot {snapshot} -o -", redirection) == (3, "")


def test_standard_input_that_is_closed_cannot_be_read() -> None:
    message = "cannot read -: Bad file descriptor; name a file that you may read"

    assert run_in_shell("validate -", "<&-") == (7, f"cdigen: error: {message}\n")


def test_with_all_streams_closed_the_spec_is_whole(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    output, expected = tmp_path / "nvidia.yaml", tmp_path / "expected.yaml"
    command = f"generate --snapshot {make_snapshot()} -o"
    run_in_shell(f"{command} {expected}", "2>/dev/null")

    assert run_in_shell(f"{command} {output}", "<&- >&- 2>&-") == (0, "")

    assert output.read_bytes() == expected.read_bytes()


def test_a_locale_without_unicode_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("{ö: 1}", encoding="utf-8")

    done = subprocess.run(
        [*COMMAND, "validate", "bad.yaml"],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env=environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii"),
    )

    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.splitlines()[-1] == b"bad.yaml::$['\\xf6']: unknown key"
