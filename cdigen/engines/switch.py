"""Switches CDI on in an engine's configuration, and leaves everything else that stands there as it is.

Formats: dockerd(8), daemon.json; containerd, docs/cri/config.md of 1.7 and 2.0.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any, cast

from cdigen.engines.config import CRI_TABLES, decode_toml, get_in
from cdigen.errors import ParseError
from cdigen.parse.text import decode_json, decode_text

_HEADER = re.compile(
    r"""([ \t]*) \[ [ \t]* plugins [ \t]*\.[ \t]* (?:"([^"]*)"|'([^']*)'|([\w-]+)) [ \t]* \] [ \t]* (?:\#.*)?""",
    re.VERBOSE,
)
_KEY = re.compile(r"([ \t]*enable_cdi[ \t]*=[ \t]*)(?:true|false)\b")


def switch_on(engine: str, data: bytes) -> bytes:
    """Return the configuration with CDI switched on.

    Args:
        engine: "docker" or "containerd".
        data: its file; b"" if there is none.

    Raises:
        ParseError: it is damaged, or written in a way in which one line cannot be put right without the others.
    """
    return (_docker if engine == "docker" else _containerd)(data)


def _docker(data: bytes) -> bytes:
    document = decode_json(data) if data.strip() else {}
    features = document.setdefault("features", {}) if isinstance(document, dict) else None
    if not isinstance(features, dict):
        raise ParseError("it, or its features, is not a JSON object")
    features["cdi"] = True
    indent = re.search(rb"^[ \t]+", data, re.MULTILINE)
    text = json.dumps(document, indent=indent[0].decode() if indent else 2, ensure_ascii=False)
    return f"{text}\n".encode()


def _containerd(data: bytes) -> bytes:
    text = decode_text(data) if data.strip() else "version = 2\n"
    document = cast("dict[str, Any]", decode_toml(text.encode()))  # of TOML every document is a table
    table = _find_table(document)
    wanted = copy.deepcopy(document)
    place: Any = wanted
    for key in table:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise ParseError(f"{key} is not a table")
    place["enable_cdi"] = True
    lines = text.splitlines(keepends=True)
    _put(lines, table[1])
    changed = "".join(lines).encode()
    if _parse(changed) != wanted:  # a table in a line, dotted keys, a header in a string
        raise ParseError(f"the table {table[1]} is not written below a header of its own")
    return changed


def _find_table(document: object) -> tuple[str, str]:
    """Return the CRI plugin's table: the one that says something of CDI, else that of the file's version."""
    for table in CRI_TABLES.values():
        if get_in(document, (*table, "enable_cdi")) is not None:
            return table
    version = get_in(document, ("version",))
    # A file without a version is of version 1.
    return CRI_TABLES.get(version, CRI_TABLES[1]) if isinstance(version, int) else CRI_TABLES[1]


def _put(lines: list[str], name: str) -> None:
    """Put the key into its table among the lines of a file."""
    for number, line in enumerate(lines):
        header = _HEADER.fullmatch(line.rstrip("\r\n"))
        if header is None or name not in header.groups()[1:]:
            continue
        for below in range(number + 1, len(lines)):
            if lines[below].lstrip().startswith("["):
                break
            key = _KEY.match(lines[below])
            if key is not None:
                lines[below] = f"{key[1]}true{lines[below][key.end() :]}"
                return
        if not line.endswith("\n"):
            lines[number] += "\n"
        lines.insert(number + 1, f"{header[1]}  enable_cdi = true\n")
        return
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    quoted = f'"{name}"' if "." in name else name
    lines += ["\n", f"[plugins.{quoted}]\n", "  enable_cdi = true\n"]


def _parse(data: bytes) -> object:
    try:
        return decode_toml(data)
    except ParseError:
        return None
