"""Whether each device that is offered can be given to a container now, and why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.discover.driver import find_kernel_version, has_module
from cdigen.discover.platform import find_platform
from cdigen.errors import one_line
from cdigen.notes import Notes
from cdigen.parse.procfs import PROC_GPUS
from cdigen.specs.files_present import judge_path, mounts_of, names_of, nodes_of, versions_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cdigen.facts import PciPlace
    from cdigen.host.views import Views
    from cdigen.kubernetes.devices import Document, OfferedDevice

_WRONG = {"nodes": "gone", "kinds": "no longer a device node", "numbers": "of another device than the spec says"}
"""What is said of a node, by what `judge_path` says of it; what cannot be seen is not held against a device."""


def find_unhealthy(
    views: Views,
    devices: Sequence[OfferedDevice],
    specs: Mapping[str, Document],
    places: Mapping[int, PciPlace],
    *,
    with_files: bool,
) -> dict[str, str]:
    """Return why devices cannot be given to a container, a clause for each, by ID; those that can are not there.

    Args:
        views: the host as it is now.
        devices: those that are offered.
        specs: the specs that have them, by path.
        places: the GPUs that the driver lists, by minor.
        with_files: whether the files that they mount are looked at, which takes a view of the whole host.
    """
    lists_gpus = views.system.find(PROC_GPUS) is not None  # it is masked in some containers
    common = {path: _judge_spec(views, document, with_files=with_files) for path, document in specs.items()}
    wrong: dict[str, str] = {}
    for device in devices:
        reason = common[device.spec] or _judge_nodes(views, device.nodes)
        if not reason and lists_gpus and device.minors - places.keys():
            reason = "the driver does not list its GPU any more"
        if reason:
            wrong[device.id] = reason
    return wrong


def _judge_spec(views: Views, document: Document, *, with_files: bool) -> str:
    """Return why no device of a spec can be given to a container; "" if they can."""
    kernel = find_kernel_version(views.system, Notes())
    versions = versions_of(document)
    if kernel is not None and versions and kernel not in versions:
        return f"the spec is of driver {names_of(versions)}, and the kernel module is {kernel}"
    if kernel is None and versions and not has_module(views.system) and find_platform(views) == "pci":
        return "the kernel module nvidia is not loaded"
    reason = _judge_nodes(views, nodes_of(document.get("containerEdits", {})))
    if reason or not with_files:
        return reason
    gone = [path for path in sorted(mounts_of(document)) if judge_path(views.system, path, ()) == "files"]
    return f"{names_of([one_line(path) for path in gone])} of the host gone" if gone else ""


def _judge_nodes(views: Views, nodes: Mapping[str, Sequence[Mapping[str, object]]]) -> str:
    for path, made in nodes.items():
        wrong = _WRONG.get(judge_path(views.system, path, made) or "")
        if wrong:
            return f"{one_line(path)} is {wrong}"
    return ""
