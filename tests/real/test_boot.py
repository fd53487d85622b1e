"""A real boot: systemd, the units as `make install` puts them there, the real driver as apt installs it.

The kernel half is files (`tests.real.hardware`), to which /etc/cdigen/cdigen.env leads. All else is what it is on a
host: the driver's packages, their upgrade and removal by dpkg, podman with a container, and the units of docker,
containerd and podman, which start something else but are ordered as ever.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.cache import cache_dir
from tests.real.conftest import skipped_where_unavailable
from tests.real.make_boot import UPGRADED_VERSION, make_boot
from tests.real.process import UnavailableError, command_environment, run

if TYPE_CHECKING:
    from tests.real.make_driver import HostTree

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "systemd/cdigen.service").read_text()
ENGINES = sorted(name for line in re.findall(r"^Before=(.*)$", UNIT, re.MULTILINE) for name in line.split())

READ_ONLY = next(
    text
    for text in re.findall(r"^```ini\n(.*?)^```", (ROOT / "docs/boot.md").read_text(), re.DOTALL | re.MULTILINE)
    if "StateDirectory=" in text
)

SETTINGS = """\
CDIGEN_GENERATE_PROCFS=/srv/host/proc
CDIGEN_GENERATE_SYSFS=/srv/host/sys
CDIGEN_NODES_PROCFS=/srv/host/proc
CDIGEN_NODES_SYSFS=/srv/host/sys
"""

STORAGE = """\
[storage]
driver = "vfs"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
"""

# In place of what an engine's unit starts: it says how large the spec is that it found. Its order is left as it is.
STAND_IN = """\
[Service]
Type=oneshot
Restart=no
RemainAfterExit=yes
ExecStartPre=
ExecStart=
ExecStart=/bin/sh -c 'mkdir -p /run/seen; stat -c %%s /etc/cdi/nvidia.yaml > /run/seen/%n'
ExecStartPost=
ExecStop=
ExecStopPost=
"""
WANTED = "[Install]\nWantedBy=multi-user.target\n"

# There is no udev in a container, which would make the first; the driver's files are in a procfs, as NVML is asked and
# nodes are made with no other.
DRM = """\
[Unit]
Before=cdigen-nodes.service

[Service]
Type=oneshot
ExecStart=cp -a /srv/host/dri /dev/
ExecStart=mount -t proc proc /srv/host/proc
ExecStart=mount --bind /srv/host/proc-files/devices /srv/host/proc/devices
ExecStart=mount --bind /srv/host/proc-files/driver /srv/host/proc/driver
"""

# The runtime is crun, which can do without cgroups: those of this machine are not for a container in it to change.
CONTAINER = """\
[Unit]
After=cdigen.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'mkdir -p /run/seen; podman --runtime=crun --cgroup-manager=cgroupfs --events-backend=none \
run --rm --cgroups=disabled --network=none --ulimit=nofile=1024:1024 --ulimit=nproc=1024:1024 \
--device=nvidia.com/gpu=all --rootfs /srv/image:O probe --cuinit > /run/seen/container 2>&1'
"""

STEPS = """\
[Unit]
After=container.service

