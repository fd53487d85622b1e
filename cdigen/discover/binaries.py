"""The driver's programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.discover.catalog import BINARIES, BINARY_DIRECTORIES, LEFT_OUT_BINARIES, BinaryRow
from cdigen.errors import ParseError
from cdigen.host import HostReadError, LinkError
from cdigen.inventory import Driver, DriverFile

if TYPE_CHECKING:
    from cdigen.discover.notes import Notes
    from cdigen.host import View


def find_binaries(
    view: View, library_directories: tuple[str, ...], driver: Driver, notes: Notes
) -> tuple[DriverFile, ...]:
    """Return the programs of the catalog that this host has, each behind whatever links lead to it.

    Args:
        view: the driver root.
        library_directories: Debian keeps programs in /usr/lib/nvidia/current, an alternative set of /usr/lib, and
            links to them only when its alternatives are configured.
        driver: what the programs must be made for.
        notes: gets what is damaged, and programs that are left out on purpose.
    """
    places = (
        *BINARY_DIRECTORIES,
        *(d for d in library_directories if "/nvidia/" in d),
        "/usr/lib/nvidia/current",
    )
    found = [_find_binary(row, view, places, driver, notes) for row in BINARIES]
    for row in LEFT_OUT_BINARIES:
        for place in places:
            try:
                target = view.find(f"{place}/{row.name}")
            except (HostReadError, LinkError):
                continue  # it would not be injected anyway
            if target is not None:
                notes.leave_out(view.host_path(target[0]), row.reason)
    return tuple(binary for binary in found if binary is not None)


def _find_binary(
    row: BinaryRow, view: View, places: tuple[str, ...], driver: Driver, notes: Notes
) -> DriverFile | None:
    for place in places:
        path = f"{place}/{row.name}"
        try:
            target = view.find(path)
            if target is None or target[1].kind != "file":
                continue
            elf = view.host.elf(view.host_path(target[0]))
        except (ParseError, HostReadError, LinkError) as error:
            notes.damaged(view.host_path(path), error, "it is not injected")
            continue
        if (elf.bits, elf.machine) != (64, driver.machine):
            notes.leave_out(view.host_path(path), f"made for {elf.bits}-bit {elf.machine}, not for {driver.machine}")
            continue
        return DriverFile(
            kind="binary",
            host_path=view.host_path(target[0]),
            container_paths=(f"/usr/bin/{row.name}",),
            group=row.group,
            why=f"catalog: {row.reason}" + (f", through {path}" if target[0] != path else ""),
            elf=elf,
        )
    return None
