"""What is asked of a container that was started with devices of the spec, and what every answer has to be.

`look` and `probe` say what the container has; here it is held against the spec, the report of `cdigen explain`, the
hardware of the host tree, and the image's root directory. Everything that is not as it has to be is a line of text.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.real.hardware import GPUS, Gpu
from tests.real.matrix.engines import Start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real.make_driver import HostTree
    from tests.real.matrix.engines import Done, Engine, Row
    from tests.real.matrix.images import Kind

DRIVER_ANSWERS = {"cuInit": 100, "nvmlInit_v2": 9}
"""Of the real driver's code on a machine without a GPU."""

_CONTROL_NODES = {
    "/dev/nvidiactl": "195:255",
    "/dev/nvidia-modeset": "195:254",
    "/dev/nvidia-uvm": "511:0",
    "/dev/nvidia-uvm-tools": "511:1",
}
_NO_DRIVER = {"ENXIO", "ENODEV"}  # what open says of a node that may be opened, where the kernel has no driver for it
_ENVIRONMENT = {"NVIDIA_VISIBLE_DEVICES": "void", "TRITON_LIBCUDA_PATH": "/usr/lib/x86_64-linux-gnu"}
_AT_ONCE = 3  # starting a container is mostly waiting
_NOT_FOUND = "cannot open shared object file: No such file or directory"
_LOADER = "ld-linux-x86-64.so.2"

CHOICES: tuple[tuple[tuple[str, ...], tuple[Gpu, ...]], ...] = (
    (("all",), GPUS),
    (("0",), GPUS[:1]),
    (("1", "6"), (GPUS[1], GPUS[6])),
    ((GPUS[3].uuid,), (GPUS[3],)),
)
"""Names of devices that are asked for, and the GPUs that the container then has to have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The spec under test and what cdigen says of it.

    Attributes:
        path: the file.
        tree: the host tree that it was made for.
        document: the spec, parsed.
        explained: the report of `cdigen explain`.
    """

    path: Path
    tree: HostTree
    document: dict[str, Any]
    explained: dict[str, Any]

    def mounts(self) -> dict[str, str]:
        """Return the host path of every container path."""
        return {mount["containerPath"]: mount["hostPath"] for mount in self.document["containerEdits"]["mounts"]}

    def libraries(self) -> dict[str, dict[str, Any]]:
        """Return every injected library by the name that its users ask for: SONAME, or file name if it has none."""
        return {
            file["soname"] or Path(file["hostPath"]).name: file
            for file in self.explained["files"]
            if file["kind"] == "library"
        }


def resolve_inside(root: Path, path: str) -> str:
    """Return `path` of a container whose root is `root`, without links: what the kernel would go to."""
    done = "/"
    parts = [part for part in path.split("/") if part]
    links = 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            done = os.path.dirname(done)
            continue
        here = os.path.join(done, part)
        target = root / here[1:]
        if not target.is_symlink() or links == 40:
            done = here
            continue
        links += 1
        text = os.readlink(target)
        parts = [step for step in text.split("/") if step not in ("", ".")] + parts
        if text.startswith("/"):
            done = "/"
    return done


def start_for(kind: Kind, spec: Spec, names: tuple[str, ...]) -> Start:
    """Return the container that looks at everything, with the devices `names`."""
    numbers = [f"195:{gpu.minor}" for gpu in GPUS] + [f"226:{128 + gpu.drm}" for gpu in GPUS]
    asked = [_asked_name(kind, spec, soname) for soname in spec.libraries()]
    return Start(
        kind=kind,
        devices=tuple(f"nvidia.com/gpu={name}" for name in names),
        argv=("look", *numbers, "--", *asked),
    )


def _asked_name(kind: Kind, spec: Spec, soname: str) -> str:
    """Return what to load for `soname`: itself, or the whole path of what is mounted in a directory below."""
    paths = [path for path in spec.mounts() if path.rpartition("/")[2] == soname]
    direct = [path for path in paths if path.rpartition("/")[0] in kind.directories]
    return soname if direct else paths[0]


