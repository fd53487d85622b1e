"""No code reads a message that code has written: facts travel as fields."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cdigen"

PROSE = {"message", "reason", "why", "named", "summary", "hint", "text", "title", "strerror", "note"}
"""Fields that hold text for people, of findings, errors, diagnoses, facts and plans."""

READING = {
    *("startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "rsplit"),
    *("find", "rfind", "index", "rindex", "count", "replace"),
}
"""Methods of text that take it apart."""


def readings(source: str) -> list[int]:
    """Return the lines in which text for people is taken apart, searched, or compared with a constant."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_pattern = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
            is_match = node.func.attr in ("match", "search", "fullmatch", "findall", "finditer", "sub")
            read = node.args if is_pattern or is_match else [node.func.value] if node.func.attr in READING else []
        elif isinstance(node, ast.Compare):
            constants = [part for part in (node.left, *node.comparators) if isinstance(part, ast.Constant)]
            is_search = any(isinstance(operator, ast.In | ast.NotIn) for operator in node.ops)
            texts = [part for part in constants if isinstance(part.value, str) and part.value]
            read = node.comparators if is_search else [node.left, *node.comparators] if texts else []
        elif isinstance(node, ast.Subscript):
            read = [node.slice]
        else:
            continue
        found += [node.lineno for part in read if _is_prose(part)]
    return found


def _is_prose(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):  # str(error.reason)
        return (
            any(map(_is_prose, node.args)) and isinstance(node.func, ast.Name) and node.func.id in ("str", "one_line")
        )
    if isinstance(node, ast.Subscript):  # report["message"]
        return isinstance(node.slice, ast.Constant) and node.slice.value in PROSE
    return isinstance(node, ast.Attribute) and node.attr in PROSE


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_reads_what_is_written_for_people(path: Path) -> None:
    assert readings(path.read_text()) == []


@pytest.mark.parametrize(
    "habit",
    [
        "error.message.rpartition('; ')",
        "finding.reason.startswith('cannot')",
        "str(error.reason).split(',')",
        "file['why'].removeprefix('x')",
        "re.match('a', record.note)",
        "_PATTERN.search(record.note)",
        "'denied' in error.reason",
        "error.strerror == 'Permission denied'",
        "REMEDIES[error.strerror]",
    ],
)
def test_the_habit_is_found(habit: str) -> None:
    assert readings(habit) == [1]


@pytest.mark.parametrize(
    "good",
    [
        "error.code == 'denied'",
        "path.startswith('/')",
        "error.reason == other.reason",
        "f'{error.reason}; x'",
        "a in b",
    ],
)
def test_nothing_else_is(good: str) -> None:
    assert readings(good) == []
