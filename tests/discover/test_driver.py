from __future__ import annotations

import pytest

from cdigen.catalog.driver import DRIVER_ROOTS
from cdigen.errors import CdigenError, IncompleteError, NoDriverError, UnreadableError, VersionMismatchError
from cdigen.facts import Driver
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
    kernel_entries,
    library,
    library_entries,
    link,
    minimal_entries,
    moved,
    program,
    text,
    unreadable,
    user_space_entries,
    without,
)

PROC_VERSION = "/proc/driver/nvidia/version"
LIBCUDA = f"{LIBDIR}/libcuda.so.{VERSION}"
UNKNOWN_KERNEL = (
    "neither /proc/driver/nvidia/version nor /sys/module/nvidia/version tells a version (masked?), so"
    f" libcuda.so.{VERSION} cannot be compared with the kernel module; name the host's with --procfs and --sysfs"
)


def refusal(entries: Entries, error: type[CdigenError], **roots: str) -> str:
    with pytest.raises(error) as caught:
        inventory_of(entries, **roots)
    return str(caught.value)


def findings(entries: Entries) -> list[tuple[str, str, str]]:
    return [(finding.code, finding.subject, finding.text) for finding in inventory_of(entries).findings]


def without_user_space(entries: Entries) -> Entries:
    return without(entries, LIBDIR)


@pytest.mark.parametrize("is_open", [True, False])
def test_both_forms_of_the_kernel_modules_text_tell_its_version(is_open: bool) -> None:
    entries = {**minimal_entries(), **kernel_entries(VERSION, is_open=is_open)}
    assert inventory_of(entries).driver == Driver(
        version=VERSION, machine="x86_64", kernel_version_source=PROC_VERSION, libcuda=LIBCUDA
    )


def test_without_its_text_in_procfs_sysfs_tells_the_kernel_modules_version() -> None:
    entries = {**without(minimal_entries(), PROC_VERSION), "/sys/module/nvidia/version": text(f"{VERSION}\n")}
    inventory = inventory_of(entries)
    assert inventory.driver.kernel_version_source == "/sys/module/nvidia/version"
    assert inventory.findings == ()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (text("garbage\n"), "no line 'NVRM version: ...'"),
        (text(""), "empty file"),
        (text("NVRM version: new\x1b[2J\n"), "no kernel module and version in the line 'NVRM version: new\\x1b[2J'"),
        (unreadable("EACCES"), "Permission denied"),
        ({"kind": "fifo"}, "not a regular file"),
    ],
)
def test_a_text_in_procfs_that_tells_nothing_is_a_finding_and_sysfs_is_asked(entry: Entry, reason: str) -> None:
    entries = {**minimal_entries(), PROC_VERSION: entry, "/sys/module/nvidia/version": text(f"{VERSION}\n")}
    assert inventory_of(entries).driver.kernel_version_source == "/sys/module/nvidia/version"
    assert findings(entries) == [
        ("kernel-version", PROC_VERSION, f"{PROC_VERSION}: {reason}; it does not tell the kernel module's version")
    ]


def test_a_kernel_module_of_which_nothing_tells_the_version_is_a_finding() -> None:
    entries = without(minimal_entries(), PROC_VERSION)
    inventory = inventory_of(entries)
    assert inventory.driver == Driver(version=VERSION, machine="x86_64", kernel_version_source=None, libcuda=LIBCUDA)
    assert findings(entries) == [("kernel-version-unknown", PROC_VERSION, UNKNOWN_KERNEL)]


def test_a_stale_kernel_module_is_refused_with_both_versions_named() -> None:
    entries = {**minimal_entries(), **kernel_entries(OTHER_VERSION)}
    assert refusal(entries, VersionMismatchError) == (
        f"the kernel module is {OTHER_VERSION} ({PROC_VERSION}) but the user-space driver is {VERSION} ({LIBCUDA});"
        " reboot to load the module that was installed with it, or install the user-space driver"
        f" {OTHER_VERSION}"
    )


