"""Doctor knows less where a read fails or there is no driver, and says nothing else for that."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from cdigen.doctor.checks import diagnose
from cdigen.host.programs import Answer
from cdigen.session.session import Session
from cdigen.session.target import Target
from cdigen.specs.rebuild import Rebuilder
from tests.discover.outcomes import a_host_with_everything
from tests.doctor.contexts import context_of, lines
from tests.host.failing import FailingHost
from tests.hosts import LIBDIR, VERSION, host_of, text, unreadable

if TYPE_CHECKING:
    from cdigen.diagnosis import Diagnosis
    from cdigen.host import Host
    from tests.hosts import Entries

ERRORS = (errno.EIO, errno.EACCES, errno.EMFILE, errno.ENOMEM)


def a_machine() -> Entries:
    """Return a host on which every check has something to look at."""
    return {
        **a_host_with_everything(),
        "/sys/module/nvidia_uvm": {"kind": "dir"},
        "/sys/bus/pci/devices/0000:03:00.0/class": text("0x060400\n"),
        "/sys/fs/selinux/enforce": text("1\n"),
        "/sys/fs/selinux/booleans/container_use_devices": text("1 1\n"),
        "/run/systemd/system": {"kind": "dir"},
        "/usr/bin/podman": {"kind": "file", "mode": "0755"},
    }


def examine(host: Host) -> tuple[Diagnosis, ...]:
    return diagnose(context_of(host), Rebuilder(Target(ask_nvml="never"), Session(host)))


def verdicts(found: tuple[Diagnosis, ...]) -> set[str]:
    """Return what is called right or wrong, without what to do about it."""
    judged = (one for one in found if one.level == "ok" or (one.level == "problem" and one.code != "unreadable"))
    return {f"{one.level} {one.topic} {one.subject}: {one.message}" for one in judged}


def test_whichever_read_fails_nothing_else_is_called_right_or_wrong() -> None:
    host = host_of(a_machine())
    expected = verdicts(examine(host))
    # Of an engine that is not known to be there, what no engine finds is said.
    expected.add("problem spec an engine: finds no device of nvidia.com in /etc/cdi and /var/run/cdi")
    at = 0
    while True:
        failing = FailingHost(host, at=at, number=ERRORS[at % len(ERRORS)])
        found = examine(failing)
        if not failing.failed:
            break
        assert verdicts(found) <= expected, failing.failed
        at += 1
    assert at > 250


@pytest.mark.parametrize(
    ("closed", "subject"),
    [
        ("/sys/fs", "selinux /sys/fs/selinux"),
        ("/run/systemd", "systemd /run/systemd/system"),
        ("/sys/module", "kernel /sys/module/nouveau"),
    ],
)
def test_what_cannot_be_read_is_unknown(closed: str, subject: str) -> None:
    entries = {path: entry for path, entry in a_machine().items() if not path.startswith(f"{closed}/")}
    host = host_of({**entries, closed: unreadable(kind="dir")})
    answer = Answer(output="", failure="not run")
    found = diagnose(
        context_of(host, runner=lambda commands: tuple(answer for _ in commands)),
        Rebuilder(Target(ask_nvml="never"), Session(host)),
    )
    topic, path = subject.split()
    line = f"unknown {subject}: Input/output error -> see what it is: ls -ld {path}"
    assert [other for other in lines(found) if other.startswith(f"unknown {topic} ") and path in other] == [line]


def test_a_driver_that_is_not_read_whole_is_not_called_right() -> None:
    cfg = f"{LIBDIR}/libnvidia-cfg.so.{VERSION}"
    host = host_of({**a_machine(), cfg: unreadable()})
    found = [one for one in examine(host) if one.topic == "driver"]
    version = f"version {VERSION}, the kernel module's too"
    message = f"as far as it can be read: {version}; 8 libraries, 3 GPUs, 1 note (cdigen list)"
    assert [(one.level, one.code, one.message) for one in found] == [
        ("unknown", "driver-partly-read", message),
        ("warning", "unusable-file", f"{cfg}: Input/output error; it is not injected"),
    ]


def test_no_spec_is_advised_where_none_can_be_written() -> None:
    host = host_of({"/usr/bin/podman": {"kind": "file", "mode": "0755"}})
    (line,) = (line for line in lines(examine(host)) if line.startswith("problem spec"))
    assert line == (
        "problem spec podman: finds no device of nvidia.com in /etc/cdi and /var/run/cdi"
        " -> correct first what is wrong with the driver"
    )
