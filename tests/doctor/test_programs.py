"""Programs of the host: asked side by side, never for longer than they may take."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from cdigen.doctor.programs import MAX_OUTPUT, Answer, run_programs

if TYPE_CHECKING:
    from pathlib import Path


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_programs_get_their_arguments_and_a_clean_environment(tmp_path: Path) -> None:
    assert "PYTEST_CURRENT_TEST" in os.environ  # of this process's own, no program sees anything
    program = script(tmp_path / "program", 'echo "$@"; pwd; env | grep -v ^PWD= | grep -v ^SHLVL= | grep -v ^_= | sort')

    assert run_programs([(program, "--version", "a b; c")]) == (
        Answer(text="--version a b; c\n/\nHOME=/\nLC_ALL=C\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n", failure=None),
    )


def test_a_program_that_fails_says_how(tmp_path: Path) -> None:
    failing = script(tmp_path / "failing", "echo text; exit 3")
    closed = tmp_path / "closed"
    closed.write_text("#!/bin/sh\n")

    assert run_programs([(failing,), (str(closed),), (str(tmp_path / "none"),)]) == (
        Answer(text="", failure="ended with exit code 3"),
        Answer(text="", failure="Permission denied"),
        Answer(text="", failure="No such file or directory"),
    )


def test_programs_that_hang_are_ended_together_with_what_they_started(tmp_path: Path) -> None:
    left = tmp_path / "left"
    hanging = script(tmp_path / "hanging", f"(sleep 1; echo still here > {left}) & echo 1; sleep 60")
    # It ends at once, and what it started keeps the pipe.
    leaving = script(tmp_path / "leaving", f"(sleep 1; echo still here > {left}) & exit 0")
    quick = script(tmp_path / "quick", "echo 2")
    start = time.monotonic()

    answers = run_programs([(hanging,), (leaving,), (hanging,), (quick,)], timeout=0.4)

    assert time.monotonic() - start < 1
    late = Answer(text="", failure="no answer within 0.4 s")
    assert answers == (late, late, late, Answer(text="2\n", failure=None))
    time.sleep(1.2)
    assert not left.exists()


def test_a_program_that_says_too_much_is_ended(tmp_path: Path) -> None:
    program = script(tmp_path / "program", "exec yes")

    assert run_programs([(program,)]) == (Answer(text="", failure=f"an answer of more than {MAX_OUTPUT} bytes"),)
