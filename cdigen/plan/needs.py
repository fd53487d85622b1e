"""What the injected files need: which of it is injected with them, and what an image must bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.parse.elf import glibc_floor
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdigen.facts import Inventory
    from cdigen.parse.elf import ElfFacts


class Needs(Record):
    """What one ELF file needs to be loaded.

    Attributes:
        known: False if the facts come from a snapshot that does not have them; then the rest is empty.
        injected: NEEDED names that are injected with it, sorted.
        lacking: NEEDED names of the driver's own that are not injected, as they are missing or cannot be used, sorted.
        from_image: NEEDED names that the image must have, such as glibc's and X11's, sorted.
        glibc: the lowest version of glibc that has all the symbols, e.g. (2, 17); None if it needs none.
    """

    known: bool
    injected: tuple[str, ...]
    lacking: tuple[str, ...]
    from_image: tuple[str, ...]
    glibc: tuple[int, ...] | None


def injected_names(inventory: Inventory, bits: int) -> frozenset[str]:
    """Return every name under which a library of that word size is injected."""
    return frozenset(name.name for library in inventory.libraries if library.elf.bits == bits for name in library.names)


def find_needs(inventory: Inventory, elf: ElfFacts) -> Needs:
    """Return what `elf` needs, a file of the `inventory`."""
    needed = set(elf.needed or ())
    injected = injected_names(inventory, elf.bits)
    lacking = {library.name for library in inventory.lacking if library.bits == elf.bits} - injected
    return Needs(
        known=elf.needed is not None,
        injected=tuple(sorted(needed & injected)),
        lacking=tuple(sorted(needed & lacking)),
        from_image=tuple(sorted(needed - injected - lacking)),
        glibc=glibc_floor(elf.versions) if elf.versions is not None else None,
    )


def highest_glibc(needs: Iterable[Needs]) -> tuple[int, ...] | None:
    """Return the version of glibc that an image must have at least, for all of `needs`; None if none is needed."""
    return max((need.glibc for need in needs if need.glibc is not None), default=None)