def test_a_stale_kernel_module_is_refused_with_every_installed_version_named_once() -> None:
    entries = {
        **minimal_entries(),
        **user_space_entries(VERSION, "/usr/lib64"),
        **user_space_entries(OTHER_VERSION, "/opt/driver"),
        "/usr/lib64/nvidia/current": link("/opt/driver"),
        **kernel_entries("999.1.1"),
    }
    assert refusal(entries, VersionMismatchError) == (
        f"the kernel module is 999.1.1 ({PROC_VERSION}) but the user-space driver is"
        f" {OTHER_VERSION} (/opt/driver/libcuda.so.{OTHER_VERSION}) and {VERSION} ({LIBCUDA});"
        " reboot to load the module that was installed with it, or install the user-space driver 999.1.1"
    )


def test_two_user_space_drivers_without_a_kernel_module_are_refused_with_both_named() -> None:
    entries = {**without(minimal_entries(), "/proc"), **user_space_entries(OTHER_VERSION, "/usr/lib64")}
    assert refusal(entries, VersionMismatchError) == (
        f"several user-space drivers (/usr/lib64/libcuda.so.{OTHER_VERSION} and {LIBCUDA}) and no kernel module that"
        " tells which one runs; remove the drivers that are not in use, or load the module with: modprobe nvidia"
    )


def test_of_several_user_space_drivers_the_kernel_modules_is_taken_and_the_others_are_left_out() -> None:
    entries = {**minimal_entries(), **user_space_entries(OTHER_VERSION, "/usr/lib64")}
    inventory = inventory_of(entries)
    assert [library.host_path for library in inventory.libraries] == [f"{LIBDIR}/{name}" for name in OWN_LIBRARIES]
    assert [(entry.host_path, entry.reason) for entry in inventory.left_out] == [
        (f"/usr/lib64/libcuda.so.{OTHER_VERSION}", f"of driver {OTHER_VERSION}; the kernel module is {VERSION}"),
        *(
            (f"/usr/lib64/{name.replace(VERSION, OTHER_VERSION)}", f"of driver {OTHER_VERSION}; this one is {VERSION}")
            for name in list(OWN_LIBRARIES)[1:]
        ),
    ]


def test_both_versions_in_one_directory_are_told_apart() -> None:
    entries = {
        **minimal_entries(),
        f"{LIBDIR}/libcuda.so.{OTHER_VERSION}": library("libcuda.so.1"),
        f"{LIBDIR}/libcuda.so.1": link(f"libcuda.so.{OTHER_VERSION}"),
    }
    inventory = inventory_of(entries)
    assert inventory.driver.libcuda == LIBCUDA
    assert [name.name for name in inventory.libraries[0].names] == [
        "libcuda.so",
        "libcuda.so.1",
        f"libcuda.so.{VERSION}",
    ]


def test_paths_of_a_mismatch_are_those_of_the_host_and_not_of_the_driver_root() -> None:
    root = "/run/driver"
    entries = moved(minimal_entries(), root, "/usr", "/lib")
    other = moved(user_space_entries(OTHER_VERSION, "/usr/lib64"), root, "/usr")
    assert inventory_of({**entries, **other}, driver_root=root).left_out[0].host_path == (
        f"{root}/usr/lib64/libcuda.so.{OTHER_VERSION}"
    )
    assert f"({root}{LIBCUDA})" in refusal(
        {**entries, **kernel_entries("999.1.1")}, VersionMismatchError, driver_root=root
    )
    assert f"({root}/usr/lib64/libcuda.so.{OTHER_VERSION} and {root}{LIBCUDA})" in refusal(
        without({**entries, **other}, PROC_VERSION), VersionMismatchError, driver_root=root
    )


def test_a_host_without_either_half_has_no_driver() -> None:
    assert refusal({"/usr/lib/libc.so.6": library("libc.so.6")}, NoDriverError) == (
        "no NVIDIA driver: neither /proc/driver/nvidia/version nor a libcuda.so.<version> below /; install the driver,"
        " or name its directory with --driver-root"
    )
    assert refusal({}, NoDriverError, driver_root="/run/driver") == (
        "no NVIDIA driver: neither /proc/driver/nvidia/version nor a libcuda.so.<version> below /run/driver;"
        " install the driver, or name its directory with --driver-root"
    )


