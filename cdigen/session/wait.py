"""Waits, for a bounded time, for a driver that is still coming up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cdigen.errors import UsageError
from cdigen.host import UNSEEN
from cdigen.report import say
from cdigen.session.readiness import find_lacking
from cdigen.session.target import open_session
from cdigen.wording import first_of

if TYPE_CHECKING:
    from cdigen.session.target import Target

_FIRST_PAUSE = 0.05  # seconds
_LONGEST_PAUSE = 0.5
_MOST_NAMED = 3


def check_wait(target: Target) -> None:
    """Raise UsageError if `target` is a host that does not change."""
    if target.snapshot is not None:
        raise UsageError(
            "--wait waits for a host to change and cannot be used together with --snapshot",
            hint="use one of them",
            code="conflicting-options",
        )


def wait_for_driver(target: Target, seconds: float, *, makes_nodes: bool = False) -> bool:
    """Wait until the driver is up, or for as long as there is a sign that it will be.

    What is said: nothing if it is up or will not be, else a note that it is waited for, and a warning if that was in
    vain. It is no error: what a spec lacks is for the scan to say.

    Args:
        target: a live host.
        seconds: the longest time.
        makes_nodes: whether nodes that are missing are made after that.

    Returns:
        Whether it has waited at all.

    Raises:
        FileError: the host cannot be opened.
    """
    end = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    has_waited = False
    while lacking := _look(target, makes_nodes=makes_nodes):
        left = end - time.monotonic()
        if left <= 0:
            say("warning", f"the driver is not ready after {seconds:g} s: {first_of(lacking, _MOST_NAMED)}")
            break
        if not has_waited:
            say("note", f"waiting up to {seconds:g} s for the driver: {first_of(lacking, _MOST_NAMED)}")
            has_waited = True
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)
    return has_waited


def _look(target: Target, *, makes_nodes: bool) -> tuple[str, ...]:
    """Return what is not there yet. Views remember what they have seen, so every look opens the host anew."""
    session = open_session(target)
    try:
        views = session.views
    except UNSEEN:
        return ()  # the scan meets it too
    return find_lacking(views, makes_nodes=makes_nodes, late_driver_root=session.driver_root != "/")
