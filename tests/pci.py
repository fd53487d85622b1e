"""What sysfs shows of a device on the PCI bus."""

from __future__ import annotations

from tests.hosts import Entries, bdf_of, link, text


def on_the_bus(
    driver: str | None,
    *,
    bdf: str = bdf_of(0),
    vendor: str = "0x10de",
    device_class: str = "0x030200",
    physfn: str | None = None,
) -> Entries:
    """Return a device, a GPU of NVIDIA's if not said otherwise.

    Args:
        driver: the kernel driver to which it is bound.
        bdf: its PCI address.
        vendor, device_class: as the files of these names have them.
        physfn: the PCI address of the device of which it is a virtual function.
    """
    device = f"/sys/devices/pci9999:00/{bdf}"
    entries: Entries = {
        f"/sys/bus/pci/devices/{bdf}": link(f"../../../devices/pci9999:00/{bdf}"),
        f"{device}/vendor": text(f"{vendor}\n"),
        f"{device}/class": text(f"{device_class}\n"),
    }
    if physfn is not None:
        entries[f"{device}/physfn"] = link(f"../{physfn}")
    if driver is not None:
        entries[f"{device}/driver"] = link(f"../../../bus/pci/drivers/{driver}")
        entries[f"/sys/bus/pci/drivers/{driver}/bind"] = {"kind": "file"}
        entries[f"/sys/bus/pci/drivers/{driver}/{bdf}"] = link(f"../../../../devices/pci9999:00/{bdf}")
    return entries
