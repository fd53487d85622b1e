"""YAML and JSON documents as plain values, strictly and within limits."""

from __future__ import annotations

from cdigen.parse.limits import MAX_DOCUMENT_BYTES, decode_document

__all__ = ["MAX_DOCUMENT_BYTES", "parse_document"]


def parse_document(data: bytes, *, is_json: bool = False) -> object:
    """Return the value of a YAML or JSON document.

    Args:
        data: the bytes of the file, UTF-8. To refuse a large file it is enough to hand over one byte more
            than `MAX_DOCUMENT_BYTES` of it.
        is_json: whether the file claims to be JSON, by its suffix.

    Returns:
        `dict[str, object]`, `list[object]`, `str`, `int`, `float` (finite), `bool` or `None`, nested. Text
        has no lone surrogates. What YAML aliases name is shared: do not change the value.

    Raises:
        ParseError: the bytes are no such document, or over a limit; the reason starts with line and column
            where these are known.
    """
    text = decode_document(data)
    if is_json:
        from cdigen.parse.json_document import parse_json

        return parse_json(text)
    from cdigen.parse.yaml_document import parse_yaml

    return parse_yaml(text)
