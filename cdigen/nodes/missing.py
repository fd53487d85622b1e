"""What there is to say of device nodes that are still not there, or are not as the driver wants them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cdigen.errors import IncompleteError, NoDriverError
from cdigen.wording import count

if TYPE_CHECKING:
    from cdigen.facts import ExpectedNode
    from cdigen.notes import Notes

USABLE = ("ok", "other mode")
"""The states of a node that is there and has the right numbers."""

MOST_NAMED = 8
"""How many paths there are in one line."""


def note_what_is_lacking(nodes: tuple[ExpectedNode, ...], notes: Notes) -> None:
    """Note why nodes are not there, and which have another mode."""
    not_loaded: dict[str, list[str]] = {}
    unmanaged: dict[str, list[str]] = {}
    for node in nodes:
        if node.state == "module not loaded":
            not_loaded.setdefault(node.module, []).append(node.host_path)
        elif node.state not in USABLE and not node.modify:
            unmanaged.setdefault(node.source, []).append(node.host_path)
        elif node.state == "other mode" and node.found is not None:
            found = node.found
            notes.add(
                "note",
                "node-mode",
                node.host_path,
                f"{node.host_path} has mode {found.mode:04o} and owner {found.uid}:{found.gid} where the driver's"
                f" settings say {node.mode:04o} and {node.uid}:{node.gid}; it is left as it is",
            )
    for module, paths in not_loaded.items():
        notes.add(
            "warning",
            "module-not-loaded",
            module,
            f"the module {module} is not loaded, so {names_of(paths)} cannot be made",
            hint="load it with",
            commands=(f"modprobe {shlex.quote(module)}",),
        )
    for source, paths in unmanaged.items():
        notes.add(
            "warning",
            "nodes-not-managed",
            source,
            f"{names_of(paths)} {'is' if len(paths) == 1 else 'are'} left to the administrator ({source})",
            hint=f"make {'it' if len(paths) == 1 else 'them'}, or set NVreg_ModifyDeviceFiles=1",
        )


def names_of(paths: list[str]) -> str:
    """Return paths as part of one line, with the number of those that it has no room for."""
    more = len(paths) - MOST_NAMED
    return ", ".join(paths[:MOST_NAMED]) + (f" and {count(more, 'other node')}" if more > 0 else "")


def check_required(nodes: tuple[ExpectedNode, ...]) -> None:
    """Check that what containers need is there.

    Raises:
        NoDriverError: nothing is, because no module is loaded.
        IncompleteError: something is not.
    """
    lacking = [node for node in nodes if node.required and node.state not in USABLE]
    if not lacking:
        return
    if all(node.state == "module not loaded" for node in nodes):
        raise NoDriverError(
            "the NVIDIA driver is not loaded: /proc/devices has none of its names",
            hint="load it with",
            commands=("modprobe nvidia",),
            code="driver-not-loaded",
        )
    modules = dict.fromkeys(node.module for node in lacking if node.state == "module not loaded")
    hints = []
    others = [node for node in lacking if node.state != "module not loaded"]
    if any(not node.modify for node in others):
        hints.append("make those that are left to the administrator, or set NVreg_ModifyDeviceFiles=1")
    if any(node.modify for node in others):
        hints.append("name the host's procfs with --procfs")
    if modules:
        hints.append(f"load the module{'' if len(modules) == 1 else 's'} with")
    names = names_of([node.host_path for node in lacking])
    verb, object_ = ("is", "it") if len(lacking) == 1 else ("are", "them")
    raise IncompleteError(
        f"{names} {verb} not there, and containers need {object_}",
        hint=", and ".join(hints),
        commands=tuple(f"modprobe {shlex.quote(module)}" for module in modules),
        subject=lacking[0].host_path,
        code="missing-node",
    )
