"""The specs of a host's spec directories, read by the rules of the host's own links, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cdigen.cdi.places import find_in_edits
from cdigen.cdi.registry import MAX_FILES, SUFFIXES, SpecFile
from cdigen.cdi.validate import find_violations
from cdigen.doctor.diagnosis import UNREADABLE, Diagnosis, diagnosis, unreadable
from cdigen.errors import ParseError, one_line
from cdigen.parse.document import parse_document
from cdigen.schema import summarise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdigen.doctor.diagnosis import Context

_VENDORS_HOOKS = ("nvidia-cdi-hook", "nvidia-ctk", "nvidia-container-runtime-hook")
_VENDORS_FILE = "/run/cdi/nvidia.yaml"
_NVIDIA = "nvidia.com/"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSpec:
    """A spec for devices of NVIDIA's, valid or not.

    Attributes:
        file: what is in it; its rank is 0.
        directory: as it was named.
        author: "cdigen", "the vendor's generator" or "somebody".
        mode: its permission bits; 0 if a snapshot does not tell.
        hooks: paths of the programs that it lets run in every container's start.
        data: its bytes.
    """

    file: SpecFile
    directory: str
    author: str
    mode: int
    hooks: tuple[str, ...]
    data: bytes

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
    for directory in directories:
        try:
            names = [name for name in system.names(directory) if name.endswith(SUFFIXES)]
            found = system.find(directory)
        except UNREADABLE as error:
            lines.append(unreadable("spec", directory, error))
            continue
        mode = found[1].mode if found else 0
        if mode and mode & 0o555 != 0o555:
            message = f"mode {mode:04o}: rootless engines cannot read it"
            lines.append(diagnosis("spec", directory, "warning", message, f"chmod 0755 {directory}"))
        if len(names) > MAX_FILES:
            message = f"has {len(names)} specs; the first {MAX_FILES} are looked at"
            lines.append(diagnosis("spec", directory, "warning", message, "remove what is not needed"))
        for name in names[:MAX_FILES]:
            try:
                spec = _read(context, directory, name)
            except UNREADABLE as error:
                lines.append(unreadable("spec", f"{directory}/{name}", error))
                continue
            if spec is not None:
                specs.append(spec)
    return tuple(specs), tuple(lines)


def _read(context: Context, directory: str, name: str) -> FoundSpec | None:
    """Return the spec; None if it is another's, or no file. Raises what reading raises, but not for its content."""
    system = context.views.system
    path = f"{directory}/{name}"
    found = system.find(path)
    if found is None or found[1].kind != "file":
        return None
    spec = read_spec(context, path, system.read(path) or b"", found[1].mode)
    is_named_so = spec.author == "cdigen" or name.startswith("nvidia")
    is_nvidias = spec.file.kind is not None and (spec.author == "cdigen" or spec.file.kind.startswith(_NVIDIA))
    return spec if is_nvidias or (spec.file.kind is None and is_named_so) else None


def read_spec(context: Context, path: str, data: bytes, mode: int) -> FoundSpec:
    """Return the spec in a file, whatever is in it, of whatever kind.

    Args:
        context: tells ours by its first bytes.
        path: the file.
        data: its content.
        mode: its permission bits; 0 if they are not known.
    """
    ours = context.is_ours(data)
    document: object = None
    try:
        document = parse_document(data, is_json=path.endswith(".json"))
        violations = find_violations(document)
        problems = (summarise(violations),) if violations else ()
    except ParseError as error:
        problems = (one_line(str(error)),)
    kind = document.get("kind") if isinstance(document, dict) else None
    hooks = tuple(
        dict.fromkeys(value for _, value in find_in_edits(document, ("hooks", "*", "path")) if isinstance(value, str))
    )
    return FoundSpec(
        file=SpecFile(
            path=path,
            rank=0,
            kind=kind if isinstance(kind, str) and (ours or not problems or kind.startswith(_NVIDIA)) else None,
            document=None if problems else cast("Mapping[str, object]", document),
            problems=problems,
        ),
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
    return "the vendor's generator" if is_vendors else "somebody"
