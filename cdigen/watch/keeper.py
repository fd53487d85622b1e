"""Keeps a spec true: writes it, and again whenever something of the host has changed that it depends on."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.catalog.watched import EVENTS
from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES
from cdigen.errors import CdigenError
from cdigen.host.changes import ChangesError, DirectoryChanges, KernelEvents
from cdigen.records import Record
from cdigen.report import say, say_again
from cdigen.session.target import open_session
from cdigen.specs.outputs import root_of
from cdigen.watch.child import Ran, run_verb
from cdigen.watch.fingerprint import Facts, find_waking, look_at_host, look_at_specs
from cdigen.watch.signals import on_end
from cdigen.watch.status import Status, judge_run, write_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdigen.session.target import Target

_SETTLE_SECONDS = 2.0  # a package manager makes many changes in a row
_MOST_SETTLING = 30.0
_RUN_SECONDS = 300.0
_LONGEST_PAUSE = 600.0
_RETRIED = (5, 7, 130, 137, 143)
"""Exit codes after which it is tried again though nothing is seen to have changed: something was missing or unreadable,
or the run was ended."""


class Settings(Record):
    """What the user wants.

    Attributes:
        target: the host.
        words: the command line of `cdigen generate`, without its name.
        interval: seconds between two looks when nothing says that anything has changed.
        status: the file for `cdigen.watch.status`; None for none.
        labels: the command line of `cdigen labels`, without its name; None if nobody wants them.
    """

    target: Target
    words: Sequence[str]
    interval: float
    status: str | None
    labels: Sequence[str] | None


class Keeper:
    """Keeps the spec until it is told to end."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; nothing is looked at yet."""
        self._settings = settings
        self._root = root_of(settings.target.host_root)
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()
        self._status: Status | None = None
        self._host: Facts | None = None
        self._specs: Facts | None = None
        self._said = b""
        self._pause = settings.interval
        self._due: float | None = None
        self._directories: DirectoryChanges | None = None
        self._events: KernelEvents | None = None

    def why_not_ready(self) -> str:
        """Return why the spec is not what it should be; "" if it is, or if there is no driver."""
        if self._status is None:
            return "the first run has not ended yet"
        return self._status.message if self._status.state == "blocked" else ""

    async def run(self) -> None:
        """Keep the spec until SIGTERM, SIGINT or SIGHUP.

        Raises:
            FileError: the status cannot be written.
        """
        loop = asyncio.get_running_loop()
        on_end(loop, self._end)
        self._listen(loop)
        try:
            while not self._ended.is_set():
                await self._step()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._next_look())
                    await self._settle()
        finally:
            for source in (self._directories, self._events):
                if source is not None:
                    loop.remove_reader(source.fd)
                    source.close()

    def _end(self) -> None:
        self._ended.set()
        self._woken.set()

    def _next_look(self) -> float:
        interval = self._settings.interval
        return interval if self._due is None else min(interval, max(0.0, self._due - time.monotonic()))

    async def _settle(self) -> None:
        """Wait until nothing has changed for a moment."""
        async with asyncio.timeout(_MOST_SETTLING):
            while not self._ended.is_set():
                self._woken.clear()
                try:
                    await asyncio.wait_for(self._woken.wait(), _SETTLE_SECONDS)
                except TimeoutError:
                    return

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        poll = f"the host is looked at every {self._settings.interval:g} s"
        try:
            self._directories = directories = DirectoryChanges()
            loop.add_reader(directories.fd, self._on_change)
        except ChangesError as error:
            say("note", f"changes of files wake nobody: {error}; {poll}")
        try:
            self._events = events = KernelEvents()
            loop.add_reader(events.fd, self._on_event)
        except ChangesError as error:
            say("note", f"events of the kernel wake nobody: {error}; {poll}")

    def _on_change(self) -> None:
        if self._directories is not None:
            self._directories.drain()
        self._woken.set()

    def _on_event(self) -> None:
        if self._events is not None and self._events.drain(EVENTS):
            self._woken.set()

    async def _step(self) -> None:
        """Look, and have the spec written if something has changed."""
        self._woken.clear()
        host = self._look()
        specs = look_at_specs(self._root)
        is_due = self._due is not None and time.monotonic() >= self._due
        if (host, specs) == (self._host, self._specs) and not is_due:
            return
        self._host = host
        await self._write()
        # What this run has written is not news; what somebody else writes later is.
        self._specs = look_at_specs(self._root)

    def _look(self) -> Facts:
        """Look, after it is sure that what changes later wakes us."""
        try:
            views = open_session(self._settings.target, may_wake=False).views
            if self._directories is not None:
                self._directories.watch((*DEFAULT_DIRECTORIES, *find_waking(views)), root=self._root)
            return look_at_host(views, self._root)
        except CdigenError as error:  # the run says it
            return ((error.subject, error.code),)

    async def _run(self, *words: str) -> Ran | None:
        """Run another verb; None if we are told to end, and so is it."""
        run = asyncio.ensure_future(run_verb(words, timeout=_RUN_SECONDS))
        ended = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait({run, ended}, return_when=asyncio.FIRST_COMPLETED)
        for task in (run, ended):
            task.cancel()  # nothing, of what has come to its end
        await asyncio.wait({run, ended})
        return None if self._ended.is_set() else run.result()

    async def _write(self) -> None:
        ran = await self._run("generate", "--json", *self._settings.words)
        if ran is None:
            return
        status = judge_run(ran.exit_code, ran.report)
        if ran.said != self._said or status != self._status:
            say_again(ran.said)
        self._said = ran.said
        if ran.exit_code in _RETRIED:
            self._pause = self._settings.interval if self._due is None else min(2 * self._pause, _LONGEST_PAUSE)
            self._due = time.monotonic() + self._pause
        else:
            self._due = None
        if status != self._status:
            _say_state(status)
            self._status = status
            if self._settings.status is not None:
                write_status(self._settings.status, status)
        if self._settings.labels is not None:
            labelled = await self._run("labels", *self._settings.labels)
            if labelled is not None and labelled.exit_code and status.state == "true":
                say_again(labelled.said)


def _say_state(status: Status) -> None:
    if status.state == "true":
        say("", "the spec is true of this host")
    elif status.state == "idle":
        say("", "nothing to do until there is a driver")
    else:
        say("warning", "the spec stays as it is until this is mended; it is looked at again when something changes")
