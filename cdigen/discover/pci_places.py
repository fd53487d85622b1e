"""Where GPUs are: the root of the PCI bus that each is behind, and the NUMA node that is near to it.

Source: Linux, Documentation/ABI/testing/sysfs-bus-pci (numa_node; -1 where there is none). The device in sysfs is a
directory in that of the bridge above it, and so on up to the root, as in /sys/devices/pci0000:00/0000:00:01.0/....
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdigen.discover.pci import BUS
from cdigen.errors import ParseError
from cdigen.facts import PciPlace
from cdigen.host import UNREADABLE
from cdigen.parse.procfs import PROC_GPUS, parse_gpu_information
from cdigen.parse.text import is_number

if TYPE_CHECKING:
    from cdigen.host import View
    from cdigen.notes import Notes

_ROOT = re.compile(r"/sys/devices/(?:.+/)?(pci[0-9a-f]{4,8}:[0-9a-f]{2})/")


def find_pci_places(system: View, notes: Notes) -> dict[int, PciPlace]:
    """Return where each GPU of the driver is, by the minor of its /dev/nvidia<minor>.

    Args:
        system: the host's own root.
        notes: gets what cannot be read; what is not there is not known.
    """
    places: dict[int, PciPlace] = {}
    try:
        listed = system.names(PROC_GPUS)
    except UNREADABLE as error:
        notes.damaged(PROC_GPUS, error, "where the GPUs are is not known")
        return {}
    for bdf in listed:
        try:
            minor = parse_gpu_information(system.read(f"{PROC_GPUS}/{bdf}/information") or b"").minor
            if minor is not None:
                places[minor] = PciPlace(bdf=bdf, root=_find_root(system, bdf), numa_node=_find_numa_node(system, bdf))
        except UNREADABLE as error:
            notes.damaged(f"{PROC_GPUS}/{bdf}", error, "where this GPU is is not known")
    return places


def _find_root(system: View, bdf: str) -> str | None:
    found = _ROOT.match(f"{system.resolve(f'{BUS}/{bdf}') or ''}/")
    return found[1] if found else None


def _find_numa_node(system: View, bdf: str) -> int | None:
    text = (system.read(f"{BUS}/{bdf}/numa_node") or b"-1").decode(errors="replace").strip()
    if text == "-1":
        return None
    if not is_number(text):
        raise ParseError(f"not a NUMA node: {text[:120]!r}")
    return int(text)