def find_faults(done: Done, kind: Kind, root: Path, spec: Spec, gpus: tuple[Gpu, ...], *, row: Row) -> Iterator[str]:
    """Yield what is not as it has to be in a container of `kind` that an engine was asked for with `gpus`."""
    if done.stderr or done.returncode not in (0, 1):
        yield f"status {done.returncode}, stderr {done.stderr!r}"
        return
    facts = [json.loads(line) for line in done.stdout.splitlines()]
    yield from _faults_of_image(_one(facts, "libc"), kind, root)
    yield from _faults_of_environment([fact["env"] for fact in facts if "env" in fact], kind)
    mounted = _driver_mounts([fact["mount"] for fact in facts if "mount" in fact], spec)
    expected = {resolve_inside(root, path): host for path, host in spec.mounts().items()}
    if mounted != expected:
        yield f"mounts differ: {sorted(set(mounted.items()) ^ set(expected.items()))}"
    libc = resolve_inside(root, _one(facts, "libc")["path"])
    if libc in mounted or not (root / libc[1:]).is_file():
        yield f"libc is {libc}, which is not the image's own"
    are_closed = row.rootless or bool(kind.user and not row.knows_user)
    yield from _faults_of_nodes([fact for fact in facts if "node" in fact], gpus, are_closed=are_closed)
    yield from _faults_of_cgroup([fact for fact in facts if "made" in fact], kind, gpus, rootless=row.rootless)
    answers = {fact["call"]: fact["result"] for fact in facts if "call" in fact}
    if answers != DRIVER_ANSWERS:
        yield f"the driver's code answers {answers}, not {DRIVER_ANSWERS}"
    yield from _faults_of_libraries([fact for fact in facts if "name" in fact], kind, root, spec, mounted)


def _one(facts: list[dict[str, Any]], key: str) -> dict[str, Any]:
    (fact,) = [fact for fact in facts if key in fact]
    return fact


def _faults_of_image(fact: dict[str, Any], kind: Kind, root: Path) -> Iterator[str]:
    expected = {"libc": kind.libc, "uid": kind.user}
    found = {key: fact[key] for key in expected}
    if found != expected:
        yield f"{found}, not {expected}"
    if not kind.user and fact["root"] != ("EROFS" if kind.read_only else "writable"):
        yield f"the root is {fact['root']}"


def _faults_of_environment(entries: list[str], kind: Kind) -> Iterator[str]:
    found = dict(entry.split("=", 1) for entry in entries)
    expected = _ENVIRONMENT | dict(entry.split("=", 1) for entry in kind.env)
    for name, value in expected.items():
        if found.get(name) != value:
            yield f"{name} is {found.get(name)!r}, not {value!r}"
    if "LD_LIBRARY_PATH" in found and "LD_LIBRARY_PATH" not in expected:
        yield f"LD_LIBRARY_PATH is set: {found['LD_LIBRARY_PATH']!r}"


def _driver_mounts(lines: list[str], spec: Spec) -> dict[str, str]:
    """Return the host path of every mount point whose source is in the host tree, as far as it is a file.

    A line has the path within the source's file system, proc(5); the tree's own last directories mark it.
    """
    mark = "/".join(("", *spec.tree.root.parts[-2:], ""))
    found = {}
    for line in lines:
        source, point = line.split(" ")[3:5]
        if mark in source and not point.startswith("/dev/"):
            found[point] = str(spec.tree.root / source.partition(mark)[2])
    return found


def _expected_nodes(gpus: tuple[Gpu, ...]) -> dict[str, str]:
    nodes = dict(_CONTROL_NODES)
    for gpu in gpus:
        card, render = f"226:{gpu.drm}", f"226:{128 + gpu.drm}"
        nodes[f"/dev/nvidia{gpu.minor}"] = f"195:{gpu.minor}"
        nodes[f"/dev/dri/card{gpu.drm}"] = nodes[f"/dev/dri/by-path/pci-{gpu.bdf}-card"] = card
        nodes[f"/dev/dri/renderD{128 + gpu.drm}"] = nodes[f"/dev/dri/by-path/pci-{gpu.bdf}-render"] = render
    return nodes


