"""cdigen doctor as users meet it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cdigen.schema import find_schema_violations
from tests.cli.program import COMMAND, bound_to_permissions, environment, run_program
from tests.golden.hosts import GOLDEN_HOSTS, GoldenHost
from tests.hosts import OTHER_VERSION, VERSION, Entries, kernel_entries, minimal_entries, text

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeSnapshot

LIBCUDA = f"/usr/lib/x86_64-linux-gnu/libcuda.so.{VERSION}"


def test_the_chain_is_a_line_each_with_what_to_do_below(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    entries: Entries = {**minimal_entries(), "/sys/fs/selinux/enforce": text("0\n")}

    run = cdigen("doctor", "--snapshot", make_snapshot({**entries, **kernel_entries(OTHER_VERSION)}))

    assert (run.code, run.err) == (1, "")
    assert run.out.replace("\n                  -> ", "; ") == (
        f"ok       kernel   nvidia: {OTHER_VERSION} is loaded, the open module\n"
        "ok       selinux  /sys/fs/selinux: permissive: it denies nothing\n"
        "unknown  pci      /sys/bus/pci/devices: not recorded in the snapshot\n"
        "unknown  kernel   nvidia_uvm, nvidia_modeset: /sys/module does not show the driver's modules\n"
        "unknown  nodes    /proc/devices: not recorded in the snapshot\n"
        "unknown  spec     /etc/cdi and /var/run/cdi: not recorded in the snapshot\n"
        "unknown  engine   engines: not recorded in the snapshot\n"
        "unknown  systemd  systemctl: not run: the host is not this machine\n"
        f"problem  driver   /: the kernel module is {OTHER_VERSION} (/proc/driver/nvidia/version) but the user-space"
        f" driver is {VERSION} ({LIBCUDA}); reboot to load the module that was installed with it, or install the"
        f" user-space driver {OTHER_VERSION}\n"
        "\nnot healthy: 1 problem, 7 unknown, 2 ok\n"
    )


def test_a_chain_without_a_problem_exits_0(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    run = cdigen("doctor", "--json", "--snapshot", make_snapshot())

    assert (run.code, run.err) == (0, "")
    report = json.loads(run.out)
    assert (report["report"], report["healthy"]) == ("doctor", True)
    assert report["diagnoses"][0] == {
        "topic": "pci",
        "subject": "/sys/bus/pci/devices",
        "level": "unknown",
        "code": "not-recorded",
        "message": "not recorded in the snapshot",
        "remedy": None,
    }


@pytest.mark.parametrize("host", GOLDEN_HOSTS, ids=lambda host: str(host.name))
def test_the_report_of_a_golden_host_obeys_its_schema(host: GoldenHost, cdigen: Cdigen) -> None:
    run = cdigen("doctor", "--json", "--snapshot", host.snapshot)

    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert (run.code, run.err) == (0 if report["healthy"] else 1, "")
    levels = [one["level"] for one in report["diagnoses"]]
    assert report["healthy"] is ("problem" not in levels)


def run_on_terminal(*arguments: str | Path, **variables: str) -> bytes:
    """Run the program with a terminal for its standard output, and return what it writes there."""
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=slave, env=environment(**variables))
        os.close(slave)
        data = b""
        try:
            while part := os.read(master, 65536):
                data += part
        except OSError:  # Linux's way to say that nobody writes any more
            pass
        assert process.wait(60) in (0, 1)
    finally:
        os.close(master)
    return data


def test_colours_are_for_terminals_that_want_them(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot({**minimal_entries(), **kernel_entries(OTHER_VERSION)})

    coloured = run_on_terminal("doctor", "--snapshot", snapshot, TERM="xterm", NO_COLOR="")
    plain = run_on_terminal("doctor", "--snapshot", snapshot, TERM="xterm", NO_COLOR="1")
    dumb = run_on_terminal("doctor", "--snapshot", snapshot, TERM="dumb", NO_COLOR="")

    assert b"\x1b[31mproblem\x1b[0m  driver   /: the kernel module is" in coloured
    assert b"\x1b[32mok     \x1b[0m  kernel   nvidia:" in coloured
    assert b"\x1b" not in plain + dumb
    assert plain == dumb


def test_a_host_below_a_directory_is_read_and_nothing_of_it_is_run(tmp_path: Path, cdigen: Cdigen) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "host/usr/bin").mkdir(parents=True)
    program = tmp_path / "host/usr/bin/podman"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)

    run = cdigen("doctor", "--host-root", tmp_path / "host")

    assert run.code == 1
    assert (
        "unknown  engine   podman: /usr/bin/podman: not run: the host is not this machine; if it reads CDI specs, from"
        " /etc/cdi and /var/run/cdi\n"
    ) in run.out
    assert not marker.exists()


def test_what_a_user_may_not_read_is_said(tmp_path: Path) -> None:
    closed = tmp_path / "host/etc/cdi"
    closed.mkdir(parents=True)
    (closed / "nvidia.yaml").write_text("x")
    closed.chmod(0)

    run = run_program("doctor", "--host-root", tmp_path / "host", before=bound_to_permissions())
    closed.chmod(0o755)

    assert (run.code, run.err) == (1, "")
    assert (
        "unknown  spec     /etc/cdi: Permission denied\n                  -> run it as root\n"
        "unknown  spec     an engine: finds no device of nvidia.com in /etc/cdi and /var/run/cdi, of which not all"
        " could be read\n"
    ) in run.out


def test_this_machine_is_looked_at_quickly_and_left_alone() -> None:
    assert sys.platform == "linux"

    run = run_program("doctor", "--json")

    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert (run.code, run.err) == (0 if report["healthy"] else 1, "")
    assert {one["topic"] for one in report["diagnoses"]} == {
        "pci",
        "kernel",
        "nodes",
        "driver",
        "spec",
        "engine",
        "selinux",
        "systemd",
    }
