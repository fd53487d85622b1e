"""How much something costs, in units that no machine and no neighbour changes.

Seconds are for benchmarks: a bound in them is too tight on a slow machine and too loose on a fast one. What must stay
in bounds is counted here as calls of functions, and measured as bytes.
"""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class TooMuchWorkError(AssertionError):
    """More calls than allowed: it is stopped there, so that a test of something endless ends."""


def calls_of(do: Callable[[], object], *, most: int = 100_000_000) -> int:
    """Return how many functions `do` calls in this thread, Python's own and those written in C.

    Args:
        do: what is measured; what it raises is passed on.
        most: calls at which it is stopped.

    Raises:
        TooMuchWorkError: it made more than `most`.
    """
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1
            if calls > most:
                raise TooMuchWorkError(f"more than {most} calls")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        do()
    finally:
        sys.setprofile(before)
    return calls


def peak_of(do: Callable[[], object]) -> int:
    """Return the most bytes that `do` has allocated at once through Python's allocators."""
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
