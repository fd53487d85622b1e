"""The devices of a kind that specs on the disk offer, each once however many names it has.

They are what schedulers choose from. A device of a spec is a set of edits with a name, and a GPU has several:
its index, its UUID, maybe `gpu0`. `all` has the
nodes of several others, so whoever were given it would have what others were given too.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple, cast

from cdigen.cdi.registry import Registry
from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES, MAX_FILES, SUFFIXES
from cdigen.cdi.values import find_in_edits
from cdigen.errors import one_line, shell_word
from cdigen.findings import Finding, Remedy
from cdigen.host import UNSEEN
from cdigen.kubernetes.api import MAX_ID
from cdigen.plan.plan import MIG_PROFILE
from cdigen.records import Record
from cdigen.specs.files_present import nodes_of
from cdigen.specs.on_disk import read_file
from cdigen.wording import first_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cdigen.cdi.registry import SpecFile
    from cdigen.facts import PciPlace
    from cdigen.host import View

Document = dict[str, object]

_UUID = re.compile(r"(?:GPU|MIG)-")
_GPU_NODE = re.compile(r"/nvidia([0-9]{1,7})")
_MIG_NODE = re.compile(r"/nvidia-caps/nvidia-cap[0-9]+")
_NAMED_SO = "nvidia"  # what names of files begin with that are looked at though nothing in them can be read
_MOST_NAMED = 3


class OfferedDevice(Record):
    """A device, and what a scheduler wants to know of it.

    Attributes:
        id: its name in the spec, of several the UUID; what the kubelet calls it.
        kind: the kind of its spec, such as "nvidia.com/gpu".
        nodes: the paths on the host of its own device nodes, as the spec has them, by which nodes of the spec.
        is_mig: whether it is a MIG device.
        profile: of a MIG device, its profile; None if the spec does not tell.
        minors: the minors of its GPUs' nodes.
        place: where its GPU is; None if that is not known, or it has several.
        spec: the path of the spec that has it.
    """

    id: str
    kind: str
    nodes: Mapping[str, list[Mapping[str, object]]]
    is_mig: bool
    profile: str | None
    minors: frozenset[int]
    place: PciPlace | None
    spec: str

    @property
    def cdi_name(self) -> str:
        """What engines call it."""
        return f"{self.kind}={self.id}"


class Content(NamedTuple):
    """A file of a spec directory: its path on the host, the position of its directory, and its bytes."""

    path: str
    rank: int
    data: bytes


class Offer(Record):
    """All devices of a kind.

    Attributes:
        devices: in the order of their specs.
        specs: the specs that have them, by path.
        findings: what is offered to nobody, and why.
    """

    devices: tuple[OfferedDevice, ...]
    specs: Mapping[str, Document]
    findings: tuple[Finding, ...]


def read_specs_of(system: View, kind: str) -> tuple[Content, ...]:
    """Return the files in the spec directories of a host that have devices of a kind, or might.

    Args:
        system: the host's own root.
        kind: such as "nvidia.com/gpu".

    Raises:
        HostReadError, LinkError: a directory, or a file with a name of NVIDIA's, cannot be read.
    """
    return tuple(
        content
        for rank, directory in enumerate(DEFAULT_DIRECTORIES)
        for content in _read_directory(system, directory, rank, kind)
    )


def _read_directory(system: View, directory: str, rank: int, kind: str) -> Iterator[Content]:
    for name in [name for name in system.names(directory) if name.endswith(SUFFIXES)][:MAX_FILES]:
        path = f"{directory}/{name}"
        try:
            data = system.read(path)
        except UNSEEN:
            if name.startswith(_NAMED_SO):
                raise
            continue  # an engine passes it over
        # Drivers for DRA write a spec for every claim, and parsing one costs 4 ms.
        if data is not None and (name.startswith(_NAMED_SO) or b"\\" in data or kind.encode() in data):
            yield Content(path, rank, data)


def find_offer(content: Sequence[Content], kind: str, places: Mapping[int, PciPlace]) -> Offer:
    """Return the devices of a kind, as engines resolve their names.

    Args:
        content: of `read_specs_of`.
        kind: such as "nvidia.com/gpu".
        places: where each GPU is, by its minor.
    """
    files = (read_file(one.path, one.data, rank=one.rank) for one in content)
    registry = Registry(DEFAULT_DIRECTORIES, (file for file in files if file.kind == kind or file.document is None))
    findings = [_unusable(file) for file in registry.suspects([f"{kind}="])]
    winners: dict[str, Document] = {}
    names: dict[str, list[str]] = {}
    for name in registry.devices():
        file = registry.winner(name)
        if file is not None:
            winners[file.path] = cast("Document", file.document)
            names.setdefault(file.path, []).append(name.partition("=")[2])
    disputed = [name for name in registry.devices() if registry.disputing(name)]
    if disputed:
        paths = [one_line(file.path) for file in registry.disputing(disputed[0])]
        findings.append(_disputed(disputed, paths))
    devices: list[OfferedDevice] = []
    for path, document in winners.items():
        hooks = [str(value) for _, value in find_in_edits(document, ("hooks", "*", "path"))]
        if hooks:
            findings.append(_has_hooks(path, hooks))
            continue
        devices += _find_devices(document, path, kind, {*names[path]}, places)
    usable = [device for device in devices if len(device.id) <= MAX_ID]
    findings += [_too_long(device) for device in devices if device not in usable]
    return Offer(
        devices=tuple(usable),
        specs={path: winners[path] for path in {device.spec: None for device in usable}},
        findings=tuple(findings),
    )


def _find_devices(
    document: Document, path: str, kind: str, names: set[str], places: Mapping[int, PciPlace]
) -> Iterator[OfferedDevice]:
    """Yield the devices of a spec, of those names that engines take from it."""
    groups: dict[str, list[Document]] = {}
    for device in cast("list[Document]", document["devices"]):
        if device["name"] in names:
            groups.setdefault(json.dumps(device["containerEdits"], sort_keys=True), []).append(device)
    nodes = {key: nodes_of(group[0]["containerEdits"]) for key, group in groups.items()}
    beginning: dict[str, list[str]] = {}  # with a node, by which those that are a part of others are found
    for key, own in nodes.items():
        if own:
            beginning.setdefault(min(own), []).append(key)
    for key, group in groups.items():
        own = nodes[key]
        others = (other for node in own for other in beginning.get(node, ()) if other != key)
        parts = sum(nodes[other].keys() <= own.keys() for other in others)
        if not own or parts > 1:  # `none`, and a name for several together
            continue
        by_name = {str(device["name"]): device for device in group}
        minors = frozenset(int(found[1]) for node in own if (found := _GPU_NODE.fullmatch(node[node.rindex("/") :])))
        yield OfferedDevice(
            id=_choose_name(list(by_name)),
            kind=kind,
            nodes=own,
            is_mig=any(_MIG_NODE.search(node) for node in own),
            profile=next(filter(None, map(_profile, by_name.values())), None),
            minors=minors,
            place=places.get(min(minors)) if len(minors) == 1 else None,
            spec=path,
        )


def _choose_name(names: Sequence[str]) -> str:
    """Return the name that stays the same when devices come and go: the UUID; else the first, but not `all`."""
    rank = {name: (_UUID.match(name) is None, name == "all") for name in names}
    return min(names, key=lambda name: rank[name])


def _profile(device: Document) -> str | None:
    annotations = cast("Mapping[str, str]", device.get("annotations") or {})
    return annotations.get(MIG_PROFILE)


def _unusable(file: SpecFile) -> Finding:
    path = one_line(file.path)
    remedy = Remedy("see all that is wrong with", (f"cdigen validate {shell_word(file.path)}",))
    message = f"{path} is not a valid spec, so engines ignore it: {file.reason or 'it cannot be read'}"
    return Finding(level="warning", code="unusable-spec", subject=path, message=message, remedy=remedy)


def _has_hooks(path: str, hooks: Sequence[str]) -> Finding:
    shown = one_line(path)
    programs = first_of([one_line(hook) for hook in dict.fromkeys(hooks)], _MOST_NAMED)
    message = f"{shown} has hooks, which run at every container's start ({programs}); none of its devices is offered"
    remedy = Remedy("if another spec of this kind is there, remove this one", (f"rm {shell_word(path)}",))
    return Finding(level="warning", code="spec-has-hooks", subject=shown, message=message, remedy=remedy)


def _disputed(names: Sequence[str], paths: Sequence[str]) -> Finding:
    shown = first_of([one_line(name) for name in names], _MOST_NAMED)
    message = f"{shown} in {' and '.join(paths)}, which count the same, so engines take them from none of these"
    remedy = Remedy("keep one of them", (f"rm {shell_word(paths[-1])}",))
    return Finding(level="warning", code="device-twice", subject=paths[0], message=message, remedy=remedy)


def _too_long(device: OfferedDevice) -> Finding:
    name = one_line(device.cdi_name)
    message = f"{name} has a name of more than {MAX_ID} characters, which the kubelet refuses, so it is not offered"
    return Finding(level="warning", code="name-too-long", subject=name, message=message)
