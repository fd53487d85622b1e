"""WSL2: Windows' driver package and the library folder, whatever else is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.catalog.wsl import CUDA, DRIVER_STORES, LIBRARY_FOLDER
from cdigen.errors import CdigenError, IncompleteError, NoDriverError, one_line
from tests.golden.hosts import GOLDEN, GoldenHost
from tests.hosts import VERSION, Entries, char, inventory_of, library, link, minimal_entries, unreadable, without

STORE = f"{DRIVER_STORES}/nvmii.inf_amd64_c5b5db3e12daa5e3"
UPDATE = "install or update NVIDIA's driver in Windows, never one in Linux, and start WSL again with wsl.exe --shutdown"


def wsl_entries(*stores: str) -> Entries:
    """Return the least that a spec of WSL2 can be made of, with these driver packages."""
    return {
        "/dev/dxg": char(10, 258),
        f"{LIBRARY_FOLDER}/libdxcore.so": library("libdxcore.so"),
        f"{LIBRARY_FOLDER}/libcuda.so.1": library("libcuda.so.1"),
        **{f"{store}/{CUDA}": library("libcuda.so.1") for store in stores or (STORE,)},
    }


def names(entries: Entries) -> dict[str, str]:
    """Return the file behind every name that is mounted in the library directories."""
    inventory = inventory_of(entries)
    return {name.name: found.host_path for found in inventory.libraries for name in found.names}


def refusal(entries: Entries, error: type[CdigenError]) -> str:
    with pytest.raises(error) as caught:
        inventory_of(entries)
    return str(caught.value)


def test_the_real_libcuda_has_every_name_of_it() -> None:
    assert names(wsl_entries()) == dict.fromkeys(("libcuda.so", "libcuda.so.1", CUDA), f"{STORE}/{CUDA}")


def test_what_the_package_has_under_a_name_is_taken_before_the_folders_own() -> None:
    entries = wsl_entries()
    for directory, name in (
        (LIBRARY_FOLDER, "libnvidia-ml.so.1"),
        (STORE, "libnvidia-ml.so.1"),
        (LIBRARY_FOLDER, "libnvidia-encode.so"),
        (LIBRARY_FOLDER, "libd3d12.so"),
        (STORE, "libnvidia-ptxjitcompiler.so.1"),
        (STORE, "libnvidia-new.so.7"),
    ):
        entries[f"{directory}/{name}"] = library(name)
    entries[f"{STORE}/libnvidia-ml_loader.so"] = library("libnvidia-ml.so.1")
    entries[f"{STORE}/nvcubins.bin"] = {"kind": "file"}

    found = names(entries)

    assert {name: path for name, path in found.items() if "cuda" not in name} == {
        "libnvidia-ml.so.1": f"{STORE}/libnvidia-ml.so.1",
        "libnvidia-encode.so": f"{LIBRARY_FOLDER}/libnvidia-encode.so",
        "libd3d12.so": f"{LIBRARY_FOLDER}/libd3d12.so",
        "libnvidia-ptxjitcompiler.so.1": f"{STORE}/libnvidia-ptxjitcompiler.so.1",
        "libnvidia-new.so.7": f"{STORE}/libnvidia-new.so.7",
    }


def test_both_directories_are_mounted_at_their_own_paths_whatever_is_chosen() -> None:
    files = {file.host_path: (file.container_paths, file.group) for file in inventory_of(wsl_entries()).files}

    assert files == {
        STORE: ((STORE,), None),
        LIBRARY_FOLDER: ((LIBRARY_FOLDER,), None),
        f"{LIBRARY_FOLDER}/libdxcore.so": ((), None),
    }


def test_a_driver_below_a_root_keeps_its_paths_in_the_container() -> None:
    entries = {f"/roots/wsl{path}": entry for path, entry in wsl_entries().items()}
    inventory = inventory_of(entries, driver_root="/roots/wsl", dev_root="/roots/wsl")

    assert [(file.host_path, file.container_paths) for file in inventory.files if file.container_paths] == [
        (f"/roots/wsl{STORE}", (STORE,)),
        (f"/roots/wsl{LIBRARY_FOLDER}", (LIBRARY_FOLDER,)),
    ]
    assert [node.host_path for node in inventory.shared_nodes] == ["/roots/wsl/dev/dxg"]


@pytest.mark.parametrize("beside", [minimal_entries(), without(minimal_entries(), "/proc", "/dev")])
def test_a_linux_driver_beside_is_left_out_and_said(beside: Entries) -> None:
    inventory = inventory_of({**beside, **wsl_entries()})

    assert [(one.host_path, one.reason) for one in inventory.left_out] == [
        (f"/usr/lib/x86_64-linux-gnu/libcuda.so.{VERSION}", "of a Linux driver, which has no part in WSL2")
    ]
    (finding,) = inventory.findings
    assert (finding.level, finding.code) == ("note", "linux-driver")
    path = inventory.left_out[0].host_path
    assert finding.message == f"the Linux driver {VERSION} ({path}) has no part in WSL2 and is left out"
    assert all("/usr/lib/wsl/" in found.host_path for found in inventory.libraries)


@pytest.mark.parametrize(
    "stores",
    [
        (),
        (f"{DRIVER_STORES}/iigd_dch.inf_amd64_0/libigd12umd64.so",),
        (f"{DRIVER_STORES}/nvhda.inf_amd64_1/nvhda.sys",),
    ],
)
def test_without_a_driver_package_of_nvidia_it_is_windows_where_one_is_installed(stores: tuple[str, ...]) -> None:
    entries = without(wsl_entries(), STORE) | {f"{DRIVER_STORES}/{path}": {"kind": "file"} for path in stores}

    assert refusal({**minimal_entries(), **entries}, NoDriverError) == (
        f"this host is WSL2 and no driver package of NVIDIA is in {DRIVER_STORES}; {UPDATE}"
    )


@given(st.sets(st.from_regex(r"nv[a-z_]{2,8}\.inf_amd64_[0-9a-f]{16}", fullmatch=True), min_size=2, max_size=4))
def test_of_several_packages_none_is_guessed(packages: set[str]) -> None:
    entries = wsl_entries(*(f"{DRIVER_STORES}/{name}" for name in packages))

    assert refusal(entries, IncompleteError) == (
        f"{DRIVER_STORES} has several driver packages of NVIDIA ({' and '.join(sorted(packages))}), and no file tells"
        " which one Windows uses; remove the old one in Windows (pnputil.exe /enum-drivers lists them, /delete-driver"
        " removes one), and start WSL again with wsl.exe --shutdown"
    )


def test_an_old_package_without_its_libraries_is_none() -> None:
    entries = wsl_entries() | {f"{DRIVER_STORES}/nvlti.inf_amd64_0/nvcubins.bin": {"kind": "file"}}

    assert inventory_of(entries).driver.package == "nvmii.inf_amd64_c5b5db3e12daa5e3"


@pytest.mark.parametrize("entry", [None, {"kind": "file", "damaged": "truncated"}, unreadable("EACCES")])
def test_without_libdxcore_no_program_finds_a_gpu(entry: dict[str, object] | None) -> None:
    path = f"{LIBRARY_FOLDER}/libdxcore.so"
    entries = without(wsl_entries(), path) | ({} if entry is None else {path: entry})

    with pytest.raises(CdigenError) as caught:
        inventory_of(entries)

    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"kind": "file", "damaged": "truncated"}, "truncated"),
        (
            {"kind": "file", "elf": {"bits": 32, "machine": "i386", "soname": "libnvidia-encode.so.1"}},
            "for 32-bit i386, which is not supported",
        ),
        (link("nowhere"), None),
    ],
)
def test_a_library_that_cannot_be_used_is_said_and_the_rest_is_offered(
    entry: dict[str, object], problem: str | None
) -> None:
    path = f"{LIBRARY_FOLDER}/libnvidia-encode.so.1"
    inventory = inventory_of(wsl_entries() | {path: entry})

    assert [found.file_name for found in inventory.libraries] == [CUDA]
    assert [finding.subject for finding in inventory.findings] == [path]
    if problem is not None:
        assert inventory.findings[0].message == f"{path}: {problem}; it is not injected"


def test_what_may_not_be_looked_at_is_not_absent() -> None:
    with pytest.raises(CdigenError) as caught:
        inventory_of(without(wsl_entries(), STORE) | {DRIVER_STORES: unreadable("EACCES", "dir")})

    assert not isinstance(caught.value, NoDriverError)


def test_a_published_host_has_the_names_that_programs_open() -> None:
    host = GoldenHost(directory=GOLDEN / "wsl2-581")

    assert {
        *(
            "libcuda.so.1",
            "libnvidia-ml.so.1",
            "libnvidia-ptxjitcompiler.so.1",
            "libnvcuvid.so.1",
            "libnvidia-encode.so.1",
        ),
        *("libnvidia-opticalflow.so.1", "libnvoptix.so.1", "libnvidia-ngx.so.1", "libd3d12.so", "libd3d12core.so"),
    } <= names({path: dict(entry) for path, entry in host.entries.items()}).keys()


@pytest.mark.parametrize("name", ["nv\nkind: evil", "nv\x1b[2J", "nv\u202e", "nv a", "nv#1", "nv'\""])
def test_a_package_whose_name_could_say_something_in_a_spec_is_refused(name: str) -> None:
    said = refusal(wsl_entries(f"{DRIVER_STORES}/{name}"), IncompleteError)

    assert said == (
        f"{DRIVER_STORES}/{one_line(name)}: its name has characters that no driver package of Windows has; {UPDATE}"
    )
