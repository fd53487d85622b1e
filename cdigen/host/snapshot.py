"""A host as recorded in a snapshot document: the facts that discovery asked for, and nothing else.

The document's schema is `schemas/snapshot.schema.json`. What it does not mention does not exist on that host.
"""

from __future__ import annotations

import base64
import binascii
import errno
from typing import TYPE_CHECKING, cast

from cdigen.errors import DocumentError, ParseError, one_line
from cdigen.host.host import FORMAT as FORMAT
from cdigen.host.host import NVML_NOT_RECORDED, Entry, Host, HostReadError, Kind, NvmlError, matching
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdigen.facts import AskedPlatform
    from cdigen.parse.elf import ElfFacts
    from cdigen.parse.ldcache import CacheEntry
    from cdigen.parse.nvml import NvmlFacts

SCHEMA = "snapshot"


class Snapshot(Record):
    """A recorded host and how it was looked at.

    Attributes:
        host: answers from the record.
        driver_root: the directory on the host that holds the driver's files.
        dev_root: the directory on the host that holds `dev/`; None if discovery is to choose.
        platform: which kind of machine it is; "auto" if files are to tell.
        generated: of a record, what was asked and which specs were made of the answers; None if it is not one.
    """

    host: SnapshotHost
    driver_root: str
    dev_root: str | None
    platform: AskedPlatform = "auto"
    generated: Mapping[str, object] | None = None


class SnapshotHost(Host):
    """Answers from the `entries` of a snapshot document that obeys the schema."""

    def __init__(self, entries: Mapping[str, Mapping[str, object]]) -> None:
        """Index `entries`, which map absolute paths to what is there."""
        self._entries = entries
        self._children: dict[str, set[str]] = {}
        for path in entries:
            while path != "/":
                parent, _, name = path.rpartition("/")
                path = parent or "/"
                self._children.setdefault(path, set()).add(name)

    @property
    def entries(self) -> Mapping[str, Mapping[str, object]]:
        """What is at each path, as in the document."""
        return self._entries

    def lstat(self, path: str) -> Entry | None:
        """See `Host.lstat`."""
        entry = self._entries.get(path)
        if entry is None:
            if path in self._children or path == "/":
                return Entry(kind="dir")
            # A directory that could not be read may have it.
            self._check(path, self._entries.get(path.rpartition("/")[0] or "/", {}))
            return None
        numbers = [int(number) for number in str(entry.get("rdev", "0:0")).split(":")]
        owner = [int(number) for number in str(entry.get("owner", "0:0")).split(":")]
        return Entry(
            kind=cast("Kind", entry["kind"]),
            mode=int(str(entry.get("mode", "0")), 8),
            target=str(entry.get("to", "")),
            major=numbers[0],
            minor=numbers[1],
            uid=owner[0],
            gid=owner[1],
        )

    def names(self, directory: str, prefixes: tuple[str, ...], suffix: str | None = None) -> tuple[str, ...]:
        """See `Host.names`."""
        self._check(directory, self._entries.get(directory, {}))
        return matching(self._children.get(directory, ()), prefixes, suffix)

    def read(self, path: str) -> bytes:
        """See `Host.read`."""
        entry = self._file(path)
        if "text" in entry:
            return str(entry["text"]).encode()
        if "base64" in entry:
            return base64.b64decode(str(entry["base64"]))
        raise HostReadError(path, "the snapshot does not have its content")

    def elf(self, path: str) -> ElfFacts:
        """See `Host.elf`."""
        from cdigen.parse.elf import ElfFacts

        entry = self._file(path)
        if "damaged" in entry:
            raise ParseError(one_line(str(entry["damaged"])))
        if "elf" not in entry:
            raise HostReadError(path, "the snapshot does not have its ELF headers")
        facts = cast("Mapping[str, object]", entry["elf"])
        needed = cast("list[str] | None", facts.get("needed"))
        versions = cast("dict[str, list[str]] | None", facts.get("versions"))
        return ElfFacts(
            bits=cast("int", facts["bits"]),
            machine=cast("str", facts["machine"]),
            kind=cast("str", facts.get("kind", "shared")),
            soname=cast("str | None", facts.get("soname")),
            needed=None if needed is None else tuple(needed),
            versions=None if versions is None else tuple((k, tuple(v)) for k, v in versions.items()),
            runpath=tuple(cast("list[str]", facts.get("runpath", []))),
        )

    def linker_cache(self, path: str, prefixes: tuple[str, ...]) -> tuple[CacheEntry, ...]:
        """See `Host.linker_cache`."""
        from cdigen.parse.ldcache import CacheEntry

        entry = self._file(path)
        if "damaged" in entry:
            raise ParseError(one_line(str(entry["damaged"])))
        if "linker_cache" not in entry:
            raise HostReadError(path, "the snapshot does not have its entries")
        rows = cast("list[tuple[str, int, str]]", entry["linker_cache"])
        return tuple(
            CacheEntry(name=name, flags=flags, path=target, hwcap=0)
            for name, flags, target in rows
            if name.startswith(prefixes)
        )

    def nvml(self, path: str) -> NvmlFacts:
        """See `Host.nvml`."""
        entry = self._entries.get(path, {})
        if "nvml" not in entry:
            raise NvmlError("the snapshot has no answer of NVML", code=NVML_NOT_RECORDED)
        from cdigen.host.nvml import read_answer

        try:
            return read_answer(entry["nvml"])
        except ParseError as error:
            raise NvmlError(str(error)) from error

    def _file(self, path: str) -> Mapping[str, object]:
        entry = self._entries.get(path)
        if entry is None:
            raise HostReadError(path, "No such file or directory", number=errno.ENOENT)
        self._check(path, entry)
        if entry["kind"] != "file":
            raise HostReadError(path, "not a regular file")
        return entry

    @staticmethod
    def _check(path: str, entry: Mapping[str, object]) -> None:
        if "unreadable" in entry:
            number = getattr(errno, str(entry["errno"]), errno.EIO) if "errno" in entry else None
            raise HostReadError(path, one_line(str(entry["unreadable"])), number=number)


