"""cdigen's own image: what is in it, that it is the same twice, and specs that it writes of hosts without Python."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import FIXTURES
from tests.cli.program import run_program
from tests.hosts import Entries, minimal_entries, moved, text, write_tree
from tests.real.container import CHECKOUT, BuiltImage, built_image
from tests.real.engines import run_in_container

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

_MEBIBYTES = 100


def in_container(
    built: BuiltImage, arguments: Sequence[str], options: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run cdigen in the image as its entry point does, with a read-only root and no capability."""
    closed = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")
    return run_in_container(
        "crun", built.root, None, [], [*built.config["config"]["Entrypoint"], *arguments], options=(*closed, *options)
    )


def test_of_one_commit_comes_one_digest(built: BuiltImage) -> None:
    assert re.fullmatch(r"localhost/cdigen:test sha256:[0-9a-f]{64}, [0-9]+ MiB unpacked\n", built.said)
    with built_image() as again:
        assert again.said == built.said


def test_it_is_small_has_labels_and_what_is_in_it_can_be_told(built: BuiltImage) -> None:
    assert int(built.said.split()[-3]) <= _MEBIBYTES
    config = built.config["config"]
    labels = config["Labels"]
    assert config["Entrypoint"] == ["/usr/bin/cdigen"]
    assert {name.rpartition(".")[2] for name in labels if name.startswith("org.opencontainers.image.")} == {
        "title",
        "description",
        "version",
        "revision",
        "licenses",
    }
    status = {path.name: path.read_text() for path in (built.root / "var/lib/dpkg/status.d").iterdir()}
    assert {"libc6", "libssl3t64", "python3.13-minimal", "libpython3.13-stdlib"} <= status.keys()
    told = dict(entry.split("=", 1) for entry in labels["cdigen.debian-packages"].split(" "))
    assert told.keys() == status.keys()
    assert all(f"\nVersion: {version}\n" in status[name] for name, version in told.items())
    site = built.root / "usr/local/lib/python3.13/dist-packages"
    locked = re.findall(r"^([a-z-]+)==", (CHECKOUT / "packaging/container/requirements.txt").read_text(), re.MULTILINE)
    found = {path.name.partition("-")[0].lower().replace("_", "-") for path in site.glob("*.dist-info")}
    assert found == {*locked, "cdigen"}


def test_there_is_no_shell_and_nothing_that_anybody_but_root_could_change(built: BuiltImage) -> None:
    programs = {path.name for directory in ("usr/bin", "usr/sbin") for path in (built.root / directory).glob("*")}
    assert programs == {"cdigen", "mawk", "python3.13"}
    for path in built.root.rglob("*"):
        mode = path.lstat().st_mode
        assert path.is_symlink() or not mode & 0o6000, path
        assert path.is_symlink() or not mode & 0o022 or path == built.root / "tmp", path


def test_nothing_of_the_building_machine_is_in_it(built: BuiltImage) -> None:
    for path in built.root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 4 << 20:
            data = path.read_bytes()
            assert str(CHECKOUT).encode() not in data, path
            assert b"/cdigen-test/container-" not in data, path


def test_whoever_is_not_root_may_run_it(built: BuiltImage) -> None:
    snapshot = CHECKOUT / "golden/rocky9-615/snapshot.yaml"
    options = ("--user=65534:65534", f"--volume={snapshot}:/snapshot.yaml:ro")
    done = in_container(built, ["generate", "--snapshot", "/snapshot.yaml", "--output", "-"], options)

    assert (done.returncode, done.stdout) == (0, (CHECKOUT / "golden/rocky9-615/nvidia.yaml").read_text())


SHAPES: dict[str, tuple[Entries, tuple[str, ...]]] = {
    # Where such hosts have their driver, as published (facts: golden/README.md, and each project's own documents).
    "Flatcar": (moved(minimal_entries(), "/opt/nvidia/current", "/usr"), ("--driver-root", "/opt/nvidia/current")),
    "COS": (
        moved(minimal_entries(), "/home/kubernetes/bin/nvidia", "/usr"),
        ("--driver-root", "/home/kubernetes/bin/nvidia"),
    ),
    "Talos": (moved(minimal_entries(), "/usr/local/glibc", "/usr"), ("--driver-root", "/usr/local/glibc")),
    "Bottlerocket": (minimal_entries(), ()),
    "Fedora CoreOS": (minimal_entries() | {"/etc/os-release": text("ID=fedora\nVARIANT_ID=coreos\n")}, ()),
    "the GPU operator's driver": (
        moved(minimal_entries(), "/run/nvidia/driver", "/usr", "/dev", "/lib"),
        ("--driver-root", "/run/nvidia/driver"),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_host_without_python_gets_its_spec_from_a_container(built: BuiltImage, tmp_path: Path, shape: str) -> None:
    """The host's root is read-only; only the directory of specs is not."""
    entries, options = SHAPES[shape]
    host = tmp_path / "host"
    write_tree(host, entries, FIXTURES)
    specs = host / "etc/cdi"
    specs.mkdir(parents=True)
    expected = run_program("generate", "--host-root", host, *options, "--output", tmp_path / "expected.yaml")
    assert expected.code == 0, expected.err
    volumes = (f"--volume={host}:/host:ro", f"--volume={specs}:/host/etc/cdi")

    done = in_container(built, ["generate", "--host-root", "/host", *options], volumes)

    assert done.returncode == 0, done.stderr
    assert "wrote /host/etc/cdi/nvidia.yaml (/etc/cdi/nvidia.yaml on the host)" in done.stderr
    assert (specs / "nvidia.yaml").read_bytes() == (tmp_path / "expected.yaml").read_bytes()
    checked = in_container(built, ["check", "--host-root", "/host", "--json"], volumes)
    assert (checked.returncode, json.loads(checked.stdout)["true"]) == (0, True), checked.stdout
    looked = in_container(built, ["doctor", "--host-root", "/host", "--json"], volumes)
    assert "true" in {one["code"] for one in json.loads(looked.stdout)["diagnoses"]}, looked.stdout
    removed = in_container(built, ["remove", "--host-root", "/host"], volumes)
    assert (removed.returncode, list(specs.iterdir())) == (0, [])
