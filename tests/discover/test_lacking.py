from __future__ import annotations

from typing import cast

import pytest

from cdigen.facts import LackingLibrary
from tests.hosts import (
    LIBDIR,
    VERSION,
    Entries,
    Entry,
    damaged,
    inventory_of,
    kernel_entries,
    library,
    library_entries,
    link,
    minimal_entries,
    program,
    without,
)

LIBCUDA = f"{LIBDIR}/libcuda.so.{VERSION}"


def of_series(series: str) -> Entries:
    """Return a host whose driver is of a series, with no library but the two that all series have."""
    version = f"{series}.77.66"
    return {
        **without(minimal_entries(), LIBDIR, "/proc/driver/nvidia/version"),
        **kernel_entries(version),
        **library_entries("libcuda", "libcuda.so.1", LIBDIR, version),
        **library_entries("libnvidia-ml", "libnvidia-ml.so.1", LIBDIR, version),
        **library_entries("libnvidia-ptxjitcompiler", "libnvidia-ptxjitcompiler.so.1", LIBDIR, version),
    }


def needing(*names: str, entry: Entry | None = None) -> Entry:
    """Return an ELF file that needs libraries of these names."""
    entry = library("libnvidia-encode.so.1") if entry is None else entry
    return {**entry, "elf": {**cast("dict[str, object]", entry["elf"]), "needed": list(names)}}


def lacking(entries: Entries) -> list[tuple[str, str]]:
    """Return the name of what is lacking, and the file or the group that needs it."""
    return [(found.name, found.needed_by or found.group) for found in inventory_of(entries).lacking]


def test_a_whole_driver_lacks_nothing() -> None:
    assert inventory_of(minimal_entries()).lacking == ()


@pytest.mark.parametrize(
    ("stem", "soname", "needs", "why"),
    [
        ("libnvidia-ml", "libnvidia-ml.so.1", "utility", "nvidia-smi and whoever asks for the state of a GPU open it"),
        ("libnvidia-ptxjitcompiler", "libnvidia-ptxjitcompiler.so.1", LIBCUDA, "libcuda compiles PTX with it"),
        ("libnvidia-nvvm", "libnvidia-nvvm.so.4", LIBCUDA, "libcuda compiles with it"),
        ("libnvidia-gpucomp", f"libnvidia-gpucomp.so.{VERSION}", LIBCUDA, "libcuda compiles with it"),
    ],
)
def test_what_no_driver_is_without_is_lacking(stem: str, soname: str, needs: str, why: str) -> None:
    file_name = f"{stem}.so.{VERSION}"
    gone = without(minimal_entries(), *{f"{LIBDIR}/{file_name}", f"{LIBDIR}/{soname}"})
    (found,) = inventory_of(gone).lacking
    assert found == LackingLibrary(
        name=file_name,
        bits=64,
        host_path="",
        problem="is missing",
        why=why,
        group=needs if needs == "utility" else "",
        needed_by="" if needs == "utility" else needs,
    )
    (found,) = inventory_of({**minimal_entries(), f"{LIBDIR}/{file_name}": damaged()}).lacking
    assert (found.host_path, found.problem) == (f"{LIBDIR}/{file_name}", "cannot be used: empty file")


def test_a_link_without_its_file_does_not_help() -> None:
    assert lacking(without(minimal_entries(), f"{LIBDIR}/libnvidia-ml.so.{VERSION}")) == [
        (f"libnvidia-ml.so.{VERSION}", "utility")
    ]


