"""The host's platform: whether cdigen knows its driver, else no other check is right; and the device of WSL2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.wsl import DEVICE
from cdigen.diagnosis import Diagnosis, diagnosis, pass_on, run
from cdigen.discover.devices import find_node
from cdigen.discover.platform import check_platform, find_platform
from cdigen.errors import UnsupportedPlatformError, one_line, shell_word
from cdigen.host import UNREADABLE

if TYPE_CHECKING:
    from cdigen.session.context import Context


def find_unsupported(context: Context) -> Diagnosis | None:
    """Return a problem if the host is of a kind that is not supported, which is all that there is to say of it."""
    try:
        check_platform(context.views)
    except UnsupportedPlatformError as error:
        return pass_on("platform", error.subject, "problem", error)
    except UNREADABLE:  # the scan meets it too
        return None
    return None


def check_wsl(context: Context) -> tuple[Diagnosis, ...] | None:
    """Return the line about the one device of WSL2; None if the host is none, which has a bus, a module and nodes."""
    views = context.views
    try:
        if find_platform(views).kind != "wsl":
            return None
        node = find_node(views.dev, DEVICE, "")
    except UNREADABLE:  # the scan meets it too
        return None
    shown = one_line(views.dev.host_path(DEVICE))
    if node is not None and node.mode & 0o006 != 0o006:
        message = f"mode {node.mode:04o}: not open to all users"
        return (diagnosis("nodes", shown, "warning", "node-not-open", message, run(f"chmod 0666 {shell_word(shown)}")),)
    return (diagnosis("nodes", shown, "ok", "nodes-right", "the one device of all GPUs of WSL2, open to all users"),)
