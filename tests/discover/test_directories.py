from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.errors import IncompleteError
from tests.hosts import (
    LIBDIR,
    OWN_LIBRARIES,
    VERSION,
    Entries,
    Entry,
    damaged,
    inventory_of,
    library,
    library_entries,
    link,
    linker_cache,
    minimal_entries,
    program,
    unreadable,
    user_space_entries,
    without,
)

if TYPE_CHECKING:
    from cdigen.facts import Inventory


SONAMES = {
    f"{stem}.so.{VERSION}": f"{stem}.so.{number}"
    for stem, number in (("libcuda", 1), ("libnvidia-ml", 1), ("libnvidia-nvvm", 4), ("libnvidia-ptxjitcompiler", 1))
}


def in_directory(directory: str) -> Entries:
    """Return the minimal host with its libraries in another directory."""
    return {**without(minimal_entries(), LIBDIR), **user_space_entries(VERSION, directory)}


def places(inventory: Inventory) -> set[str]:
    return {found.host_path.rpartition("/")[0] for found in inventory.libraries}


@pytest.mark.parametrize(
    "directory",
    [
        "/usr/lib64",
        "/usr/lib",
        "/run/opengl-driver/lib",
        "/usr/local/nvidia/lib64",
        "/usr/local/glibc/usr/lib",
        "/usr/local/lib",
        "/usr/lib64/nvidia/anything",
    ],
)
def test_the_usual_directories_are_searched_without_a_linker_cache(directory: str) -> None:
    inventory = inventory_of(in_directory(directory))
    assert places(inventory) == {directory}
    assert (inventory.findings, inventory.left_out) == ((), ())


@pytest.mark.parametrize("cache", ["/etc/ld.so.cache", "/usr/local/glibc/etc/ld.so.cache"])
def test_the_linker_cache_leads_to_any_other_directory(cache: str) -> None:
    entries = {
        **in_directory("/opt/driver/lib"),
        **library_entries("libnvidia-encode", "libnvidia-encode.so.1", "/opt/driver/lib"),
        cache: linker_cache("/opt/driver/lib/libcuda.so.1"),
    }
    inventory = inventory_of(entries)
    assert places(inventory) == {"/opt/driver/lib"}
    assert len(inventory.libraries) == len(OWN_LIBRARIES) + 1


def test_the_linker_cache_comes_before_the_usual_directories() -> None:
    entries = {
        **minimal_entries(),
        **user_space_entries(VERSION, "/opt/driver"),
        "/etc/ld.so.cache": linker_cache("/opt/driver/libcuda.so.1"),
    }
    inventory = inventory_of(entries)
    assert inventory.driver.libcuda == f"/opt/driver/libcuda.so.{VERSION}"
    assert places(inventory) == {"/opt/driver"}
    assert [(entry.host_path, entry.reason) for entry in inventory.left_out] == [
        (
            f"{LIBDIR}/{file_name}",
            f"/opt/driver/{file_name} answers to the same name {SONAMES.get(file_name, file_name)} and comes first",
        )
        for file_name in OWN_LIBRARIES
    ]


def test_a_cached_library_in_vdpau_leads_to_the_directory_above() -> None:
    entries = {
        **in_directory("/opt/driver"),
        f"/opt/driver/vdpau/libvdpau_nvidia.so.{VERSION}": library("libvdpau_nvidia.so.1"),
        "/etc/ld.so.cache": linker_cache("/opt/driver/vdpau/libvdpau_nvidia.so.1"),
    }
    names = [(name.subdir, name.name) for found in inventory_of(entries).libraries for name in found.names]
    assert ("vdpau", "libvdpau_nvidia.so.1") in names
    assert ("", "libcuda.so.1") in names


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (damaged("no linker cache (starts with the bytes 00)"), "no linker cache (starts with the bytes 00)"),
        (unreadable("EACCES"), "Permission denied"),
        ({"kind": "dir"}, "not a regular file"),
        (
            link("ld.so.cache"),
            "leads through more than 40 symbolic links",
        ),
    ],
)
def test_a_linker_cache_that_cannot_be_used_is_a_finding(entry: Entry, reason: str) -> None:
    inventory = inventory_of({**minimal_entries(), "/etc/ld.so.cache": entry})
    assert places(inventory) == {LIBDIR}
    assert [(finding.level, finding.code, finding.subject, finding.text) for finding in inventory.findings] == [
        (
            "warning",
            "linker-cache",
            "/etc/ld.so.cache",
            f"/etc/ld.so.cache: {reason}; the usual directories are searched instead; rebuild it with: ldconfig",
        )
    ]


@pytest.mark.parametrize("path", ["libcuda.so.1", "../libcuda.so.1", "/libcuda.so.1", "/nowhere/libcuda.so.1", "/"])
def test_a_path_in_the_linker_cache_that_leads_nowhere_is_passed_over(path: str) -> None:
    cache: Entry = {"kind": "file", "linker_cache": [["libcuda.so.1", 0, path]]}
    assert inventory_of({**minimal_entries(), "/etc/ld.so.cache": cache}) == inventory_of(minimal_entries())


