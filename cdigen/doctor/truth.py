"""Whether a spec is still true of its host: what it mounts is there, and it offers what the host has.

A spec of ours is built anew with the options in its header, and compared entry by entry: discovery has then looked at
every library's SONAME and version, every node and every GPU. Of anybody else's spec, or where the driver is not in
order, it can be told whether the files and the nodes are there, and of which version they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from cdigen.cdi.entries import entries_of
from cdigen.cdi.places import find_in_edits
from cdigen.discover.driver import find_kernel_version, is_version_suffix
from cdigen.discover.notes import Notes
from cdigen.doctor.diagnosis import UNREADABLE, diagnosis, split_remedy
from cdigen.errors import CdigenError, NoDriverError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence, Sized

    from cdigen.doctor.diagnosis import Context, Diagnosis
    from cdigen.doctor.spec_files import FoundSpec

_MAX_NAMED = 3
_LIBCUDA = "libcuda.so."
_DEVICE = "device "  # in the names of entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a spec would be if it were written now.

    Attributes:
        document: the spec.
        left_out: host paths that are not mounted, and why.
        summary: what is in it, in words.
        command: writes it.
        unsure: names of devices that NVML alone can give to the right GPU, where it was not asked: UUIDs that procfs
            does not tell, and positions of MIG devices.
        unproven: names of GPUs that seem whole, and may be divided by MIG into nothing yet, which NVML alone tells.
    """

    document: Mapping[str, object]
    left_out: Mapping[str, str]
    summary: str
    command: str
    unsure: Callable[[str], bool]
    unproven: Callable[[str], bool]


class Rebuild(Protocol):
    """Builds specs anew."""

    def __call__(self, spec: FoundSpec) -> Rebuilt | None:
        """Return what `spec` would be now; None where nobody knows how it was made.

        Raises:
            CdigenError: there would be none.
        """


def check_truth(context: Context, spec: FoundSpec, rebuild: Rebuild) -> tuple[Diagnosis, ...]:
    """Return a line for everything in which a spec is not true of the host, or one that says that it is.

    Args:
        context: the host.
        spec: the spec; of a file that is no valid one, nothing is said.
        rebuild: builds specs of that host anew.
    """
    path = spec.file.path
    if spec.file.document is None:
        return ()
    try:
        rebuilt = rebuild(spec)
    except CdigenError as error:
        message, remedy = split_remedy(str(error))
        later = "cdigen remove, or install the driver again" if isinstance(error, NoDriverError) else "mend that first"
        return (
            diagnosis("spec", path, "problem", message, remedy),
            *(() if context.is_recorded else _find_gone(context, spec, later)),
        )
    if rebuilt is not None:
        found = tuple(_compare(context, spec, rebuilt))
        return found or (diagnosis("spec", path, "ok", f"true of this host: {rebuilt.summary}"),)
    if spec.author == "cdigen":
        return (diagnosis("spec", path, "unknown", "NVML alone tells whether it is true", "add: --nvml always"),)
    if context.is_recorded:
        return (diagnosis("spec", path, "unknown", "a snapshot tells of a spec of cdigen's own alone"),)
    found = (*_check_version(context, spec), *_find_gone(context, spec, "write it anew with what has written it"))
    return found or (diagnosis("spec", path, "ok", "everything that it mounts or makes a node of is there"),)


def _mounts(document: Mapping[str, object]) -> dict[str, set[str]]:
    """Return, by host path, where it is mounted."""
    mounts: dict[str, set[str]] = {}
    for _, mount in find_in_edits(document, ("mounts", "*")):
        mount = cast("Mapping[str, str]", mount)
        mounts.setdefault(mount["hostPath"], set()).add(mount["containerPath"])
    return mounts


def _node_paths(edits: object) -> tuple[str, ...]:
    """Return the paths on the host of the nodes in container edits, sorted."""
    nodes = cast("Mapping[str, list[Mapping[str, str]]]", edits).get("deviceNodes", [])
    return tuple(sorted(node.get("hostPath") or node["path"] for node in nodes))


