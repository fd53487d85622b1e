"""The driver's programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import BINARIES, BINARY_DIRECTORIES, LEFT_OUT_BINARIES, BinaryRow
from cdigen.discover.programs import find_loadable
from cdigen.facts import Driver, DriverFile
from cdigen.host import UNSEEN

if TYPE_CHECKING:
    from cdigen.host import View
    from cdigen.notes import Notes


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
        *(f"{d.rpartition('/')[0]}/bin" for d in library_directories),
    )
    places = tuple(dict.fromkeys(places))
    found = [_find_binary(row, view, places, driver, notes) for row in BINARIES]
    for row in LEFT_OUT_BINARIES:
        for place in places:
            try:
                target = view.find(f"{place}/{row.name}")
            except UNSEEN:
                continue  # it would not be injected anyway
            if target is not None:
                notes.leave_out(view.host_path(target[0]), row.reason)
    if found[0] is None and not any(finding.subject.endswith(f"/{BINARIES[0].name}") for finding in notes.findings):
        notes.add(
            "warning",
            "no-nvidia-smi",
            BINARIES[0].name,
            f"no {BINARIES[0].name} was found, so containers do not have it",
            hint=f"install the programs of the user-space driver {driver.version}",
        )
    return tuple(binary for binary in found if binary is not None)


def _find_binary(
    row: BinaryRow, view: View, places: tuple[str, ...], driver: Driver, notes: Notes
) -> DriverFile | None:
    found = find_loadable(view, (f"{place}/{row.name}" for place in places), driver, notes)
    if found is None:
        return None
    return DriverFile(
        kind="binary",
        host_path=found.host_path,
        container_paths=(f"/usr/bin/{row.name}",),
        group=row.group,
        why=f"catalog: {row.reason}" + (f", through {found.path}" if found.is_behind_links else ""),
        elf=found.elf,
    )
