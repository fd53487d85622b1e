"""YAML as container engines read it, which is laxer than what we take from our own.

Engines read every spec, `.json` too, with sigs.k8s.io/yaml (ParseSpec in pkg/cdi/spec.go of
github.com/cncf-tags/container-device-interface), which is go-yaml v2 in its strict mode. Of several documents it reads
the first one. It knows the words and numbers of YAML 1.1 (resolve.go), merge keys and anyone's tags, and takes keys
that are not text. A key that stands twice is an error, also one that a merge brings, and so is the directive
`%YAML 1.2`.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from yaml.events import DocumentEndEvent, DocumentStartEvent, ScalarEvent

from cdigen.parse.limits import decode_document, quote
from cdigen.parse.yaml_document import TAG, WORDS, Builder, build_from, error_at, parse_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from yaml.events import CollectionStartEvent, Event

_WORDS: dict[str, bool | float | None] = {
    **WORDS,
    **dict.fromkeys(("y", "Y"), True),
    **dict.fromkeys(("n", "N"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}

_RESOLVED = {TAG + "null": type(None), TAG + "bool": bool, TAG + "int": int, TAG + "float": float}
_MERGE = "<<"
_SLASH = re.compile(r"(?<!\\)(?:\\\\)*\\/")
"""An escape of JSON that YAML has since 1.2."""
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1


def parse_as_engines(data: bytes) -> object:
    """Return the value of the first YAML document in the bytes of a file, whatever its suffix.

    Returns:
        As of `parse_document`, but floats can be infinite or no number, and keys are text that was any scalar but null.

    Raises:
        ParseError: engines cannot read it, or it is over a limit of ours.
    """
    text = decode_document(data)
    builder = _EngineBuilder(text)
    build_from(text, builder)
    return builder.finish()


class _EngineBuilder(Builder):
    """Takes what engines take."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text if "\\/" in text else ""

    def build(self, events: Iterable[Event]) -> None:
        """See `Builder.build`; ends with the first document."""
        super().build(self._first_document(events))

    def _first_document(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 1)):
                raise error_at(event, "a %YAML directive, but engines read YAML 1.1 alone")
            if isinstance(event, DocumentEndEvent):
                return
            yield event

    def check_tag(self, event: CollectionStartEvent) -> None:
        """Take a collection with any tag, but for one whose tag is the other kind's."""

    def to_scalar(self, event: ScalarEvent) -> object:
        """See `Builder.to_scalar`."""
        text, tag = event.value, event.tag
        if self._text and event.style == '"' and event.start_mark and event.end_mark:
            written = self._text[event.start_mark.index : event.end_mark.index]
            if _SLASH.search(written):
                raise error_at(event, "the escape \\/ in a string, which engines do not know")
        if tag is None and event.style:
            return text
        if tag == TAG + "binary":
            return _decode_binary(event)
        if tag not in (None, "!", *_RESOLVED):
            return text  # a string's, a date's, which is text here, or anyone's
        value = _resolve(event)
        if tag == TAG + "float" and type(value) is int:
            return float(value)
        if tag in _RESOLVED and _RESOLVED[tag] is not type(value):
            raise error_at(event, f"{quote(text)} is not what its tag {quote(tag)} says")
        return value

    def to_key(self, value: object, event: Event) -> str:
        """Return a key as text; it may be any scalar but null."""
        if isinstance(value, str):
            return value
        if value is None or isinstance(value, list | dict):
            raise error_at(event, "a key that is not a scalar")
        return format_scalar(value)

    def is_merge_key(self, event: Event) -> bool:
        """Tell whether a key brings the entries of a mapping, or of several, here."""
        return (
            isinstance(event, ScalarEvent)
            and event.value == _MERGE
            and (event.tag == TAG + "merge" or (event.tag is None and not event.style))
        )


def format_scalar(value: object) -> str:
    """Return a number or a boolean as the text that engines make of it where they want text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _format_float(value) if isinstance(value, float) else str(value)


def _resolve(event: ScalarEvent) -> object:
    text = event.value
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if text.startswith(".") and "_" in text:
        return text
    value = parse_number(text, event)
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        # Only a decimal one is a float then.
        return float(value) if re.fullmatch(r"[-+]?[0-9_]+", text) else text
    return text if value is None else value


def _decode_binary(event: ScalarEvent) -> str:
    try:
        return base64.b64decode(event.value.replace("\n", ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise error_at(event, "binary data that is not text") from error


def _format_float(value: float) -> str:
    """Return a number as Go's strconv.FormatFloat(value, 'g', -1, 32): the shortest that is the same in 32 bits."""
    import struct

    if value != value:
        return "NaN"
    try:
        single = struct.pack("f", value)
    except OverflowError:
        return "+Inf" if value > 0 else "-Inf"
    rounded = struct.unpack("f", single)[0]
    if rounded in (float("inf"), float("-inf")):
        return "+Inf" if rounded > 0 else "-Inf"
    digits = next(d for d in (f"{value:.{p}e}" for p in range(9)) if struct.pack("f", float(d)) == single)
    mantissa, _, exponent = digits.partition("e")
    power = int(exponent)
    if power < -4 or power >= 6:
        return f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    from decimal import Decimal

    return format(Decimal(digits), "f")
