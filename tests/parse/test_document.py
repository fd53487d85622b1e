"""Documents of unknown origin: any bytes give a value or a reason, in bounded time and memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdigen.errors import ParseError
from cdigen.parse.document import parse_document

TYPES = (dict, list, str, int, float, bool, type(None))


def reason(data: bytes, *, is_json: bool = False) -> str:
    with pytest.raises(ParseError) as caught:
        parse_document(data, is_json=is_json)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("- x\n- [y, {z: null}]", ["x", ["y", {"z": None}]]),
        ("{}", {}),
        ("[]", []),
        ("''", ""),
        ("~", None),
        ("- yes\n- No\n- on\n- FALSE", [True, False, True, False]),
        ("- y\n- n\n- tRue", ["y", "n", "tRue"]),
        ("- 0\n- -7\n- +7\n- 1_000\n- 0x1F\n- 0644\n- 0o644\n- 0b11", [0, -7, 7, 1000, 31, 420, 420, 3]),
        ("- 1.5\n- .5\n- 1.\n- 1e3\n- -2.5E-1", [1.5, 0.5, 1.0, 1000.0, -0.25]),
        ("- 1:30\n- 2020-01-01\n- 0.5.0\n- '='\n- =\n- .\n- -\u00a0\n- 1e", [
            "1:30", "2020-01-01", "0.5.0", "=", "=", ".", "-\u00a0", "1e",
        ]),
        ("- '0'\n- \"yes\"\n- |\n  null\n- !!str 7\n- ! 8", ["0", "yes", "null\n", "7", "8"]),
        ("- !!int 7\n- !!float 1.5\n- !!bool no\n- !!null ~", [7, 1.5, False, None]),
        ("!!map {a: !!seq [b]}", {"a": ["b"]}),
        ("a: &x [1]\nb: *x\nc: &y t\n*y : 3", {"a": [1], "b": [1], "c": "t", "t": 3}),
        ("'<<': 1", {"<<": 1}),
        ("---\na: 1\n...\n", {"a": 1}),
        ("\ufeffa: é😀", {"a": "é😀"}),
    ],
)  # fmt: skip
def test_yaml_is_read_as_json_would_say_it(text: str, value: object) -> None:
    parsed = parse_document(text.encode())

    assert parsed == value
    assert json.dumps(parsed) == json.dumps(value)  # 1, 1.0 and True are equal in Python


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "no document in it"),
        (b"# nothing\n", "no document in it"),
        (b"a: 1\nb:\n  c: 2\n  c: 3\n", "line 4, column 3: duplicate key 'c'"),
        (b"a: 1\n'a': 2\n", "line 2, column 1: duplicate key 'a'"),
        (b"? &k a\n: 1\n? *k\n: 2\n", "line 3, column 3: duplicate key 'a'"),
        (b"a: \0", "line 1, column 4: a NUL character"),
        (b"a: 1\nb: \xff", "line 2: not UTF-8 (invalid start byte)"),
        (b"a: 1\nb: \x01", "line 2, column 4: the character '\\x01' is not allowed"),
        (b"a\n---\nb\n", "line 2, column 1: a second document; only one is allowed"),
        (b"1: a", "line 1, column 1: a key that is neither text nor in quotes"),
        (b"yes: a", "line 1, column 1: a key that is neither text nor in quotes"),
        (b"[a]: b", "line 1, column 1: a key that is not text"),
        (b"? {a: b}\n: c", "line 1, column 3: a key that is not text"),
        (b"a: &x {b: c}\n<<: *x", "line 2, column 1: a merge key (<<), which is not supported here"),
        (b"&x [*x]", "line 1, column 5: the alias 'x' stands in what it names"),
        (b"- *x", "line 1, column 3: the alias 'x' names nothing"),
        (b"- .inf", "line 1, column 3: .inf is not a number that a document may have"),
        (b"- -.INF", "line 1, column 3: -.INF is not a number that a document may have"),
        (b"- .NaN", "line 1, column 3: .NaN is not a number that a document may have"),
        (b"- 1e999", "line 1, column 3: a number that is too large: '1e999'"),
        (b"- " + b"9" * 5000, f"line 1, column 3: a number of 5000 characters: '{'9' * 60}…'"),
        (b"- !!python/object/apply:os.system ['true']",
         "line 1, column 3: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not supported here"),
        (b"- !!python/name:os.system x",
         "line 1, column 3: the tag 'tag:yaml.org,2002:python/name:os.system' is not supported here"),
        (b"!!set {a}", "line 1, column 1: the tag 'tag:yaml.org,2002:set' is not supported here"),
        (b"!!binary aGk=", "line 1, column 1: the tag 'tag:yaml.org,2002:binary' is not supported here"),
        (b"!!int x", "line 1, column 1: the tag 'tag:yaml.org,2002:int' is not supported here"),
        (b"a: b: c", "line 1, column 5: mapping values are not allowed in this context"),
        (b"a:\n\t- b", "line 2, column 1: found character that cannot start any token"),
        (b"[" * 65 + b"]" * 65, "line 1, column 65: nested more than 64 levels deep"),
        (b"{a: " * 65 + b"}" * 65, "line 1, column 257: nested more than 64 levels deep"),
        (b"[" * 1_000_000, "line 1, column 65: nested more than 64 levels deep"),
        (b"a: 1\nb: " + b"[" * 2_000, "line 2, column 67: nested more than 64 levels deep"),
        (b"{a: " * 2_000, "line 1, column 257: nested more than 64 levels deep"),
        (b"- " * 2_000, "line 1, column 129: nested more than 64 levels deep"),
        (b"[" * 64 + b"@", "line 1, column 65: found character that cannot start any token"),
    ],
)  # fmt: skip
def test_yaml_that_is_refused_says_where_and_why(data: bytes, expected: str) -> None:
    assert reason(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "line 1, column 1: expecting value"),
        (b"[1 2]", "line 1, column 4: expecting ',' delimiter"),
        (b"[1] [2]", "line 1, column 5: extra data"),
        (b'{"a": 1,\n "b": {"a": 2, "\\u0061": 3}}', "line 2, column 16: duplicate key 'a'"),
        (b'{"a": 1, "x": ["a", {"a": "a"}], "a": 2}', "line 1, column 34: duplicate key 'a'"),
        (b"[NaN]", "line 1, column 2: not a number in JSON: 'NaN'"),
        (b'["-Infinity", -Infinity]', "line 1, column 15: not a number in JSON: '-Infinity'"),
        (b'["1e999",\n1e999]', "line 2, column 1: a number that is too large: '1e999'"),
        (b"[" + b"9" * 5000 + b"]", f"line 1, column 2: a number of 5000 characters: '{'9' * 60}…'"),
        (b"[0." + b"9" * 5000 + b"]", f"line 1, column 2: a number of 5002 characters: '0.{'9' * 58}…'"),
        (b'["\\ud800"]', "an escape names half a character: '\\ud800'"),
        (b'{"\\udfff": 1}', "an escape names half a character: '\\udfff'"),
        (b'["\0"]', "line 1, column 3: a NUL character"),
        (b"[" * 65 + b"]" * 65, "nested more than 64 levels deep"),
        (b'{"a":' * 64 + b"[]" + b"}" * 64, "nested more than 64 levels deep"),
        (b"[" * 900_000, "nested more than 64 levels deep"),
        (b"[" * 8_000_000, "more than 1000000 values"),
        (b"[" + b"0," * 1_000_001 + b"0]", "more than 1000000 values"),
    ],
)
def test_json_that_is_refused_says_where_and_why(data: bytes, expected: str) -> None:
    assert reason(data, is_json=True) == expected


@pytest.mark.parametrize("is_json", [False, True])
def test_nesting_up_to_the_limit_is_read(is_json: bool) -> None:
    value = parse_document(b"[" * 64 + b"]" * 64, is_json=is_json)

    depth = 0
    while isinstance(value, list):
        depth, value = depth + 1, value[0] if value else None
    assert depth == 64


def test_a_bomb_of_aliases_is_refused_before_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    assert reason("\n".join(lines).encode()) == (
        "line 4, column 20: aliases stand for 4983 of the 5026 values up to here, which is too much"
    )


def test_nesting_by_aliases_counts_as_nesting() -> None:
    lines = ["- &a0 []"] + [f"- &a{n} [*a{n - 1}]" for n in range(1, 80)]

    assert reason("\n".join(lines).encode()) == "line 64, column 9: nested more than 64 levels deep"


@pytest.mark.parametrize("is_json", [False, True])
def test_fifty_megabytes_of_garbage_are_refused_by_their_size(is_json: bool) -> None:
    data = b"\xfe[{" * (50 * 1024 * 1024 // 3)

    assert reason(data, is_json=is_json) == "larger than 16 MiB, which no spec and no snapshot is"


def test_a_document_of_too_many_values_is_refused_when_the_limit_is_passed() -> None:
    assert reason(b"- a\n" * 1_500_000) == "line 1000000, column 3: more than 1000000 values"


def test_json_text_keeps_pairs_of_surrogates_and_what_yaml_would_resolve() -> None:
    data = b'{"\\ud83d\\ude00": ["yes", "1", 1e3, -0, "a\\/b", true, null]}'

    assert parse_document(data, is_json=True) == {"😀": ["yes", "1", 1000.0, 0, "a/b", True, None]}


WORDS = (
    "1e3", "0x", "\\ud800", "\\Uffffffff", "<<", "&a", "*a", "!!str", "!!int", "\n---\n", "\n...\n", "null", "true",
    ".nan", ".inf", "- ", "? ", ": ", "\n  ",
)  # fmt: skip
MARKS = tuple("ab0-:?,[]{}&*!|>'\"%@`#\\~=+. \t\n\x85\u2028\ufeff\ufffe\x01\x7fé😀")
SYNTAX = st.lists(st.sampled_from(WORDS) | st.sampled_from(MARKS), max_size=40).map("".join)
BYTES = st.binary(max_size=200) | SYNTAX.map(str.encode)


def outcome(data: bytes, *, is_json: bool = False) -> object:
    """Return the value, or the error if there is one."""
    try:
        return parse_document(data, is_json=is_json)
    except ParseError as error:
        return error


def is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    if isinstance(value, str):
        return value.encode().decode() == value
    return isinstance(value, TYPES)


def is_one_line(text: str) -> bool:
    return text.isprintable() and 0 < len(text) < 200


@given(data=BYTES, is_json=st.booleans())
@example(data=b'"\\Uffffffff"', is_json=False)
@example(data=b"_", is_json=False)
@example(data=b"0b_", is_json=False)
@example(data=b"-", is_json=False)
def test_any_bytes_give_a_plain_value_or_one_line_of_reason(data: bytes, is_json: bool) -> None:
    result = outcome(data, is_json=is_json)

    assert is_plain(result) or (isinstance(result, ParseError) and is_one_line(str(result)))


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)  # fmt: skip


@given(tree=TREES)
def test_json_that_was_written_is_read_back(tree: object) -> None:
    assert parse_document(json.dumps(tree).encode(), is_json=True) == tree


MUTATED = b"""cdiVersion: "0.5.0"
kind: example.com/gpu
devices: &d
- {name: '0', containerEdits: {deviceNodes: [{path: /dev/a, major: 0x7f, fileMode: 0644}]}}
- name: "all\\u0041"
  containerEdits: {env: [A=b, *d], mounts: !!seq []}