@pytest.mark.parametrize("root", DRIVER_ROOTS)
def test_a_driver_in_a_known_root_is_named_with_the_whole_command(root: str) -> None:
    entries = moved(minimal_entries(), root, "/usr", "/lib")

    assert refusal(entries, IncompleteError) == (
        f"the kernel module {VERSION} is loaded (/proc/driver/nvidia/version) but there is no libcuda.so.{VERSION}"
        f" below /; there is libcuda.so.{VERSION} below {root}; use it with: cdigen generate --driver-root {root}"
    )
    assert refusal(without(entries, "/proc", "/dev"), NoDriverError) == (
        "no NVIDIA driver: neither /proc/driver/nvidia/version nor a libcuda.so.<version> below /; there is"
        f" libcuda.so.{VERSION} below {root}; use it with: cdigen generate --driver-root {root}"
    )


def test_a_driver_elsewhere_that_is_not_the_one_that_runs_is_not_advised() -> None:
    entries = {**moved(minimal_entries(), DRIVER_ROOTS[0], "/usr", "/lib"), **kernel_entries("999.1.1")}

    assert refusal(entries, IncompleteError) == (
        "the kernel module 999.1.1 is loaded (/proc/driver/nvidia/version) but there is no libcuda.so.999.1.1 below /;"
        " install the user-space driver 999.1.1, or name its directory with --driver-root"
    )


def test_a_known_root_that_cannot_be_looked_at_is_passed_over() -> None:
    entries = without(minimal_entries(), "/usr", "/lib")
    first, second = DRIVER_ROOTS[:2]
    entries[first] = {"kind": "link", "to": first}
    entries |= moved(
        {path: entry for path, entry in minimal_entries().items() if path.startswith("/usr")}, second, "/usr"
    )

    assert refusal(entries, IncompleteError).endswith(f"cdigen generate --driver-root {second}")


def test_a_driver_that_is_installed_and_not_loaded_is_no_driver() -> None:
    assert refusal(without(minimal_entries(gpus=0), "/proc"), NoDriverError) == (
        f"the user-space driver {VERSION} is installed but the kernel module is not loaded: no"
        " /proc/driver/nvidia/version, no /sys/module/nvidia/version and no /dev/nvidia<N>; load it with:"
        " modprobe nvidia"
    )


def display_half(version: str = VERSION) -> Entries:
    """Return a host that has what draws, and neither libcuda nor NVML."""
    return {
        **without_user_space(minimal_entries()),
        **{
            f"{LIBDIR}/{stem}.so.{version}": library(f"{stem}.so.{version}")
            for stem in ("libnvidia-glcore", "libnvidia-eglcore", "libnvidia-gpucomp", "libnvidia-tls")
        },
    }


def test_the_display_half_alone_is_a_driver_without_cuda() -> None:
    inventory = inventory_of(display_half())

    assert inventory.driver == Driver(
        version=VERSION, machine="x86_64", kernel_version_source=PROC_VERSION, libcuda=None
    )
    assert [library.file_name for library in inventory.libraries] == [
        f"{stem}.so.{VERSION}"
        for stem in ("libnvidia-eglcore", "libnvidia-glcore", "libnvidia-gpucomp", "libnvidia-tls")
    ]
    assert inventory.lacking == ()
    assert [(finding.level, finding.code, finding.message) for finding in inventory.findings] == [
        (
            "warning",
            "no-cuda",
            (
                f"only the display half of the driver {VERSION} is installed: there is no libcuda.so.{VERSION}, so"
                " containers have no CUDA"
            ),
        )
    ]


@pytest.mark.parametrize(
    "entries",
    [
        display_half(OTHER_VERSION),
        without(display_half(), "/proc/driver/nvidia/version"),
        {path: library("x.so", "i386") if "core.so" in path else entry for path, entry in display_half().items()},
        {
            path: {"kind": "file", "damaged": "truncated"} if "core.so" in path else entry
            for path, entry in display_half().items()
        },
    ],
    ids=["of another version", "not loaded", "32-bit alone", "damaged"],
)
def test_libraries_of_another_driver_are_no_display_half(entries: Entries) -> None:
    with pytest.raises((IncompleteError, NoDriverError)):
        inventory_of(entries)


