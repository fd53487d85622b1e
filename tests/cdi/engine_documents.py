"""Documents that engines read in their own way: each with whether they take it, and the rule for that.

The arbiter is an engine: tests/real/test_reading.py shows them all to podman. Each document has a kind of its own, `KIND`
in the text; its device is called `0` if not said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STRICT_YAML = "go-yaml v2, strict"
SCANNER = "go-yaml v2, scannerc.go"
RESOLVE = "go-yaml v2, resolve.go"
TO_TEXT = "sigs.k8s.io/yaml, convertToJSONableObject"
DECODE = "encoding/json, Decode into a struct"
FIELDS = "specs-go/config.go, and DisallowUnknownFields"
VERSION = "specs-go/version.go"
QUALIFIER = "pkg/parser/parser.go"
EDITS = "pkg/cdi/container-edits.go"
DEVICE = "pkg/cdi/device.go and spec.go"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A document.

    Attributes:
        text: its text, `KIND` for its kind.
        device: the device that engines find in it; None if they take no such document.
        rule: why, and where that is written.
        suffix: of its file.
        crashes: whether old releases of the library crash on it, so that an engine cannot be asked.
        is_new: whether old releases decide otherwise, such as that in podman 4.3.
    """

    text: str
    device: str | None
    rule: str
    suffix: str = ".yaml"
    crashes: bool = False
    is_new: bool = False

    def document(self, kind: str) -> bytes:
        """Return the bytes of the file for a kind."""
        return self.text.replace("KIND", kind).encode()


def whole(text: str, device: str | None, rule: str, *, suffix: str = ".yaml") -> Case:
    return Case(text=text, device=device, rule=rule, suffix=suffix)


def new(case: Case) -> Case:
    """Return a document on which old releases of the library decide otherwise."""
    return replace(case, is_new=True)


def head(head: str, device: str | None, rule: str) -> Case:
    """Return a document with a plain device and a head of its own."""
    return whole(f"{head}\ndevices: [{{name: '0', containerEdits: {{env: [A=b]}}}}]\n", device, rule)


def named(name: str, device: str | None, rule: str) -> Case:
    """Return a document with a device of this name, as it is written."""
    return whole(
        f"cdiVersion: 0.5.0\nkind: KIND\ndevices:\n- name: {name}\n  containerEdits: {{env: [A=b]}}\n", device, rule
    )


def edits(written: str, takes: bool, rule: str, *, crashes: bool = False) -> Case:
    """Return a document whose device has these edits, in flow style."""
    return Case(
        text=f"cdiVersion: 0.5.0\nkind: KIND\ndevices:\n- name: '0'\n  containerEdits: {written}\n",
        device="0" if takes else None,
        rule=rule,
        crashes=crashes,
    )


def node(written: str, takes: bool, rule: str) -> Case:
    return edits(f"{{deviceNodes: [{{path: /dev/null, {written}}}]}}", takes, rule)


def mount(written: str, takes: bool, rule: str) -> Case:
    return edits(f"{{mounts: [{{hostPath: /tmp, containerPath: /mnt, {written}}}]}}", takes, rule)


def hook(written: str, takes: bool, rule: str) -> Case:
    return edits(f"{{hooks: [{{hookName: poststop, path: /bin/true, {written}}}]}}", takes, rule)


PLAIN = "cdiVersion: 0.5.0\nkind: KIND"


def aliased(devices: int) -> str:
    """Return a document whose devices are all given the same thousand variables, by aliases."""
    first = f"{{name: d0, containerEdits: &e {{env: [{', '.join(f'A{n}=b' for n in range(1000))}]}}}}"
    rest = "".join(f"\n- {{name: d{n}, containerEdits: *e}}" for n in range(1, devices))
    return f"{PLAIN}\ndevices:\n- {first}{rest}\n"


