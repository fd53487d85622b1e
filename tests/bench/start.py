"""Measures what a spec adds to the start of a container, and reports; nothing passes or fails here.

    python -m tests.bench.start [--runs N]

Every time is the wall time of a whole `runc run` or `crun run` of /bin/true, from a bundle that the others
share but for the edits of its spec. All take turns, so that a change of the machine's speed meets all alike,
and the median counts; where other programs keep the machine busy, the processor time that was added tells more.
There are two kinds of root:

`standing` is a directory that has been started in before, so that the places to mount on are there.
`new` is an overlay on the image with an empty upper directory for every start, as engines make it; there the
runtime has to create a file for every mount. Making and removing the overlay is not timed, and its upper
directory is in memory: ext4 gives the inodes of deleted files out again only minutes later and looks at each
of them until then, so that on a disk this measurement would grow by what it has itself deleted.

Everything runs in one mount namespace, whose making is not timed either; crun would not start on a machine
with "hybrid" cgroups without it (`tests.real.engines`). Before it is timed, each container is run once to
see whether a program in it can load libcuda.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml

from tests.bench.bundle import Config, inject, make_config, write_bundle
from tests.real.cache import cache_dir
from tests.real.make_driver import HostTree, make_host
from tests.real.make_images import make_image
from tests.real.process import CommandError, UnavailableError, command_environment, require_root, run
from tests.real.program import as_driver_root, run_cdigen

if TYPE_CHECKING:
    from collections.abc import Iterator

Runtime = Literal["crun", "runc"]
RootKind = Literal["standing", "new"]

Cell = tuple[RootKind, Runtime, str]
"""A kind of root, a runtime, the name of a candidate."""

RUNTIMES: tuple[Runtime, ...] = ("crun", "runc")
ROOT_KINDS: tuple[RootKind, ...] = ("standing", "new")

EXPECTED: dict[Runtime, float] = {"crun": (8 + 4) / 8, "runc": (19 + 12) / 19}
"""Ratios to a start without injection that `all` is meant not to pass in a standing root: at most 4 ms more
than crun's 8, and 12 more than runc's 19."""

BARE = "no injection"
OURS = "cdigen, `all`"
CAPABILITIES = ("compute,utility", "compute")
VENDOR = "vendor's generator, `all`"
VENDOR_PROGRAMS = ("nvidia-ctk", "nvidia-cdi-hook")

FEWEST_RUNS = 30

_CONTAINER_SECONDS = 60
_INSIDE = "--in-namespace"
_IN_NAMESPACE = """\
set -eu
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A container to be timed: what its spec is called, its configuration, and the bare one."""

    name: str
    config: Config
    bare: Config

    def added(self) -> tuple[int, int, int]:
        """Return how many mounts, device nodes and hooks the spec added."""
        mounts = len(self.config["mounts"]) - len(self.bare["mounts"])
        nodes = len(self.config["linux"].get("devices", [])) - len(self.bare["linux"].get("devices", []))
        return mounts, nodes, sum(len(hooks) for hooks in self.config.get("hooks", {}).values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one start took, in milliseconds: on the clock, and of processors by the runtime and the container."""

    wall: float
    processor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a candidate is started.

    Attributes:
        name: the candidate's, for messages.
        bundle: has the configuration.
        root: the container's root.
        image: what an overlay is put on for each start; None for a root that stays.
        layers: where that overlay keeps what is written; empty between starts.
    """

    name: str
    bundle: Path
    root: Path
    image: Path | None
    layers: Path

    def prepare(self) -> None:
        """Make the root what it has to be before a start."""
        if self.image is not None:
            upper, work = self.layers / "upper", self.layers / "work"
            upper.mkdir()
            work.mkdir()
            options = f"lowerdir={self.image},upperdir={upper},workdir={work}"
            run(["mount", "-t", "overlay", "-o", options, "overlay", str(self.root)])

    def clean(self) -> None:
        """Undo `prepare`."""
        if self.image is not None:
            run(["umount", str(self.root)])
            for layer in self.layers.iterdir():
                shutil.rmtree(layer)


class Starter:
    """Starts containers, each with a name of its own, and keeps the runtimes' state in a directory."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._numbers = itertools.count()

    def run(self, runtime: Runtime, place: Place) -> tuple[Cost, subprocess.CompletedProcess[str]]:
        """Run a container to its end; return its cost, and its status and output."""
        name = f"cdigen-bench-{os.getpid()}-{next(self._numbers)}"
        command = [runtime, f"--root={self._state / runtime}", "run", f"--bundle={place.bundle}", name]
        environment = command_environment()
        place.prepare()
        try:
            before = _processor_seconds()
            start = time.perf_counter()
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                text=True,
                errors="replace",
                timeout=_CONTAINER_SECONDS,
                env=environment,
            )
            wall = time.perf_counter() - start
            return Cost(wall=wall * 1000, processor=(_processor_seconds() - before) * 1000), done
        finally:
            place.clean()

    def cost_of(self, runtime: Runtime, place: Place) -> Cost:
        """Return what one start costs.

        Raises:
            CommandError: the container did not start.
        """
        cost, done = self.run(runtime, place)
        if done.returncode != 0:
            raise _failed(runtime, place, done)
        return cost

    def finds_libcuda(self, runtime: Runtime, place: Place) -> bool:
        """Say whether the bundle's `probe` can load libcuda and have it answer.

        Raises:
            CommandError: the container did not start.
        """
        _, done = self.run(runtime, place)
        try:
            answer = json.loads(done.stdout)
        except ValueError as error:
            raise _failed(runtime, place, done) from error
        return answer["result"] is not None


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _failed(runtime: Runtime, place: Place, done: subprocess.CompletedProcess[str]) -> CommandError:
    return CommandError(f"{place.name}: {runtime} run: status {done.returncode}: {done.stderr.strip()[-500:]}")


