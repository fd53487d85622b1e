"""Measures cdigen on the real driver and reports; nothing passes or fails here.

    python -m tests.bench [--runs N]

Every time is the median wall time of a whole process, told as a ratio to `python -c pass` of the same
interpreter. The programs that are compared take turns, so that a change of the machine's speed meets all of
them alike.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.real.cache import cache_dir
from tests.real.hardware import Gpu, add_hardware, add_mig
from tests.real.make_driver import HostTree, make_host

if TYPE_CHECKING:
    from collections.abc import Callable

EXPECTED = {"first generate": 15.0, "generate, unchanged": 9.0, "--help": 4.0}
"""Ratios to the bare interpreter that are meant not to be passed."""

EXPECTED_OF_VENDORS = {"first generate": 1.6, "generate, unchanged": 1.0, "list": 0.8, "check": 1.5, "--help": 0.35}
"""Ratios to the vendor's generator that are meant not to be passed."""

EXPECTED_MEGABYTES = 22
"""Of an unchanged run."""

BARE, VENDORS = "python -c pass", "nvidia-ctk cdi generate"

LIBRARIES = {
    "--help": ("click",),
    "list": ("click", "elftools.elf.structs"),
    "generate, unchanged": ("click", "elftools.elf.structs", "yaml"),
    "first generate": ("click", "elftools.elf.structs", "yaml", "jsonschema"),
}
"""What cannot be had without importing these: the floor of what cdigen can take."""

FIXTURE = Path(__file__).parents[1] / "fixtures/elf/x86_64/libplain.so.1"
FIXTURE_SONAME = b"libplain.so.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A program to be timed: its name, its command, and what is done before each run of it."""

    name: str
    command: list[str]
    before: Callable[[], object] = lambda: None


def environment() -> dict[str, str]:
    """Return the environment without what changes an interpreter's start, such as PYTHONDONTWRITEBYTECODE."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CDIGEN", "COVERAGE"))}


# A process begins with the peak memory of the one that it was forked from, so a small one in between starts it.
PEAK_OF_CHILD = """
import os, sys
child = os.fork()
if child == 0:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execv(sys.argv[1], sys.argv[1:])
print(os.wait4(child, 0)[2].ru_maxrss)
"""


def seconds_of(command: list[str]) -> float:
    """Run `command` and return its wall time in seconds."""
    start = time.perf_counter()
    done = subprocess.run(
        command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), text=True
    )
    elapsed = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}: {done.stderr}")
    return elapsed


def peak_of(command: list[str]) -> int:
    """Run `command` and return its peak memory in kilobytes."""
    launcher = [sys.executable, "-I", "-S", "-c", PEAK_OF_CHILD, *command]
    done = subprocess.run(
        launcher, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), text=True
    )
    return int(done.stdout)


def medians(candidates: list[Candidate], runs: int) -> dict[str, tuple[float, int]]:
    """Return for each candidate the median time in seconds over `runs`, and its peak memory in kilobytes."""
    times: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    peaks: dict[str, int] = {}
    for candidate in candidates:  # fills the caches too
        candidate.before()
        peaks[candidate.name] = peak_of(candidate.command)
    for _ in range(runs):
        for candidate in candidates:
            candidate.before()
            times[candidate.name].append(seconds_of(candidate.command))
    return {name: (statistics.median(values), peaks[name]) for name, values in times.items()}


def cdigen(*arguments: str) -> list[str]:
    """Return the command that runs the installed program."""
    return [str(Path(sys.executable).parent / "cdigen"), *arguments]


def vendors_candidate(tree: HostTree, scratch: Path) -> list[Candidate]:
    """Return the vendor's generator, if it is on PATH and makes a spec of this host; it needs an NVML that answers."""
    program = shutil.which("nvidia-ctk")
    if program is None:
        return []
    root = str(tree.root)
    command = [program, "cdi", "generate", "--driver-root", root, "--dev-root", root, "--output", f"{scratch}/v.yaml"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment())
    if done.returncode:
        print(f"{VENDORS} makes no spec here, so it has no row: {done.stderr.strip()[-200:]}\n")
        return []
    return [Candidate(name=VENDORS, command=command)]