# fmt: off - a document to a line
_NAMES = (
    ("0", "0"),
    ("'0'", "0"),
    ("10", "10"),
    ("1.5", "1.5"),
    ("1.10", "1.1"),
    ("1.0", "1"),
    ("true", "true"),
    ("True", "true"),
    ("yes", "true"),
    ("on", "true"),
    ("y", "true"),
    ("Y", "true"),
    ("no", "false"),
    ("n", "false"),
    ("off", "false"),
    ("tRUE", "tRUE"),
    ("0x1F", "31"),
    ("0o17", "15"),
    ("017", "15"),
    ("018", "18"),
    ("0b11", "3"),
    ("1_000", "1000"),
    ("+7", "7"),
    ("-7", None),
    ("1e3", "1000"),
    ("1e7", None),
    ("1234567.0", None),
    ("100000.5", "100000.5"),
    ("0.1", "0.1"),
    ("0.30000001192092896", "0.3"),
    ("16777217.0", None),
    ("18446744073709551615", "18446744073709551615"),
    ("18446744073709551616", None),
    ("2020-01-01", "2020-01-01"),
    ("12:30", "12:30"),
    ("12:30:45", "12:30:45"),
    (".5", "0.5"),
    ("5.", "5"),
    (".inf", None),
    (".nan", "NaN"),
    ("~", None),
    ("null", None),
    ("''", None),
    ("", None),
    ("a b", None),
    ("GPU-1", "GPU-1"),
    ("a_", None),
    ("_a", None),
    ("a:b", "a:b"),
    ("[a]", None),
    ("{a: b}", None),
    ("!!str 7", "7"),
    ("!!int '7'", "7"),
    ("!!float 7", "7"),
    ("!!bool 'yes'", "true"),
    ("!!int x", None),
    ("!own x", "x"),
    ("!own 7", "7"),
    ("!!binary Zm9v", "foo"),
    ("!!timestamp 2020-01-01", "2020-01-01"),
    ("'true'", "true"),
    ('"a"', "a"),
    ("é", None),
    ("<<", None),
    ("=", None),
    ("|-\n    x", "x"),
    ("&a x", "x"),
)

_TEXT_FIELDS: tuple[tuple[str, Callable[[str], str], bool], ...] = (
    ("path", lambda value: f"{{deviceNodes: [{{path: {value}}}]}}", True),
    ("hostPath", lambda value: f"{{deviceNodes: [{{path: /dev/x, hostPath: {value}}}]}}", False),
    ("mount hostPath", lambda value: f"{{mounts: [{{hostPath: {value}, containerPath: /mnt}}]}}", True),
    ("containerPath", lambda value: f"{{mounts: [{{hostPath: /tmp, containerPath: {value}}}]}}", True),
    ("mount type", lambda value: f"{{mounts: [{{hostPath: /tmp, containerPath: /mnt, type: {value}}}]}}", False),
    ("hook path", lambda value: f"{{hooks: [{{hookName: poststop, path: {value}}}]}}", True),
)
"""Fields of text: the edits with a value there, and whether it has to say something."""

_VALUES = (
    ("7", True),
    ("1.5", True),
    ("true", True),
    ("y", True),
    ("x", True),
    ("null", None),
    ("''", None),
    ("[]", False),
    ("{}", False),
    ("[a]", False),
    ("2020-01-01", True),
)
"""Values: whether such a field takes one; None for one that says nothing."""

_NUMBER_FIELDS = (
    ("major", -(1 << 63), (1 << 63) - 1, True),
    ("minor", -(1 << 63), (1 << 63) - 1, True),
    ("fileMode", 0, (1 << 32) - 1, False),
    ("uid", 0, (1 << 32) - 1, False),
    ("gid", 0, (1 << 32) - 1, False),
)

_NUMBERS = (
    ("0", 0),
    ("1", 1),
    ("0o660", 432),
    ("0660", 432),
    ("1.0", 1),
    ("1e2", 100),
    ("1.5", None),
    ("'1'", None),
    ("true", None),
    ("null", 0),
    ("''", None),
    ("[]", None),
    ("4294967295", 4294967295),
    ("4294967296", 4294967296),
    ("9223372036854775807", (1 << 63) - 1),
    ("1_0", 10),
    (".inf", None),
)
"""Numbers as they are written, and what they are; None for one that is not whole."""


def _text_cases() -> list[Case]:
    return [
        edits(make(value), (takes is None and not needed) or takes is True, TO_TEXT if takes else DECODE)
        for _, make, needed in _TEXT_FIELDS
        for value, takes in _VALUES
    ]


def _number_cases() -> list[Case]:
    return [
        node(f"{name}: {written}", value is not None and least <= value <= most, DECODE)
        for name, least, most, _ in _NUMBER_FIELDS
        for written, value in _NUMBERS
    ]


