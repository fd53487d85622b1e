"""A spec of anyone's as engines hold it. That engines agree on `CASES` is shown in tests/real/test_reading.py."""

from __future__ import annotations

from typing import cast

import pytest

from cdigen.cdi.engine_form import MAX_ANNOTATION_BYTES
from cdigen.errors import ParseError
from cdigen.specs.reading import parse_spec
from tests.cdi.engine_documents import CASES, Case

HEAD = "cdiVersion: 1.1.0\nkind: aa.com/bb\n"
NO_HOOK = "not one of 'prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'"
NO_KIND = (
    "not a kind: vendor/class, each of two or more letters, digits, '_', '.' and '-', starting with a letter and ending"
    " with a letter or digit"
)
TOO_LOW = "0.5.0 is too low: $.annotations needs 0.6.0, where annotations were added, to a spec and to a device"
PLAIN = {"cdiVersion": "1.1.0", "kind": "aa.com/bb"}


def read(text: str) -> dict[str, object]:
    spec, violations = parse_spec(text.encode())
    assert violations == ()
    assert spec is not None
    return spec


def read_edits(text: str) -> object:
    """Return the edits of a device that are written like this, in flow style."""
    spec = read(f"{HEAD}devices: [{{name: a, containerEdits: {text}}}]")
    assert {key: value for key, value in spec.items() if key != "devices"} == PLAIN
    (device,) = cast("list[dict[str, object]]", spec["devices"])
    assert device.keys() == {"name", "containerEdits"}
    return device["containerEdits"]


def refusals(text: str) -> list[str]:
    _, violations = parse_spec(text.encode())
    return [f"{violation.place}: {violation.message}" for violation in violations]


def edit_refusals(text: str) -> list[str]:
    prefix = "$.devices[0].containerEdits"
    found = refusals(f"{HEAD}devices: [{{name: a, containerEdits: {text}}}]")
    assert all(line.startswith(prefix) for line in found), found
    return [line.removeprefix(prefix) for line in found]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.text[:200]!r}")
def test_engines_take_a_document_or_do_not(case: Case) -> None:
    try:
        spec, violations = parse_spec(case.document("aa.com/bb"))
    except ParseError:
        assert case.device is None
        return
    assert (violations == ()) == (case.device is not None)
    if case.device is not None:
        assert spec is not None
        names = [device["name"] for device in cast("list[dict[str, object]]", spec["devices"])]
        assert case.device in names
        assert spec["kind"] == "aa.com/bb"


@pytest.mark.parametrize(
    ("written", "edits"),
    [
        ("{env: [A=1, B=true]}", {"env": ["A=1", "B=true"]}),
        (
            "{deviceNodes: [{path: /dev/a, hostPath: '', type: null, major: 0, minor: 0, permissions: ''}]}",
            {"deviceNodes": [{"path": "/dev/a"}]},
        ),
        (
            "{deviceNodes: [{PATH: 7, uid: 0, gid: 0, fileMode: 0, major: 1.0, minor: 1e1}]}",
            {"deviceNodes": [{"path": "7", "major": 1, "minor": 10, "fileMode": 0, "uid": 0, "gid": 0}]},
        ),
        (
            "{deviceNodes: [{path: /dev/a, uid: null, gid: null, fileMode: null}]}",
            {"deviceNodes": [{"path": "/dev/a"}]},
        ),
        (
            "{mounts: [{hostPath: 1.10, containerPath: yes, type: '', options: [null, 7, on]}]}",
            {"mounts": [{"hostPath": "1.1", "containerPath": "true", "options": ["", "7", "true"]}]},
        ),
        (
            "{mounts: [{hostPath: /a, containerPath: /b, options: []}, {hostPath: /a, containerPath: /b, type: ~}]}",
            {"mounts": [{"hostPath": "/a", "containerPath": "/b"}] * 2},
        ),
        (
            "{hooks: [{hookName: poststop, path: /a, args: [], env: null, timeout: 0}], env: []}",
            {"hooks": [{"hookName": "poststop", "path": "/a", "timeout": 0}]},
        ),
        ("{intelRdt: {}}", {"intelRdt": {}}),
        ("{intelRdt: {closID: '', enableMonitoring: no, schemata: []}}", {"intelRdt": {}}),
        ("{intelRdt: {closID: 7, enableMonitoring: y}}", {"intelRdt": {"closID": "7", "enableMonitoring": True}}),
        ("{intelRdt: null, env: [A=b]}", {"env": ["A=b"]}),
        ("{additionalGids: [0, null, 5.0]}", {"additionalGids": [0, 0, 5]}),
        ("{netDevices: [{hostInterfaceName: 1, name: 2}]}", {"netDevices": [{"hostInterfaceName": "1", "name": "2"}]}),
    ],
)
def test_edits_have_the_types_of_their_fields_and_nothing_that_says_nothing(written: str, edits: object) -> None:
    assert read_edits(written) == edits


