"""Engines read in a spec what it says: `validate` tells where they do not, and what cdigen writes has no such place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdigen.cdi.render import render_json, render_yaml
from cdigen.cdi.validate import find_violations
from cdigen.errors import ParseError
from cdigen.parse.document import parse_document
from cdigen.parse.engine_document import parse_as_engines
from cdigen.specs.reading import find_misreadings, parse_spec
from tests.cdi.engine_documents import CASES, Case
from tests.cli.program import run_program
from tests.work import calls_of

if TYPE_CHECKING:
    from pathlib import Path


HEAD = "cdiVersion: 0.5.0\nkind: aa.com/bb\n"


def misreadings(data: bytes, *, is_json: bool = False) -> list[str]:
    document = parse_document(data, is_json=is_json)
    return [f"{one.place}: {one.message}" for one in find_misreadings(data, document)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: y", ["$.a: engines read true here, not 'y'; put it in quotes"]),
        ("a: [Y, n, N]", [
            "$.a[2]: engines read false here, not 'N'; put it in quotes",
            "$.a[1]: engines read false here, not 'n'; put it in quotes",
            "$.a[0]: engines read true here, not 'Y'; put it in quotes"]),
        ("y: 1", ["$.y: engines read the key 'true' here; put it in quotes"]),
        ("a: 99999999999999999999", ["$.a: engines read 1e+20 here, not 99999999999999999999"]),
        ("a: 0xfffffffffffffffff", [
            "$.a: engines read '0xfffffffffffffffff' here, not 295147905179352825855"]),
        ("a: ._5", ["$.a: engines read '._5' here, not 0.5"]),
        ("%YAML 1.2\n---\na: 1", [
            "$: engines cannot read it: line 1, column 1: a %YAML directive, but engines read YAML 1.1 alone"]),
        ('a: "\\/"', [
            "$: engines cannot read it: line 1, column 4: the escape \\/ in a string, which engines do not know"]),
    ],
)  # fmt: skip
def test_what_yaml_says_to_engines_alone_is_told(text: str, lines: list[str]) -> None:
    assert misreadings(text.encode()) == lines


@pytest.mark.parametrize(
    "text",
    ["yes", "on", "no", "off", "true", "null", "~", "''", "'y'", "\"n\"", "0o17", "017", "018", "0b11", "0x1F", "1_000",
     "1:30", "1:30.5", "2001-01-01", "2001-01-01T00:00:00Z", "=", "1e3", "-0", "+1", "tRUE", "yEs", "a b",
     "!!str y", "a\tb", "[a,\tb]", "|\n  y", ">-\n  n", "&x y1", "{y1: n1}"],
)  # fmt: skip
def test_what_yaml_says_to_both_is_not(text: str) -> None:
    assert misreadings(f"a: {text}".encode()) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (r'{"a": "\/"}', "line 1, column 7: the escape \\/ in a string, which engines do not know"),
        (r'{"a": "\ud83d\ude00"}', "line 1, column 10: found invalid Unicode character escape code"),
        ('{"a": "\x7f"}', r"line 1, column 8: the character '\x7f' is not allowed"),
        ('{"a": "\x9b"}', r"line 1, column 8: the character '\x9b' is not allowed"),
        ('\t{"a": 1}', "line 1, column 1: found character that cannot start any token"),
        ('{"a"\n: 1}', "line 2, column 1: did not find expected ',' or '}'"),
        (f'{{"{"k" * 1025}": 1}}', "line 1, column 1029: did not find expected ',' or '}'"),
    ],
)
def test_json_that_engines_cannot_read_is_told_with_its_place(text: str, line: str) -> None:
    assert misreadings(text.encode(), is_json=True) == [f"$: engines cannot read it: {line}"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"a": "b\x85c"}', r"$.a: engines read 'b c' here, not 'b\x85c'; write its line breaks as escapes"),
        ('{"a": 99999999999999999999}', "$.a: engines read 1e+20 here, not 99999999999999999999"),
    ],
)
def test_json_that_engines_read_as_another_value_is_told(text: str, line: str) -> None:
    assert misreadings(text.encode(), is_json=True) == [line]


@pytest.mark.parametrize(
    "text",
    [
        '{\n\t"a":\t1}',
        '{"a":1,"b":[true,null,-0.5e-3]}',
        '{"a": "\\u00e9\\t\\"\\\\\\b\\f\\n\\r\\u0000\\u2028"}',
        '{"a": "\U0001f600é y"}',
        '{"y": "y", "1": "~"}',
        '{"a": "b\u2028c"}',
        "[]",
    ],
)
def test_json_that_says_the_same_to_engines_is_not(text: str) -> None:
    assert misreadings(text.encode(), is_json=True) == []


TEXT = st.text(st.characters(codec="utf-8"), max_size=40) | st.text(
    "ayn0:#-?*&!|>%@`'\"\\/{}[], \n\r\t\x7f\x85\x9b\u2028\ufeff\0é=~<._\U0001f600", max_size=12
)
TREES = st.recursive(
    TEXT | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(document=TREES)
def test_what_cdigen_writes_says_the_same_to_engines(document: object) -> None:
    for data, is_json in (
        (render_yaml(document), False),
        (render_yaml(document, compact=True), False),
        (render_json(document), True),
    ):
        assert misreadings(data, is_json=is_json) == []


NOT_TEXT = {
    # yaml.org/type/bool.html, null.html, int.html, float.html, timestamp.html, merge.html, value.html
    "bool": r"\A(y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)\Z",
    "null": r"\A(~|null|Null|NULL|)\Z",
    "int": r"\A([-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+"
    r"|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+)\Z",
    "float": r"\A([-+]?([0-9][0-9_]*)?\.[0-9.]*([eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z",
    "timestamp": r"\A([0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?"
    r"(([ \t]*)Z|[-+][0-9]{1,2}(:[0-9]{2})?)?)\Z",
    "merge": r"\A<<\Z",
    "value": r"\A=\Z",
    # YAML 1.2's core schema (yaml.org/spec/1.2.2, 10.3.2) and Go's own: what a newer reader would take for a number
    "int 1.2": r"\A([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?0[bB][01]+)\Z",
    "float 1.2": r"\A([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(inf|Inf|nan|NaN))\Z",
    "an indicator": r"\A[-?:,\[\]{}#&*!|>'\"%@`]( |.)*\Z",
}


@pytest.mark.parametrize("kind", NOT_TEXT)
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_what_yaml_1_1_has_another_type_for_is_quoted(kind: str, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(NOT_TEXT[kind]).filter(lambda text: "\n" not in text))

    written = render_yaml([text]).decode()

    assert written.startswith(("- '", '- "'))
    assert parse_as_engines(written.encode()) == [text]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.text[:200]!r}")
def test_what_validate_takes_engines_take_and_read_alike(case: Case) -> None:
    data = case.document("aa.com/bb")
    try:
        document = parse_document(data, is_json=case.suffix == ".json")
    except ParseError:
        return
    if find_violations(document, misread=find_misreadings(data, document)):
        return
    assert case.device is not None
    spec, violations = parse_spec(data)
    assert (violations, spec) == ((), _without_unsaid(document))


def _without_unsaid(value: object) -> object:
    """Return a valid spec without what is empty, which engines hold as if it were not there."""
    if isinstance(value, list):
        return [_without_unsaid(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _without_unsaid(item) for key, item in value.items()}
    return {
        key: item
        for key, item in found.items()
        if item not in ([], {}, "") and not (key in ("major", "minor") and item == 0)
    }


def test_comparing_what_aliases_name_costs_what_it_is_written_with() -> None:
    text = f"x: &x [{', '.join(['y'] * 100)}]\nz: [{', '.join(['*x'] * 900)}]\n"
    document = parse_document(text.encode())

    assert calls_of(lambda: [*find_misreadings(text.encode(), document)]) < 30 * len(text)
    assert len(misreadings(text.encode())) == 100


def test_validate_tells_it(tmp_path: Path) -> None:
    spec = tmp_path / "a.yaml"
    spec.write_text(f"{HEAD}devices:\n- name: y\n  containerEdits: {{env: [A=b]}}\n")
    as_json = tmp_path / "a.json"
    as_json.write_text(
        json.dumps({**cast("dict[str, object]", parse_document(spec.read_bytes())), "annotations": {"a": "\U0001f600"}})
    )

    run = run_program("validate", spec, as_json)

    assert (run.code, run.err) == (1, "")
    assert run.out == (
        f"{spec}::$.devices[0].name: engines read true here, not 'y'; put it in quotes\n"
        f"{as_json}::$: engines cannot read it: line 1, column 134: found invalid Unicode character escape code\n"
        f"{as_json}::$.cdiVersion: 0.5.0 is too low: $.annotations needs 0.6.0, where annotations were added, to a spec"
        " and to a device\n"
    )
