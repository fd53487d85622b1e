"""Refuses a spec without a library of the driver's own that something in it needs, or says what it is without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import IncompleteError
from cdigen.findings import Finding, Remedy
from cdigen.wording import first_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cdigen.facts import Inventory, LackingLibrary
    from cdigen.plan.options import BuildOptions

LACKING_LIBRARY = "lacking-library"
"""The code of the error and of the findings."""

_SHOWN = 8


def find_relevant(
    inventory: Inventory, options: BuildOptions, libraries: Collection[str]
) -> tuple[LackingLibrary, ...]:
    """Return the libraries that are lacking in a spec, each once.

    Args:
        inventory: the facts.
        options: the choices: what only a group needs that is not chosen does not matter.
        libraries: host paths of the libraries that are chosen.
    """
    chosen = {*libraries, *(file.host_path for file in inventory.files if file.group in options.capabilities)}
    found: dict[tuple[str, int], LackingLibrary] = {}
    for lacking in inventory.lacking:
        is_needed = lacking.needed_by in chosen if lacking.needed_by else lacking.group in options.capabilities
        if is_needed and (lacking.bits == 64 or options.compat32):
            found.setdefault((lacking.name, lacking.bits), lacking)
    return tuple(found.values())


def refuse_lacking(lacking: Iterable[LackingLibrary], version: str) -> None:
    """Raise an error that names every library that is lacking.

    Raises:
        IncompleteError: there is one.
    """
    parts = [_describe(library) for library in lacking]
    if parts:
        remedy = _remedy(version)
        raise IncompleteError(
            f"the user-space driver {version} is incomplete: {first_of(parts, _SHOWN)}",
            hint=f"{remedy.hint}, or leave {'it' if len(parts) == 1 else 'them'} out with --allow-incomplete",
            code=LACKING_LIBRARY,
        )


def warn_of_lacking(lacking: Iterable[LackingLibrary], version: str) -> tuple[Finding, ...]:
    """Return a finding for each library that is lacking in a spec which is wanted all the same."""
    return tuple(
        Finding(
            level="warning",
            code=LACKING_LIBRARY,
            subject=library.host_path or library.name,
            message=f"containers lack a library of the driver: {_describe(library)}",
            remedy=_remedy(version),
        )
        for library in lacking
    )


def _describe(library: LackingLibrary) -> str:
    bits = "" if library.bits == 64 else f"{library.bits}-bit "
    return f"{bits}{library.host_path or library.name} {library.problem} ({library.why})"


def _remedy(version: str) -> Remedy:
    return Remedy(f"reinstall the user-space driver {version}")
