"""YAML as a stream of events, turned into a value without recursion.

Composing nodes, the usual way, recurses without a limit and follows aliases however much they copy. From
events, depth, size and copies are known before anything is built, and a duplicate key still has its line.

Of YAML 1.1 only what JSON can say is taken. Sources: yaml.org/spec/1.1 chapter 10, yaml.org/type. Where it
leaves what a word means to the reader (dates, numbers of base 60), text is text, as it is for the engines.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)

from cdigen.errors import ParseError, one_line
from cdigen.parse.limits import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_NUMBER_LENGTH,
    TOO_DEEP,
    TOO_MANY,
    format_line,
    most_aliased,
    place_in,
    quote,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TAG = "tag:yaml.org,2002:"

WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}


def parse_yaml(text: str) -> object:
    """Return the value of the one YAML document in `text`; see `cdigen.parse.document.parse_document`.

    Raises:
        ParseError: not YAML, none or several documents, a key that is not text or stands twice, a merge key,
            a tag that JSON has no type for, a number that is not finite or too long, or over a limit.
    """
    builder = Builder()
    build_from(text, builder)
    return builder.finish()


def build_from(text: str, builder: Builder) -> None:
    """Let `builder` take the events of a YAML text; raises ParseError where it is not YAML, or the builder does."""
    try:
        builder.build(_events(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark:
            _check_depth(text[: mark.index])
        where = f"{format_line(mark.line, mark.column)}: " if mark else ""
        raise ParseError(f"{where}{one_line(error.problem or error.context or 'not YAML')}") from error
    except yaml.reader.ReaderError as error:
        character = chr(error.character) if isinstance(error.character, int) else "?"
        where = f"{place_in(text, text.index(character))}: " if character in text else ""
        raise ParseError(f"{where}the character {quote(character)} is not allowed") from error
    except (ValueError, OverflowError) as error:
        # Without libyaml, an escape such as "\Uffffffff" reaches chr().
        raise ParseError("an escape names no character") from error


def _events(text: str) -> Iterator[Event]:
    # libyaml's reader is many times faster; PyYAML may be built without it.
    return yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _check_depth(read: str) -> None:
    """Raise a ParseError if `read`, what comes before the place of an error, is nested too deep.

    The reader looks ahead, as far as a key may be long, before it gives an event. PyYAML has a limit of its own from
    6.0.4 (1000 levels), so it may come to that limit before it gives the event that is over ours.
    """
    depth = 0
    with suppress(yaml.MarkedYAMLError):
        for event in _events(read):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise error_at(event, TOO_DEEP)


class _Node:
    """A complete value, with the number of values that it is and the levels that it has."""

    __slots__ = ("height", "size", "value")

    def __init__(self, value: object, size: int = 1, height: int = 0) -> None:
        self.value = value
        self.size = size
        self.height = height


class _Collection:
    """A sequence or a mapping whose end has not come yet."""

    __slots__ = ("anchor", "height", "is_merging", "items", "key", "keys", "size")

    def __init__(self, start: CollectionStartEvent) -> None:
        self.anchor = start.anchor
        self.items: list[object] = []
        self.keys: dict[str, None] | None = {} if isinstance(start, MappingStartEvent) else None
        self.key: str | None = None
        self.is_merging = False  # whether what comes next are entries of other mappings
        self.size = 1
        self.height = 0

    @property
    def awaits_key(self) -> bool:
        return self.keys is not None and len(self.keys) == len(self.items) and not self.is_merging

    def add(self, node: _Node) -> None:
        self.items.append(node.value)
        self.size += node.size
        self.height = max(self.height, node.height)

    def finish(self) -> _Node:
        value = self.items if self.keys is None else dict(zip(self.keys, self.items, strict=True))
        return _Node(value, self.size, self.height + 1)


class Builder:
    """Takes events, keeps what is open on a stack, and has the value at the end.

    What a scalar, a key and a tag are is told by methods of its own, so that another reader may tell it otherwise.
    """

    def __init__(self) -> None:
        self._size = 0
        self._aliased = 0  # of that, what aliases stand for
        self._open: list[_Collection] = []
        self._anchors: dict[str, _Node | None] = {}  # None while the collection is open
        self._root: _Node | None = None

    def build(self, events: Iterable[Event]) -> None:
        """Take the events of one document."""
        for event in events:
            if isinstance(event, ScalarEvent):
                self._add_scalar(event)
            elif isinstance(event, AliasEvent):
                node = self._find(event)
                self._count(node.size + 1, event)
                self._count_aliased(node.size, event)
                self._add(_Node(node.value, node.size + 1, node.height), event)
            elif isinstance(event, CollectionStartEvent):
                self._start(event)
            elif isinstance(event, CollectionEndEvent):
                collection = self._open.pop()
                node = collection.finish()
                if collection.anchor is not None:
                    self._anchors[collection.anchor] = node
                self._add(node, event)
            elif isinstance(event, DocumentStartEvent) and self._root is not None:
                raise error_at(event, "a second document; only one is allowed")

    def finish(self) -> object:
        """Return the document's value."""
        if self._root is None:
            raise ParseError("no document in it")
        return self._root.value

    def _add_scalar(self, event: ScalarEvent) -> None:
        self._count(1, event)
        if not event.value.isascii() and re.search("[\ud800-\udfff]", event.value):
            raise error_at(event, "an escape names half a character")  # only without libyaml
        node = _Node(self.to_scalar(event))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._add(node, event)

    def _start(self, event: CollectionStartEvent) -> None:
        self._count(1, event)
        self.check_tag(event)
        if len(self._open) >= MAX_DEPTH:
            raise error_at(event, TOO_DEEP)
        if self._open and self._open[-1].awaits_key:
            raise error_at(event, "a key that is not text")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Collection(event))

    def _find(self, event: AliasEvent) -> _Node:
        if event.anchor not in self._anchors:
            raise error_at(event, f"the alias {quote(str(event.anchor))} names nothing")
        node = self._anchors[event.anchor]
        if node is None:
            raise error_at(event, f"the alias {quote(str(event.anchor))} stands in what it names")
        return node

    def _count(self, size: int, event: Event) -> None:
        self._size += size
        if self._size > MAX_NODES:
            raise error_at(event, TOO_MANY)

    def _count_aliased(self, size: int, event: Event) -> None:
        """Refuse a document that is made of aliases, as the engines' reader does (go-yaml v2, decode.go, unmarshal)."""
        self._aliased += size
        total = self._size + 1  # the document counts too
        if self._aliased > 100 and total > 1000 and self._aliased > total * most_aliased(total):
            raise error_at(
                event, f"aliases stand for {self._aliased} of the {total} values up to here, which is too much"
            )

    def _add(self, node: _Node, event: Event) -> None:
        if len(self._open) + node.height > MAX_DEPTH:
            raise error_at(event, TOO_DEEP)
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        if parent.keys is not None and parent.awaits_key:
            if self.is_merge_key(event):
                parent.is_merging = True
            else:
                _add_key(parent.keys, self.to_key(node.value, event), event)
                parent.size += 1
        elif parent.keys is not None and parent.is_merging:
            parent.is_merging = False
            self._merge(parent, parent.keys, node, event)
        else:
            parent.add(node)

    def _merge(self, parent: _Collection, keys: dict[str, None], node: _Node, event: Event) -> None:
        for mapping in node.value if isinstance(node.value, list) else [node.value]:
            if not isinstance(mapping, dict):
                raise error_at(event, "a merge key (<<) of what is not a mapping")
            for key, value in mapping.items():
                _add_key(keys, key, event)
                parent.items.append(value)
        parent.size += node.size
        parent.height = max(parent.height, node.height)

    def check_tag(self, event: CollectionStartEvent) -> None:
        """Refuse a tag that a collection must not have."""
        wanted = TAG + ("map" if isinstance(event, MappingStartEvent) else "seq")
        if event.tag is not None and event.tag not in {"!", wanted}:
            raise error_at(event, f"the tag {quote(event.tag)} is not supported here")

    def to_key(self, value: object, event: Event) -> str:
        """Return a value as a key."""
        if not isinstance(value, str):
            raise error_at(event, "a key that is neither text nor in quotes")
        return value

    def is_merge_key(self, event: Event) -> bool:
        """Tell whether a key brings the entries of other mappings here."""
        if isinstance(event, ScalarEvent) and event.value == "<<" and not event.style:
            # Not in YAML 1.2, and not every engine's reader knows them.
            raise error_at(event, "a merge key (<<), which is not supported here")
        return False

    def to_scalar(self, event: ScalarEvent) -> object:
        """Return the value of a scalar."""
        text, tag = event.value, event.tag
        if tag == TAG + "str" or (tag in {None, "!"} and event.style) or tag == "!":
            return text
        value = _resolve(text, event)
        types = {TAG + "null": type(None), TAG + "bool": bool, TAG + "int": int, TAG + "float": float}
        if tag is not None and types.get(tag) is not type(value):
            raise error_at(event, f"the tag {quote(tag)} is not supported here")
        return value


