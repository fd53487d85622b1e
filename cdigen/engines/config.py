"""What the engines' configuration says of CDI: on or off, and from which directories.

Sources: containers.conf(5), "Appending to string arrays"; from podman 6 on containers-config(5); dockerd(8),
daemon.json; containerd, docs/cri/config.md and docs/PLUGINS.md, both generations; crio.conf(5); nerdctl,
docs/config.md; K3s, "Advanced options", and the same of RKE2. A later file counts more.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, cast

from cdigen.diagnosis import Diagnosis, diagnosis, unreadable
from cdigen.errors import ParseError
from cdigen.findings import Remedy
from cdigen.host import UNREADABLE
from cdigen.parse.text import decode_json, decode_text
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.host import View

CRI_TABLES = {
    2: ("plugins", "io.containerd.grpc.v1.cri"),
    3: ("plugins", "io.containerd.cri.v1.runtime"),
    1: ("plugins", "cri"),
}
"""The CRI plugin's table by the version of the configuration, in the order in which they are read."""

_DISABLED_CRI = {name for _, name in CRI_TABLES.values()}
_MAX_FILES = 64

_CONTAINERS = ("/usr/share/containers", "/etc/containers", "/root/.config/containers")
"""Where containers.conf of an engine that runs as root is; the last counts most."""


class EngineConfig(Record):
    """What an engine is told.

    Attributes:
        enabled: whether CDI is switched on or off; None if nothing says so.
        directories: of specs, the one that counts more last; None if nothing says so.
        keeps_default: whether they are read after those that are read if nothing says so.
        source: the file that said the last of it, or that would; where to write it.
        generation: of containerd's file, its `version`; None if there is none.
        cri_disabled: whether containerd's CRI plugin is switched off.
        damage: what could not be read.
    """

    enabled: bool | None
    directories: tuple[str, ...] | None
    source: str
    keeps_default: bool = False
    generation: int | None = None
    cri_disabled: bool = False
    damage: tuple[Diagnosis, ...] = ()


def read_config(system: View, whose: str, *, has_one_main_file: bool = False) -> EngineConfig:
    """Return what the configuration of an engine says.

    Args:
        system: the host.
        whose: a value of `EngineRow.config`.
        has_one_main_file: whether it reads containers.conf as podman does from 6 on.
    """
    reader = _Reader(system)
    if whose == "docker":
        reader.docker("/etc/docker/daemon.json")
    elif whose == "containers":
        (reader.containers_of_one_main_file if has_one_main_file else reader.containers)()
    elif whose == "crio":
        reader.crio()
    elif whose == "nerdctl":
        reader.nerdctl("/etc/nerdctl/nerdctl.toml")
    elif whose == "containerd":
        reader.containerd("/etc/containerd/config.toml")
    else:
        reader.containerd(f"/var/lib/rancher/{whose}/agent/etc/containerd/config.toml")
    return EngineConfig(
        enabled=reader.enabled,
        directories=reader.directories,
        keeps_default=reader.keeps_default,
        source=reader.source,
        generation=reader.generation,
        cri_disabled=reader.cri_disabled,
        damage=tuple(reader.damage),
    )


