"""Which version of the specification a document needs.

An engine rejects a whole file whose version it does not know, or that has a field which it does not know. So
a spec declares the lowest version that has all of its fields, and no lower one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.cdi.values import EDITS, find_values
from cdigen.records import Record
from cdigen.schema import Violation, format_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cdigen.cdi.values import Path

LOWEST_VERSION = "0.3.0"

KNOWN_VERSIONS = ("0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0")
"""Released versions, oldest first. 0.8.0 and 1.0.0 changed no field."""


class Feature(Record):
    """Something that a document may hold, and the version that brought it.

    Attributes:
        version: the first version that has it.
        patterns: where it stands, see `places.find_values`.
        reason: what that version changed.
        applies: whether the value found there is the feature; by default its presence is, even if it is
            empty, because an older engine fails on the key alone.
    """

    version: str
    patterns: tuple[Path, ...]
    reason: str
    applies: Callable[[object], bool] = lambda _: True


class Need(Record):
    """A feature that a document uses.

    Attributes:
        feature: the row of the table.
        path: the first place where it is used.
        count: at how many places it is used.
    """

    feature: Feature
    path: Path
    count: int


def _in_edits(*keys: str) -> tuple[Path, ...]:
    return tuple((*edits, *keys) for edits in EDITS)


def _starts_with_digit(name: object) -> bool:
    return isinstance(name, str) and name[:1] in set("0123456789")


def _has_dot_in_class(kind: object) -> bool:
    return isinstance(kind, str) and "." in kind.partition("/")[2]


FEATURES = (
    Feature(version="1.1.0", patterns=_in_edits("netDevices"), reason="network devices were added"),
    Feature(version="1.1.0", patterns=_in_edits("intelRdt", "schemata"), reason="the field was added"),
    Feature(version="1.1.0", patterns=_in_edits("intelRdt", "enableMonitoring"), reason="the field was added"),
    Feature(version="0.7.0", patterns=_in_edits("additionalGids"), reason="additional groups were added"),
    Feature(version="0.7.0", patterns=_in_edits("intelRdt"), reason="cache and bandwidth classes were added"),
    Feature(
        version="0.6.0",
        patterns=(("annotations",), ("devices", "*", "annotations")),
        reason="annotations were added, to a spec and to a device",
    ),
    Feature(
        version="0.6.0",
        patterns=(("kind",),),
        reason="the class part may have a dot",
        applies=_has_dot_in_class,
    ),
    Feature(
        version="0.5.0",
        patterns=(("devices", "*", "name"),),
        reason="a name may start with a digit",
        applies=_starts_with_digit,
    ),
    Feature(version="0.5.0", patterns=_in_edits("deviceNodes", "*", "hostPath"), reason="the field was added"),
    Feature(version="0.4.0", patterns=_in_edits("mounts", "*", "type"), reason="the field was added"),
)
"""What each version brought, newest first; what is not here was there from the start."""


def version_key(version: str) -> tuple[int, ...]:
    """Return a key that sorts versions of the form `1.10.0` by their numbers.

    Raises:
        ValueError: `version` is not numbers with dots between them.
    """
    return tuple(map(int, version.split(".")))


def find_needs(document: object) -> tuple[Need, ...]:
    """Return the features that a document of any shape uses, those of the newest version first."""
    needs = []
    for feature in FEATURES:
        places = [
            path
            for pattern in feature.patterns
            for path, value in find_values(document, pattern)
            if feature.applies(value)
        ]
        if places:
            needs.append(Need(feature=feature, path=places[0], count=len(places)))
    return tuple(needs)


def required_version(document: object) -> str:
    """Return the lowest version that has everything that `document` holds, whatever it declares.

    A document that is no valid spec has an answer too: for what can be recognised in it.
    """
    needed = [need.feature.version for need in find_needs(document)]
    return max(needed, key=version_key, default=LOWEST_VERSION)


def find_version_violations(document: object) -> Iterator[Violation]:
    """Yield what a document has that the version which it declares has not; nothing if that is no known version."""
    for path, declared in find_values(document, ("cdiVersion",)):
        if not isinstance(declared, str) or declared not in KNOWN_VERSIONS:
            continue  # the schema says so
        for need in find_needs(document):
            version = need.feature.version
            if version_key(version) > version_key(declared):
                more = f" (and {need.count - 1} more)" if need.count > 1 else ""
                message = (
                    f"{declared} is too low: {format_place(need.path)}{more} needs {version}, "
                    f"where {need.feature.reason}"
                )
                yield Violation(place=format_place(path), message=message)