[Service]
Environment=OLD_VERSION={old} NEW_VERSION={new}
ExecStart=/bin/sh -c 'exec python3 /srv/boot_steps.py "$(cat /srv/boot)" /srv/report.json'
"""

# $1 are the lower layers, $2 the upper one; the rest is the command, after which the mount is gone with its namespace.
IN_NAMESPACE = """\
set -eu
mount --make-rprivate /
mkdir -p "$2/merged"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/merged"
shift 2
exec "$@"
"""

_BOOT_SECONDS = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that can be booted again and again.

    Attributes:
        place: where its uppermost layer is.
        layers: those below it.
        mounts: what is bound into it, as options of systemd-nspawn.
    """

    place: Path
    layers: str
    mounts: tuple[str, ...]

    def boot(self, name: str) -> dict[str, Any]:
        """Boot it, let it do the steps of that name, and return their report once it is off."""
        upper = self.place / "upper"
        (upper / "srv/boot").write_text(name)
        command = [
            *("unshare", "--mount", "sh", "-c", IN_NAMESPACE, "sh", self.layers, str(self.place)),
            *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--link-journal=no", "--boot"),
            *(f"--machine=cdigen-{os.getpid()}", f"--directory={self.place}/merged"),
            "--private-network",
            "--tmpfs=/var/lib/containers",
            "--system-call-filter=@keyring",  # crun makes one
            *self.mounts,
        ]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_BOOT_SECONDS,
            env=command_environment(),
        )
        path = upper / "srv/report.json"
        assert path.exists(), done.stdout[-4000:]
        report: dict[str, Any] = json.loads(path.read_text())
        path.unlink()
        assert "error" not in report, report
        cycles = [line for line in done.stdout.splitlines() if "rdering cycle" in line]
        report["boot"]["cycles"] += cycles
        return report


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def machine(driver_debian: HostTree, image_bookworm: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    with skipped_where_unavailable():
        if not Path("/usr/bin/systemd-nspawn").exists():
            raise UnavailableError("systemd-nspawn is not installed: apt-get install systemd-container")
        layers, upgrade = make_boot(cache_dir())
    place = tmp_path_factory.mktemp("boot")
    upper = place / "upper"
    for directory in (upper, place / "work"):
        directory.mkdir()
        directory.chmod(0o755)
    install = ["make", "--silent", "-C", str(ROOT), "install", f"DESTDIR={upper}", "PREFIX=/usr"]
    run([*install, "INSTALL_PYTHON=/usr/bin/python3"], env={"PYTHONPATH": ""})
    _write(upper / "etc/cdigen/cdigen.env", SETTINGS)
    _write(upper / "etc/containers/storage.conf", STORAGE)
    _write(upper / "srv/read-only.conf", READ_ONLY)
    host = upper / "srv/host"
    host.mkdir(parents=True)
    for source, name in (("proc", "proc-files"), ("sys", "sys"), ("dev/dri", "dri")):
        run(["cp", "--archive", str(driver_debian.root / source), str(host / name)])
    (host / "proc").mkdir()
    _write(upper / "srv/boot_steps.py", Path(__file__).with_name("boot_steps.py").read_text())
    shutil.copytree(ROOT / "systemd", upper / "srv/source/systemd")
    units = upper / "etc/systemd/system"
    own = {
        "drm.service": DRM,
        "container.service": CONTAINER,
        "steps.service": STEPS.format(old=driver_debian.version, new=UPGRADED_VERSION),
    }
    for name, text in own.items():
        _write(units / name, text + "\n" + WANTED)
    for name in ENGINES:
        if any((layer / "usr/lib/systemd/system" / name).exists() for layer in layers):
            _write(units / f"{name}.d/stand-in.conf", STAND_IN)
        else:
            _write(units / name, f"{STAND_IN}\n{WANTED}")
            own[name] = ""
    run(["systemctl", f"--root={upper}", "enable", "cdigen.service", *own])
    return Machine(
        place=place,
        layers=":".join(str(layer) for layer in layers),
        mounts=(f"--bind-ro={image_bookworm}:/srv/image", f"--bind-ro={upgrade}:/srv/upgrade"),
    )


@pytest.fixture(scope="module")
def first(machine: Machine) -> dict[str, Any]:
    """Return the report of the first boot."""
    return machine.boot("first")


@pytest.fixture(scope="module")
def second(machine: Machine, first: dict[str, Any]) -> dict[str, Any]:
    """Return the report of the second boot, in which the driver is upgraded."""
    assert first["boot"]
    return machine.boot("second")


@pytest.fixture(scope="module")
def third(machine: Machine, second: dict[str, Any]) -> dict[str, Any]:
    """Return the report of the third boot, in which the driver is removed."""
    assert second["boot"]
    return machine.boot("third")


def outcome(report: dict[str, Any]) -> tuple[str, str, str]:
    """Return how a unit stands after its last run."""
    unit = report["unit"]
    return unit["ActiveState"], unit["Result"], unit["ExecMainStatus"]


def libraries(spec: dict[str, Any]) -> set[str]:
    """Return the first parts of the names of the libraries in a spec."""
    return {name.partition(".")[0] for name in re.findall(r"hostPath: .*/(lib[^/]+)$", spec["text"], re.MULTILINE)}


WRITTEN = [
    "cdigen: wrote /etc/cdi/nvidia.yaml: driver 535.309.01, 8 GPUs, 17 devices, 110 mounts",
    "cdigen: wrote /etc/cdi/nvidia-management.yaml: driver 535.309.01, 1 device, 12 nodes, 110 mounts",
    "cdigen: wrote /var/lib/cdigen/nvidia.snapshot.yaml: the facts behind 2 specs",
]
UNCHANGED = [line.replace("wrote", "unchanged:") for line in WRITTEN]
GROUPS = (
    "cdigen: note: /dev/dri/card7, /dev/dri/renderD135, /dev/dri/by-path/pci-0000:07:00.0-card and 29 more not open to"
    " all; containers do not get group 44 (additionalGids), as podman 4.3.1 may not read cdiVersion 0.7.0; if all your"
    " engines read cdiVersion 0.7.0, use --additional-gids always"
)
SPECS = "/etc/cdi/nvidia-management.yaml, /etc/cdi/nvidia.yaml"


def test_the_spec_is_written_at_boot(first: dict[str, Any], driver_debian: HostTree) -> None:
    boot = first["boot"]

    assert (*outcome(boot), boot["unit"]["SubState"]) == ("inactive", "success", "0", "dead")
    assert boot["said"] == [*(line.replace("535.309.01", driver_debian.version) for line in WRITTEN), GROUPS]
    assert boot["spec"]["mode"] == "0o100644"
    assert boot["enabled"] == ["enabled", "enabled"]


def test_the_nodes_are_made_before(first: dict[str, Any]) -> None:
    assert first["boot"]["said by nodes"] == [
        "cdigen: made /dev/nvidiactl: 195:255, mode 0666, owner 0:0",
        "cdigen: made /dev/nvidia-uvm: 511:0, mode 0666, owner 0:0",
        "cdigen: made /dev/nvidia-uvm-tools: 511:1, mode 0666, owner 0:0",
        "cdigen: made /dev/nvidia-modeset: 195:254, mode 0666, owner 0:0",
        *(f"cdigen: made /dev/nvidia{minor}: 195:{minor}, mode 0666, owner 0:0" for minor in range(8)),
    ]


def test_every_engine_starts_after_the_spec_is_there(first: dict[str, Any]) -> None:
    size = str(len(first["boot"]["spec"]["text"]))

    assert first["boot"]["engines"] == dict.fromkeys(ENGINES, size)


def test_podman_runs_a_container_with_it_in_the_same_boot(first: dict[str, Any]) -> None:
    answer = json.loads(first["boot"]["container"])

    assert (answer["name"], answer["ok"], answer["result"]) == ("libcuda.so.1", True, 100)


def test_nothing_fails_but_what_wants_a_gpu(first: dict[str, Any]) -> None:
    assert [line.split()[0] for line in first["boot"]["failed"]] == ["nvidia-persistenced.service"]


def test_there_is_no_ordering_cycle_and_systemd_finds_no_fault(
    first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]
) -> None:
    assert [report["boot"]["cycles"] for report in (first, second, third)] == [[], [], []]
    assert first["verify"] == ""


