"""The wire format of protocol buffers, as far as the device plugin API needs it: texts, numbers and messages.

Source: https://protobuf.dev/programming-guides/encoding/. A message is a row of fields, each with a number, one of four
wire types, and a value. Google's package would be 10 MB for a dozen messages, and its generated code fits one version
of it; the tests hold these functions against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_VARINT, _64_BITS, _BYTES, _32_BITS = 0, 1, 2, 5
_MAX_NUMBER = (1 << 29) - 1  # of a field
_MAX_VARINT = 10  # bytes of a 64-bit number, seven bits in each


def encode_texts(number: int, texts: Sequence[str]) -> bytes:
    """Return a repeated field of texts."""
    return b"".join(encode_message(number, text.encode()) for text in texts)


def encode_message(number: int, message: bytes) -> bytes:
    """Return a field that holds a message, also one without fields."""
    return _varint(number << 3 | _BYTES) + _varint(len(message)) + message


def encode_text(number: int, text: str) -> bytes:
    """Return a field that holds a text; nothing for "", which is its default."""
    return encode_message(number, text.encode()) if text else b""


def encode_number(number: int, value: int) -> bytes:
    """Return a field that holds a number from 0 on, or a truth value; nothing for 0, which is its default."""
    return _varint(number << 3 | _VARINT) + _varint(value) if value else b""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Message:
    """The fields of a message that somebody else has sent."""

    def __init__(self, data: bytes) -> None:
        """Read them.

        Raises:
            ParseError: `data` is no message.
        """
        self._fields = tuple(_parse_fields(data))

    def messages(self, number: int) -> tuple[Message, ...]:
        """Return the values of a repeated field of messages; raises ParseError if one is none."""
        return tuple(Message(value) for value in self._values(number))

    def texts(self, number: int) -> tuple[str, ...]:
        """Return the values of a repeated field of texts; raises ParseError if one is not UTF-8."""
        try:
            return tuple(value.decode() for value in self._values(number))
        except UnicodeDecodeError as error:
            raise ParseError(f"field {number} is not UTF-8") from error

    def text(self, number: int) -> str:
        """Return a text; "" if it is not there, the last if it is several times. Errors as of `texts`."""
        return (*("",), *self.texts(number))[-1]

    def number(self, number: int) -> int:
        """Return a number of 32 bits with a sign; 0 if it is not there, the last if it is several times."""
        value = 0
        for found, content in self._fields:
            if found == number and isinstance(content, int):
                value = content & 0xFFFFFFFF
        return value - (1 << 32) if value >> 31 else value

    def _values(self, number: int) -> tuple[bytes, ...]:
        return tuple(content for found, content in self._fields if found == number and isinstance(content, bytes))


def _parse_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the content of each field; of wire types that the API does not use, nothing."""
    at = 0
    while at < len(data):
        start = at
        key, at = _parse_varint(data, at)
        number, wire_type = key >> 3, key & 7
        if not 0 < number <= _MAX_NUMBER:
            raise ParseError(f"field number {number} at byte {start}")
        if wire_type == _VARINT:
            value, at = _parse_varint(data, at)
            yield number, value
            continue
        if wire_type == _BYTES:
            length, at = _parse_varint(data, at)
        elif wire_type in (_64_BITS, _32_BITS):
            length = 8 if wire_type == _64_BITS else 4
        else:
            raise ParseError(f"wire type {wire_type} at byte {start}")
        if at + length > len(data):
            raise ParseError(f"field {number} at byte {start} is cut off")
        if wire_type == _BYTES:
            yield number, data[at : at + length]
        at += length


def _parse_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + _MAX_VARINT]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + place + 1
    raise ParseError(f"no number ends at byte {at}")