def _list_cases() -> list[Case]:
    lists = ("env", "deviceNodes", "mounts", "hooks")
    return [
        edits(
            f"{{env: [A=b], {name}: {value}}}"
            if name != "env"
            else f"{{env: {value}, mounts: [{{hostPath: /tmp, containerPath: /mnt}}]}}",
            takes,
            DECODE,
        )
        for name in lists
        for value, takes in (("null", True), ("[]", True), ("''", False), ("{}", False), ("7", False), ("true", False))
    ]


CASES: tuple[Case, ...] = (
    *(named(written, device, RESOLVE if device else QUALIFIER) for written, device in _NAMES),
    *_text_cases(),
    *_number_cases(),
    *_list_cases(),
    # versions
    *(
        head(f"cdiVersion: {version}\nkind: KIND", device, VERSION)
        for version, device in (
            ("0.5.0", "0"),
            ("'0.5.0'", "0"),
            ("0.5", None),
            ("null", None),
            ("''", None),
            ("99.0.0", None),
            ("[]", None),
            ("0.05.0", None),
        )
    ),
    *(
        new(head(f"cdiVersion: {version}\nkind: KIND", device, VERSION))
        for version, device in (("v0.5.0", "0"), ("0.2.0", None), ("0.1.0", None), ("0.4.0", None))
    ),
    whole("kind: KIND\ndevices: [{name: a, containerEdits: {env: [A=b]}}]", None, VERSION),
    whole("cdiVersion: 0.3.0\nkind: KIND\ndevices: [{name: a, containerEdits: {env: [A=b]}}]", "a", VERSION),
    new(
        whole(
            "cdiVersion: 0.3.0\nkind: KIND\ndevices: [{name: a, containerEdits: {mounts: [{hostPath: /tmp, containerPath: /mnt, type: tmpfs}]}}]",
            None,
            VERSION,
        )
    ),
    whole(
        "cdiVersion: 0.3.0\nkind: KIND\ndevices: [{name: a, containerEdits: {mounts: [{hostPath: /tmp, containerPath: /mnt, type: ''}]}}]",
        "a",
        VERSION,
    ),
    whole(
        "cdiVersion: 0.3.0\nkind: KIND\ndevices: [{name: a, containerEdits: {mounts: [{hostPath: /tmp, containerPath: /mnt, type: null}]}}]",
        "a",
        VERSION,
    ),
    whole(
        "cdiVersion: 0.3.0\nkind: KIND\ndevices: [{name: a, containerEdits: {deviceNodes: [{path: /dev/null, hostPath: ''}]}}]",
        "a",
        VERSION,
    ),
    new(
        whole(
            "cdiVersion: 0.3.0\nkind: KIND\ndevices: [{name: a, containerEdits: {deviceNodes: [{path: /dev/null, hostPath: /dev/null}]}}]",
            None,
            VERSION,
        )
    ),
    new(whole("cdiVersion: 0.4.0\nkind: KIND\ndevices: [{name: 0a, containerEdits: {env: [A=b]}}]", None, VERSION)),
    # keys
    whole("CDIVERSION: 0.5.0\nKind: KIND\nDEVICES: [{NAME: a, ContainerEdits: {ENV: [A=b]}}]", "a", DECODE),
    whole(
        "cdiVersion: 0.5.0\nkind: KIND\nKind: other.com/x\ndevices: [{name: a, containerEdits: {env: [A=b]}}]",
        "a",
        DECODE,
    ),
    whole("cdiVersion: 0.5.0\nKIND_: KIND\ndevices: [{name: a, containerEdits: {env: [A=b]}}]", None, FIELDS),
    whole("cdiVersion: 0.5.0\nkind: KIND\ndeviceſ: [{name: a, containerEdits: {env: [A=b]}}]", "a", DECODE),
    whole("cdiVersion: 0.5.0\n\u212aind: KIND\ndevices: [{name: a, containerEdits: {env: [A=b]}}]", "a", DECODE),
    whole(
        "cdiVersion: 0.5.0\nkind: KIND\nkind: KIND\ndevices: [{name: a, containerEdits: {env: [A=b]}}]",
        None,
        STRICT_YAML,
    ),
    whole("cdiVersion: 0.5.0\nkind: KIND\ndevices: [{name: a, Name: b, containerEdits: {env: [A=b]}}]", "a", DECODE),
    whole("cdiVersion: 0.5.0\nkind: KIND\ndevices: [{name: null, Name: b, containerEdits: {env: [A=b]}}]", "b", DECODE),
    whole(
        "cdiVersion: 0.5.0\nkind: KIND\ndevices: [{name: a, containerEdits: {env: null}, ContainerEdits: {mounts: [{hostPath: /tmp, containerPath: /mnt}]}}]",
        "a",
        DECODE,
    ),
    head(f"{PLAIN}\nextra: 1", None, FIELDS),
    head(f"{PLAIN}\nextra: null", None, FIELDS),
    head(f"{PLAIN}\n7: 1", None, FIELDS),
    head(f"{PLAIN}\nnull: 1", None, TO_TEXT),
    head(f"{PLAIN}\n[a]: 1", None, STRICT_YAML),
    node("extra: 1", False, FIELDS),
    mount("extra: ''", False, FIELDS),
    hook("extra: []", False, FIELDS),
    edits("{env: [A=b], extra: {}}", False, FIELDS),
    # nulls and what is empty
    head(f"{PLAIN}\ncontainerEdits: null", "0", DECODE),
    head(f"{PLAIN}\ncontainerEdits: {{}}", "0", DECODE),
    head(f"{PLAIN}\ncontainerEdits: ''", None, DECODE),
    head(f"{PLAIN}\ncontainerEdits: []", None, DECODE),
    head(f"{PLAIN}\ncontainerEdits: {{env: [A=b, 'C=']}}", "0", EDITS),
    head(f"{PLAIN}\ncontainerEdits: {{env: [A]}}", None, EDITS),
    edits("null", False, DEVICE),
    edits("{}", False, DEVICE),
    edits("{env: []}", False, DEVICE),
    edits("{env: null, mounts: null}", False, DEVICE),
    edits("''", False, DECODE),
    edits("[]", False, DECODE),
    edits("{mounts: [null]}", False, EDITS, crashes=True),
    edits("{deviceNodes: [null]}", False, EDITS, crashes=True),
    edits("{hooks: [null]}", False, EDITS, crashes=True),
    edits("{mounts: [{}]}", False, EDITS),
    edits("{mounts: [[]]}", False, DECODE),
    whole(f"{PLAIN}\ndevices: [null]", None, QUALIFIER),
    new(whole(f"{PLAIN}\ndevices: []", None, DEVICE)),
    new(whole(f"{PLAIN}\ndevices: null", None, DEVICE)),
    whole(f"{PLAIN}\ndevices: {{}}", None, DECODE),
    whole(f"{PLAIN}\ndevices: [{{name: '0'}}]", None, DEVICE),
    # environment
    *(
        edits(f"{{env: [{written}]}}", takes, EDITS)
        for written, takes in (
            ("A=1", True),
            ("A=", True),
            ("A", False),
            ("=b", False),
            ("''", False),
            ("null", False),
            ("7", False),
            ("true", False),
            ("A==", True),
            ("'A B=c'", True),
            ("A=b, A=c", True),
            ("'A=b\tc'", True),
            ("[A=b]", False),
            ("A: b", False),
        )
    ),
    # nodes
    *(
        node(written, takes, EDITS)
        for written, takes in (
            ("type: c", True),
            ("type: b", True),
            ("type: u", True),
            ("type: p", True),
            ("type: x", False),
            ("type: ''", True),
            ("type: null", True),
            ("type: cc", False),
            ("type: C", False),
            ("permissions: rwm", True),
            ("permissions: rr", True),
            ("permissions: ''", True),
            ("permissions: null", True),
            ("permissions: x", False),
            ("permissions: none", False),
            ("permissions: rwx", False),
            ("Permissions: r", True),
            ("HOSTPATH: /dev/null", True),
        )
    ),
    edits("{deviceNodes: [{path: relative}]}", True, EDITS),
    edits("{deviceNodes: [{path: ''}]}", False, EDITS),
    edits("{deviceNodes: [{type: c}]}", False, EDITS),
    edits("{deviceNodes: [{path: /dev/null}, {path: /dev/null}]}", True, EDITS),
    # mounts
    *(
        mount(written, takes, EDITS)
        for written, takes in (
            ("options: [ro, ro]", True),
            ("options: []", True),
            ("options: null", True),
            ("options: [null]", True),
            ("options: ['']", True),
            ("options: [7, true, 1.5]", True),
            ("options: ro", False),
            ("options: [[]]", False),
            ("options: {}", False),
            ("type: bind", True),
            ("OPTIONS: [ro]", True),
        )
    ),
    edits("{mounts: [{hostPath: /tmp, containerPath: /mnt}, {hostPath: /tmp, containerPath: /mnt}]}", True, EDITS),
    edits("{mounts: [{hostPath: tmp, containerPath: mnt}]}", True, EDITS),
    edits("{mounts: [{hostPath: /tmp}]}", False, EDITS),
    edits("{mounts: [{containerPath: /mnt}]}", False, EDITS),
    # hooks
    *(
        hook(written, takes, EDITS)
        for written, takes in (
            ("args: [a, 7, null]", True),
            ("args: null", True),
            ("args: a", False),
            ("env: [A=b]", True),
            ("env: [A]", False),
            ("env: null", True),
            ("timeout: 0", True),
            ("timeout: -1", True),
            ("timeout: null", True),
            ("timeout: '1'", False),
            ("timeout: 1.0", True),
            ("timeout: 1.5", False),
        )
    ),
    *(
        edits(f"{{hooks: [{{hookName: {name}, path: /bin/true}}]}}", takes, EDITS)
        for name, takes in (
            ("prestart", True),
            ("createRuntime", True),
            ("createContainer", True),
            ("startContainer", True),
            ("poststart", True),
            ("poststop", True),
            ("PostStop", False),
            ("''", False),
            ("null", False),
            ("other", False),
        )
    ),
    edits("{hooks: [{hookName: poststop}]}", False, EDITS),
    # devices
    whole(
        f"{PLAIN}\ndevices: [{{name: a, containerEdits: {{env: [A=b]}}}}, {{name: a, containerEdits: {{env: [A=b]}}}}]",
        None,
        DEVICE,
    ),
    whole(
        f"{PLAIN}\ndevices: [{{name: 1, containerEdits: {{env: [A=b]}}}}, {{name: '1', containerEdits: {{env: [A=b]}}}}]",
        None,
        DEVICE,
    ),
    whole(
        f"{PLAIN}\ndevices: [{{name: a, containerEdits: {{env: [A=b]}}}}, {{name: b, containerEdits: {{}}}}]",
        None,
        DEVICE,
    ),
    # kinds
    *(
        head(f"cdiVersion: 0.5.0\nkind: {kind}", None, QUALIFIER)
        for kind in ("null", "''", "7", "true", "x", "/x", "x/", "KIND/x", "_KIND", "KIND_", "[KIND]", "'KIND '")
    ),
    head("cdiVersion: 0.5.0\nkind: 'KIND'", "0", QUALIFIER),
    # YAML
    whole(
        '{"cdiVersion": "0.5.0", "kind": "KIND", "devices": [{"name": "a", "containerEdits": {"env": ["A=b"]}}]}',
        "a",
        STRICT_YAML,
        suffix=".json",
    ),
    whole(f"{PLAIN}\ndevices: [{{name: a, containerEdits: {{env: [A=b]}}}}]", "a", STRICT_YAML, suffix=".json"),
    whole(
        '# a comment\n{"cdiVersion": "0.5.0", "kind": "KIND", "devices": [{"name": "a", "containerEdits": {"env": ["A=b"],},},],}',
        "a",
        STRICT_YAML,
        suffix=".json",
    ),
    whole(
        '{\n\t"cdiVersion": "0.5.0",\n\t"kind": "KIND",\n\t"devices": [{"name": "a", "containerEdits": {"env": ["A=b"]}}]\n}\n',
        "a",
        STRICT_YAML,
        suffix=".json",
    ),
    whole(
        '{"cdiVersion": "0.5.0", "kind": "KIND", "devices": [{"name": 0, "containerEdits": {"env": ["A=b"]}}]}',
        "0",
        TO_TEXT,
        suffix=".json",
    ),
    whole(
        '{"cdiVersion": "0.5.0", "kind": "KIND", "kind": "KIND", "devices": [{"name": "a", "containerEdits": {"env": ["A=b"]}}]}',
        None,
        STRICT_YAML,
        suffix=".json",
    ),
    whole(
        '{"cdiVersion": "0.5.0", "kind": "KIND", "devices": [{"name": "a", "containerEdits": {"env": ["A=\\u00e9"]}}]}',
        "a",
        STRICT_YAML,
        suffix=".json",
    ),
    whole(
        '{"cdiVersion": "0.5.0", "kind": "KIND", "devices": [{"name": "a", "containerEdits": {"env": ["A=\\/"]}}]}',
        None,
        SCANNER,
        suffix=".json",
    ),
    whole(
        '{"cdiVersion": "0.5.0", "kind": "KIND", "devices": [{"name": "a", "containerEdits": {"env": ["A=\\\\/"]}}]}',
        "a",
        SCANNER,
        suffix=".json",
    ),
    whole(f"{PLAIN}\ndevices: [{{name: a, containerEdits: {{env: ['A=\\/']}}}}]", "a", SCANNER),
    whole(
        '{"cdiVersion": "0.5.0", "kind": "KIND", "devices": [{"name": "a", "containerEdits": {"env": ["A=\\ud83d\\ude00"]}}]}',
        None,
        STRICT_YAML,
        suffix=".json",
    ),
    whole(
        '{"cdiVersion": "0.5.0", "kind": "KIND", "devices": [{"name": "a", "containerEdits": {"env": ["A=b"]}}]} {}',
        "a",
        "go-yaml v2 reads the first document",
        suffix=".json",
    ),
    whole("", None, DEVICE),
    whole("---\n", None, DEVICE),
    whole("[]", None, DECODE),
    whole("text", None, DECODE),
    head(f"%YAML 1.1\n---\n{PLAIN}", "0", "go-yaml v2, parserc.go"),
    head(f"%YAML 1.2\n---\n{PLAIN}", None, "go-yaml v2, parserc.go"),
    head(f"---\n{PLAIN}", "0", STRICT_YAML),
    head(f"\ufeff{PLAIN}", "0", STRICT_YAML),
    whole(
        f"{PLAIN}\ndevices: [{{name: a, containerEdits: {{env: [A=b]}}}}]\n---\nother: 1\n",
        "a",
        "go-yaml v2 reads the first document",
    ),
    whole(
        f"{PLAIN}\ndevices: [{{name: a, containerEdits: {{env: [A=b]}}}}]\n...\n: : : [\n",
        "a",
        "go-yaml v2 reads the first document",
    ),
    whole(
        f"{PLAIN}\ndevices:\n- &d {{name: a, containerEdits: &e {{env: [A=b]}}}}\n- {{name: b, containerEdits: *e}}\n",
        "b",
        STRICT_YAML,
    ),
    whole(
        f"{PLAIN}\ndevices:\n- {{name: a, containerEdits: &e {{env: [A=b]}}}}\n- {{name: b, containerEdits: {{<<: *e}}}}\n",
        "b",
        "go-yaml v2, merge",
    ),
    whole(
        f"{PLAIN}\ndevices:\n- {{name: a, containerEdits: &e {{env: [A=b]}}}}\n- {{name: b, containerEdits: {{<<: [*e], hooks: []}}}}\n",
        "b",
        "go-yaml v2, merge",
    ),
    whole(
        f"{PLAIN}\ndevices:\n- {{name: a, containerEdits: &e {{env: [A=b]}}}}\n- {{name: b, containerEdits: {{<<: *e, env: [C=d]}}}}\n",
        None,
        STRICT_YAML,
    ),
    whole(f"{PLAIN}\ndevices:\n- {{name: a, containerEdits: {{<<: 7, env: [A=b]}}}}\n", None, "go-yaml v2, merge"),
    whole(
        f"{PLAIN}\ndevices: !!set [{{name: a, containerEdits: {{env: [A=b]}}}}]",
        "a",
        "go-yaml v2 passes over tags of collections",
    ),
    whole(
        f"{PLAIN}\ndevices: !own [{{name: a, containerEdits: !own {{env: [A=b]}}}}]",
        "a",
        "go-yaml v2 passes over tags of collections",
    ),
    whole(aliased(100), "d99", "go-yaml v2, decode.go, allowedAliasRatio"),
    whole(aliased(390), None, "go-yaml v2, decode.go, allowedAliasRatio"),
    whole(f"{PLAIN}\ndevices: [{{name: *gone, containerEdits: {{env: [A=b]}}}}]", None, STRICT_YAML),
    whole(f"{PLAIN}\n\tdevices: []", None, STRICT_YAML),
)
# fmt: on
