"""The units that renew the spec, ours and the vendor's, as systemd knows them.

Source: systemctl(1), `show`: blocks of `NAME=VALUE` lines, an empty line between the units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.diagnosis import Diagnosis, diagnosis, run
from cdigen.findings import NOTHING_TO_DO
from cdigen.specs.renewal import DISABLE_VENDORS, VENDORS_SPEC, VENDORS_UNITS

if TYPE_CHECKING:
    from cdigen.diagnosis import Level
    from cdigen.host.programs import Answer
    from cdigen.session.context import Context

OURS = ("cdigen.service", "cdigen.path")
PLACES = ("/usr/bin/systemctl", "/bin/systemctl")

_BOOTED = "/run/systemd/system"  # sd_booted(3)
_ENABLE = f"systemctl enable --now {' '.join(OURS)}"
_PROPERTIES = "Id,LoadState,UnitFileState,ActiveState,Result,ExecMainStatus"
_ENABLED = ("enabled", "enabled-runtime", "linked", "linked-runtime", "static", "indirect", "generated", "alias")


def units_command(context: Context) -> tuple[str, ...] | None:
    """Return the command that tells the states of the units; None where there is none to run.

    Raises:
        HostReadError, LinkError: it could not be seen whether there is.
    """
    system = context.views.system
    if context.runner is None or system.find(_BOOTED) is None:
        return None
    place = next((place for place in PLACES if system.find(place) is not None), None)
    if place is None:
        return None
    return (place, "show", "--no-pager", f"--property={_PROPERTIES}", "--", *OURS, *VENDORS_UNITS)


def check_units(
    context: Context, answer: Answer | None, *, has_ours: bool, has_pod: bool = False
) -> tuple[Diagnosis, ...]:
    """Return a line for each of our units, and for the vendor's where they are enabled.

    Args:
        context: the host.
        answer: of the command of `units_command`; None where it was not run.
        has_ours: whether there is a spec of cdigen's, which the vendor's service would hide.
        has_pod: whether cdigen runs as a pod of Kubernetes here, so that the spec is renewed without units.
    """
    if answer is None:
        if context.runner is None:
            return (diagnosis("systemd", "systemctl", "unknown", "not-run", "not run: the host is not this machine"),)
        return (
            diagnosis(
                "systemd",
                _BOOTED,
                "warning",
                "no-systemd",
                "systemd does not run here, so nothing renews the spec",
                run("cdigen generate", hint="run it at boot and after every driver upgrade"),
            ),
        )
    if answer.failure is not None:
        look = run("systemctl status cdigen.service")
        return (diagnosis("systemd", "systemctl", "unknown", "systemctl-failed", answer.failure, look),)
    units = parse_units(answer.output)
    installed = [name for name in OURS if units.get(name, {}).get("LoadState") == "loaded"]
    found = [_judge_ours(name, units.get(name, {})) for name in (installed if has_pod else OURS)]
    enabled = [name for name in VENDORS_UNITS if units.get(name, {}).get("UnitFileState") in _ENABLED]
    if enabled:
        message = (
            f"enabled: the vendor's service writes {VENDORS_SPEC}, which takes precedence over /etc/cdi/nvidia.yaml"
        )
        level: Level = "warning" if has_ours else "ok"
        remedy = DISABLE_VENDORS if has_ours else NOTHING_TO_DO
        found.append(diagnosis("systemd", enabled[0], level, "vendors-unit-enabled", message, remedy))
    return tuple(found)


def parse_units(text: str) -> dict[str, dict[str, str]]:
    """Return the properties of each unit by its name, as `systemctl show` prints them."""
    units: dict[str, dict[str, str]] = {}
    for block in text.split("\n\n"):
        properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in properties:
            units[properties["Id"]] = properties
    return units


def _judge_ours(name: str, unit: dict[str, str]) -> Diagnosis:
    if unit.get("LoadState") != "loaded":
        return diagnosis(
            "systemd",
            name,
            "warning",
            "unit-not-installed",
            "not installed, so nothing renews the spec",
            run(_ENABLE, hint="install cdigen's units (make install, in its source tree) and enable them"),
        )
    result = unit.get("Result", "success")
    if unit.get("ActiveState") == "failed" or result not in ("", "success"):
        status = unit.get("ExecMainStatus", "")
        exit_code = f", exit code {status}" if status not in ("", "0") else ""
        return diagnosis(
            "systemd",
            name,
            "problem",
            "unit-failed",
            f"failed: {result}{exit_code}",
            run(
                f"journalctl -b -n 20 --no-pager -u {name}",
                f"systemctl start {name}",
                hint="fix what the last line of its journal says, and start it",
            ),
        )
    state = unit.get("UnitFileState") or "in an unknown state"
    if state not in _ENABLED:
        message = f"{state}, so nothing renews the spec"
        return diagnosis("systemd", name, "warning", "unit-not-enabled", message, run(_ENABLE))
    return diagnosis("systemd", name, "ok", "unit-enabled", f"{state}, {unit.get('ActiveState', '')}".rstrip(", "))
