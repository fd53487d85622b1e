"""Plans all modes of the host at a root while its calls fail in their turn (tests/fixtures/host/failing.c).

Arguments: the root; which of the calls fail (1: each, 3: every third); and the numbers of the errors, which take turns.
Standard output has how many calls there were, and for how many the result was neither the same spec nor an error that
says what could not be read; standard error has a line for each of these.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

from cdigen.host.live import LiveHost
from tests.discover.outcomes import ANSWER, outcomes

if TYPE_CHECKING:
    from cdigen.parse.nvml import NvmlFacts


class _Host(LiveHost):
    """A tree whose NVML answers: that of a tree which is not this machine is not asked."""

    def nvml(self, path: str) -> NvmlFacts:
        os.close(self._open(path))
        return ANSWER


def main(root: str, every: str, *numbers: str) -> None:
    """Sweep; see the module."""
    calls = ctypes.CDLL(None)
    calls.sweep_failed.restype = ctypes.c_char_p
    errors = (ctypes.c_int * len(numbers))(*map(int, numbers))
    outcomes(lambda: _Host(root))  # what is imported late is there after that
    expected = outcomes(lambda: _Host(root))
    assert all(isinstance(outcome, bytes) for outcome in expected.values()), expected
    calls.sweep_start(errors, ctypes.c_long(len(numbers)), ctypes.c_long(int(every)))
    found: object = None
    try:
        found = outcomes(lambda: _Host(root))
        wrong: list[str] = [mode for mode, outcome in found.items() if outcome not in (expected[mode], "FileError")]
    except Exception as error:
        wrong = [f"{type(error).__name__}: {error}"]
    calls.sweep_stop()
    if failed := calls.sweep_failed():
        if wrong:
            sys.stderr.write(f"{failed.decode()}: {', '.join(wrong)}\n")
            sys.stderr.flush()
        os._exit(1 if wrong else 0)
    assert found == expected
    sys.stdout.write(f"{calls.sweep_calls()} {calls.sweep_failures()}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
