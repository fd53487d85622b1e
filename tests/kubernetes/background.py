"""Runs a verb of the program that goes on until it is told to end, beside the test."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.cli.program import COMMAND, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECONDS = 20.0


class Background:
    """A process, and what it says on standard error."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        self.process = process
        self._said = said

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self._said.read_text()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until it has said something."""
        wait_until(lambda: self.said.count(text) >= times, lambda: f"{text!r} not {times} times in: {self.said}")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


@contextmanager
def running(
    place: Path, *arguments: str | Path, env: dict[str, str] | None = None, before: tuple[str, ...] = ()
) -> Iterator[Background]:
    """Run the program; it is killed if it still runs in the end.

    Args:
        place: a directory for what it says.
        arguments: its command line.
        env: further environment variables.
        before: a command that runs it, such as nohup.
    """
    said = place / f"said-{time.monotonic_ns()}"
    with said.open("wb") as file:
        process = subprocess.Popen(
            [*before, *COMMAND, *map(str, arguments)], stderr=file, stdout=file, env=environment(**(env or {}))
        )
    try:
        yield Background(process, said)
    finally:
        process.kill()
        process.wait()


def wait_until(is_so: Callable[[], bool], describe: Callable[[], str]) -> None:
    """Wait until something is so; fails with a description if it never is."""
    end = time.monotonic() + SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(describe())
        time.sleep(0.02)