class _Reader:
    """Reads files in turn; what each says replaces what was said before."""

    def __init__(self, system: View) -> None:
        self._system = system
        self.enabled: bool | None = None
        self.directories: tuple[str, ...] | None = None
        self.source = ""
        self.keeps_default = False
        self._appends = False
        self.generation: int | None = None
        self.cri_disabled = False
        self.damage: list[Diagnosis] = []

    def docker(self, path: str) -> None:
        self.source = path
        document = self._load(path)
        self._take(path, get_in(document, ("features", "cdi")), get_in(document, ("cdi-spec-dirs",)))

    def containers(self) -> None:
        """Read every main file, each followed by its drop-ins."""
        self.source = f"{_CONTAINERS[1]}/containers.conf"
        self._take_containers(
            f"{_CONTAINERS[0]}/containers.conf",
            *(
                path
                for place in _CONTAINERS[1:]
                for path in (f"{place}/containers.conf", *self._drop_ins(f"{place}/containers.conf.d", ".conf"))
            ),
        )

    def containers_of_one_main_file(self) -> None:
        """Read the main file that counts most, then the drop-ins of all places by name, of one name the last."""
        self.source = f"{_CONTAINERS[1]}/containers.conf"
        mains = [path for path in (f"{place}/containers.conf" for place in _CONTAINERS) if self._is_there(path)]
        kinds = ("containers.conf.d", "containers.rootful.conf.d")
        drop_ins = {
            path.rpartition("/")[2]: path
            for place in _CONTAINERS
            for kind in kinds
            for path in self._drop_ins(f"{place}/{kind}", ".conf")
        }
        self._take_containers(*mains[-1:], *(path for _, path in sorted(drop_ins.items())))

    def _take_containers(self, *paths: str) -> None:
        for path in paths:
            directories = get_in(self._load(path), ("engine", "cdi_spec_dirs"))
            self._take(path, None, self._without_attributes(path, directories))

    def _without_attributes(self, path: str, value: object) -> object:
        """Return an array without its attributes, which hold for this file and those that follow."""
        if not isinstance(value, list):
            return value
        attributes = [item for item in value if isinstance(item, dict)]
        for attribute in attributes:
            if attribute.keys() != {"append"} or not isinstance(attribute["append"], bool):
                return value  # which is told as damaged
            self._appends = attribute["append"]
        return [item for item in value if not isinstance(item, dict)]

    def crio(self) -> None:
        self.source = "/etc/crio/crio.conf"
        for path in (
            self.source,
            *self._drop_ins("/usr/lib/crio/crio.conf.d", ""),
            *self._drop_ins("/etc/crio/crio.conf.d", ""),
        ):
            self._take(path, None, get_in(self._load(path), ("crio", "runtime", "cdi_spec_dirs")))

    def nerdctl(self, path: str) -> None:
        self.source = path
        self._take(path, None, get_in(self._load(path), ("cdi_spec_dirs",)))

    def containerd(self, path: str) -> None:
        self.source = path
        document = self._load(path)
        if document is None:
            return
        version = get_in(document, ("version",))
        self.generation = version if isinstance(version, int) else 1
        self._take_containerd(path, document)
        imports = get_in(document, ("imports",))
        for pattern in imports[:_MAX_FILES] if isinstance(imports, list) else ():
            if isinstance(pattern, str):
                if not pattern.startswith("/"):  # relative to this file
                    pattern = f"{path.rpartition('/')[0]}/{pattern}"
                directory, _, name = pattern.rpartition("/")
                files = self._drop_ins(directory, name[1:]) if name.startswith("*") else (pattern,)
                for file in files:
                    self._take_containerd(file, self._load(file))

    def _take_containerd(self, path: str, document: object) -> None:
        disabled = get_in(document, ("disabled_plugins",))
        if isinstance(disabled, list) and _DISABLED_CRI & {item for item in disabled if isinstance(item, str)}:
            self.cri_disabled = True
            self.source = path
        for table in CRI_TABLES.values():
            self._take(path, get_in(document, (*table, "enable_cdi")), get_in(document, (*table, "cdi_spec_dirs")))

    def _take(self, path: str, enabled: object, directories: object) -> None:
        if enabled is not None:
            if isinstance(enabled, bool):
                self.enabled, self.source = enabled, path
            else:
                self._wrong(path, "what switches CDI on is not true or false")
        if directories is not None:
            if isinstance(directories, list) and all(isinstance(item, str) for item in directories):
                taken = tuple(cast("list[str]", directories))
                if self._appends and self.directories is None:
                    self.keeps_default = True
                elif self._appends:
                    taken = (*cast("tuple[str, ...]", self.directories), *taken)
                else:
                    self.keeps_default = False
                self.directories, self.source = taken, path
            else:
                self._wrong(path, "the directories of CDI specs are not a list of strings")

    def _wrong(self, path: str, message: str) -> None:
        self.damage.append(
            diagnosis("engine", path, "problem", "damaged", f"damaged: {message}", Remedy(f"correct {path}"))
        )

    def _drop_ins(self, directory: str, suffix: str) -> tuple[str, ...]:
        try:
            names = self._system.names(directory)
        except UNREADABLE as error:
            self.damage.append(unreadable("engine", directory, error))
            return ()
        return tuple(f"{directory}/{name}" for name in names if name.endswith(suffix) and name[0] != ".")[:_MAX_FILES]

    def _is_there(self, path: str) -> bool:
        try:
            return self._system.find(path) is not None
        except UNREADABLE as error:
            self.damage.append(unreadable("engine", path, error))
            return False

    def _load(self, path: str) -> object:
        """Return the document at `path`; None if there is none, or a damaged one, of which a diagnosis is left."""
        try:
            found = self._system.find(path)
            if found is None or found[1].kind == "dir":
                return None
            data = self._system.read(path)
            if data is None or not data.strip():
                return None
            return decode_json(data) if path.endswith(".json") else decode_toml(data)
        except UNREADABLE as error:
            self.damage.append(unreadable("engine", path, error))
            return None


def decode_toml(data: bytes) -> object:
    """Return a TOML document; raises ParseError."""
    text = decode_text(data)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise ParseError(f"not TOML: {error}") from error


def get_in(document: object, keys: tuple[str, ...]) -> object:
    """Return what is below `keys` in a document of tables in tables; None if there is nothing."""
    for key in keys:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document
