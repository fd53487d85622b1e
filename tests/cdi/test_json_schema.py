"""Our reading of JSON Schema against that of a library for all of it, on the schemas that we ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

import cdigen
from cdigen.json_schema import FORMATS, WORDS, find_breaches
from cdigen.schema import load_schema
from tests.hosts import minimal_entries, snapshot_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.json_schema import Schema

SCHEMAS = sorted(
    path.name.removesuffix(".schema.json") for path in (Path(cdigen.__file__).parent / "schemas").iterdir()
)

CHECKER = FormatChecker(())
for name, holds in FORMATS.items():
    CHECKER.checks(name)(lambda value, holds=holds: not isinstance(value, str) or holds(value))

EDITS = {
    "env": ["A=b"],
    "deviceNodes": [{"path": "/dev/a", "type": "c", "major": 1, "minor": 3, "permissions": "rw", "uid": 0}],
    "mounts": [{"hostPath": "/a", "containerPath": "/b", "options": ["ro"], "type": "bind"}],
    "hooks": [{"hookName": "poststop", "path": "/a", "args": ["a"], "env": ["A=b"], "timeout": 1}],
    "netDevices": [{"hostInterfaceName": "a", "name": "b"}],
    "intelRdt": {"closID": "a", "schemata": ["a"], "enableMonitoring": True},
    "additionalGids": [1],
}
DOCUMENTS: dict[str, object] = {
    "cdi": {
        "cdiVersion": "1.1.0",
        "kind": "aa.com/bb",
        "annotations": {"a.b/c": "d"},
        "devices": [{"name": "a", "annotations": {}, "containerEdits": EDITS}],
        "containerEdits": EDITS,
    },
    "snapshot": snapshot_document(
        {
            **minimal_entries(),
            "/l": {
                "kind": "file",
                "nvml": {
                    "gpus": [{"bdf": "0000:0a:00.0", "mig": [{"index": 0, "gpu_instance": 1, "compute_instance": 0}]}]
                },
            },
            "/etc/ld.so.cache": {"kind": "file", "linker_cache": [["a", 1, "/b"]]},
            "/x": {"kind": "file", "unreadable": "x", "errno": "EIO"},
            "/d": {"kind": "block", "rdev": "1:2", "mode": "0600", "owner": "1:2"},
        },
        note="a",
        driver_root="/a",
        dev_root="/b",
    ),
    "report": {
        "report": "validate",
        "files": [{"file": "a", "valid": False, "violations": [{"place": "$", "message": "b"}]}],
    },
}


def library(schema: str) -> Draft202012Validator:
    return Draft202012Validator(cast("dict[str, object]", load_schema(schema)), format_checker=CHECKER)


def places(document: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    items = (
        document.items() if isinstance(document, dict) else enumerate(document if isinstance(document, list) else [])
    )
    for key, value in items:
        yield from places(value, (*path, key))


def changed(document: object, path: tuple[str | int, ...], value: object) -> object:
    if not path:
        return value
    copy = cast(
        "dict[str | int, object]",
        document.copy() if isinstance(document, dict) else list(cast("list[object]", document)),
    )
    copy[path[0]] = changed(copy[path[0]], path[1:], value)
    return copy


SCALARS = st.sampled_from(
    (None, True, False, 0, 1, -1, 1.0, 1.5, 4096, 1 << 32, "", "a", "/", "/a", "/a/", "..", "a\n", "A=b", "=", "1:2",
     "0666", "x86_64", "em62", "file", "dir", "link", "char", "0.5.0", "a/b", "\x1b", "\u202e", "x" * 5000, "rwmr")
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("kind", "to", "path", "name", "containerEdits", "env", "x", "/a", "elf")),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("schema", SCHEMAS)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_document_obeys_a_schema_for_us_exactly_if_it_does_for_the_library(schema: str, data: st.DataObject) -> None:
    document = DOCUMENTS[schema]
    for _ in range(data.draw(st.integers(0, 2))):
        path = data.draw(st.sampled_from(list(places(document))))
        document = changed(document, path, data.draw(VALUES))

    errors = list(library(schema).iter_errors(document))

    found = {(breach.path, breach.rule) for breach in find_breaches(document, load_schema(schema))}
    wanted = {(tuple(error.absolute_path), str(error.validator)) for error in errors}
    # A schema that nothing obeys has no name there, and the place of what holds the value.
    assert {one for one in found if one[1] != "false"} == {one for one in wanted if one[1] != "None"}
    assert {path[:-1] for path, rule in found if rule == "false"} == {path for path, rule in wanted if rule == "None"}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_plain_documents_are_valid(schema: str) -> None:
    assert list(find_breaches(DOCUMENTS[schema], load_schema(schema))) == []
    assert library(schema).is_valid(DOCUMENTS[schema])


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_schema_has_only_words_that_are_known_and_scalars_to_compare_with(schema: str) -> None:
    def check(part: Schema) -> None:
        if isinstance(part, bool):
            return
        assert part.keys() <= WORDS
        assert part.get("format") in (None, *FORMATS)
        compared = [*cast("list[object]", part.get("enum", [])), part.get("const")]
        assert not any(isinstance(value, dict | list) for value in compared)
        for word in ("properties",):
            for below in cast("dict[str, Schema]", part.get(word, {})).values():
                check(below)
        for word in ("allOf", "anyOf", "oneOf", "prefixItems"):
            for below in cast("list[Schema]", part.get(word, [])):
                check(below)
        for word in ("additionalProperties", "propertyNames", "items", "if", "then", "else", "not"):
            check(cast("Schema", part.get(word, True)))

    check(load_schema(schema))


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"const": 1}, [1, 1.0, True, "1", None]),
        ({"enum": [0, "a", None]}, [0, False, 0.0, "a", None, "", []]),
        ({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, [[], ["a"], ["a", 1], [1], ["a", "b"]]),
        ({"type": ["integer", "null"]}, [1, 1.0, 1.5, True, None, "1"]),
        ({"minimum": 1, "maximum": 2}, [0, 1, 2, 2.5, 3, True, "0"]),
        ({"minLength": 1, "maxLength": 2}, ["", "a", "abc", "\U0001f600" * 2, []]),
        ({"minItems": 1, "maxItems": 2, "uniqueItems": True}, [[], ["a"], ["a", "a"], ["a", "b", "c"], ""]),
        ({"minProperties": 1, "maxProperties": 1}, [{}, {"a": 1}, {"a": 1, "b": 2}, []]),
        ({"oneOf": [{"type": "string"}, {"maxLength": 1}]}, ["a", "ab", 1]),
        ({"not": {"required": ["a"]}}, [{}, {"a": 1}, 1]),
        ({"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"minimum": 1}}, ["", "a", 0, 1]),
        ({"if": {"type": "string"}}, ["", 1]),
        ({"dependentRequired": {"a": ["b"]}}, [{}, {"a": 1}, {"a": 1, "b": 1}, []]),
        ({"propertyNames": {"maxLength": 1}, "additionalProperties": {"type": "string"}}, [{"a": "b"}, {"ab": 1}, []]),
        ({"properties": {"a": {}}, "additionalProperties": False, "required": ["a"]}, [{"a": 1}, {"b": 1}, {}, 1]),
        ({"properties": {"a": False}}, [{}, {"a": 1}]),
        ({"pattern": "^a", "format": "printable"}, ["a", "ba", "a\n", 1]),
    ],
)
def test_every_word_means_what_it_does_for_the_library(schema: dict[str, object], values: list[object]) -> None:
    judge = Draft202012Validator(schema, format_checker=CHECKER)

    assert [not [*find_breaches(value, schema)] for value in values] == [judge.is_valid(value) for value in values]


def test_what_is_shared_is_judged_where_it_decides() -> None:
    part: dict[str, object] = {"a": 1}
    choice: Schema = {"anyOf": [{"properties": {"x": {"properties": {"a": {"const": 2}}}}}, {"required": ["y"]}]}

    breaches = list(find_breaches([{"x": part, "y": 1}, {"x": part}], {"items": choice}))

    assert [(breach.path, breach.rule) for breach in breaches] == [((1,), "anyOf")]
