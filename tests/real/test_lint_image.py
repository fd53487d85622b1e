"""cdigen lint-image on real roots, a real driver's libraries and archives that real tools wrote."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import lack
from tests.real.process import command_environment, run
from tests.real.program import report_of, run_cdigen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.make_driver import HostTree

LIBDIR = "/usr/lib/x86_64-linux-gnu"
NEWER = "999.88.77"
FORMS = {"docker-archive": "docker archive", "oci-archive": "OCI archive", "oci-dir": "OCI layout"}


def found_in(image: Path, version: str) -> dict[str, tuple[str, str, str]]:
    report = report_of("lint-image", str(image), "--driver-version", version)
    return {file["path"]: (file["level"], file["code"], file["effect"]) for file in report["found"]}


def test_a_root_without_a_driver_is_clean(image: Path) -> None:
    done = run_cdigen("lint-image", str(image), "--driver-version", NEWER)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{image} (directory): found no driver files, for a host with driver {NEWER} (--driver-version)\n"
    )


def test_a_root_with_libcuda_and_a_cache_that_names_it(
    image_bookworm: Path, driver_plain: HostTree, tmp_path: Path
) -> None:
    root, libcuda = tmp_path / "root", f"libcuda.so.{driver_plain.version}"
    run(["cp", "-a", "--reflink=auto", str(image_bookworm), str(root)])
    place = root / LIBDIR[1:] / libcuda
    shutil.copy2(next(driver_plain.root.rglob(libcuda)), place)
    run(["ldconfig", "-r", str(root)])
    assert os.readlink(place.with_name("libcuda.so.1")) == libcuda
    link = f"{LIBDIR}/libcuda.so.1"
    cached = found_in(root, NEWER)["/etc/ld.so.cache"]
    assert found_in(root, NEWER) == {
        f"{LIBDIR}/{libcuda}": (
            "note",
            "driver-library",
            f"hidden by the host's file, which is mounted over it by way of {link}",
        ),
        "/etc/ld.so.cache": (
            "note",
            "linker-cache",
            (
                f"lists driver libraries that are baked in ({cached[2].partition('(')[2].partition(')')[0]});"
                " the loader goes there for these names; see each file"
            ),
        ),
    }
    assert cached[2].partition("(")[2].partition(")")[0].endswith("/x86_64-linux-gnu/libcuda.so.1")
    place.unlink()
    enoent = "crun cannot mount over a dangling link (ENOENT): the container does not start; runc can"
    assert found_in(root, NEWER)[link] == ("warning", "dangling-link", enoent)


def test_an_installed_driver_is_reported_whole_with_its_packages(driver_debian: HostTree) -> None:
    report = report_of("lint-image", str(driver_debian.root), "--driver-version", NEWER)
    libraries = {
        path.name
        for path in driver_debian.root.rglob(f"*.so.{driver_debian.version}")
        if path.is_file() and not path.is_symlink()
    }
    assert len(libraries) == 30  # 28 and two of nvidia-settings
    found: list[dict[str, Any]] = [file for file in report["found"] if file["code"] == "driver-library"]
    assert {file["path"].rpartition("/")[2] for file in found} == libraries
    assert {file["version"] for file in found} == {driver_debian.version}
    (libcuda,) = (file for file in found if file["path"].endswith(f"/libcuda.so.{driver_debian.version}"))
    assert libcuda["fix"] == "do not install the package libcuda1 in the image"
    assert all(file["fix"].startswith("do not install the package ") for file in found)


@pytest.fixture(scope="module")
def saved(image_rhel: Path, driver_plain: HostTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with an image that podman saved in each form: a root, a layer with libcuda, one without it."""
    if missing := [tool for tool in ("podman", "buildah") if shutil.which(tool) is None]:
        lack(f"not installed: {' '.join(missing)}")
    place = tmp_path_factory.mktemp("saved")
    store = ["--root", str(place / "store"), "--runroot", str(place / "run"), "--storage-driver", "vfs"]

    def do(*command: str) -> str:
        tool, *rest = command
        done = subprocess.run(
            [tool, *store, *rest], capture_output=True, text=True, check=False, env=command_environment()
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    libcuda = next(driver_plain.root.rglob(f"libcuda.so.{driver_plain.version}"))
    base = do("buildah", "from", "scratch")
    do("buildah", "copy", "-q", base, str(image_rhel), "/")
    do("buildah", "copy", "-q", base, str(libcuda), "/usr/local/nvidia/lib64/libcuda.so.1")
    do("buildah", "copy", "-q", base, str(libcuda), "/opt/gone/libcuda.so.1")
    do("buildah", "config", "--env", "LD_LIBRARY_PATH=/usr/local/nvidia/lib64", base)
    do("buildah", "commit", "-q", base, "base")
    top = do("buildah", "from", "base")
    root = do("buildah", "mount", top)
    shutil.rmtree(f"{root}/opt/gone")  # a whiteout
    os.symlink("/nowhere", f"{root}/usr/lib64/libnvidia-ml.so.1")
    do("buildah", "umount", top)
    do("buildah", "commit", "-q", top, "made-up:latest")
    for form in FORMS:
        do("podman", "save", "-q", "--format", form, "-o", str(place / form), "made-up:latest")
    shutil.rmtree(place / "store")
    return place


@pytest.mark.parametrize("form", FORMS)
def test_an_image_that_podman_saved(saved: Path, form: str) -> None:
    report = report_of("lint-image", str(saved / form), "--driver-version", NEWER)
    assert report["form"] == FORMS[form]
    assert len(report["layers"]) == 2
    names = [layer["name"] for layer in report["layers"]]
    assert [(file["path"], file["code"], names.index(file["layer"]), file["effect"]) for file in report["found"]] == [
        (
            "/usr/lib64/libnvidia-ml.so.1",
            "dangling-link",
            1,
            "crun cannot mount over a dangling link (ENOENT): the container does not start; runc can",
        ),
        (
            "/usr/local/nvidia/lib64/libcuda.so.1",
            "driver-library",
            0,
            (
                "the loader finds it first (LD_LIBRARY_PATH has /usr/local/nvidia/lib64): version mismatch with the"
                f" host's driver {NEWER} unless it has that version"
            ),
        ),
    ]