def _devices(document: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    devices = cast("list[Mapping[str, object]]", document["devices"])
    return {str(device["name"]): _node_paths(device["containerEdits"]) for device in devices}


def _version_of(document: Mapping[str, object]) -> str | None:
    """Return the version of the libcuda that a spec mounts; None if it mounts none."""
    for host_path in _mounts(document):
        name = host_path.rpartition("/")[2]
        if name.startswith(_LIBCUDA) and is_version_suffix(name.removeprefix(_LIBCUDA)):
            return name.removeprefix(_LIBCUDA)
    return None


def _check_version(context: Context, spec: FoundSpec) -> Iterator[Diagnosis]:
    kernel = find_kernel_version(context.views.system, Notes())
    version = _version_of(spec.file.document or {})
    if kernel is not None and version is not None and kernel != version:
        message = f"it is of driver {version}; the kernel module is {kernel}"
        yield diagnosis("spec", spec.file.path, "problem", message, "write it anew with what has written it")


def _find_gone(context: Context, spec: FoundSpec, remedy: str) -> Iterator[Diagnosis]:
    """Yield what is wrong with the files and nodes of a spec by themselves."""
    document = spec.file.document or {}
    system = context.views.system
    mounts = _mounts(document)
    edits = [edits for _, edits in _all_edits(document)]
    nodes = {path for one in edits for path in _node_paths(one)}
    gone: dict[str, list[str]] = {"files": [], "nodes": [], "kinds": [], "unseen": []}
    for path in sorted({*mounts, *nodes}):
        try:
            found = system.find(path)
        except UNREADABLE:
            gone["unseen"].append(path)
            continue
        if found is None:
            gone["nodes" if path in nodes else "files"].append(path)
        elif path in nodes and found[1].kind not in ("char", "block"):
            gone["kinds"].append(path)
    yield from _say_gone(spec, gone, total=len(mounts), remedy=remedy)


def _all_edits(document: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield all container edits of a spec, each with the name of its device; "" for those of all."""
    yield "", document.get("containerEdits", {})
    for device in cast("list[Mapping[str, object]]", document["devices"]):
        yield str(device["name"]), device["containerEdits"]


def _say_gone(spec: FoundSpec, gone: Mapping[str, list[str]], *, total: int, remedy: str) -> Iterator[Diagnosis]:
    path = spec.file.path
    if files := gone["files"]:
        message = f"{len(files)} of the {total} files that it mounts {_are(files)} gone: containers do not start"
        yield diagnosis("spec", path, "problem", f"{message} ({_names(files)})", remedy)
    if nodes := gone["nodes"]:
        message = f"{_names(nodes)} {_are(nodes)} gone: containers that get such a device do not start"
        yield diagnosis("spec", path, "problem", message, remedy)
    if kinds := gone["kinds"]:
        message = f"{_names(kinds)} {_are(kinds)} no device node any more: containers do not start"
        yield diagnosis("spec", path, "problem", message, remedy)
    if unseen := gone.get("unseen"):
        message = f"whether {_names(unseen)} {_are(unseen)} there cannot be seen"
        yield diagnosis("spec", path, "unknown", message, "run it as root")


def _compare(context: Context, spec: FoundSpec, rebuilt: Rebuilt) -> Iterator[Diagnosis]:
    """Yield every difference between a spec and what it would be now, the gravest first."""
    path, document = spec.file.path, spec.file.document or {}
    before, now = _version_of(document), _version_of(rebuilt.document)
    if before is not None and now is not None and before != now:
        message = f"it is of driver {before}; the host's is {now}"
        yield diagnosis("spec", path, "problem", message, rebuilt.command)
    found = (*_compare_mounts(context, spec, rebuilt), *_compare_devices(spec, rebuilt))
    yield from found
    differing = _find_other_entries(document, rebuilt.document)
    if found:  # these are told already
        differing = [(what, name) for what, name in differing if what != "mount" and not what.startswith(_DEVICE)]
    if differing:
        entries = [" ".join(key).rstrip() for key in differing]
        message = f"differs from what would be written now in {_names(entries)} (see: cdigen diff)"
        yield diagnosis("spec", path, "warning", message, rebuilt.command)


def _find_other_entries(document: Mapping[str, object], rebuilt: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the entries that differ, but not those of devices with other nodes, which are judged as a whole."""
    old, new = entries_of(document), entries_of(rebuilt)
    devices = _devices(document).items() & _devices(rebuilt).items()
    same = {name for name, _ in devices}
    differing = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    return [
        (what, name)
        for what, name in differing
        if not what.startswith(_DEVICE) or what.removeprefix(_DEVICE).partition(",")[0] in same
    ]


def _compare_mounts(context: Context, spec: FoundSpec, rebuilt: Rebuilt) -> Iterator[Diagnosis]:
    path = spec.file.path
    old, new = _mounts(spec.file.document or {}), _mounts(rebuilt.document)
    gone: list[str] = []
    unfit: dict[str, list[str]] = {}
    renamed: list[str] = []
    for host_path in sorted(old):
        if host_path in new:
            if old[host_path] != new[host_path]:
                renamed.append(host_path)
        elif _is_there(context, host_path):
            reason = rebuilt.left_out.get(host_path, "this version of cdigen would not mount it")
            unfit.setdefault(reason, []).append(host_path)
        else:
            gone.append(host_path)
    yield from _say_gone(spec, {"files": gone, "nodes": [], "kinds": []}, total=len(old), remedy=rebuilt.command)
    for reason, paths in unfit.items():
        message = f"{_names(paths)} {_are(paths)} mounted and should not be: {reason}"
        yield diagnosis("spec", path, "problem", message, rebuilt.command)
    if renamed:
        message = f"{_names(renamed)} {_are(renamed)} asked for by other names now"
        yield diagnosis("spec", path, "problem", message, rebuilt.command)
    if lacking := sorted(new.keys() - old.keys()):
        message = f"{_names(lacking)} {_are(lacking)} there and not mounted"
        yield diagnosis("spec", path, "warning", message, rebuilt.command)


def _compare_devices(spec: FoundSpec, rebuilt: Rebuilt) -> Iterator[Diagnosis]:
    path, kind = spec.file.path, spec.file.kind
    old, new = _devices(spec.file.document or {}), _devices(rebuilt.document)
    known_before, known_now = set(old.values()), set(new.values())
    gone, other, lacking = [], [], []
    for name, nodes in old.items():
        if rebuilt.unsure(name):
            if nodes not in known_now:
                gone.append(name)
        elif name not in new:
            gone.append(name)
        elif nodes != new[name]:
            other.append(name)
    for name, nodes in new.items():
        if not rebuilt.unproven(name) and (nodes not in known_before if rebuilt.unsure(name) else name not in old):
            lacking.append(name)
    if gone or lacking or any(rebuilt.unproven(name) for name in new.keys() - old.keys()):
        other = [name for name in other if name != "all"]  # which follows from the others
    for level, names, what in (
        ("problem", gone, "offered, and not there any more"),
        ("problem", other, "offered with other nodes than the host has for it"),
        ("warning", lacking, "there, and not offered"),
    ):
        if names:
            message = f"{_names([f'{kind}={name}' for name in names])} {_are(names)} {what}"
            yield diagnosis("spec", path, "problem" if level == "problem" else "warning", message, rebuilt.command)


def _is_there(context: Context, path: str) -> bool:
    try:
        return context.views.system.find(path) is not None
    except UNREADABLE:
        return True


def _are(names: Sized) -> str:
    return "is" if len(names) == 1 else "are"


def _names(names: Sequence[str]) -> str:
    """Return the first names as part of one line, with the number of the others."""
    more = len(names) - _MAX_NAMED
    if more > 0:
        return f"{', '.join(names[:_MAX_NAMED])} and {more} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
