"""Makes the device nodes that a host lacks, for `cdigen nodes --create` and `cdigen generate --create-nodes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.discover.platform import find_platform
from cdigen.errors import CdigenError, FileError, UsageError, one_line
from cdigen.findings import Finding, Remedy
from cdigen.host import UNSEEN
from cdigen.host.programs import run_programs
from cdigen.nodes.expected import find_expected_nodes
from cdigen.nodes.missing import MOST_NAMED, USABLE, names_of, note_what_is_lacking
from cdigen.nodes.mknod import DeviceDirectory, NodeError, find_modprobe
from cdigen.notes import Notes
from cdigen.records import Record, replace
from cdigen.report import say, say_findings
from cdigen.session.target import open_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdigen.facts import ExpectedNode
    from cdigen.host.views import Views
    from cdigen.session.target import Target

_MODPROBE_TIMEOUT = 60.0  # seconds; it loads kernel modules

_LOADS: dict[str, tuple[str, ...]] = {"nvidia": (), "nvidia-uvm": ("-u",), "nvidia-modeset": ("-m",)}
"""The arguments with which nvidia-modprobe loads a module. The last makes the module's node as well."""


class Action(Record):
    """Something that was done to the host, or would be.

    Attributes:
        action: "run" nvidia-modprobe, "make" a node, "replace" what is in its place, or "link" to it.
        path: the program, the node or the link, as the host sees it.
        detail: arguments, numbers with mode and owner, or the link's target.
    """

    action: str
    path: str
    detail: str

    def sentence(self, *, done: bool) -> str:
        """Return it as a line for the user."""
        past = {"run": "ran", "make": "made", "replace": "replaced", "link": "linked"}
        between = {"run": " ", "link": " to "}.get(self.action, ": ")
        text = f"{self.path}{between}{self.detail}" if self.detail else self.path
        return f"{past[self.action] if done else f'would {self.action}'} {text}"


class Made(Record):
    """What became of a host's nodes.

    Attributes:
        nodes: all that there could be, as they are now.
        actions: in the order in which they were done.
        findings: what could not be done, and what is odd about the host.
    """

    nodes: tuple[ExpectedNode, ...]
    actions: tuple[Action, ...]
    findings: tuple[Finding, ...]


class NothingToMakeError(CdigenError):
    """The platform has no nodes that anybody would have to make; exit 3."""

    exit_code = 3
    code = "nothing-to-make"


def look_at_nodes(target: Target) -> tuple[Views, tuple[ExpectedNode, ...], Notes]:
    """Return the host of `target` as it is now, its nodes, and what was noted.

    Raises:
        NothingToMakeError: its nodes are the kernel's; others as of `open_session`.
    """
    views = open_session(target).views
    kind = find_platform(views)
    if kind == "wsl":
        raise NothingToMakeError("this host is WSL2, which has no device node but /dev/dxg, and the kernel makes that")
    if kind == "tegra":
        raise NothingToMakeError("this host is a Jetson, whose device nodes the kernel and udev make")
    notes = Notes()
    return views, find_expected_nodes(views, notes), notes


def make_nodes(target: Target, *, option: str, create: bool = True, dev_char: bool = False, dry_run: bool) -> Made:
    """Make the nodes that are missing or are other devices, and leave alone what is right or has another mode.

    On the running system, nvidia-modprobe is used where it is there: it loads modules too. What it leaves is made by
    mknod.

    Args:
        target: the host.
        option: the option that asked for it, for messages.
        create: make nodes.
        dev_char: make the links below /dev/char as well, also to nodes that are still to come.
        dry_run: change nothing.

    Raises:
        UsageError: the host is a snapshot.
        FileError: a node could not be made; the others were. Or the host's procfs is not this machine's, and whoever
            wrote it could have any device made.
    """
    if target.snapshot is not None:
        raise UsageError(
            f"{option} changes a host and cannot be used together with --snapshot",
            hint="leave one of them out",
            code="conflicting-options",
        )
    views, nodes, notes = look_at_nodes(target)
    if not views.system.host.has_own_procfs():
        shown = one_line(target.procfs or f"{(target.host_root or '').rstrip('/')}/proc")
        raise FileError(
            f"{option} takes device numbers from the kernel alone, and {shown} is not a procfs of this machine",
            hint="name one with --procfs /proc",
            subject=shown,
            code="foreign-procfs",
        )
    maker = _Maker(target, views, dry_run=dry_run)
    if create:
        if _is_running_system(target, views) and (program := find_modprobe()) is not None:
            for choose in (_loads, _commands):
                failed = maker.run(program, choose(views, nodes))
                if maker.has_run and not dry_run:
                    views, nodes, notes = look_at_nodes(target)
                maker.judge(program, failed, nodes)
        for node in nodes:
            maker.make(node)
        if not dry_run:
            views, nodes, notes = look_at_nodes(target)
    if dev_char:
        for node in nodes:
            # A link may lead to nothing yet; one to a node of other numbers would lead to another device.
            if node.state in (*USABLE, "missing") or (dry_run and create and _can_be_made(node)):
                maker.link(views, node, notes)
    maker.raise_failures()
    if create:
        note_what_is_lacking(nodes, notes)
    for message, remedy in maker.warnings:
        notes.add(
            "warning",
            "nvidia-modprobe-failed",
            "nvidia-modprobe",
            message,
            hint=remedy.hint,
            commands=remedy.commands,
        )
    return Made(nodes=nodes, actions=tuple(maker.actions), findings=notes.findings)


