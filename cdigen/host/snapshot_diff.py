"""Two snapshots' entries compared: what differs between them, as text."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, cast

from cdigen.parse.procfs import PROC_DEVICES, PROC_GPUS
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_DENIED = ("EACCES", "EPERM")
_MOST_SHOWN = 160  # characters of each side of a change
_SHOWN_BEFORE = 20  # of these, characters before the first that differs

_VOLATILE = ("IRQ:", "Video BIOS:", "GPU Firmware:")
"""Lines of a GPU in procfs that change by themselves, and of which no spec has anything: the interrupt at every boot,
the others when a program opens a GPU that none had open (NVIDIA's open kernel modules, osapi.c, rm_get_vbios_version
and rm_get_firmware_version)."""

_KINDS = {"file": "file", "dir": "directory", "socket": "socket", "fifo": "pipe"}
_NODES = {"char": "character device", "block": "block device"}


class Change(Record):
    """One fact that differs.

    Attributes:
        path: the entry's path on the host.
        fact: which of its facts, such as "SONAME"; empty for what it is.
        old, new: as text, cut where it is long; None where there is nothing.
    """

    path: str
    fact: str
    old: str | None
    new: str | None


class Comparison(Record):
    """Everything that differs.

    Attributes:
        changes: sorted by path.
        denied: the paths that one side has and the other was not allowed to look at.
    """

    changes: tuple[Change, ...]
    denied: tuple[str, ...]


def compare_entries(
    old: Mapping[str, Mapping[str, object]], new: Mapping[str, Mapping[str, object]], *, with_gone: bool = True
) -> Comparison:
    """Compare the entries of two snapshot documents.

    A fact counts only where both sides were asked for it: a file whose ELF headers only one side knows has not changed.
    What is there, and to what links lead, both always know.

    Args:
        old: the entries before.
        new: those now.
        with_gone: whether what `new` does not have is gone; else that is not known.
    """
    before, after = _Entries(old), _Entries(new)
    changes: list[Change] = []
    denied: list[str] = []
    for path in sorted({*old, *new}):
        one, other = before.get(path), after.get(path)
        if one == other or (other is None and not with_gone):
            continue
        if before.is_hidden(path) or after.is_hidden(path):
            denied.append(path)
            continue
        changes += _compare(path, one, other)
    return Comparison(changes=tuple(changes), denied=tuple(denied))


class _Entries:
    """The entries of one document; the directories above them are there without being listed."""

    def __init__(self, entries: Mapping[str, Mapping[str, object]]) -> None:
        self._entries = entries
        self._implied: set[str] = set()
        for path in entries:
            for directory in _ancestors(path):
                if directory in self._implied:
                    break
                self._implied.add(directory)

    def get(self, path: str) -> Mapping[str, object] | None:
        return self._entries.get(path) or ({"kind": "dir"} if path in self._implied else None)

    def is_hidden(self, path: str) -> bool:
        """Tell whether this side may not look at `path` or, if it has nothing there, at a directory above."""
        places = [path] if self.get(path) is not None else [path, *_ancestors(path)]
        return any(self._entries.get(place, {}).get("errno") in _DENIED for place in places)


def _ancestors(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition("/")[0]
        yield path or "/"


def _compare(path: str, old: Mapping[str, object] | None, new: Mapping[str, object] | None) -> Iterator[Change]:
    before, after = _what_it_is(old), _what_it_is(new)
    if before != after:
        yield _change(path, "", before, after)
    if old is None or new is None or old["kind"] != new["kind"]:
        return
    for fact in ("mode", "owner"):
        yield from _of_both(path, fact, old, new)
    if old.get("unreadable") != new.get("unreadable"):
        yield _change(path, "", _readable(old), _readable(new))
    yield from _compare_texts(path, _lines(old), _lines(new))
    yield from _compare_facts(path, *_elf_facts(old, new))
    yield from _compare_facts(path, _cache_facts(old), _cache_facts(new))
    yield from _compare_facts(path, _nvml_facts(old), _nvml_facts(new))


def _compare_facts(path: str, old: dict[str, str] | None, new: dict[str, str] | None) -> Iterator[Change]:
    if old is None or new is None:
        return
    for fact in sorted({*old, *new}):
        if old.get(fact) != new.get(fact):
            yield _change(path, fact, old.get(fact), new.get(fact))


def _what_it_is(entry: Mapping[str, object] | None) -> str | None:
    if entry is None:
        return None
    kind = str(entry["kind"])
    if kind == "link":
        return f"link to {entry['to']}"
    return f"{_NODES[kind]} {entry['rdev']}" if kind in _NODES else _KINDS[kind]


def _of_both(path: str, fact: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Change]:
    default = "0:0" if fact == "owner" else None
    before, after = old.get(fact, default), new.get(fact, default)
    if before is not None and after is not None and before != after:
        yield _change(path, fact, str(before), str(after))


def _readable(entry: Mapping[str, object]) -> str:
    return f"unreadable: {entry['unreadable']}" if "unreadable" in entry else "readable"


def _lines(entry: Mapping[str, object]) -> list[str] | None:
    """Return the lines of a small file's content; None if it is not known."""
    if "base64" in entry:
        from base64 import b64decode

        text = b64decode(str(entry["base64"])).decode(errors="backslashreplace")
    elif "text" in entry:
        text = str(entry["text"])
    else:
        return None
    return text.removesuffix("\n").split("\n")


