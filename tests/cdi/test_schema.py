"""The schemas themselves, and how their violations read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

import cdigen
from cdigen.schema import Violation, find_schema_violations, format_place, preview, sort_violations

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = Path(cdigen.__file__).parent / "schemas"

FOR_INPUT = ("cdi", "snapshot")  # the schemas whose violations a user reads


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.schema.json")), ids=lambda path: str(path.name))
def test_every_schema_is_valid_against_its_metaschema(path: Path) -> None:
    Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", FOR_INPUT)
def test_what_is_no_object_breaks_the_schema(name: str) -> None:
    violations = find_schema_violations([], name)

    assert violations == (Violation(place="$", message="this array is not an object"),)


def find_choices(schema: object) -> Iterator[dict[str, object]]:
    if isinstance(schema, dict):
        if "anyOf" in schema or "oneOf" in schema:
            yield schema
        for part in schema.values():
            yield from find_choices(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from find_choices(part)


@pytest.mark.parametrize("name", FOR_INPUT)
def test_every_choice_in_a_schema_says_in_words_what_it_asks_for(name: str) -> None:
    for schema in find_choices(json.loads((SCHEMAS / f"{name}.schema.json").read_bytes())):
        assert str(schema.get("description", ""))[:1].islower(), schema


def test_a_rule_has_the_words_of_its_description_or_is_shown_as_it_is() -> None:
    entries = {
        "/a": {"kind": "file", "to": "x", "unreadable": "x", "errno": "9"},
        "/b": {"kind": "char"},
        "c": {"kind": "dir"},
    }

    violations = find_schema_violations({"cdigen_snapshot": 2, "entries": entries}, "snapshot")

    assert [f"{v.place}: {v.message}" for v in violations] == [
        "$.cdigen_snapshot: 2 is not 1",
        "$.entries['/a'].errno: '9' does not match '^E[A-Z0-9]{1,30}(?!\\\\n)$'",
        "$.entries['/a'].to: 'x' is not allowed here",
        "$.entries['/b']: key 'mode' is missing",
        "$.entries['/b']: key 'rdev' is missing",
        "$.entries.c: 'c' is not an absolute path without '.', '..', '//' and a slash at the end",
    ]


def test_a_place_names_keys_and_positions() -> None:
    path: list[str | int] = ["devices", 2, "containerEdits", "mounts", 0, "hostPath"]

    assert format_place(path) == "$.devices[2].containerEdits.mounts[0].hostPath"
    assert format_place([]) == "$"


@pytest.mark.parametrize(
    ("key", "place"),
    [("a b", "$['a b']"), ("it's", "$['it\\'s']"), ("a\\", "$['a\\\\']"), ("", "$['']"), ("0", "$['0']"),
     ("é", "$['é']"), ("a\x1b[2J", "$['a\\x1b[2J']"), ("k" * 61, f"$['{'k' * 60}…']")],
)  # fmt: skip
def test_an_odd_key_is_quoted_and_cannot_forge_a_place(key: str, place: str) -> None:
    assert format_place([key]) == place


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (False, "false"), (1, "1"), (1.5, "1.5"), ("a'\n", "'a\\'\\n'"),
     ([1], "this array"), ({"a": 1}, "this object"), (10**99, "1" + "0" * 59 + "…")],
)  # fmt: skip
def test_a_value_is_previewed_on_one_short_line(value: object, text: str) -> None:
    assert preview(value) == text


def test_violations_are_sorted_by_position_and_said_once() -> None:
    places = ["$.b", "$.a[10]", "$.a[9]", "$.a", "$.a[9].x", "$", "$.a[9]"]

    sorted_places = [v.place for v in sort_violations(Violation(place=p, message="m") for p in places)]

    assert sorted_places == ["$", "$.a", "$.a[9]", "$.a[9].x", "$.a[10]", "$.b"]


def test_a_schema_that_does_not_exist_is_a_programming_error() -> None:
    with pytest.raises(FileNotFoundError):
        find_schema_violations([], "no-such")
