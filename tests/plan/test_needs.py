from __future__ import annotations

from dataclasses import replace

from cdigen.plan.needs import Needs, find_needs, highest_glibc, injected_names
from tests.hosts import LIBDIR, OWN_LIBRARIES, inventory_of, library_entries, minimal_entries
from tests.plan.inventories import elf

NEEDY = replace(
    elf(64),
    needed=("libcuda.so.1", "libm.so.6", "libc.so.6"),
    versions=(("libc.so.6", ("GLIBC_2.14", "GLIBC_2.2.5")), ("libm.so.6", ("GLIBC_2.29",))),
)


def test_what_is_needed_is_injected_or_comes_from_the_image() -> None:
    names = injected_names(inventory_of(minimal_entries()), 64)
    assert find_needs(NEEDY, names) == Needs(
        known=True, injected=("libcuda.so.1",), from_image=("libc.so.6", "libm.so.6"), glibc=(2, 29)
    )


def test_a_library_of_the_other_word_size_does_not_serve() -> None:
    entries = {
        **minimal_entries(),
        **library_entries("libnvidia-fbc", "libnvidia-fbc.so.1", LIBDIR, machine="i386"),
    }
    inventory = inventory_of(entries)
    assert injected_names(inventory, 32) == {"libnvidia-fbc.so.1"}
    assert injected_names(inventory, 64) == {name for names in OWN_LIBRARIES.values() for name in names}


def test_what_a_snapshot_does_not_have_is_not_known() -> None:
    assert find_needs(replace(NEEDY, needed=None, versions=None), frozenset()) == Needs(
        known=False, injected=(), from_image=(), glibc=None
    )


def test_an_image_needs_the_highest_glibc_of_all() -> None:
    needs = [find_needs(elf(64), frozenset()), find_needs(NEEDY, frozenset())]
    assert highest_glibc(needs) == (2, 29)
    assert highest_glibc(needs[:1]) is None
    assert highest_glibc(()) is None
