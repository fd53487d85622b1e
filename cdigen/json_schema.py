"""JSON Schema, draft 2020-12, by the library jsonschema, at a cost that no document can choose.

The library's errors repeat the value that they are about, and what many aliases of a YAML document name it would judge
as often: 28 kB can make a gigabyte of that. So it is given a copy of the document in which large values are short when
they are repeated, and which remembers of what stands in several places how it was judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from cdigen.records import Record

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import ValidationError

Schema = dict[str, object]
Rule = Callable[[Any, object, object, Schema], Iterator["ValidationError"] | None]

FORMATS: dict[str, Callable[[str], bool]] = {
    "printable": str.isprintable,
    "printable lines": lambda text: text.replace("\n", "").isprintable(),
}
"""Our own formats: text as `errors.one_line` leaves it, and lines of that."""

_AGAIN = "again"
_LONG = 200  # characters of text


class Breach(Record):
    """A rule that a value breaks.

    Attributes:
        rule: the schema's word.
        argument: what the schema has there.
        value: what breaks it.
        schema: where the word stands.
        path: of the value; of a name of a property, that of its object.
        is_key: whether `value` is the name of a property.
    """

    rule: str
    argument: object
    value: object
    schema: Schema
    path: tuple[str | int, ...]
    is_key: bool = False


def find_breaches(document: object, schema: Schema) -> Iterator[Breach]:
    """Yield every breach, in the order of the schema and of the document, each as it is asked for.

    Args:
        document: dictionaries with text keys, lists and scalars; what stands in several places is judged in the first.
        schema: a schema without `$ref`, always the same object; of formats, it may have those of `FORMATS`.
    """
    for error in _validator_class()(schema, format_checker=_format_checker()).iter_errors(_quieten(document, {})):
        if error.validator != _AGAIN:
            yield Breach(
                rule=str(error.validator),
                argument=error.validator_value,
                value=error.instance,
                schema=dict(error.schema) if isinstance(error.schema, Mapping) else {},
                path=tuple(error.absolute_path),
                is_key="propertyNames" in error.absolute_schema_path,
            )


class _Shareable:
    """What a collection of the copy has beside its items.

    Attributes:
        judged: by word and schema, whether they are obeyed; None if the collection stands in one place.
    """

    judged: dict[tuple[str, int], bool] | None = None

    def __repr__(self) -> str:
        return "..."


class _Object(_Shareable, dict[str, object]):
    pass


class _Array(_Shareable, list[object]):
    pass


class _Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "..."


def _quieten(value: object, made: dict[int, _Object | _Array | _Text]) -> object:
    """Return the copy of a value; `made` has those before it, by identity."""
    if not isinstance(value, dict | list) and not (isinstance(value, str) and len(value) > _LONG):
        return value
    copy = made.get(id(value))
    if copy is not None:
        if isinstance(copy, _Shareable):
            copy.judged = {}
        return copy
    if isinstance(value, str):
        made[id(value)] = text = _Text(value)
        return text
    if isinstance(value, dict):
        made[id(value)] = copied = _Object()
        copied.update((key, _quieten(item, made)) for key, item in value.items())
        return copied
    made[id(value)] = array = _Array()
    array.extend(_quieten(item, made) for item in value)
    return array


@cache
def _validator_class() -> type[Draft202012Validator]:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    rules: dict[str, Rule] = {**Draft202012Validator.VALIDATORS, "uniqueItems": _check_unique}
    bounded = {word: _once(word, rule) for word, rule in rules.items()}
    return extend(Draft202012Validator, bounded)  # type: ignore[no-any-return, no-untyped-call]  # it has no annotations


@cache
def _format_checker() -> FormatChecker:
    from jsonschema import FormatChecker

    checker = FormatChecker(())
    for name, holds in FORMATS.items():
        checker.checks(name)(lambda value, holds=holds: not isinstance(value, str) or holds(value))
    return checker


def _once(word: str, rule: Rule) -> Rule:
    """Return the rule, of which a value that was judged before breaks at most one, which stands for all."""

    def check(validator: object, argument: object, value: object, schema: Schema) -> Iterator[ValidationError]:
        from jsonschema.exceptions import ValidationError

        judged = value.judged if isinstance(value, _Shareable) else None
        key = (word, id(schema))
        if judged is not None and key in judged:
            if not judged[key]:
                yield ValidationError("", validator=_AGAIN)
            return
        if judged is not None:
            judged[key] = True
        for error in rule(validator, argument, value, schema) or ():
            if judged is not None:
                judged[key] = False
            yield error

    return check


def _check_unique(_: object, wanted: object, value: object, __: Schema) -> Iterator[ValidationError]:
    """Find repeats among scalars; the library compares each with each where they cannot be sorted."""
    from jsonschema.exceptions import ValidationError

    if not (wanted and isinstance(value, list)):
        return
    scalars = [(type(item), item) for item in value if not isinstance(item, dict | list)]
    if len(set(scalars)) < len(scalars):
        yield ValidationError("has repeats")
