"""The part of JSON Schema, draft 2020-12, in which the schemas of this package are written.

A document is anyone's, and of 28 kB of YAML with aliases a library for all of JSON Schema makes a gigabyte: its errors
repeat the value that they are about, and what many aliases name it judges as often. Here an error is found when it is
asked for and repeats nothing, and what several places of a document share is judged once.

Source: json-schema.org/draft/2020-12, json-schema-core (10, applicators) and json-schema-validation (6, assertions).
`$ref` is not among the words: see `schema.load_schema`, which puts what it names in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

Path = tuple[str | int, ...]
Schema = dict[str, object] | bool

FALSE = "false"
"""The rule of a schema that nothing obeys."""

_AGAIN = "again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A rule that a value breaks.

    Attributes:
        rule: the schema's word, or `FALSE`.
        argument: what the schema has there.
        value: what breaks it.
        schema: where the word stands.
        path: of the value; of a name of a property, that of its object.
        is_key: whether `value` is the name of a property.
    """

    rule: str
    argument: object
    value: object
    schema: dict[str, object]
    path: Path
    is_key: bool = False


def find_breaches(document: object, schema: Schema) -> Iterator[Breach]:
    """Yield every breach, in the order of the document and of the schema.

    Args:
        document: dictionaries with text keys, lists and scalars; what stands in several places is judged in the first.
        schema: a schema without `$ref`; of formats, it may have those of `FORMATS`.
    """
    walk = _Walk(_find_shared(document))
    return (breach for breach in walk.check(document, schema, ()) if breach.rule != _AGAIN)


FORMATS: dict[str, Callable[[str], bool]] = {
    "printable": str.isprintable,
    "printable lines": lambda text: text.replace("\n", "").isprintable(),
}
"""Our own formats: text as `errors.one_line` leaves it, and lines of that."""


def _find_shared(document: object) -> set[int]:
    """Return the identities of the collections that stand in several places."""
    seen: set[int] = set()
    shared: set[int] = set()
    rest = [document]
    while rest:
        value = rest.pop()
        if not isinstance(value, dict | list):
            continue
        if id(value) in seen:
            shared.add(id(value))
            continue
        seen.add(id(value))
        rest += value.values() if isinstance(value, dict) else value
    return shared


class _Walk:
    """One document against one schema."""

    def __init__(self, shared: set[int]) -> None:
        self._shared = shared
        # Whether a shared value obeys a schema. A schema stands at one place, so what comes of a breach is the same.
        self._judged: dict[tuple[int, int], bool] = {}

    def check(self, value: object, schema: Schema, path: Path) -> Iterator[Breach]:
        """Yield the breaches of a value; of one that was judged before, one that stands for all if there are any."""
        if isinstance(schema, bool):
            if not schema:
                yield Breach(rule=FALSE, argument=None, value=value, schema={}, path=path)
            return
        key = (id(value), id(schema))
        is_shared = id(value) in self._shared
        if is_shared and key in self._judged:
            if not self._judged[key]:
                yield Breach(rule=_AGAIN, argument=None, value=value, schema=schema, path=path)
            return
        if is_shared:
            self._judged[key] = True
        for word, argument in schema.items():
            rule = _RULES.get(word)
            for breach in rule(self, value, argument, schema, path) if rule else ():
                if is_shared:
                    self._judged[key] = False
                yield breach

    def obeys(self, value: object, schema: object) -> bool:
        return next(self.check(value, cast("Schema", schema), ()), None) is None


Rule = Callable[[_Walk, object, object, dict[str, object], Path], Iterator[Breach]]


def _assertion(word: str, holds: Callable[[object, object], bool]) -> Rule:
    """Return the rule of a word that one look at the value tells."""

    def rule(_: _Walk, value: object, argument: object, schema: dict[str, object], path: Path) -> Iterator[Breach]:
        if not holds(value, argument):
            yield Breach(rule=word, argument=argument, value=value, schema=schema, path=path)

    return rule


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[object, Callable[[object], bool]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or cast("float", value).is_integer()),
    "null": lambda value: value is None,
    "number": _is_number,
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}


def _has_type(value: object, names: object) -> bool:
    return any(_TYPES[name](value) for name in (names if isinstance(names, list) else [names]))


def _equals(value: object, other: object) -> bool:
    """Tell whether a value is the same as one of a schema, which is a scalar; true is not 1."""
    return isinstance(value, bool) == isinstance(other, bool) and value == other


def _bound(kind: type | tuple[type, ...], holds: Callable[..., bool]) -> Callable[[object, object], bool]:
    """Return the assertion of a bound on numbers, or on the size of values of one kind."""

    def within(value: object, limit: object) -> bool:
        if kind is int:
            return not _is_number(value) or holds(value, limit)
        return not isinstance(value, kind) or holds(len(value), limit)  # type: ignore[arg-type]

    return within


def _at_least(value: float, least: float) -> bool:
    return value >= least


def _at_most(value: float, most: float) -> bool:
    return value <= most


def _matches(value: object, pattern: object) -> bool:
    return not isinstance(value, str) or re.search(cast("str", pattern), value) is not None


def _has_format(value: object, name: object) -> bool:
    return not isinstance(value, str) or FORMATS[cast("str", name)](value)


