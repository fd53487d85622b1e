from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError, one_line
from cdigen.parse.elf import ElfFacts, glibc_floor, parse_elf

ELF = Path(__file__).parents[1] / "fixtures/elf"
GOOD = [
    path.read_bytes()
    for name in (
        "x86_64/libneeds.so.1",
        "x86_64/librunpath.so.1",
        "i386/libneeds.so.1",
        "s390x/libplain.so.1",
    )
    for path in [ELF / name]
]

# Numbers at which comparisons and arithmetic go wrong.
EDGES = st.sampled_from([0, 1, 2, 0x7F, 0xFF, 0xFFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1])


def check(data: bytes) -> None:
    """A value whose parts are sound, or a ParseError of one line; and soon: hypothesis allows 200 ms."""
    try:
        found = parse_elf(io.BytesIO(data), len(data))
    except ParseError as error:
        reason = str(error)
    else:
        reason = "none"
        assert_sound(found)
    assert reason
    assert one_line(reason) == reason


def assert_sound(found: ElfFacts) -> None:
    assert found.bits in (32, 64)
    assert found.kind in ("shared", "executable")
    assert found.soname is None or ("/" not in found.soname and found.soname not in ("", ".", ".."))
    assert found.needed is not None
    assert found.versions is not None
    names = [*found.needed, *found.runpath, *([found.soname] if found.soname else [])]
    for file, versions in found.versions:
        assert list(versions) == sorted(set(versions))
        names += [file, *versions]
    assert all(name and name.isprintable() for name in names)
    assert list(found.versions) == sorted(found.versions)
    glibc_floor(found.versions)


@given(st.binary(max_size=4096))
def test_any_bytes_give_a_value_or_a_reason(data: bytes) -> None:
    check(data)


@given(
    st.binary(max_size=4096),
    st.sampled_from([b"\x7fELF\x01\x01\x01", b"\x7fELF\x02\x01\x01", b"\x7fELF\x02\x02\x01"]),
)
def test_any_bytes_after_a_good_beginning_give_a_value_or_a_reason(data: bytes, beginning: bytes) -> None:
    check(beginning + data)


@given(
    st.sampled_from(GOOD),
    st.lists(st.tuples(st.integers(0, 2500), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 2500),
)
def test_mutated_bytes_give_a_value_or_a_reason(good: bytes, changes: list[tuple[int, int]], size: int) -> None:
    data = bytearray(good)
    for at, byte in changes:
        data[at % len(data)] = byte
    check(bytes(data[: size or None]))


@given(
    st.sampled_from(GOOD),
    st.lists(
        st.tuples(st.integers(0, 300), EDGES, st.sampled_from(["H", "I", "Q"]), st.booleans()),
        min_size=1,
        max_size=4,
    ),
)
def test_numbers_at_their_limits_give_a_value_or_a_reason(
    good: bytes, changes: list[tuple[int, int, str, bool]]
) -> None:
    data = bytearray(good)
    for place, number, size, behind_headers in changes:
        layout = struct.Struct(("<" if data[5] == 1 else ">") + size)
        at = 2 * place + (struct.unpack_from("<Q", good, 0x28)[0] // 2 if behind_headers else 0)
        layout.pack_into(data, at % (len(data) - 8), number % (1 << (8 * layout.size)))
    check(bytes(data))


@given(st.data())
def test_every_single_field_can_hold_an_edge(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from(GOOD))
    at = data.draw(st.integers(0, len(good) // 8 - 1)) * 8
    check(good[:at] + struct.pack("<Q", data.draw(EDGES)) + good[at + 8 :])


@pytest.mark.parametrize("good", GOOD)
def test_the_files_that_are_mutated_are_good(good: bytes) -> None:
    assert_sound(parse_elf(io.BytesIO(good), len(good)))
