"""Spec documents near the valid ones, made by chance: always the same ones for a seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import yaml

if TYPE_CHECKING:
    from random import Random

    Document = dict[str, object]

_VERSIONS = ("0.5.0",) * 60 + (
    "0.3.0",
    "0.4.0",
    "0.6.0",
    "0.7.0",
    "1.1.0",
    "0.2.0",
    "v0.5.0",
    "0.5",
    "2.0.0",
    0.5,
    None,
)
_NAMES = ("a", "0", "gpu0", "GPU-1", "a.b", "a:b", "a_b", "a-", "-a", "", "a b", "é", "y", "1.10", 0, True, None)
_VALUES: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 1.5, 1e3, 4294967295, 4294967296, "", "a", "A", "y", "1", "/dev/null", "A=b", "=b",
    "A=", "rwm", "rwx", "none", "c", "x", "..", "/", "a/b", "prestart", "é", "\U0001f600", "a\nb", [], {}, ["a"],
    [None], {"a": "b"},
)  # fmt: skip
_KEYS = (
    "env", "ENV", "devices", "name", "Name", "path", "hostPath", "containerPath", "containerEdits", "mounts", "hooks",
    "deviceNodes", "type", "major", "fileMode", "permissions", "uid", "options", "args", "timeout", "hookName", "x",
    "kind", "annotations", "additionalGids", "intelRdt", "netDevices", "closID", "cdiVersion",
)  # fmt: skip
_BYTES = (b"\t", b"'", b'"', b"[", b"]", b"{", b"}", b",", b":", b"#", b"&", b"*", b"!", b"%", b"@", b"\x7f", b"\\",
          b"-", b"0", b"y", b"\n", b" ", b"\xff", b"\xc2\x85", b"\\/", b"\\ud83d\\ude00")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NearSpec:
    """A file.

    Attributes:
        data: its bytes.
        suffix: of its name.
    """

    data: bytes
    suffix: str


def make_near_spec(rng: Random, token: str) -> NearSpec:
    """Return a document that is a valid spec, but for up to three changes.

    Args:
        rng: what decides.
        token: letters and digits that no other document has in its kind.
    """
    document: object = _spec(rng, token)
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        document = _changed(rng, document)
    suffix = rng.choice((".json", ".yaml"))
    if suffix == ".json":
        text = json.dumps(document, indent=rng.choice((None, 2)), ensure_ascii=rng.random() < 0.2)
    else:
        text = yaml.safe_dump(document, default_flow_style=rng.choice((True, False, None)), allow_unicode=True)
    data = text.encode()
    if rng.random() < 0.15:
        at = rng.randrange(len(data))
        data = data[:at] + rng.choice((b"", rng.choice(_BYTES))) + data[at + rng.choice((0, 1)) :]
    return NearSpec(data=data, suffix=suffix)


def _spec(rng: Random, token: str) -> Document:
    names = rng.sample(_NAMES[:7], rng.choice((1, 1, 2, 3)))
    if rng.random() < 0.15:
        names.append(cast("str", rng.choice(_NAMES)))
    document: Document = {
        "cdiVersion": rng.choice(_VERSIONS),
        "kind": f"n{token}.example.com/{rng.choice(('dev',) * 60 + ('de.v', 'de_v', 'dev-', 'dé', ''))}",
        "devices": [{"name": name, "containerEdits": _edits(rng)} for name in names],
    }
    if rng.random() < 0.4:
        document["containerEdits"] = _edits(rng)
    if rng.random() < 0.1:
        document["annotations"] = {rng.choice(("a", "a.b/c", "-a", "a/b/c", "")): rng.choice(("b", "", 1, None))}
    return document


def _edits(rng: Random) -> Document:
    parts: Document = {
        "env": [rng.choice(("A=b", "A=", "B=c=d", "A", "=b")) if rng.random() < 0.2 else "A=b"],
        "deviceNodes": [
            {"path": "/dev/null",
             **_some(rng, {"hostPath": "/dev/zero", "type": rng.choice("ccccbbuupx"), "major": 1, "minor": 3,
                           "fileMode": 438, "permissions": "rw", "uid": 0, "gid": 5})}
        ],
        "mounts": [
            {"hostPath": rng.choice(("/srv",) * 20 + ("",)), "containerPath": "/mnt",
             **_some(rng, {"options": ["ro"], "type": "bind"})}
        ],
        "hooks": [{"hookName": rng.choice(("prestart", "poststop")), "path": "/bin/true",
                   **_some(rng, {"args": ["a"], "env": ["A=b"], "timeout": 1})}],
    }  # fmt: skip
    if rng.random() < 0.05:
        parts["additionalGids"] = [rng.choice((0, 5, -1, 1 << 32))]
    if rng.random() < 0.05:
        parts["intelRdt"] = {"closID": rng.choice(("a", "/", "..", "a/b", ""))}
    if rng.random() < 0.05:
        parts["netDevices"] = [{"hostInterfaceName": "a", "name": rng.choice(("b", ""))}] * rng.choice((1, 1, 2))
    chosen = rng.sample(sorted(parts), rng.choice((1, 2, 3)))
    return {name: parts[name] for name in chosen}


def _some(rng: Random, fields: Document) -> Document:
    return {name: value for name, value in fields.items() if rng.random() < 0.25}


def _changed(rng: Random, document: object) -> object:
    """Return a document with one change: a value, a key, or how often something is there; never of the kind."""
    if isinstance(document, dict) and document and rng.random() < 0.85:
        key = rng.choice(sorted(document, key=str))
        if key == "kind":
            return document
        rest = dict(document)
        value = rest.pop(key)
        if rng.random() < 0.7:
            return {**rest, key: _changed(rng, value)}
        return rng.choice(
            (rest, {**rest, rng.choice(_KEYS): value}, {**rest, key: value, rng.choice(_KEYS): rng.choice(_VALUES)})
        )
    if isinstance(document, list) and document and rng.random() < 0.85:
        at = rng.randrange(len(document))
        return [
            *document[:at],
            *rng.choice(([], [document[at]] * 2, [_changed(rng, document[at])])),
            *document[at + 1 :],
        ]
    return rng.choice((*_VALUES, [document]))
