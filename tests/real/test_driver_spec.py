"""The spec of the real driver, held against the lists of files in the packages that it came in."""

from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cdigen.cdi.validate import find_violations
from cdigen.parse.document import parse_document
from tests.real.hardware import GPUS
from tests.real.program import as_driver_root, as_whole_host, report_of, run_cdigen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.engines import Engine
    from tests.real.make_driver import HostTree

FAMILIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64")

NOT_FOR_CONTAINERS = (
    # Files of the packages that no container reads, and the reason. Whatever is not here has to be in the spec,
    # or explain has to say why it is not.
    ("/usr/share/doc/*", "documentation"),
    ("/usr/share/man/*", "documentation"),
    ("/usr/lib/nvidia/current/nvidia-smi.1.gz", "documentation"),
    ("/usr/lib/nvidia/current/nvidia-settings.1.gz", "documentation"),
    ("/usr/share/nvidia/nvidia-application-profiles-*-key-documentation", "documentation"),
    ("/usr/share/bug/*", "Debian's bug reports"),
    ("/usr/share/lintian/*", "Debian's packaging"),
    ("/etc/init.d/*", "services of the host"),
    ("/lib/systemd/*", "services of the host"),
    ("/usr/lib/systemd/*", "services of the host"),
    ("/usr/share/dbus-1/*", "services of the host"),
    ("/etc/nvidia/current/*blacklists-nouveau.conf", "kernel modules of the host"),
    ("/etc/nvidia/current/*-load.conf", "kernel modules of the host"),
    ("/etc/nvidia/current/*-modprobe.conf", "kernel modules of the host"),
    ("/etc/nvidia/current/*-options.conf", "kernel modules of the host"),
    ("/etc/nvidia/nvidia-*", "kernel modules of the host"),
    ("/usr/share/nvidia/*.ids", "lists of GPUs for choosing a driver to install"),
    ("/usr/lib/nvidia/current/nvidia.ids", "lists of GPUs for choosing a driver to install"),
    ("/usr/share/nvidia/rim/*", "reference measurements for attestation, made for the host's verifier"),
    ("/usr/lib/x86_64-linux-gnu/libOpenCL.so.1*", "the vendor-neutral OpenCL loader comes from the image"),
    ("/usr/lib/nvidia/current/nv-control-dpy", "part of nvidia-settings"),
    ("/usr/lib/nvidia/current/nvidia-settings*", "part of nvidia-settings"),
    ("/usr/share/applications/*", "part of nvidia-settings"),
    ("/etc/xdg/*", "part of nvidia-settings"),
    ("/usr/share/pixmaps/*", "part of nvidia-settings"),
)


@pytest.fixture(scope="module", params=["driver_plain", "driver_debian"])
def tree(request: pytest.FixtureRequest) -> HostTree:
    chosen: HostTree = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture(scope="module")
def document(tree: HostTree) -> dict[str, Any]:
    done = run_cdigen("generate", *as_whole_host(tree), "--output", "-")
    assert done.returncode == 0, done.stderr
    spec: dict[str, Any] = yaml.safe_load(done.stdout)
    return spec


@pytest.fixture(scope="module")
def explained(tree: HostTree) -> dict[str, Any]:
    return report_of("explain", *as_whole_host(tree))


def soname_of(file: Path) -> str | None:
    listing = subprocess.run(["readelf", "-dW", str(file)], capture_output=True, check=True, text=True).stdout
    return next((line.rpartition("[")[2].rstrip("]") for line in listing.splitlines() if "(SONAME)" in line), None)


def test_the_spec_is_valid_and_hook_free_and_says_nothing_on_standard_error(tree: HostTree) -> None:
    done = run_cdigen("generate", *as_whole_host(tree), "--output", "-")
    assert (done.returncode, done.stderr) == (0, "")
    assert find_violations(parse_document(done.stdout.encode()), hook_free=True) == ()
    assert str(tree.root) not in done.stdout


