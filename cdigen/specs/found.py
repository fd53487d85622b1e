"""The specs of a host's spec directories, read by the rules of the host's own links, and whose they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdigen.cdi.spec_dirs import MAX_FILES, SUFFIXES
from cdigen.cdi.values import find_in_edits
from cdigen.diagnosis import Diagnosis, diagnosis, run, unreadable
from cdigen.errors import shell_word
from cdigen.findings import Remedy
from cdigen.host import UNREADABLE, LinkError
from cdigen.records import Record
from cdigen.specs.header import is_ours
from cdigen.specs.on_disk import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.cdi.registry import SpecFile
    from cdigen.session.context import Context

_VENDORS_HOOKS = ("nvidia-cdi-hook", "nvidia-ctk", "nvidia-container-runtime-hook")
_VENDORS_FILE = "/run/cdi/nvidia.yaml"
VENDORS_GENERATOR = "the vendor's generator"
_NVIDIA = "nvidia.com/"
_NAMED_SO = "nvidia"  # what names of files begin with that are NVIDIA's though nothing in them can be read

_NVIDIAS_KIND = re.compile(rb"nvidia(?<![A-Za-z0-9_.-]nvidia)\.com/")
"""What is in every file that has such a kind. It begins with plain letters, which is how re is fast at it."""

MAX_SPECS = 256
"""The most specs for NVIDIA's devices that are looked at."""

MAX_BYTES = 4 << 20
"""The most bytes of them: about three seconds. A spec of 2048 IMEX channels has a tenth of it."""

TOO_MANY = "too-many-specs"
"""The code of what is said where not all were looked at."""

_REMOVE_SOME = Remedy("remove the specs that are not needed")


class FoundSpec(Record):
    """A spec for devices of NVIDIA's, valid or not.

    Attributes:
        file: what is in it; its rank is 0.
        directory: as it was named.
        author: "cdigen", "the vendor's generator" or "" if that is not known.
        mode: its permission bits; 0 if a snapshot does not tell.
        hooks: paths of the programs that it lets run in every container's start.
        data: its bytes.
        is_used: whether an engine takes a device from it, or could: not one whose every device another file has, that
            counts more.
        hides_ours: whether an engine takes a device from it that a spec of cdigen's has too, which counts less.
    """

    file: SpecFile
    directory: str
    author: str
    mode: int
    hooks: tuple[str, ...]
    data: bytes
    is_used: bool = True
    hides_ours: bool = False

    @property
    def version(self) -> str:
        """The cdiVersion that it declares."""
        return str((self.file.document or {}).get("cdiVersion", ""))