def test_a_kernel_module_without_user_space_is_incomplete() -> None:
    assert refusal(without_user_space(minimal_entries()), IncompleteError) == (
        f"the kernel module {VERSION} is loaded ({PROC_VERSION}) but there is no libcuda.so.{VERSION} below /;"
        f" install the user-space driver {VERSION}, or name its directory with --driver-root"
    )


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (damaged(), f"{LIBCUDA}: empty file"),
        (damaged(NOT_ELF), f"{LIBCUDA}: {NOT_ELF}"),
        (library("libcuda.so.1", "i386"), f"{LIBCUDA}: 32-bit"),
        (library("libcuda.so.1", "s390x"), f"{LIBCUDA}: for 64-bit em22, which is not supported"),
        (library("libcuda.so.1", "aarch64"), f"{LIBCUDA}: for aarch64, the kernel module is for x86_64"),
        (program(), f"{LIBCUDA}: not a shared object"),
    ],
)
def test_a_libcuda_that_cannot_be_used_is_named_with_the_reason(entry: Entry, reason: str) -> None:
    assert refusal({**minimal_entries(), LIBCUDA: entry}, IncompleteError) == (
        f"no libcuda.so.{VERSION} can be used ({reason}); reinstall the user-space driver {VERSION}"
    )


def test_a_libcuda_that_may_not_be_read_is_named_with_another_way_out() -> None:
    assert refusal({**minimal_entries(), LIBCUDA: unreadable("EACCES")}, UnreadableError) == (
        f"cannot read {LIBCUDA}: Permission denied; run as a user who may read it"
    )


def test_an_error_carries_what_was_found_before_it() -> None:
    entries = {**minimal_entries(), PROC_VERSION: text(""), LIBCUDA: damaged()}
    with pytest.raises(IncompleteError) as caught:
        inventory_of(entries)
    assert [(finding.level, finding.text) for finding in caught.value.findings] == [
        ("warning", f"{PROC_VERSION}: empty file; it does not tell the kernel module's version"),
        ("warning", UNKNOWN_KERNEL),
    ]


def test_every_libcuda_that_cannot_be_used_is_named() -> None:
    entries = {**minimal_entries(), LIBCUDA: damaged(), f"/usr/lib64/libcuda.so.{VERSION}": library("x", "aarch64")}
    assert refusal(entries, IncompleteError) == (
        f"no libcuda.so.{VERSION} can be used ({LIBCUDA}: empty file, /usr/lib64/libcuda.so.{VERSION}: for aarch64, the"
        f" kernel module is for x86_64); reinstall the user-space driver {VERSION}"
    )


def test_a_libcuda_that_can_be_used_is_taken_behind_one_that_cannot() -> None:
    entries = {**minimal_entries(), LIBCUDA: damaged(), **library_entries("libcuda", "libcuda.so.1", "/usr/lib64")}
    assert inventory_of(entries).driver.libcuda == f"/usr/lib64/libcuda.so.{VERSION}"


@pytest.mark.parametrize("suffix", ["1.1", "4.0.0", "1", "x.y", "9999999.1", VERSION + ".old", "999", "999.88.77.66"])
def test_a_libcuda_whose_suffix_is_no_driver_version_is_not_a_driver(suffix: str) -> None:
    entries = {**without_user_space(minimal_entries()), f"{LIBDIR}/libcuda.so.{suffix}": library("libcuda.so.1")}
    assert refusal(entries, IncompleteError).startswith(f"the kernel module {VERSION} is loaded")


def test_a_file_name_with_a_line_break_cannot_forge_a_second_line() -> None:
    directory = "/usr/lib64/nvidia/a\nb"
    entries = {**minimal_entries(), **user_space_entries(OTHER_VERSION, directory), **kernel_entries("999.1.1")}
    assert "\n" not in refusal(entries, VersionMismatchError)
    assert f"/usr/lib64/nvidia/a\\nb/libcuda.so.{OTHER_VERSION}" in refusal(entries, VersionMismatchError)


def test_an_arm_host_has_its_own_machine() -> None:
    inventory = inventory_of(minimal_entries(machine="aarch64"))
    assert inventory.driver.machine == "aarch64"
    assert [library.host_path for library in inventory.libraries] == [
        f"/usr/lib/aarch64-linux-gnu/{name}" for name in OWN_LIBRARIES
    ]
