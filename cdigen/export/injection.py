"""What devices of a spec put into a container, in the order in which it is done, whatever does it."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, cast

from cdigen.errors import IncompleteError, one_line
from cdigen.findings import Finding
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cdigen.cdi.registry import SourcedEdits
    from cdigen.host.host import Entry

    Item = Mapping[str, object]

_BIND = {"bind", "rbind"}
_REFUSED = {"hooks": "hooks", "netDevices": "network devices", "intelRdt": "classes of cache (intelRdt)"}
"""What no engine can be told by an option that puts files in a container."""


class Bind(Record):
    """A file or directory of the host that is mounted.

    Attributes:
        host_path, container_path: from where, and where.
        is_directory: whether it is one.
        is_read_only: whether the container may not write to it.
    """

    host_path: str
    container_path: str
    is_directory: bool
    is_read_only: bool


class Node(Record):
    """A device node.

    Attributes:
        host_path, container_path: which, and where it is to be.
        kind: "c" or "b".
        major, minor: its numbers on the host.
        permissions: what the container may, of "rwm".
    """

    host_path: str
    container_path: str
    kind: str
    major: int
    minor: int
    permissions: str


class Injection(Record):
    """All of it.

    Attributes:
        binds: parents first.
        nodes: in the order of the specs.
        env: names and values.
        findings: what is left out.
    """

    binds: tuple[Bind, ...]
    nodes: tuple[Node, ...]
    env: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]


def build_injection(edits: Sequence[SourcedEdits], find: Callable[[str], Entry | None]) -> Injection:
    """Return what edits do.

    Args:
        edits: of `Registry.resolve`.
        find: returns what a path of the host leads to.

    Raises:
        IncompleteError: a file or node of the host is not there, or the edits have what no option can do.
    """
    for sourced in edits:
        for key, what in _REFUSED.items():
            if sourced.edits.get(key):
                raise IncompleteError(
                    f"{one_line(sourced.source)} has {what}, which options cannot express",
                    hint="write a spec without them with",
                    commands=("cdigen generate",),
                    code="not-expressible",
                )
    mounts = {str(mount["containerPath"]): mount for mount in _items(edits, "mounts")}
    nodes = {str(node["path"]): node for node in _items(edits, "deviceNodes")}
    env: dict[str, str] = {}
    for sourced in edits:
        for entry in cast("Sequence[str]", sourced.edits.get("env", ())):
            name, _, env[name] = entry.partition("=")
    gids = {gid for sourced in edits for gid in cast("Sequence[int]", sourced.edits.get("additionalGids", ()))}
    return Injection(
        binds=tuple(_bind(mounts[path], find) for path in sorted(mounts, key=_depth)),
        nodes=tuple(_node(node, find) for node in nodes.values()),
        env=tuple(env.items()),
        findings=_groups_left_out(gids),
    )


def _items(edits: Iterable[SourcedEdits], key: str) -> list[Item]:
    return [item for sourced in edits for item in cast("Sequence[Item]", sourced.edits.get(key, ()))]


def _depth(path: str) -> int:
    return posixpath.normpath(path).count("/")


def _bind(mount: Item, find: Callable[[str], Entry | None]) -> Bind:
    host_path, path = str(mount["hostPath"]), str(mount["containerPath"])
    options = set(cast("Sequence[str]", mount.get("options", ())))
    kind = str(mount.get("type", "") or "")
    if kind not in ("", "none", *_BIND):
        raise IncompleteError(
            f"{one_line(path)} is a file system of the type {one_line(kind)}, which options cannot express",
            code="not-expressible",
        )
    entry = find(host_path)
    if entry is None:
        raise _gone(host_path, "file")
    return Bind(
        host_path=host_path, container_path=path, is_directory=entry.kind == "dir", is_read_only="ro" in options
    )


def _node(node: Item, find: Callable[[str], Entry | None]) -> Node:
    path = str(node["path"])
    host_path = str(node.get("hostPath") or path)
    entry = find(host_path)
    if entry is None or entry.kind not in ("char", "block"):
        raise _gone(host_path, "device node")
    return Node(
        host_path=host_path,
        container_path=path,
        kind="c" if entry.kind == "char" else "b",
        major=entry.major,
        minor=entry.minor,
        permissions=str(node.get("permissions") or "rwm"),
    )


def _gone(path: str, what: str) -> IncompleteError:
    return IncompleteError(
        f"{one_line(path)} is no {what} of this host, though the spec names it",
        hint="see whether the spec is still true with",
        commands=("cdigen check",),
        subject=one_line(path),
        code="gone",
    )


def _groups_left_out(gids: set[int]) -> tuple[Finding, ...]:
    if not gids - {0}:
        return ()
    numbers = ", ".join(map(str, sorted(gids - {0})))
    message = f"the additional groups {numbers} are left out: a program that is not root may lack the right to a node"
    return (Finding(level="note", code="groups-left-out", subject="additionalGids", message=message),)
