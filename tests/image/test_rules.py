"""What is reported of an image, and what happens on a host."""

from __future__ import annotations

import pytest

from cdigen.catalog.driver import LIBRARIES, matches_stem
from cdigen.image import Image, Layer, Tree
from cdigen.image.names import split_library_name
from cdigen.image.rules import DriverFile, find_driver_files
from cdigen.image.tree import Change
from cdigen.parse.ldcache import CacheEntry
from tests.image.archives import LIBDIR, OTHER_VERSION, VERSION
from tests.parse.test_ldcache import build
from tests.work import calls_of

MISMATCH = f"version mismatch with the host's driver {VERSION}"
UNKNOWN = f"version mismatch unless the host's driver is {OTHER_VERSION}"
CUDA = f"{LIBDIR}/libcuda.so.{OTHER_VERSION}"


def make_image(files: dict[str, bytes | str | None], *upper: dict[str, bytes | str | None], **env: str) -> Image:
    """Return an image: bytes are a file, text is a link's, None is a directory."""
    tree = Tree()
    for position, layer in enumerate((files, *upper)):
        changes = []
        for path, content in layer.items():
            if isinstance(content, bytes):
                changes.append(Change(path, "file", len(content), content=content))
            else:
                changes.append(Change(path, "dir") if content is None else Change(path, "link", target=content))
        tree.apply(changes, position)
    layers = tuple(Layer(name=f"sha256:{position}") for position in range(1 + len(upper)))
    return Image(form="OCI archive", tree=tree, layers=layers, env=env)


def only(image: Image, version: str | None = VERSION) -> DriverFile:
    (found,) = find_driver_files(image, version)
    return found


def effects(image: Image, version: str | None = VERSION) -> dict[str, tuple[str, str, str]]:
    return {file.path: (file.level, file.code, file.effect) for file in find_driver_files(image, version)}


def test_a_library_behind_its_soname_is_hidden_by_the_mount() -> None:
    image = make_image({"etc/x": b"x"}, {CUDA: b"x", f"{LIBDIR}/libcuda.so.1": f"libcuda.so.{OTHER_VERSION}"})
    assert only(image) == DriverFile(
        level="note",
        code="driver-library",
        path=f"/{CUDA}",
        layer=1,
        version=OTHER_VERSION,
        effect=f"hidden by the host's file, which is mounted over it by way of /{LIBDIR}/libcuda.so.1",
        fix=f"RUN rm /{CUDA}, or leave out the step that makes it",
    )


def test_a_library_that_no_name_leads_to_is_harmless_beside_the_mounts() -> None:
    assert effects(make_image({CUDA: b"x"})) == {
        f"/{CUDA}": (
            "note",
            "driver-library",
            "harmless, but takes space: the names by which programs load it are mounted beside it",
        )
    }


def test_the_hosts_own_version_is_harmless_until_the_next_upgrade() -> None:
    harmless = "harmless until the host's driver, which has the same version, is upgraded"
    assert only(make_image({CUDA: b"x"}), OTHER_VERSION).effect == harmless
    name = f"libcuda.so.{OTHER_VERSION}"
    image = make_image({"opt/libcuda.so.1": name, f"opt/{name}": b"x"}, LD_LIBRARY_PATH="/opt")
    assert only(image, OTHER_VERSION).effect == (
        "works on this host until its driver is upgraded: the loader finds it first (LD_LIBRARY_PATH has /opt)"
    )