def make_candidates(tree: HostTree, scratch: Path) -> tuple[list[Candidate], str | None]:
    """Return what is compared, the bare start first, and why the vendor's generator is not, if it is not.

    Raises:
        CommandError: a spec could not be made or applied.
    """
    bare = make_config()
    specs = {OURS: _our_spec(tree, scratch / "ours")}
    for chosen in CAPABILITIES:
        specs[f"cdigen, `--capabilities {chosen}`"] = _our_spec(tree, scratch / chosen, f"--capabilities={chosen}")
    reason = None
    try:
        specs[VENDOR] = _vendor_spec(tree, scratch / "vendor")
    except (UnavailableError, CommandError) as error:
        reason = str(error)
    candidates = [Candidate(name=BARE, config=bare, bare=bare)]
    for name, spec in specs.items():
        kind = yaml.safe_load(spec.read_text())["kind"]
        candidates.append(Candidate(name=name, config=inject(bare, spec, f"{kind}=all"), bare=bare))
    return candidates, reason


def _our_spec(tree: HostTree, directory: Path, *options: str) -> Path:
    directory.mkdir()
    spec = directory / "nvidia.yaml"
    done = run_cdigen("generate", *as_driver_root(tree), *options, "--output", str(spec))
    if done.returncode != 0:
        raise CommandError(f"cdigen generate {' '.join(options)}: status {done.returncode}: {done.stderr.strip()}")
    return spec


