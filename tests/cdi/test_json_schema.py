"""What bounds the cost of the library does not change its verdict, on the schemas that we ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

import cdigen
from cdigen.json_schema import FORMATS, find_breaches
from cdigen.schema import load_schema
from tests.hosts import minimal_entries, snapshot_document
from tests.work import calls_of, peak_of

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
    return Draft202012Validator(load_schema(schema), format_checker=CHECKER)


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
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_verdict_is_the_library_s_own(schema: str, data: st.DataObject) -> None:
    document = DOCUMENTS[schema]
    for _ in range(data.draw(st.integers(0, 2))):
        path = data.draw(st.sampled_from(list(places(document))))
        document = changed(document, path, data.draw(VALUES))

    errors = list(library(schema).iter_errors(document))

    found = {(breach.path, breach.rule) for breach in find_breaches(document, load_schema(schema))}
    wanted = {(tuple(error.absolute_path), str(error.validator)) for error in errors}
    assert found == wanted


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_plain_documents_are_valid(schema: str) -> None:
    assert list(find_breaches(DOCUMENTS[schema], load_schema(schema))) == []
    assert library(schema).is_valid(DOCUMENTS[schema])


def test_what_is_shared_is_judged_where_it_decides() -> None:
    part: dict[str, object] = {"a": 1}
    choice: Schema = {"anyOf": [{"properties": {"x": {"properties": {"a": {"const": 2}}}}}, {"required": ["y"]}]}

    breaches = list(find_breaches([{"x": part, "y": 1}, {"x": part}], {"items": choice}))

    assert [(breach.path, breach.rule) for breach in breaches] == [((1,), "anyOf")]


def test_repeats_are_found_among_many_values_of_any_kind() -> None:
    schema: Schema = {"uniqueItems": True}
    many: list[object] = [{"a": number} for number in range(20_000)]

    assert calls_of(lambda: list(find_breaches([*many, 1, True, "1", None], schema))) < 40 * len(many)
    assert [breach.rule for breach in find_breaches([*many, 1, 1], schema)] == ["uniqueItems"]


def test_a_large_value_is_not_repeated_by_each_of_its_errors() -> None:
    value = ["x" * 1_000_000] * 1000

    assert peak_of(lambda: list(find_breaches([value] * 100, {"items": {"type": "string"}}))) < 10_000_000