def find_specs(context: Context, directories: tuple[str, ...]) -> tuple[tuple[FoundSpec, ...], tuple[Diagnosis, ...]]:
    """Return the specs for devices of NVIDIA's, by directory and name, and lines for what cannot be read.

    Args:
        context: the host.
        directories: paths on the host.
    """
    system = context.views.system
    specs: list[FoundSpec] = []
    lines: list[Diagnosis] = []
    total = 0
    for directory in directories:
        try:
            found = system.find(directory)
            if found is not None and found[1].kind != "dir":
                message = "is not a directory: engines find nothing"
                remedy = run(f"rm {shell_word(directory)}", "cdigen generate")
                lines.append(diagnosis("spec", directory, "problem", "not-a-directory", message, remedy))
                continue
            if found is not None:
                lines += judge_mode(directory, found[1].mode, 0o755)
            names = [name for name in system.names(directory) if name.endswith(SUFFIXES)]
            names.sort(key=lambda name: not name.startswith(_NAMED_SO))  # first those that matter, if there are many
        except LinkError as error:
            lines.append(_circular(directory, error))
            continue
        except UNREADABLE as error:
            lines.append(unreadable("spec", directory, error))
            continue
        if len(names) > MAX_FILES:
            message = f"has {len(names)} specs; the first {MAX_FILES} are looked at"
            lines.append(diagnosis("spec", directory, "warning", TOO_MANY, message, _REMOVE_SOME))
        for name in names[:MAX_FILES]:
            path = f"{directory}/{name}"
            data = mode = None
            try:
                found = system.find(path)
                if found is not None and found[1].kind == "file":
                    mode = found[1].mode
                    data = system.read(path)
            except LinkError as error:  # engines pass it over
                lines += [_circular(path, error)] if name.startswith(_NAMED_SO) else []
            except UNREADABLE as error:
                lines.append(unreadable("spec", path, error))
                if mode is not None and name.startswith(_NAMED_SO):
                    lines += judge_mode(path, mode, 0o644)
            if data is None or mode is None or not _may_be_nvidias(name, data):
                continue
            total += len(data)
            if len(specs) == MAX_SPECS or total > MAX_BYTES:
                message = (
                    f"more than {MAX_SPECS} specs for NVIDIA's devices, or {MAX_BYTES >> 20} MiB of them; this one and"
                    " what follows are not looked at"
                )
                lines.append(diagnosis("spec", path, "warning", TOO_MANY, message, _REMOVE_SOME))
                return tuple(specs), tuple(lines)
            spec = _select(read_spec(path, data, mode), name)
            if spec is not None:
                specs.append(spec)
    return tuple(specs), tuple(lines)


def _circular(path: str, error: LinkError) -> Diagnosis:
    message = f"{error.reason}: engines find nothing there"
    return diagnosis("spec", path, "problem", error.code, message, error.remedy)


def judge_mode(path: str, mode: int, wanted: int) -> Iterator[Diagnosis]:
    """Yield a warning if permission bits keep some from reading, who may with the `wanted` ones; 0 is not known."""
    readable = wanted & 0o555
    if mode and mode & readable != readable:
        message = f"mode {mode:04o}: rootless engines cannot read it"
        remedy = run(f"chmod {wanted:04o} {shell_word(path)}")
        yield diagnosis("spec", path, "warning", "not-readable-by-all", message, remedy)


def _may_be_nvidias(name: str, data: bytes) -> bool:
    """Tell whether a file is worth parsing: it may have a kind of NVIDIA's, or an escape that may be a part of it.

    Drivers for DRA write a spec for every claim, of other kinds, and parsing one costs 4 ms.
    """
    return name.startswith(_NAMED_SO) or is_ours(data) or b"\\" in data or _NVIDIAS_KIND.search(data) is not None


def _select(spec: FoundSpec, name: str) -> FoundSpec | None:
    """Return the spec; None if it is another's."""
    is_named_so = spec.author == "cdigen" or name.startswith(_NAMED_SO)
    is_nvidias = spec.file.kind is not None and (spec.author == "cdigen" or spec.file.kind.startswith(_NVIDIA))
    return spec if is_nvidias or (spec.file.kind is None and is_named_so) else None


def read_spec(path: str, data: bytes, mode: int) -> FoundSpec:
    """Return the spec in a file, whatever is in it, of whatever kind.

    Args:
        path: the file.
        data: its content.
        mode: its permission bits; 0 if they are not known.
    """
    file, ours = read_file(path, data), is_ours(data)
    hooks = tuple(
        dict.fromkeys(
            value for _, value in find_in_edits(file.declared, ("hooks", "*", "path")) if isinstance(value, str)
        )
    )
    return FoundSpec(
        file=file,
        directory=path.rpartition("/")[0],
        author=_author(path, ours, hooks),
        mode=mode,
        hooks=hooks,
        data=data,
    )


def _author(path: str, ours: bool, hooks: tuple[str, ...]) -> str:
    if ours:
        return "cdigen"
    is_vendors = path.endswith(_VENDORS_FILE) or any(hook.rpartition("/")[2] in _VENDORS_HOOKS for hook in hooks)
    return VENDORS_GENERATOR if is_vendors else ""
