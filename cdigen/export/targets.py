"""How each engine without CDI is told what to put into a container.

Sources: bwrap(1); Apptainer's "User Guide", "Bind Paths and Mounts"; lxc.container.conf(5) and fstab(5); Incus'
documentation of `raw.lxc`; systemd-nspawn(1); Charliecloud's ch-run(1); docker's and podman's reference of `run`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cdigen.errors import IncompleteError, one_line
from cdigen.findings import Finding
from cdigen.records import Record, replace, to_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cdigen.export.injection import Injection, Node

_BY_PATH = "/dev/dri/by-path/"
"""Names of nodes that are there under another name too: they can be left out."""


class Target(Record):
    """An engine.

    Attributes:
        render: returns arguments of its command line, or lines of its configuration.
        are_arguments: whether they are arguments.
        forbidden: characters that a path cannot have there.
        in_env: characters that the value of a variable cannot have there.
        same_paths: whether a node has to have the host's path.
    """

    render: Callable[[Injection], Iterator[str]]
    are_arguments: bool = True
    forbidden: str = ""
    in_env: str = ""
    same_paths: bool = False


def render_for(name: str, injection: Injection) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Return the arguments or lines of an engine, and what is left out.

    Args:
        name: of `TARGETS`.
        injection: what it is to do.

    Raises:
        IncompleteError: the engine cannot be told something of it.
    """
    target = TARGETS[name]
    nodes = [node for node in injection.nodes if not _can_be_left_out(target, node)]
    left = len(injection.nodes) - len(nodes)
    for path in (
        *(path for bind in injection.binds for path in (bind.host_path, bind.container_path)),
        *(path for node in nodes for path in (node.host_path, node.container_path)),
    ):
        _check(name, "path", path, target.forbidden)
    for variable, value in injection.env:
        _check(name, f"value of {variable}", value, target.in_env)
    for node in nodes:
        if target.same_paths and node.host_path != node.container_path:
            raise _cannot(name, f"{node.host_path} cannot have another path in the container ({node.container_path})")
    message = f"{left} names of DRM nodes by path are left out, which {name} cannot be told"
    finding = Finding(level="note", code="left-out", subject=_BY_PATH, message=message)
    return tuple(target.render(replace(injection, nodes=tuple(nodes)))), (finding,) if left else ()


def _can_be_left_out(target: Target, node: Node) -> bool:
    is_unfit = any(c in target.forbidden for c in node.container_path) or (
        target.same_paths and node.host_path != node.container_path
    )
    return node.container_path.startswith(_BY_PATH) and is_unfit


def _check(name: str, what: str, text: str, forbidden: str) -> None:
    found = [c for c in dict.fromkeys(text) if c in forbidden or c in "\n\0"]
    if found:
        raise _cannot(name, f"the {what} '{one_line(text)}' has {', '.join(map(repr, found))}")


def _cannot(name: str, reason: str) -> IncompleteError:
    return IncompleteError(f"{name} cannot be told this: {one_line(reason)}", code="not-expressible")


def _bwrap(injection: Injection) -> Iterator[str]:
    for bind in injection.binds:
        yield from ("--ro-bind" if bind.is_read_only else "--bind", bind.host_path, bind.container_path)
    for node in injection.nodes:
        yield from ("--dev-bind", node.host_path, node.container_path)
    for name, value in injection.env:
        yield from ("--setenv", name, value)


def _apptainer(injection: Injection) -> Iterator[str]:
    for bind in injection.binds:
        mode = ",ro" if bind.is_read_only else ""
        yield f"--mount=type=bind,source={bind.host_path},destination={bind.container_path}{mode}"
    for node in injection.nodes:
        yield f"--mount=type=bind,source={node.host_path},destination={node.container_path}"
    for name, value in injection.env:
        yield f"--env={name}={value}"


def _docker(injection: Injection) -> Iterator[str]:
    for bind in injection.binds:
        mode = ",readonly" if bind.is_read_only else ""
        yield f"--mount=type=bind,src={bind.host_path},dst={bind.container_path}{mode}"
    for node in injection.nodes:
        yield f"--device={node.host_path}:{node.container_path}:{node.permissions}"
    for name, value in injection.env:
        yield f"--env={name}={value}"


def _nspawn(injection: Injection) -> Iterator[str]:
    def pair(source: str, target: str) -> str:
        return ":".join(path.replace("\\", "\\\\").replace(":", "\\:") for path in (source, target))

    for bind in injection.binds:
        yield f"--bind{'-ro' if bind.is_read_only else ''}={pair(bind.host_path, bind.container_path)}"
    for node in injection.nodes:
        yield f"--bind={pair(node.host_path, node.container_path)}"
    for path in dict.fromkeys(node.host_path for node in injection.nodes):
        yield f"--property=DeviceAllow={path} rw"
    for name, value in injection.env:
        yield f"--setenv={name}={value}"


def _charliecloud(injection: Injection) -> Iterator[str]:
    for bind in injection.binds:
        yield f"--bind={bind.host_path}:{bind.container_path}"
    for name, value in injection.env:
        yield f"--set-env={name}={value}"


def _lxc(injection: Injection) -> Iterator[str]:
    def word(path: str) -> str:
        return "".join(f"\\{ord(c):03o}" if c in " \t\\#" else c for c in path)

    for bind in injection.binds:
        made = "dir" if bind.is_directory else "file"
        mode = "ro," if bind.is_read_only else ""
        options = f"bind,{mode}nosuid,nodev,optional,create={made}"
        yield f"lxc.mount.entry = {word(bind.host_path)} {word(bind.container_path[1:])} none {options} 0 0"
    for node in injection.nodes:
        yield f"lxc.mount.entry = {word(node.host_path)} {word(node.container_path[1:])} none bind,create=file 0 0"
    for node in {(node.kind, node.major, node.minor): node for node in injection.nodes}.values():
        yield f"lxc.cgroup2.devices.allow = {node.kind} {node.major}:{node.minor} {node.permissions}"
    for name, value in injection.env:
        yield f"lxc.environment = {name}={value}"


def _json(injection: Injection) -> Iterator[str]:
    document = {
        "mounts": [to_dict(bind) for bind in injection.binds],
        "devices": [to_dict(node) for node in injection.nodes],
        "env": dict(injection.env),
    }
    yield json.dumps(_camel(document), indent=2)


def _camel(value: object) -> object:
    if isinstance(value, dict):
        return {_camel_word(key): item if key == "env" else _camel(item) for key, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value


def _camel_word(word: str) -> str:
    first, *others = word.split("_")
    return first + "".join(other.capitalize() for other in others)


TARGETS: dict[str, Target] = {
    "bwrap": Target(render=_bwrap),
    "apptainer": Target(render=_apptainer, forbidden=',"', in_env=',"', same_paths=True),
    "lxc": Target(render=_lxc, are_arguments=False),
    "incus": Target(render=_lxc, are_arguments=False),
    "nspawn": Target(render=_nspawn),
    "charliecloud": Target(render=_charliecloud, forbidden=":", same_paths=True),
    "docker": Target(render=_docker, forbidden=',":'),
    "json": Target(render=_json, are_arguments=False),
}
"""By the words of `--for`."""


def quote_all(arguments: Iterable[str]) -> str:
    """Return arguments as lines, each a word for a shell."""
    from shlex import quote

    return "".join(f"{quote(argument)}\n" for argument in arguments)
