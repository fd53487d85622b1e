"""Refuses a spec whose containers would lack a device node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import IncompleteError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdigen.facts import MissingNode

_SHOWN = 8


def refuse_missing(missing: Iterable[MissingNode], gpus: Iterable[int]) -> None:
    """Raise an error that names every missing node, and whose it is.

    Args:
        missing: of the whole host.
        gpus: the indices of the GPUs that the spec is to offer; what only others lack does not matter.

    Raises:
        IncompleteError: something of them or of the driver itself is missing.
    """
    indices = set(gpus)
    relevant = [node for node in missing if node.gpu is None or node.gpu in indices]
    if not relevant:
        return
    problems: dict[str, list[str]] = {}
    for node in relevant[:_SHOWN]:
        whose = f" ({node.whose})" if node.whose else ""
        problems.setdefault(node.problem, []).append(f"{one_line(node.host_path)}{whose}")
    parts = []
    for problem, names in problems.items():
        if len(names) > 1 and problem.startswith("is "):
            problem = f"are {problem.removeprefix('is ')}"
        parts.append(f"{', '.join(names)} {problem}")
    more = len(relevant) - _SHOWN
    if more > 0:
        parts.append(f"and {more} more")
    raise IncompleteError(
        "; ".join(parts), hint="create with", commands=("cdigen nodes --create",), code="missing-node"
    )