def _faults_of_nodes(facts: list[dict[str, Any]], gpus: tuple[Gpu, ...], *, are_closed: bool) -> Iterator[str]:
    ours = [fact for fact in facts if fact["node"].startswith(("/dev/nvidia", "/dev/dri"))]
    found = {fact["node"]: fact["number"] for fact in ours}
    expected = _expected_nodes(gpus)
    if found != expected:
        yield f"nodes differ: {sorted(set(found.items()) ^ set(expected.items()))}"
    for fact in ours:
        # The DRM nodes are 0660 root:video on the host, and so in the container. Who owns them differs.
        closed = are_closed and fact["node"].startswith("/dev/dri/")
        if fact["open"] not in ({"EACCES"} if closed else _NO_DRIVER):
            yield f"{fact['node']} cannot be opened to read and write: {fact['open']}"


def _faults_of_cgroup(
    facts: list[dict[str, Any]], kind: Kind, gpus: tuple[Gpu, ...], *, rootless: bool
) -> Iterator[str]:
    allowed = set(_expected_nodes(gpus).values())
    for fact in facts:
        if kind.user:
            expected: tuple[object, ...] = ("EACCES", None)  # such a user cannot write into /dev
        elif rootless:
            expected = ("EPERM", None)  # nobody makes device nodes in a user namespace
        else:
            expected = ("ok", "ENXIO" if fact["made"] in allowed else "EPERM")
        if (fact["mknod"], fact["open"]) != expected:
            yield f"a node {fact['made']} made in the container answers {fact['mknod']}, {fact['open']}, not {expected}"


def _missing(kind: Kind, root: Path, spec: Spec, soname: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Return what the image lacks of the libraries that `soname` needs, through whatever injected ones it needs."""
    file = spec.libraries()[soname]
    own = {
        name
        for name in file["needsFromImage"]
        if name != _LOADER and not any((root / f"{directory[1:]}/{name}").exists() for directory in kind.directories)
    }
    for name in set(file["needsInjected"]) - seen - {soname}:
        own |= _missing(kind, root, spec, name, seen | {soname})
    return own


def _faults_of_libraries(
    facts: list[dict[str, Any]], kind: Kind, root: Path, spec: Spec, mounted: dict[str, str]
) -> Iterator[str]:
    libraries = spec.libraries()
    answers = {fact["name"].rpartition("/")[2]: fact for fact in facts}
    if set(answers) != set(libraries):
        yield f"the probe did not answer for every library: {sorted(set(answers) ^ set(libraries))}"
        return
    for soname, fact in answers.items():
        missing = _missing(kind, root, spec, soname)
        if missing:
            if fact["error"] not in {f"{name}: {_NOT_FOUND}" for name in missing}:
                yield f"{soname} needs {sorted(missing)} and is {fact}"
            continue
        if fact["error"] is not None:
            yield f"{soname} is not loaded: {fact['error']}"
            continue
        source = mounted.get(resolve_inside(root, fact["path"]))
        if source != libraries[soname]["hostPath"]:
            yield f"{soname} is loaded from {fact['path']}, which is {source}"


def find_faults_of_cell(engine: Engine, kind: Kind, root: Path, spec: Spec, *, row: Row) -> list[str]:
    """Return what is wrong with a cell of the matrix: an engine, a kind of image, and every choice of devices."""
    faults = []
    for (names, gpus), done in zip(CHOICES, run_choices(engine, kind, spec), strict=True):
        found = find_faults(done, kind, root, spec, gpus, row=row)
        faults += [f"{' '.join(names)}: {fault}" for fault in found]
    return faults


def run_choices(engine: Engine, kind: Kind, spec: Spec) -> list[Done]:
    """Run a container of `kind` with each choice of devices; the first alone, because it may have to load the image."""
    starts = [start_for(kind, spec, names) for names, _ in CHOICES]
    first = engine.run(starts[0])
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return [first, *pool.map(engine.run, starts[1:])]
