"""What the expected specs must say whatever the program does: the facts as people published them.

These tests read golden/ alone and run nothing, so that `--update-golden` cannot make them agree with a mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from cdigen.parse.document import parse_document
from tests.golden.hosts import GOLDEN, GOLDEN_HOSTS, GoldenHost

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = dict[str, str]

offered = [host for host in GOLDEN_HOSTS if host.spec_path.exists()]
every_offered_host = pytest.mark.parametrize("host", offered, ids=lambda host: host.name)

DIRECTORIES = {
    "x86_64": ("/usr/lib/x86_64-linux-gnu", "/usr/lib64"),
    "aarch64": ("/usr/lib/aarch64-linux-gnu", "/usr/lib64"),
    "i386": ("/usr/lib/i386-linux-gnu", "/usr/lib"),
}
"""The built-in directories of the loader in both families of images, by machine."""

PARTS_OF_NVIDIA_SETTINGS = ("libnvidia-gtk3.so.", "libnvidia-wayland-client.so.")


def golden(name: str) -> GoldenHost:
    return GoldenHost(directory=GOLDEN / name)


def edits_of(part: object) -> dict[str, list[Item]]:
    return cast("dict[str, dict[str, list[Item]]]", part)["containerEdits"]


def mounts_of(host: GoldenHost) -> dict[str, str]:
    """Return the host path of every mount by its path in the container."""
    return {mount["containerPath"]: mount["hostPath"] for mount in edits_of(host.spec)["mounts"]}


def devices_of(host: GoldenHost) -> dict[str, list[Item]]:
    """Return the device nodes of every device by its name."""
    devices = cast("list[dict[str, object]]", host.spec["devices"])
    return {str(device["name"]): edits_of(device)["deviceNodes"] for device in devices}


def nodes_of(host: GoldenHost) -> list[Item]:
    return [
        *edits_of(host.spec).get("deviceNodes", []),
        *(node for nodes in devices_of(host).values() for node in nodes),
    ]


def libraries_of(host: GoldenHost, machine: str) -> Iterator[tuple[str, str]]:
    """Return path and SONAME of every library of the host's driver that is made for `machine`.

    Not of WSL2: it has several files of one SONAME, loaders and what they load, and its tests say which is taken.
    """
    for path, entry in host.entries.items() if "/dev/dxg" not in host.entries else ():
        elf = cast("dict[str, object]", entry.get("elf", {}))
        name = path.rpartition("/")[2]
        if elf.get("machine") == machine and "soname" in elf and not name.startswith(PARTS_OF_NVIDIA_SETTINGS):
            yield path, str(elf["soname"])


WHOLE_DIRECTORIES = (
    "/usr/lib/wsl/",
    *(f"/usr/lib/aarch64-linux-gnu/{name}" for name in ("nvidia", "tegra", "tegra-egl")),
    "/lib/firmware/tegra19x",
)
"""What is mounted whole: only what the driver has for itself."""


@every_offered_host
@pytest.mark.parametrize("machine", DIRECTORIES)
def test_every_library_is_mounted_under_its_soname_in_both_families(host: GoldenHost, machine: str) -> None:
    wanted = machine != "i386" or "--compat32" in host.arguments
    mounts = mounts_of(host)
    for path, soname in libraries_of(host, machine):
        name = f"vdpau/{soname}" if soname.startswith("libvdpau_nvidia") else soname
        if "/gstreamer-1.0/" in path:
            name = f"gstreamer-1.0/{soname}"
        for directory in DIRECTORIES[machine]:
            found = mounts.get(f"{directory}/{name}")
            assert found == (path if wanted else None) or (found is None and "--capabilities" in host.arguments)


@every_offered_host
def test_whatever_the_spec_takes_from_the_host_is_there(host: GoldenHost) -> None:
    kinds = {path: entry["kind"] for path, entry in host.entries.items()}
    directories = {path for path in mounts_of(host).values() if kinds.get(path) in (None, "dir")}
    assert {kinds[path] for path in {*mounts_of(host).values()} - directories} == {"file"}
    assert all(any(path.startswith(f"{directory}/") for path in kinds) for directory in directories)
    assert all(path.startswith(WHOLE_DIRECTORIES) for path in directories)
    assert {kinds.get(node.get("hostPath", node["path"])) for node in nodes_of(host)} == {"char"}


@every_offered_host
def test_no_node_has_numbers(host: GoldenHost) -> None:
    assert {key for node in nodes_of(host) for key in node} <= {"path", "hostPath", "fileMode", "permissions", "gid"}


def test_nodes_of_another_vendors_gpu_are_not_offered() -> None:
    host = golden("ubuntu24.04-595-rtx4090-amd-igpu")
    assert {"/dev/dri/card2", "/dev/dri/renderD129", "/dev/dri/by-path/pci-0000:73:00.0-card"} < set(host.entries)
    assert {node["path"] for node in nodes_of(host)} == {
        "/dev/dri/by-path/pci-0000:01:00.0-card",
        "/dev/dri/by-path/pci-0000:01:00.0-render",
        "/dev/dri/card1",
        "/dev/dri/renderD128",
        "/dev/nvidia-modeset",
        "/dev/nvidia-uvm",
        "/dev/nvidia0",
        "/dev/nvidiactl",
    }


@pytest.mark.parametrize(
    ("name", "minors"),
    [
        ("hgx-8gpu-minor-order", [2, 3, 0, 1, 6, 7, 4, 5]),
        ("debian12-535-current", [2, 3, 0, 1, 6, 7, 4, 5]),
        ("h100-580-excluded-gpu", [0, 1, 3, 4, 5, 6, 7]),
    ],
)
def test_the_index_is_the_position_in_pci_order_of_the_gpus_that_are_not_excluded(name: str, minors: list[int]) -> None:
    devices = devices_of(golden(name))
    nodes = [f"/dev/nvidia{minor}" for minor in minors]
    assert [devices[str(index)][0]["path"] for index in range(len(minors))] == nodes
    assert [node["path"] for node in devices["all"] if node["path"].startswith("/dev/nvidia")] == nodes
    for name, [first, *_] in devices.items():
        if name.startswith("GPU-"):  # these artificial UUIDs end in the minor
            assert first["path"] == f"/dev/nvidia{int(name[-2:], 16)}"


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        ("rocky9-615", ["0", "GPU-8f1f4d06-07fd-27a7-52d5-e58aa060d256", "all"]),
        ("gke-cos-535", ["0", "GPU-13f2a0cd-9ac8-a110-68c4-b0e9bd769db1", "all"]),
        ("talos-580", ["0", "all"]),
        ("ubuntu24.04-595-rtx4090-amd-igpu", ["0", "all"]),
        ("proxmox-lxc-550-masked-procfs", ["0", "all"]),
    ],
)
def test_a_gpu_is_named_by_uuid_where_it_is_known(name: str, devices: list[str]) -> None:
    assert list(devices_of(golden(name))) == devices


def test_rocky_has_what_the_vendors_spec_mounts_there() -> None:
    mounts = mounts_of(golden("rocky9-615"))
    for path in (
        "/etc/OpenCL/vendors/nvidia.icd",
        "/etc/vulkan/icd.d/nvidia_icd.x86_64.json",
        "/etc/vulkan/implicit_layer.d/nvidia_layers.json",
        "/lib/firmware/nvidia/615.71.09/gsp_ga10x.bin",
        "/lib/firmware/nvidia/615.71.09/gsp_tu10x.bin",
        "/usr/bin/nvidia-cuda-mps-control",
        "/usr/bin/nvidia-cuda-mps-server",
        "/usr/bin/nvidia-debugdump",
        "/usr/bin/nvidia-persistenced",
        "/usr/bin/nvidia-smi",
        "/usr/share/egl/egl_external_platform.d/09_nvidia_wayland2.json",
        "/usr/share/egl/egl_external_platform.d/15_nvidia_gbm.json",
        "/usr/share/glvnd/egl_vendor.d/10_nvidia.json",
        "/usr/share/nvidia/nvoptix.bin",
        # The names that its hooks make.
        "/usr/lib64/gbm/nvidia-drm_gbm.so",
        "/usr/lib64/libGLX_indirect.so.0",
        "/usr/lib64/libcuda.so",
        "/usr/lib64/libnvidia-opticalflow.so",
    ):
        assert path in mounts


def test_files_of_a_driver_root_lose_it_in_the_container() -> None:
    for name in ("gke-cos-535", "gb200-580-arm64", "gb200-580-arm64-coherent"):
        host = golden(name)
        root = str(host.document["driver_root"])
        assert all(path.startswith(f"{root}/") for path in mounts_of(host).values())
        assert not any(path.startswith(root) for path in mounts_of(host))
        assert not any(node["path"].startswith(root) for node in nodes_of(host))


def test_a_library_is_also_where_a_file_of_the_nix_store_names_it() -> None:
    mounts = mounts_of(golden("nixos-595"))
    library = "/nix/store/rfacrwa133a0xibh0qig0lrva3n51bhz-nvidia-x11-595.71.05/lib/libGLX_nvidia.so"
    assert mounts[f"{library}.0"] == f"{library}.595.71.05"


def test_the_mig_devices_of_the_a100_are_those_of_its_listings() -> None:
    # MIG device, UUID (nvidia-smi -L), capability of GPU instance and of compute instance (capability files).
    published = [
        ("0", "c42101f0-a1fa-5b68-8908-7c5c887f28bd", 21, 22),
        ("1", "8970491e-16e0-5140-9f8f-d561baa3c186", 30, 31),
        ("2", "239565ce-30e3-52d7-8197-5630d3ce21fa", 30, 32),
        ("3", "20301a31-77fa-59ec-b0b8-7ef543821f29", 84, 85),
    ]
    devices = {name: [node["path"] for node in nodes] for name, nodes in devices_of(golden("a100-580-mig")).items()}
    caps = {cap: f"/dev/nvidia-caps/nvidia-cap{cap}" for row in published for cap in row[2:]}
    expected: dict[str, list[str]] = {}
    for index, uuid, gpu_instance, compute_instance in published:
        nodes = ["/dev/nvidia0", caps[gpu_instance], caps[compute_instance]]
        expected |= {f"0:{index}": nodes, f"MIG-{uuid}": nodes}
    assert devices == {**expected, "all": ["/dev/nvidia0", *caps.values()]}
    # Without NVML the same by index: here its order is that of procfs.
    unasked = devices_of(golden("a100-580-mig-without-nvml"))
    assert {name: [node["path"] for node in nodes] for name, nodes in unasked.items()} == {
        name: nodes for name, nodes in devices.items() if not name.startswith("MIG-")
    }


def test_a_mig_device_has_the_nodes_that_its_artificial_uuid_tells() -> None:
    host = golden("h100-580-mig-minor-order")
    devices = devices_of(host)
    minors = [2, 3, 0, 1, 6, 7, 4, 5]
    told = [name for name in devices if name.startswith("MIG-00000000-0000-4000-8000-")]
    assert len(told) == 7 + 2 + 4 + 1
    for name in told:
        minor, gpu_instance, compute_instance = bytes.fromhex(name[-6:])
        capability = 3 + 135 * minor + 9 * gpu_instance  # nv-caps.c
        assert [node["path"] for node in devices[name]] == [
            f"/dev/nvidia{minor}",
            f"/dev/nvidia-caps/nvidia-cap{capability}",
            f"/dev/nvidia-caps/nvidia-cap{capability + 1 + compute_instance}",
        ]
    positions = [name for name in devices if name[0].isdecimal()]
    assert [name.partition(":")[0] for name in positions] == [*"0000000", *"11", "2", *"3333", "4", "5", "7"]
    for name in positions:
        assert devices[name][0]["path"] == f"/dev/nvidia{minors[int(name[0])]}"
    # NVML counts the larger GPU instance number first here, procfs would count it last.
    assert devices["1:0"] == devices["MIG-00000000-0000-4000-8000-000000030200"]
    assert devices["1:1"] == devices["MIG-00000000-0000-4000-8000-000000030100"]


def test_a_missing_capability_node_is_named_and_its_instance() -> None:
    host = golden("a100-580-mig-missing-node")
    assert host.is_refused
    place = "/dev/nvidia-caps/nvidia-cap32 (compute instance 1 of GPU instance 3 of GPU 0000:07:00.0)"
    assert (host.directory / "stderr.txt").read_text().startswith(f"cdigen: error: {place} is missing; ")


def test_the_class_of_coherent_gpus_has_what_nvml_told() -> None:
    host = golden("gb200-580-arm64-coherent")
    coherent = cast("dict[str, object]", parse_document(host.mode_specs["nvidia-coherent.yaml"].read_bytes()))
    assert (host.spec["kind"], coherent["kind"]) == ("nvidia.com/gpu", "nvidia.com/gpu.coherent")
    assert coherent["devices"] == host.spec["devices"]
    names = [f"GPU-00000000-0000-4000-8000-{minor:012x}" for minor in range(4)]
    assert [name for name in devices_of(host) if name.startswith("GPU-")] == names
