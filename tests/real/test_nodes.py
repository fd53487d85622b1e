"""The real nvidia-modprobe, on a made-up driver: what it makes is what cdigen makes without it.

In a private mount namespace, /proc, /sys and /dev are empty file systems of memory. What nvidia-modprobe looks at there
is written by the test: it takes a module whose /sys/module/<name>/initstate is `live` for loaded (535), or one of
/proc/modules. nvidia-modprobe is copied to where cdigen looks for it; everything else is this machine's.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from tests.cli.program import COMMAND, environment
from tests.hosts import Entries, access, mig_entries, text
from tests.nodes import DEVICES, OLD_DEVICES, proc_entries

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.make_driver import HostTree

_MODULES = ("nvidia", "nvidia_uvm", "nvidia_modeset")
_LIST = "cd /dev && find . -mindepth 1 ! -name null ! -type l -exec stat -c '%n %A %u:%g %Hr:%Lr' {} + | sort"
_LIST_LINKS = "cd /dev && find . -type l -printf '%p %l\\n' | sort"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What a run in the namespace left: exit code, standard error, actions, the nodes and the links in /dev."""

    code: int
    err: str
    actions: list[str]
    nodes: list[str]
    links: list[str]


def _run(
    directory: Path, entries: Entries, *options: str, modprobe: Path | None, loaded: bool = True, before: str = ":"
) -> _Result:
    """Run `cdigen nodes --create` in a namespace whose /proc is `entries`, after the shell command `before`."""
    source, report = directory / "proc", directory / "report"
    source.mkdir()
    for path, entry in entries.items():
        if path.startswith("/proc/") and entry["kind"] == "file":
            place = source / path.removeprefix("/proc/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(str(entry["text"]))
    command = shlex.join([*COMMAND, "nodes", "--create", "--json", *options])
    lines = [
        "set -eu",
        # The files of the test may be below a directory that the mounts hide, or nobody else may enter.
        f"mount --bind {shlex.quote(str(directory))} /mnt",
        "mount -t tmpfs -o mode=755 tmpfs /dev",
        "mknod -m 666 /dev/null c 1 3",
        "mount -t tmpfs -o mode=755 tmpfs /sys",
        "mount -t tmpfs -o mode=755 tmpfs /proc",
        "cp -r /mnt/proc/. /proc/",
        *(
            f"mkdir -p /sys/module/{module}; echo live > /sys/module/{module}/initstate;"
            f" echo '{module} 1 0 - Live 0x0' >> /proc/modules"
            for module in _MODULES
            if loaded
        ),
        "mount -t tmpfs -o mode=755 tmpfs /usr/sbin",  # no other nvidia-modprobe is there
        f"cp {shlex.quote(str(modprobe))} /usr/sbin/" if modprobe else ":",
        "mkdir /dev/char",
        before,
        "umask 077",
        f"set +e; {command} > /mnt/report/out 2> /mnt/report/err; echo $? > /mnt/report/code; set -e",
        f"{_LIST} > /mnt/report/nodes",
        f"{_LIST_LINKS} > /mnt/report/links",
    ]
    report.mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", "\n".join(lines)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        what = f"a private mount namespace cannot be had here: {done.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(f"{what}, and under CI nothing is skipped", pytrace=False)
        pytest.skip(what)
    told = {name: (report / name).read_text() for name in ("out", "err", "code", "nodes", "links")}
    actions = cast("list[dict[str, str]]", json.loads(told["out"] or "{}").get("actions", []))
    return _Result(
        code=int(told["code"]),
        err=told["err"],
        actions=[f"{action['action']} {action['path']} {action['detail']}".rstrip() for action in actions],
        nodes=told["nodes"].splitlines(),
        links=told["links"].splitlines(),
    )


@pytest.fixture
def modprobe(driver_plain: HostTree) -> Path:
    program = driver_plain.root / "usr/bin/nvidia-modprobe"
    assert program.is_file()
    return program


def _host(devices: str) -> Entries:
    return {
        **proc_entries(devices=devices, gpus=3),
        **mig_entries(1, (2, 0)),
        "/proc/driver/nvidia-nvlink/permissions": text("DeviceFileMode: 438\n"),
        "/proc/driver/nvidia-nvlink/capabilities/fabric-mgmt": access(0, 0o400),
        "/proc/driver/nvidia-nvswitch/permissions": text("DeviceFileMode: 438\n"),
        "/proc/driver/nvidia-nvswitch/devices/0000:05:00.0/information": text("BIOS Version: N/A\n"),
    }


@pytest.mark.parametrize("devices", [DEVICES, OLD_DEVICES + "\n"], ids=["from 545", "up to 535"])
def test_nvidia_modprobe_and_mknod_make_the_same_nodes(devices: str, modprobe: Path, tmp_path: Path) -> None:
    if devices != DEVICES:
        devices = devices.replace("511 nvidia-uvm\n", "509 nvidia-nvswitch\n510 nvidia-nvlink\n511 nvidia-uvm\n")
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    by_driver = _run(tmp_path / "with", _host(devices), modprobe=modprobe)
    by_mknod = _run(tmp_path / "without", _host(devices), "--dev-char", modprobe=None)

    assert (by_driver.code, by_driver.err) == (0, "")
    assert (by_mknod.code, by_mknod.err) == (0, "")
    assert by_driver.nodes == by_mknod.nodes
    assert by_driver.links == by_mknod.links  # from 525.105.17 on, nvidia-modprobe links its nodes too
    assert "./nvidia2 crw-rw---- 0:44 195:2" in by_mknod.nodes
    assert "./nvidia-caps drwxr-xr-x 0:0 0:0" in by_mknod.nodes
    assert len(by_mknod.nodes) == 17
    program = "run /usr/sbin/nvidia-modprobe"
    capabilities = "/proc/driver/nvidia/capabilities"
    assert by_driver.actions == [
        f"{program} -c 255",
        f"{program} -u -c 0",
        f"{program} -m",
        f"{program} -c 0",
        f"{program} -c 1",
        f"{program} -c 2",
        f"{program} -f /proc/driver/nvidia-nvlink/capabilities/fabric-mgmt",
        f"{program} -f {capabilities}/mig/config",
        f"{program} -f {capabilities}/mig/monitor",
        f"{program} -f {capabilities}/gpu1/mig/gi2/access",
        f"{program} -f {capabilities}/gpu1/mig/gi2/ci0/access",
        f"{program} -l",
        f"{program} -s -c 255",
        f"{program} -s -c 0",
    ]
    assert {action.split()[0] for action in by_mknod.actions} == {"make", "link"}


def test_what_nvidia_modprobe_cannot_make_is_made_by_mknod(modprobe: Path, tmp_path: Path) -> None:
    result = _run(tmp_path, proc_entries(), modprobe=modprobe, loaded=False)

    assert (result.code, result.err) == (0, "")
    made = [action for action in result.actions if action.startswith("make ")]
    assert [action.split()[1] for action in made] == [
        "/dev/nvidiactl",
        "/dev/nvidia-uvm",
        "/dev/nvidia-uvm-tools",
        "/dev/nvidia-modeset",
        "/dev/nvidia0",
        "/dev/nvidia-caps/nvidia-cap1",
        "/dev/nvidia-caps/nvidia-cap2",
        "/dev/nvidia-nvlink",
    ]


def test_nvidia_modprobe_does_not_touch_a_node_with_another_mode(modprobe: Path, tmp_path: Path) -> None:
    before = "umask 177; mknod /dev/nvidia0 c 195 0; mknod /dev/nvidia-uvm c 511 0"
    result = _run(tmp_path, proc_entries(), modprobe=modprobe, before=before)

    assert result.code == 0
    assert "./nvidia0 crw------- 0:0 195:0" in result.nodes
    assert "./nvidia-uvm crw------- 0:0 511:0" in result.nodes
    assert "./nvidia-uvm-tools crw-rw-rw- 0:0 511:1" in result.nodes
    assert "run /usr/sbin/nvidia-modprobe -u -c 0" not in result.actions


def test_nvidia_modprobe_is_not_let_through_a_link(modprobe: Path, tmp_path: Path) -> None:
    result = _run(
        tmp_path, proc_entries(), modprobe=modprobe, before="mkdir /dev/outside; ln -s outside /dev/nvidia-caps"
    )

    assert (result.code, result.err) == (
        7,
        (
            "cdigen: error: cannot make /dev/nvidia-caps: /dev/nvidia-caps is a symbolic link or a file, where a"
            " directory has to be; remove it\n"
        ),
    )
    assert not [node for node in result.nodes if node.startswith("./outside/")]
    assert "./nvidia0 crw-rw---- 0:44 195:0" in result.nodes


def test_below_another_root_nvidia_modprobe_is_not_run(modprobe: Path, tmp_path: Path) -> None:
    result = _run(tmp_path, proc_entries(), "--sysfs", "/sys", modprobe=modprobe)

    assert (result.code, result.err) == (0, "")
    assert {action.split()[0] for action in result.actions} == {"make"}
