"""The three roots through which one host is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdigen.host import View

if TYPE_CHECKING:
    from cdigen.host import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """One host, seen from three directories of it.

    Attributes:
        system: from its own `/`: procfs and sysfs.
        driver: from the driver root: libraries, programs, configuration, firmware.
        dev: from the device root: device nodes below /dev.
        dev_root: the device root as a path on the host.
    """

    system: View
    driver: View
    dev: View
    dev_root: str


def open_views(host: Host, *, driver_root: str, dev_root: str | None) -> Views:
    """Return the views of `host`.

    Args:
        host: the host.
        driver_root: the directory on it that holds the driver's files.
        dev_root: the directory on it that holds `dev/`; None chooses the driver root if it has `dev/nvidiactl`,
            else `/`.

    Raises:
        LinkError, HostReadError: a root cannot be followed.
    """
    driver = View(host, driver_root)
    system = driver if driver_root == "/" else View(host)
    if dev_root is None:
        dev_root = driver_root if driver is not system and driver.find("/dev/nvidiactl") else "/"
    known = {driver_root: driver, "/": system}
    dev = known.get(dev_root) or View(host, dev_root)
    return Views(system=system, driver=driver, dev=dev, dev_root=dev_root)
