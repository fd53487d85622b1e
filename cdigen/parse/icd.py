"""Which libraries a loader's configuration names: OpenCL's .icd texts, and the JSON of EGL, Vulkan and glvnd.

Sources: cl_khr_icd in the OpenCL extension specification (a text file with one library name or path);
LoaderInterfaceArchitecture.md and LoaderLayerInterface.md of the Vulkan loader and glvnd's EGL vendor library
interface (`ICD.library_path`, `layer.library_path`, `layers[].library_path`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import ParseError
from cdigen.parse.text import decode_json, decode_text

if TYPE_CHECKING:
    from collections.abc import Iterator


def parse_icd_text(data: bytes) -> tuple[str, ...]:
    """Read an OpenCL .icd file.

    Args:
        data: the whole file: one line, a library's name or path.

    Returns:
        That name, alone.

    Raises:
        ParseError: there is no name, more than one, or one that is not printable UTF-8.
    """
    lines = [line for line in decode_text(data).splitlines() if line.strip()]
    if len(lines) != 1:
        raise ParseError(f"{len(lines)} lines, expected one library name")
    return (_library(lines[0].strip()),)


def parse_icd_json(data: bytes) -> tuple[str, ...]:
    """Read an EGL, Vulkan or glvnd JSON file, an ICD's or a layer's.

    Args:
        data: the whole file.

    Returns:
        The names or paths in `library_path` of the ICD and of the layers, each once, in the file's order. A
        layer that only stands for others (`component_layers`) has none.

    Raises:
        ParseError: the file is not such a JSON document.
    """
    document = decode_json(data)
    if not isinstance(document, dict):
        raise ParseError("not a JSON object")
    return tuple(dict.fromkeys(_library_paths(document)))


def _library_paths(document: dict[object, object]) -> Iterator[str]:
    parts: list[tuple[str, object]] = [(name, document[name]) for name in ("ICD", "layer") if name in document]
    layers = document.get("layers", [])
    if not isinstance(layers, list):
        raise ParseError("layers is not a list")
    parts += [(f"layers[{index}]", layer) for index, layer in enumerate(layers)]
    if not parts:
        raise ParseError("neither ICD nor layer nor layers")
    for place, part in parts:
        if not isinstance(part, dict):
            raise ParseError(f"{place} is not an object")
        path = part.get("library_path")
        if path is not None:
            if not isinstance(path, str):
                raise ParseError(f"{place}.library_path is not a string")
            yield _library(path)


def _library(name: str) -> str:
    if not name or not name.isprintable():
        raise ParseError(f"not a library name: {name[:120]!r}")
    return name
