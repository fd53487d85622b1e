"""Checks a document against one of the JSON Schemas that ship with the package.

The schemas (draft 2020-12) stand in `schemas/`. In them, a `description` that starts with a small letter is
a noun phrase that completes "... is not <description>": beside a pattern or a format it is what a user reads instead of
the rule, and beside an anyOf or a oneOf of a schema for input it has to be there, because "none of these" helps nobody.
Formats are our own: `printable` is text as `one_line` leaves it, `printable lines` are lines of that.
"""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, cast

from cdigen.errors import one_line
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cdigen.json_schema import Breach, Schema

MOST_VIOLATIONS = 200
"""The most violations of one document that are looked for: a hostile one can have a million."""

_MOST_NAMED = 10  # violations in one line
_PREVIEW = 60  # characters of a foreign value that a message repeats

_TYPE_NAMES = {
    "array": "an array",
    "boolean": "a boolean",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


class Violation(Record):
    """One rule that a document breaks.

    Attributes:
        place: where in the document, as `$.devices[2].name`; `$` is the whole document.
        message: what is wrong there, one line.
    """

    place: str
    message: str


AND_MORE = Violation(place="$", message=f"and more than these {MOST_VIOLATIONS}, which were not looked for")
"""Stands behind the violations of a document that has too many."""


def find_schema_violations(document: object, schema_name: str) -> tuple[Violation, ...]:
    """Return every place where `document` breaks the schema `schemas/<schema_name>.schema.json`.

    Args:
        document: what `cdigen.parse.document` returns: dictionaries with text keys, lists and scalars.
        schema_name: the schema's name, e.g. `cdi`.

    Returns:
        As `first_violations`; empty if the document is valid.
    """
    return first_violations(schema_violations(document, schema_name))


def schema_violations(document: object, schema_name: str) -> Iterator[Violation]:
    """Yield what `find_schema_violations` returns, as it is found; what stands in several places has one place."""
    from cdigen.json_schema import find_breaches

    for breach in find_breaches(document, load_schema(schema_name)):
        yield from _explain(breach)


def first_violations(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """Return the first `MOST_VIOLATIONS`, sorted, and `AND_MORE` behind them if there are others.

    Args:
        violations: as they are found. What comes after the first ones is not looked for.
    """
    found = iter(violations)
    first = sort_violations(islice(found, MOST_VIOLATIONS))
    return first if next(found, None) is None else (*first, AND_MORE)


def sort_violations(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """Return the violations without repeats, by place (array positions as numbers), then by message."""

    def key(violation: Violation) -> tuple[list[tuple[int, int, str]], str]:
        steps = violation.place.replace("[", ".").replace("]", "").split(".")
        return [(0, int(s), "") if s.isdecimal() else (1, 0, s) for s in steps], violation.message

    return tuple(sorted(set(violations), key=key))


def summarise(violations: Sequence[Violation]) -> str:
    """Return violations as part of one line: the first with their places, and how many more there are."""
    places = "; ".join(f"{violation.place}: {violation.message}" for violation in violations[:_MOST_NAMED])
    more = len(violations) - _MOST_NAMED
    if AND_MORE in violations:
        return f"{places}; and more than {more - 1} others"
    return f"{places}; and {more} more" if more > 0 else places


def format_place(path: Iterable[str | int]) -> str:
    """Return the place that `path`, keys and array positions from the root, leads to.

    A key that is not a plain identifier is quoted (`$['odd key']`), with escapes, and cut if it is long.
    """
    place = "$"
    for step in path:
        if isinstance(step, int):
            place += f"[{step}]"
        elif step.isascii() and step.isidentifier() and len(step) <= _PREVIEW:
            place += f".{step}"
        else:
            place += f"[{preview(step)}]"
    return place


def preview(value: object) -> str:
    """Return `value` as a message may repeat it: one line, and short however large the value is."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        cut = value if len(value) <= _PREVIEW else value[:_PREVIEW] + "…"
        escaped = cut.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{one_line(escaped)}'"
    if isinstance(value, int | float):
        text = str(value)
        return text if len(text) <= _PREVIEW else text[:_PREVIEW] + "…"
    return "this array" if isinstance(value, list) else "this object"


@cache
def load_schema(name: str) -> Schema:
    """Return `schemas/<name>.schema.json`, what each `$ref` names in its place."""
    import json
    from pathlib import Path

    schema = json.loads((Path(__file__).parent / "schemas" / f"{name}.schema.json").read_bytes())
    return cast("Schema", _inline(schema, schema["$defs"]))


def _inline(part: object, definitions: dict[str, object]) -> object:
    """Return `part` of a schema with what each `$ref` names in its place; none may name what it stands in."""
    if isinstance(part, list):
        return [_inline(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    rest = {key: _inline(value, definitions) for key, value in part.items() if key not in {"$ref", "$defs"}}
    if isinstance(known := rest.get("properties"), dict):
        # The library does not say at which of them the schema `false` stands.
        rest["properties"] = {key: {"not": {}} if value is False else value for key, value in known.items()}
    if "$ref" not in part:
        return rest
    target = _inline(definitions[part["$ref"].removeprefix("#/$defs/")], definitions)
    return {"allOf": [target, rest]} if rest else target


def _explain(breach: Breach) -> Iterator[Violation]:
    """Yield what one breach means, in our words and each at its own place."""
    if breach.is_key:
        # The path is that of the object; its key is what is wrong.
        yield Violation(place=format_place([*breach.path, str(breach.value)]), message=_describe(breach))
    elif breach.rule == "additionalProperties" and isinstance(breach.value, dict):
        for key in _find_unknown_keys(breach.value, breach.schema):
            message = f"unknown key{_suggest(key, breach.schema)}"
            yield Violation(place=format_place([*breach.path, key]), message=message)
    elif breach.rule == "required" and isinstance(breach.value, dict):
        for key in _texts(breach.argument):
            if key not in breach.value:
                yield Violation(place=format_place(breach.path), message=f"key {preview(key)} is missing")
    else:
        yield Violation(place=format_place(breach.path), message=_describe(breach))


def _describe(breach: Breach) -> str:
    value, argument = breach.value, breach.argument
    size = len(value) if isinstance(value, str | list | dict) else 0
    match breach.rule:
        case "type":
            names = [argument] if isinstance(argument, str) else _texts(argument)
            # The classic slip of YAML: `name: 0` is a number and `- on` is a boolean.
            hint = "; put it in quotes" if "string" in names and isinstance(value, int | float) else ""
            return f"{preview(value)} is not {' or '.join(_TYPE_NAMES[name] for name in names)}{hint}"
        case "enum" if isinstance(argument, list):
            return f"{preview(value)} is not one of {', '.join(map(preview, argument))}"
        case "const":
            return f"{preview(value)} is not {preview(argument)}"
        case "minimum":
            return f"{preview(value)} is too small, the lowest value is {argument}"
        case "maximum":
            return f"{preview(value)} is too large, the highest value is {argument}"
        case "minLength" | "minItems" | "minProperties":
            return "must not be empty" if size == 0 else f"has a length of {size}, the least is {argument}"
        case "maxLength" | "maxItems" | "maxProperties":
            return f"has a length of {size}, the most is {argument}"
        case "pattern" | "format" | "anyOf" | "oneOf":
            phrase = breach.schema.get("description")
            if isinstance(phrase, str) and phrase[:1].islower():
                return f"{preview(value)} is not {phrase}"
            rule = preview(argument) if breach.rule == "pattern" else "one of the allowed forms"
            return f"{preview(value)} does not match {rule}"
        case "not" if argument == {}:
            return f"{preview(value)} is not allowed here"
        case _:
            return f"breaks the schema's rule {preview(breach.rule)}"


def _find_unknown_keys(value: dict[str, object], schema: dict[str, object]) -> Iterator[str]:
    import re

    known, patterns = schema.get("properties"), schema.get("patternProperties")
    for key in value:
        if isinstance(known, dict) and key in known:
            continue
        if not any(re.search(pattern, key) for pattern in (patterns if isinstance(patterns, dict) else ())):
            yield key


def _suggest(key: str, schema: dict[str, object]) -> str:
    from difflib import get_close_matches

    known = schema.get("properties")
    # Matching is quadratic in the length, and a key as long as a sentence has no near miss.
    if not isinstance(known, dict) or len(key) > _PREVIEW:
        return ""
    near = get_close_matches(key, known, n=1)
    return f", did you mean {preview(near[0])}?" if near else ""


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
