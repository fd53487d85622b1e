"""The wire format that containerd is spoken to in, held against the examples of the format's own manual."""

from __future__ import annotations

import pytest

from tests.real.matrix.cri import decode_message, encode_message


def test_numbers_texts_and_messages_are_encoded_as_the_manual_has_it() -> None:
    assert encode_message([(1, 150)]) == bytes.fromhex("089601")
    assert encode_message([(2, "testing")]) == bytes.fromhex("120774657374696e67")
    assert encode_message([(3, [(1, 150)])]) == bytes.fromhex("1a03089601")
    assert encode_message([(17, [])]) == bytes.fromhex("8a0100")


def test_what_is_encoded_is_decoded() -> None:
    content = encode_message([(1, "id"), (7, 300), (15, [(2, "inner")])])
    assert decode_message(content) == {1: b"id", 7: 300, 15: encode_message([(2, "inner")])}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0a05616263", "field 1 of wire type 2 at byte 2 cannot be read"),
        ("0dffffffff0f", "field 1 of wire type 5 at byte 6 cannot be read"),
        ("0896", "no number ends at byte 2"),
    ],
)
def test_an_answer_that_is_cut_off_or_of_another_kind_is_an_error(content: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        decode_message(bytes.fromhex(content))
