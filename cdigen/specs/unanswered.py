"""Keeps a spec that NVML's answer has made from one that is written without, where NVML was asked and did not answer.

An NVML that times out takes no GPU away, but the UUIDs that it alone tells, and the order of MIG devices.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from cdigen.errors import IncompleteError, one_line
from cdigen.wording import first_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdigen.session.planner import Planned

_UUID = re.compile(r"(?:GPU|MIG)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_NAMED = 3


def refuse_to_lose(planned: Planned, output: str, *, root: str | None) -> None:
    """Refuse a plan that names devices less well than the spec that is there, for want of an answer of NVML's.

    Args:
        planned: what is to be written, NVML having been asked in vain.
        output: where; nothing need be there.
        root: see `cdigen.walk.open_place`.

    Raises:
        IncompleteError: UUIDs would be lost, or a position would mean another MIG device than before.
    """
    options = planned.choices.options
    if options.allow_incomplete:
        return
    new = {device.name: {node.host_path for node in device.nodes} for device in planned.plan.devices}
    lost = [
        name
        for name, nodes in _standing_devices(output, root).items()
        if (name not in new and "uuid" in options.strategies and _UUID.fullmatch(name))
        or (":" in name and new.get(name, nodes) != nodes)
    ]
    if lost:
        error = IncompleteError(
            f"NVML did not tell which devices {first_of([one_line(name) for name in lost], _MOST_NAMED)} are, so"
            f" {one_line(output)} would offer less than it does",
            hint="generate again once NVML answers, or write what is known with --allow-incomplete; see what it says",
            commands=("nvidia-smi -L",),
            subject=one_line(output),
            code="nvml-unanswered",
        )
        error.findings = planned.findings
        raise error


def _standing_devices(path: str, root: str | None) -> dict[str, set[str]]:
    """Return the device nodes of each device of the spec at `path`; none if it is no spec."""
    from cdigen.parse.document import MAX_DOCUMENT_BYTES
    from cdigen.specs.files_present import nodes_of
    from cdigen.specs.on_disk import read_file
    from cdigen.write import read_head

    data = read_head(path, MAX_DOCUMENT_BYTES, root=root)
    document = None if data is None else read_file(path, data).document
    devices = cast("list[Mapping[str, object]]", [] if document is None else document["devices"])
    return {str(device["name"]): set(nodes_of(device["containerEdits"])) for device in devices}