def test_every_library_of_the_driver_is_mounted_under_its_soname_in_both_families_or_explained(
    tree: HostTree, document: dict[str, Any], explained: dict[str, Any], package_files: dict[str, tuple[str, ...]]
) -> None:
    mounted = {mount["containerPath"]: mount["hostPath"] for mount in document["containerEdits"]["mounts"]}
    reasons = {entry["hostPath"].rpartition("/")[2]: entry["reason"] for entry in explained["leftOut"]}
    libraries = {
        path
        for files in package_files.values()
        for path in files
        if fnmatch(path, f"*.so.{tree.version}") and not (tree.root / path[1:]).is_symlink()
    }
    assert len(libraries) == 28
    for path in libraries:
        file = tree.root / path[1:]
        name = file.name
        if name.startswith("libglxserver"):
            assert reasons[name] == "a module of the X server, not a library; injected as such"
            continue
        subdir = "vdpau/" if name.startswith("libvdpau") else ""
        for family in FAMILIES:
            target = mounted[f"{family}/{subdir}{soname_of(file) or name}"]
            assert target.rpartition("/")[2] == name


def test_nothing_of_the_packages_is_missed(
    tree: HostTree, document: dict[str, Any], explained: dict[str, Any], package_files: dict[str, tuple[str, ...]]
) -> None:
    known = {mount["hostPath"] for mount in document["containerEdits"]["mounts"]}
    known |= {entry["hostPath"] for entry in explained["leftOut"]}
    unknown = []
    for files in package_files.values():
        for path in files:
            if any(fnmatch(path, pattern) for pattern, _ in NOT_FOR_CONTAINERS):
                continue
            real = str((tree.root / path[1:]).resolve()).removeprefix(str(tree.root.resolve()))
            if not {path, real} & known:
                unknown.append(path)
    assert unknown == []


def test_programs_are_found_behind_the_alternatives_links_and_where_the_links_lead(
    driver_plain: HostTree, driver_debian: HostTree
) -> None:
    for tree, via in ((driver_debian, ", through /usr/bin/nvidia-smi"), (driver_plain, "")):
        report = report_of("explain", "nvidia-smi", *as_whole_host(tree))
        (program,) = [file for file in report["files"] if file["kind"] == "binary"]
        assert program["hostPath"] == "/usr/lib/nvidia/current/nvidia-smi"
        assert program["why"] == f"catalog: shows the GPUs{via}"
        assert [mount["containerPath"] for mount in program["mounts"]] == ["/usr/bin/nvidia-smi"]


def test_gpus_are_in_pci_order_with_the_node_of_their_minor(document: dict[str, Any]) -> None:
    devices = {device["name"]: device["containerEdits"]["deviceNodes"] for device in document["devices"]}
    assert list(devices) == [name for index, gpu in enumerate(GPUS) for name in (str(index), gpu.uuid)] + ["all"]
    for index, gpu in enumerate(GPUS):
        nodes = devices[str(index)]
        assert nodes == devices[gpu.uuid]
        assert nodes[0] == {"path": f"/dev/nvidia{gpu.minor}", "fileMode": 0o666, "permissions": "rw"}
        assert [node["path"] for node in nodes[3:]] == [
            f"/dev/dri/by-path/pci-{gpu.bdf}-card",
            f"/dev/dri/by-path/pci-{gpu.bdf}-render",
        ]


def test_a_driver_root_stays_in_host_paths_and_is_dropped_from_container_paths(
    tree: HostTree, document: dict[str, Any]
) -> None:
    done = run_cdigen("generate", *as_driver_root(tree), "--output", "-")
    assert (done.returncode, done.stderr) == (0, "")
    under_root = yaml.safe_load(done.stdout)
    root = str(tree.root)
    for mount, expected in zip(
        under_root["containerEdits"]["mounts"], document["containerEdits"]["mounts"], strict=True
    ):
        assert mount == {**expected, "hostPath": root + expected["hostPath"]}
    for node, expected in zip(
        under_root["containerEdits"]["deviceNodes"], document["containerEdits"]["deviceNodes"], strict=True
    ):
        assert node == {**expected, "hostPath": root + expected["path"]}