def test_a_merged_lib_is_searched_once() -> None:
    entries = {
        **minimal_entries(),
        "/lib64": link("usr/lib64"),
        "/usr/lib64": link("lib/x86_64-linux-gnu"),
        "/etc/ld.so.cache": linker_cache("/lib/x86_64-linux-gnu/libcuda.so.1", "/lib64/libcuda.so.1"),
    }
    inventory = inventory_of(entries)
    assert inventory.libraries == inventory_of(minimal_entries()).libraries
    assert inventory.left_out == ()


def test_a_chain_of_alternatives_is_followed_to_the_driver() -> None:
    current = f"{LIBDIR}/nvidia/current"
    entries = in_directory(current)
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        glx = f"/etc/alternatives/nvidia--{name}-x86_64-linux-gnu"
        entries |= {f"{LIBDIR}/{name}": link(glx), glx: link(f"{current}/{name}")}
    inventory = inventory_of(entries)
    assert [(found.host_path, tuple(name.name for name in found.names)) for found in inventory.libraries] == [
        (f"{current}/{file_name}", names) for file_name, names in OWN_LIBRARIES.items()
    ]
    assert (inventory.findings, inventory.left_out) == ((), ())


def test_programs_behind_alternatives_are_found() -> None:
    current = "/usr/lib/nvidia/current"
    entries = {
        **minimal_entries(),
        "/usr/bin/nvidia-smi": link("/etc/alternatives/nvidia--nvidia-smi"),
        "/etc/alternatives/nvidia--nvidia-smi": link(f"{current}/nvidia-smi"),
        f"{current}/nvidia-smi": program(),
    }
    (smi,) = (file for file in inventory_of(entries).files if file.kind == "binary")
    assert (smi.host_path, smi.container_paths, smi.why) == (
        f"{current}/nvidia-smi",
        ("/usr/bin/nvidia-smi",),
        "catalog: shows the GPUs, through /usr/bin/nvidia-smi",
    )


def test_an_alternative_set_is_found_without_any_alternatives_links() -> None:
    entries = without(in_directory(f"{LIBDIR}/nvidia/current"), "/usr/bin/nvidia-smi")
    entries["/usr/lib/nvidia/current/nvidia-smi"] = program()
    inventory = inventory_of(entries)
    assert places(inventory) == {f"{LIBDIR}/nvidia/current"}
    assert [file.host_path for file in inventory.files if file.kind == "binary"] == [
        "/usr/lib/nvidia/current/nvidia-smi"
    ]


def test_the_directory_to_which_libcuda_links_is_searched() -> None:
    entries = {
        **without(in_directory("/opt/store"), "/usr/bin/nvidia-smi"),
        f"{LIBDIR}/libcuda.so.1": link("/opt/store/libcuda.so.1"),
    }
    assert places(inventory_of(entries)) == {"/opt/store"}


@pytest.mark.parametrize("directory", ["/usr/local/cuda-99.8/compat", "/usr/local/cuda/targets/x86_64-linux/lib/stubs"])
def test_libraries_of_a_cuda_toolkit_are_not_this_hosts_driver(directory: str) -> None:
    entries = {
        **minimal_entries(),
        **user_space_entries("999.99.99", directory),
        "/etc/ld.so.cache": linker_cache(f"{directory}/libcuda.so.1", f"{LIBDIR}/libcuda.so.1"),
    }
    inventory = inventory_of(entries)
    assert inventory.libraries == inventory_of(minimal_entries()).libraries
    assert [(entry.host_path, entry.reason) for entry in inventory.left_out] == [
        (directory, "forward-compatibility or stub libraries of a CUDA toolkit")
    ]


def test_a_toolkit_alone_is_no_driver() -> None:
    entries = {
        **without(minimal_entries(), LIBDIR),
        **user_space_entries(VERSION, "/usr/local/cuda/compat"),
        "/etc/ld.so.cache": linker_cache("/usr/local/cuda/compat/libcuda.so.1"),
    }
    with pytest.raises(IncompleteError, match="there is no libcuda"):
        inventory_of(entries)


def test_a_library_directory_that_may_not_be_read_is_a_finding_and_the_others_are_searched() -> None:
    entries: Entries = {
        **minimal_entries(),
        "/usr/lib64": unreadable("EACCES", "dir"),
    }
    inventory = inventory_of(entries)
    assert places(inventory) == {LIBDIR}
    assert [(finding.level, finding.code, finding.subject, finding.text) for finding in inventory.findings] == [
        (
            "warning",
            "unusable-file",
            "/usr/lib64",
            "/usr/lib64: Permission denied; its libraries are not looked at; run as a user who may read it",
        )
    ]
    assert [(entry.host_path, entry.reason) for entry in inventory.left_out] == [("/usr/lib64", "Permission denied")]


@pytest.mark.parametrize("name", ["tegra", "nvidia"])
def test_libraries_of_a_tegra_chips_own_gpu_are_left_out(name: str) -> None:
    directory = f"{LIBDIR}/{name}"
    entries = {
        **minimal_entries(),
        f"{directory}/libnvrm_gpu.so": library("libnvrm_gpu.so"),
        f"{directory}/libnvidia-nvvm70.so.4": library("libnvidia-nvvm70.so.4"),
        "/etc/ld.so.cache": linker_cache(f"{directory}/libnvidia-nvvm70.so.4"),
    }
    inventory = inventory_of(entries)
    assert places(inventory) == {LIBDIR}
    assert [(entry.host_path, entry.reason) for entry in inventory.left_out] == [
        (directory, "libraries of a Tegra chip's own GPU, which has another driver")
    ]