def load_snapshot(data: bytes, name: str) -> Snapshot:
    """Return the host that a snapshot document describes.

    Args:
        data: the YAML or JSON document.
        name: how messages call it, usually its path.

    Raises:
        DocumentError: it cannot be parsed or does not obey `schemas/snapshot.schema.json`; every violation is
            named with its place.
    """
    from cdigen.parse.document import parse_document
    from cdigen.schema import find_schema_violations, summarise

    name = one_line(name)
    try:
        document = parse_document(data)
    except ParseError as error:
        raise DocumentError(
            f"{name}: {error}",
            hint="record it again with",
            commands=("cdigen snapshot",),
            subject=name,
        ) from error
    violations = find_schema_violations(document, SCHEMA)
    if violations:
        raise DocumentError(
            f"{name} is not a snapshot: {summarise(violations)}",
            hint="record it again with",
            commands=("cdigen snapshot",),
            subject=name,
        )
    fields = cast("dict[str, object]", document)
    entries = cast("dict[str, dict[str, object]]", fields["entries"])
    for path, entry in entries.items():
        try:
            base64.b64decode(str(entry.get("base64", "")), validate=True)
        except binascii.Error as error:
            raise DocumentError(f"{name}: {one_line(path)}: base64: {error}") from error
        if "nvml" in entry:
            _check_nvml(entry["nvml"], f"{name}: {one_line(path)}")
    return Snapshot(
        host=SnapshotHost(entries),
        driver_root=str(fields.get("driver_root", "/")),
        dev_root=cast("str | None", fields.get("dev_root")),
        platform=cast("AskedPlatform", fields.get("platform", "auto")),
        generated=cast("Mapping[str, object] | None", fields.get("generated")),
    )


def _check_nvml(document: object, place: str) -> None:
    """Refuse what the schema cannot: the same GPU or the same instance twice, and the like."""
    from cdigen.host.nvml import read_answer

    try:
        read_answer(document)
    except NvmlError:
        return  # a failure is an answer too
    except ParseError as error:
        raise DocumentError(f"{place}: nvml: {error}") from error
