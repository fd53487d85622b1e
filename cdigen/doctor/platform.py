"""The devices of platforms that have no NVIDIA GPU on a bus, no kernel module nvidia for it and no nodes of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.wsl import DEVICE
from cdigen.diagnosis import Diagnosis, diagnosis, run
from cdigen.discover.devices import find_node
from cdigen.discover.platform import find_platform
from cdigen.errors import CdigenError, one_line, shell_word
from cdigen.findings import Remedy
from cdigen.host import UNREADABLE
from cdigen.wording import count

if TYPE_CHECKING:
    from cdigen.session.context import Context

_READ_AND_WRITE = 0o006


def is_on_pci(context: Context) -> bool:
    """Tell whether the host's GPUs should be on a bus, with a kernel module and nodes of their own."""
    try:
        return find_platform(context.views) == "pci"
    except UNREADABLE:  # the scan meets it too
        return True


def check_platform(context: Context) -> tuple[Diagnosis, ...]:
    """Return the line about the devices of WSL2 or of a Jetson, if there is something to say of them."""
    try:
        return _check_wsl(context) if find_platform(context.views) == "wsl" else _check_tegra(context)
    except UNREADABLE:  # the scan meets it too
        return ()


def _check_wsl(context: Context) -> tuple[Diagnosis, ...]:
    dev = context.views.dev
    node = find_node(dev, DEVICE, "")
    shown = one_line(dev.host_path(DEVICE))
    if node is not None and node.mode & _READ_AND_WRITE != _READ_AND_WRITE:
        message = f"mode {node.mode:04o}: not open to all users"
        return (diagnosis("nodes", shown, "warning", "node-not-open", message, run(f"chmod 0666 {shell_word(shown)}")),)
    return (diagnosis("nodes", shown, "ok", "nodes-right", "the one device of all GPUs of WSL2, open to all users"),)


def _check_tegra(context: Context) -> tuple[Diagnosis, ...]:
    try:
        nodes = context.session.inventory(context.ask_nvml).shared_nodes
    except CdigenError:  # which the check of the driver says
        return ()
    closed = [node for node in nodes if node.mode & _READ_AND_WRITE != _READ_AND_WRITE]
    if not closed:
        message = f"{count(len(nodes), 'device node')} of a Jetson, open to all users"
        return (diagnosis("nodes", "/dev", "ok", "nodes-right", message),)
    message = f"{count(len(nodes), 'device node')} of a Jetson; {len(closed)} are open to root and their group alone"
    remedy = Remedy(
        "as Jetson Linux has them; a container whose program gives up root needs the groups: from the spec (cdigen"
        " generate --additional-gids always), or from the engine (--group-add video)"
    )
    return (diagnosis("nodes", "/dev", "ok", "nodes-right", message, remedy),)