def report_main(tree: HostTree, runs: int, scratch: Path) -> None:
    """Print the figures for the real driver with eight GPUs."""
    output = scratch / "nvidia.yaml"
    host = ("--host-root", str(tree.root))
    generate = cdigen("generate", *host, "--output", str(output))
    results = medians(
        [
            Candidate(name=BARE, command=[sys.executable, "-c", "pass"]),
            Candidate(name="first generate", command=generate, before=lambda: output.unlink(missing_ok=True)),
            Candidate(name="generate, unchanged", command=generate),
            Candidate(name="list", command=cdigen("list", *host)),
            Candidate(name="check", command=cdigen("check", *host, "--spec", str(output))),
            Candidate(name="--help", command=cdigen("--help")),
            *(
                Candidate(name=f"{name}: libraries", command=[sys.executable, "-c", f"import {', '.join(libraries)}"])
                for name, libraries in LIBRARIES.items()
            ),
            *vendors_candidate(tree, scratch),
        ],
        runs,
    )
    base, vendors = results[BARE][0], results.get(VENDORS, (0.0, 0))[0]
    print(f"driver {tree.version}, 8 GPUs, median of {runs}; `libraries` is importing what it needs, and no more:\n")
    print("| whole process | ms | ratio | of it libraries | expected | to the vendor's | expected | peak MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, (seconds, kilobytes) in results.items():
        if name.endswith(": libraries"):
            continue
        floor = results.get(f"{name}: libraries", (0.0, 0))[0]
        cells = [
            name,
            f"{seconds * 1000:.1f}",
            f"{seconds / base:.1f}",
            f"{floor / base:.1f}" if floor else "",
            f"{EXPECTED[name]:g}" if name in EXPECTED else "",
            f"{seconds / vendors:.2f}" if vendors else "",
            f"{EXPECTED_OF_VENDORS[name]:g}" if name in EXPECTED_OF_VENDORS else "",
            f"{kilobytes / 1024:.1f}",
        ]
        print(f"| {' | '.join(cells)} |")
    print(f"\nexpected peak memory of an unchanged run: at most {EXPECTED_MEGABYTES} MB\n")


def report_imports(tree: HostTree, scratch: Path) -> None:
    """Print where the time of a first generate goes: by package imported, and the work itself."""
    output = scratch / "imports.yaml"
    program, *arguments = cdigen("generate", "--host-root", str(tree.root), "--output", str(output))
    done = subprocess.run(
        [sys.executable, "-X", "importtime", program, *arguments],
        capture_output=True,
        check=True,
        text=True,
        env=environment(),
    )
    own: dict[str, int] = {}
    total = 0
    for microseconds, module in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", done.stderr, re.MULTILINE):
        top = module.partition(".")[0]
        known = top in ("cdigen", "click", "yaml", "_yaml", "jsonschema", "referencing", "rpds", "attr", "elftools")
        own[top if known else "standard library"] = own.get(top if known else "standard library", 0) + int(microseconds)
        total += int(microseconds)
    print("time to import in one first generate (-X importtime, itself slower), by package, ms:\n")
    for name, microseconds_of in sorted(own.items(), key=lambda item: -item[1]):
        print(f"  {name:<18} {microseconds_of / 1000:6.1f}")
    print(f"  {'all':<18} {total / 1000:6.1f}\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large a made-up host is.

    Attributes:
        gpus: how many.
        libraries: how many of the driver, the real ones without which there is no spec among them.
        instances: MIG devices of each GPU.
        channels: IMEX channels.
        foreign: libraries of other programs in the same directory.
        options: of `cdigen generate`.
    """

    gpus: int = 8
    libraries: int = 50
    instances: int = 0
    channels: int = 0
    foreign: int = 0
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the tables call it, unlike all others."""
        parts = [f"{self.gpus} GPU{'s' * (self.gpus != 1)}"]
        if self.instances:
            parts.append(f"{self.instances} MIG device{'s' * (self.instances != 1)} each")
        if self.channels:
            parts.append(f"{self.channels:,} IMEX channel{'s' * (self.channels != 1)}")
        parts.append(f"{self.libraries:,} libraries")
        if self.foreign:
            parts.append(f"{self.foreign:,} foreign ones")
        return ", ".join(parts + [f"`{option}`" for option in self.options])


SHAPES = (
    *(Shape(gpus=gpus, libraries=libraries) for gpus, libraries in ((1, 50), (8, 50), (64, 50), (1, 500), (8, 500))),
    Shape(gpus=16, instances=1, options=("--nvml=never",)),
    Shape(gpus=16, instances=7, options=("--nvml=never",)),
    *(Shape(channels=channels, options=("--mode=imex",)) for channels in (1, 256, 2048)),
    *(Shape(foreign=foreign) for foreign in (1000, 10000)),
    *(Shape(libraries=libraries) for libraries in (1000, 10000)),
)
"""The hosts of `report_scale`: one thing grows at a time, so that what is not linear shows."""

_COMPULSORY = ("libcuda", "libnvidia-ml", "libnvidia-ptxjitcompiler")  # of 535


def make_scaled_tree(parent: Path, tree: HostTree, shape: Shape) -> Path:
    """Make a host of that shape around the real libraries that no spec can do without; returns its root."""
    root = parent / f"root-{SHAPES.index(shape)}"
    directory = root / "usr/lib64"
    directory.mkdir(parents=True)
    for name in _COMPULSORY:
        shutil.copy(next(tree.root.glob(f"usr/lib/**/{name}.so.{tree.version}")), directory)
    data = FIXTURE.read_bytes()
    for number in range(shape.libraries - len(_COMPULSORY)):
        soname = b"lib%05d.so.1" % number
        (directory / f"libnvidia-p{number:05d}.so.{tree.version}").write_bytes(data.replace(FIXTURE_SONAME, soname))
    for number in range(shape.foreign):
        (directory / f"libforeign{number:05d}.so.1.2.3").touch()
        (directory / f"libforeign{number:05d}.so.1").symlink_to(f"libforeign{number:05d}.so.1.2.3")
    add_hardware(
        root,
        tree.version,
        tuple(
            Gpu(
                bdf=f"0000:{number:02x}:00.0",
                minor=number,
                drm=number,
                uuid=f"GPU-00000000-0000-4000-8000-0000000000{number:02x}",
            )
            for number in range(shape.gpus)
        ),
    )
    if shape.instances:
        places = tuple((7 + instance, 0) for instance in range(shape.instances))  # 7 to 13, as of 1g.5gb
        add_mig(root, dict.fromkeys(range(shape.gpus), places))
    if shape.channels:
        add_imex_channels(root, shape.channels)
    return root


def add_imex_channels(root: Path, channels: int) -> None:
    """Add what /dev and /proc of a host have of IMEX channels to `root`."""
    major = 507  # dynamic
    devices = root / "proc/devices"
    block = "\nBlock devices:\n"
    devices.write_text(devices.read_text().replace(block, f"{major} nvidia-caps-imex-channels\n{block}"))
    directory = root / "dev/nvidia-caps-imex-channels"
    directory.mkdir()
    for number in range(channels):
        os.mknod(directory / f"channel{number}", stat.S_IFCHR | 0o600, os.makedev(major, number))


def report_scale(tree: HostTree, runs: int, scratch: Path) -> None:
    """Print how a first generate grows with what a host has."""
    bare = "bare"
    candidates = [Candidate(name=bare, command=[sys.executable, "-c", "pass"])]
    outputs: dict[str, Path] = {}
    for shape in SHAPES:
        root = make_scaled_tree(scratch, tree, shape)
        output = outputs[shape.name] = scratch / f"{root.name}.yaml"
        candidates.append(
            Candidate(
                name=shape.name,
                command=cdigen("generate", "--host-root", str(root), "--output", str(output), *shape.options),
                before=lambda output=output: output.unlink(missing_ok=True),  # type: ignore[misc]  # bound now
            )
        )
    results = medians(candidates, runs)
    base, _ = results[bare]
    print(f"growth of a first generate, median of {runs}:\n")
    print("| host | ms | ratio | peak MB | spec kB |")
    print("| --- | --- | --- | --- | --- |")
    for shape in SHAPES:
        seconds, kilobytes = results[shape.name]
        size = outputs[shape.name].stat().st_size / 1000
        print(f"| {shape.name} | {seconds * 1000:.0f} | {seconds / base:.1f} | {kilobytes / 1024:.1f} | {size:.1f} |")


def main() -> None:
    """Run all measurements and print them as Markdown."""
    parser = argparse.ArgumentParser(description="Measure cdigen on the real driver.")
    parser.add_argument("--runs", type=int, default=15, help="runs per program; the median counts (default: 15)")
    runs = max(10, parser.parse_args().runs)
    tree = make_host("debian", cache_dir())
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        report_main(tree, runs, scratch)
        report_imports(tree, scratch)
        report_scale(tree, runs, scratch)


if __name__ == "__main__":
    main()
