"""An error is one line on standard error, and with --json a document on standard output too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import requires
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
        "remedy": {"hint": "check the path", "commands": []},
        "findings": [],
    }
    assert run.err == (f"cdigen: error: cannot read {missing}: No such file or directory; check the path\n")


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
    make_machine: MakeHost, cdigen: Cdigen
) -> None:
    host = make_machine(without(minimal_entries(), "/dev/nvidia-uvm"))

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
    ("error", "code", "message"),
    [
        ("MemoryError", "out-of-memory", "not enough memory; free some, or raise the limit (ulimit -v)"),
        (
            "OSError(24, 'Too many open files', '/usr/lib/python3/yaml')",
            "out-of-resources",
            (
                "cannot read /usr/lib/python3/yaml: Too many open files; raise the limit on open files"
                " (ulimit -n; LimitNOFILE= of a unit)"
            ),
        ),
        (
            "OSError(12, 'Cannot allocate memory')",
            "out-of-resources",
            "Cannot allocate memory; free some memory, or raise the limit (ulimit -v)",
        ),
    ],
)
def test_what_the_machine_does_not_give_is_no_bug(
    error: str, code: str, message: str, make_host: MakeHost, tmp_path: Path
) -> None:
    (tmp_path / "yaml.py").write_text(f"raise {error}\n")
    arguments = ("generate", "--json", "--host-root", str(make_host()), "-o", str(tmp_path / "nvidia.yaml"))

    run = run_program(*arguments, env={"PYTHONPATH": os.pathsep.join([str(tmp_path), CHECKOUT])})

    assert (run.code, run.err.splitlines()[-1]) == (7, f"cdigen: error: {message}")
    assert error_of(run)["code"] == code


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("ImportError('no name')", "ImportError: no name; install cdigen again"),
        ("SyntaxError('damaged\\nfile')", "SyntaxError: damaged\\nfile; install cdigen again"),
        ("OSError(24, 'Too many open files')", "OSError: [Errno 24] Too many open files"),
        ("MemoryError", "MemoryError: "),
    ],
)
def test_where_cdigen_itself_cannot_be_loaded_a_line_says_so(error: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "typing.py").write_text(f"raise {error}\n")  # one of the first that it imports

    run = run_program("list", env={"PYTHONPATH": os.pathsep.join([str(tmp_path), CHECKOUT])})

    assert (run.code, run.out, run.err) == (7, "", f"cdigen: error: cdigen cannot be loaded: {message}\n")


def test_with_few_descriptors_a_run_ends_with_a_line_of_its_own_or_the_interpreter_s(
    make_snapshot: MakeSnapshot,
) -> None:
    snapshot = make_snapshot()
    ends = {
        number: subprocess.run(
            ["sh", "-c", f'ulimit -n {number}; exec "$@"', "", *COMMAND, "list", "--snapshot", str(snapshot)],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
            timeout=60,
        )
        for number in range(4, 12)
    }

    ours = {number: end for number, end in ends.items() if end.stderr.startswith("cdigen: ") or end.returncode == 0}
    assert ours
    for end in ours.values():
        assert end.returncode in (0, 7), end
        assert end.stderr.count("\n") == (end.returncode == 7), end
    # The interpreter needs a file to read its modules from; without one it says so itself.
    for end in ends.values():
        assert end in ours.values() or "Too many open files" in end.stderr, end


def test_modules_in_the_current_directory_are_not_imported(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    for name in ("signal", "enum", "json", "click", "yaml", "elftools", "pynvml"):
        (tmp_path / f"{name}.py").write_text("print('somebody else\\'s')\nraise SystemExit(3)\n")
    (tmp_path / "run.py").write_text((tmp_path / "yaml.py").read_text())

    run = run_program("list", "--snapshot", snapshot, cwd=tmp_path)

    assert (run.code, run.err) == (0, "")
    assert "somebody" not in run.out


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

    needs = requires("jsonschema") or ()
    module = "referencing" if any(need.startswith("referencing") for need in needs) else "pyrsistent"  # before 4.18

    run = run_without(module, tmp_path, *arguments)

    assert (run.code, run.out) == (7, "")
    assert run.err == f"cdigen: error: the Python module {module} is missing; install cdigen again\n"


def test_a_debugged_run_shows_where_a_module_is_missed(tmp_path: Path) -> None:
    run = run_without("click", tmp_path, "--help", CDIGEN_DEBUG="1")

    assert run.code == 1
    assert "Traceback" in run.err


def test_the_system_s_python_is_told_the_name_of_the_package(tmp_path: Path) -> None:
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin")
    assert python is not None
    script = f"import sys; sys.path.insert(0, {CHECKOUT!r}); import cdigen.run; cdigen.run.run(['list'])"
    done = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)

    if "the Python module click is missing" not in done.stderr:
        pytest.skip(f"{python} has click")
    assert done.stderr == (
        "cdigen: error: the Python module click is missing; install the package click for"
        f" {python}, or install cdigen again\n"
    )


# A mistake of the everyday kind is answered with the way out.


def test_explain_of_a_name_that_is_nowhere_says_so(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    snapshot = make_snapshot()

    run = cdigen("explain", "libcuda.so.999.88.76", "--snapshot", snapshot)
    far = cdigen("explain", "zzz", "--snapshot", snapshot, "--json")

    nothing = "nothing in the spec, and nothing left out of it, matches"
    assert (run.code, run.out) == (1, "")
    assert run.err == f"cdigen: error: {nothing} libcuda.so.999.88.76; did you mean libcuda.so.999.88.77?\n"
    assert error_of(far) == {
        "code": "no-match",
        "exitCode": 1,
        "subject": "zzz",
        "message": f"{nothing} zzz",
        "remedy": {"hint": "for everything, leave out the name", "commands": []},
        "findings": [],
    }


def test_explain_takes_an_unfinished_pattern_as_it_is(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    run = cdigen("explain", "[", "nvidia-sm?", "--snapshot", make_snapshot())

    assert (run.code, run.out) == (1, "")
    assert run.err == (
        "cdigen: error: nothing in the spec, and nothing left out of it, matches [, nvidia-sm?; did you mean"
        " nvidia-smi?\n"
    )


def test_explain_of_several_names_reports_those_that_are_there(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    run = cdigen("explain", "libcuda.so.1", "zzz", "--json", "--snapshot", make_snapshot())

    report = json.loads(run.out)
    assert (run.code, report["report"], len(report["files"])) == (1, "explain", 1)
    assert run.err.startswith("cdigen: error: nothing in the spec, and nothing left out of it, matches zzz; ")


@pytest.mark.parametrize("arguments", [("generate",), ("snapshot",)])
def test_a_directory_that_is_missing_is_made_only_if_that_is_wanted(
    arguments: tuple[str, ...], make_snapshot: MakeSnapshot, tmp_path: Path, cdigen: Cdigen
) -> None:
    output = tmp_path / "typo" / "nvidia.yaml"
    arguments = (*arguments, "--snapshot", str(make_snapshot()), "-o", str(output))

    refused = cdigen(*arguments)

    assert (refused.code, refused.out) == (7, "")
    assert refused.err == (
        f"cdigen: error: cannot write {output}: there is no directory {output.parent}; make it, or add --create-dirs\n"
    )
    assert not output.parent.exists()
    assert cdigen(*arguments, "--create-dirs").code == 0
    assert output.exists()
    assert cdigen(*arguments).code == 0


def test_an_unknown_variable_is_a_warning_that_names_the_near_one(make_snapshot: MakeSnapshot) -> None:
    run = run_program(
        "list",
        "--snapshot",
        make_snapshot(),
        env={"CDIGEN_GENERATE_OUPUT": "x", "CDIGEN_FOO\n": "1", "CDIGEN_DEBUG": "", "CDIGEN_GENERATE_OUTPUT": "y"},
    )

    assert run.code == 0
    assert run.err == (
        "cdigen: warning: ignoring the environment variable CDIGEN_FOO\\n: cdigen has no such setting\n"
        "cdigen: warning: ignoring the environment variable CDIGEN_GENERATE_OUPUT: cdigen has no such setting;"
        " did you mean CDIGEN_GENERATE_OUTPUT?\n"
    )


@pytest.mark.parametrize(
    "devices",
    [("0,1",), ("0", "1"), ("nvidia.com/gpu=0,nvidia.com/gpu=1",), (" 0 , 1",), ("0,0", "GPU-{1}")],
    ids=" ".join,
)
def test_devices_are_named_as_engines_and_the_vendor_name_them(
    devices: tuple[str, ...], make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    options = [f"--device={name.replace('{1}', '00000000-0000-4000-8000-000000000001')}" for name in devices]

    run = cdigen("list", "--json", "--snapshot", make_snapshot(minimal_entries(gpus=3)), *options)

    names = [device["name"] for device in json.loads(run.out)["devices"]]
    assert (run.code, [name for name in names if len(name) == 1]) == (0, ["0", "1"])


@pytest.mark.parametrize(
    ("device", "exit_code", "message"),
    [
        (
            "nvidia1",
            5,
            "--device nvidia1: no such GPU or MIG device; name a GPU by its index: 1; see: cdigen list",
        ),
        (
            "nvidia0,/dev/nvidia1",
            5,
            (
                "--device nvidia0, /dev/nvidia1: no such GPU or MIG device; name a GPU by its index: 0, 1; see: cdigen"
                " list"
            ),
        ),
        (
            "7",
            5,
            (
                "--device 7: no such GPU or MIG device; the GPUs are 0 (0000:01:00.0), 1 (0000:02:00.0); see: cdigen"
                " list"
            ),
        ),
        (
            "amd.com/gpu=0",
            2,
            "--device amd.com/gpu=0: not a device of nvidia.com/gpu; name devices as cdigen list does",
        ),
        ("0,", 2, "--device '0,': a name is missing; use one such as 0"),
        ("nvidia.com/gpu=", 2, "--device 'nvidia.com/gpu=': a name is missing; use one such as 0"),
    ],
)
def test_a_device_that_is_not_there_is_answered_with_those_that_are(
    device: str, exit_code: int, message: str, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    run = cdigen("list", "--device", device, "--snapshot", make_snapshot(minimal_entries(gpus=2)))

    assert (run.code, run.out, run.err) == (exit_code, "", f"cdigen: error: {message}\n")


@pytest.mark.parametrize("name", ["debian", "docker.io/library/debian:12", "localhost:5000/a/b@sha256:" + 64 * "0"])
def test_the_name_of_an_image_is_answered_with_how_to_save_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cdigen: Cdigen
) -> None:
    monkeypatch.chdir(tmp_path)

    run = cdigen("lint-image", name, "--driver-version", "999.88.77", "--json")

    assert error_of(run) == {
        "code": "no-such-image-file",
        "exitCode": 7,
        "subject": name,
        "message": f"cannot read {name}: No such file or directory",
        "remedy": {
            "hint": "if it is the name of an image, save that to a file first",
            "commands": [f"podman save --output image.tar {name}", "cdigen lint-image image.tar"],
        },
        "findings": [],
    }


@pytest.mark.parametrize("name", ["./debian", "image.tar", "/srv/image", "two words"])
def test_a_file_that_is_missing_is_no_name_of_an_image(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cdigen: Cdigen
) -> None:
    monkeypatch.chdir(tmp_path)

    run = cdigen("lint-image", name, "--driver-version", "999.88.77")

    assert run.code == 7
    assert run.err == (
        f"cdigen: error: cannot read {name}: No such file or directory; name an image that you may read\n"
    )