def _compare_texts(path: str, old: Sequence[str] | None, new: Sequence[str] | None) -> Iterator[Change]:
    """Yield the first line that differs."""
    if old is None or new is None or old == new:
        return
    nothing = (0, None)
    for one, other in zip_longest(_that_count(path, old), _that_count(path, new), fillvalue=nothing):
        (number, before), (other_number, after) = one, other
        if before != after:
            yield _change(path, f"line {number or other_number}", before, after)
            return


def _that_count(path: str, lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file in which a change says something of the driver, with their numbers."""
    for number, line in enumerate(lines, start=1):
        if path == PROC_DEVICES:  # of all drivers of the kernel; see find_majors
            counts = line.strip().partition(" ")[2].startswith("nvidia")
        else:
            counts = not (path.startswith(f"{PROC_GPUS}/") and line.startswith(_VOLATILE))
        if counts:
            yield number, line


def _elf_facts(*entries: Mapping[str, object]) -> list[dict[str, str] | None]:
    """Return what is known of the ELF headers of all the entries, for each; None where nothing is."""
    if any("damaged" in entry for entry in entries):
        return [_elf_kind(entry) for entry in entries]
    headers = [cast("Mapping[str, object]", entry["elf"]) for entry in entries if "elf" in entry]
    if len(headers) < len(entries):
        return [None for _ in entries]
    known = set.intersection(*(set(header) for header in headers))
    return [_header_facts(header, known) for header in headers]


def _elf_kind(entry: Mapping[str, object]) -> dict[str, str] | None:
    if "damaged" in entry:
        return {"ELF": f"damaged: {entry['damaged']}"}
    if "elf" not in entry:
        return None
    header = cast("Mapping[str, object]", entry["elf"])
    return {"ELF": f"{header['bits']}-bit {header['machine']} {header.get('kind', 'shared')}"}


def _header_facts(header: Mapping[str, object], known: set[str]) -> dict[str, str]:
    facts = _elf_kind({"elf": header}) or {}
    if "soname" in header:
        facts["SONAME"] = str(header["soname"])
    facts["runpath"] = " ".join(cast("list[str]", header.get("runpath", [])))
    if "needed" in known:
        facts["needed"] = " ".join(cast("list[str]", header["needed"]))
    if "versions" in known:
        for file, versions in cast("Mapping[str, list[str]]", header["versions"]).items():
            facts[f"versions of {file}"] = " ".join(versions)
    return facts


def _cache_facts(entry: Mapping[str, object]) -> dict[str, str] | None:
    if "linker_cache" not in entry:
        return None
    paths: dict[str, list[str]] = {}
    for name, flags, path in cast("list[tuple[str, int, str]]", entry["linker_cache"]):
        paths.setdefault(f"{name} (flags {flags:#x})", []).append(path)
    return {fact: " ".join(found) for fact, found in paths.items()}


def _nvml_facts(entry: Mapping[str, object]) -> dict[str, str] | None:
    answer = cast("Mapping[str, object]", entry.get("nvml", {"failed": ""}))
    if "failed" in answer:
        return None
    facts: dict[str, str] = {"NVML, problems": " ".join(cast("list[str]", answer.get("problems", [])))}
    if "driver_version" in answer:
        facts["NVML, driver version"] = str(answer["driver_version"])
    for gpu in cast("list[Mapping[str, object]]", answer["gpus"]):
        name = f"NVML, GPU {gpu['bdf']}"
        facts[name] = "known"
        facts.update({f"{name}, {key}": str(value) for key, value in gpu.items() if key not in ("bdf", "mig")})
        for instance in cast("list[Mapping[str, object]]", gpu.get("mig", [])):
            place = f"{name}, MIG {instance['gpu_instance']}/{instance['compute_instance']}"
            facts.update({f"{place}, {key}": str(value) for key, value in instance.items() if "instance" not in key})
    return facts


def _change(path: str, fact: str, old: str | None, new: str | None) -> Change:
    """Return the change; where a side is long, both are cut to what is around the first difference."""
    if max(len(old or ""), len(new or "")) > _MOST_SHOWN:
        pairs = enumerate(zip_longest(old or "", new or ""))
        start = max(0, next(at for at, (one, other) in pairs if one != other) - _SHOWN_BEFORE)
        old, new = (None if side is None else _cut(side, start) for side in (old, new))
    return Change(path=path, fact=fact, old=old, new=new)


def _cut(text: str, start: int) -> str:
    end = start + _MOST_SHOWN
    return f"{'…' if start else ''}{text[start:end]}{'…' if len(text) > end else ''}"
