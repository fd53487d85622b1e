"""An error is one line on standard error, and with --json a document on standard output too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from cdigen.schema import find_schema_violations
from tests.cli.program import CHECKOUT, COMMAND, environment, run_program
from tests.hosts import minimal_entries, without

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost, MakeSnapshot
    from tests.cli.program import Run


def error_of(run: Run) -> dict[str, Any]:
    """Return the error in a document that obeys its schema."""
    document = json.loads(run.out)
    assert find_schema_violations(document, "report") == ()
    assert list(document) == ["error"]
    error: dict[str, Any] = document["error"]
    assert error["exitCode"] == run.code
    return error


@pytest.mark.parametrize(
    ("arguments", "code", "message", "command"),
    [
        (["generat", "--json"], "unknown-command", "No such command 'generat'. Did you mean 'generate'?", "cdigen"),
        (["generate", "--json", "--bogus"], "unknown-option", "No such option '--bogus'", "cdigen generate"),
        (["validate", "--json"], "missing-argument", "Missing argument 'FILE...'", "cdigen validate"),
        (
            ["generate", "--json", "--format", "toml"],
            "invalid-value",
            "Invalid value for '--format': 'toml' is not one of 'yaml', 'json'",
            "cdigen generate",
        ),
        (
            ["generate", "--json", "more"],
            "usage",
            "Got unexpected extra argument (more)",
            "cdigen generate",
        ),
    ],
)
def test_a_mistake_in_the_arguments_is_reported_as_json(
    arguments: list[str], code: str, message: str, command: str, cdigen: Cdigen
) -> None:
    run = cdigen(*arguments)

    assert error_of(run) == {
        "code": code,
        "exitCode": 2,
        "subject": "",
        "message": message,
        "remedy": {"hint": "", "commands": [f"{command} --help"]},
        "findings": [],
    }
    stop = "" if message.endswith("?") else "."
    assert run.err == f"cdigen: error: {message}{stop} Try '{command} --help'.\n"


def test_an_error_has_its_code_its_subject_and_what_to_do(tmp_path: Path, cdigen: Cdigen) -> None:
    missing = tmp_path / "no.yaml"

    run = cdigen("generate", "--json", "--snapshot", missing)

    assert error_of(run) == {
        "code": "cannot-read",
        "exitCode": 7,
        "subject": str(missing),
        "message": f"cannot read {missing}: No such file or directory",
        "remedy": {"hint": "name a file that you may read", "commands": []},
        "findings": [],
    }
    assert run.err == (
        f"cdigen: error: cannot read {missing}: No such file or directory; name a file that you may read\n"
    )


def test_the_environment_asks_for_json_too() -> None:
    run = run_program("list", "--bogus", env={"CDIGEN_LIST_JSON": "yes"})
    other = run_program("list", "--bogus", env={"CDIGEN_LIST_JSON": "no", "CDIGEN_GENERATE_JSON": "yes"})

    assert error_of(run)["code"] == "unknown-option"
    assert (other.code, other.out) == (2, "")


def test_a_word_after_two_dashes_is_no_option(cdigen: Cdigen) -> None:
    run = cdigen("generate", "--", "--json")

    assert (run.code, run.out) == (2, "")


def test_json_that_would_be_mixed_with_the_spec_is_refused_as_json(cdigen: Cdigen) -> None:
    run = cdigen("generate", "--json", "-o", "-")

    assert error_of(run)["code"] == "conflicting-options"
    assert run.err == (
        "cdigen: error: --json reports on standard output, where --output - writes the spec; use one of them\n"
    )


def test_a_report_that_was_written_before_the_error_stays_the_only_document(
    make_host: MakeHost, cdigen: Cdigen
) -> None:
    host = make_host(without(minimal_entries(), "/dev/nvidia-uvm"))

    run = cdigen("nodes", "--create", "--json", "--host-root", host)

    assert run.code == 5
    assert json.loads(run.out)["report"] == "nodes"
    assert run.err.startswith("cdigen: error: ")


def test_an_error_that_cannot_be_written_is_still_said(make_snapshot: MakeSnapshot) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [*COMMAND, "list", "--json", "--snapshot", str(make_snapshot({"/dev": {"kind": "dir"}}))],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment(),
        )

    assert done.returncode == 3
    assert done.stderr.startswith("cdigen: error: no NVIDIA driver: ")


# A Python that lacks a package. What comes first on its path is a module that says so, as the import system does.


def run_without(module: str, tmp_path: Path, *arguments: str, **variables: str) -> Run:
    """Run the program where `module` cannot be imported."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / f"{module}.py").write_text(f"raise ModuleNotFoundError('No module named {module}', name='{module}')\n")
    return run_program(*arguments, env={"PYTHONPATH": os.pathsep.join([str(broken), CHECKOUT]), **variables})


@pytest.mark.parametrize(
    ("module", "package"),
    [("click", "click"), ("yaml", "PyYAML"), ("jsonschema", "jsonschema"), ("elftools", "pyelftools")],
)
def test_a_missing_dependency_is_a_problem_of_the_installation(
    module: str, package: str, make_host: MakeHost, tmp_path: Path
) -> None:
    arguments = ("generate", "--json", "--host-root", str(make_host()), "-o", str(tmp_path / "nvidia.yaml"))

    run = run_without(module, tmp_path, *arguments)

    assert run.code == 7
    error = error_of(run)
    assert (error["code"], error["subject"]) == ("missing-module", module)
    assert error["message"] == f"the Python module {module} is missing"
    command = f"{sys.executable} -m pip install --force-reinstall {package}"
    assert error["remedy"] == {"hint": "install it", "commands": [command]}
    assert run.err == f"cdigen: error: the Python module {module} is missing; install it: {command}\n"
    assert not (tmp_path / "nvidia.yaml").exists()


def test_a_module_that_a_dependency_lacks_says_to_install_again(make_host: MakeHost, tmp_path: Path) -> None:
    arguments = ("generate", "--host-root", str(make_host()), "-o", str(tmp_path / "nvidia.yaml"))

    run = run_without("referencing", tmp_path, *arguments)

    assert (run.code, run.out) == (7, "")
    assert run.err == "cdigen: error: the Python module referencing is missing; install cdigen again\n"


def test_a_debugged_run_shows_where_a_module_is_missed(tmp_path: Path) -> None:
    run = run_without("click", tmp_path, "--help", CDIGEN_DEBUG="1")

    assert run.code == 1
    assert "Traceback" in run.err


def test_the_system_s_python_is_told_the_name_of_the_package(tmp_path: Path) -> None:
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin")
    assert python is not None
    script = f"import sys; sys.path.insert(0, {CHECKOUT!r}); import cdigen.main; cdigen.main.run(['list'])"
    done = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)

    if "the Python module click is missing" not in done.stderr:
        pytest.skip(f"{python} has click")
    assert done.stderr == (
        "cdigen: error: the Python module click is missing; install the package click for"
        f" {python}, or install cdigen again\n"
    )