"""


@given(changes=st.lists(st.tuples(st.integers(0, len(MUTATED) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_document_gives_a_plain_value_or_one_line_of_reason(changes: list[tuple[int, int]]) -> None:
    data = bytearray(MUTATED)
    for position, byte in changes:
        data[position] = byte

    result = outcome(bytes(data))

    assert is_plain(result) or (isinstance(result, ParseError) and is_one_line(str(result)))


WITHOUT_LIBYAML = """
import sys
sys.modules["yaml._yaml"] = None
import yaml
from cdigen.parse.document import parse_document
from cdigen.errors import ParseError
assert not yaml.__with_libyaml__
for line in sys.stdin.buffer.read().split(b"\\n%%\\n"):
    try:
        print(ascii(parse_document(line)))
    except ParseError as error:
        print("refused:", ascii(str(error)))
"""


def test_without_libyaml_the_same_documents_are_read_and_refused() -> None:
    documents = [
        b"a: [1, 'x', ~, 0644]",
        b"a: 1\na: 2",
        b'"\\ud800"',
        b'"\\Uffffffff"',
        b"a: \x01",
        b"[" * 100_000,
        b"- " * 2_000,
        b"&a [*a]",
    ]

    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBYAML],
        input=b"\n%%\n".join(documents),
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert run.stdout.decode().splitlines() == [
        "{'a': [1, 'x', None, 420]}",
        "refused: \"line 2, column 1: duplicate key 'a'\"",
        "refused: 'line 1, column 1: an escape names half a character'",
        "refused: 'an escape names no character'",
        "refused: \"line 1, column 4: the character '\\\\x01' is not allowed\"",
        "refused: 'line 1, column 65: nested more than 64 levels deep'",
        "refused: 'line 1, column 129: nested more than 64 levels deep'",
        "refused: \"line 1, column 5: the alias 'a' stands in what it names\"",
    ]
