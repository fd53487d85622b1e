"""What is done and looked at inside the machine that `test_boot.py` boots, by its own Python; standard library only.

    python3 boot_steps.py first|second|third REPORT

writes a JSON report. What it should say is for the test to judge.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SPEC = Path("/etc/cdi/nvidia.yaml")
SEEN = Path("/run/seen")
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu/nvidia/current")
HIDDEN = Path("/srv/hidden")
RECORD = Path("/var/lib/cdigen/nvidia.snapshot.yaml")
HOST = Path("/srv/host")
DROP_IN = Path("/run/systemd/system/cdigen.service.d/test.conf")
PROPERTIES = ("ActiveState", "SubState", "Result", "ExecMainStatus", "InvocationID")

_PATIENCE = 60.0  # seconds
_QUIET = 1.0  # seconds; a change that was noticed has started cdigen-refresh.service by then


def do(*command: str) -> str:
    """Run a command and return what it wrote, on whichever stream."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout


def show(unit: str = "cdigen.service") -> dict[str, str]:
    """Return some properties of a unit."""
    lines = do("systemctl", "show", f"--property={','.join(PROPERTIES)}", unit).splitlines()
    return dict(line.partition("=")[::2] for line in lines)


def spec() -> dict[str, object]:
    """Return what tells whether the spec's file is the same, and its first line."""
    status = SPEC.stat()
    text = SPEC.read_text()
    return {"inode": status.st_ino, "mtime": status.st_mtime_ns, "text": text, "mode": oct(status.st_mode)}


def said(unit: str = "cdigen.service") -> list[str]:
    """Return what a unit's program itself wrote to the journal in its last run."""
    invocation = show(unit)["InvocationID"]
    # By that name only: in a container, systemd says in its stead that it may not configure a private network.
    match = (f"_SYSTEMD_UNIT={unit}", f"_SYSTEMD_INVOCATION_ID={invocation}", "SYSLOG_IDENTIFIER=cdigen")
    do("journalctl", "--sync")
    return do("journalctl", "--boot", "--quiet", "--no-pager", "--output=cat", *match).splitlines()


