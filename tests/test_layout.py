"""What the repository holds and what it must not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from yaml import safe_load

from tests.conftest import COLLECTED

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {
    # fixed by the project's owner
    "pyproject.toml",
    "cdigen",
    "schemas",
    "tests",
    "golden",
    "Makefile",
    # what has no home in these
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "RELEASING.md",
    "SECURITY.md",
    ".ci",
    ".gitignore",
    "systemd",
    "docs",
    "deploy",
    "packaging",
}
OF_A_MACHINE = re.compile(
    # Where a checkout, a home or a virtual environment is. A host's own paths, such as /tmp/nvidia-mps, are none;
    # nor is the place where engines look for root's configuration.
    r"(?<![\w.*}/-])/(?:work\b|root/(?!\.config/containers\b)|tmp/venv\b|tmp/pytest-of)"
)
SCHEMAS = sorted((ROOT / "schemas").iterdir())
GOLDEN_SPECS = sorted((ROOT / "golden").glob("*/nvidia.yaml"))


def tracked_files() -> list[str]:
    """Return the paths of the files that are in the repository."""
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    if not shutil.which("git") or not (ROOT / ".git").exists():
        if os.environ.get("CI"):
            pytest.fail("git or the repository is missing, and under CI nothing is skipped")
        pytest.skip("this is no checkout of a git repository")
    output = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    return [path for path in output.split("\0") if path and os.path.lexists(ROOT / path)]


def text_of(path: str) -> str | None:
    """Return the text of a tracked file; None for a link or what is not text."""
    file = ROOT / path
    if file.is_symlink() or not file.is_file():
        return None
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def keys_in(value: object) -> set[str]:
    """Return every key of every object in a document."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_in, value.values()))
    return set().union(*map(keys_in, value)) if isinstance(value, list) else set()


def test_the_top_level_has_what_is_allowed_there() -> None:
    assert {path.partition("/")[0] for path in tracked_files()} - TOP_LEVEL == set()


def test_every_test_file_is_collected(pytestconfig: pytest.Config) -> None:
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    collected: set[str] = pytestconfig.stash[COLLECTED]
    passed_over = files - collected

    if passed_over:  # or this is a run of some tests only
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--collect-only",
            "-qq",
            "-p",
            "no:cacheprovider",
            str(ROOT / "tests"),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        passed_over -= {line.partition(":")[0] for line in done.stdout.splitlines()}
    assert passed_over == set()


@pytest.mark.parametrize(
    ("lock", "group", "extras"),
    [(".ci/requirements.txt", "dev", ("nvml",)), (".ci/requirements-fuzz.txt", "fuzz", ())],
)
def test_what_is_installed_is_locked_and_no_index_is_named(lock: str, group: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *(project["build-system"]["requires"] if group == "dev" else ()),
        *project["project"]["dependencies"],
        *(line for extra in extras for line in project["project"]["optional-dependencies"][extra]),
        *project["dependency-groups"][group],
    ]
    text = (ROOT / lock).read_text()
    locked = dict(re.findall(r"^([^ =]+)==([^ ]+) ", text, re.MULTILINE))

    unmet = [
        line
        for requirement, line in [(Requirement(line), line) for line in wanted]
        if not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), "0"))
    ]
    assert unmet == [], "run: make lock"
    assert "://" not in text


def test_the_schemas_stand_once_and_the_package_sees_them() -> None:
    link = ROOT / "cdigen" / "schemas"

    if (ROOT / "PKG-INFO").exists():  # a source distribution has no links
        assert [path.read_bytes() for path in sorted(link.iterdir())] == [path.read_bytes() for path in SCHEMAS]
        return
    assert link.is_symlink()
    assert os.readlink(link) == "../schemas"


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("see /" + "work/main", True),
        ("'/" + "root/.cache'", True),
        ("#!/" + "tmp/venv/bin/python", True),
        ("'/" + "root/.config/pip'", True),
        ("'/" + "root/.config/containers/containers.conf'", False),
        ("{cache}/root/etc", False),
        ("below a host's /usr/work/", False),
        ("the host's /tmp/nvidia-mps", False),
        ("root:x:0:0:root:/root:/bin/sh", False),
    ],
)
def test_a_path_of_a_machine_is_recognised(line: str, is_found: bool) -> None:
    assert bool(OF_A_MACHINE.search(line)) is is_found


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in tracked_files()
        if path != "tests/test_layout.py"
        for number, line in enumerate((text_of(path) or "").splitlines(), start=1)
        if OF_A_MACHINE.search(line)
    ]

    assert found == []


def test_no_file_has_windows_line_ends_or_trailing_blanks() -> None:
    sources = (".py", ".md", ".toml", ".sh", ".json", ".c", "Makefile", "run")
    found = [
        f"{path}:{number}"
        for path in tracked_files()
        if path.endswith(sources)
        for number, line in enumerate((text_of(path) or "").split("\n"), start=1)
        if line != line.rstrip()
    ]

    assert found == []


def test_there_are_golden_specs_and_schemas() -> None:
    assert len(GOLDEN_SPECS) >= 8
    assert [path.name for path in SCHEMAS] == ["cdi.schema.json", "report.schema.json", "snapshot.schema.json"]


@pytest.mark.parametrize("path", GOLDEN_SPECS, ids=lambda path: str(path.parent.name))
def test_no_golden_spec_has_a_hook_or_a_device_number(path: Path) -> None:
    keys = keys_in(safe_load(path.read_bytes()))

    assert keys & {"hooks", "major", "minor"} == set()
    assert {"deviceNodes", "mounts", "env"} <= keys


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: str(path.name))
def test_every_schema_is_of_draft_2020_12_and_valid(path: Path) -> None:
    schema = json.loads(path.read_bytes())

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
