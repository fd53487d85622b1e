"""docs/security.md promises nothing that no test holds, and has a row for every verb."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from cdigen import cli

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/security.md").read_text()
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its header."""
    table = re.search(rf"^## {re.escape(heading)}$.*?\n\n?(\|.*?)(?:\n\n|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table[1].splitlines()[2:]]


@cache
def names_of_tests(path: str) -> frozenset[str]:
    """Return the names of the tests in a file; none if there is no such file."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    nodes = ast.walk(ast.parse(file.read_text()))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def test_every_promise_names_the_tests_that_hold_it() -> None:
    assert [row for row in rows("What root reads that others wrote") if len(row) != 5 or not TEST.search(row[4])] == []


def test_every_test_that_is_named_exists() -> None:
    named = TEST.findall(PAGE)

    assert [f"{path}::{name}" for path, name in named if name not in names_of_tests(path)] == []
    assert len(named) == PAGE.count("::test_"), "a test is named in another form than `file::test`"


def test_every_verb_has_a_row() -> None:
    verbs = [row[0].strip("`") for row in rows("Each verb")]

    assert sorted(verbs) == sorted(cli.VERBS)


def test_what_the_page_links_to_is_there() -> None:
    for page in ("docs/security.md", "SECURITY.md"):
        text = (ROOT / page).read_text()
        for target in re.findall(r"\]\(([^)#]+)", text):
            if "://" not in target:
                assert ((ROOT / page).parent / target).is_file(), (page, target)