def test_what_is_empty_at_the_top_is_left_out() -> None:
    device = "{name: 1, annotations: null, containerEdits: {env: [A=]}}"
    text = f"{HEAD}annotations: {{}}\ncontainerEdits: null\ndevices: [{device}]"
    assert read(text) == {**PLAIN, "devices": [{"name": "1", "containerEdits": {"env": ["A="]}}]}


def test_annotations_are_text() -> None:
    annotations = "{a: 1, b.com/C: true, 7: null, on: x}"
    text = f"{HEAD}annotations: {annotations}\ndevices: [{{name: a, containerEdits: {{env: [A=]}}}}]"
    assert read(text)["annotations"] == {"a": "1", "b.com/C": "true", "7": "", "true": "x"}


def test_of_keys_that_differ_in_case_the_later_in_order_counts_and_objects_are_put_together() -> None:
    assert read_edits("{env: [A=b], ENV: [C=d]}") == {"env": ["A=b"]}
    assert read_edits("{ENV: [C=d], env: null, mounts: [{hostPath: /a, HostPath: /b, containerPath: /c}]}") == {
        "mounts": [{"hostPath": "/a", "containerPath": "/c"}]
    }
    assert read_edits("{intelRdt: {closID: a}, IntelRdt: {l3CacheSchema: b}}") == {
        "intelRdt": {"closID": "a", "l3CacheSchema": "b"}
    }


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        ("{env: [A]}", [".env[0]: 'A' is not an environment entry: NAME=VALUE"]),
        ("{mounts: [{}]}", [
            ".mounts[0]: key 'containerPath' is missing or empty", ".mounts[0]: key 'hostPath' is missing or empty"]),
        ("{mounts: [7, {hostPath: [], containerPath: /a}]}", [
            ".mounts[0]: 7 is not an object", ".mounts[1].hostPath: this array is not a string"]),
        ("{deviceNodes: [null]}", [".deviceNodes[0]: null is not an object"]),
        ("{deviceNodes: [{path: /a, type: x, major: -1, minor: -2, permissions: none}]}", [
            ".deviceNodes[0].major: -1 is negative", ".deviceNodes[0].minor: -2 is negative",
            ".deviceNodes[0].permissions: 'none' is not a set of permissions: r, w and m",
            ".deviceNodes[0].type: 'x' is not one of 'b', 'c', 'u', 'p'"]),
        ("{deviceNodes: [{path: /a, uid: -1, gid: 1.5, fileMode: '7', major: true}]}", [
            ".deviceNodes[0].fileMode: '7' is not an integer", ".deviceNodes[0].gid: 1.5 is not an integer",
            ".deviceNodes[0].major: true is not an integer",
            ".deviceNodes[0].uid: -1 is not a number from 0 to 4294967295"]),
        ("{hooks: [{hookName: x, path: '', env: [A]}]}", [
            ".hooks[0]: key 'path' is missing or empty",
            ".hooks[0].env[0]: 'A' is not an environment entry: NAME=VALUE", f".hooks[0].hookName: 'x' is {NO_HOOK}"]),
        ("{intelRdt: {closID: '..'}}", [".intelRdt.closID: '..' is not a class of service"]),
        ("{intelRdt: {enableMonitoring: 'true', enableCMT: true}}", [
            ".intelRdt.enableCMT: unknown key", ".intelRdt.enableMonitoring: 'true' is not a boolean"]),
        ("{netDevices: [{hostInterfaceName: a, name: b}, {hostInterfaceName: a, name: b}, {name: c}]}", [
            ".netDevices[1].hostInterfaceName: hostInterfaceName 'a' stands twice",
            ".netDevices[1].name: name 'b' stands twice",
            ".netDevices[2]: key 'hostInterfaceName' is missing or empty"]),
        ("{additionalGids: [4294967296]}", [
            ".additionalGids[0]: 4294967296 is not a number from 0 to 4294967295"]),
        ("null", [": must not be empty"]),
    ],
)  # fmt: skip
def test_a_refusal_says_where_and_why(written: str, lines: list[str]) -> None:
    assert edit_refusals(written) == lines