def _add_key(keys: dict[str, None], key: str, event: Event) -> None:
    if key in keys:
        raise error_at(event, f"duplicate key {quote(key)}")
    keys[key] = None


def _resolve(text: str, event: Event) -> object:
    """Return what a scalar means that is not in quotes."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if text.lower().lstrip("+-") in {".inf", ".nan"}:
        raise error_at(event, f"{text} is not a number that a document may have")
    value = parse_number(text, event)
    if value in {float("inf"), float("-inf")}:
        raise error_at(event, f"a number that is too large: {quote(text)}")
    return text if value is None else value


def parse_number(text: str, event: Event) -> int | float | None:
    """Return what a scalar that is not in quotes is as a number; None if it is none."""
    digits = text.replace("_", "").lower()
    whole = re.fullmatch(r"([-+]?)(?:0b([01]+)|0o?([0-7]+)|0x([0-9a-f]+)|(0|[1-9][0-9]*))", digits)
    real = re.fullmatch(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:e[-+]?[0-9]+)?", digits)
    if not whole and not real:
        return None
    if len(text) > MAX_NUMBER_LENGTH:
        raise error_at(event, f"a number of {len(text)} characters: {quote(text)}")
    if not whole:
        return float(digits)
    sign, *by_base = whole.groups()
    number = next(int(part, base) for part, base in zip(by_base, (2, 8, 16, 10), strict=True) if part)
    return -number if sign == "-" else number


def error_at(event: Event, reason: str) -> ParseError:
    """Return the error for what is at an event."""
    mark = event.start_mark
    return ParseError(f"{format_line(mark.line, mark.column)}: {reason}" if mark else reason)
