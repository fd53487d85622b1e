"""The driver's two halves, SELinux and systemd's units."""

from __future__ import annotations

import pytest

from cdigen.doctor.driver import check_driver
from cdigen.doctor.selinux import check_selinux
from cdigen.doctor.units import check_units, units_command
from cdigen.host.programs import Answer
from tests.doctor.contexts import context_of, lines, no_answers
from tests.hosts import LIBDIR, OTHER_VERSION, VERSION, Entries, kernel_entries, minimal_entries, text, without


def test_a_driver_is_one_line() -> None:
    assert lines(check_driver(context_of(minimal_entries()))) == [
        (f"ok driver {LIBDIR}/libcuda.so.{VERSION}: version {VERSION}, the kernel module's too; 5 libraries, 1 GPU")
    ]


def test_every_warning_of_the_scan_is_a_line() -> None:
    found = lines(check_driver(context_of(without(minimal_entries(), "/dev/nvidia-uvm-tools"))))

    assert [line.replace(" -> ", "; ") for line in found[1:]] == [
        (
            "warning driver /dev/nvidia-uvm-tools: /dev/nvidia-uvm-tools is missing: unified memory events, for"
            " profilers"
            "; create it with: nvidia-modprobe -u -c 0"
        )
    ]


def test_halves_of_different_versions_are_a_problem() -> None:
    entries = {**minimal_entries(), **kernel_entries(OTHER_VERSION)}

    assert [line.replace(" -> ", "; ") for line in lines(check_driver(context_of(entries)))] == [
        (
            f"problem driver /: the kernel module is {OTHER_VERSION} (/proc/driver/nvidia/version) but the user-space"
            f" driver is {VERSION} ({LIBDIR}/libcuda.so.{VERSION}); reboot to load the module that was"
            " installed with it,"
            f" or install the user-space driver {OTHER_VERSION}"
        )
    ]


def selinux(enforce: str, **booleans: str) -> Entries:
    return {
        "/sys/fs/selinux/enforce": text(enforce),
        **{f"/sys/fs/selinux/booleans/{name}": text(f"{value} {value}") for name, value in booleans.items()},
    }


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ({}, "ok selinux /sys/fs/selinux: SELinux is not on"),
        (selinux("0"), "ok selinux /sys/fs/selinux: permissive: it denies nothing"),
        (selinux(""), "unknown selinux /sys/fs/selinux: on; its mode cannot be read -> cat /sys/fs/selinux/enforce"),
        (
            selinux("1", container_use_devices="1"),
            "ok selinux /sys/fs/selinux: enforcing, with container_use_devices on",
        ),
        (
            selinux("1", container_use_devices="0", container_use_xserver_devices="1"),
            "ok selinux /sys/fs/selinux: enforcing, with container_use_xserver_devices on",
        ),
        (
            selinux("1", container_use_devices="0"),
            (
                "warning selinux /sys/fs/selinux: enforcing, with container_use_devices off: containers may be"
                " denied the"
                " device nodes -> allow them, or start single containers with --security-opt"
                " label=disable: setsebool -P"
                " container_use_devices on"
            ),
        ),
        (
            selinux("1"),
            (
                "unknown selinux /sys/fs/selinux: enforcing; the policy has no container_use_devices, or it"
                " cannot be read"
                " -> if it is not known, install container-selinux: getsebool container_use_devices"
            ),
        ),
    ],
)
def test_selinux_is_judged_by_mode_and_boolean(entries: Entries, line: str) -> None:
    assert lines(check_selinux(context_of(entries))) == [line]


def test_selinux_of_a_snapshot_is_unknown() -> None:
    assert lines(check_selinux(context_of({}, is_recorded=True))) == [
        "unknown selinux /sys/fs/selinux: not recorded in the snapshot"
    ]


BOOTED: Entries = {"/run/systemd/system": {"kind": "dir"}, "/usr/bin/systemctl": {"kind": "file"}}
GOOD = "LoadState=loaded\nUnitFileState=enabled\nActiveState=inactive\nResult=success\nExecMainStatus=0\n"
ABSENT = "LoadState=not-found\nUnitFileState=\nActiveState=inactive\nResult=success\nExecMainStatus=0\n"
ENABLE = "systemctl enable --now cdigen.service cdigen.path"


