"""The real input is what it claims to be: if not, every other test in this directory proves nothing."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tests.real.hardware import GPUS
from tests.real.process import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.make_driver import HostTree

CURRENT = "/usr/lib/x86_64-linux-gnu/nvidia/current"


def inside(root: Path, *argv: str) -> str:
    return run(["chroot", str(root), *argv])


def system_directories(root: Path) -> list[str]:
    """Return the directories that are built into the loader of `root`, in the order of search."""
    diagnostics = inside(root, "/lib64/ld-linux-x86-64.so.2", "--list-diagnostics")
    return re.findall(r'^path\.system_dirs\[\w+\]="(.*)"$', diagnostics, re.MULTILINE)


def assert_hardware(host: HostTree) -> None:
    root = host.root
    assert f"  {host.version}  " in (root / "proc/driver/nvidia/version").read_text()
    assert (root / "sys/module/nvidia/version").read_text() == f"{host.version}\n"
    assert sorted(path.name for path in (root / "proc/driver/nvidia/gpus").iterdir()) == [gpu.bdf for gpu in GPUS]
    for gpu in GPUS:
        information = (root / "proc/driver/nvidia/gpus" / gpu.bdf / "information").read_text()
        assert f"GPU UUID: \t {gpu.uuid}\n" in information
        assert f"Device Minor: \t {gpu.minor}\n" in information
        drm = root / "sys/bus/pci/devices" / gpu.bdf / "drm"
        assert sorted(path.name for path in drm.iterdir()) == [f"card{gpu.drm}", f"renderD{128 + gpu.drm}"]
        by_path = root / "dev/dri/by-path"
        nodes = {
            root / f"dev/nvidia{gpu.minor}": (195, gpu.minor),
            by_path / f"pci-{gpu.bdf}-card": (226, gpu.drm),
            by_path / f"pci-{gpu.bdf}-render": (226, 128 + gpu.drm),
        }
        for node, number in nodes.items():
            device = node.stat().st_rdev
            assert (os.major(device), os.minor(device)) == number
    for name, number in (("nvidiactl", (195, 255)), ("nvidia-uvm", (511, 0))):
        device = (root / "dev" / name).stat().st_rdev
        assert (os.major(device), os.minor(device)) == number


def test_no_gpu_has_two_equal_numbers() -> None:
    assert len(GPUS) == 8
    assert all(len({index, gpu.minor, gpu.drm}) == 3 for index, gpu in enumerate(GPUS))


def test_plain_host_has_every_file_of_every_driver_package(
    driver_plain: HostTree, package_files: dict[str, tuple[str, ...]]
) -> None:
    assert len(package_files) > 40
    assert f"{CURRENT}/libcuda.so.{driver_plain.version}" in package_files["libcuda1"]
    assert not [
        path for paths in package_files.values() for path in paths if not os.path.lexists(f"{driver_plain.root}{path}")
    ]


def test_plain_host_leads_to_libcuda_by_its_linker_cache_alone(driver_plain: HostTree) -> None:
    libcuda = driver_plain.root / CURRENT[1:] / "libcuda.so.1"
    assert libcuda.resolve().name == f"libcuda.so.{driver_plain.version}"
    assert not (driver_plain.root / "etc/alternatives").exists()
    assert not os.path.lexists(driver_plain.root / "usr/lib/x86_64-linux-gnu/libcuda.so.1")
    cache = run(["ldconfig", "-r", str(driver_plain.root), "-p"])
    assert f"libcuda.so.1 (libc6,x86-64) => {CURRENT}/libcuda.so.1\n" in cache


def test_plain_host_has_eight_gpus(driver_plain: HostTree) -> None:
    assert_hardware(driver_plain)


def test_debian_host_has_the_same_driver_installed(
    driver_debian: HostTree, driver_plain: HostTree, package_files: dict[str, tuple[str, ...]]
) -> None:
    assert driver_debian.version == driver_plain.version
    states = inside(driver_debian.root, "dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n")
    installed = {line.split()[0] for line in states.splitlines() if line.split()[1] == "ii"}
    assert not set(package_files) - installed


def test_debian_host_reaches_the_driver_through_alternatives(driver_debian: HostTree) -> None:
    root, version = driver_debian.root, driver_debian.version
    library = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"
    assert (root / library[1:]).readlink().as_posix().startswith("/etc/alternatives/")
    assert inside(root, "readlink", "-f", library) == f"{CURRENT}/libcuda.so.{version}\n"
    assert inside(root, "readlink", "-f", "/usr/bin/nvidia-smi") == "/usr/lib/nvidia/current/nvidia-smi\n"
    dangling = 'for link in /etc/alternatives/nvidia--*; do [ -e "$link" ] || echo "$link"; done'
    assert inside(root, "sh", "-c", dangling) == ""
    cache = inside(root, "ldconfig", "-p")
    assert "libcuda.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libcuda.so.1\n" in cache


def test_debian_host_has_eight_gpus(driver_debian: HostTree) -> None:
    assert_hardware(driver_debian)


def test_loaders_of_the_images_have_different_built_in_directories(image_bookworm: Path, image_rhel: Path) -> None:
    debian = ["/lib/x86_64-linux-gnu/", "/usr/lib/x86_64-linux-gnu/", "/lib/", "/usr/lib/"]
    assert system_directories(image_bookworm) == debian
    assert system_directories(image_rhel) == ["/lib64/", "/usr/lib64/", "/lib/", "/usr/lib/"]


def test_images_bring_no_driver_of_their_own(image: Path) -> None:
    assert not [path for path in image.rglob("lib*") if re.match(r"lib(cuda|nvidia)", path.name)]
