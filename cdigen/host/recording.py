"""A host that notes every fact it is asked for, so that a snapshot of it can be written."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from cdigen.errors import ParseError
from cdigen.host.host import FORMAT, NVML_NOT_ASKED, Entry, Host, HostReadError, NvmlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdigen.facts import AskedPlatform
    from cdigen.parse.elf import ElfFacts
    from cdigen.parse.ldcache import CacheEntry
    from cdigen.parse.nvml import NvmlFacts


MAX_PATH = 4096
"""The longest path that a snapshot has: PATH_MAX of the kernel, include/uapi/linux/limits.h."""


class RecordingHost(Host):
    """Wraps a host; `to_document` returns what it was asked, in the format of `SnapshotHost`."""

    def __init__(self, host: Host) -> None:
        """Record what `host` answers."""
        self._host = host
        self._entries: dict[str, dict[str, object]] = {}

    def lstat(self, path: str) -> Entry | None:
        """See `Host.lstat`."""
        try:
            entry = self._host.lstat(path)
        except HostReadError as error:
            self._note(error.path.rpartition("/")[0] or "/", "dir", **_why(error))
            raise
        if entry is not None and path != "/":
            facts: dict[str, object] = {}
            if entry.kind == "link":
                # A name that is not UTF-8 is never recorded, so what leads to it leads to nothing here.
                facts["to"] = entry.target.encode(errors="backslashreplace").decode()
            if entry.kind in ("char", "block"):
                facts = {"rdev": f"{entry.major}:{entry.minor}", "mode": f"{entry.mode:04o}"}
                if (entry.uid, entry.gid) != (0, 0):
                    facts["owner"] = f"{entry.uid}:{entry.gid}"
            self._note(path, entry.kind, **facts)
        return entry

    def names(self, directory: str, prefixes: tuple[str, ...], suffix: str | None = None) -> tuple[str, ...]:
        """See `Host.names`. What matches is noted with its kind."""
        try:
            names = self._host.names(directory, prefixes, suffix)
        except HostReadError as error:
            self._note(directory, "dir", **_why(error))
            raise
        for name in names:
            self.lstat(f"{directory.rstrip('/')}/{name}")
        return names

    def read(self, path: str) -> bytes:
        """See `Host.read`."""
        try:
            data = self._host.read(path)
        except HostReadError as error:
            self._note_unreadable(path, error)
            raise
        try:
            text = data.decode()
        except UnicodeDecodeError:
            import base64

            self._note(path, "file", base64=base64.b64encode(data).decode())
        else:
            self._note(path, "file", text=text)
        return data

    def elf(self, path: str) -> ElfFacts:
        """See `Host.elf`."""
        try:
            facts = self._host.elf(path)
        except HostReadError as error:
            self._note_unreadable(path, error)
            raise
        except ParseError as error:
            self._note(path, "file", damaged=str(error))
            raise
        elf: dict[str, object] = {"bits": facts.bits, "machine": facts.machine}
        if facts.kind != "shared":
            elf["kind"] = facts.kind
        if facts.soname is not None:
            elf["soname"] = facts.soname
        if facts.needed is not None:
            elf["needed"] = list(facts.needed)
        if facts.versions is not None:
            elf["versions"] = {file: list(versions) for file, versions in facts.versions}
        if facts.runpath:
            elf["runpath"] = list(facts.runpath)
        self._note(path, "file", elf=elf)
        return facts

    def linker_cache(self, path: str, prefixes: tuple[str, ...]) -> tuple[CacheEntry, ...]:
        """See `Host.linker_cache`. Only the entries that were asked for are noted."""
        try:
            entries = self._host.linker_cache(path, prefixes)
        except HostReadError as error:
            self._note_unreadable(path, error)
            raise
        except ParseError as error:
            self._note(path, "file", damaged=str(error))
            raise
        self._note(path, "file", linker_cache=[[entry.name, entry.flags, entry.path] for entry in entries])
        return entries

    def nvml(self, path: str) -> NvmlFacts:
        """See `Host.nvml`. A failure is noted as well."""
        from cdigen.parse.nvml import render_nvml
        from cdigen.parse.nvml_values import MAX_TEXT

        try:
            facts = self._host.nvml(path)
        except HostReadError as error:
            self._note_unreadable(path, error)
            raise
        except NvmlError as error:
            # Not where nobody has asked: that is true of this record too. Nor where there is no file.
            if error.code not in NVML_NOT_ASKED and path in self._entries:
                self._note(path, "file", nvml={"failed": error.reason[:MAX_TEXT]})
            raise
        self._note(path, "file", nvml=render_nvml(facts))
        return facts

    def has_own_procfs(self) -> bool:
        """See `Host.has_own_procfs`."""
        return self._host.has_own_procfs()

    def is_this_machine(self) -> bool:
        """See `Host.is_this_machine`."""
        return self._host.is_this_machine()

    def wake(self, path: str) -> bool:
        """See `Host.wake`. Not noted: what it changes is what is read afterwards."""
        return self._host.wake(path)

    @property
    def entries(self) -> Mapping[str, Mapping[str, object]]:
        """What was noted so far, by path, as in the document, but with the directories that others imply."""
        return self._entries

    def to_document(
        self,
        *,
        driver_root: str,
        dev_root: str | None,
        platform: AskedPlatform = "auto",
        note: str = "",
        generated: Mapping[str, object] | None = None,
    ) -> dict[str, object]:
        """Return the snapshot document of everything that was asked, sorted by path.

        Args:
            driver_root: see `cdigen.host.snapshot.Snapshot`.
            dev_root: likewise.
            platform: likewise.
            note: free text for the reader, e.g. where the facts come from.
            generated: likewise.
        """
        document: dict[str, object] = {"cdigen_snapshot": FORMAT}
        if note:
            document["note"] = note
        if generated is not None:
            document["generated"] = generated
        document["driver_root"] = driver_root
        if dev_root is not None:
            document["dev_root"] = dev_root
        if platform != "auto":
            document["platform"] = platform
        parents = {path.rpartition("/")[0] for path in self._entries}
        document["entries"] = {
            path: entry
            for path, entry in sorted(self._entries.items())
            # A directory that another path implies is left out: it would say nothing.
            if entry != {"kind": "dir"} or path not in parents
        }
        return document

    def _note(self, path: str, kind: str, **facts: object) -> None:
        if len(path) > MAX_PATH:  # found one part at a time; nobody can name it, and no engine mounts it
            return
        try:
            path.encode()
        except UnicodeEncodeError:  # a name that is not UTF-8: no text document can hold it, no spec takes it
            return
        entry = self._entries.setdefault(path, {"kind": kind})
        entry["kind"] = kind
        entry.update(facts)

    def _note_unreadable(self, path: str, error: HostReadError) -> None:
        if path in self._entries:  # absent or not a regular file is a fact of lstat
            self._note(path, str(self._entries[path]["kind"]), **_why(error))


def _why(error: HostReadError) -> dict[str, object]:
    """Return what an entry says of an error."""
    if error.number is None:
        return {"unreadable": error.reason}
    return {"unreadable": error.reason, "errno": errno.errorcode.get(error.number, "EIO")}
