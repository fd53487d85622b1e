"""The variables by which options are set, and those that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cdigen.errors import one_line
from cdigen.findings import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "CDIGEN_"

_OTHERS = ("CDIGEN_DEBUG", "CDIGEN_TEST_CACHE")
"""Read by the program itself, and by its tests."""


def name_variables(commands: Iterable[click.Command]) -> None:
    """Give every option its variable.

    By the option's own name: click's auto_envvar_prefix takes the function's parameter, as in ..._AS_JSON.
    """
    for command in commands:
        for option in command.params:
            if isinstance(option, click.Option):
                long = next(name for name in option.opts if name.startswith("--"))
                option.envvar = f"{PREFIX}{command.name}_{long[2:]}".replace("-", "_").upper()


def find_unknown_variables(commands: Iterable[click.Command], environment: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return a warning for every variable of our prefix that no option has, sorted by name."""
    unknown = {name for name in environment if name.startswith(PREFIX)}.difference(_OTHERS)
    if not unknown:
        return ()
    known = {str(option.envvar) for command in commands for option in command.params if option.envvar}
    return tuple(_warning(name, sorted(known)) for name in sorted(unknown - known))


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
