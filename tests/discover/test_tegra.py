"""A Jetson: what its lists name, what its folders hold where it has none, and the nodes that this board has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.catalog.tegra import LISTS
from cdigen.errors import CdigenError, IncompleteError, NoDriverError
from tests.golden.hosts import GOLDEN, GoldenHost
from tests.hosts import Entries, char, inventory_of, library, link, program, text, unreadable, without

FOLDER = "/usr/lib/aarch64-linux-gnu"
PRIVATE = f"{FOLDER}/nvidia"
RELEASE = "# R36 (release), REVISION: 3.0, GCID: 0, BOARD: generic, EABI: aarch64\n"


def arm(soname: str, *needed: str) -> dict[str, object]:
    return {"kind": "file", "elf": {"bits": 64, "machine": "aarch64", "soname": soname, "needed": [*needed]}}


def lists(*lines: str, name: str = "drivers.csv") -> Entries:
    return {f"{LISTS}/{name}": text("".join(f"{line}\n" for line in lines))}


def tegra_entries(*lines: str) -> Entries:
    """Return the least that a spec of a Jetson can be made of, with these further lines in its list."""
    return {
        "/etc/nv_tegra_release": text(RELEASE),
        "/dev/nvgpu/igpu0/ctrl": char(508, 3, "0660", "0:44"),
        f"{PRIVATE}/libcuda.so.1.1": arm("libcuda.so.1", "libnvrm_gpu.so"),
        f"{PRIVATE}/libnvrm_gpu.so": arm("libnvrm_gpu.so", "libnvos.so", "libc.so.6"),
        f"{PRIVATE}/libnvos.so": arm("libnvos.so"),
        **lists(f"lib, {PRIVATE}/libcuda.so.1.1", *lines),
    }


def names(entries: Entries) -> dict[str, str]:
    """Return the file behind every name, below the library directories."""
    found = inventory_of(entries).libraries
    return {f"{name.subdir}/{name.name}".lstrip("/"): one.host_path for one in found for name in one.names}


CUDA = dict.fromkeys(("libcuda.so", "libcuda.so.1", "libcuda.so.1.1"), f"{PRIVATE}/libcuda.so.1.1")
BASE = {name: f"{PRIVATE}/{name}" for name in ("libnvrm_gpu.so", "libnvos.so")}


def test_libcuda_comes_with_all_that_it_needs_though_no_list_names_it() -> None:
    assert names(tegra_entries()) == {**CUDA, **BASE}


def test_links_are_names_of_the_file_that_they_lead_to() -> None:
    entries = tegra_entries(
        f"sym, {FOLDER}/libfirst.so",
        f"sym, {PRIVATE}/libnvbuf.so",
        f"sym, {FOLDER}/gbm/tegra_gbm.so",
        f"sym, {FOLDER}/libv4l/plugins/nv/libv4l2_nv.so",
    )
    entries |= {
        f"{FOLDER}/libfirst.so": link("nvidia/libnvbuf.so"),
        f"{PRIVATE}/libnvbuf.so": link("libnvbuf.so.1.0.0"),
        f"{PRIVATE}/libnvbuf.so.1.0.0": arm("libnvbuf.so.1.0.0"),
        f"{FOLDER}/gbm/tegra_gbm.so": link("../nvidia/libnvbuf.so"),
        f"{FOLDER}/libv4l/plugins/nv/libv4l2_nv.so": link("../../../nvidia/libnvbuf.so.1.0.0"),
    }

    asked = ("libfirst.so", "libnvbuf.so", "libnvbuf.so.1.0.0", "gbm/tegra_gbm.so", "libv4l/plugins/nv/libv4l2_nv.so")
    assert names(entries) == {**CUDA, **BASE, **dict.fromkeys(asked, f"{PRIVATE}/libnvbuf.so.1.0.0")}


def test_a_plugin_keeps_its_folder_and_a_file_its_path() -> None:
    entries = tegra_entries(
        f"lib, {FOLDER}/gstreamer-1.0/libgstnvjpeg.so",
        f"lib, {FOLDER}/gstreamer-1.0/README.txt",
        "lib, //lib/firmware/tegra23x/nvdec.bin",
        "dir, /lib/firmware/tegra19x",
        "lib, /usr/sbin/nvidia-smi",
        "sym, /etc/vulkan/icd.d/nvidia_icd.json",
        f"lib, {PRIVATE}/nvidia_icd.json",
        f"sym, {FOLDER}/tegra",
    )
    entries |= {
        f"{FOLDER}/gstreamer-1.0/libgstnvjpeg.so": arm("libgstnvjpeg.so"),
        f"{FOLDER}/gstreamer-1.0/README.txt": text("a"),
        "/lib/firmware/tegra23x/nvdec.bin": text("a"),
        "/lib/firmware/tegra19x": {"kind": "dir"},
        "/usr/sbin/nvidia-smi": program(),
        "/etc/vulkan/icd.d/nvidia_icd.json": link(f"{PRIVATE}/nvidia_icd.json"),
        f"{PRIVATE}/nvidia_icd.json": text("{}"),
        f"{FOLDER}/tegra": link("nvidia"),
    }
    inventory = inventory_of(entries)

    assert names(entries)["gstreamer-1.0/libgstnvjpeg.so"] == f"{FOLDER}/gstreamer-1.0/libgstnvjpeg.so"
    assert {file.host_path: (file.kind, file.container_paths, file.group) for file in inventory.files} == {
        PRIVATE: ("data", (PRIVATE, f"{FOLDER}/tegra"), None),
        "/etc/nv_tegra_release": ("config", ("/etc/nv_tegra_release",), None),
        "/lib/firmware/tegra19x": ("data", ("/lib/firmware/tegra19x",), None),
        "/lib/firmware/tegra23x/nvdec.bin": ("firmware", ("/lib/firmware/tegra23x/nvdec.bin",), "video"),
        "/usr/sbin/nvidia-smi": ("binary", ("/usr/bin/nvidia-smi", "/usr/sbin/nvidia-smi"), "utility"),
        f"{FOLDER}/gstreamer-1.0/README.txt": ("data", (f"{FOLDER}/gstreamer-1.0/README.txt",), "utility"),
        f"{PRIVATE}/nvidia_icd.json": ("config", ("/etc/vulkan/icd.d/nvidia_icd.json",), "graphics"),
    }


def test_what_this_board_does_not_have_is_left_out_and_no_problem() -> None:
    entries = tegra_entries(f"lib, {PRIVATE}/libnvdla_compiler.so", f"sym, {PRIVATE}/libnvdla.so")
    inventory = inventory_of(entries)

    assert inventory.findings == ()
    assert {one.host_path: one.reason for one in inventory.left_out} == {
        f"{PRIVATE}/libnvdla.so": "listed, and not on this board",
        f"{PRIVATE}/libnvdla_compiler.so": "listed, and not on this board",
    }


def test_demo_programs_are_left_out() -> None:
    entries = tegra_entries(f"lib, {PRIVATE}/weston/libweston-10.so.0")
    entries[f"{PRIVATE}/weston/libweston-10.so.0"] = arm("libweston-10.so.0")

    assert names(entries) == {**CUDA, **BASE}


@pytest.mark.parametrize(
    "line", [f"lib, {PRIVATE}/libnv*.so", f"lib, {FOLDER}/*/libnv?s.so", f"lib, {PRIVATE}/lib[n]*"]
)
def test_wildcards_are_those_of_a_shell(line: str) -> None:
    entries = tegra_entries(line)
    entries[f"{PRIVATE}/libcuda.so.1.1"] = arm("libcuda.so.1")

    assert names(entries)["libnvos.so"] == f"{PRIVATE}/libnvos.so"


def test_lists_of_images_of_jetpack_4_are_left_alone_and_said() -> None:
    entries = tegra_entries() | lists("lib, /usr/lib/libcudnn.so.8", name="cudnn.csv") | lists("x", name=".csv")
    entries[f"{LISTS}/notes.txt"] = text("lib, /etc/passwd\n")

    assert [(one.host_path, one.reason) for one in inventory_of(entries).left_out] == [
        (
            f"{LISTS}/cudnn.csv",
            "a list of other files than the driver's, which are devices.csv, drivers.csv, l4t.csv",
        )
    ]


def test_lines_that_cannot_be_used_are_said_the_first_by_name() -> None:
    entries = tegra_entries(*(f"lib, no{number}" for number in range(6)))
    path = f"{LISTS}/drivers.csv"

    assert [(finding.level, finding.message) for finding in inventory_of(entries).findings] == [
        *(
            ("warning", f"{path}, line {number + 2}: 'no{number}' is not an absolute path without '..'; it is left out")
            for number in range(4)
        ),
        ("warning", f"{path}: 2 more lines cannot be used and are left out"),
    ]


@pytest.mark.parametrize("entry", [text(""), {"kind": "file", "base64": "/w=="}])
def test_a_damaged_list_is_said_and_the_folders_are_looked_at(entry: dict[str, object]) -> None:
    inventory = inventory_of(tegra_entries() | {f"{LISTS}/drivers.csv": entry})

    assert [(finding.code, finding.subject) for finding in inventory.findings] == [
        ("unusable-file", f"{LISTS}/drivers.csv")
    ]
    assert len(inventory.libraries) == 3


def test_a_list_that_may_not_be_read_is_not_absent() -> None:
    inventory = inventory_of(tegra_entries() | {f"{LISTS}/drivers.csv": unreadable("EACCES")})

    assert [read.host_path for read in inventory.failed_reads] == [f"{LISTS}/drivers.csv"]


@pytest.mark.parametrize(
    "path",
    [
        f"{PRIVATE}/libcuda.so.1.1",
        "/usr/lib/libcuda.so.1.1",
        f"{FOLDER}/libcuda.so.1",
        "/opt/nvidia/l4t-gpu-libs/openrm/libcuda.so.1.1",
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_libcuda_is_found_where_no_list_names_it(path: str, listed: bool) -> None:
    entries = without(tegra_entries(), f"{PRIVATE}/libcuda.so.1.1", LISTS)
    entries |= {path: arm("libcuda.so.1", "libnvrm_gpu.so")}
    if listed:
        entries |= lists(f"lib, {PRIVATE}/libnvos.so")

    found = names(entries)

    assert {found[name] for name in ("libcuda.so", "libcuda.so.1")} == {path}
    assert found["libnvrm_gpu.so"] == f"{PRIVATE}/libnvrm_gpu.so"


def test_without_lists_the_folders_that_are_the_drivers_alone_are_taken_whole() -> None:
    entries = without(tegra_entries(), LISTS) | {
        f"{PRIVATE}/libnew.so": arm("libnew.so.3"),
        f"{PRIVATE}/libnew.so.3": link("libnew.so"),
        f"{FOLDER}/libnvinfer.so.10": arm("libnvinfer.so.10"),  # TensorRT, which is no driver
        "/dev/nvhost-ctrl-gpu": char(508, 9),
        "/dev/video0": char(81, 0),
    }
    inventory = inventory_of(entries)

    assert names(entries) == {**CUDA, **BASE, "libnew.so.3": f"{PRIVATE}/libnew.so"}
    assert [node.path for node in inventory.shared_nodes] == ["/dev/nvgpu/igpu0/ctrl", "/dev/nvhost-ctrl-gpu"]


def test_without_lists_what_has_a_name_of_the_drivers_is_taken_from_folders_of_others() -> None:
    entries = without(tegra_entries(), LISTS, PRIVATE) | {
        "/usr/lib/libcuda.so.1.1": arm("libcuda.so.1", "libnvrm_gpu.so"),
        "/usr/lib/libnvrm_gpu.so": arm("libnvrm_gpu.so", "libnvos.so"),
        "/usr/lib/libnvos.so": arm("libnvos.so"),
        "/usr/lib/libnvidia-ml.so.1": arm("libnvidia-ml.so.1"),
        "/usr/lib/libEGL_nvidia.so.0": arm("libEGL_nvidia.so.0"),
        "/usr/lib/libEGL.so.1": arm("libEGL.so.1"),
        "/usr/lib/libnvidia-container.so.1": arm("libnvidia-container.so.1"),
        "/usr/lib/libnvinfer.so.10": arm("libnvinfer.so.10"),
        "/usr/sbin/nvidia-smi": program(),
    }
    inventory = inventory_of(entries)

    assert sorted(library.file_name for library in inventory.libraries) == [
        *("libEGL_nvidia.so.0", "libcuda.so.1.1", "libnvidia-ml.so.1", "libnvos.so", "libnvrm_gpu.so")
    ]
    assert [(file.host_path, file.why) for file in inventory.files if file.kind == "binary"] == [
        ("/usr/sbin/nvidia-smi", "catalog: programs look there")
    ]


def test_a_library_of_another_machine_is_said() -> None:
    path = f"{PRIVATE}/libnvjpeg.so"
    inventory = inventory_of(tegra_entries(f"lib, {path}") | {path: library("libnvjpeg.so")})

    assert [finding.message for finding in inventory.findings] == [
        f"{path}: made for x86_64, not for aarch64; it is not injected"
    ]
    assert path not in {one.host_path for one in inventory.libraries}


def test_a_pattern_that_matches_too_much_is_said() -> None:
    entries = tegra_entries("lib, /srv/*") | {f"/srv/{number}": text("") for number in range(4097)}
    inventory = inventory_of(entries)

    assert [finding.message for finding in inventory.findings] == [
        "/srv/*: more than 4096 paths match it; it is not injected"
    ]
    assert len(inventory.libraries) == 3


def test_without_lists_nothing_is_said_to_be_listed() -> None:
    inventory = inventory_of(without(tegra_entries(), LISTS) | {f"{PRIVATE}/libgone.so.1": link("libgone.so.1.0")})

    assert [(one.host_path, one.reason) for one in inventory.left_out] == [
        (f"{PRIVATE}/libgone.so.1", "a link that leads to nothing")
    ]


def test_what_libcuda_needs_and_is_not_there_is_lacking() -> None:
    inventory = inventory_of(tegra_entries() | {f"{PRIVATE}/libcuda.so.1.1": arm("libcuda.so.1", "libnvrm_new.so")})

    assert [(one.name, one.problem, one.why, one.needed_by) for one in inventory.lacking] == [
        (
            "libnvrm_new.so",
            "is missing or cannot be used",
            "libcuda.so.1.1 needs it",
            f"{PRIVATE}/libcuda.so.1.1",
        )
    ]


@pytest.mark.parametrize("entry", [None, {"kind": "file", "damaged": "truncated"}])
def test_so_is_what_another_library_needs_that_libcuda_needs(entry: dict[str, object] | None) -> None:
    entries = without(tegra_entries(), f"{PRIVATE}/libnvos.so")
    if entry is not None:
        entries[f"{PRIVATE}/libnvos.so"] = entry

    assert [(one.name, one.needed_by) for one in inventory_of(entries).lacking] == [
        ("libnvos.so", f"{PRIVATE}/libnvrm_gpu.so")
    ]


def test_what_a_camera_needs_and_this_board_does_not_have_is_not_lacking() -> None:
    entries = tegra_entries(f"lib, {PRIVATE}/libnvargus.so")
    entries[f"{PRIVATE}/libnvargus.so"] = arm("libnvargus.so", "libnvodm_imager.so")

    assert inventory_of(entries).lacking == ()


def test_without_libcuda_nobody_is_told_to_install_a_driver_of_cards() -> None:
    with pytest.raises(NoDriverError) as caught:
        inventory_of(without(tegra_entries(), f"{PRIVATE}/libcuda.so.1.1"))

    assert str(caught.value) == (
        "this host is a Jetson and has no libcuda that can be used below /; install the package nvidia-l4t-cuda (r39:"
        " nvidia-l4t-gpu-libs), or name its directory with --driver-root"
    )


def test_nodes_of_the_gpu_are_taken_whatever_folder_they_are_in() -> None:
    entries = without(tegra_entries("dev, /dev/nvgpu/igpu0/ctrl", "dev, /dev/nvmap"), "/dev") | {
        "/dev/nvgpu/igpu-0000:01:00.0/ctrl": char(508, 3),
        "/dev/nvmap": char(10, 1),
        "/dev/nvidia2": char(195, 2),
        "/dev/nvidia-uvm": char(500, 0),
        "/dev/nvhost-vic": char(508, 4),
    }

    assert [node.path for node in inventory_of(entries).shared_nodes] == [
        *("/dev/nvgpu/igpu-0000:01:00.0/ctrl", "/dev/nvidia-uvm", "/dev/nvidia2", "/dev/nvmap")
    ]


@pytest.mark.parametrize("entry", [text("a"), link("nowhere"), {"kind": "block", "rdev": "508:3"}, None])
def test_only_character_devices_are_nodes_and_without_any_there_is_no_gpu(entry: dict[str, object] | None) -> None:
    entries = without(tegra_entries("dev, /dev/nvmap"), "/dev") | {"/dev/nvmap": char(10, 1)}
    if entry is not None:
        entries["/dev/nvgpu/igpu0/ctrl"] = entry

    with pytest.raises(IncompleteError) as caught:
        inventory_of(entries)

    assert str(caught.value) == (
        "this host is a Jetson and has no device node of its GPU, neither /dev/nvgpu nor /dev/nvhost-*gpu; see what the"
        " kernel says of it with: dmesg | grep -i nvgpu"
    )


def test_a_directory_of_links_to_nodes_gives_the_nodes_by_those_names() -> None:
    name = "/dev/dri/by-path/platform-13800000.display-card"
    entries = tegra_entries("dir, /dev/dri/by-path") | {"/dev/dri/card3": char(226, 3), name: link("../card3")}

    assert [(node.path, node.host_path) for node in inventory_of(entries).shared_nodes] == [
        (name, "/dev/dri/card3"),
        ("/dev/nvgpu/igpu0/ctrl", "/dev/nvgpu/igpu0/ctrl"),
    ]


@pytest.mark.parametrize(
    ("release", "name"), [(RELEASE, "Jetson Linux 36.3.0"), ("no release\n", "Jetson Linux"), ("", "Jetson Linux")]
)
def test_the_release_names_the_driver(release: str, name: str) -> None:
    assert inventory_of(tegra_entries() | {"/etc/nv_tegra_release": text(release)}).driver.name == name


def test_a_driver_below_a_root_keeps_its_paths_in_the_container() -> None:
    entries = {f"/roots/l4t{path}": entry for path, entry in tegra_entries().items()}
    entries["/etc/nv_tegra_release"] = text(RELEASE)
    inventory = inventory_of(entries, driver_root="/roots/l4t", dev_root="/roots/l4t")

    assert [(file.host_path, file.container_paths) for file in inventory.files] == [
        ("/roots/l4t/etc/nv_tegra_release", ("/etc/nv_tegra_release",)),
        (f"/roots/l4t{PRIVATE}", (PRIVATE,)),
    ]
    assert [node.host_path for node in inventory.shared_nodes] == ["/roots/l4t/dev/nvgpu/igpu0/ctrl"]
    assert inventory.libraries[0].host_path == f"/roots/l4t{PRIVATE}/libcuda.so.1.1"


@pytest.mark.parametrize(
    "entry", [{"kind": "file", "damaged": "truncated"}, library("libnvos.so", "i386"), {"kind": "socket"}]
)
def test_a_file_that_cannot_be_used_is_said_and_the_rest_is_offered(entry: dict[str, object]) -> None:
    path = f"{PRIVATE}/libnvjpeg.so"
    inventory = inventory_of(tegra_entries(f"lib, {path}") | {path: entry})

    assert [finding.subject for finding in inventory.findings] == [path]
    assert len(inventory.libraries) == 3


NAME = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12)


@given(NAME, st.sampled_from(["lib", "sym", "dir"]), st.sampled_from([FOLDER, PRIVATE, "/etc", "/usr/lib"]))
def test_no_name_can_leave_its_place(name: str, kind: str, folder: str) -> None:
    entries = tegra_entries(f"{kind}, {folder}/{name}")
    if name not in (".", ".."):
        entries |= {f"{folder}/{name}": arm(name)} if kind != "dir" else {f"{folder}/{name}/a": text("a")}
    try:
        inventory = inventory_of(entries)
    except CdigenError:
        return

    for library_ in inventory.libraries:
        for one in library_.names:
            assert "/" not in one.name
            assert one.name.isprintable()
    for file in inventory.files:
        assert all(path.isprintable() and ".." not in path.split("/") for path in file.container_paths)


def test_a_published_host_has_the_names_that_programs_open() -> None:
    host = GoldenHost(directory=GOLDEN / "jetson-orin-540")
    found = names({path: dict(entry) for path, entry in host.entries.items()})

    assert {
        *("libcuda.so", "libcuda.so.1", "libnvidia-ml.so.1", "libnvrm_gpu.so", "libEGL_nvidia.so.0"),
        *("libnvbufsurface.so.1.0.0", "libnvbufsurface.so", "libv4l2.so.0", "libnvidia-nvvm.so.4"),
        *("gbm/tegra_gbm.so", "libv4l/plugins/nv/libv4l2_nvargus.so", "gstreamer-1.0/libgstnvjpeg.so"),
    } <= found.keys()