@pytest.mark.parametrize(("version", "what"), [(VERSION, MISMATCH), (None, UNKNOWN)])
def test_a_library_that_the_loader_finds_first_is_a_mismatch(version: str | None, what: str) -> None:
    files: dict[str, bytes | str | None] = {
        f"usr/local/nvidia/lib64/libcuda.so.{OTHER_VERSION}": b"x",
        "usr/local/nvidia/lib64/libcuda.so.1": f"libcuda.so.{OTHER_VERSION}",
    }
    path = f"/usr/local/nvidia/lib64/libcuda.so.{OTHER_VERSION}"
    place = "/usr/local/nvidia/lib64"
    led = f"programs that search {place} (LD_LIBRARY_PATH, RUNPATH) load it: {what}"
    assert effects(make_image(files), version) == {path: ("note", "driver-library", led)}
    first = f"the loader finds it first (LD_LIBRARY_PATH has {place}): {what}"
    image = make_image(files, LD_LIBRARY_PATH=f"/nowhere::{place}")
    assert effects(image, version) == {path: ("warning", "driver-library", first)}
    link = f"{place}/libcuda.so.1"
    cache = build("new", (CacheEntry(name="libcuda.so.1", path=link, flags=0x303, hwcap=0),))
    assert effects(make_image({**files, "etc/ld.so.cache": cache}), version) == {
        path: ("warning", "driver-library", f"the loader finds it first (/etc/ld.so.cache has {link}): {what}"),
        "/etc/ld.so.cache": (
            "note",
            "linker-cache",
            (
                f"lists driver libraries that are baked in ({link}); the loader goes there for these names;"
                " see each file"
            ),
        ),
    }
    both = make_image({**files, "etc/ld.so.cache": cache}, LD_LIBRARY_PATH=place)
    assert effects(both, version)[path] == ("warning", "driver-library", first)


def test_of_two_entries_of_the_cache_the_first_counts() -> None:
    entries = [
        CacheEntry(name="libcuda.so.1", path=f"/{place}/libcuda.so.1", flags=0x303, hwcap=0)
        for place in (LIBDIR, "opt")
    ]
    files: dict[str, bytes | str | None] = {"opt/libcuda.so.1": b"x", f"{LIBDIR}/libcuda.so.1": b"x"}
    image = make_image({**files, "etc/ld.so.cache": build("new", tuple(entries))})
    assert effects(image)["/opt/libcuda.so.1"][0] == "note"
    image = make_image({**files, "etc/ld.so.cache": build("new", tuple(entries[::-1]))})
    assert effects(image)["/opt/libcuda.so.1"] == (
        "warning",
        "driver-library",
        (
            "the loader finds it first (/etc/ld.so.cache has /opt/libcuda.so.1): version mismatch with the host's"
            f" driver {VERSION} unless it has that version"
        ),
    )


def test_unmerged_lib_is_searched_before_the_mounts() -> None:
    name = f"lib/x86_64-linux-gnu/libcuda.so.{OTHER_VERSION}"
    files: dict[str, bytes | str | None] = {name: b"x", "lib/x86_64-linux-gnu/libcuda.so.1": name.rpartition("/")[2]}
    assert only(make_image(files)).effect == (
        f"the loader finds it first (/lib/x86_64-linux-gnu is searched first): {MISMATCH}"
    )
    merged: dict[str, bytes | str | None] = {"usr/lib": None, "lib": "usr/lib"}
    assert only(make_image(merged, files)).effect.startswith("hidden by the host's file")


def test_a_real_file_under_the_soname_is_hidden() -> None:
    assert effects(make_image({"usr/lib64/libcuda.so.1": b"x"})) == {
        "/usr/lib64/libcuda.so.1": (
            "note",
            "driver-library",
            "hidden by the host's file, which is mounted over it",
        )
    }


def test_empty_files_of_earlier_injections() -> None:
    short = "'file too short'"
    files: dict[str, bytes | str | None] = {
        f"{LIBDIR}/libnvidia-ml.so.1": b"",
        "opt/libcuda.so.1": b"",
        f"{LIBDIR}/libnvidia-glcore.so.{OTHER_VERSION}": b"",
        "usr/bin/nvidia-smi": b"",
    }
    hidden = f"hidden by the host's file, which is mounted over it; without a driver, programs stop with {short}"
    left = f"left over from an earlier injection; a program that loads it stops with {short}"
    assert effects(make_image(files)) == {
        "/opt/libcuda.so.1": ("note", "empty-file", left),
        "/usr/bin/nvidia-smi": ("note", "empty-file", hidden),
        f"/{LIBDIR}/libnvidia-glcore.so.{OTHER_VERSION}": ("note", "empty-file", left),
        f"/{LIBDIR}/libnvidia-ml.so.1": ("note", "empty-file", hidden),
    }
    first = effects(make_image(files, LD_LIBRARY_PATH="/opt"))["/opt/libcuda.so.1"]
    assert first == (
        "warning",
        "empty-file",
        f"the loader finds it first (LD_LIBRARY_PATH has /opt) and stops with {short}",
    )


