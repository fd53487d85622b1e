from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.findings import Finding, Remedy
from tests.hosts import (
    LIBDIR,
    NOT_ELF,
    OTHER_VERSION,
    OWN_LIBRARIES,
    VERSION,
    Entries,
    Entry,
    damaged,
    inventory_of,
    library,
    library_entries,
    link,
    minimal_entries,
    program,
    unreadable,
)

if TYPE_CHECKING:
    from cdigen.facts import Library

OUTSIDE = "/opt/elsewhere"


def scan(
    entries: Entries,
) -> tuple[dict[str, Library], list[tuple[str, str]], list[tuple[str, str, str, str]]]:
    """Return the libraries that the entries add to the minimal host, what is left out, and the findings."""
    inventory = inventory_of({**minimal_entries(), **entries})
    return (
        {found.host_path: found for found in inventory.libraries if found.file_name not in OWN_LIBRARIES},
        [(entry.host_path, entry.reason) for entry in inventory.left_out],
        [(f.level, f.code, f.subject, f.text) for f in inventory.findings],
    )


def names(entries: Entries) -> list[str]:
    """Return the names of the one library that the entries add, with why each is given."""
    (found,) = scan(entries)[0].values()
    return [f"{'/'.join(filter(None, (name.subdir, name.name)))} ({name.why})" for name in found.names]


def unusable(path: str, reason: str) -> tuple[str, str, str, str]:
    message = f"{path}: {reason}; it is not injected; reinstall the package that it belongs to"
    return ("warning", "unusable-file", path, message)


def versioned(stem: str) -> str:
    return f"{LIBDIR}/{stem}.so.{VERSION}"


def test_a_library_with_the_drivers_version_is_taken_under_its_soname() -> None:
    entries = library_entries("libnvidia-encode", "libnvidia-encode.so.1", LIBDIR)
    found, left_out, findings = scan(entries)
    library_ = found[versioned("libnvidia-encode")]
    assert (library_.group, library_.why) == ("video", f"version suffix {VERSION}: video encoding")
    assert names(entries) == ["libnvidia-encode.so.1 (soname)"]
    assert (left_out, findings) == ([], [])


def test_a_soname_without_a_link_on_the_host_is_a_name_all_the_same() -> None:
    assert names({versioned("libnvidia-encode"): library("libnvidia-encode.so.1")}) == [
        "libnvidia-encode.so.1 (soname)"
    ]


def test_every_link_beside_a_library_is_a_name_of_it() -> None:
    entries = {
        **library_entries("libnvidia-encode", "libnvidia-encode.so.1", LIBDIR),
        f"{LIBDIR}/libnvidia-encode.so": link("libnvidia-encode.so.1"),
        f"{LIBDIR}/libnvidia-encode.so.old": link(versioned("libnvidia-encode")),
    }
    assert names(entries) == [
        "libnvidia-encode.so (link)",
        "libnvidia-encode.so.1 (soname)",
        "libnvidia-encode.so.old (link)",
    ]


def test_aliases_of_the_catalog_are_names_without_a_link_on_the_host() -> None:
    assert names({versioned("libGLX_nvidia"): library("libGLX_nvidia.so.0")}) == [
        "libGLX_indirect.so.0 (alias)",
        "libGLX_nvidia.so.0 (soname)",
    ]
    assert names({versioned("libnvidia-allocator"): library("libnvidia-allocator.so.1")}) == [
        "libnvidia-allocator.so.1 (soname)",
        "gbm/nvidia-drm_gbm.so (alias)",
    ]


def test_libcuda_and_nvml_keep_their_file_names_from_which_programs_read_the_version() -> None:
    inventory = inventory_of(minimal_entries())
    names_of = {found.file_name: [name.name for name in found.names] for found in inventory.libraries}
    assert names_of[f"libcuda.so.{VERSION}"] == ["libcuda.so", "libcuda.so.1", f"libcuda.so.{VERSION}"]
    assert names_of[f"libnvidia-ml.so.{VERSION}"] == ["libnvidia-ml.so.1", f"libnvidia-ml.so.{VERSION}"]


def test_a_library_without_a_soname_has_its_file_name() -> None:
    assert names({versioned("libnvidia-vulkan-producer"): library(None)}) == [
        "libnvidia-vulkan-producer.so (alias)",
        f"libnvidia-vulkan-producer.so.{VERSION} (file name)",
    ]


def test_a_link_of_the_files_own_name_is_no_further_name() -> None:
    entries = {
        f"{OUTSIDE}/libnvidia-encode.so.{VERSION}": library("libnvidia-encode.so.1"),
        versioned("libnvidia-encode"): link(f"{OUTSIDE}/libnvidia-encode.so.{VERSION}"),
        f"{LIBDIR}/libnvidia-encode.so.1": link(f"libnvidia-encode.so.{VERSION}"),
    }
    assert names(entries) == ["libnvidia-encode.so.1 (soname)"]


