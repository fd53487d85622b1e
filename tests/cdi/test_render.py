"""A document as text: the same bytes each time, and nothing in a string can change what it means."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from cdigen.cdi.render import render_json, render_yaml
from cdigen.errors import InvalidSpecError
from cdigen.parse.document import parse_document

DOCUMENT: dict[str, object] = {
    "cdiVersion": "0.5.0",
    "kind": "example.com/gpu",
    "devices": [{"name": "0", "containerEdits": {"env": ["A=b", "C=d: e # f"], "additionalGids": [44]}}],
    "containerEdits": {},
}


def test_yaml_is_in_block_style_and_in_the_order_of_the_document() -> None:
    assert render_yaml(DOCUMENT, ("Made by hand.", "", "Do not edit.")).decode() == (
        "# Made by hand.\n"
        "#\n"
        "# Do not edit.\n"
        "cdiVersion: '0.5.0'\n"
        "kind: example.com/gpu\n"
        "devices:\n"
        "- name: '0'\n"
        "  containerEdits:\n"
        "    env:\n"
        "    - A=b\n"
        "    - 'C=d: e # f'\n"
        "    additionalGids:\n"
        "    - 44\n"
        "containerEdits: {}\n"
    )


def test_json_is_indented_utf8_in_the_order_of_the_document() -> None:
    assert render_json({"b": ["é\U0001f600", 1], "a": {}}).decode() == (
        '{\n  "b": [\n    "é\U0001f600",\n    1\n  ],\n  "a": {}\n}\n'
    )


def test_what_is_not_printable_is_an_escape_in_json() -> None:
    text = "\t\n\x1b\x7f\x85\x9b\xa0\u202e\u2028\ufeff\ufffe"
    assert render_json([text]).decode() == (
        '[\n  "\\t\\n\\u001b\\u007f\\u0085\\u009b\\u00a0\\u202e\\u2028\\ufeff\\ufffe"\n]\n'
    )


def test_a_value_that_occurs_twice_is_written_twice() -> None:
    shared = ["ro"]

    assert render_yaml({"a": shared, "b": shared}) == b"a:\n- ro\nb:\n- ro\n"


def test_a_long_string_stays_on_its_line() -> None:
    text = "/some/path with blanks" * 100

    assert render_yaml({"a": text}).decode() == f"a: {text}\n"


@pytest.mark.parametrize(
    "text",
    ["1e3", "0o7", "y", "N", "on", "0b1", "1_0", ".5", "~", "null", "1:30", "=", "<<", "2020-01-01", "-", "?",
     "&a", "*a", "!t", "%", "@", "`", "", " a", "0x1p3"],
)  # fmt: skip
def test_what_any_reader_could_take_for_something_else_is_quoted(text: str) -> None:
    assert render_yaml([text]).decode() == f"- '{text}'\n"


def test_the_header_cannot_break_out_of_its_comment() -> None:
    header = ("a\nkind: b", "c\r\x85\u2028\x1b[2Jd", "e\ud800")

    lines = render_yaml({"kind": "x"}, header).decode().split("\n")

    assert lines == [
        "# a\\nkind: b",
        "# c\\r\\x85\\u2028\\x1b[2Jd",
        "# e\\ud800",
        "kind: x",
        "",
    ]


def test_text_that_is_not_unicode_is_an_error_that_shows_it() -> None:
    for render in (render_yaml, render_json):
        with pytest.raises(InvalidSpecError) as caught:
            render({"a": ["b\udc80"]})

        assert str(caught.value).startswith("the spec holds text that cannot be written as UTF-8: '\\udc80")


TEXT = st.text(st.characters(codec="utf-8")) | st.text(
    "ay0:#-?*&!|>%@`'\"\\{}[], \n\r\t\x85\u2028\ufeff\0é=~<.", max_size=12
)
TREES = st.recursive(
    TEXT | st.booleans() | st.integers(-(2**63), 2**64) | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(document=TREES, header=st.lists(st.text(max_size=20)).map(tuple))
@example(document={"a": "\ufeff"}, header=())
@example(document="a\n...\nb", header=("---",))
def test_yaml_that_was_written_is_read_back(document: object, header: tuple[str, ...]) -> None:
    text = render_yaml(document, header)

    assert parse_document(text) == document
    # Without us on the reading side too: a fault in both halves must not cancel out.
    assert yaml.safe_load(text) == document


@given(document=TREES)
def test_json_that_was_written_is_read_back(document: object) -> None:
    text = render_json(document)

    assert parse_document(text, is_json=True) == document
    assert json.loads(text) == document
    assert all(character.isprintable() or character in "\n" or character > "\uffff" for character in text.decode())


WITHOUT_LIBYAML = """
import sys
sys.modules["yaml._yaml"] = None
from cdigen.cdi.render import render_yaml
text = "a b" * 99
sys.stdout.buffer.write(render_yaml({"b": ["0", "é\\n", text], "a": [True, 1, {}]}, ("h",)))
"""


def test_without_libyaml_the_text_is_the_same() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT_LIBYAML], capture_output=True, check=True, timeout=60)

    assert run.stdout == render_yaml({"b": ["0", "é\n", "a b" * 99], "a": [True, 1, {}]}, ("h",))
