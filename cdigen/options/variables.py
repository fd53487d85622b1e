"""The variables by which options are set, and those that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cdigen.errors import one_line
from cdigen.findings import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PREFIX = "CDIGEN_"

_OTHERS = ("CDIGEN_DEBUG", "CDIGEN_TEST_CACHE")
"""Read by the program itself, and by its tests."""


def name_variables(verb: click.Command) -> None:
    """Give every option of a verb its variable.

    By the option's own name: click's auto_envvar_prefix takes the function's parameter, as in ..._AS_JSON.
    """
    for option in verb.params:
        if isinstance(option, click.Option):
            long = next(name for name in option.opts if name.startswith("--"))
            option.envvar = _variable(f"{verb.name}_{long[2:]}")


def find_unknown_variables(
    verbs: Iterable[str], load: Callable[[str], click.Command], environment: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Return a warning for every variable of our prefix that no option has, sorted by name.

    Args:
        verbs: the names of all.
        load: returns the verb of a name. Only those are asked for that a variable may be of.
        environment: the variables.
    """
    given = {name for name in environment if name.startswith(PREFIX)}.difference(_OTHERS)
    if not given:
        return ()
    asked = [verb for verb in verbs if any(name.startswith(_variable(verb)) for name in given)]
    unknown = sorted(given.difference(_variables_of(map(load, asked))))
    known = sorted(_variables_of(map(load, verbs))) if unknown else []
    return tuple(_warning(name, known) for name in unknown)


def _variable(name: str) -> str:
    return f"{PREFIX}{name}".replace("-", "_").upper()


def _variables_of(verbs: Iterable[click.Command]) -> set[str]:
    return {str(option.envvar) for verb in verbs for option in verb.params if option.envvar}


def _warning(name: str, known: list[str]) -> Finding:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1, cutoff=0.8)
    shown = one_line(name)
    return Finding(
        level="warning",
        code="unknown-variable",
        subject=shown,
        message=f"ignoring the environment variable {shown}: cdigen has no such setting",
        remedy=Remedy(f"did you mean {near[0]}?" if near else ""),
    )
