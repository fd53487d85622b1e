"""Programs and modules: files that are taken by their name, if what is there can be run on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.host import UNREADABLE
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdigen.facts import Driver
    from cdigen.host import View
    from cdigen.notes import Notes
    from cdigen.parse.elf import ElfFacts


class Loadable(Record):
    """A file that was found.

    Attributes:
        path: where it was looked for, in the view.
        host_path: where it is, as the host sees it, every link resolved.
        is_behind_links: whether links lead from `path` to the file.
        elf: what its ELF headers say.
    """

    path: str
    host_path: str
    is_behind_links: bool
    elf: ElfFacts


def find_loadable(view: View, paths: Iterable[str], driver: Driver, notes: Notes) -> Loadable | None:
    """Return the first of `paths` that leads to a 64-bit ELF file for the driver's machine; None if none does.

    Args:
        view: the driver root.
        paths: absolute paths in the view, the best first.
        driver: for the machine.
        notes: gets what is there and cannot be used.
    """
    for path in paths:
        try:
            target = view.find(path)
            if target is None:
                continue
            host_path = view.host_path(target[0])
            elf = view.host.elf(host_path)
        except UNREADABLE as error:
            notes.damaged(view.host_path(path), error, "it is not injected")
            continue
        if (elf.bits, elf.machine) == (64, driver.machine):
            return Loadable(path=path, host_path=host_path, is_behind_links=target[0] != path, elf=elf)
        notes.leave_out(view.host_path(path), f"made for {elf.bits}-bit {elf.machine}, not for {driver.machine}")
    return None
