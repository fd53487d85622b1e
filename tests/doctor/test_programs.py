"""Programs of the host: asked side by side, never for longer than they may take."""

from __future__ import annotations

import os
import pwd
import time
from typing import TYPE_CHECKING

from cdigen.host.programs import MAX_OUTPUT, Answer, own_environment, run_programs

if TYPE_CHECKING:
    from pathlib import Path


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_programs_get_their_arguments_and_a_clean_environment(tmp_path: Path) -> None:
    assert "PYTEST_CURRENT_TEST" in os.environ  # of this process's own, no program sees anything
    home = pwd.getpwuid(os.getuid()).pw_dir
    program = script(tmp_path / "program", 'echo "$@"; pwd; env | grep -v ^PWD= | grep -v ^SHLVL= | grep -v ^_= | sort')

    assert run_programs([(program, "--version", "a b; c")]) == (
        Answer(
            output=f"--version a b; c\n/\nHOME={home}\nLC_ALL=C\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n", failure=None
        ),
    )


def test_a_program_that_fails_says_how(tmp_path: Path) -> None:
    failing = script(tmp_path / "failing", "echo text; exit 3")
    telling = script(tmp_path / "telling", "echo text; echo 'no home' >&2; echo more >&2; exit 125")
    long = script(tmp_path / "long", "yes x | tr -d '\\n' | head -c 50000 >&2; exit 1")
    closed = tmp_path / "closed"
    closed.write_text("#!/bin/sh\n")

    assert run_programs([(failing,), (telling,), (long,), (str(closed),), (str(tmp_path / "none"),)]) == (
        Answer(output="", failure="ended with exit code 3"),
        Answer(output="", failure="ended with exit code 125: no home"),
        Answer(output="", failure=f"ended with exit code 1: {'x' * 200}"),
        Answer(output="", failure="Permission denied"),
        Answer(output="", failure="No such file or directory"),
    )


def test_an_ordinary_user_has_a_home_and_a_runtime_directory() -> None:
    given = {"HOME": "/from/sudo", "XDG_RUNTIME_DIR": "/run/user/1000", "LD_PRELOAD": "/x"}
    system = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

    assert own_environment(given, uid=0) == {**system, "HOME": pwd.getpwuid(0).pw_dir}
    assert own_environment(given, uid=65534) == {
        **system,
        "HOME": pwd.getpwuid(65534).pw_dir,
        "XDG_RUNTIME_DIR": "/run/user/1000",
    }
    assert own_environment(given, uid=54321)["HOME"] == "/from/sudo"
    assert own_environment({}, uid=54321) == {**system, "HOME": "/"}


def test_programs_that_hang_are_ended_together_with_what_they_started(tmp_path: Path) -> None:
    left = tmp_path / "left"
    hanging = script(tmp_path / "hanging", f"(sleep 1; echo still here > {left}) & echo 1; sleep 60")
    # It ends at once, and what it started keeps the pipe.
    leaving = script(tmp_path / "leaving", f"(sleep 1; echo still here > {left}) & exit 0")
    quick = script(tmp_path / "quick", "echo 2")
    start = time.monotonic()

    answers = run_programs([(hanging,), (leaving,), (hanging,), (quick,)], timeout=0.4)

    assert time.monotonic() - start < 1
    late = Answer(output="", failure="no answer within 0.4 s")
    assert answers == (late, late, late, Answer(output="2\n", failure=None))
    time.sleep(1.2)
    assert not left.exists()


def test_a_program_that_says_too_much_is_ended(tmp_path: Path) -> None:
    program, other = script(tmp_path / "program", "exec yes"), script(tmp_path / "other", "exec yes >&2")

    answer = Answer(output="", failure=f"an answer of more than {MAX_OUTPUT} bytes")
    assert run_programs([(program,), (other,)]) == (answer, answer)


def test_a_program_makes_files_with_the_umask_that_is_wanted(tmp_path: Path) -> None:
    program = script(tmp_path / "program", "umask")
    before = os.umask(0o077)
    try:
        answers = (*run_programs([(program,)]), *run_programs([(program,)], umask=0o022))
    finally:
        os.umask(before)

    assert [answer.output for answer in answers] == ["0077\n", "0022\n"]
