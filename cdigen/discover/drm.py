"""The DRM nodes of a GPU, by sysfs: the numbers of cards move, and other vendors' GPUs have some too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdigen.discover.devices import find_node
from cdigen.host import UNSEEN

if TYPE_CHECKING:
    from cdigen.facts import DeviceNode
    from cdigen.host.views import Views
    from cdigen.notes import Notes

_BY_PATH_DIRECTORY = "/dev/dri/by-path"

_DRM_NODE = re.compile(r"(card|renderD)[0-9]{1,6}")
_BY_PATH = re.compile(r"[A-Za-z0-9_.:-]+-(card|render)")


def find_by_path_names(views: Views, notes: Notes) -> dict[str, list[str]]:
    """Return the names in /dev/dri/by-path by the resolved path of the node that they lead to."""
    found: dict[str, list[str]] = {}
    try:
        for name in views.dev.names(_BY_PATH_DIRECTORY):
            resolved = views.dev.resolve(f"{_BY_PATH_DIRECTORY}/{name}") if _BY_PATH.fullmatch(name) else None
            if resolved is not None:
                found.setdefault(resolved, []).append(name)
    except UNSEEN as error:
        notes.damaged(views.dev.host_path(_BY_PATH_DIRECTORY), error, "by-path names are not injected")
    return found


def find_drm_nodes(views: Views, bdf: str, by_path: dict[str, list[str]], notes: Notes) -> tuple[DeviceNode, ...]:
    """Return card and render node of the GPU, then their by-path names. Stale controlD* nodes are not looked at.

    Args:
        views: the host.
        bdf: the GPU's PCI address.
        by_path: see `find_by_path_names`.
        notes: gets what is missing.
    """
    directory = f"/sys/bus/pci/devices/{bdf}/drm"
    nodes: list[DeviceNode] = []
    aliases: list[DeviceNode] = []
    try:
        for name in filter(_DRM_NODE.fullmatch, views.system.names(directory)):
            path = f"/dev/dri/{name}"
            node = find_node(views.dev, path, f"DRM node of GPU {bdf}")
            if node is None:
                notes.add(
                    "warning",
                    "missing-node",
                    views.dev.host_path(path),
                    f"{views.dev.host_path(path)} of GPU {bdf} is missing; graphics programs will not find it",
                    hint="let udev create it",
                    commands=("udevadm trigger --subsystem-match=drm",),
                )
                continue
            nodes.append(node)
            for alias in by_path.get(views.dev.resolve(path) or "", ()):
                named = find_node(
                    views.dev, f"{_BY_PATH_DIRECTORY}/{alias}", f"DRM node of GPU {bdf} by its PCI address"
                )
                if named is not None:
                    aliases.append(named)
    except UNSEEN as error:
        notes.damaged(directory, error, f"GPU {bdf} is offered without DRM nodes")
    return (*nodes, *aliases)