def _vendor_spec(tree: HostTree, directory: Path) -> Path:
    path = command_environment()["PATH"]
    missing = [name for name in VENDOR_PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        raise UnavailableError(f"not on PATH: {' '.join(missing)}")
    directory.mkdir()
    spec = directory / "nvidia.yaml"
    roots = [f"--driver-root={tree.root}", f"--dev-root={tree.root}"]
    # Its default mode asks NVML for the GPUs; this one takes the driver's files and all device nodes that are there.
    run(["nvidia-ctk", "cdi", "generate", "--mode=management", *roots, f"--output={spec}"])
    return spec


def make_place(
    candidate: Candidate, kind: RootKind, argv: list[str], *, image: Path, layers: Path, parent: Path
) -> Place:
    """Make a bundle of a candidate that runs `argv` in a root of this kind."""
    bundle = write_bundle(Path(tempfile.mkdtemp(dir=parent)), candidate.config, "root", argv)
    root = bundle / "root"
    if kind == "standing":
        run(["cp", "-a", str(image), str(root)])
    else:
        root.mkdir()
    return Place(name=candidate.name, bundle=bundle, root=root, image=image if kind == "new" else None, layers=layers)


def turns(cells: list[Cell], runs: int) -> Iterator[Cell]:
    """Yield all cells `runs` times, beginning with another each time and every other time backwards."""
    for number in range(runs):
        first = number % len(cells)
        order = cells[first:] + cells[:first]
        yield from reversed(order) if number % 2 else order


@contextmanager
def memory(directory: Path) -> Iterator[Path]:
    """Make `directory`, with a file system in memory mounted on it."""
    directory.mkdir()
    run(["mount", "-t", "tmpfs", "tmpfs", str(directory)])
    try:
        yield directory
    finally:
        run(["umount", str(directory)])


def measure(
    candidates: list[Candidate], image: Path, scratch: Path, runs: int
) -> tuple[dict[Cell, list[Cost]], list[str]]:
    """Time all candidates.

    Returns:
        The costs of every cell, and in which containers a program does not find libcuda.

    Raises:
        CommandError: a container did not start.
    """
    starter = Starter(scratch / "state")
    places: dict[Cell, Place] = {}
    without: list[str] = []
    with memory(scratch / "layers") as layers:
        for candidate in candidates:
            make = partial(make_place, candidate, image=image, layers=layers, parent=scratch)
            probe = make("new", ["/usr/bin/probe", "--cuinit"])
            without += [f"{candidate.name} ({name})" for name in RUNTIMES if not starter.finds_libcuda(name, probe)]
            for kind in ROOT_KINDS:
                place = make(kind, ["/bin/true"])
                places.update({(kind, runtime, candidate.name): place for runtime in RUNTIMES})
        cells = [(kind, runtime, one.name) for kind in ROOT_KINDS for runtime in RUNTIMES for one in candidates]
        for cell in cells:  # fills the caches, and makes the mount points of the standing roots
            starter.cost_of(cell[1], places[cell])
        costs: dict[Cell, list[Cost]] = {cell: [] for cell in cells}
        for cell in turns(cells, runs):
            costs[cell].append(starter.cost_of(cell[1], places[cell]))
    return costs, without


def report(candidates: list[Candidate], costs: dict[Cell, list[Cost]]) -> None:
    """Print a table for each kind of root."""
    heads = ("runtime", "container", "mounts, nodes, hooks", "ms", "quartiles", "added", "of it processor", "ratio")
    for kind in ROOT_KINDS:
        print(f"\n{kind} root:\n\n| {' | '.join(heads)} | expected |\n|{' --- |' * (len(heads) + 1)}")
        for runtime in RUNTIMES:
            base = costs[kind, runtime, BARE]
            base_wall = statistics.median(cost.wall for cost in base)
            base_processor = statistics.median(cost.processor for cost in base)
            for candidate in candidates:
                own = costs[kind, runtime, candidate.name]
                low, wall, high = statistics.quantiles((cost.wall for cost in own), n=4)
                processor = statistics.median(cost.processor for cost in own)
                counts = ", ".join(str(number) for number in candidate.added())
                expected = f"<= {EXPECTED[runtime]:.2f}" if (kind, candidate.name) == ("standing", OURS) else ""
                print(
                    f"| {runtime} | {candidate.name} | {counts} | {wall:.1f} | {low:.1f} to {high:.1f} |"
                    f" {wall - base_wall:+.1f} | {processor - base_processor:+.1f} | {wall / base_wall:.2f} |"
                    f" {expected} |"
                )


def enter_namespace() -> None:
    """Replace this process by itself in a mount namespace of its own, unless it is there already.

    Raises:
        UnavailableError: not root, or a program is not installed.
    """
    if _INSIDE in sys.argv[1:]:
        return
    require_root()
    path = command_environment()["PATH"]
    missing = [tool for tool in (*RUNTIMES, "unshare", "mount") if shutil.which(tool, path=path) is None]
    if missing:
        raise UnavailableError(
            f"{', '.join(missing)} not installed: apt-get install what tests/real/packages.txt lists"
        )
    again = [sys.executable, "-m", "tests.bench.start", _INSIDE, *sys.argv[1:]]
    os.execvpe("unshare", ["unshare", "--mount", "sh", "-c", _IN_NAMESPACE, "sh", *again], command_environment())  # noqa: S606  # no shell is wanted


def main() -> None:
    """Measure and print the tables as Markdown."""
    parser = argparse.ArgumentParser(description="Measure what a spec adds to the start of a container.")
    parser.add_argument("--runs", type=int, default=50, help=f"starts of each, at least {FEWEST_RUNS} (%(default)s)")
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    runs = max(FEWEST_RUNS, parser.parse_args().runs)
    try:
        enter_namespace()
        cache = cache_dir()
        tree, image = make_host("debian", cache), make_image("rhel-like", cache)
        with tempfile.TemporaryDirectory(prefix="bench-", dir=cache) as name:
            scratch = Path(name)
            candidates, reason = make_candidates(tree, scratch)
            costs, without = measure(candidates, image, scratch, runs)
    except (UnavailableError, CommandError) as error:
        sys.exit(f"bench-start: {error}")
    versions = ", ".join(run([runtime, "--version"]).partition("\n")[0] for runtime in RUNTIMES)
    print(f"driver {tree.version}, 8 GPUs; {versions}; Linux {platform.release()}, {os.cpu_count()} CPUs")
    print(f"median of {runs} starts of /bin/true, all in turns; libcuda does not load in: {', '.join(without)}")
    if reason is not None:
        print(f"left out: {VENDOR}: {reason}")
    report(candidates, costs)


if __name__ == "__main__":
    main()
