"""Real device nodes, made below a directory that stands for a host."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from cdigen.nodes import mknod as devfs
from cdigen.nodes.mknod import DeviceDirectory, NodeError, find_modprobe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def root() -> None:
    if os.geteuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("making device nodes needs root, and under CI nothing is skipped", pytrace=False)
        pytest.skip("making device nodes needs root")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return the root of a host with an empty /dev, beside a directory that is none of its."""
    (tmp_path / "host/dev").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return tmp_path / "host"


@pytest.fixture(params=[0o000, 0o077, 0o777], ids="umask {:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def make(host: Path, path: str = "/dev/nvidia0", dev_root: str = "/", major: int = 195, minor: int = 0) -> None:
    DeviceDirectory(str(host), dev_root).make_node(path, major=major, minor=minor, mode=0o640, uid=7, gid=44)


def facts(path: Path) -> tuple[str, int, int, int, int]:
    """Return type and mode as ls shows them, major, minor, owner and group."""
    status = path.lstat()
    numbers = (os.major(status.st_rdev), os.minor(status.st_rdev))
    return (stat.filemode(status.st_mode), *numbers, status.st_uid, status.st_gid)


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def refusal(host: Path, path: str = "/dev/nvidia0", dev_root: str = "/", major: int = 195, minor: int = 0) -> str:
    before = tree(host.parent)
    with pytest.raises(NodeError) as caught:
        make(host, path, dev_root, major, minor)
    assert caught.value.exit_code == 7
    assert tree(host.parent) == before
    return str(caught.value)


def test_a_node_has_its_numbers_mode_and_owner_whatever_the_umask(host: Path, umask: int) -> None:
    make(host)

    assert facts(host / "dev/nvidia0") == ("crw-r-----", 195, 0, 7, 44)
    assert tree(host) == ["dev", "dev/nvidia0"]
    assert os.umask(umask) == umask


def test_a_directory_below_dev_is_made_for_all_to_search_whatever_the_umask(host: Path, umask: int) -> None:
    make(host, "/dev/nvidia-caps/nvidia-cap4322", major=508, minor=4322)

    assert facts(host / "dev/nvidia-caps/nvidia-cap4322") == ("crw-r-----", 508, 4322, 7, 44)
    assert stat.filemode((host / "dev/nvidia-caps").stat().st_mode) == "drwxr-xr-x"


def test_a_directory_that_is_there_keeps_its_mode(host: Path) -> None:
    (host / "dev/nvidia-caps").mkdir(0o700)
    make(host, "/dev/nvidia-caps/nvidia-cap1")

    assert stat.filemode((host / "dev/nvidia-caps").stat().st_mode) == "drwx------"


@pytest.mark.parametrize("dev_root", ["/run/nvidia/driver", "/run/nvidia/driver/"])
def test_a_node_is_made_below_the_device_root(host: Path, dev_root: str) -> None:
    (host / "run/nvidia/driver/dev").mkdir(parents=True)
    make(host, dev_root=dev_root)

    assert facts(host / "run/nvidia/driver/dev/nvidia0")[1:3] == (195, 0)
    assert tree(host / "dev") == []


@pytest.mark.parametrize("what", ["file", "link", "dangling link", "node", "socket or pipe"])
def test_what_is_in_its_place_is_replaced(host: Path, what: str) -> None:
    place, target = host / "dev/nvidia0", host / "dev/target"
    target.write_text("untouched")
    if what == "file":
        place.write_text("x")
    elif what == "link":
        place.symlink_to("target")
    elif what == "dangling link":
        place.symlink_to("/nowhere")
    elif what == "node":
        os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(234, 0))
    else:
        os.mkfifo(place)

    make(host)

    assert facts(place) == ("crw-r-----", 195, 0, 7, 44)
    assert target.read_text() == "untouched"
    assert tree(host) == ["dev", "dev/nvidia0", "dev/target"]


def test_the_largest_numbers_are_made_and_larger_ones_refused(host: Path) -> None:
    make(host, major=511, minor=devfs.MAX_MINOR)

    assert facts(host / "dev/nvidia0")[1:3] == (511, 1048575)
    see = "; see which driver that is: cat /proc/devices"
    message = "cannot make /dev/nvidia1: /proc/devices gives its driver the major number {}, and a driver of NVIDIA's"
    for major in (0, 1, 512, 4096):
        said = f"{message.format(major)} has 195, 234 to 254 or 384 to 511{see}"
        assert refusal(host, "/dev/nvidia1", major=major) == said
    said = "cannot make /dev/nvidia1: no device has the minor number 1048576"
    assert refusal(host, "/dev/nvidia1", minor=1 << 20) == said + see


# A link never leads anywhere.

A_LINK = "is a symbolic link or a file, where a directory has to be; remove it"


@pytest.mark.parametrize("target", ["../../outside", "/outside", "/etc", "elsewhere", "nowhere"])
def test_a_link_in_place_of_a_directory_is_an_error(host: Path, target: str) -> None:
    (host / "dev/elsewhere").mkdir()
    (host / "dev/nvidia-caps").symlink_to(target)

    assert refusal(host, "/dev/nvidia-caps/nvidia-cap1") == (f"cannot make /dev/nvidia-caps: /dev/nvidia-caps {A_LINK}")


def test_a_link_in_place_of_dev_is_an_error(host: Path) -> None:
    (host / "dev").rmdir()
    (host / "dev").symlink_to("../outside")

    assert refusal(host) == f"cannot make /dev: /dev {A_LINK}"


def test_a_link_above_the_device_root_is_an_error(host: Path) -> None:
    (host / "run").symlink_to("../outside")
    (host.parent / "outside/driver/dev").mkdir(parents=True)

    assert refusal(host, dev_root="/run/driver") == f"cannot make /run/driver/dev: /run {A_LINK}"


def test_a_file_in_place_of_a_directory_is_an_error(host: Path) -> None:
    (host / "dev/nvidia-caps").write_text("x")

    assert refusal(host, "/dev/nvidia-caps/nvidia-cap1") == f"cannot make /dev/nvidia-caps: /dev/nvidia-caps {A_LINK}"


def test_a_directory_in_place_of_a_node_is_left_alone(host: Path) -> None:
    (host / "dev/nvidia0").mkdir()

    assert refusal(host) == ("cannot make /dev/nvidia0: Is a directory; remove the directory that is in its place")


def test_dev_itself_is_not_made(host: Path) -> None:
    (host / "dev").rmdir()

    assert refusal(host) == (
        "cannot make /dev/nvidia0: No such file or directory; name the directory that holds dev/ with --dev-root"
    )


def test_a_link_is_made_and_replaces_another(host: Path) -> None:
    directory = DeviceDirectory(str(host), "/")
    for target in ("../nvidia1", "../nvidia0"):
        directory.make_link("/dev/char/195:0", target)

    assert os.readlink(host / "dev/char/195:0") == "../nvidia0"
    assert tree(host) == ["dev", "dev/char", "dev/char/195:0"]


# nvidia-modprobe


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_nvidia_modprobe_is_looked_for_in_these_places(tmp_path: Path) -> None:
    assert devfs.MODPROBE_PLACES == ("/usr/bin/nvidia-modprobe", "/usr/sbin/nvidia-modprobe")
    (tmp_path / "directory").mkdir()
    (tmp_path / "no-program").write_text("x")
    places = [str(tmp_path / name) for name in ("nowhere", "directory", "no-program", "modprobe", "other")]
    assert find_modprobe(places) is None
    script(tmp_path / "modprobe", "")
    script(tmp_path / "other", "")
    assert find_modprobe(places) == str(tmp_path / "modprobe")
