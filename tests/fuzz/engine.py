"""Lets atheris write inputs for one target, until its time is over. In a process of its own, which libFuzzer ends.

    python -m tests.fuzz.engine TARGET FOUND [OPTION OF LIBFUZZER]...

An input with which the target raises what it must not raise goes to the directory FOUND, once for each place in the
code, and the search goes on. What takes too long or too much memory ends it, and libFuzzer puts that into FOUND.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cdigen"]):
    from tests.fuzz.seeds import ROOT
    from tests.fuzz.targets import TARGETS, judge


def main() -> None:
    """Search; does not return."""
    name, found, *options = sys.argv[1:]
    target = next(target for target in TARGETS if target.name == name)
    with atheris.instrument_imports(include=["cdigen"]):
        for _, data in target.seeds():  # whose judging imports what is imported late
            with suppress(Exception):  # a case that is not mended yet is found again
                judge(target, data)
    places: set[tuple[str, str, int | None]] = set()

    def one(data: bytes) -> None:
        try:
            judge(target, data)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if frame.filename.startswith((f"{ROOT}/cdigen/", f"{ROOT}/tests/"))]
            place = (type(error).__name__, own[-1].filename, own[-1].lineno)
            if place not in places:
                places.add(place)
                (Path(found) / f"error-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)

    atheris.Setup([sys.argv[0], f"-artifact_prefix={found}/", *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
