"""Whether the files that a spec mounts, and the nodes that it makes, are there: what can be told of anybody's spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cdigen.cdi.values import find_in_edits
from cdigen.diagnosis import RUN_AS_ROOT, diagnosis
from cdigen.discover.driver import find_kernel_version, is_version_suffix
from cdigen.host import UNREADABLE, LinkError
from cdigen.notes import Notes
from cdigen.wording import first_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence, Sized

    from cdigen.diagnosis import Diagnosis
    from cdigen.findings import Remedy
    from cdigen.host import View
    from cdigen.session.context import Context
    from cdigen.specs.found import FoundSpec

_MAX_NAMED = 3
_LIBCUDA = "libcuda.so."
_BIND = {"bind", "rbind", "none", ""}

_HOSTS_OWN = ("char", "block", "fifo")
_KINDS = {"b": ("block",), "c": ("char",), "u": ("char",), "p": ("fifo",)}
"""What may be on the host for each `type` of a device node; without one, engines take the host's."""

_SAID = {
    "files": "{number} of the {total} files that it mounts {are} gone: containers do not start ({names})",
    "nodes": "{names} {are} gone: containers that get such a device do not start",
    "kinds": "{names} {are} no longer such a device node: containers do not start",
    "numbers": "device numbers of {names} differ from the spec: containers get another device",
    "unseen": "cannot tell whether {names} {are} there",
    "closed": "cannot tell whether {names} {are} still right",
}
_CODES = {
    "files": "file-gone",
    "nodes": "node-gone",
    "kinds": "no-device-node",
    "numbers": "other-device-numbers",
    "unseen": "not-permitted",
    "closed": "not-permitted",
}


def mounts_of(document: Mapping[str, object]) -> dict[str, set[str]]:
    """Return, by host path, where a spec mounts it; not what is a file system of its own, such as a tmpfs."""
    mounts: dict[str, set[str]] = {}
    for _, value in find_in_edits(document, ("mounts", "*")):
        mount = cast("Mapping[str, str]", value)
        if {mount.get("type", ""), *mount.get("options", ())} & _BIND:
            mounts.setdefault(mount["hostPath"], set()).add(mount["containerPath"])
    return mounts


def nodes_of(edits: object) -> dict[str, list[Mapping[str, object]]]:
    """Return, by their paths on the host, the device nodes in container edits."""
    nodes: dict[str, list[Mapping[str, object]]] = {}
    for node in cast("Mapping[str, list[Mapping[str, object]]]", edits).get("deviceNodes", []):
        nodes.setdefault(str(node.get("hostPath") or node["path"]), []).append(node)
    return nodes


def versions_of(document: Mapping[str, object]) -> tuple[str, ...]:
    """Return the versions of the libcudas that a spec mounts; several if it mounts cuda-compat's too."""
    names = [host_path.rpartition("/")[2] for host_path in mounts_of(document)]
    versions = [name.removeprefix(_LIBCUDA) for name in names if name.startswith(_LIBCUDA)]
    return tuple(dict.fromkeys(version for version in versions if is_version_suffix(version)))


def check_version(context: Context, spec: FoundSpec, remedy: Remedy) -> Iterator[Diagnosis]:
    """Yield a problem if a spec is of another driver than the kernel module."""
    kernel = find_kernel_version(context.views.system, Notes())
    versions = versions_of(spec.file.document or {})
    if kernel is not None and versions and kernel not in versions:
        message = f"it is of driver {names_of(versions)}; the kernel module is {kernel}"
        yield diagnosis("spec", spec.file.path, "problem", "other-driver", message, remedy)


def find_gone(context: Context, spec: FoundSpec, remedy: Remedy) -> Iterator[Diagnosis]:
    """Yield what is wrong with the files and nodes of a spec by themselves."""
    document = spec.file.document or {}
    mounts = mounts_of(document)
    nodes: dict[str, list[Mapping[str, object]]] = {}
    for _, edits in find_in_edits(document, ()):
        for path, found in nodes_of(edits).items():
            nodes.setdefault(path, []).extend(found)
    gone: dict[str, list[str]] = {}
    for path in sorted({*mounts, *nodes}):
        wrong = judge_path(context.views.system, path, nodes.get(path, []))
        if wrong is not None:
            gone.setdefault(wrong, []).append(path)
    yield from say_gone(spec, gone, total=len(mounts), remedy=remedy)


def judge_path(system: View, path: str, nodes: Sequence[Mapping[str, object]]) -> str | None:
    """Return what is wrong with a path that is mounted or that these nodes are made of, in a word of `say_gone`."""
    try:
        found = system.find(path)
    except LinkError:
        found = None
    except UNREADABLE:
        return "unseen"
    if found is None:
        if nodes and all(node.get("type") == "p" for node in nodes):  # an engine makes a FIFO itself
            return None
        return "nodes" if nodes else "files"
    entry = found[1]
    if any(entry.kind not in _KINDS.get(str(node.get("type")), _HOSTS_OWN) for node in nodes):
        return "kinds"
    pinned = ((node["major"], node.get("minor", 0)) for node in nodes if node.get("major") and node.get("type") != "p")
    return None if all(numbers == (entry.major, entry.minor) for numbers in pinned) else "numbers"


def say_gone(spec: FoundSpec, gone: Mapping[str, Sequence[str]], *, total: int, remedy: Remedy) -> Iterator[Diagnosis]:
    """Yield a line for each way in which paths are wrong.

    Args:
        spec: the spec.
        gone: the paths by a word: "files" and "nodes" that are not there, "kinds" that are no such nodes, "numbers"
            that are other nodes than its own numbers say, "unseen" and "closed" that cannot be seen or read.
        total: how many files it mounts.
        remedy: what to do.
    """
    for word, text in _SAID.items():
        if paths := gone.get(word):
            message = text.format(names=names_of(paths), are=are_of(paths), number=len(paths), total=total)
            if word in ("unseen", "closed"):
                yield diagnosis("spec", spec.file.path, "unknown", _CODES[word], message, RUN_AS_ROOT)
            else:
                yield diagnosis("spec", spec.file.path, "problem", _CODES[word], message, remedy)


def are_of(names: Sized) -> str:
    """Return the verb that goes with names."""
    return "is" if len(names) == 1 else "are"


def names_of(names: Sequence[str]) -> str:
    """Return the first names as part of one line, with the number of the others."""
    if len(names) > _MAX_NAMED:
        return first_of(names, _MAX_NAMED)
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
