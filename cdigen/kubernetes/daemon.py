"""The device plugin's process: looks at specs and host, keeps one server a resource, and the kubelet told of each."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.catalog.kubelet import KUBELET_SOCKET
from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES
from cdigen.discover.pci_places import find_pci_places
from cdigen.errors import CdigenError, one_line
from cdigen.host.changes import ChangesError, DirectoryChanges
from cdigen.kubernetes.devices import Offer, find_offer, read_specs_of
from cdigen.kubernetes.health import find_unhealthy
from cdigen.kubernetes.plugin import Plugin, RegisterError, socket_of
from cdigen.kubernetes.resources import choose_resources
from cdigen.kubernetes.xids import KMSG, XidLog
from cdigen.notes import Notes
from cdigen.records import Record
from cdigen.report import say, say_findings
from cdigen.session.target import open_session
from cdigen.specs.files_present import nodes_of
from cdigen.watch.signals import on_end
from cdigen.watch.status import read_status
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdigen.facts import PciPlace
    from cdigen.findings import Finding
    from cdigen.host.views import Views
    from cdigen.kubernetes.devices import Content, OfferedDevice
    from cdigen.kubernetes.resources import MigStrategy
    from cdigen.session.target import Target

_SETTLE_SECONDS = 0.1  # a file is renamed, a directory is emptied and filled again
_FIRST_RETRY, _LONGEST_RETRY = 0.5, 30.0  # seconds, of registering


class Settings(Record):
    """What the user wants.

    Attributes:
        target: the host; its spec directories are those of its own root.
        kind: of which devices, such as "nvidia.com/gpu".
        resource: the resource name of whole devices.
        strategy: what becomes of MIG devices.
        directory: the kubelet's, with its socket.
        status: the file of `cdigen watch` that says whether the spec is true; None if there is none, and the files that
            the spec mounts are looked at instead.
        interval: seconds between two looks when nothing says that anything has changed.
        with_xids: whether the kernel's log is read.
    """

    target: Target
    kind: str
    resource: str
    strategy: MigStrategy
    directory: str
    status: str | None
    interval: float
    with_xids: bool


class _Look(Record):
    """What is offered at a moment: the devices of each resource, why some are no good, and what there is to say."""

    resources: Mapping[str, tuple[OfferedDevice, ...]]
    unhealthy: Mapping[str, str]
    findings: tuple[Finding, ...]


class Daemon:
    """Serves until it is told to end."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; nothing is opened yet.

        Raises:
            UsageError: no socket can be in the kubelet's directory.
        """
        socket_of(settings.resource, settings.directory)
        self._settings = settings
        self._kubelet = os.path.join(settings.directory, KUBELET_SOCKET)
        self._plugins: dict[str, Plugin] = {}
        self._registered: dict[str, tuple[int, int, int]] = {}
        self._retry = _FIRST_RETRY
        self._why_not: str = "not looked at the host yet"
        self._woken = asyncio.Event()
        self._seen: tuple[Content, ...] = ()
        self._places: Mapping[int, PciPlace] = {}
        self._offer = Offer(devices=(), specs={}, findings=())
        self._findings: tuple[Finding, ...] = ()
        self._noted: set[str] = set()
        self._trouble = ""
        self._changes: DirectoryChanges | None = None
        self._xids: XidLog | None = None

    def why_not_ready(self) -> str:
        """Return why the kubelet cannot give devices to pods; "" if it can, or the host has none."""
        return self._why_not

    async def run(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP.

        Raises:
            CdigenError: a socket cannot be made, or the host cannot be opened.
        """
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def end() -> None:
            ended.set()
            self._woken.set()

        on_end(loop, end)
        self._listen(loop)
        try:
            while not ended.is_set():
                wait = await self._step()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), wait)
                    await asyncio.sleep(0 if ended.is_set() else _SETTLE_SECONDS)
                self._woken.clear()
        finally:
            self._close(loop)
            await asyncio.gather(*(plugin.stop() for plugin in self._plugins.values()))

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._changes = changes = DirectoryChanges()
            loop.add_reader(changes.fd, self._wake)
        except ChangesError as error:
            self._say_once(
                "note", f"changes of files wake nobody: {error}; they are looked at every {self._settings.interval:g} s"
            )
        if self._settings.with_xids:
            try:
                self._xids = xids = XidLog()
                loop.add_reader(xids.fd, self._read_xids)
            except OSError as error:
                self._say_once("note", _without_xids(error))

    def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        for source in (self._changes, self._xids):
            if source is not None:
                loop.remove_reader(source.fd)
                source.close()

    def _wake(self) -> None:
        if self._changes is not None:
            self._changes.drain()
        self._woken.set()

    def _read_xids(self) -> None:
        xids = self._xids
        if xids is None:
            return
        try:
            if xids.drain():
                self._woken.set()
        except OSError as error:
            asyncio.get_running_loop().remove_reader(xids.fd)
            xids.close()
            self._xids = None
            self._say_once("warning", _without_xids(error))

    async def _step(self) -> float:
        """Look once, tell whoever is to know, and return how long to wait for the next time."""
        self._watch()
        try:
            look = self._look()
        except CdigenError as error:
            self._say_trouble("error", str(error))
            self._why_not = error.message
            return self._settings.interval
        say_findings(finding for finding in look.findings if finding not in self._findings)
        self._findings = look.findings
        await self._serve(look)
        is_told = await self._register()
        if is_told:
            self._why_not = "; ".join(sorted(set(look.unhealthy.values()))) if self._are_all_bad(look) else ""
        return self._settings.interval if is_told else self._next_retry()

    def _watch(self) -> None:
        """Make sure that what changes from now on wakes us: specs, the nodes that they name, status, sockets."""
        if self._changes is None:
            return
        settings = self._settings
        common = [nodes_of(spec.get("containerEdits", {})) for spec in self._offer.specs.values()]
        nodes = [node for found in (*common, *(device.nodes for device in self._offer.devices)) for node in found]
        places = dict.fromkeys(os.path.dirname(node) for node in nodes)
        own = (settings.directory, *filter(None, (settings.status and os.path.dirname(settings.status),)))
        reasons = self._changes.watch((*DEFAULT_DIRECTORIES, *places), root=settings.target.host_root)
        for reason in (*reasons, *self._changes.watch(own)):
            self._say_once("note", f"changes of some directories wake nobody: {reason}")

    def _look(self) -> _Look:
        settings = self._settings
        views = open_session(settings.target, may_wake=False).views
        notes = Notes()
        places = find_pci_places(views.system, notes)
        content = read_specs_of(views.system, settings.kind)
        if (content, places) != (self._seen, self._places):
            self._offer = find_offer(content, settings.kind, places)
            self._seen, self._places = content, places
            self._watch()  # other nodes, before they are looked at
        offer = self._offer
        resources, findings = choose_resources(offer.devices, settings.strategy, settings.resource)
        unhealthy = self._find_unhealthy(views, offer, places)
        none = () if offer.devices else (_nothing_offered(settings.kind),)
        return _Look(
            resources=resources, unhealthy=unhealthy, findings=(*notes.findings, *offer.findings, *findings, *none)
        )

    def _find_unhealthy(self, views: Views, offer: Offer, places: Mapping[int, PciPlace]) -> dict[str, str]:
        status = None if self._settings.status is None else read_status(self._settings.status)
        if status is not None and status.state != "true":
            return {device.id: status.message for device in offer.devices}
        unhealthy = find_unhealthy(views, offer.devices, offer.specs, places, with_files=status is None)
        if self._xids is not None:
            present = {place.bdf for place in places.values()}
            unhealthy = self._xids.find_failed(offer.devices, present) | unhealthy
        return unhealthy

    @staticmethod
    def _are_all_bad(look: _Look) -> bool:
        ids = [device.id for devices in look.resources.values() for device in devices]
        return bool(ids) and all(name in look.unhealthy for name in ids)

    async def _serve(self, look: _Look) -> None:
        """Have a server for each resource that has had a device, with an empty list where these are gone.

        Not for one without: another plugin may serve it, and the kubelet would believe us.
        """
        for resource, devices in look.resources.items():
            if devices and resource not in self._plugins:
                self._plugins[resource] = Plugin(resource, self._settings.directory)
        for resource, plugin in self._plugins.items():
            devices = look.resources.get(resource, ())
            unhealthy = {device.id: look.unhealthy[device.id] for device in devices if device.id in look.unhealthy}
            if plugin.update(devices, unhealthy):
                bad = f", {len(unhealthy)} of them unhealthy" if unhealthy else ""
                say("", f"{resource}: {count(len(devices), 'device')}{bad}")
                for reason in sorted(set(unhealthy.values())):
                    names = [name for name, why in unhealthy.items() if why == reason]
                    say("warning", f"{resource}: {count(len(names), 'device')} unhealthy ({names[0]}): {reason}")
            if not plugin.is_serving:
                self._registered.pop(resource, None)
                if os.path.isdir(self._settings.directory):
                    await plugin.start()

    async def _register(self) -> bool:
        """Register what the present kubelet does not know yet; return whether it knows all."""
        try:
            found = os.stat(self._kubelet)
        except OSError as error:
            self._why_not = f"no kubelet at {one_line(self._kubelet)}: {error.strerror}"
            self._say_trouble("note", f"{self._why_not}; waiting for it")
            return False
        kubelet = (found.st_dev, found.st_ino, found.st_ctime_ns)
        for resource, plugin in self._plugins.items():
            if self._registered.get(resource) == kubelet:
                continue
            try:
                await plugin.register(self._kubelet)
            except RegisterError as error:
                self._why_not = f"the kubelet does not take {resource}: {error}"
                self._say_trouble("warning", self._why_not)
                return False
            self._registered[resource] = kubelet
            say("", f"registered {resource} with the kubelet")
        self._trouble = ""
        self._retry = _FIRST_RETRY
        return True

    def _next_retry(self) -> float:
        wait, self._retry = self._retry, min(2 * self._retry, _LONGEST_RETRY)
        return wait

    def _say_once(self, level: str, message: str) -> None:
        if message not in self._noted:
            self._noted.add(message)
            say(level, message)

    def _say_trouble(self, level: str, message: str) -> None:
        """Say what keeps us from our work, once until it is another thing or was over in between."""
        if message != self._trouble:
            self._trouble = message
            say(level, message)


def _without_xids(error: OSError) -> str:
    return f"cannot read {KMSG}: {error.strerror}; Xids that the driver reports do not count"


def _nothing_offered(kind: str) -> Finding:
    from cdigen.findings import Finding, Remedy

    return Finding(
        level="note",
        code="nothing-offered",
        subject=kind,
        message=f"no spec without hooks has a device of {kind}, so nothing is offered until one is written",
        remedy=Remedy(commands=("cdigen generate",)),
    )