def units_of(*, has_ours: bool = True, **states: str) -> list[str]:
    names = {"service": "cdigen.service", "path": "cdigen.path", "vendors": "nvidia-cdi-refresh.service"}
    blocks = [f"Id={name}\n{states.get(key, ABSENT)}" for key, name in names.items()]
    answer = Answer(output="\n".join(blocks), failure=None)
    return lines(check_units(context_of(BOOTED, runner=no_answers), answer, has_ours=has_ours))


def test_units_are_asked_for_with_one_command() -> None:
    assert units_command(context_of(BOOTED, runner=no_answers)) == (
        "/usr/bin/systemctl",
        "show",
        "--no-pager",
        "--property=Id,LoadState,UnitFileState,ActiveState,Result,ExecMainStatus",
        "--",
        "cdigen.service",
        "cdigen.path",
        "nvidia-cdi-refresh.service",
        "nvidia-cdi-refresh.path",
    )
    assert units_command(context_of(BOOTED)) is None
    assert units_command(context_of({}, runner=no_answers)) is None


def test_units_that_are_enabled_and_did_not_fail_are_ok() -> None:
    assert units_of(service=GOOD, path=GOOD.replace("inactive", "active")) == [
        "ok systemd cdigen.service: enabled, inactive",
        "ok systemd cdigen.path: enabled, active",
    ]


def test_units_that_are_absent_disabled_or_failed_are_said_with_what_to_do() -> None:
    failed = GOOD.replace("inactive", "failed").replace("=success", "=exit-code").replace("Status=0", "Status=4")

    assert units_of(service=failed, path=GOOD.replace("enabled", "disabled")) == [
        (
            "problem systemd cdigen.service: failed: exit-code, exit code 4 -> fix what the last line of its journal"
            " says, and start it: journalctl -b -n 20 --no-pager -u cdigen.service && systemctl start cdigen.service"
        ),
        f"warning systemd cdigen.path: disabled, so nothing renews the spec -> {ENABLE}",
    ]
    assert units_of()[0] == (
        "warning systemd cdigen.service: not installed, so nothing renews the spec -> install"
        " cdigen's units (make install,"
        f" in its source tree) and enable them: {ENABLE}"
    )


def test_the_vendors_service_is_in_the_way_where_it_is_enabled() -> None:
    assert units_of(service=GOOD, path=GOOD, vendors=GOOD)[2:] == [
        (
            "warning systemd nvidia-cdi-refresh.service: enabled: the vendor's service writes /var/run/cdi/nvidia.yaml,"
            " which takes precedence over /etc/cdi/nvidia.yaml -> disable the vendor's service and remove its"
            " spec: systemctl disable --now nvidia-cdi-refresh.path nvidia-cdi-refresh.service &&"
            " rm -f /var/run/cdi/nvidia.yaml"
        )
    ]


def test_the_vendors_service_is_right_where_no_spec_of_ours_is_hidden() -> None:
    assert units_of(service=GOOD, path=GOOD, vendors=GOOD, has_ours=False)[2:] == [
        (
            "ok systemd nvidia-cdi-refresh.service: enabled: the vendor's service writes /var/run/cdi/nvidia.yaml,"
            " which takes precedence over /etc/cdi/nvidia.yaml"
        )
    ]


def test_without_systemd_or_its_answer_units_are_not_known() -> None:
    late = Answer(output="", failure="no answer within 2 s")

    assert lines(check_units(context_of(BOOTED, runner=no_answers), late, has_ours=True)) == [
        "unknown systemd systemctl: no answer within 2 s -> systemctl status cdigen.service"
    ]
    assert lines(check_units(context_of(BOOTED), None, has_ours=True)) == [
        "unknown systemd systemctl: not run: the host is not this machine"
    ]
    assert lines(check_units(context_of({}, runner=no_answers), None, has_ours=True)) == [
        (
            "warning systemd /run/systemd/system: systemd does not run here, so nothing renews the spec -> run it at"
            " boot and after every driver upgrade: cdigen generate"
        )
    ]
