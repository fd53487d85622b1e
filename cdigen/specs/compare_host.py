"""Whether a spec is still true of its host: what it mounts is there, and it offers what the host has.

A spec of ours is built anew with the options in its header, and compared entry by entry: discovery has then looked at
every library's SONAME and version, every node and every GPU. Of anybody else's spec, or where the driver is not in
order, it can be told whether the files and the nodes are there, and of which version they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from cdigen.cdi.entries import entries_of, find_differing
from cdigen.diagnosis import diagnosis, pass_on, run
from cdigen.discover.pci import GPU_LOST
from cdigen.errors import CdigenError, FileError, NoDriverError, ParseError
from cdigen.findings import Remedy
from cdigen.host import UNREADABLE, HostReadError
from cdigen.plan.lacking import LACKING_LIBRARY
from cdigen.records import Record
from cdigen.specs.files_present import (
    are_of,
    check_version,
    find_gone,
    mounts_of,
    names_of,
    nodes_of,
    say_gone,
    versions_of,
)
from cdigen.specs.renewal import how_to_renew

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cdigen.cdi.entries import EntryKey
    from cdigen.diagnosis import Diagnosis, Level
    from cdigen.errors import FailedRead
    from cdigen.findings import Finding
    from cdigen.session.context import Context
    from cdigen.specs.found import FoundSpec

_CREATE_NODES = run(
    "cdigen nodes --create", hint="create what is gone; where it is gone for good, regenerate the spec instead"
)


class Rebuilt(Record):
    """What a spec would be if it were written now.

    Attributes:
        document: the spec.
        left_out: host paths that are not mounted, and why.
        summary: what is in it, in words.
        command: writes it.
        is_wide: whether it has all GPUs, and maybe under other names, since NVML alone tells which of them the spec is
            to offer, and was not asked: of UUIDs, of MIG devices, of what is coherent.
        unsure: names of devices that NVML alone can give to the right GPU, where it was not asked: UUIDs that procfs
            does not tell, and positions of MIG devices.
        unproven: names of GPUs that seem whole, and may be divided by MIG into nothing yet, which NVML alone tells.
        findings: what the scan and the plan have to say.
        failed_reads: what could not be read; the document is without it.
    """

    document: Mapping[str, object]
    left_out: Mapping[str, str]
    summary: str
    command: str
    is_wide: bool
    unsure: Callable[[str], bool]
    unproven: Callable[[str], bool]
    findings: tuple[Finding, ...]
    failed_reads: tuple[FailedRead, ...]


class Rebuild(Protocol):
    """Builds specs anew."""

    def __call__(self, spec: FoundSpec) -> Rebuilt | None:
        """Return what `spec` would be now; None where it is not known how it was made.

        Raises:
            CdigenError: there would be none.
        """


def check_truth(context: Context, spec: FoundSpec, rebuild: Rebuild) -> tuple[Diagnosis, ...]:
    """Return a line for everything in which a spec is not true of the host, or one that says that it is.

    Args:
        context: the host.
        spec: the spec; of one that is not valid, or that no engine uses, nothing is said.
        rebuild: builds specs of that host anew.
    """
    path = spec.file.path
    if spec.file.document is None or not spec.is_used:
        return ()
    try:
        rebuilt = rebuild(spec)
    except CdigenError as error:
        if isinstance(error, NoDriverError):
            later = run("cdigen remove", hint="if the driver is gone for good, remove what cdigen wrote")
        else:
            later = Remedy("correct first what keeps the spec from being regenerated")
        return (
            pass_on("spec", path, "unknown" if isinstance(error, FileError) else "problem", error),
            *(() if context.is_recorded else find_gone(context, spec, later)),
        )
    if rebuilt is not None:
        found = (*_compare(context, spec, rebuilt), *_pass_on_remarks(spec, rebuilt))
        return found or (diagnosis("spec", path, "ok", "true", f"true of this host: {rebuilt.summary}"),)
    if context.is_recorded:
        return (
            diagnosis(
                "spec", path, "unknown", "not-recorded", "only specs that cdigen wrote can be compared with a snapshot"
            ),
        )
    renew = how_to_renew(spec)
    found = (*check_version(context, spec, renew), *find_gone(context, spec, renew))
    return found or (
        diagnosis("spec", path, "ok", "nothing-gone", "all files and device nodes that it names are there"),
    )


def _pass_on_remarks(spec: FoundSpec, rebuilt: Rebuilt) -> Iterator[Diagnosis]:
    """Yield what keeps a spec from being all that it should be, though it is what would be written now."""
    path = spec.file.path
    for finding in rebuilt.findings:
        if finding.code == GPU_LOST:
            yield pass_on("spec", path, "problem", finding)
        elif finding.code == LACKING_LIBRARY:
            yield pass_on("spec", path, "warning", finding)
    mounted = mounts_of(spec.file.document or {})
    for read in rebuilt.failed_reads:
        if read.host_path not in mounted:  # of these it was said
            message = f"cannot read {read.host_path}: {read.reason}; what is there may belong in the spec"
            yield diagnosis("spec", path, "unknown", "unreadable", message, read.remedy)


def _devices(document: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    devices = cast("list[Mapping[str, object]]", document["devices"])
    return {str(device["name"]): tuple(sorted(nodes_of(device["containerEdits"]))) for device in devices}


def _compare(context: Context, spec: FoundSpec, rebuilt: Rebuilt) -> Iterator[Diagnosis]:
    """Yield every difference between a spec and what it would be now, the gravest first."""
    path, document = spec.file.path, spec.file.document or {}
    regenerate = run(rebuilt.command)
    before, now = versions_of(document), versions_of(rebuilt.document)
    if before and now and before != now:
        message = f"it is of driver {names_of(before)}; the host's is {names_of(now)}"
        yield diagnosis("spec", path, "problem", "other-driver", message, regenerate)
    kept = nodes_of(rebuilt.document.get("containerEdits", {}))
    common = nodes_of(document.get("containerEdits", {}))
    nodes = [path for path in sorted(common) if path not in kept and not _is_there(context, path)]
    lost = tuple(say_gone(spec, {"nodes": nodes}, total=0, remedy=_CREATE_NODES))
    found = (*_compare_mounts(context, spec, rebuilt), *lost, *_compare_devices(spec, rebuilt))
    yield from found
    differing = _find_other_entries(document, rebuilt.document)
    told = {str(node["path"]) for path in nodes for node in common[path]}
    differing = [key for key in differing if key.device is not None or key.what != "node" or key.name not in told]
    if len(found) > len(lost):  # these are told already
        differing = [key for key in differing if key.device is None and key.what != "mount"]
    if differing:
        message = (
            f"differs from what would be written now in {names_of([key.text for key in differing])} (see: cdigen diff)"
        )
        yield diagnosis("spec", path, "warning", "differs", message, regenerate)


def _find_other_entries(document: Mapping[str, object], rebuilt: Mapping[str, object]) -> list[EntryKey]:
    """Return the entries that differ, but not those of devices with other nodes, which are judged as a whole."""
    old, new = entries_of(document), entries_of(rebuilt)
    devices = _devices(document).items() & _devices(rebuilt).items()
    same = {name for name, _ in devices}
    return [key for key in find_differing(old, new) if key.device is None or key.device in same]


def _compare_mounts(context: Context, spec: FoundSpec, rebuilt: Rebuilt) -> Iterator[Diagnosis]:
    path = spec.file.path
    regenerate = run(rebuilt.command)
    old, new = mounts_of(spec.file.document or {}), mounts_of(rebuilt.document)
    gone: list[str] = []
    closed: list[str] = []
    unfit: dict[str, list[str]] = {}
    renamed: list[str] = []
    for host_path in sorted(old):
        if host_path in new:
            if old[host_path] != new[host_path]:
                renamed.append(host_path)
        elif _is_there(context, host_path):
            if host_path in rebuilt.left_out and _is_denied(context, host_path):  # engines of others may read it
                closed.append(host_path)
            else:
                reason = rebuilt.left_out.get(host_path, "this version of cdigen would not mount it")
                unfit.setdefault(reason, []).append(host_path)
        else:
            gone.append(host_path)
    yield from say_gone(spec, {"files": gone}, total=len(old), remedy=regenerate)
    if closed:
        yield from say_gone(spec, {"closed": closed}, total=len(old), remedy=regenerate)
    for reason, paths in unfit.items():
        message = f"{names_of(paths)} {are_of(paths)} mounted but should not be: {reason}"
        yield diagnosis("spec", path, "problem", "unfit-mount", message, regenerate)
    if renamed:
        message = f"{names_of(renamed)} {are_of(renamed)} to be mounted under other names now"
        yield diagnosis("spec", path, "problem", "other-names", message, regenerate)
    if lacking := sorted(new.keys() - old.keys()):
        message = f"{names_of(lacking)} {are_of(lacking)} there but not mounted"
        yield diagnosis("spec", path, "warning", "not-mounted", message, regenerate)


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
    if rebuilt.is_wide:
        lacking.clear()
    if rebuilt.is_wide or gone or lacking or any(rebuilt.unproven(name) for name in new.keys() - old.keys()):
        other = [name for name in other if name != "all"]  # which follows from the others
    said: tuple[tuple[Level, str, list[str], str], ...] = (
        ("problem", "device-gone", gone, "offered but no longer there"),
        ("problem", "device-changed", other, "offered with device nodes that differ from the host's"),
        ("warning", "device-not-offered", lacking, "there but not offered"),
    )
    for level, code, names, what in said:
        if names:
            message = f"{names_of([f'{kind}={name}' for name in names])} {are_of(names)} {what}"
            yield diagnosis("spec", path, level, code, message, run(rebuilt.command))


def _is_there(context: Context, path: str) -> bool:
    try:
        return context.views.system.find(path) is not None
    except UNREADABLE:
        return True


def _is_denied(context: Context, path: str) -> bool:
    """Tell whether this user may not read a file that was looked at for what ELF says of it."""
    try:
        context.views.system.host.elf(path)
    except HostReadError as error:
        return error.is_denied
    except ParseError:
        pass
    return False
