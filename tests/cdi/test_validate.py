"""What is and what is not a valid CDI document, rule by rule, each violation whole."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.cdi.validate import find_violations


def minimal() -> dict[str, object]:
    return {
        "cdiVersion": "0.3.0",
        "kind": "example.com/gpu",
        "devices": [{"name": "one", "containerEdits": {"deviceNodes": [{"path": "/dev/one"}]}}],
    }


def with_edits(edits: object, version: str = "1.1.0") -> dict[str, object]:
    """Return a valid document but for `edits`, which are everyone's."""
    return minimal() | {"cdiVersion": version, "containerEdits": edits}


def lines(document: object, *, hook_free: bool = False) -> list[str]:
    return [f"{v.place}: {v.message}" for v in find_violations(document, hook_free=hook_free)]


EVERYTHING: dict[str, object] = {
    "cdiVersion": "1.1.0",
    "kind": "vendor.example-1.com/class_a.b-c",
    "annotations": {"a": "", "example.com/some.key_1": "any text\n"},
    "devices": [
        {
            "name": "0:1",
            "annotations": {"k": "v"},
            "containerEdits": {
                "env": ["A=", "B=x=y\nz"],
                "deviceNodes": [
                    {
                        "path": "/dev/one",
                        "hostPath": "/dev/dir/one two",
                        "type": "c",
                        "major": 0,
                        "minor": 1048575,
                        "fileMode": 0o666,
                        "permissions": "mrw",
                        "uid": 0,
                        "gid": 4294967295,
                    },
                    {"path": "/dev/two", "permissions": "r"},
                ],
                "netDevices": [{"hostInterfaceName": "eth0", "name": "net.1"}],
                "mounts": [
                    {"hostPath": "/a", "containerPath": "/b", "type": "none", "options": ["ro", "size=4k"]},
                    {"hostPath": "/é", "containerPath": "/c"},
                ],
                "hooks": [
                    {"hookName": name, "path": "/bin/x", "args": ["x", ""], "env": ["E=1"], "timeout": 1}
                    for name in (
                        "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
                    )
                ],
                "intelRdt": {
                    "closID": "group",
                    "l3CacheSchema": "L3:0=f",
                    "memBwSchema": "MB:0=10",
                    "schemata": ["L2:0=f"],
                    "enableMonitoring": True,
                },
                "additionalGids": [0, 44],
            },
        },
        {"name": "A", "containerEdits": {"intelRdt": {}}},
    ],
    "containerEdits": {"env": [], "mounts": []},
}  # fmt: skip


def test_everything_that_the_specification_has_is_valid() -> None:
    assert lines(EVERYTHING) == []


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("cdiVersion", "0.2.0", [("$.cdiVersion: '0.2.0' is not one of '0.3.0', '0.4.0', '0.5.0', '0.6.0', "
                                 "'0.7.0', '0.8.0', '1.0.0', '1.1.0'")]),
        ("devices", [], ["$.devices: must not be empty"]),
        ("devices", None, ["$.devices: null is not an array"]),
        ("devices", {}, ["$.devices: this object is not an array"]),
        ("device", [], ["$.device: unknown key, did you mean 'devices'?"]),
        ("x" * 999, 1, [f"$['{'x' * 60}…']: unknown key"]),
        ("a\nb", 1, ["$['a\\nb']: unknown key"]),
        ("containerEdits", [], ["$.containerEdits: this array is not an object"]),
    ],
)  # fmt: skip
def test_the_document_itself_is_checked(key: str, value: object, expected: list[str]) -> None:
    assert lines(minimal() | {key: value}) == expected


@pytest.mark.parametrize("document", [None, [], "text", 1, True])
def test_what_is_no_object_is_one_violation(document: object) -> None:
    assert [line.partition(" is not ")[2] for line in lines(document)] == ["an object"]


def test_missing_keys_are_all_named() -> None:
    assert lines({"devices": [{}]}) == [
        "$: key 'cdiVersion' is missing",
        "$: key 'kind' is missing",
        "$.devices[0]: key 'containerEdits' is missing",
        "$.devices[0]: key 'name' is missing",
    ]


