"""Whether engines take the devices of what was just written from there, or another spec is in the way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES, MAX_FILES, SUFFIXES
from cdigen.errors import one_line, shell_word
from cdigen.findings import Finding, Remedy
from cdigen.host import UNSEEN
from cdigen.host.view import View
from cdigen.specs.outputs import root_of
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cdigen.cdi.registry import Registry, SpecFile
    from cdigen.host import Host
    from cdigen.session.target import Target

HIDDEN, TWICE = "spec-hidden", "device-twice"


def find_shadowed(target: Target, host: Host, written: Mapping[str, Sequence[str]]) -> tuple[Finding, ...]:
    """Return a warning for every spec of others that hides a device of ours, or has it as well.

    Nothing is read unless other specs are there, and of these only what may have such a device is parsed.

    Args:
        target: which host.
        host: that host, of which nothing is remembered from before it was written to.
        written: the qualified names of the devices in each of our files, by its path as this process sees it.
    """
    root = root_of(target.host_root) or "/"
    view = View(host)
    try:
        directories = {view.resolve(directory): directory for directory in DEFAULT_DIRECTORIES}
    except UNSEEN:  # engines find nothing either
        return ()
    base = os.path.realpath(root).rstrip("/")
    ours: dict[str, Sequence[str]] = {}
    for path, names in written.items():
        place, _, name = os.path.realpath(path).rpartition("/")
        directory = directories.get(place.removeprefix(base) if place.startswith(base) else None)
        if directory is not None:
            ours[f"{directory}/{name}"] = names
    if not ours:
        return ()
    kinds = {name.partition("=")[0] for names in ours.values() for name in names}
    ranks = {directory: rank for rank, directory in enumerate(DEFAULT_DIRECTORIES)}
    files = [file for directory, rank in ranks.items() for file in _find_others(view, directory, rank, ours, kinds)]
    if not files:
        return ()
    from cdigen.cdi.registry import Registry

    mine = (_our_file(path, names, ranks[path.rpartition("/")[0]]) for path, names in ours.items())
    registry = Registry(DEFAULT_DIRECTORIES, sorted([*files, *mine], key=lambda file: file.rank))
    return tuple(_judge(registry, ours, root))


def _find_others(
    view: View, directory: str, rank: int, ours: Mapping[str, object], kinds: set[str]
) -> Iterator[SpecFile]:
    try:
        names = [name for name in view.names(directory) if name.endswith(SUFFIXES)][:MAX_FILES]
    except UNSEEN:  # engines find nothing there either
        return
    words = [kind.encode() for kind in kinds]
    for name in names:
        path = f"{directory}/{name}"
        if path in ours:
            continue
        try:
            data = view.read(path)
            if data is None or not (b"\\" in data or any(word in data for word in words)):
                continue
        except UNSEEN:  # an engine passes it over
            continue
        from cdigen.specs.on_disk import read_file

        file = read_file(path, data, rank=rank)
        if file.document is not None and file.kind in kinds:
            yield file


def _our_file(path: str, names: Sequence[str], rank: int) -> SpecFile:
    from cdigen.cdi.registry import SpecFile

    devices = [{"name": name.partition("=")[2], "containerEdits": {}} for name in names]
    kind = names[0].partition("=")[0]
    return SpecFile(path=path, rank=rank, kind=kind, document={"devices": devices})


def _judge(registry: Registry, ours: Mapping[str, Sequence[str]], root: str) -> Iterator[Finding]:
    hidden: dict[tuple[str, str], int] = {}
    twice: dict[tuple[str, tuple[str, ...]], int] = {}
    for path, names in ours.items():
        for name in names:
            others = tuple(file.path for file in registry.disputing(name) if file.path != path)
            winner = registry.winner(name)
            if others:
                twice[path, others] = twice.get((path, others), 0) + 1
            elif winner is not None and winner.path != path:
                hidden[path, winner.path] = hidden.get((path, winner.path), 0) + 1
    for (path, other), number in hidden.items():
        message = f"{count(number, 'device')} of {one_line(path)} hidden by {one_line(other)}, which takes precedence"
        yield Finding(level="warning", code=HIDDEN, subject=path, message=message, remedy=_how_to_reveal(other, root))
    for (path, files), number in twice.items():
        names = " and ".join(map(one_line, files))
        message = (
            f"{count(number, 'device')} of {one_line(path)} in {names} too, so engines take them from none of these"
        )
        remedy = Remedy("keep one of them", (f"rm {' '.join(_shown(file, root) for file in files)}",))
        yield Finding(level="warning", code=TWICE, subject=path, message=message, remedy=remedy)


def _how_to_reveal(other: str, root: str) -> Remedy:
    if root == "/":
        from cdigen.specs.renewal import how_to_reveal_ours

        return how_to_reveal_ours(other)
    return Remedy("remove one of the two", (f"rm {_shown(other, root)}",))


def _shown(host_path: str, root: str) -> str:
    return shell_word(root.rstrip("/") + host_path)
