"""What a Jetson's own lists say of the driver's files: `type, path`, a line each, without comments.

Format: NVIDIA/nvidia-container-toolkit, internal/platform-support/tegra/csv. A line is split at its first comma and
both halves are trimmed. A path may have the wildcards of a shell, and slashes that are doubled.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from cdigen.errors import ParseError
from cdigen.parse.limits import decode_document, quote
from cdigen.records import Record

CsvKind = Literal["dev", "dir", "lib", "sym"]

_KINDS = get_args(CsvKind)
_MAX_BYTES = 1 << 20
_MAX_PATH = 4095
_NOT_FOR_FILES = ("proc", "sys")


class CsvLine(Record):
    """A line that can be used.

    Attributes:
        kind: a device node, a directory, a file, or a symbolic link.
        path: absolute, without empty parts, `.` and `..`; may have wildcards.
    """

    kind: CsvKind
    path: str


class CsvFile(Record):
    """A list.

    Attributes:
        lines: those that can be used, in order, each once.
        problems: of each other line that is not blank, its number from 1 and why it cannot be used.
    """

    lines: tuple[CsvLine, ...]
    problems: tuple[tuple[int, str], ...]


def parse_jetson_csv(data: bytes) -> CsvFile:
    """Read a list.

    Raises:
        ParseError: too large, not UTF-8, or nothing in it.
    """
    if len(data) > _MAX_BYTES:
        raise ParseError(f"larger than {_MAX_BYTES >> 20} MiB, which no such list is")
    lines: dict[CsvLine, None] = {}
    problems = []
    for number, text in enumerate(decode_document(data).split("\n"), 1):
        if not text.strip():
            continue
        line = _parse_line(text)
        if isinstance(line, str):
            problems.append((number, line))
        else:
            lines.setdefault(line)
    if not lines and not problems:
        raise ParseError("it is empty")
    return CsvFile(lines=tuple(lines), problems=tuple(problems))


def _parse_line(text: str) -> CsvLine | str:
    """Return what a line says, or why it cannot be used."""
    kind, comma, path = (part.strip() for part in text.partition(","))
    if not comma or kind not in _KINDS:
        return f"{quote(text.strip())} does not begin with {', '.join(_KINDS[:-1])} or {_KINDS[-1]} and a comma"
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not path.startswith("/") or not parts or ".." in parts:
        return f"{quote(path)} is not an absolute path without '..'"
    if not path.isprintable() or len(path.encode()) > _MAX_PATH:
        return f"{quote(path)} is no path that a spec can hold"
    if (parts[0] == "dev") != (kind == "dev") and not (parts[0] == "dev" and kind == "dir"):
        return f"{quote(path)} is not below /dev" if kind == "dev" else f"{quote(path)} is below /dev"
    if parts[0] in _NOT_FOR_FILES:
        return f"{quote(path)} is of the kernel, not of the driver"
    return CsvLine(kind=cast("CsvKind", kind), path="/" + "/".join(parts))