def ask(verb: str, *arguments: str) -> dict[str, Any]:
    """Return what a verb of cdigen says of this host, and its exit code."""
    command = ["cdigen", verb, "--procfs", str(HOST / "proc"), "--sysfs", str(HOST / "sys"), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    out = done.stdout.replace("\n                  -> ", " -> ").replace("\n                  $ ", " $ ")
    return {"code": done.returncode, "out": out.splitlines()}


def record() -> dict[str, object]:
    """Return what tells whether the recorded facts are the same, and their first line."""
    status = RECORD.stat()
    with RECORD.open() as file:
        return {"inode": status.st_ino, "mtime": status.st_mtime_ns, "head": file.readline()}


def wait_for(what: str, condition: Callable[[], bool], *, pause: float = 0.02) -> None:
    """Wait until `condition` holds; SystemExit if that takes too long."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {_PATIENCE} seconds; {show()}; {show('cdigen-refresh.service')}")
        time.sleep(pause)


def run_after(change: Callable[[], object]) -> float:
    """Make a change, wait until cdigen.service has run for it and nothing more comes; return the seconds to its start.

    The last run is what counts: a package manager makes several changes.
    """
    before = show()["InvocationID"]
    start = time.monotonic()
    change()
    wait_for("a start after a change", lambda: show()["InvocationID"] != before)
    seconds = time.monotonic() - start
    settle()
    return seconds


def settle() -> None:
    """Wait until no run is under way, and none has begun for a while."""
    last, since = "", time.monotonic()
    while time.monotonic() - since < _QUIET:
        now = show()
        is_busy = now["ActiveState"] == "activating" or show("cdigen-refresh.service")["ActiveState"] == "activating"
        if is_busy or now["InvocationID"] != last:
            last, since = now["InvocationID"], time.monotonic()
        time.sleep(0.1)


def ratio() -> float:
    """Return how often a bare interpreter could start in the time of the unit's last run."""
    lines = do(
        "systemctl",
        "show",
        "--property=ExecMainStartTimestampMonotonic",
        "--property=ExecMainExitTimestampMonotonic",
        "cdigen.service",
    )
    begin, end = (int(line.partition("=")[2]) / 1e6 for line in sorted(lines.splitlines(), reverse=True))
    times = []
    for _ in range(9):
        start = time.monotonic()
        do("/usr/bin/python3", "-c", "pass")
        times.append(time.monotonic() - start)
    return (end - begin) / sorted(times)[4]


def ldconfig() -> None:
    """Renew the linker cache, as package managers do."""
    do("ldconfig")


def hide(name: str) -> None:
    """Take a library of the driver away."""
    (library,) = LIBRARIES.glob(f"{name}.so.*.*")
    library.rename(f"{HIDDEN}/{library.name}")
    ldconfig()


def bring_back() -> None:
    """Put back what was taken away."""
    for path in HIDDEN.iterdir():
        path.rename(LIBRARIES / path.name)
    ldconfig()


def drop_in(text: str) -> None:
    """Change cdigen.service for a while; nothing takes it back."""
    if text:
        DROP_IN.parent.mkdir(parents=True, exist_ok=True)
        DROP_IN.write_text(f"[Service]\n{text}\n")
    else:
        DROP_IN.unlink()
    do("systemctl", "daemon-reload")


def look_at_boot() -> dict[str, Any]:
    """Return what there is to see when a boot is over."""
    do("systemctl", "is-system-running", "--wait")
    # What systemd says of its first transaction is said before there is a journal. Here it makes it once more.
    verified = do("systemd-analyze", "verify", "--man=no", "default.target")
    journal = do("journalctl", "--boot", "--no-pager", "--output=cat")
    return {
        "unit": show(),
        "nodes": show("cdigen-nodes.service"),
        "said": said(),
        "said by nodes": said("cdigen-nodes.service"),
        "spec": spec(),
        "record": record(),
        "check": ask("check"),
        "changes": ask("diff", "--facts"),
        "engines": {path.name: path.read_text().strip() for path in SEEN.iterdir() if path.name != "container"},
        "container": (SEEN / "container").read_text(),
        "cycles": [line for line in (verified + journal).splitlines() if "rdering cycle" in line],
        "failed": do("systemctl", "list-units", "--failed", "--plain", "--no-legend").splitlines(),
        "time": do("systemd-analyze", "time"),
        "blame": do("systemd-analyze", "blame"),
        "chain": do("systemd-analyze", "critical-chain", "docker.service"),
        "enabled": do("systemctl", "is-enabled", "cdigen.service", "cdigen.path").split(),
    }


def first() -> dict[str, Any]:
    """A first boot, and changes at the worst moments."""
    report: dict[str, Any] = {"boot": look_at_boot()}
    report["verify"] = do(
        "systemd-analyze",
        "verify",
        *("cdigen.service", "cdigen-nodes.service", "cdigen-refresh.service", "cdigen.path", "cdigen-modules.target"),
    )
    report["ratio to a bare interpreter"] = ratio()
    HIDDEN.mkdir()
    report["seconds to a run"] = run_after(ldconfig)
    report["after ldconfig"] = {"unit": show(), "said": said(), "spec": spec()}

    # While it scans.
    def change_while_it_scans() -> None:
        ldconfig()
        wait_for("the scan", lambda: show()["ActiveState"] == "activating", pause=0.001)
        report["state while it scans"] = show()["SubState"]
        hide("libnvidia-opticalflow")

    run_after(change_while_it_scans)
    report["after a change while it scans"] = spec()

    # When the scan is over and the unit is not: this change starts it while it is active.
    drop_in("ExecStartPost=sleep 8")

    def change_after_the_scan() -> None:
        ldconfig()
        wait_for("the end of the scan", lambda: show()["SubState"] == "start-post", pause=0.001)
        hide("libnvidia-encode")

    run_after(change_after_the_scan)
    report["after a change after the scan"] = spec()
    drop_in("")

    # Many in a row: as many starts as it takes, and none refused.
    def change_often() -> None:
        end = time.monotonic() + 8
        while time.monotonic() < end:
            ldconfig()
        bring_back()

    run_after(change_often)
    report["after many changes"] = {"unit": show(), "spec": spec(), "path": show("cdigen.path"), "record": record()}
    report["late module"] = start_before_the_module()
    report["read-only"] = start_read_only()
    return report


def start_before_the_module() -> dict[str, Any]:
    """Start the unit while the module is not loaded, which comes two seconds later, with what udev does then."""
    parts = [HOST / "proc/driver/nvidia", HOST / "sys/module/nvidia"]
    for part in parts:
        part.rename(part.with_name("late"))
    for node in Path("/dev").glob("nvidia[0-9]*"):
        node.unlink()
    do("systemctl", "start", "--no-block", "cdigen.service")
    wait_for("the wait for the module", lambda: any("waiting" in line for line in said()), pause=0.1)
    time.sleep(2)
    report: dict[str, Any] = {"state": show()["ActiveState"], "said before": said()}
    for part in parts:
        part.with_name("late").rename(part)
    run_after(lambda: do("systemctl", "start", "cdigen-refresh.service"))
    return {**report, "unit": show(), "said": said(), "spec": spec()}


def start_read_only() -> dict[str, Any]:
    """Start the unit on a system that cannot be written to, as the documentation has it for such a one."""
    settings, places = Path("/srv/read-only.conf").read_text(), ("/etc", "/var/lib")
    for place in places:
        do("mount", "--bind", place, place)
        do("mount", "-o", "remount,bind,ro", place)
    drop_in(settings.removeprefix("[Service]\n"))
    do("systemctl", "start", "cdigen.service")
    specs = Path("/run/cdi")
    report = {"unit": show(), "said": said(), "text": (specs / SPEC.name).read_text()}
    for path in specs.iterdir():
        path.unlink()
    drop_in("")
    do("umount", *places)
    return report


def second() -> dict[str, Any]:
    """A boot in which nothing has changed, NVML in the unit's confinement, and an upgrade of the driver."""
    report: dict[str, Any] = {"boot": look_at_boot()}
    drop_in("Environment=CDIGEN_GENERATE_NVML=always")
    do("systemctl", "restart", "cdigen.service")
    report["asked NVML"] = {"unit": show(), "said": said()}
    drop_in("")
    do("systemctl", "restart", "cdigen.service")
    report["before the upgrade"] = spec()
    report["record before the upgrade"] = record()
    packages = sorted(str(path) for path in Path("/srv/upgrade").glob("*.deb"))
    run_after(lambda: do("dpkg", "--force-depends", "--install", *packages))
    report["after the upgrade"] = {"unit": show(), "said": said(), "spec": spec(), "record": record()}
    report["after the upgrade"].update(check=ask("check"), doctor=ask("doctor"), diff=ask("diff", "--facts"))
    # What a reboot would do: the new module is loaded.
    for path in (*(HOST / "proc/driver").rglob("*"), *(HOST / "sys").rglob("*")):
        if path.is_file() and path.name in ("version", "information"):
            old = path.read_text()
            path.write_text(old.replace(os.environ["OLD_VERSION"], os.environ["NEW_VERSION"]))
    return report


def third() -> dict[str, Any]:
    """A boot with the new module, and the end of the driver."""
    report: dict[str, Any] = {"boot": look_at_boot()}

    def remove() -> None:
        shutil.rmtree(HOST / "proc/driver/nvidia")
        shutil.rmtree(HOST / "sys/module/nvidia")
        (HOST / "proc/devices").write_text("Character devices:\n  1 mem\n\nBlock devices:\n")
        do("dpkg", "--force-depends", "--remove", "libcuda1", "libnvidia-ml1", "nvidia-smi")

    run_after(remove)
    report["after the removal"] = {
        "unit": show(),
        "said": said(),
        "spec": spec(),
        "nodes": show("cdigen-nodes.service"),
        "check": ask("check"),
        "doctor": ask("doctor"),
    }
    places = ("/etc", "/usr", "/var/lib/cdigen", "/var/lib/systemd", "/run")
    report["uninstall"] = {
        "said": do("env", "PREFIX=/usr", "/srv/source/systemd/install", "uninstall"),
        "left": do("find", *filter(os.path.exists, places), "-xdev", "-name", "*cdigen*").splitlines(),
        "specs": sorted(path.name for path in SPEC.parent.iterdir()),
        "units": do("systemctl", "list-unit-files", "--no-legend", "cdigen*").splitlines(),
    }
    return report


def main() -> None:
    """Do the steps of a boot, write the report, and switch the machine off."""
    name, report = sys.argv[1:]
    result: dict[str, Any] = {"error": "the steps did not come to an end"}
    try:
        result = {"first": first, "second": second, "third": third}[name]()
    except BaseException as error:  # what went wrong is all that the test outside will see
        result = {"error": repr(error), "journal": do("journalctl", "--boot", "--no-pager")[-20000:]}
        raise
    finally:
        Path(report).write_text(json.dumps(result))
        with suppress(OSError):
            do("systemctl", "poweroff")


if __name__ == "__main__":
    main()
