"""A host that keeps what it was asked and what it answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from cdigen import records
from cdigen.errors import CdigenError
from cdigen.host import Entry, Host

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdigen.parse.elf import ElfFacts
    from cdigen.parse.ldcache import CacheEntry
    from cdigen.parse.nvml import NvmlFacts


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One question to a host, and the answer: a value, or the type and text of an error."""

    method: str
    arguments: tuple[object, ...]
    answer: object


class CallHost(Host):
    """Passes every question on to another host."""

    def __init__(self, host: Host) -> None:
        """Pass on to `host`."""
        self._host = host
        self.calls: list[Call] = []

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

    def wake(self, path: str) -> bool:
        return self._ask(self._host.wake, path)

    def _ask(self, method: Callable[..., T], *arguments: object) -> T:
        answer: object = None
        try:
            value = answer = method(*arguments)
        except CdigenError as error:
            answer = (type(error).__name__, str(error))
            raise
        finally:
            self.calls.append(Call(method.__name__, arguments, answer))
        return value


def replayed(host: Host, calls: list[Call]) -> list[Call]:
    """Ask `host` the questions of `calls` and return them with its answers."""
    asked = CallHost(host)
    for call in calls:
        try:
            getattr(asked, call.method)(*call.arguments)
        except CdigenError:
            continue  # the answer is kept
    return asked.calls


def without_modes(calls: list[Call]) -> list[Call]:
    """Return `calls` less the permission bits of what is no device: nobody asks for them, no snapshot has them."""
    return [
        replace(call, answer=records.replace(call.answer, mode=0))
        if isinstance(call.answer, Entry) and call.answer.kind not in ("char", "block")
        else call
        for call in calls
    ]
