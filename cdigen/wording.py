"""Numbers and lists as the words of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 GPU" or "8 GPUs"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def first_of(names: Sequence[str], most: int, *, separator: str = ", ") -> str:
    """Return names as part of one line, such as "a, b, c and 5 more".

    Args:
        names: the names.
        most: how many are named; of the others there is the number.
        separator: what stands between two names.
    """
    more = len(names) - most
    return separator.join(names[:most]) + (f" and {more} more" if more > 0 else "")


def did_you_mean(names: Sequence[str]) -> str:
    """Return the question whether one of the names was meant, with a blank before it; "" for none."""
    return f" Did you mean {' or '.join(map(repr, names))}?" if names else ""
