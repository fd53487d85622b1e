"""The inputs that a fuzzer starts from and every run of the tests replays.

What the golden hosts and other tests' fixtures have is taken from there. The rest is in `corpus/`, a directory for each
target; inputs that broke something, or would have, are in `cases/`, likewise. Nothing of NVIDIA's is in any of them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cdigen.parse.document import parse_document
from tests.cdi.engine_documents import CASES

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CORPUS = HERE / "corpus"
FOUND = HERE / "cases"

_LARGEST = 4 << 10  # of a file that is taken from elsewhere: a fuzzer changes one byte among them at a time
_EVERY = 12  # of the documents of the engines' tests


def files_of(directory: Path, target: str) -> list[Path]:
    """Return a target's files in `CORPUS` or `FOUND`, by name."""
    return sorted(path for path in (directory / target).glob("*") if path.is_file())


def elves() -> Iterator[bytes]:
    """Return the libraries that other tests have, good and damaged."""
    for path in sorted((ROOT / "tests/fixtures/elf").glob("*/*")):
        yield path.read_bytes()


def snapshots() -> Iterator[bytes]:
    """Return the smaller golden hosts."""
    for path in sorted((ROOT / "golden").glob("*/snapshot.yaml")):
        if path.stat().st_size <= _LARGEST:
            yield path.read_bytes()


def specs() -> Iterator[bytes]:
    """Return the smaller specs of golden hosts."""
    for path in sorted((ROOT / "golden").glob("*/nvidia.yaml")):
        if path.stat().st_size <= _LARGEST:
            yield path.read_bytes()


def engine_documents() -> Iterator[bytes]:
    """Return some of the documents on which engines were tried."""
    for case in CASES[::_EVERY]:
        yield case.text.replace("KIND", "example.com/fuzz").encode()


def texts(pattern: str) -> Iterator[bytes]:
    """Return what the files of golden hosts say whose whole path is as `pattern`, each text once."""
    for path, text in _golden_texts():
        if re.fullmatch(pattern, path):
            yield text.encode()


@cache
def _golden_texts() -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for file in sorted((ROOT / "golden").glob("*/snapshot.yaml")):
        document = cast("dict[str, dict[str, dict[str, object]]]", parse_document(file.read_bytes()))
        for path, entry in document["entries"].items():
            if "text" in entry:
                found.setdefault(str(entry["text"]), path)
    return tuple((path, text) for text, path in found.items())