def test_a_library_that_nobody_has_heard_of_is_taken_with_a_note() -> None:
    path = versioned("libfuture")
    entries = {
        **library_entries("libfuture", "libfuture.so.9", LIBDIR),
        f"{LIBDIR}/libfuture.so": link("libfuture.so.9"),
    }
    found, _, findings = scan(entries)
    assert (found[path].group, found[path].why) == ("compute", f"version suffix {VERSION}")
    assert names(entries) == ["libfuture.so (link)", "libfuture.so.9 (soname)"]
    assert findings == [
        (
            "note",
            "unknown-library",
            path,
            f"{path} has the driver's version but is not in the catalog; it is injected as compute",
        )
    ]


@pytest.mark.parametrize(
    ("file_name", "reason"),
    [
        ("libnvidia-container.so.1.99.0", "part of the vendor's container tools, not of the driver"),
        ("libnvidia-container-go.so.1.99.0", "part of the vendor's container tools, not of the driver"),
        (f"libnvidia-gtk3.so.{VERSION}", "part of nvidia-settings, which has no use in a container"),
        (f"libnvidia-wayland-client.so.{VERSION}", "part of nvidia-settings, which has no use in a container"),
        (f"libglxserver_nvidia.so.{VERSION}", "a module of the X server, not a library; injected as such"),
        (f"libGL.so.{VERSION}", "the vendor-neutral library comes from the image"),
        (f"libGLESv2.so.{VERSION}", "the vendor-neutral library comes from the image"),
        (
            "libnvidia-other.so.3",
            "not known to belong to the driver: no version suffix, not in the catalog",
        ),
        (f"libnvidia-encode.so.{OTHER_VERSION}", f"of driver {OTHER_VERSION}; this one is {VERSION}"),
        ("libnvidia-encode.so.3", f"its name does not end in the driver's version {VERSION}"),
    ],
)
def test_what_only_looks_like_a_library_of_the_driver_is_left_out_with_the_reason(file_name: str, reason: str) -> None:
    found, left_out, findings = scan({f"{LIBDIR}/{file_name}": library("libodd.so.1")})
    assert (found, findings) == ({}, [])
    assert left_out == [(f"{LIBDIR}/{file_name}", reason)]


@pytest.mark.parametrize(
    ("file_name", "soname", "why"),
    [
        ("libnvidia-egl-gbm.so.1.1.2", "libnvidia-egl-gbm.so.1", "catalog: EGL on GBM"),
        ("libnvidia-egl-wayland2.so.1.0.1", "libnvidia-egl-wayland2.so.1", "catalog: EGL on Wayland"),
        ("libnvidia-api.so.1", "libnvidia-api.so.1", "catalog: NVAPI for Wine and Proton"),
        ("libnvidia-nvvm70.so.4", "libnvidia-nvvm70.so.4", "catalog: NVVM of CUDA 12 from 575 on"),
    ],
)
def test_a_library_of_the_catalog_with_its_own_version_is_taken(file_name: str, soname: str, why: str) -> None:
    found, left_out, findings = scan({f"{LIBDIR}/{file_name}": library(soname)})
    assert [name.name for name in found[f"{LIBDIR}/{file_name}"].names] == [soname]
    assert found[f"{LIBDIR}/{file_name}"].why == why
    assert (left_out, findings) == ([], [])


def test_of_two_own_versions_the_one_is_taken_to_which_the_soname_links() -> None:
    for chosen, other in (("1.1.2", "1.1.10"), ("1.1.10", "1.1.2")):
        found, left_out, _ = scan(
            {
                f"{LIBDIR}/libnvidia-egl-gbm.so.1.1.2": library("libnvidia-egl-gbm.so.1"),
                f"{LIBDIR}/libnvidia-egl-gbm.so.1.1.10": library("libnvidia-egl-gbm.so.1"),
                f"{LIBDIR}/libnvidia-egl-gbm.so.1": link(f"libnvidia-egl-gbm.so.{chosen}"),
            }
        )
        path = f"{LIBDIR}/libnvidia-egl-gbm.so."
        assert list(found) == [path + chosen]
        assert left_out == [
            (path + other, f"{path}{chosen} answers to the same name libnvidia-egl-gbm.so.1 and comes first")
        ]


