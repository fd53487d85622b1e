"""A host whose n-th answer is that it cannot be read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from cdigen.host import Entry, Host, HostReadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdigen.parse.elf import ElfFacts
    from cdigen.parse.ldcache import CacheEntry
    from cdigen.parse.nvml import NvmlFacts

T = TypeVar("T")


class FailingHost(Host):
    """Passes every question on to another host, but for one, which fails."""

    def __init__(self, host: Host, *, at: int, number: int) -> None:
        """Fail at the question `at`, counted from 0, with the error `number`; a negative one is none."""
        self._host = host
        self._at = at
        self._number = number
        self.asked = 0
        self.failed = ""

    def lstat(self, path: str) -> Entry | None:
        return self._ask(self._host.lstat, path)

    def names(self, directory: str, prefixes: tuple[str, ...], suffix: str | None = None) -> tuple[str, ...]:
        return self._ask(self._host.names, directory, prefixes, suffix)

    def read(self, path: str) -> bytes:
        return self._ask(self._host.read, path)

    def elf(self, path: str) -> ElfFacts:
        return self._ask(self._host.elf, path)

    def linker_cache(self, path: str, prefixes: tuple[str, ...]) -> tuple[CacheEntry, ...]:
        return self._ask(self._host.linker_cache, path, prefixes)

    def nvml(self, path: str) -> NvmlFacts:
        return self._ask(self._host.nvml, path)

    def _ask(self, method: Callable[..., T], path: str, *arguments: object) -> T:
        self.asked += 1
        if self.asked == self._at + 1:
            self.failed = f"{method.__name__} {path}"
            raise HostReadError(path, os.strerror(self._number), number=self._number)
        return method(path, *arguments)
