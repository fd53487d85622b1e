"""The devices of one class beside the GPUs: IMEX channels, NVSwitches, GPUDirect Storage and the like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdigen.catalog.classes import CLASSES
from cdigen.discover.devices import find_right_node
from cdigen.discover.majors import Majors, find_majors
from cdigen.discover.platform import find_platform
from cdigen.errors import CdigenError, ParseError, one_line
from cdigen.facts import ClassDevices, DriverFile
from cdigen.findings import Remedy
from cdigen.host import UNREADABLE, UNSEEN, LinkError
from cdigen.notes import UNSAFE_PATH, Notes, is_safe_path
from cdigen.parse.capabilities import parse_capability_access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.catalog.classes import ClassRow, FileRow, NodeRow
    from cdigen.facts import DeviceNode
    from cdigen.host import View
    from cdigen.host.views import Views

_NUMBER = re.compile("0|[1-9][0-9]{0,6}")  # a minor has 20 bits
_MOST_NAMED = 8
_NONE_HERE = {
    "wsl": Remedy("WSL2 has none; leave --mode out"),
    "tegra": Remedy("they are all in the spec of a Jetson's GPU; leave --mode out"),
}
_UNKNOWN = Majors(known=False, by_driver={}, of_others=True)


def find_class(views: Views, name: str) -> ClassDevices:
    """Return the devices of a class.

    Only character devices count. One whose number is not that of its driver is of an earlier boot or another's, and is
    left out with a finding.

    Args:
        views: the host.
        name: the class.

    Raises:
        HostReadError, LinkError: what there is cannot be told. The error carries the findings so far.
    """
    row = next(row for row in CLASSES if row.name == name)
    notes = Notes()
    try:
        return _find(views, row, notes)
    except CdigenError as error:
        error.findings = notes.findings
        raise


def _find(views: Views, row: ClassRow, notes: Notes) -> ClassDevices:
    majors = _UNKNOWN if row.is_foreign else find_majors(views.system, notes)
    nodes: tuple[DeviceNode, ...] = ()
    for dev in (views.dev, views.system) if row.is_foreign and views.dev is not views.system else (views.dev,):
        nodes = _NodeFinder(dev, row, majors, notes).find()
        if nodes:
            nodes += tuple(_capability_nodes(views, row, majors, notes))
            break
    return ClassDevices(
        name=row.name,
        nodes=nodes,
        files=tuple(_files(views, row, notes)) if nodes else (),
        absent=row.absent,
        remedy=_NONE_HERE.get(find_platform(views), row.remedy) if row.with_driver else row.remedy,
        failed_reads=notes.failed_reads,
        findings=notes.findings,
        left_out=notes.left_out,
    )


class _NodeFinder:
    """Finds the nodes of a class below one device root."""

    def __init__(self, dev: View, row: ClassRow, majors: Majors, notes: Notes) -> None:
        self._dev = dev
        self._row = row
        self._majors = majors
        self._notes = notes
        self._refused: list[tuple[str, str]] = []
        self._drivers: set[str] = set()

    def find(self) -> tuple[DeviceNode, ...]:
        """Return the nodes; () if there is none for which the class is offered."""
        found = [(row, node) for row in self._row.nodes for node in self._find_row(row)]
        self._note_refused()
        return tuple(node for _, node in found) if any(row.is_device for row, _ in found) else ()

    def _find_row(self, row: NodeRow) -> Iterator[DeviceNode]:
        if row.is_numbered:
            for number in self._numbers(row):
                yield from self._find_one(row, f"{row.directory}/{row.name}{number}", number)
        else:
            yield from self._find_one(row, f"{row.directory}/{row.name}", row.minor)

    def _numbers(self, row: NodeRow) -> list[int]:
        """Return the numbers of what has the row's name, in their order."""
        numbers = []
        for name in self._dev.names(row.directory, (row.name,)):
            number = name.removeprefix(row.name)
            if _NUMBER.fullmatch(number):
                numbers.append(int(number))
            elif number[:1].isdigit():
                path = self._dev.host_path(f"{row.directory}/{name}")
                self._notes.leave_out(path, f"its name is not {row.name} and a number")
        return sorted(numbers)

    def _find_one(self, row: NodeRow, path: str, minor: int) -> Iterator[DeviceNode]:
        why = f"catalog: {row.reason}"
        try:
            if not row.is_numbered and self._dev.find(path) is None:
                return
            self._dev.find(path)  # what may not be looked at may be there: that is for the caller to tell
        except LinkError as error:
            self._refused.append((path, error.reason))
            return
        majors, stem = (_UNKNOWN, "nvidia") if row.driver is None else (self._majors, row.driver)
        node = find_right_node(self._dev, path, why, majors, stem, minor)
        if isinstance(node, str):
            self._refused.append((path, node))
            return
        if row.driver is not None and self._majors.known and self._majors.of(row.driver) is None:
            self._note_unloaded(row, path)
        yield node

    def _note_unloaded(self, row: NodeRow, path: str) -> None:
        if row.name in self._drivers:  # it is the same for all of the name
            return
        self._drivers.add(row.name)
        host_path = one_line(self._dev.host_path(path))
        self._notes.add(
            "warning",
            "module-not-loaded",
            host_path,
            f"{host_path} is there but /proc/devices does not know its driver, so it cannot be opened: {row.reason}",
            hint="load the module, or remove the node",
        )

    def _note_refused(self) -> None:
        for path, problem in self._refused[:_MOST_NAMED]:
            host_path = one_line(self._dev.host_path(path))
            self._notes.add(
                "warning",
                "class-node",
                host_path,
                f"{host_path} {problem}; it is left out",
                hint="remove it, or reload its driver, which creates it again",
            )
        for path, problem in self._refused:
            self._notes.leave_out(self._dev.host_path(path), problem)
        more = len(self._refused) - _MOST_NAMED
        if more > 0:
            self._notes.add(
                "warning",
                "class-node",
                self._row.name,
                f"{more} more device nodes of class {self._row.name} are left out",
                hint="see them with",
                commands=(f"cdigen explain --mode {self._row.name}",),
            )