def test_a_renewed_linker_cache_starts_it_and_nothing_is_written(first: dict[str, Any]) -> None:
    report = first["after ldconfig"]

    assert 5 <= first["seconds to a run"] < 15
    assert outcome(report) == ("inactive", "success", "0")
    assert report["said"] == UNCHANGED
    assert report["spec"] == first["boot"]["spec"]


def test_a_system_that_cannot_be_written_to_has_its_spec_below_run(first: dict[str, Any]) -> None:
    report = first["read-only"]

    assert outcome(report) == ("inactive", "success", "0")
    moved = {"/etc/cdi": "/run/cdi", "/var/lib/cdigen": "/run/cdigen"}
    below_run = [line.replace(old, new) for line in WRITTEN for old, new in moved.items() if old in line]
    assert report["said"] == [*below_run, GROUPS]
    assert report["text"] == first["boot"]["spec"]["text"]


def test_the_spec_is_true_after_every_boot(
    first: dict[str, Any], second: dict[str, Any], third: dict[str, Any], driver_debian: HostTree
) -> None:
    old = (driver_debian.version, 110)
    for report, (version, mounts) in ((first, old), (second, old), (third, (UPGRADED_VERSION, 41))):
        is_true = f"true of this host: driver {version}"
        lines = [
            f"ok       spec     /etc/cdi/nvidia-management.yaml: {is_true}, 1 device, 12 nodes, {mounts} mounts",
            f"ok       spec     /etc/cdi/nvidia.yaml: {is_true}, 8 GPUs, 17 devices, {mounts} mounts",
        ]
        check = report["boot"]["check"]
        assert (check["code"], check["out"]) == (0, [*lines, "", "true of this host: 2 ok"])