KIND = (
    "a kind: vendor/class, each of two or more letters, digits, '_', '.' and '-', starting with a letter and "
    "ending with a letter or digit"
)


@pytest.mark.parametrize("kind", ["vendor.com/gpu", "a1/b2", "A_b.c-d/E_f-g"])
def test_a_kind_that_engines_accept_is_valid(kind: str) -> None:
    assert lines(minimal() | {"kind": kind}) == []


@pytest.mark.parametrize(
    "kind",
    ["gpu", "/gpu", "a.com/", "a.com/b/c", "1a/gpu", "a.com/1b", "a-/gpu", "a.com/b_", "a b/gpu", "a/gpu", "aa/b",
     "é.com/gpu", "a.com/gpu=", f"{'a' * 254}/gp", f"aa/{'b' * 64}"],
)  # fmt: skip
def test_a_kind_that_some_engine_refuses_is_not(kind: str) -> None:
    shown = kind if len(kind) <= 60 else kind[:60] + "…"
    assert lines(minimal() | {"kind": kind}) == [f"$.kind: '{shown}' is not {KIND}"]


def test_a_final_line_break_is_part_of_a_name() -> None:
    assert lines(minimal() | {"kind": "a.com/gpu\n"}) == [f"$.kind: 'a.com/gpu\\n' is not {KIND}"]


@pytest.mark.parametrize("name", ["a", "Z9", "GPU-1.2:3_4", "all"])
def test_a_device_name_that_engines_accept_is_valid(name: str) -> None:
    document = minimal() | {"devices": [{"name": name, "containerEdits": {"env": ["A=b"]}}]}
    assert lines(document) == []


@pytest.mark.parametrize(
    ("name", "shown"), [("", "''"), ("-a", "'-a'"), ("a:", "'a:'"), ("a b", "'a b'"), ("a\n", "'a\\n'"), ("é", "'é'")]
)
def test_a_device_name_that_some_engine_refuses_is_not(name: str, shown: str) -> None:
    document = minimal() | {"devices": [{"name": name, "containerEdits": {"env": ["A=b"]}}]}
    assert lines(document) == [
        (
            f"$.devices[0].name: {shown} is not a device name: letters, digits, '_', '.', ':' and '-', starting and "
            "ending with a letter or digit"
        )
    ]


def test_a_value_that_yaml_made_a_number_or_boolean_is_to_be_quoted() -> None:
    document = with_edits({"env": [True], "mounts": [{"hostPath": 1.5, "containerPath": "/a"}]})
    assert lines(document) == [
        "$.containerEdits.env[0]: true is not a string; put it in quotes",
        "$.containerEdits.mounts[0].hostPath: 1.5 is not a string; put it in quotes",
    ]