def _capability_nodes(views: Views, row: ClassRow, majors: Majors, notes: Notes) -> Iterator[DeviceNode]:
    for source, right in row.capabilities:
        try:
            data = views.system.read(source)
            if data is None:
                continue
            minor = parse_capability_access(data).minor
        except UNREADABLE as error:
            notes.damaged(source, error, f"{right} is not injected")
            continue
        path = f"/dev/nvidia-caps/nvidia-cap{minor}"
        node = find_right_node(views.dev, path, f"{right}, by {source}", majors, "nvidia-cap", minor)
        if isinstance(node, str):
            host_path = one_line(views.dev.host_path(path))
            notes.add(
                "warning",
                "class-node",
                host_path,
                f"{host_path} {node}: {right}",
                hint="create it with",
                commands=(f"nvidia-modprobe -f {source}",),
            )
        else:
            yield node


def _files(views: Views, row: ClassRow, notes: Notes) -> Iterator[DriverFile]:
    roots = (views.driver,) if views.driver is views.system else (views.driver, views.system)
    for file in row.files:
        for view in roots:
            found = _file(view, file, notes)
            if found is not None:
                yield found
                break


def _file(view: View, row: FileRow, notes: Notes) -> DriverFile | None:
    host_path = view.host_path(row.path)
    try:
        target = view.find(row.path)
    except UNSEEN as error:
        notes.damaged(host_path, error, "it is not injected")
        return None
    if target is None:
        return None
    resolved, entry = target
    problem = None
    if entry.kind != row.file_type:
        problem = f"not a {'directory' if row.file_type == 'dir' else 'regular file'}"
    elif not is_safe_path(view.host_path(resolved)):
        problem = UNSAFE_PATH
    if problem is not None:
        notes.damaged(host_path, ParseError(problem), "it is not injected")
        return None
    return DriverFile(
        kind=row.kind,
        host_path=view.host_path(resolved),
        container_paths=(row.path,),
        group="compute",
        why=f"catalog: {row.reason}",
    )
