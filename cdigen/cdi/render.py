"""A document as the text that engines read: YAML or JSON, always the same bytes for the same document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import InvalidSpecError, one_line

if TYPE_CHECKING:
    from yaml import ScalarNode
    from yaml.representer import BaseRepresenter

_LINE_WIDTH = 2**31 - 1  # the emitter's greatest: a long string is never folded

_PLAIN_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz/")

_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
"""What some reader of YAML takes for a boolean, a null or a number where it is not quoted."""


def render_yaml(document: object, header: tuple[str, ...] = (), *, compact: bool = False) -> bytes:
    """Return `document` as YAML in block style, in its own order, after the header as comment lines.

    Args:
        document: dictionaries with text keys, lists, strings, integers, booleans, None.
        header: one comment each; line breaks and the like in it are written as escapes.
        compact: write what holds only scalars on one line, such as `{kind: link, to: libcuda.so.1}`.

    Returns:
        UTF-8 text that ends with a line break. Any string in it is read back as the same string.

    Raises:
        InvalidSpecError: a string cannot be written as UTF-8.
    """
    import yaml

    try:
        from yaml import CSafeDumper as BaseDumper
    except ImportError:  # PyYAML without libyaml
        from yaml import SafeDumper as BaseDumper  # type: ignore[assignment]

    class Dumper(BaseDumper):
        def ignore_aliases(self, data: object) -> bool:
            # A list that occurs twice would become an anchor and an alias.
            return True

    Dumper.add_representer(str, _represent_text)
    try:
        body = yaml.dump(
            document,
            Dumper=Dumper,
            sort_keys=False,
            default_flow_style=None if compact else False,
            width=_LINE_WIDTH,
            allow_unicode=False,
        )
    except UnicodeEncodeError as error:
        raise _not_utf8(error) from error
    comments = "".join(f"# {one_line(line)}".rstrip() + "\n" for line in header)
    return (comments + body).encode()


def render_json(document: object) -> bytes:
    r"""Return `document` as indented JSON in its own order, with a line break at the end.

    Engines read JSON with a reader of YAML 1.1. So a character beyond U+FFFF stands as it is: JSON's escape for it, two
    halves, names no character there. One that is not printable is written as `\uNNNN`: such a reader takes neither
    U+007F nor the characters of C1.

    Args:
        document: as for `render_yaml`.

    Returns:
        UTF-8 text. Any string in it is read back as the same string, as JSON and as YAML.

    Raises:
        InvalidSpecError: a string cannot be written as UTF-8.
    """
    import json

    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if not text.isascii() or "\x7f" in text:
        text = "".join(map(_escape, text))
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _not_utf8(error) from error


def _escape(character: str) -> str:
    if character.isprintable() or character == "\n" or character > "\uffff" or "\ud800" <= character <= "\udfff":
        return character
    return f"\\u{ord(character):04x}"


def _not_utf8(error: UnicodeEncodeError) -> InvalidSpecError:
    return InvalidSpecError(
        f"the spec holds text that cannot be written as UTF-8: {error.object[error.start :][:60]!a}"
    )


def _represent_text(dumper: BaseRepresenter, text: str) -> ScalarNode:
    """Quote whatever any reader could take for something else.

    The emitter quotes what YAML 1.1 as PyYAML knows it would misread. Go's readers, the engines', also take
    `1e3` and `0o7` for numbers and `y` for a boolean. So only text that starts like a word or a path, and is
    no such word, is left to the emitter's own rules.
    """
    plain = text[:1] in _PLAIN_FIRST and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else "'")
