"""The signals that end a process which goes on until it is told to end."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def on_end(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call this in the loop when the process is told to end, but for what its caller wants ignored, as nohup does."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, call)