def test_the_drivers_version_wins_over_an_own_version_of_the_same_soname() -> None:
    found, left_out, _ = scan(
        {
            f"{LIBDIR}/libnvidia-nvvm.so.4.0.0": library("libnvidia-nvvm.so.4"),
            f"{LIBDIR}/libnvidia-nvvm.so.4": link("libnvidia-nvvm.so.4.0.0"),
            versioned("libnvidia-nvvm"): library("libnvidia-nvvm.so.4"),
        }
    )
    assert list(found) == []  # the minimal host has it already
    assert left_out == [
        (
            f"{LIBDIR}/libnvidia-nvvm.so.4.0.0",
            f"{versioned('libnvidia-nvvm')} answers to the same name libnvidia-nvvm.so.4 and comes first",
        )
    ]


def test_a_second_copy_in_a_later_directory_is_left_out() -> None:
    found, left_out, _ = scan(
        {
            **library_entries("libnvidia-encode", "libnvidia-encode.so.1", LIBDIR),
            **library_entries("libnvidia-encode", "libnvidia-encode.so.1", "/usr/lib64"),
        }
    )
    assert list(found) == [versioned("libnvidia-encode")]
    assert left_out == [
        (
            f"/usr/lib64/libnvidia-encode.so.{VERSION}",
            f"{versioned('libnvidia-encode')} answers to the same name libnvidia-encode.so.1 and comes first",
        )
    ]


def test_libraries_in_vdpau_and_gbm_keep_their_subdirectory() -> None:
    vdpau = {
        f"{LIBDIR}/vdpau/libvdpau_nvidia.so.{VERSION}": library("libvdpau_nvidia.so.1"),
        f"{LIBDIR}/vdpau/libvdpau_nvidia.so.1": link(f"libvdpau_nvidia.so.{VERSION}"),
        f"{LIBDIR}/libvdpau_nvidia.so": link(f"vdpau/libvdpau_nvidia.so.{VERSION}"),
    }
    assert names(vdpau) == ["vdpau/libvdpau_nvidia.so (link)", "vdpau/libvdpau_nvidia.so.1 (soname)"]
    gbm = {
        versioned("libnvidia-allocator"): library("libnvidia-allocator.so.1"),
        f"{LIBDIR}/gbm/nvidia-drm_gbm.so": link(f"../libnvidia-allocator.so.{VERSION}"),
    }
    assert "gbm/nvidia-drm_gbm.so (alias)" in names(gbm)


def test_a_vdpau_driver_beside_the_other_libraries_goes_where_libvdpau_looks() -> None:
    assert names({versioned("libvdpau_nvidia"): library("libvdpau_nvidia.so.1")}) == [
        "vdpau/libvdpau_nvidia.so.1 (soname)"
    ]


def test_word_size_is_that_of_the_elf_class_and_not_of_the_directory() -> None:
    found, _, _ = scan(
        {
            versioned("libnvidia-encode"): library("libnvidia-encode.so.1", "i386"),
            f"/usr/lib32/libnvidia-encode.so.{VERSION}": library("libnvidia-encode.so.1"),
        }
    )
    assert [(path, entry.elf.bits) for path, entry in found.items()] == [
        (f"/usr/lib32/libnvidia-encode.so.{VERSION}", 64),
        (versioned("libnvidia-encode"), 32),
    ]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (damaged(), "empty file"),
        (damaged(NOT_ELF), NOT_ELF),
        (unreadable("EACCES"), "Permission denied"),
        (library("libnvidia-encode.so.1", "aarch64"), "made for 64-bit aarch64, not for x86_64"),
        (library("libnvidia-encode.so.1", "s390x"), "made for 64-bit em22, not for x86_64"),
        ({"kind": "file", "elf": {"bits": 32, "machine": "arm"}}, "made for 32-bit arm, not for i386"),
        (program(), "not a shared object"),
        (library("../evil.so"), "its SONAME '../evil.so' is not a file name"),
        (library("a/b"), "its SONAME 'a/b' is not a file name"),
        (library("a\nb"), "its SONAME 'a\\nb' is not a file name"),
        (library("a: b"), "its SONAME 'a: b' is not a file name"),
        (library(".."), "its SONAME '..' is not a file name"),
        (library(""), "its SONAME '' is not a file name"),
    ],
)
def test_a_library_that_cannot_be_used_is_a_finding_and_the_others_are_taken(entry: Entry, reason: str) -> None:
    path = versioned("libnvidia-encode")
    found, left_out, findings = scan({path: entry, versioned("libnvidia-fbc"): library("libnvidia-fbc.so.1")})
    assert list(found) == [versioned("libnvidia-fbc")]
    assert left_out == [(path, reason)]
    assert findings == [unusable(path, reason)]