@pytest.mark.parametrize(
    "edits", [{}, {"env": []}, {"env": [], "mounts": [], "hooks": [], "deviceNodes": [], "netDevices": []}]
)
def test_a_device_without_any_edit_is_refused(edits: dict[str, object]) -> None:
    document = minimal() | {"cdiVersion": "1.1.0", "devices": [{"name": "one", "containerEdits": edits}]}
    assert lines(document) == [
        "$.devices[0].containerEdits: this object is not a non-empty set of edits, which every device needs"
    ]


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ({"env": ["A"]}, ".env[0]: 'A' is not an environment entry: NAME=VALUE, without a NUL character"),
        ({"env": ["=b"]}, ".env[0]: '=b' is not an environment entry: NAME=VALUE, without a NUL character"),
        ({"env": ["A=\0"]}, ".env[0]: 'A=\\x00' is not an environment entry: NAME=VALUE, without a NUL character"),
        ({"deviceNodes": [{}]}, ".deviceNodes[0]: key 'path' is missing"),
        ({"deviceNodes": [{"path": "dev/x"}]},
         ".deviceNodes[0].path: 'dev/x' is not an absolute path without control characters"),
        ({"deviceNodes": [{"path": "/x", "type": "f"}]}, ".deviceNodes[0].type: 'f' is not one of 'b', 'c', 'u', 'p'"),
        ({"deviceNodes": [{"path": "/x", "permissions": "rr"}]},
         ".deviceNodes[0].permissions: 'rr' is not a set of permissions: each of r, w and m at most once"),
        ({"deviceNodes": [{"path": "/x", "permissions": "rwx"}]},
         ".deviceNodes[0].permissions: 'rwx' is not a set of permissions: each of r, w and m at most once"),
        ({"deviceNodes": [{"path": "/x", "permissions": "none"}]},
         ".deviceNodes[0].permissions: 'none' is not a set of permissions: each of r, w and m at most once"),
        ({"deviceNodes": [{"path": "/x", "permissions": ""}]},
         ".deviceNodes[0].permissions: '' is not a set of permissions: each of r, w and m at most once"),
        ({"deviceNodes": [{"path": "/x", "major": -1}]},
         ".deviceNodes[0].major: -1 is too small, the lowest value is 0"),
        ({"deviceNodes": [{"path": "/x", "major": 4096}]},
         ".deviceNodes[0].major: 4096 is too large, the highest value is 4095"),
        ({"deviceNodes": [{"path": "/x", "minor": 1048576}]},
         ".deviceNodes[0].minor: 1048576 is too large, the highest value is 1048575"),
        ({"deviceNodes": [{"path": "/x", "fileMode": "0666"}]}, ".deviceNodes[0].fileMode: '0666' is not an integer"),
        ({"deviceNodes": [{"path": "/x", "uid": 2**32}]},
         ".deviceNodes[0].uid: 4294967296 is too large, the highest value is 4294967295"),
        ({"mounts": [{"hostPath": "/a"}]}, ".mounts[0]: key 'containerPath' is missing"),
        ({"mounts": [{"hostPath": "/a\n", "containerPath": "/b"}]},
         ".mounts[0].hostPath: '/a\\n' is not an absolute path without control characters"),
        ({"mounts": [{"hostPath": "/a", "containerPath": "/\x9b"}]},
         ".mounts[0].containerPath: '/\\x9b' is not an absolute path without control characters"),
        ({"mounts": [{"hostPath": "/" + "a" * 4095, "containerPath": "/b"}]},
         ".mounts[0].hostPath: has a length of 4096, the most is 4095"),
        ({"mounts": [{"hostPath": "/a", "containerPath": "/b", "options": "ro"}]},
         ".mounts[0].options: 'ro' is not an array"),
        ({"mounts": [{"hostPath": "/a", "containerPath": "/b", "options": [""]}]},
         ".mounts[0].options[0]: '' is not a word without control characters"),
        ({"mounts": [{"hostpath": "/a", "hostPath": "/a", "containerPath": "/b"}]},
         ".mounts[0].hostpath: unknown key, did you mean 'hostPath'?"),
        ({"hooks": [{"hookName": "preStart", "path": "/x"}]},
         (".hooks[0].hookName: 'preStart' is not one of 'prestart', 'createRuntime', 'createContainer', "
         "'startContainer', 'poststart', 'poststop'")),
        ({"hooks": [{"hookName": "prestart", "path": "x"}]},
         ".hooks[0].path: 'x' is not an absolute path without control characters"),
        ({"hooks": [{"hookName": "prestart", "path": "/x", "timeout": 0}]},
         ".hooks[0].timeout: 0 is too small, the lowest value is 1"),
        ({"intelRdt": {"enableCMT": True}}, ".intelRdt.enableCMT: unknown key"),
        ({"intelRdt": {"closID": ".."}}, ".intelRdt.closID: '..' is not a class of service: '/' or a file name"),
        ({"netDevices": [{"hostInterfaceName": "a/b", "name": "ok"}]},
         ".netDevices[0].hostInterfaceName: 'a/b' is not a network interface name"),
        ({"additionalGids": [-1]}, ".additionalGids[0]: -1 is too small, the lowest value is 0"),
    ],
)  # fmt: skip
def test_every_field_of_the_edits_is_checked(edits: dict[str, object], expected: str) -> None:
    assert lines(with_edits(edits)) == [f"$.containerEdits{expected}"]
    in_device = minimal() | {"cdiVersion": "1.1.0", "devices": [{"name": "a", "containerEdits": edits}]}
    assert lines(in_device) == [f"$.devices[0].containerEdits{expected}"]


