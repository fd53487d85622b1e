"""A spec that stands already, which a run that fails must leave as it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import Run

CONTENT = b"cdiVersion: 0.3.0\n# what stood here before\n"


class StandingSpec:
    """A file in a directory of its own, and how both were when they were made.

    Attributes:
        path: the file.
    """

    def __init__(self, directory: Path) -> None:
        """Make the file in `directory`, and the directory if it is not there."""
        directory.mkdir(exist_ok=True)
        self.path = directory / "nvidia.yaml"
        self.path.write_bytes(CONTENT)
        self._before = self._facts()

    def _facts(self) -> tuple[object, ...]:
        status = self.path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_mode, sorted(os.listdir(self.path.parent))

    def assert_untouched(self) -> None:
        """Check that bytes, time stamp and mode are the same and that nothing else is in the directory."""
        assert self.path.read_bytes() == CONTENT
        assert self._facts() == self._before


def assert_refused(run: Run, code: int, message: str, warnings: tuple[str, ...] = ()) -> None:
    """Check that the run said no more than its warnings and, last, the one line of the error."""
    lines = [f"cdigen: warning: {warning}\n" for warning in warnings] + [f"cdigen: error: {message}\n"]
    assert (run.code, run.out, run.err) == (code, "", "".join(lines))
