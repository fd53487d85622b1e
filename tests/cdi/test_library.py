"""The registry takes what the CDI library takes, and `validate` nothing else: asked of thousands of documents."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, cast

import pytest

from cdigen.cdi.validate import find_violations
from cdigen.errors import ParseError
from cdigen.parse.document import parse_document
from cdigen.parse.engine_document import parse_as_engines
from cdigen.specs.reading import find_misreadings, parse_spec
from tests.cdi.library import RULES, RefusedError, broken_rules, decode, read_spec
from tests.cdi.near_specs import NearSpec, make_near_spec

if TYPE_CHECKING:
    from cdigen.schema import Violation

SEEDS = range(8)
EACH = 250


def verdict_of_the_library(data: bytes) -> str | None:
    """Return the rule by which it refuses what its reader has read; None if it takes it."""
    try:
        read_spec(parse_as_engines(data))
    except RefusedError as error:
        return str(error)
    return None


def judge(spec: NearSpec) -> tuple[Violation, ...] | None:
    """Return what `validate` says of a file; None if it cannot be parsed."""
    try:
        document = parse_document(spec.data, is_json=spec.suffix == ".json")
    except ParseError:
        return None
    return find_violations(document, misread=find_misreadings(spec.data, document))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_registry_takes_what_the_library_takes(seed: int) -> None:
    rng = Random(seed)  # noqa: S311 - it is for the same documents each time
    verdicts: list[bool] = []
    for number in range(EACH):
        spec = make_near_spec(rng, f"{seed}x{number}")
        try:
            _, violations = parse_spec(spec.data)
            refusal = verdict_of_the_library(spec.data)
        except ParseError:
            assert judge(spec) != ()
            continue
        assert (violations == ()) == (refusal is None), (spec, refusal, violations)
        if judge(spec) == ():
            assert refusal is None, spec
        verdicts.append(refusal is None)
    assert EACH // 5 < sum(verdicts) < EACH * 4 // 5  # neither verdict is rare


def test_every_rule_of_the_library_is_broken_by_some_document() -> None:
    rng = Random(1)  # noqa: S311 - likewise
    broken: set[str] = set()
    for number in range(2500):
        spec = make_near_spec(rng, f"r{number}")
        with suppress(ParseError, RefusedError):
            broken.update(broken_rules(cast("dict[str, object]", decode(parse_as_engines(spec.data), "Spec"))))
    assert {rule.source for rule in RULES} - broken == set()