@pytest.mark.parametrize(
    ("edits", "place"),
    [
        ({"deviceNodes": [{"path": "/x\n"}]}, ".deviceNodes[0].path"),
        ({"deviceNodes": [{"path": "/x", "permissions": "rw\n"}]}, ".deviceNodes[0].permissions"),
        ({"mounts": [{"hostPath": "/a", "containerPath": "/b", "options": ["ro\n"]}]}, ".mounts[0].options[0]"),
        ({"netDevices": [{"hostInterfaceName": "e0", "name": "e0\n"}]}, ".netDevices[0].name"),
        ({"intelRdt": {"closID": "a\n"}}, ".intelRdt.closID"),
    ],
)
def test_a_final_line_break_is_not_overlooked_in_any_field(edits: dict[str, object], place: str) -> None:
    assert [violation.place for violation in find_violations(with_edits(edits))] == [f"$.containerEdits{place}"]


def test_annotation_keys_and_values_are_checked() -> None:
    keys = {"": "v", "a/b/c": "v", "-a": "v", "a_b.com/x": "v", "a" * 64: "v", "b\n": "v", "ok": 1}
    phrase = "an annotation key: [domain/]name, the name of at most 63 letters, digits, '_', '.' and '-'"

    assert lines(minimal() | {"cdiVersion": "0.6.0", "annotations": keys}) == [
        f"$.annotations['']: '' is not {phrase}",
        f"$.annotations['-a']: '-a' is not {phrase}",
        f"$.annotations['a/b/c']: 'a/b/c' is not {phrase}",
        f"$.annotations['a_b.com/x']: 'a_b.com/x' is not {phrase}",
        f"$.annotations['{'a' * 60}…']: '{'a' * 60}…' is not {phrase}",
        f"$.annotations['b\\n']: 'b\\n' is not {phrase}",
        "$.annotations.ok: 1 is not a string; put it in quotes",
    ]


def test_annotations_have_a_size_together() -> None:
    document = minimal() | {"cdiVersion": "0.6.0", "annotations": {"a": "é" * 131072}}

    assert lines(document) == ["$.annotations: has 262145 bytes of keys and values, the most is 262144"]


def test_entries_that_stand_twice_are_named_with_the_first() -> None:
    document = minimal() | {
        "cdiVersion": "1.1.0",
        "devices": [
            {"name": "a", "containerEdits": {"env": ["A=1", "B=1", "A=2"]}},
            {"name": "b", "containerEdits": {"env": ["A=1"]}},
            {"name": "a", "containerEdits": {"deviceNodes": [{"path": "/x"}, {"path": "/x"}]}},
        ],
        "containerEdits": {
            "mounts": [{"hostPath": f"/{n}", "containerPath": "/c"} for n in range(3)],
            "netDevices": [
                {"hostInterfaceName": "e0", "name": "n0"},
                {"hostInterfaceName": "e0", "name": "n1"},
                {"hostInterfaceName": "e1", "name": "n0"},
            ],
        },
    }

    assert lines(document) == [
        (
            "$.containerEdits.mounts[1].containerPath: containerPath '/c' is already at "
            "$.containerEdits.mounts[0].containerPath"
        ),
        (
            "$.containerEdits.mounts[2].containerPath: containerPath '/c' is already at "
            "$.containerEdits.mounts[0].containerPath"
        ),
        (
            "$.containerEdits.netDevices[1].hostInterfaceName: hostInterfaceName 'e0' is already at "
            "$.containerEdits.netDevices[0].hostInterfaceName"
        ),
        "$.containerEdits.netDevices[2].name: name 'n0' is already at $.containerEdits.netDevices[0].name",
        "$.devices[0].containerEdits.env[2]: variable 'A' is already at $.devices[0].containerEdits.env[0]",
        (
            "$.devices[2].containerEdits.deviceNodes[1].path: path '/x' is already at "
            "$.devices[2].containerEdits.deviceNodes[0].path"
        ),
        "$.devices[2].name: device name 'a' is already at $.devices[0].name",
    ]