def test_a_snapshot_gives_the_same_bytes_as_the_host(tree: HostTree, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot.yaml"
    recorded = run_cdigen("snapshot", *as_whole_host(tree), "--output", str(snapshot))
    assert (recorded.returncode, recorded.stderr) == (0, "")
    assert str(tree.root) not in snapshot.read_text()
    live = run_cdigen("generate", *as_whole_host(tree), "--output", "-")
    again = run_cdigen("generate", "--snapshot", str(snapshot), "--output", "-")
    assert (again.returncode, again.stdout, again.stderr) == (0, live.stdout, live.stderr)


def test_generating_twice_leaves_the_file_alone(tree: HostTree, tmp_path: Path) -> None:
    output = tmp_path / "cdi" / "nvidia.yaml"
    first = run_cdigen("generate", *as_whole_host(tree), "--output", str(output), "--create-dirs")
    assert first.stderr.startswith(f"cdigen: wrote {output}: driver {tree.version}, 8 GPUs, 17 devices, ")
    before = output.stat()
    second = run_cdigen("generate", *as_whole_host(tree), "--output", str(output))
    assert second.stderr.startswith(f"cdigen: unchanged: {output}: ")
    after = output.stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert [file.name for file in output.parent.iterdir()] == ["nvidia.yaml"]


def test_groups_are_not_given_where_an_engine_here_does_not_read_them(tree: HostTree, engine: Engine) -> None:
    done = run_cdigen("generate", *as_driver_root(tree), "--additional-gids", "auto", "--output", "-")

    assert done.returncode == 0
    assert "additionalGids" not in done.stdout
    assert re.fullmatch(
        r"cdigen: note: /dev/dri/card7, \S+, \S+ and \d+ more not open to all; containers do not get group 44"
        r" \(additionalGids\), as podman 4\.3\.1(, .*)? may not read cdiVersion 0\.7\.0; if all your engines read"
        r" cdiVersion 0\.7\.0, use --additional-gids always\n",
        done.stderr,
    ), done.stderr


WITH_CUDA = ("libcuda", "libcudadebugger", "libnvidia-ml", "libnvidia-ptxjit", "libnvidia-opencl", "libnvidia-nvvm")
"""Beginnings of names of what Debian has in packages apart from nvidia-driver-libs, and of what depends on them."""


def test_the_display_half_of_the_real_driver_is_offered_without_cuda(driver_debian: HostTree, tmp_path: Path) -> None:
    root = tmp_path / "root"
    subprocess.run(["cp", "-a", driver_debian.root, root], check=True)
    for path in list(root.rglob("lib*.so*")):
        if path.name.startswith(WITH_CUDA):
            path.unlink()
    for name in ("nvidia-smi", "nvidia-debugdump", "nvidia-cuda-mps-*"):
        for path in [path for path in root.rglob(name) if path.is_symlink() or path.is_file()]:
            path.unlink()
    spec = tmp_path / "nvidia.yaml"

    done = run_cdigen("generate", "--host-root", str(root), "--capabilities", "graphics,display", "--output", str(spec))

    assert done.returncode == 0, done.stderr
    version = driver_debian.version
    assert (
        f"only the display half of the driver {version} is installed: there is no libcuda.so.{version}" in done.stderr
    )
    document = yaml.safe_load(spec.read_text())
    names = {mount["containerPath"].rpartition("/")[2] for mount in document["containerEdits"]["mounts"]}
    assert {"libEGL_nvidia.so.0", "libGLX_nvidia.so.0", f"libnvidia-glcore.so.{version}", "10_nvidia.json"} <= names
    assert not any(name.startswith(WITH_CUDA) for name in names)
    assert run_cdigen("check", "--host-root", str(root), "--spec", str(spec)).returncode == 0
