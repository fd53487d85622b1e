from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError, one_line
from cdigen.parse.filelist import FilelistEntry, parse_filelist


def test_entries_keep_their_order_and_repeated_names() -> None:
    data = json.dumps(
        [
            {"name": "libcuda.so.999.88.77", "type": "LIB", "category": ["nvml", "cuda", "cuda"], "new": 1},
            {
                "name": "firmware/gsp_ga10x.bin",
                "type": "FIRMWARE",
                "category": ["firmware"],
                "optional": True,
            },
            {"name": "libcuda.so.999.88.77", "type": "LIB"},
        ]
    ).encode()
    assert parse_filelist(data) == (
        FilelistEntry(name="libcuda.so.999.88.77", type="LIB", optional=False),
        FilelistEntry(name="firmware/gsp_ga10x.bin", type="FIRMWARE", optional=True),
        FilelistEntry(name="libcuda.so.999.88.77", type="LIB", optional=False),
    )


def test_an_empty_list_is_a_value() -> None:
    assert parse_filelist(b"[]") == ()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"{}", "not a JSON array"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"[1", "not JSON: line 1, column 3: expecting ',' delimiter"),
        (b"[1]", "[0] is not an object"),
        (b'[{"type": "LIB"}]', "[0].name is not a printable string"),
        (b'[{"name": "a\\n", "type": "LIB"}]', "[0].name is not a printable string"),
        (b'[{"name": "/a", "type": "LIB"}]', "[0].name is not below a directory: '/a'"),
        (b'[{"name": "a/../../b", "type": "LIB"}]', "[0].name is not below a directory: 'a/../../b'"),
        (b'[{"name": "a", "type": "LIB"}, {"name": "a"}]', "[1].type is not a printable string"),
        (b'[{"name": "a", "type": "LIB", "optional": 1}]', "[0].optional is not a truth value"),
    ],
)
def test_a_manifest_that_is_none_gives_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_filelist(data)
    assert str(caught.value) == reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "type", "category", "optional"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.one_of(st.binary(max_size=300), st.lists(JSON).map(lambda value: json.dumps(value).encode())))
def test_any_bytes_give_entries_or_a_reason(data: bytes) -> None:
    try:
        entries = parse_filelist(data)
    except ParseError as error:
        reason = str(error)
    else:
        reason = "none"
        assert all(entry.name.isprintable() and not entry.name.startswith("/") for entry in entries)
    assert one_line(reason) == reason