def test_dangling_links_and_cycles() -> None:
    enoent = "crun cannot mount over a dangling link (ENOENT): the container does not start; runc can"
    files: dict[str, bytes | str | None] = {
        f"{LIBDIR}/libcuda.so.1": f"libcuda.so.{OTHER_VERSION}",
        "usr/lib64/libcuda.so": "libcuda.so",
        "opt/libcuda.so.1": "/nowhere",
        "usr/bin/nvidia-smi": "/etc/alternatives/nvidia-smi",
    }
    assert effects(make_image(files)) == {
        "/opt/libcuda.so.1": (
            "note",
            "dangling-link",
            "harmless: nothing is mounted there, and the loader ignores it",
        ),
        "/usr/bin/nvidia-smi": ("warning", "dangling-link", enoent),
        "/usr/lib64/libcuda.so": ("warning", "dangling-link", enoent),
        f"/{LIBDIR}/libcuda.so.1": ("warning", "dangling-link", enoent),
    }


@pytest.mark.parametrize("cycle", ["usr/lib64", "usr/bin", "lib", "var/lib/dpkg/info", "etc/ld.so.cache"])
def test_a_cycle_in_place_of_a_directory_keeps_nothing_else_from_being_found(cycle: str) -> None:
    found = effects(make_image({cycle: f"/{cycle}", f"{LIBDIR}/libcuda.so.1": "/nowhere"}))

    assert f"/{LIBDIR}/libcuda.so.1" in found


def test_a_directory_in_the_place_of_a_file_stops_the_container() -> None:
    found = only(make_image({f"{LIBDIR}/libcuda.so.1": None, "opt/libcuda.so.1": None}))
    assert (found.level, found.code, found.effect, found.fix) == (
        "warning",
        "directory",
        "the container does not start: a file cannot be mounted on a directory",
        f"RUN rm -r /{LIBDIR}/libcuda.so.1, or leave out the step that makes it",
    )


def test_programs() -> None:
    files: dict[str, bytes | str | None] = {
        "usr/bin/nvidia-smi": b"x",
        "usr/local/bin/nvidia-smi": b"x",
        "sbin/nvidia-persistenced": b"x",
        "opt/mine/nvidia-smi": b"x",
    }
    assert effects(make_image(files)) == {
        "/sbin/nvidia-persistenced": (
            "note",
            "driver-program",
            "runs only by its path; the host's is mounted in /usr/bin",
        ),
        "/usr/bin/nvidia-smi": ("note", "driver-program", "hidden by the host's file, which is mounted over it"),
        "/usr/local/bin/nvidia-smi": (
            "warning",
            "driver-program",
            "runs in place of the host's (PATH): version mismatch unless both have the same version",
        ),
    }
    assert effects(make_image(files, PATH="/usr/bin:/usr/local/bin"))["/usr/local/bin/nvidia-smi"][0] == "note"


def test_a_cache_that_names_what_is_missing_or_is_damaged() -> None:
    entries = tuple(
        CacheEntry(name=name, path=f"/opt/{name}", flags=0x303, hwcap=0)
        for name in ("libcuda.so.1", "libnvidia-ml.so.1", "libc.so.6", "libnvcuvid.so.1", "libnvoptix.so.1")
    )
    stale = CacheEntry(name="libcuda.so.1", path="/usr/local/cuda/compat/libcuda.so.1", flags=0x303, hwcap=0)
    found = only(make_image({"etc/ld.so.cache": build("new", (*entries, stale))}))
    assert (found.level, found.code, found.effect, found.fix) == (
        "note",
        "linker-cache",
        (
            "lists driver libraries that are missing (/opt/libcuda.so.1, /opt/libnvidia-ml.so.1, /opt/libnvcuvid.so.1"
            " and 1 more); harmless: the loader goes on to its built-in directories"
        ),
        "RUN ldconfig, after the driver's files are removed",
    )
    found = only(make_image({"etc/ld.so.cache": b"x"}))
    assert found.effect == ("not a cache of the dynamic loader; the loader ignores a cache that it cannot read")


