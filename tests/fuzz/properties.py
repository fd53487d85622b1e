"""What must hold of whatever is said, and a place for inputs that have to be files."""

from __future__ import annotations

import os
import tempfile
from functools import cache

SEPARATOR = b"\n\0\n"
"""Between the parts of an input that stands for several files."""


def check_line(*texts: str) -> None:
    """Assert that texts can be shown on a terminal, each as one line."""
    for text in texts:
        assert text.isprintable(), f"not printable: {text!a}"


@cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="cdigen-fuzz-")


def temporary_directory() -> str:
    """Return a directory that is there until this process ends."""
    return _directory().name


def write_temporary(name: str, data: bytes) -> str:
    """Return the path of a file with `data`, which is there until the next one of this name."""
    path = os.path.join(temporary_directory(), name)
    with open(path, "wb") as file:
        file.write(data)
    return path