def test_what_is_wrong_at_the_top_is_said() -> None:
    assert refusals("[]") == ["$: this array is not an object"]
    assert refusals("devices: [null]") == [
        "$: key 'cdiVersion' is missing or empty",
        "$: key 'kind' is missing or empty",
        "$.devices[0].containerEdits: must not be empty",
        "$.devices[0].name: '' is not a device name",
    ]
    assert refusals("cdiVersion: 9\nkind: x\nextra: 1\ndevices: {}") == [
        "$.cdiVersion: '9' is not one of '0.3.0', '0.4.0', '0.5.0', '0.6.0', '0.7.0', '0.8.0', '1.0.0', '1.1.0'",
        "$.devices: this object is not an array",
        "$.extra: unknown key",
        f"$.kind: 'x' is {NO_KIND}",
    ]
    device = "{name: a, containerEdits: {env: [A=b]}}"
    assert refusals(f"cdiVersion: 0.5.0\nkind: aa.com/bb\nannotations: {{-x: y}}\ndevices: [{device}, {device}]") == [
        "$.annotations['-x']: '-x' is not an annotation key",
        f"$.cdiVersion: {TOO_LOW}",
        "$.devices[1].name: device name 'a' stands twice",
    ]
    assert refusals(f"{HEAD}annotations: {{x: {'y' * MAX_ANNOTATION_BYTES}}}\ndevices: [{device}]") == [
        "$.annotations: has 262145 bytes of keys and values, the most is 262144"
    ]


def test_an_annotation_that_is_no_text_is_refused_wherever_it_stands() -> None:
    device = "{name: a, annotations: {x: {y: z}}, containerEdits: {env: [A=b]}}"
    assert refusals(f"cdiVersion: 0.6.0\nkind: aa.com/bb\nannotations: {{x: [y], z: null}}\ndevices: [{device}]") == [
        "$.annotations.x: this array is not a string",
        "$.devices[0].annotations.x: this object is not a string",
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%YAML 1.2\n---\na: b", "line 1, column 1: a %YAML directive, but engines read YAML 1.1 alone"),
        (b'a: "\\/"', "line 1, column 4: the escape \\/ in a string, which engines do not know"),
        (b"null: 1", "line 1, column 1: a key that is not a scalar"),
        (b"a: 1\na: 2", "line 2, column 1: duplicate key 'a'"),
        (b"<<: {a: 1}\na: 2", "line 2, column 1: duplicate key 'a'"),
        (b"<<: 7", "line 1, column 5: a merge key (<<) of what is not a mapping"),
        (b"a: !!int x", "line 1, column 4: 'x' is not what its tag 'tag:yaml.org,2002:int' says"),
        (b"a: !!binary '*'", "line 1, column 4: binary data that is not text"),
        (b"a: " + b"9" * 200, f"line 1, column 4: a number of 200 characters: '{'9' * 60}\u2026'"),
        (b"", "no document in it"),
        (b"a: [ ,", "line 1, column 6: did not find expected node content"),
    ],
)
def test_what_engines_cannot_read_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_spec(data)
    assert str(caught.value) == reason
