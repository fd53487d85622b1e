"""What CONTRIBUTING.md, RELEASING.md and docs/architecture.md say of the code is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from cdigen import __version__
from cdigen.catalog.classes import CLASSES
from cdigen.catalog.modes import MODES
from cdigen.cli import VERBS

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
EXAMPLES = {"<verb>": "check", "<text>": "procfs", "<kind>": "gpus", "<host>": "gb200-580-arm64"}
"""What stands for a name in a path."""


def recipe(heading: str) -> str:
    """Return the text below a heading of CONTRIBUTING.md."""
    return CONTRIBUTING.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def files_of(heading: str) -> set[str]:
    """Return the patterns of paths in the first column of a recipe's table."""
    rows = re.findall(r"^\| (`.*?) \|", recipe(heading), re.MULTILINE)
    return {path for row in rows for path in re.findall(r"`([^`]+)`", row)}


def paths_in(text: str) -> list[str]:
    """Return everything in a text that is the path of a file of the repository."""
    return sorted(set(re.findall(r"`([\w.<>*-]+(?:/[\w.<>*-]+)+)`", text)))


@pytest.mark.parametrize("path", [path for path in paths_in(CONTRIBUTING) if not path.startswith(".venv")])
def test_every_path_is_there(path: str) -> None:
    for name, example in EXAMPLES.items():
        path = path.replace(name, example)

    assert list(ROOT.glob(path)) or (ROOT / path).is_dir()


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "RELEASING.md", "README.md", "docs/architecture.md"])
def test_every_target_of_make_is_there(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / document).read_text()))

    assert named
    assert named <= targets


def test_a_class_of_devices_touches_what_is_listed() -> None:
    listed = {path for pattern in files_of("Add a device class") for path in ROOT.glob(pattern)}
    touched = {
        path
        for directory in ("cdigen", "schemas", "systemd")
        for path in (ROOT / directory).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and re.search(rb"gdrcopy|gdrdrv", path.read_bytes())
    }

    assert {str(path.relative_to(ROOT)) for path in touched} == {
        "cdigen/catalog/classes.py",
        "cdigen/catalog/watched.py",
        "systemd/72-cdigen.rules",
    }
    assert touched <= listed


def test_every_class_is_a_mode_by_its_row_alone() -> None:
    rows = [row.name for row in CLASSES]

    assert [name for name in MODES if name in rows] == rows


def test_a_verb_touches_what_is_listed() -> None:
    listed = {path.replace("<verb>", "nodes") for path in files_of("Add a verb")}
    imports = re.compile(r"cdigen\.verbs\.nodes|verbs import nodes")
    importers = {
        str(path.relative_to(ROOT)) for path in (ROOT / "cdigen").rglob("*.py") if imports.search(path.read_text())
    }

    assert importers == set()
    assert {"cdigen/cli.py", "cdigen/verbs/nodes.py"} <= listed
    assert sorted(path.stem for path in (ROOT / "cdigen/verbs").glob("[a-z]*.py")) == sorted(
        verb.replace("-", "_") for verb in VERBS
    )


def defined() -> set[str]:
    """Return the names of all functions, classes, methods and constants of the package."""
    names: set[str] = set()
    for path in (ROOT / "cdigen").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign):
                names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names


@pytest.mark.parametrize("heading", ["From a row of the catalog to a line of the spec", "An option on its way"])
def test_what_the_walks_name_is_there(heading: str) -> None:
    walk = ARCHITECTURE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    names = set(
        re.findall(r"`(_?[a-z]+(?:_[a-z]+)+|[A-Z][a-z]+(?:[A-Z][a-z]+)+|[A-Z]+_?[A-Z]{2,})(?:\.[a-z]+)?`", walk)
    )
    modules = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", walk))

    assert len(names) > 5
    assert names - defined() == set()
    assert {module for module in modules if not (ROOT / "cdigen" / module).is_file()} == set()


def test_the_walk_ends_at_a_line_of_a_golden_spec() -> None:
    lines = re.search(r"```yaml\n(.*?)```", ARCHITECTURE, re.DOTALL)
    assert lines is not None
    spec = (ROOT / "golden/debian12-535-current/nvidia.yaml").read_text()

    assert "\n".join(line.strip() for line in lines[1].strip().splitlines()) in "\n".join(
        line.strip() for line in spec.splitlines()
    )


def test_the_changelog_has_what_is_not_released() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