def _has_no_repeats(value: object, wanted: object) -> bool:
    """Tell whether the items of an array of scalars are all different."""
    return not (wanted and isinstance(value, list)) or len({repr(item) for item in value}) == len(value)


def _has_keys(value: object, names: object) -> bool:
    return not isinstance(value, dict) or all(name in value for name in cast("list[str]", names))


def _has_dependents(value: object, names: object) -> bool:
    return not isinstance(value, dict) or all(
        _has_keys(value, needed) for name, needed in cast("dict[str, list[str]]", names).items() if name in value
    )


def _properties(walk: _Walk, value: object, argument: object, _: dict[str, object], path: Path) -> Iterator[Breach]:
    if isinstance(value, dict):
        for name, schema in cast("dict[str, Schema]", argument).items():
            if name in value:
                yield from walk.check(value[name], schema, (*path, name))


def _additional(
    walk: _Walk, value: object, argument: object, schema: dict[str, object], path: Path
) -> Iterator[Breach]:
    if not isinstance(value, dict):
        return
    known = cast("dict[str, Schema]", schema.get("properties", {}))
    if argument is False:
        if any(name not in known for name in value):
            yield Breach(rule="additionalProperties", argument=False, value=value, schema=schema, path=path)
        return
    for name, item in value.items():
        if name not in known:
            yield from walk.check(item, cast("Schema", argument), (*path, name))


def _names(walk: _Walk, value: object, argument: object, _: dict[str, object], path: Path) -> Iterator[Breach]:
    for name in value if isinstance(value, dict) else ():
        for breach in walk.check(name, cast("Schema", argument), ()):
            yield Breach(
                rule=breach.rule,
                argument=breach.argument,
                value=name,
                schema=breach.schema,
                path=path,
                is_key=True,
            )


def _items(walk: _Walk, value: object, argument: object, schema: dict[str, object], path: Path) -> Iterator[Breach]:
    if isinstance(value, list):
        before = len(cast("list[Schema]", schema.get("prefixItems", [])))
        for position in range(before, len(value)):
            yield from walk.check(value[position], cast("Schema", argument), (*path, position))


def _first_items(walk: _Walk, value: object, argument: object, _: dict[str, object], path: Path) -> Iterator[Breach]:
    if isinstance(value, list):
        for position, (item, schema) in enumerate(zip(value, cast("list[Schema]", argument), strict=False)):
            yield from walk.check(item, schema, (*path, position))


def _all_of(walk: _Walk, value: object, argument: object, _: dict[str, object], path: Path) -> Iterator[Breach]:
    for schema in cast("list[Schema]", argument):
        yield from walk.check(value, schema, path)


def _number_of(word: str, holds: Callable[[int], bool]) -> Rule:
    """Return the rule of a word that asks how many of several schemas a value obeys."""

    def rule(walk: _Walk, value: object, argument: object, schema: dict[str, object], path: Path) -> Iterator[Breach]:
        if not holds(sum(walk.obeys(value, choice) for choice in cast("list[Schema]", argument))):
            yield Breach(rule=word, argument=argument, value=value, schema=schema, path=path)

    return rule


def _not(walk: _Walk, value: object, argument: object, schema: dict[str, object], path: Path) -> Iterator[Breach]:
    if walk.obeys(value, argument):
        yield Breach(rule="not", argument=argument, value=value, schema=schema, path=path)


def _if(walk: _Walk, value: object, argument: object, schema: dict[str, object], path: Path) -> Iterator[Breach]:
    branch = schema.get("then" if walk.obeys(value, argument) else "else", True)
    yield from walk.check(value, cast("Schema", branch), path)


_RULES: dict[str, Rule] = {
    "additionalProperties": _additional,
    "allOf": _all_of,
    "anyOf": _number_of("anyOf", lambda number: number > 0),
    "const": _assertion("const", _equals),
    "dependentRequired": _assertion("dependentRequired", _has_dependents),
    "enum": _assertion("enum", lambda value, known: any(_equals(value, one) for one in cast("list[object]", known))),
    "format": _assertion("format", _has_format),
    "if": _if,
    "items": _items,
    "maxItems": _assertion("maxItems", _bound(list, _at_most)),
    "maxLength": _assertion("maxLength", _bound(str, _at_most)),
    "maxProperties": _assertion("maxProperties", _bound(dict, _at_most)),
    "maximum": _assertion("maximum", _bound(int, _at_most)),
    "minItems": _assertion("minItems", _bound(list, _at_least)),
    "minLength": _assertion("minLength", _bound(str, _at_least)),
    "minProperties": _assertion("minProperties", _bound(dict, _at_least)),
    "minimum": _assertion("minimum", _bound(int, _at_least)),
    "not": _not,
    "oneOf": _number_of("oneOf", lambda number: number == 1),
    "pattern": _assertion("pattern", _matches),
    "prefixItems": _first_items,
    "properties": _properties,
    "propertyNames": _names,
    "required": _assertion("required", _has_keys),
    "type": _assertion("type", _has_type),
    "uniqueItems": _assertion("uniqueItems", _has_no_repeats),
}

WORDS = frozenset(_RULES) | {"$comment", "$schema", "description", "else", "then", "title"}
"""What a schema may have."""