@pytest.mark.parametrize("name", ["libnvidia-a\nb", "libnvidia-a: b", "libnvidia-&a", "libnvidia-'", "libnvidia-é"])
def test_a_file_name_that_no_library_has_is_left_out(name: str) -> None:
    path = f"{LIBDIR}/{name}.so.{VERSION}"
    found, left_out, findings = scan({path: library("libnvidia-a.so.1")})
    assert (found, findings) == ({}, [])
    assert left_out == [(path.replace("\n", "\\n"), "its name has characters that no library's name has")]


def test_a_link_whose_target_has_such_a_name_is_left_out() -> None:
    found, left_out, _ = scan(
        {versioned("libnvidia-a"): link(f"{OUTSIDE}/a b"), f"{OUTSIDE}/a b": library("libnvidia-a.so.1")}
    )
    assert found == {}
    assert left_out == [(f"{OUTSIDE}/a b", "its name has characters that no library's name has")]


def test_a_dangling_link_is_left_out() -> None:
    found, left_out, findings = scan({f"{LIBDIR}/libnvidia-encode.so.1": link("nowhere")})
    assert (found, findings) == ({}, [])
    assert left_out == [(f"{LIBDIR}/libnvidia-encode.so.1", "a link that leads to nothing")]


def test_a_cycle_is_a_finding_and_the_others_are_taken() -> None:
    path = f"{LIBDIR}/libnvidia-encode.so.1"
    found, left_out, findings = scan(
        {path: link("libnvidia-encode.so.1"), **library_entries("libnvidia-fbc", "f", LIBDIR)}
    )
    reason = "leads through more than 40 symbolic links"
    assert list(found) == [versioned("libnvidia-fbc")]
    assert left_out == [(path, reason)]
    assert findings == [
        ("warning", "unusable-file", path, f"{path}: {reason}; it is not injected; remove the link cycle")
    ]


def test_a_link_that_climbs_stays_below_the_root() -> None:
    climbing = f"../../../../../../..{OUTSIDE}/libnvidia-encode.so.{VERSION}"
    found, _, _ = scan(
        {
            f"{LIBDIR}/libnvidia-encode.so.1": link(climbing),
            f"{OUTSIDE}/libnvidia-encode.so.{VERSION}": library("libnvidia-encode.so.1"),
        }
    )
    assert list(found) == [f"{OUTSIDE}/libnvidia-encode.so.{VERSION}"]


@pytest.mark.parametrize("kind", ["dir", "fifo", "socket"])
def test_what_has_a_librarys_name_and_is_no_file_is_not_taken(kind: str) -> None:
    found, left_out, findings = scan({versioned("libnvidia-encode"): {"kind": kind}})
    path = versioned("libnvidia-encode")
    assert (found, left_out) == ({}, [(path, "not a regular file")])
    assert findings == [unusable(path, "not a regular file")]


def test_a_directory_beside_the_libraries_is_nothing_of_the_drivers() -> None:
    assert scan({f"{LIBDIR}/libnvidia-things/libnvidia-other.so.1": library("libnvidia-other.so.1")}) == ({}, [], [])


def test_libraries_are_sorted_by_word_size_then_by_name() -> None:
    entries = {
        **minimal_entries(),
        f"/usr/lib/i386-linux-gnu/libcuda.so.{VERSION}": library("libcuda.so.1", "i386"),
        f"/usr/lib64/libEGL_nvidia.so.{VERSION}": library("libEGL_nvidia.so.0"),
    }
    assert [(found.elf.bits, found.file_name) for found in inventory_of(entries).libraries] == [
        (64, f"libEGL_nvidia.so.{VERSION}"),
        *((64, name) for name in OWN_LIBRARIES),
        (32, f"libcuda.so.{VERSION}"),
    ]


def test_the_order_of_directory_entries_does_not_matter() -> None:
    entries = {
        **minimal_entries(gpus=3),
        **library_entries("libnvidia-encode", "libnvidia-encode.so.1", LIBDIR),
        **library_entries("libnvidia-encode", "libnvidia-encode.so.1", "/usr/lib64"),
        **library_entries("libfuture", "libfuture.so.1", LIBDIR),
        f"{LIBDIR}/libnvidia-cfg.so.{VERSION}": damaged(),
    }
    backwards = dict(reversed(entries.items()))
    assert inventory_of(backwards) == inventory_of(entries)


def test_a_finding_is_made_once() -> None:
    inventory = inventory_of({**minimal_entries(), versioned("libnvidia-cfg"): damaged()})
    assert inventory.findings == (
        Finding(
            level="warning",
            code="unusable-file",
            subject=versioned("libnvidia-cfg"),
            message=f"{versioned('libnvidia-cfg')}: empty file; it is not injected",
            remedy=Remedy("reinstall the package that it belongs to"),
        ),
    )
