"""Looks for inputs that break a reader, with atheris.

    python -m tests.fuzz [--minutes N] [TARGET...]

The minutes are shared by the targets, all if none is named. Every run starts from the inputs that are kept, and from
nothing else. What it finds goes to `tests/fuzz/cases`, where the everyday tests replay it. Needs the packages of the
group `fuzz`, which `make fuzz` installs. Exit code 1 if anything was found.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.seeds import FOUND, ROOT
from tests.fuzz.targets import TARGETS, find_excess

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

SECONDS_OF_ONE = 10
"""The longest that one input may take. Inputs are small, and the machine may be slow."""

MEGABYTES = 1024
"""The most memory of the process, all of it."""

DICTIONARY = Path(__file__).parent / "dictionary"

LARGEST = 16 << 10
"""The largest input in bytes, of a target whose own are not larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What came of the search for one target: how long and how far it went, and the cases that it found."""

    target: Target
    executions: int
    seconds: float
    coverage: str
    features: str
    cases: tuple[str, ...]


def search(target: Target, seconds: int) -> Search:
    """Let libFuzzer look for inputs; return what came of it."""
    print(f"{target.name}: {seconds} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="cdigen-fuzz-") as directory:
        kept, new, found = (Path(directory) / name for name in ("kept", "new", "found"))
        for place in (kept, new, found):
            place.mkdir()
        largest = LARGEST
        for _, data in target.seeds():
            (kept / hashlib.sha256(data).hexdigest()).write_bytes(data)
            largest = max(largest, len(data))
        options = (
            f"-max_total_time={seconds}",
            f"-timeout={SECONDS_OF_ONE}",
            f"-rss_limit_mb={MEGABYTES}",
            f"-max_len={largest}",
            f"-dict={DICTIONARY}",
            "-print_final_stats=1",
            str(new),
            str(kept),
        )
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.engine", target.name, str(found), *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        seconds_taken = time.monotonic() - start
        cases = [keep(target, path.name.partition("-")[0], path.read_bytes()) for path in sorted(found.iterdir())]
        if done.returncode and not cases:
            raise SystemExit(
                f"{target.name}: the search ended with exit code {done.returncode}:\n{done.stdout[-3000:]}"
            )
        cases += [keep(target, "work", data) for data in too_costly(target, new)]
    executions = [
        int(number) for number in re.findall(r"^(?:#|stat::number_of_executed_units: +)(\d+)", done.stdout, re.M)
    ]
    progress = re.findall(r"cov: (\d+) ft: (\d+)", done.stdout) or [("0", "0")]
    return Search(
        target=target,
        executions=max(executions, default=0),
        seconds=seconds_taken,
        coverage=progress[-1][0],
        features=progress[-1][1],
        cases=tuple(cases),
    )


def too_costly(target: Target, inputs: Path) -> list[bytes]:
    """Return the first of the new inputs that costs more than one of its size may, if any does."""
    for path in sorted(inputs.iterdir(), key=lambda path: path.stat().st_size):
        data = path.read_bytes()
        try:
            if find_excess(target, data):
                return [data]
        except Exception:  # noqa: S112 - which the search itself has kept
            continue
    return []


def keep(target: Target, kind: str, data: bytes) -> str:
    """Write an input to the cases of its target; return where."""
    path = FOUND / target.name / f"{kind}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path.relative_to(ROOT))


def main() -> int:
    """Search as the command line says; print a table."""
    names = {target.name: target for target in TARGETS}
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Look for inputs that break a reader.")
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together (10)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(names)}; all by default")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.targets if name not in names]
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(names)}")
    chosen = [names[name] for name in dict.fromkeys(arguments.targets)] or list(TARGETS)
    each = max(1, round(60 * arguments.minutes / len(chosen)))
    done = [search(target, each) for target in chosen]

    print(f"\n{'target':<18} {'executions':>12} {'seconds':>8} {'coverage':>9} {'features':>9} {'findings':>9}")
    for one in done:
        print(
            f"{one.target.name:<18} {one.executions:>12,} {one.seconds:>8.0f} {one.coverage:>9} {one.features:>9}"
            f" {len(one.cases):>9}"
        )
    cases = [case for one in done for case in one.cases]
    print(f"{'total':<18} {sum(one.executions for one in done):>12,} {sum(one.seconds for one in done):>8.0f}\n")
    for case in cases:
        print(f"found: {case}")
    if cases:
        print("what each of them is: pytest tests/fuzz")
    return 1 if cases else 0


if __name__ == "__main__":
    sys.exit(main())
