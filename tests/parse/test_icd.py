from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError, one_line
from cdigen.parse.icd import parse_icd_json, parse_icd_text


@pytest.mark.parametrize(
    "data", [b"libnvidia-opencl.so.1\n", b"libnvidia-opencl.so.1", b"\r\n libnvidia-opencl.so.1 \r\n"]
)
def test_an_opencl_icd_names_one_library(data: bytes) -> None:
    assert parse_icd_text(data) == ("libnvidia-opencl.so.1",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"\n \n", "empty file"),
        (b"a.so\nb.so\n", "2 lines, expected one library name"),
        (b"a\x00.so\n", r"not a library name: 'a\x00.so'"),
        (b"a\xff.so\n", "not UTF-8 at byte 1"),
        (b"a" * (1 << 20) + b"\n", "1048577 bytes, more than 1048576"),
    ],
)
def test_an_opencl_icd_without_one_name_gives_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_icd_text(data)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {"file_format_version": "1.0.0", "ICD": {"library_path": "libEGL_nvidia.so.0"}},
            ("libEGL_nvidia.so.0",),
        ),
        (
            {
                "file_format_version": "1.0.1",
                "ICD": {"library_path": "libGLX_nvidia.so.0", "api_version": "1.4"},
            },
            ("libGLX_nvidia.so.0",),
        ),
        ({"layer": {"name": "VK_LAYER_NV_optimus", "library_path": "/usr/lib/a.so"}}, ("/usr/lib/a.so",)),
        (
            {"layers": [{"library_path": "a.so"}, {"component_layers": ["x"]}, {"library_path": "b.so"}]},
            ("a.so", "b.so"),
        ),
        ({"layers": [{"library_path": "a.so"}, {"library_path": "a.so"}]}, ("a.so",)),
        ({"layers": []}, None),
        ({"ICD": {}}, ()),
    ],
)
def test_a_json_file_names_the_libraries_of_its_icd_and_layers(
    document: dict[str, object], expected: tuple[str, ...] | None
) -> None:
    data = json.dumps(document).encode()
    if expected is None:
        with pytest.raises(ParseError):
            parse_icd_json(data)
    else:
        assert parse_icd_json(data) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"{", "not JSON: line 1, column 2: expecting property name enclosed in double quotes"),
        (b"[]", "not a JSON object"),
        (b"{}", "neither ICD nor layer nor layers"),
        (b'{"ICD": 1}', "ICD is not an object"),
        (b'{"ICD": {"library_path": 1}}', "ICD.library_path is not a string"),
        (b'{"ICD": {"library_path": ""}}', "not a library name: ''"),
        (b'{"ICD": {"library_path": "a\\nb"}}', r"not a library name: 'a\nb'"),
        (b'{"ICD": {"library_path": "\\ud800"}}', r"not JSON: an escape names half a character: '\ud800'"),
        (b'{"layers": {}}', "layers is not a list"),
        (b'{"layers": [{"library_path": "a"}, 2]}', "layers[1] is not an object"),
        (
            b'{"layers": [{"library_path": null}, {"library_path": []}]}',
            "layers[1].library_path is not a string",
        ),
    ],
)
def test_a_json_file_that_is_none_of_these_gives_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_icd_json(data)
    assert str(caught.value) == reason


def test_a_json_bomb_is_a_reason() -> None:
    with pytest.raises(ParseError) as caught:
        parse_icd_json(b"[" * 500_000)
    assert str(caught.value).startswith("not JSON: nested more than 64 levels deep")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ICD", "layer", "layers", "library_path"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.one_of(st.binary(max_size=300), JSON.map(lambda value: json.dumps(value).encode())))
def test_any_bytes_give_names_or_a_reason(data: bytes) -> None:
    for parse in (parse_icd_text, parse_icd_json):
        try:
            names = parse(data)
        except ParseError as error:
            reason = str(error)
        else:
            reason = "none"
            assert all(name and name.isprintable() for name in names)
        assert one_line(reason) == reason