@pytest.mark.parametrize(
    ("series", "stems", "expected"),
    [
        ("460", ("libnvidia-opencl",), []),
        ("470", ("libnvidia-opencl",), ["libnvidia-nvvm"]),
        ("535", ("libnvidia-eglcore", "libnvidia-glcore"), []),
        ("550", (), []),
        ("550", ("libnvidia-opencl",), ["libnvidia-nvvm"]),
        ("550", ("libnvidia-eglcore",), ["libnvidia-gpucomp"]),
        ("550", ("libnvidia-glcore",), ["libnvidia-gpucomp"]),
        ("560", (), ["libnvidia-nvvm", "libnvidia-gpucomp"]),
    ],
)
def test_what_is_required_depends_on_the_series(series: str, stems: tuple[str, ...], expected: list[str]) -> None:
    version = f"{series}.77.66"
    entries = of_series(series)
    for stem in stems:
        entries |= library_entries(stem, f"{stem}.so.1", LIBDIR, version)
    assert [found.name for found in inventory_of(entries).lacking] == [f"{stem}.so.{version}" for stem in expected]


def test_a_library_with_a_version_of_its_own_will_do() -> None:
    entries = {
        **of_series("470"),
        **library_entries("libnvidia-opencl", "libnvidia-opencl.so.1", LIBDIR, "470.77.66"),
        f"{LIBDIR}/libnvidia-nvvm.so.4.0.0": library("libnvidia-nvvm.so.4"),
    }
    assert lacking(entries) == []


@pytest.mark.parametrize(
    ("name", "is_lacking"),
    [
        (f"libnvidia-never-heard-of.so.{VERSION}", True),
        ("libnvcuvid.so.1", True),
        ("libEGL_nvidia.so.0", True),
        ("libcuda.so.1", False),
        ("libEGL.so.1", False),
        ("libX11.so.6", False),
        ("libnvidia-container.so.1", False),
    ],
)
def test_a_needed_name_of_the_drivers_own_is_lacking_where_nothing_has_it(name: str, is_lacking: bool) -> None:
    encode = f"{LIBDIR}/libnvidia-encode.so.{VERSION}"
    found = inventory_of({**minimal_entries(), encode: needing("libc.so.6", name)}).lacking
    assert [(one.name, one.needed_by, one.why, one.problem) for one in found] == (
        [(name, encode, f"libnvidia-encode.so.{VERSION} needs it", "is missing")] if is_lacking else []
    )


def test_a_program_can_lack_a_library_too() -> None:
    entries = {**minimal_entries(), "/usr/bin/nvidia-debugdump": needing("libnvcuvid.so.1", entry=program())}
    assert lacking(entries) == [("libnvcuvid.so.1", "/usr/bin/nvidia-debugdump")]


def test_what_is_there_in_the_place_of_a_needed_name_is_told() -> None:
    path = f"{LIBDIR}/libnvcuvid.so.{VERSION}"
    entries = {
        **minimal_entries(),
        f"{LIBDIR}/libnvidia-encode.so.{VERSION}": needing("libnvcuvid.so.1"),
        path: damaged(),
    }
    for more in ({}, {f"{LIBDIR}/libnvcuvid.so.1": link(f"libnvcuvid.so.{VERSION}")}):
        (found,) = inventory_of({**entries, **more}).lacking
        assert (found.name, found.host_path, found.problem) == ("libnvcuvid.so.1", path, "cannot be used: empty file")


def test_a_link_cycle_in_the_place_of_a_library_is_told() -> None:
    path = f"{LIBDIR}/libnvidia-ml.so.1"
    entries = without(minimal_entries(), f"{LIBDIR}/libnvidia-ml.so.{VERSION}")
    (found,) = inventory_of({**entries, path: link("libnvidia-ml.so.1")}).lacking
    assert (found.host_path, found.problem) == (path, "cannot be used: leads through more than 40 symbolic links")


def test_a_32_bit_library_does_not_serve_a_64_bit_one_nor_the_other_way_round() -> None:
    path = f"/usr/lib/i386-linux-gnu/libcuda.so.{VERSION}"
    found = inventory_of({**minimal_entries(), path: library("libcuda.so.1", "i386")}).lacking
    assert [(one.name, one.bits, one.needed_by) for one in found] == [
        (f"{stem}.so.{VERSION}", 32, path)
        for stem in ("libnvidia-ptxjitcompiler", "libnvidia-nvvm", "libnvidia-gpucomp")
    ]