def test_a_version_below_what_the_content_needs_is_refused_with_the_field_that_needs_it() -> None:
    document = copy.deepcopy(EVERYTHING) | {"cdiVersion": "0.4.0"}

    edits = "$.devices[0].containerEdits"
    assert lines(document) == [
        (
            "$.cdiVersion: 0.4.0 is too low: $.annotations (and 1 more) needs 0.6.0, "
            "where annotations were added, to a spec and to a device"
        ),
        f"$.cdiVersion: 0.4.0 is too low: {edits}.additionalGids needs 0.7.0, where additional groups were added",
        f"$.cdiVersion: 0.4.0 is too low: {edits}.deviceNodes[0].hostPath needs 0.5.0, where the field was added",
        (
            f"$.cdiVersion: 0.4.0 is too low: {edits}.intelRdt (and 1 more) needs 0.7.0, "
            "where cache and bandwidth classes were added"
        ),
        f"$.cdiVersion: 0.4.0 is too low: {edits}.intelRdt.enableMonitoring needs 1.1.0, where the field was added",
        f"$.cdiVersion: 0.4.0 is too low: {edits}.intelRdt.schemata needs 1.1.0, where the field was added",
        f"$.cdiVersion: 0.4.0 is too low: {edits}.netDevices needs 1.1.0, where network devices were added",
        "$.cdiVersion: 0.4.0 is too low: $.devices[0].name needs 0.5.0, where a name may start with a digit",
        "$.cdiVersion: 0.4.0 is too low: $.kind needs 0.6.0, where the class part may have a dot",
    ]


def test_a_hook_free_spec_has_no_hooks_anywhere() -> None:
    hooks: list[object] = [{"hookName": "prestart", "path": "/x"}]
    document = minimal() | {
        "devices": [{"name": "a", "containerEdits": {"env": ["A=b"], "hooks": []}}],
        "containerEdits": {"hooks": hooks},
    }

    assert lines(document) == []
    assert lines(document, hook_free=True) == [
        "$.containerEdits.hooks: hooks are not allowed in a hook-free spec",
        "$.devices[0].containerEdits.hooks: hooks are not allowed in a hook-free spec",
    ]


def test_text_that_is_not_unicode_is_refused_wherever_it_stands() -> None:
    document = with_edits({"env": ["A=\udc80"]}) | {"annotations": {"k": "\ud800"}}

    assert lines(document) == [
        "$.annotations.k: '\\ud800' cannot be written as UTF-8",
        "$.containerEdits.env[0]: 'A=\\udc80' cannot be written as UTF-8",
    ]


def test_violations_are_in_the_order_of_positions_not_of_digits() -> None:
    document = with_edits({"env": ["x"] * 11})

    assert [v.place for v in find_violations(document)] == [f"$.containerEdits.env[{n}]" for n in range(11)]


def test_no_message_repeats_a_large_value() -> None:
    document = with_edits({"env": ["x" * 1_000_000], "y" * 1_000_000: 1, "mounts": 10**90}) | {"kind": "\n" * 999}

    assert max(map(len, lines(document))) < 400


KEYS = st.sampled_from(
    (
        "cdiVersion",
        "kind",
        "annotations",
        "devices",
        "name",
        "containerEdits",
        "env",
        "deviceNodes",
        "path",
        "hostPath",
        "permissions",
        "mounts",
        "containerPath",
        "type",
        "options",
        "hooks",
        "hookName",
        "intelRdt",
        "schemata",
        "additionalGids",
        "netDevices",
        "other",
    )
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | st.sampled_from(["", "/a", "A=b", "0", "none", "1.1.0", "0.3.0", "a.b/c.d", "é\n", "\ud800"])
)  # fmt: skip
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS | st.text(), inner))
NEAR = st.fixed_dictionaries(
    {
        "cdiVersion": st.sampled_from(["0.3.0", "1.1.0"]) | TREES,
        "kind": TREES,
        "devices": st.lists(st.dictionaries(KEYS, TREES)) | TREES,
        "containerEdits": st.dictionaries(KEYS, st.lists(st.dictionaries(KEYS, TREES)) | TREES),
    }
)


@given(document=TREES | NEAR, hook_free=st.booleans())
def test_a_document_of_any_shape_gives_violations_of_one_line(document: object, hook_free: bool) -> None:
    for violation in find_violations(document, hook_free=hook_free):
        assert violation.place.startswith("$")
        assert violation.place.isprintable()
        assert violation.message.isprintable()
