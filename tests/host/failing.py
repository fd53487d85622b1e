"""A host whose n-th answer is that it cannot be read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from cdigen.host import HostReadError
from tests.host.calls import CallHost

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdigen.host import Host

T = TypeVar("T")


class FailingHost(CallHost):
    """Passes every question on to another host, but for one, which fails."""

    def __init__(self, host: Host, *, at: int, number: int) -> None:
        """Fail at the question `at`, counted from 0, with the error `number`; a negative one is none."""
        super().__init__(host)
        self._at = at
        self._number = number
        self.asked = 0
        self.failed = ""

    def wake(self, path: str) -> bool:
        return False  # it reads nothing, so it is no question

    def _ask(self, method: Callable[..., T], *arguments: object) -> T:
        self.asked += 1
        if self.asked == self._at + 1:
            path = str(arguments[0])
            self.failed = f"{method.__name__} {path}"
            raise HostReadError(path, os.strerror(self._number), number=self._number)
        return method(*arguments)
