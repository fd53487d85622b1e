"""The driver's own manifest, `/usr/share/nvidia/files.d/sandboxutils-filelist.json`, of newer drivers.

No definition is published. What is read here is what readers of such files (series 595 to 615) describe:
an array of objects with `name`, `type`, `category` (an array) and sometimes `optional`. Others are ignored.
"""

from __future__ import annotations

from cdigen.errors import ParseError
from cdigen.parse.text import decode_json
from cdigen.records import Record


class FilelistEntry(Record):
    """One file of the driver.

    Attributes:
        name: the file's name, sometimes behind a directory (`firmware/...`); never climbs out of one.
        type: `LIB`, `BINARY`, `JSON/ICD`, `FIRMWARE`, `SYMLINK`, ...
        optional: whether a driver works without it.
    """

    name: str
    type: str
    optional: bool


def parse_filelist(data: bytes) -> tuple[FilelistEntry, ...]:
    """Read the manifest.

    Args:
        data: the whole file.

    Returns:
        The entries in the file's order. A name can appear more than once.

    Raises:
        ParseError: the file is not such a document; the message names the entry.
    """
    document = decode_json(data)
    if not isinstance(document, list):
        raise ParseError("not a JSON array")
    return tuple(_entry(item, f"[{index}]") for index, item in enumerate(document))


def _entry(item: object, place: str) -> FilelistEntry:
    if not isinstance(item, dict):
        raise ParseError(f"{place} is not an object")
    name = _string(item.get("name"), f"{place}.name")
    if name.startswith("/") or ".." in name.split("/"):
        raise ParseError(f"{place}.name is not below a directory: {name[:120]!r}")
    optional = item.get("optional", False)
    if not isinstance(optional, bool):
        raise ParseError(f"{place}.optional is not a truth value")
    return FilelistEntry(
        name=name,
        type=_string(item.get("type"), f"{place}.type"),
        optional=optional,
    )


def _string(value: object, place: str) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ParseError(f"{place} is not a printable string")
    return value
