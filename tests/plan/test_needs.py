from __future__ import annotations

from cdigen.plan.needs import Needs, find_needs, highest_glibc, injected_names
from cdigen.records import replace
from tests.hosts import LIBDIR, OWN_LIBRARIES, VERSION, inventory_of, library, library_entries, minimal_entries
from tests.plan.inventories import elf

NEEDY = replace(
    elf(64),
    needed=("libcuda.so.1", "libm.so.6", "libc.so.6"),
    versions=(("libc.so.6", ("GLIBC_2.14", "GLIBC_2.2.5")), ("libm.so.6", ("GLIBC_2.29",))),
)
WHOLE = inventory_of(minimal_entries())


def test_what_is_needed_is_injected_or_comes_from_the_image() -> None:
    assert find_needs(WHOLE, NEEDY) == Needs(
        known=True, injected=("libcuda.so.1",), lacking=(), from_image=("libc.so.6", "libm.so.6"), glibc=(2, 29)
    )


def test_what_the_driver_lacks_is_not_expected_of_the_image() -> None:
    name = f"libnvidia-never-heard-of.so.{VERSION}"
    encode = library("libnvidia-encode.so.1")
    encode["elf"] = {"bits": 64, "machine": "x86_64", "needed": ["libc.so.6", name]}
    inventory = inventory_of({**minimal_entries(), f"{LIBDIR}/libnvidia-encode.so.{VERSION}": encode})
    (needy,) = (found.elf for found in inventory.libraries if found.elf.needed == ("libc.so.6", name))
    needs = find_needs(inventory, needy)
    assert (needs.lacking, needs.from_image) == ((name,), ("libc.so.6",))


def test_a_library_of_the_other_word_size_does_not_serve() -> None:
    entries = {
        **minimal_entries(),
        **library_entries("libnvidia-fbc", "libnvidia-fbc.so.1", LIBDIR, machine="i386"),
    }
    inventory = inventory_of(entries)
    assert injected_names(inventory, 32) == {"libnvidia-fbc.so.1"}
    assert injected_names(inventory, 64) == {name for names in OWN_LIBRARIES.values() for name in names}


def test_what_a_snapshot_does_not_have_is_not_known() -> None:
    assert find_needs(WHOLE, replace(NEEDY, needed=None, versions=None)) == Needs(
        known=False, injected=(), lacking=(), from_image=(), glibc=None
    )


def test_an_image_needs_the_highest_glibc_of_all() -> None:
    needs = [find_needs(WHOLE, elf(64)), find_needs(WHOLE, NEEDY)]
    assert highest_glibc(needs) == (2, 29)
    assert highest_glibc(needs[:1]) is None
    assert highest_glibc(()) is None
