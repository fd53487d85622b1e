"""What the engines' configuration says of CDI: on or off, and from which directories.

Sources: containers.conf(5); dockerd(8), daemon.json; containerd, docs/cri/config.md and docs/PLUGINS.md, both
generations; crio.conf(5); nerdctl, docs/config.md; K3s, "Advanced options", and the same of RKE2. A later file counts
more.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cdigen.doctor.diagnosis import UNREADABLE, Diagnosis, diagnosis, unreadable
from cdigen.errors import ParseError
from cdigen.findings import Remedy
from cdigen.parse.text import decode_json, decode_text

if TYPE_CHECKING:
    from cdigen.host import View

_CRI = (("plugins", "io.containerd.grpc.v1.cri"), ("plugins", "io.containerd.cri.v1.runtime"), ("plugins", "cri"))
"""The CRI plugin's table: of configuration version 2, of 3, and of 1."""

_DISABLED_CRI = {"cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"}
_MAX_FILES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """What an engine is told.

    Attributes:
        enabled: whether CDI is switched on or off; None if nothing says so.
        directories: of specs, the one that counts more last; None if nothing says so.
        source: the file that said the last of it, or that would; where to write it.
        generation: of containerd's file, its `version`; None if there is none.
        cri_disabled: whether containerd's CRI plugin is switched off.
        damage: what could not be read.
    """

    enabled: bool | None
    directories: tuple[str, ...] | None
    source: str
    generation: int | None = None
    cri_disabled: bool = False
    damage: tuple[Diagnosis, ...] = ()


def read_config(system: View, whose: str) -> EngineConfig:
    """Return what the configuration of `whose` says: a value of `EngineRow.config`."""
    reader = _Reader(system)
    if whose == "docker":
        reader.docker("/etc/docker/daemon.json")
    elif whose == "containers":
        reader.containers()
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
        self.generation: int | None = None
        self.cri_disabled = False
        self.damage: list[Diagnosis] = []

    def docker(self, path: str) -> None:
        self.source = path
        document = self._load(path)
        self._take(path, _get(document, ("features", "cdi")), _get(document, ("cdi-spec-dirs",)))

    def containers(self) -> None:
        self.source = "/etc/containers/containers.conf"
        for path in (
            "/usr/share/containers/containers.conf",
            self.source,
            *self._drop_ins("/etc/containers/containers.conf.d", ".conf"),
        ):
            self._take(path, None, _get(self._load(path), ("engine", "cdi_spec_dirs")))

    def crio(self) -> None:
        self.source = "/etc/crio/crio.conf"
        for path in (
            self.source,
            *self._drop_ins("/usr/lib/crio/crio.conf.d", ""),
            *self._drop_ins("/etc/crio/crio.conf.d", ""),
        ):
            self._take(path, None, _get(self._load(path), ("crio", "runtime", "cdi_spec_dirs")))

    def nerdctl(self, path: str) -> None:
        self.source = path
        self._take(path, None, _get(self._load(path), ("cdi_spec_dirs",)))

    def containerd(self, path: str) -> None:
        self.source = path
        document = self._load(path)
        if document is None:
            return
        version = _get(document, ("version",))
        self.generation = version if isinstance(version, int) else 1
        self._take_containerd(path, document)
        imports = _get(document, ("imports",))
        for pattern in imports[:_MAX_FILES] if isinstance(imports, list) else ():
            if isinstance(pattern, str) and pattern.startswith("/"):
                directory, _, name = pattern.rpartition("/")
                files = self._drop_ins(directory, name[1:]) if name.startswith("*") else (pattern,)
                for file in files:
                    self._take_containerd(file, self._load(file))

    def _take_containerd(self, path: str, document: object) -> None:
        disabled = _get(document, ("disabled_plugins",))
        if isinstance(disabled, list) and _DISABLED_CRI & {item for item in disabled if isinstance(item, str)}:
            self.cri_disabled = True
            self.source = path
        for table in _CRI:
            self._take(path, _get(document, (*table, "enable_cdi")), _get(document, (*table, "cdi_spec_dirs")))

    def _take(self, path: str, enabled: object, directories: object) -> None:
        if enabled is not None:
            if isinstance(enabled, bool):
                self.enabled, self.source = enabled, path
            else:
                self._wrong(path, "what switches CDI on is not true or false")
        if directories is not None:
            if isinstance(directories, list) and all(isinstance(item, str) for item in directories):
                self.directories, self.source = tuple(cast("list[str]", directories)), path
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

    def _load(self, path: str) -> object:
        """Return the document at `path`; None if there is none, or a damaged one, of which a diagnosis is left."""
        try:
            found = self._system.find(path)
            if found is None or found[1].kind == "dir":
                return None
            data = self._system.read(path)
            if data is None or not data.strip():
                return None
            return decode_json(data) if path.endswith(".json") else _decode_toml(data)
        except UNREADABLE as error:
            self.damage.append(unreadable("engine", path, error))
            return None


def _decode_toml(data: bytes) -> object:
    text = decode_text(data)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise ParseError(f"not TOML: {error}") from error


def _get(document: object, keys: tuple[str, ...]) -> object:
    for key in keys:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document
