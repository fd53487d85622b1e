"""A host that was opened, and what was seen of it in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cdigen.discover.scan import find_inventory
from cdigen.host.views import open_views

if TYPE_CHECKING:
    from cdigen.discover.gpus import AskNvml
    from cdigen.facts import AskedPlatform, Inventory
    from cdigen.host import Host, View
    from cdigen.host.views import Views


class _Seen(NamedTuple):
    """What was seen of a host from any of its directories."""

    by_root: dict[str, View]
    views: dict[tuple[str, str | None, AskedPlatform], Views]
    inventories: dict[tuple[str, str | None, AskedPlatform, AskNvml], Inventory]


class Session:
    """A host seen from its roots: it is scanned once, whoever asks.

    Attributes:
        host: the host.
        driver_root: the directory on it that holds the driver's files.
        dev_root: the directory on it that holds `dev/`; None for the default, see `open_views`.
        platform: which kind of machine the user says that it is; "auto" if files are to tell.
    """

    def __init__(
        self, host: Host, *, driver_root: str = "/", dev_root: str | None = None, platform: AskedPlatform = "auto"
    ) -> None:
        """See `host` from these roots; nothing is read yet."""
        self.host = host
        self.driver_root = driver_root
        self.dev_root = dev_root
        self.platform: AskedPlatform = platform
        self._seen = _Seen({}, {}, {})

    @property
    def roots(self) -> tuple[str, str | None, AskedPlatform]:
        """The driver root, the device root, and the platform: what decides how the host is seen."""
        return self.driver_root, self.dev_root, self.platform

    @property
    def views(self) -> Views:
        """The host, seen from its roots.

        Raises:
            LinkError, HostReadError: a root cannot be followed.
        """
        if self.roots not in self._seen.views:
            self._seen.views[self.roots] = open_views(
                self.host,
                driver_root=self.driver_root,
                dev_root=self.dev_root,
                platform=self.platform,
                by_root=self._seen.by_root,
            )
        return self._seen.views[self.roots]

    def inventory(self, ask_nvml: AskNvml) -> Inventory:
        """Return the driver's files and the GPUs; errors as of `find_inventory`."""
        question = (*self.roots, ask_nvml)
        if question not in self._seen.inventories:
            self._seen.inventories[question] = find_inventory(self.views, ask_nvml=ask_nvml)
        return self._seen.inventories[question]

    def at(self, driver_root: str | None, dev_root: str | None, platform: AskedPlatform | None = None) -> Session:
        """Return the same host, and what was seen of it, from other roots; None is the default, of a platform this."""
        other = Session(
            self.host,
            driver_root=normal_root(driver_root) or "/",
            dev_root=normal_root(dev_root),
            platform=platform or self.platform,
        )
        other._seen = self._seen
        return other

    def through(self, host: Host) -> Session:
        """Return the same roots of a host that stands before this one, such as one that records it."""
        return Session(host, driver_root=self.driver_root, dev_root=self.dev_root, platform=self.platform)


def normal_root(path: str | None) -> str | None:
    """Return a root without empty parts and dots, by which it is compared."""
    return path and "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
