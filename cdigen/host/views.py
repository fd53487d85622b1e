"""The three roots through which one host is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.host import View
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.facts import AskedPlatform
    from cdigen.host import Host


class Views(Record):
    """One host, seen from three directories of it.

    Attributes:
        system: from its own `/`: procfs and sysfs.
        driver: from the driver root: libraries, programs, configuration, firmware.
        dev: from the device root: device nodes below /dev.
        dev_root: the device root as a path on the host.
        platform: which kind of machine the user says that it is; "auto" if files are to tell.
    """

    system: View
    driver: View
    dev: View
    dev_root: str
    platform: AskedPlatform = "auto"


def open_views(
    host: Host,
    *,
    driver_root: str,
    dev_root: str | None,
    platform: AskedPlatform = "auto",
    by_root: dict[str, View] | None = None,
) -> Views:
    """Return the views of `host`.

    Args:
        host: the host.
        driver_root: the directory on it that holds the driver's files.
        dev_root: the directory on it that holds `dev/`; None chooses the driver root if it has `dev/nvidiactl`,
            else `/`.
        platform: see `Views`.
        by_root: the views of the same host that there are already; gets those that are made.

    Raises:
        LinkError, HostReadError: a root cannot be followed.
    """
    known = {} if by_root is None else by_root

    def view(root: str) -> View:
        if root not in known:
            known[root] = View(host, root)
        return known[root]

    driver, system = view(driver_root), view("/")
    if dev_root is None:
        dev_root = driver_root if driver is not system and driver.find("/dev/nvidiactl") else "/"
    return Views(system=system, driver=driver, dev=view(dev_root), dev_root=dev_root, platform=platform)
