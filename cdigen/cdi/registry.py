"""The specs of spec directories, and which of them a device's name leads to.

The rules are those of the CDI project (pkg/cdi/cache.go and spec-dirs.go of
github.com/cncf-tags/container-device-interface): a spec is a `.json` or `.yaml` file right in a directory; of a
device that several directories have, the later directory's counts; a device that two files of one directory have is
lost, also where a later directory has it too.

A file that is not a valid spec is passed over, as engines do. Whoever asks for a device that is then missing is told
all that is wrong with every file that could have had it: one of that kind, or one whose kind cannot be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES
from cdigen.errors import DocumentError, one_line, shell_word
from cdigen.findings import Finding, Remedy
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


_NEAR = 3  # names that an error offers
_MAX_COMPARED = 1000  # names that are looked at for near ones
_MAX_LENGTH = 128  # of a name that has near ones: comparing is quadratic
_MIN_LIKENESS = 0.6
_MIN_LIKENESS_OF_VENDORS = 0.8  # amd.com is no nvidia.com, however much the rest of the names is alike


class SpecFile(Record):
    """One file of a spec directory.

    Attributes:
        path: its directory's path, as it was given, and its name.
        rank: the position of the directory: a higher one counts more.
        kind: the kind of its devices; None if it cannot be told.
        document: the spec as engines hold it; None if they do not take the file.
        problems: why they do not, one line each, with the path.
        reason: the same in a clause, without the path.
        declared: what the file says, also where they do not take it; None if it cannot be read at all.
    """

    path: str
    rank: int
    kind: str | None
    document: Mapping[str, object] | None
    problems: tuple[str, ...] = ()
    reason: str = ""
    declared: Mapping[str, object] | None = None


class SourcedEdits(Record):
    """Container edits and what asks for them.

    Attributes:
        source: the device's name, or the path of the spec whose every device brings them.
        edits: the `containerEdits` of a valid spec.
    """

    source: str
    edits: Mapping[str, object]


class Registry:
    """What spec directories offer.

    Attributes:
        directories: their paths, the one that counts more last.
        files: the files in them, valid or not, by directory and then by name.
    """

    def __init__(self, directories: Sequence[str], files: Iterable[SpecFile]) -> None:
        self.directories = tuple(directories)
        self.files = tuple(files)
        self._providers: dict[str, list[tuple[SpecFile, Mapping[str, object]]]] = {}
        for file in self.files:
            for name, edits in _find_devices(file):
                self._providers.setdefault(name, []).append((file, edits))

    def devices(self) -> tuple[str, ...]:
        """Return the qualified names of all devices, sorted; also of those that files of one directory dispute."""
        return tuple(sorted(self._providers))

    def providers(self, name: str) -> tuple[SpecFile, ...]:
        """Return the valid specs that have the device `name`, the ones that count more last."""
        return tuple(file for file, _ in self._providers.get(name, ()))

    def disputing(self, name: str) -> tuple[SpecFile, ...]:
        """Return the files of one directory that all have the device `name`, which is lost for that; () for none."""
        for rank in dict.fromkeys(file.rank for file in self.providers(name)):
            files = tuple(file for file in self.providers(name) if file.rank == rank)
            if len(files) > 1:
                return files
        return ()

    def winner(self, name: str) -> SpecFile | None:
        """Return the file from which engines take the device `name`; None if they take it from none."""
        providers = self.providers(name)
        return None if not providers or self.disputing(name) else providers[-1]

    def resolve(self, names: Iterable[str]) -> tuple[SourcedEdits, ...]:
        """Return the edits that give the devices, in the order in which they are applied.

        Args:
            names: qualified names, `vendor/class=name`. One that is repeated counts once.

        Returns:
            For every device its own edits, and the first time that a spec is used, that spec's before them.

        Raises:
            DocumentError: a device is unknown, or in two files of one directory. All such devices are
                named, with the near ones; its findings are all that is wrong with the files that could have had them.
        """
        found: list[SourcedEdits] = []
        reasons: list[tuple[str, Remedy]] = []
        unknown: list[str] = []
        used: set[str] = set()
        for name in dict.fromkeys(names):
            disputing = self.disputing(name)
            if disputing:
                paths = " and ".join(one_line(file.path) for file in disputing)
                message = f"{one_line(name)} is in {paths}, which count the same"
                reasons.append((message, Remedy("remove it from all but one of them")))
            elif name in self._providers:
                file, edits = self._providers[name][-1]
                if file.path not in used:
                    used.add(file.path)
                    common = (file.document or {}).get("containerEdits", {})
                    found.append(SourcedEdits(source=file.path, edits=cast("Mapping[str, object]", common)))
                found.append(SourcedEdits(source=name, edits=edits))
            else:
                unknown.append(name)
                reasons.append(self._explain_unknown(name))
        if reasons:
            remedies = sorted((remedy for _, remedy in reasons), key=lambda remedy: bool(remedy.commands))
            error = DocumentError(
                "; ".join(message for message, _ in reasons),
                hint="; ".join(dict.fromkeys(remedy.hint for remedy in remedies)),
                commands=tuple(dict.fromkeys(command for remedy in remedies for command in remedy.commands)),
                code="unresolvable-device",
            )
            error.findings = tuple(
                Finding(level="error", code="unusable-spec", subject=file.path, message=problem)
                for file in self.suspects(unknown)
                for problem in file.problems
            )
            raise error
        return tuple(found)

    def suspects(self, names: Iterable[str]) -> tuple[SpecFile, ...]:
        """Return the files that are not valid and could have had a device of `names`."""
        kinds = {name.partition("=")[0] for name in names}
        return tuple(
            file for file in self.files if file.document is None and kinds and (file.kind is None or file.kind in kinds)
        )

    def _explain_unknown(self, name: str) -> tuple[str, Remedy]:
        message = f"no valid spec in {' and '.join(map(one_line, self.directories))} has {one_line(name)}"
        suspects = " and ".join(one_line(file.path) for file in self.suspects([name]))
        near = " or ".join(_find_near(name, self.devices()))
        if suspects:
            return message, Remedy(f"if {suspects} should have it, correct that{f', or use {near}' if near else ''}")
        if near:
            return message, Remedy(f"did you mean {near}?")
        places = () if self.directories == DEFAULT_DIRECTORIES else self.directories
        options = "".join(f" --spec-dir {shell_word(directory)}" for directory in places)
        return message, Remedy("see what is there with", (f"cdigen list --all{options}",))


def _find_devices(file: SpecFile) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the qualified name and the edits of every device of a valid spec."""
    if file.document is not None:
        for device in cast("list[dict[str, object]]", file.document["devices"]):
            yield f"{file.kind}={device['name']}", cast("Mapping[str, object]", device["containerEdits"])


def _find_near(name: str, names: Sequence[str]) -> list[str]:
    """Return names that `name` may be meant for: of the same vendor, or of one that is spelt almost like it."""
    if len(name) > _MAX_LENGTH:
        return []
    likeness = {other: _likeness(other, name) for other in _of_near_vendors(name, names)[:_MAX_COMPARED]}
    near = [other for other in sorted(likeness, key=lambda o: -likeness[o]) if likeness[other] >= _MIN_LIKENESS]
    return near[:_NEAR]


def _of_near_vendors(name: str, names: Sequence[str]) -> list[str]:
    vendor = name.partition("/")[0]
    vendors = list(dict.fromkeys(other.partition("/")[0] for other in names))[:_MAX_COMPARED]
    near = {other for other in vendors if other == vendor or _likeness(other, vendor) >= _MIN_LIKENESS_OF_VENDORS}
    return [other for other in names if other.partition("/")[0] in near]


def _likeness(text: str, other: str) -> float:
    """Return how alike two texts are, from 0 to 1; 0 where one is more than twice as long."""
    from difflib import SequenceMatcher

    return SequenceMatcher(None, text, other).ratio() if len(text) <= 2 * len(other) else 0
