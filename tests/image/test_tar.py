"""The reader of tar archives against Python's writer, and against damage."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError, one_line
from cdigen.image.stream import Budget, FileStream, decompress
from cdigen.image.tar import Member, TarReader
from tests.image.archives import layer
from tests.work import calls_of

FORMS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LONG = "a" * 60 + "/" + "b" * 60
VERY_LONG = "c" * 90 + "/" + "d" * 120 + "/é"


def read(data: bytes) -> list[tuple[str, str, int, str, bool]]:
    reader = TarReader(decompress(FileStream(io.BytesIO(data)), Budget()))
    return [(m.name, m.kind, m.size, m.target, m.is_hard_link) for m in reader]


def reason(data: bytes) -> str:
    with pytest.raises(ParseError) as caught:
        read(data)
    return str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_entry_is_read_as_it_was_written(form: int) -> None:
    files: dict[str, bytes | str | None] = {
        "dir": None,
        "dir/file": b"x" * 700,
        "dir/empty": b"",
        "dir/link": "../etc/x",
        "dir/hard": "hard:dir/file",
        LONG: b"y",
    }
    assert read(layer(files, form=form)) == [
        ("dir/", "dir", 0, "", False),
        ("dir/file", "file", 700, "", False),
        ("dir/empty", "file", 0, "", False),
        ("dir/link", "link", 0, "../etc/x", False),
        ("dir/hard", "file", 0, "dir/file", True),
        (LONG, "file", 1, "", False),
    ]


@pytest.mark.parametrize("form", FORMS[1:])
def test_long_names_and_targets_are_whole(form: int) -> None:
    assert read(layer({VERY_LONG: VERY_LONG}, form=form)) == [(VERY_LONG, "link", 0, VERY_LONG, False)]


def test_content_is_read_or_passed_over() -> None:
    data = layer({"a": b"1" * 600, "b": b"2" * 513, "c": b"3"})
    reader = TarReader(FileStream(io.BytesIO(data)))
    got = {member.name: reader.read(member.size) for member in reader if member.name != "a"}
    assert got == {"b": b"2" * 513, "c": b"3"}


def test_the_start_of_a_member_is_where_its_content_is() -> None:
    data = layer({VERY_LONG: b"x", "b": b"content"})
    (member,) = [m for m in TarReader(FileStream(io.BytesIO(data))) if m.name == "b"]
    assert member == Member(name="b", kind="file", size=7, start=member.start)
    assert data[member.start : member.start + 7] == b"content"


def header(**fields: bytes) -> bytes:
    places = {"name": (0, 100), "size": (124, 136), "type": (156, 157), "sparse": (482, 483)}
    block = bytearray(512)
    for name, value in {"name": b"x", **fields}.items():
        start, end = places[name]
        block[start:end] = value.ljust(end - start, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


def test_a_gnu_sparse_file_is_passed_over_with_its_map() -> None:
    block = header(type=b"S", size=b"2000", sparse=b"\1")
    more = bytes(504) + b"\1" + bytes(7)
    data = block + more + bytes(512) + b"z" * 1024 + header(name=b"after")
    assert [name for name, *_ in read(data)] == ["x", "after"]


def test_a_size_in_base_256_is_read() -> None:
    data = header(type=b"0", size=b"\x80" + bytes(9) + b"\x02\x00") + bytes(512) + header(name=b"after")
    assert [(name, size) for name, _, size, *_ in read(data)] == [("x", 512), ("after", 0)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"x" * 100, "not a tar archive"),
        (b"x" * 1024, "not a tar archive"),
        (b"1" * 1024, "not a tar archive"),
        (layer({"a": b"x" * 600})[:1000], "truncated"),
        (layer({"a": b"x" * 600})[:1800], "truncated"),
        (layer({"a": b""})[:512] + b"1" * 512, "damaged at byte 512"),
        (header(type=b"x", size=b"77777777777"), "a header of 8589934591 bytes at byte 0"),
        (header(type=b"L", size=b"77777777777"), "a header of 8589934591 bytes at byte 0"),
        (header(type=b"x", size=b"5") + b"hello".ljust(512, b"\0"), "a damaged pax header"),
        (header(type=b"x", size=b"6") + b"6 path".ljust(512, b"\0"), "a damaged pax header"),
        (
            header(type=b"x", size=b"13") + b"11 size=-1\n".ljust(512, b"\0") + header(type=b"0"),
            "a size that is not a number, or beyond any file system",
        ),
        (header(type=b"0", size=b"999"), "a size that is not an octal number at byte 0"),
        (header(type=b"0", size=b"\xff" * 12), "a size below zero or beyond any file system at byte 0"),
        (b"\x1f\x8b" + b"x" * 100, "damaged gzip data (Error -3 while decompressing data: unknown compression method)"),
        (header(type=b"g", size=b"0") * 17, "more than 16 headers of one entry at byte 8192"),
        (
            header(type=b"x", size=b"770") + (b"5 a=\n" * 101).ljust(512, b"\0"),
            "a pax header of more than 100 records",
        ),
        (layer({"é" * 2048: b""}), "a name of more than 4095 bytes at byte 5120"),
        (
            header(type=b"S", sparse=b"\1") + (bytes(504) + b"\1" + bytes(7)) * 100_001,
            "a sparse map of more than 100000 blocks",
        ),
    ],
    ids=range(18),
)
def test_what_is_no_archive_or_damaged_says_so(data: bytes, expected: str) -> None:
    assert reason(data) == expected


@given(
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=6),
    st.integers(0, 4000),
    st.sampled_from(FORMS[1:]),
)
def test_mutated_bytes_give_entries_or_a_reason(changes: list[tuple[int, int]], size: int, form: int) -> None:
    data = bytearray(layer({"a": b"x" * 600, VERY_LONG: "b", "c": "hard:a"}, form=form))
    for at, byte in changes:
        data[at % len(data)] = byte
    said = "none"

    def work() -> None:
        nonlocal said
        try:
            read(bytes(data[: size or None]))
        except ParseError as error:
            said = str(error)

    assert calls_of(work) < 500 + len(data)
    assert one_line(said) == said != ""


def test_a_sum_of_signed_bytes_is_taken() -> None:
    block = bytearray(header(name="é".encode()))
    block[148:156] = b" " * 8
    total = sum(byte - 256 if byte > 127 else byte for byte in block)
    block[148:156] = f"{total:06o}\0 ".encode()
    assert [name for name, *_ in read(bytes(block))] == ["é"]
