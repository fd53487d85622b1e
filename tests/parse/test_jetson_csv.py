"""A Jetson's lists: what a line says, and that no line can say more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError
from cdigen.parse.jetson_csv import CsvFile, CsvKind, CsvLine, parse_jetson_csv

PART = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+@*?-]{0,20}", fullmatch=True)
KINDS: tuple[CsvKind, ...] = ("lib", "sym", "dir")
PATH = st.lists(PART, min_size=1, max_size=5).map("/".join)
SPACE = st.text(" \t", max_size=3)
FILES = PATH.filter(lambda path: path.split("/")[0] not in ("dev", "proc", "sys"))


def test_every_kind_is_read_and_each_line_counts_once() -> None:
    data = b"dev, /dev/nvmap\nlib,/usr/lib/a.so\n\n sym , /usr/lib/b.so \r\ndir, /dev/dri/by-path\ndev, /dev/nvmap\n"

    assert parse_jetson_csv(data) == CsvFile(
        lines=(
            CsvLine(kind="dev", path="/dev/nvmap"),
            CsvLine(kind="lib", path="/usr/lib/a.so"),
            CsvLine(kind="sym", path="/usr/lib/b.so"),
            CsvLine(kind="dir", path="/dev/dri/by-path"),
        ),
        problems=(),
    )


@given(st.lists(st.tuples(st.sampled_from(KINDS), FILES, SPACE, SPACE, st.integers(1, 3))))
def test_space_and_doubled_slashes_do_not_count(rows: list[tuple[CsvKind, str, str, str, int]]) -> None:
    text = "".join(f"{a}{kind}{b},{a}{'/' * n}{path.replace('/', '/' * n)}{b}\n" for kind, path, a, b, n in rows)
    if not rows:
        text = "lib, /a\n"

    parsed = parse_jetson_csv(text.encode())

    wanted = [CsvLine(kind=kind, path=f"/{path}") for kind, path, *_ in rows] or [CsvLine(kind="lib", path="/a")]
    assert parsed == CsvFile(lines=tuple(dict.fromkeys(wanted)), problems=())


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("file, /a", "'file, /a' does not begin with dev, dir, lib or sym and a comma"),
        ("lib /a", "'lib /a' does not begin with dev, dir, lib or sym and a comma"),
        ("# a comment", "'# a comment' does not begin with dev, dir, lib or sym and a comma"),
        ("LIB, /a", "'LIB, /a' does not begin with dev, dir, lib or sym and a comma"),
        ("lib,", "'' is not an absolute path without '..'"),
        ("lib, /", "'/' is not an absolute path without '..'"),
        ("lib, a", "'a' is not an absolute path without '..'"),
        ("lib, /a/../b", "'/a/../b' is not an absolute path without '..'"),
        ("lib, /a\x1b[2J", "'/a\\x1b[2J' is no path that a spec can hold"),
        ("lib, /dev/a", "'/dev/a' is below /dev"),
        ("dev, /etc/passwd", "'/etc/passwd' is not below /dev"),
        ("lib, /proc/1/environ", "'/proc/1/environ' is of the kernel, not of the driver"),
        ("dir, /sys", "'/sys' is of the kernel, not of the driver"),
    ],
)
def test_a_line_that_cannot_be_used_is_said_and_the_others_are_read(line: str, problem: str) -> None:
    parsed = parse_jetson_csv(f"lib, /b\n{line}\n".encode())

    assert parsed == CsvFile(lines=(CsvLine(kind="lib", path="/b"),), problems=((2, problem),))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b" \n\t\n", "it is empty"),
        (b"lib, /a\nlib, /\xff\n", "line 2: not UTF-8 (invalid start byte)"),
        (b"lib, /a\0", "line 1, column 8: a NUL character"),
        (b"lib, /a\n" * (1 << 18), "larger than 1 MiB, which no such list is"),
    ],
)
def test_a_file_that_is_none_gives_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_jetson_csv(data)
    assert str(caught.value) == reason


@given(st.binary(max_size=200) | st.text("dev,lib syr/.\n\r\t*\x85\u2028\u202e", max_size=80).map(str.encode))
def test_whatever_is_in_it_paths_are_absolute_and_of_one_line(data: bytes) -> None:
    try:
        parsed = parse_jetson_csv(data)
    except ParseError:
        return
    for line in parsed.lines:
        parts = line.path.split("/")
        assert parts[0] == ""
        assert not {"", ".", ".."} & {*parts[1:]}
        assert line.path.isprintable()
        assert line.kind != "lib" or parts[1] not in ("dev", "proc", "sys")
    assert all(problem.isprintable() for _, problem in parsed.problems)
