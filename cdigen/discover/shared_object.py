"""A library of a platform whose driver has no version: what its ELF headers say, if a container can load it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import MACHINES
from cdigen.errors import ParseError
from cdigen.host import UNREADABLE
from cdigen.notes import UNSAFE_PATH, is_safe_name, is_safe_path

if TYPE_CHECKING:
    from cdigen.host import View
    from cdigen.notes import Notes
    from cdigen.parse.elf import ElfFacts


def read_elf(view: View, path: str, notes: Notes, *, hint: str) -> ElfFacts | None:
    """Return what a file's ELF headers say; None, with a finding, if it cannot be used.

    Args:
        view: the driver root.
        path: the file, in the view; links are followed.
        notes: gets the finding.
        hint: what to do about a file that cannot be used.
    """
    host_path = view.host_path(path)
    try:
        host_path = view.host_path(view.resolve(path) or path)
        if not is_safe_path(host_path):
            raise ParseError(UNSAFE_PATH)
        elf = view.host.elf(host_path)
        if elf.bits != 64 or elf.machine not in MACHINES:
            raise ParseError(f"for {elf.bits}-bit {elf.machine}, which is not supported")
        if elf.soname is not None and not is_safe_name(elf.soname):
            raise ParseError(f"its SONAME {elf.soname!r} is not a file name")
    except UNREADABLE as error:
        notes.damaged(host_path, error, "it is not injected", hint=hint)
        return None
    return elf