def make_nodes_first(target: Target, *, wait: float = 0.0) -> tuple[Finding, ...]:
    """Make the nodes that are missing before something else is done, and say so; return the findings that were said.

    Args:
        target: the host.
        wait: seconds to wait for a driver that is still coming up; see `wait_for_driver`. Nodes are made before it,
            because that may load the modules, and after it.

    Raises:
        UsageError, FileError: see `make_nodes`. What is still missing is for others to judge.
    """
    try:
        made = make_nodes(target, option="--create-nodes", dry_run=False)
    except NothingToMakeError:
        return ()
    if wait:
        from cdigen.session.wait import wait_for_driver

        for action in made.actions:
            say("", action.sentence(done=True))
        if wait_for_driver(target, wait, makes_nodes=True):
            made = make_nodes(target, option="--create-nodes", dry_run=False)
        else:
            made = replace(made, actions=())
    say_findings(made.findings)
    for action in made.actions:
        say("", action.sentence(done=True))
    return made.findings


class _Maker:
    """Does what is asked of it, or only notes it, and keeps what failed."""

    def __init__(self, target: Target, views: Views, *, dry_run: bool) -> None:
        self._directory = DeviceDirectory(target.host_root or "/", views.dev.host_path("/"))
        self._host_path = views.dev.host_path
        self._dry_run = dry_run
        self._ran: set[tuple[str, ...] | None] = set()
        self._failures: list[NodeError] = []
        self.actions: list[Action] = []
        self.warnings: list[tuple[str, Remedy]] = []

    @property
    def has_run(self) -> bool:
        """Whether nvidia-modprobe was run."""
        return bool(self._ran)

    def run(self, program: str, commands: list[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
        """Run nvidia-modprobe with each of `commands`; return those that failed, with the reason."""
        failed = {}
        self._ran.update(commands)
        for arguments in commands:
            self.actions.append(Action(action="run", path=program, detail=" ".join(arguments)))
            if not self._dry_run:
                # It makes directories with what the umask leaves.
                (answer,) = run_programs(((program, *arguments),), timeout=_MODPROBE_TIMEOUT, umask=0o022)
                if answer.failure is not None:
                    failed[arguments] = one_line(answer.failure)
        return failed

    def judge(self, program: str, failed: dict[tuple[str, ...], str], nodes: tuple[ExpectedNode, ...]) -> None:
        """Keep a warning for what failed and left something undone.

        It also fails where it made a node, and only the link to it in /dev/char could not be made.
        """
        for arguments, reason in failed.items():
            if any(node.state == "missing" and node.command == arguments for node in nodes):
                remedy = Remedy("what it left is made by mknod")
            elif any(node.state == "module not loaded" and _LOADS[node.module] == arguments for node in nodes):
                remedy = Remedy("see what the kernel log says of NVRM", ("dmesg",))
            else:
                continue
            self.warnings.append((f"{' '.join((program, *arguments))} failed ({reason})", remedy))

    def make(self, node: ExpectedNode) -> None:
        """Make a node if it can be and has to be."""
        if not _can_be_made(node) or node.major is None or (self._dry_run and node.command in self._ran):
            return
        major = node.major
        self._do(
            Action(
                action="make" if node.found is None else "replace",
                path=node.host_path,
                detail=f"{major}:{node.minor}, mode {node.mode:04o}, owner {node.uid}:{node.gid}",
            ),
            lambda: self._directory.make_node(
                node.path, major=major, minor=node.minor, mode=node.mode, uid=node.uid, gid=node.gid
            ),
        )

    def link(self, views: Views, node: ExpectedNode, notes: Notes) -> None:
        """Link /dev/char/<major>:<minor> to a node, if that does not lead to it already."""
        if node.major is None:
            return
        path = f"/dev/char/{node.major}:{node.minor}"
        text = f"../{node.path.removeprefix('/dev/')}"
        host_path = views.dev.host_path(path)
        try:
            target = views.dev.find(path)
            entry = target[1] if target is not None else None
            if entry is not None and (entry.kind, entry.major, entry.minor) == ("char", node.major, node.minor):
                return
            directory = views.dev.resolve("/dev/char")
            there = views.dev.lstat(f"{directory}/{node.major}:{node.minor}") if directory else None
        except UNSEEN as error:
            notes.damaged(host_path, error, f"it is not linked to {node.host_path}")
            return
        if node.found is None and there is not None and there.target in (text, node.host_path):
            return  # it leads to where the node will be
        if there is not None and there.kind != "link":
            notes.add(
                "warning",
                "not-a-link",
                host_path,
                f"{host_path} is a {there.kind} and is left alone",
                hint=f"remove it, so that it can be a link to {node.host_path}",
            )
            return
        self._do(
            Action(action="link", path=host_path, detail=text),
            lambda: self._make_link(node, path, text),
        )

    def _make_link(self, node: ExpectedNode, path: str, text: str) -> None:
        if node.major is not None:
            self._directory.check_numbers(node.path, node.major, node.minor)
        self._directory.make_link(path, text)

    def _do(self, action: Action, make: Callable[[], None]) -> None:
        try:
            if not self._dry_run:
                make()
            self.actions.append(action)
        except NodeError as error:
            self._failures.append(error)

    def raise_failures(self) -> None:
        """Raise a FileError that names what could not be made, if anything."""
        if not self._failures:
            return
        first = self._failures[0]
        others = {error.message: error for error in self._failures if error.reason != first.reason}
        names = names_of(list(dict.fromkeys(error.path for error in self._failures if error.reason == first.reason)))
        error = FileError(
            f"cannot make {names}: {first.reason}",
            hint=first.remedy.hint,
            commands=first.remedy.commands,
            subject=first.subject,
            code=first.code,
        )
        error.findings = tuple(
            Finding(level="warning", code=other.code, subject=other.subject, message=other.message, remedy=other.remedy)
            for other in list(others.values())[:MOST_NAMED]
        )
        raise error


def _is_running_system(target: Target, views: Views) -> bool:
    """Tell whether nvidia-modprobe, which looks at no other roots, would make the nodes of this host."""
    is_whole = views.driver.host_path("/") == views.dev.host_path("/") == "/"
    return is_whole and target.procfs is target.sysfs is None and views.system.host.is_this_machine()


def _loads(_: Views, nodes: tuple[ExpectedNode, ...]) -> list[tuple[str, ...]]:
    """Return what nvidia-modprobe is to be run with to load the modules that nodes lack."""
    modules = dict.fromkeys(
        node.module
        for node in nodes
        # nvidia-modprobe -m would change the mode of a node that is there.
        if node.state == "module not loaded" and node.modify and (node.module != "nvidia-modeset" or not node.found)
    )
    return [_LOADS[module] for module in modules]


def _commands(views: Views, nodes: tuple[ExpectedNode, ...]) -> list[tuple[str, ...]]:
    """Return what nvidia-modprobe is to be run with to make the nodes that are missing, and change no other."""
    # One command can make two nodes (nvidia-uvm, nvidia-uvm-tools): it would give the other one the default mode.
    kept = {node.command for node in nodes if node.state in ("other mode", "wrong device")}
    # It would follow a link in place of a directory.
    kept |= {node.command for node in nodes if views.dev.resolve(_parent(node)) not in (None, _parent(node))}
    wanted = (node.command for node in nodes if node.state == "missing" and node.modify)
    return list(dict.fromkeys(command for command in wanted if command is not None and command not in kept))


def _parent(node: ExpectedNode) -> str:
    return node.path.rpartition("/")[0]


def _can_be_made(node: ExpectedNode) -> bool:
    return node.state in ("missing", "wrong device") and node.modify and node.major is not None