def test_a_module_that_is_late_is_waited_for(first: dict[str, Any]) -> None:
    report = first["late module"]

    assert report["state"] == "activating"
    waiting = "cdigen: note: waiting up to 30 s for the driver: the kernel module nvidia is not loaded"
    assert report["said before"] == [waiting]
    assert outcome(report) == ("inactive", "success", "0")
    assert report["said"] == UNCHANGED
    assert report["spec"] == first["after many changes"]["spec"]


def test_no_change_is_lost_that_comes_while_it_runs(first: dict[str, Any]) -> None:
    before = libraries(first["boot"]["spec"])

    assert first["state while it scans"] == "start"
    assert before - libraries(first["after a change while it scans"]) == {"libnvidia-opticalflow"}
    assert before - libraries(first["after a change after the scan"]) == {
        "libnvidia-opticalflow",
        "libnvidia-encode",
    }


def test_many_changes_in_a_row_are_no_failure(first: dict[str, Any]) -> None:
    report = first["after many changes"]

    assert outcome(report) == ("inactive", "success", "0")
    assert (report["path"]["ActiveState"], report["path"]["Result"]) == ("active", "success")
    assert report["spec"]["text"] == first["boot"]["spec"]["text"]


def test_a_boot_without_a_change_leaves_the_file_alone(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert second["boot"]["said"] == UNCHANGED
    assert second["boot"]["spec"] == first["after many changes"]["spec"]


def test_nvml_works_in_the_unit_s_confinement(second: dict[str, Any]) -> None:
    report = second["asked NVML"]

    assert outcome(report) == ("inactive", "success", "0")
    # Another way to ask is part of the record, which is kept so that the same can be asked again.
    assert report["said"][:3] == [*UNCHANGED[:-1], WRITTEN[-1]]
    # The answer of the real library, on a machine without the module.
    assert report["said"][3].startswith("cdigen: warning: NVML gives no answer: nvmlInit: Driver Not Loaded (9);")


def test_an_upgrade_is_refused_until_its_module_is_loaded(second: dict[str, Any], driver_debian: HostTree) -> None:
    report = second["after the upgrade"]
    old = driver_debian.version

    assert outcome(report) == ("failed", "exit-code", "4")
    assert report["said"][-1] == (
        f"cdigen: error: the kernel module is {old} (/proc/driver/nvidia/version) but the user-space driver"
        f" is {UPGRADED_VERSION} (/usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.{UPGRADED_VERSION}); reboot to"
        f" load the module that was installed with it, or install the user-space driver {old}"
    )
    assert report["spec"] == second["before the upgrade"]


def test_check_and_doctor_tell_of_the_upgrade(second: dict[str, Any], driver_debian: HostTree) -> None:
    report = second["after the upgrade"]
    old = driver_debian.version

    story = (
        f"the kernel module is {old} (/proc/driver/nvidia/version) but the user-space driver is {UPGRADED_VERSION}"
        f" (/usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.{UPGRADED_VERSION}) -> reboot to load the module that"
        f" was installed with it, or install the user-space driver {old}"
    )
    for verb, topic in (("check", f"spec     {SPECS}"), ("doctor", "driver   /")):
        assert report[verb]["code"] == 1
        assert f"problem  {topic}: {story}" in report[verb]["out"]
    (gone,) = [line for line in report["check"]["out"] if "/etc/cdi/nvidia.yaml: " in line and "are gone" in line]
    assert gone.startswith(f"problem  spec     {SPECS}: 4 of the 50 files that it mounts are gone: ")
    assert gone in report["doctor"]["out"]
    failed = "problem  systemd  cdigen.service: failed: exit-code, exit code 4 -> fix what the last line of its journal"
    assert [line for line in report["doctor"]["out"] if line.startswith(failed)]


def test_the_record_made_in_the_units_confinement_is_what_a_shell_sees(
    first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]
) -> None:
    for report in (first, second, third):
        assert report["boot"]["changes"] == {"code": 0, "out": []}


def test_the_record_tells_what_has_changed_since(second: dict[str, Any], driver_debian: HostTree) -> None:
    report = second["after the upgrade"]

    assert report["record"] == second["record before the upgrade"]
    assert report["diff"]["code"] == 1
    old, libcuda = driver_debian.version, "/usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so"
    changed = [line for line in report["diff"]["out"] if libcuda in line.partition(": ")[0]]
    assert changed == [
        f"~ {libcuda}.1: link to libcuda.so.{old} -> link to libcuda.so.{UPGRADED_VERSION}",
        f"- {libcuda}.{old}: file",
        f"+ {libcuda}.{UPGRADED_VERSION}: file",
    ]


