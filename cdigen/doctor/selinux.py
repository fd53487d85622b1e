"""Whether SELinux lets containers use device nodes.

Source: Linux, security/selinux/selinuxfs.c; the booleans are container-selinux's (container.te). A boolean's file has
its value and the one that is pending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.diagnosis import NOT_RECORDED, Diagnosis, diagnosis, run, unread
from cdigen.host import UNREADABLE

if TYPE_CHECKING:
    from cdigen.host import View
    from cdigen.session.context import Context

SELINUX = "/sys/fs/selinux"

_BOOLEANS = ("container_use_devices", "container_use_xserver_devices")


def check_selinux(context: Context) -> tuple[Diagnosis, ...]:
    """Return a line for the mode and the booleans."""
    try:
        return _check(context)
    except UNREADABLE as error:
        return (unread("selinux", error),)


def _check(context: Context) -> tuple[Diagnosis, ...]:
    system = context.views.system
    if system.find(SELINUX) is None:
        if context.is_recorded:
            return (diagnosis("selinux", SELINUX, "unknown", "not-recorded", NOT_RECORDED),)
        return (diagnosis("selinux", SELINUX, "ok", "selinux-off", "SELinux is not on"),)
    enforcing = _read(system, f"{SELINUX}/enforce")
    if enforcing == "0":
        return (diagnosis("selinux", SELINUX, "ok", "selinux-permissive", "permissive: it denies nothing"),)
    if enforcing != "1":
        message = "on; its mode cannot be read"
        return (
            diagnosis("selinux", SELINUX, "unknown", "selinux-mode-unknown", message, run(f"cat {SELINUX}/enforce")),
        )
    values = {name: _read(system, f"{SELINUX}/booleans/{name}").split() for name in _BOOLEANS}
    on = [name for name, value in values.items() if value[:1] == ["1"]]
    if on:
        message = f"enforcing, with {' and '.join(on)} on"
        return (diagnosis("selinux", SELINUX, "ok", "selinux-allows-devices", message),)
    if not any(values.values()):
        return (
            diagnosis(
                "selinux",
                SELINUX,
                "unknown",
                "selinux-boolean-unknown",
                "enforcing; the policy has no container_use_devices, or it cannot be read",
                run("getsebool container_use_devices", hint="if it is not known, install container-selinux"),
            ),
        )
    return (
        diagnosis(
            "selinux",
            SELINUX,
            "warning",
            "selinux-denies-devices",
            "enforcing, with container_use_devices off: containers may be denied the device nodes",
            run(
                "setsebool -P container_use_devices on",
                hint="allow them, or start single containers with --security-opt label=disable",
            ),
        ),
    )


def _read(system: View, path: str) -> str:
    """Return a text of the kernel's without blanks around it; "" if it is not there."""
    return (system.read(path) or b"").decode(errors="replace").strip()
