"""What is and what is not an OCI runtime configuration, as far as edits touch it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.oci.config import HOOK_NAMES, find_config_violations

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def lines(document: object) -> list[str]:
    return [f"{v.place}: {v.message}" for v in find_config_violations(document)]


FULL: dict[str, object] = {
    "ociVersion": "1.0.2-dev",
    "process": {"user": {"uid": 1, "gid": 2, "additionalGids": [3]}, "env": ["A=b"], "cwd": "/"},
    "mounts": [{"destination": "/proc", "type": "proc"}],
    "hooks": {"prestart": [{"path": "/x"}]},
    "linux": {
        "devices": [{"path": "/dev/x", "type": "c"}],
        "netDevices": {"eth0": {}},
        "resources": {"devices": [{"allow": False}]},
    },
    "solaris": "what edits do not touch is not looked at",
}


@pytest.mark.parametrize(
    "document",
    [
        FULL,
        {"ociVersion": "1.2.0"},
        {"ociVersion": "1.2.0", "process": None, "mounts": None, "hooks": None, "linux": None},
        {"ociVersion": "1.2.0", "process": {"user": None, "env": None}, "linux": {"devices": None, "resources": None}},
    ],
)
def test_a_configuration_may_lack_all_but_its_version(document: object) -> None:
    assert lines(document) == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "$: null is not an object"),
        ([], "$: this array is not an object"),
        ({}, "$: key 'ociVersion' is missing"),
        ({"ociVersion": None}, "$: key 'ociVersion' is missing"),
        ({"ociVersion": 1}, "$.ociVersion: 1 is not a string"),
        ({"ociVersion": "latest"}, "$.ociVersion: 'latest' is not a version such as 1.0.2"),
        ({"ociVersion": "1.0.0", "process": []}, "$.process: this array is not an object"),
        ({"ociVersion": "1.0.0", "process": {"env": {}}}, "$.process.env: this object is not an array"),
        ({"ociVersion": "1.0.0", "process": {"env": [None]}}, "$.process.env[0]: null is not a string"),
        ({"ociVersion": "1.0.0", "process": {"user": "root"}}, "$.process.user: 'root' is not an object"),
        ({"ociVersion": "1.0.0", "process": {"user": {"uid": True}}}, "$.process.user.uid: true is not an integer"),
        ({"ociVersion": "1.0.0", "process": {"user": {"gid": 0.5}}}, "$.process.user.gid: 0.5 is not an integer"),
        (
            {"ociVersion": "1.0.0", "process": {"user": {"additionalGids": ["44"]}}},
            "$.process.user.additionalGids[0]: '44' is not an integer",
        ),
        ({"ociVersion": "1.0.0", "mounts": {}}, "$.mounts: this object is not an array"),
        ({"ociVersion": "1.0.0", "mounts": [None]}, "$.mounts[0]: null is not an object"),
        ({"ociVersion": "1.0.0", "mounts": [{}]}, "$.mounts[0]: key 'destination' is missing"),
        ({"ociVersion": "1.0.0", "mounts": [{"destination": 1}]}, "$.mounts[0].destination: 1 is not a string"),
        ({"ociVersion": "1.0.0", "hooks": []}, "$.hooks: this array is not an object"),
        *(
            ({"ociVersion": "1.0.0", "hooks": {name: {}}}, f"$.hooks.{name}: this object is not an array")
            for name in HOOKS
        ),
        ({"ociVersion": "1.0.0", "linux": 1}, "$.linux: 1 is not an object"),
        ({"ociVersion": "1.0.0", "linux": {"devices": 1}}, "$.linux.devices: 1 is not an array"),
        ({"ociVersion": "1.0.0", "linux": {"devices": [1]}}, "$.linux.devices[0]: 1 is not an object"),
        ({"ociVersion": "1.0.0", "linux": {"devices": [{}]}}, "$.linux.devices[0]: key 'path' is missing"),
        (
            {"ociVersion": "1.0.0", "linux": {"devices": [{"path": []}]}},
            "$.linux.devices[0].path: this array is not a string",
        ),
        ({"ociVersion": "1.0.0", "linux": {"netDevices": []}}, "$.linux.netDevices: this array is not an object"),
        ({"ociVersion": "1.0.0", "linux": {"resources": []}}, "$.linux.resources: this array is not an object"),
        (
            {"ociVersion": "1.0.0", "linux": {"resources": {"devices": {}}}},
            "$.linux.resources.devices: this object is not an array",
        ),
        (
            {"ociVersion": "1.0.0", "linux": {"resources": {"devices": ["a"]}}},
            "$.linux.resources.devices[0]: 'a' is not an object",
        ),
    ],
)
def test_a_part_of_another_shape_is_named_with_its_place(document: object, message: str) -> None:
    assert lines(document) == [message]


def test_every_violation_is_named_by_place() -> None:
    document = {"process": [], "mounts": [{}, 1, {"destination": "/"}, {}], "linux": {"devices": [{}]}}

    assert lines(document) == [
        "$: key 'ociVersion' is missing",
        "$.linux.devices[0]: key 'path' is missing",
        "$.mounts[0]: key 'destination' is missing",
        "$.mounts[1]: 1 is not an object",
        "$.mounts[3]: key 'destination' is missing",
        "$.process: this array is not an object",
    ]


def test_the_hook_names_are_those_of_the_specification() -> None:
    assert HOOK_NAMES == HOOKS


KEYS = st.sampled_from(
    ("ociVersion", "process", "env", "user", "uid", "additionalGids", "mounts", "destination", "hooks", "prestart",
     "linux", "devices", "path", "resources", "netDevices"),
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["1.0.2", "/a", "A=b"])
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner))


@given(document=TREES)
def test_a_document_of_any_shape_gives_violations_of_one_line(document: object) -> None:
    for violation in find_config_violations(document):
        assert (violation.place[0], violation.place.isprintable(), violation.message.isprintable()) == ("$", True, True)