def test_the_boot_with_the_new_module_writes_a_new_spec(second: dict[str, Any], third: dict[str, Any]) -> None:
    boot = third["boot"]

    assert outcome(boot) == ("inactive", "success", "0")
    assert boot["spec"]["text"].startswith(f"# Written by cdigen 0.1.0 for NVIDIA driver {UPGRADED_VERSION}.\n")
    assert boot["spec"]["mtime"] > second["before the upgrade"]["mtime"]
    assert json.loads(boot["container"])["result"] == 100


def test_a_driver_that_is_removed_is_no_failure(third: dict[str, Any]) -> None:
    report = third["after the removal"]

    assert outcome(report) == ("inactive", "success", "3")
    (line,) = report["said"]
    assert line == (
        "cdigen: error: no NVIDIA driver: neither /proc/driver/nvidia/version nor a libcuda.so.<version> below /;"
        " install the driver, or name its directory with --driver-root"
    )
    assert (report["nodes"]["Result"], report["nodes"]["ExecMainStatus"]) == ("success", "3")


def test_check_and_doctor_tell_of_the_removal(third: dict[str, Any]) -> None:
    report = third["after the removal"]

    story = (
        "no NVIDIA driver: neither /proc/driver/nvidia/version nor a libcuda.so.<version> below / -> install the"
        " driver, or name its directory with --driver-root"
    )
    assert (report["check"]["code"], report["doctor"]["code"]) == (1, 1)
    assert f"problem  spec     {SPECS}: {story}" in report["check"]["out"]
    assert f"problem  driver   /: {story}" in report["doctor"]["out"]


def test_after_an_uninstall_nothing_is_left_but_edited_settings(third: dict[str, Any]) -> None:
    report = third["uninstall"]

    assert "install: /etc/cdigen/cdigen.env was edited, so it is left there" in report["said"].splitlines()
    assert "cdigen: removed /etc/cdi/nvidia.yaml" in report["said"].splitlines()
    assert report["left"] == ["/etc/cdigen", "/etc/cdigen/cdigen.env"]
    assert report["units"] == []
    assert report["specs"] == []


UDEV = """\
set -eu
root=$0
uevent=$root/sys/devices/pci0000:00/0000:07:00.0/uevent
printf 'PCI_CLASS=30200\\nPCI_ID=10DE:2330\\n' > "$uevent"
ln -s ../../../bus/pci "${uevent%uevent}subsystem"
mkdir "$root/sys/module/other"
while read -r action path; do
  echo "$action $path"
  # Below another root there is no sysfs, only files that look like one.
  chroot "$root" env SYSTEMD_DEVICE_VERIFY_SYSFS=0 udevadm test --action="$action" "$path" 2>&1 \
    | grep -e ^run: -e 72-cdigen.rules | grep -v -e Reading -e ' RUN ' || true
done
"""
PCI_DEVICE = "/sys/devices/pci0000:00/0000:07:00.0"
LOAD = "run: 'kmod load nvidia_uvm nvidia_modeset'"
REFRESH = "run: '/bin/systemctl --no-block start cdigen-refresh.service'"


def test_udev_does_what_the_rules_are_meant_to_do(machine: Machine, tmp_path: Path) -> None:
    expected = {
        "add /sys/module/nvidia": [LOAD, REFRESH],
        "remove /sys/module/nvidia": [REFRESH],
        "add /sys/module/other": [],
        f"bind {PCI_DEVICE}": [REFRESH],
        f"unbind {PCI_DEVICE}": [REFRESH],
        f"add {PCI_DEVICE}": [],  # no driver is bound to it yet
    }
    upper = tmp_path / "upper"
    for directory in (upper, tmp_path / "work"):
        directory.mkdir()
        directory.chmod(0o755)
    rules = "etc/udev/rules.d/72-cdigen.rules"
    _write(upper / rules, (ROOT / "systemd/72-cdigen.rules").read_text())
    done = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c", IN_NAMESPACE, "sh", machine.layers, str(tmp_path)),
            *("sh", "-c", UDEV, f"{tmp_path}/merged"),
        ],
        input="".join(f"{event}\n" for event in expected),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=command_environment(),
    )

    assert done.stdout.splitlines() == [line for event, runs in expected.items() for line in (event, *runs)]


def test_it_takes_a_small_part_of_a_boot(first: dict[str, Any]) -> None:
    # Figures are in docs/cost.md; a machine under load is no failure, a unit that waits for something is.
    assert first["ratio to a bare interpreter"] < 100
