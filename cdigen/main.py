"""The process: its signals, its standard streams and its end.

Before the signals are taken nothing is imported but what the interpreter has loaded by itself. What comes before
that is Python's: a Ctrl-C in the milliseconds until `main` is called can still print a traceback of its own.
"""

from __future__ import annotations

import gc
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing would be an import too
    from types import FrameType
    from typing import NoReturn

_EXIT_SIGINT = 130
_PATIENCE = 1.0  # seconds; a terminal that closes says so twice, and whoever repeats it later means it


class _Signals:
    """What SIGINT, SIGTERM and SIGHUP do: nothing that can be left half done, and no traceback.

    Before and after the run they end the process where it is, since there is nothing to clean up. In between they raise
    `Ended`, once. Whoever says it again after a second ends the process at once.
    """

    def __init__(self) -> None:
        self._ended: type[KeyboardInterrupt] | None = None
        self._since: float | None = None

    def take(self) -> None:
        """Handle them from now on, but for those that whoever started us wants ignored, as nohup does."""
        sys.unraisablehook = self._on_unraisable
        import signal

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, self._on_signal)

    def begin(self, ended: type[KeyboardInterrupt]) -> None:
        """Raise `ended`, which takes the signal's number, from now on."""
        self._ended = ended

    def end(self) -> None:
        """Raise nothing any more."""
        self._ended = None

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._ended is None or (self._since is not None and time.monotonic() - self._since > _PATIENCE):
            os._exit(128 + number)
        if self._since is None:
            self._since = time.monotonic()
            raise self._ended(number)

    def _on_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """End the process where the interpreter would go on after a signal, as in a callback of its own."""
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            os._exit(getattr(unraisable.exc_value, "exit_code", _EXIT_SIGINT))
        sys.__unraisablehook__(unraisable)


def main() -> NoReturn:
    """Run the command line and exit with its code; every error is one line on standard error."""
    try:
        signals = _Signals()
        signals.take()
    except KeyboardInterrupt:
        os._exit(_EXIT_SIGINT)
    _replace_closed_streams()
    # Most of what a run makes lives as long as it does: looking for garbage all the time is a tenth of it.
    gc.set_threshold(100_000)
    try:
        from cdigen.errors import Ended
        from cdigen.run import run
    except Exception as error:
        if os.environ.get("CDIGEN_DEBUG"):
            raise
        _exit_unloaded(error)
    try:
        signals.begin(Ended)
        code = run(sys.argv[1:])
        signals.end()
    except Ended as ended:  # before `run` could see it, or while it was about to end
        os._exit(ended.exit_code)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # It was reported; the interpreter must not try once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _replace_closed_streams() -> None:
    """Let no file that is opened later become a standard stream that the caller closed.

    In their places stand files on which every read or write fails, but for standard error: what is said there is lost.
    """
    for descriptor, name, mode, flags in (
        (0, "stdin", "r", os.O_WRONLY),
        (1, "stdout", "w", os.O_RDONLY),
        (2, "stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            os.open(os.devnull, flags)  # the lowest free descriptor, which is this one
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115 - open until the end


def _exit_unloaded(error: Exception) -> NoReturn:
    """End where not even the modules are there that could say it: the installation is damaged, or out of everything."""
    reason = f"{type(error).__name__}: {error}".encode("unicode_escape").decode()
    remedy = "" if isinstance(error, (OSError, MemoryError)) else "; install cdigen again"
    try:
        os.write(2, f"cdigen: error: cdigen cannot be loaded: {reason}{remedy}\n".encode())
    finally:
        os._exit(7)