def test_what_is_legitimate_is_not_reported() -> None:
    files: dict[str, bytes | str | None] = {
        f"usr/local/cuda-12.2/compat/libcuda.so.{OTHER_VERSION}": b"x",
        "usr/local/cuda-12.2/compat/libcuda.so.1": "nowhere",
        "usr/local/cuda": "cuda-12.2",
        "usr/local/cuda-12.2/targets/x86_64-linux/lib/stubs/libcuda.so": b"x",
        "usr/local/cuda-12.2/lib64/stubs/libnvidia-ml.so.1": b"",
        f"{LIBDIR}/libcuda.so.1": "/usr/local/cuda/compat/../lib64/stubs/libnvidia-ml.so.1",
        f"{LIBDIR}/libnvidia-egl-gbm.so.1.1.0": b"x",
        f"{LIBDIR}/libnvidia-container.so.1.13.5": b"x",
        f"{LIBDIR}/libGL.so.1.7.0": b"x",
        f"{LIBDIR}/libabsl_base.so.20220623.0.0": b"x",
        f"{LIBDIR}/libcuda.so": b"linked against",
        "usr/bin/nvidia-settings": b"x",
        "etc/ld.so.cache": build("new", ()),
    }
    assert find_driver_files(make_image(files), VERSION) == ()


def test_what_nobody_has_heard_of_is_found_by_a_version_that_is_known() -> None:
    odd = f"{LIBDIR}/libodd.so.{OTHER_VERSION}"
    assert find_driver_files(make_image({odd: b"x"}), VERSION) == ()
    assert only(make_image({odd: b"x"}), OTHER_VERSION).path == f"/{odd}"
    assert only(make_image({f"{LIBDIR}/libnew_nvidia.so.{OTHER_VERSION}": b"x"})).version == OTHER_VERSION
    names = [f"{LIBDIR}/vdpau/libvdpau_nvidia.so.{OTHER_VERSION}", odd]
    assert list(effects(make_image(dict.fromkeys(names, b"x")))) == sorted(f"/{name}" for name in names)


def test_the_package_of_a_file_is_the_fix() -> None:
    dpkg = "var/lib/dpkg/info/libcuda1:amd64.list"
    files: dict[str, bytes | str | None] = {
        "usr/lib": None,
        "lib": "usr/lib",
        CUDA: b"x",
        dpkg: f"/.\n/lib/x86_64-linux-gnu\n/lib/x86_64-linux-gnu/libcuda.so.{OTHER_VERSION}\n".encode(),
    }
    assert only(make_image(files)).fix == "do not install the package libcuda1 in the image"


def test_names_of_the_image_forge_no_line() -> None:
    found = only(make_image({f"a\nb/libcuda.so.{OTHER_VERSION}": b"x"}))
    assert found.effect == f"programs that search /a\\nb (LD_LIBRARY_PATH, RUNPATH) load it: {MISMATCH}"
    assert found.fix == f"RUN rm '/a\\nb/libcuda.so.{OTHER_VERSION}', or leave out the step that makes it"


def test_a_name_is_judged_in_few_steps_and_as_the_catalog_says() -> None:
    for row in LIBRARIES:
        library = split_library_name(f"{row.stem.replace('*', '')}.so.1")
        assert library is not None
        assert library.row is next(row_ for row_ in LIBRARIES if matches_stem(library.stem, row_.stem))
    assert calls_of(lambda: split_library_name(f"{'a' * 200}.so.1")) < 40
