"""What each kind of edit does to a configuration, document by document."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.cdi.registry import SourcedEdits
from cdigen.cdi.validate import find_violations
from cdigen.errors import IncompleteError
from cdigen.host import Entry, HostReadError
from cdigen.oci.config import find_config_violations
from cdigen.oci.edits import apply_edits

if TYPE_CHECKING:
    from collections.abc import Mapping

NODES = {
    "/dev/one": Entry(kind="char", mode=0o600, major=195, minor=7),
    "/dev/disk": Entry(kind="block", mode=0o660, major=8, minor=16),
    "/dev/pipe": Entry(kind="fifo", mode=0o600),
    "/dev/link": Entry(kind="link", target="one"),
    "/dev/dir": Entry(kind="dir"),
}


def find_node(path: str) -> Entry | None:
    """Return what is at a path of the host; one cannot be looked at."""
    if path == "/dev/locked":
        raise HostReadError(path, "Permission denied")
    return NODES.get(path)


def apply(config: Mapping[str, object], *edits: Mapping[str, object]) -> dict[str, Any]:
    """Return `config` without its version, after the edits of a valid spec."""
    for edit in edits:
        devices = [{"name": "x", "containerEdits": {"env": ["A=b"]}}]
        spec = {"cdiVersion": "1.1.0", "kind": "example.com/gpu", "devices": devices, "containerEdits": edit}
        # Engines take what stands twice, which is no good style.
        assert [one for one in find_violations(spec) if " is already at " not in one.message] == []
    before = {"ociVersion": "1.0.2", **config}
    kept = copy.deepcopy(before)
    sourced = [SourcedEdits(source="example.com/gpu=y", edits=edit) for edit in edits]
    after = apply_edits(before, sourced, find_node=find_node)
    assert before == kept
    assert find_config_violations(after) == ()
    assert apply_edits(after, sourced, find_node=find_node) == after
    assert after.pop("ociVersion") == "1.0.2"
    return after


def test_a_variable_is_replaced_where_it_stands_or_else_added() -> None:
    config = {"process": {"args": ["sh"], "env": ["A=1", "AB=2", "C", "A=3"]}}

    assert apply(config, {"env": ["A=x=y", "D=", "C=4"]}, {"env": ["D=5"]}) == {
        "process": {"args": ["sh"], "env": ["A=1", "AB=2", "C=4", "A=x=y", "D=5"]}
    }


def test_a_configuration_without_a_process_gets_one_for_its_variables_and_groups() -> None:
    assert apply({}, {"env": ["A=b"], "additionalGids": [44]}) == {
        "process": {"env": ["A=b"], "user": {"additionalGids": [44]}}
    }


def test_a_null_is_filled_like_what_is_missing() -> None:
    config: dict[str, object] = {"process": {"env": None, "user": None}, "mounts": None, "hooks": None, "linux": None}
    edits = {
        "env": ["A=b"],
        "deviceNodes": [{"path": "/dev/one"}],
        "mounts": [{"hostPath": "/a", "containerPath": "/b"}],
        "hooks": [{"hookName": "poststop", "path": "/x"}],
    }

    assert apply(config, edits) == {
        "process": {"env": ["A=b"], "user": None},
        "mounts": [{"destination": "/b", "source": "/a"}],
        "hooks": {"poststop": [{"path": "/x"}]},
        "linux": {
            "devices": [{"path": "/dev/one", "type": "c", "major": 195, "minor": 7, "fileMode": 0o600}],
            "resources": {"devices": [{"allow": True, "type": "c", "major": 195, "minor": 7, "access": "rwm"}]},
        },
    }


def test_no_edits_change_nothing() -> None:
    config = {"mounts": [{"destination": "/a/b"}, {"destination": "/a"}], "process": {"cwd": "/"}}

    assert apply(config, {}, {"env": [], "mounts": [], "hooks": [], "deviceNodes": [], "additionalGids": []}) == config


@pytest.mark.parametrize(
    ("node", "device", "access"),
    [
        ({}, {"type": "c", "major": 195, "minor": 7, "fileMode": 0o600}, "rwm"),
        ({"permissions": "r"}, {"type": "c", "major": 195, "minor": 7, "fileMode": 0o600}, "r"),
        ({"hostPath": "/dev/disk"}, {"type": "b", "major": 8, "minor": 16, "fileMode": 0o660}, "rwm"),
        ({"hostPath": "/dev/disk", "type": "b"}, {"type": "b", "major": 8, "minor": 16, "fileMode": 0o660}, "rwm"),
        # A major number of 0 is none, and then the minor number is not taken either.
        ({"type": "c", "major": 0, "minor": 3}, {"type": "c", "major": 195, "minor": 7, "fileMode": 0o600}, "rwm"),
        ({"minor": 3}, {"type": "c", "major": 195, "minor": 7, "fileMode": 0o600}, "rwm"),
        ({"major": 5}, {"type": "c", "major": 5, "minor": 0, "fileMode": 0o600}, "rwm"),
        # With both, only the mode is the host's, if it has such a node at all.
        ({"type": "c", "major": 5, "minor": 3}, {"type": "c", "major": 5, "minor": 3, "fileMode": 0o600}, "rwm"),
        ({"hostPath": "/dev/disk", "type": "p"}, {"type": "p", "fileMode": 0o660}, None),
        ({"hostPath": "/dev/link", "type": "p"}, {"type": "p"}, None),
        ({"hostPath": "/dev/locked", "type": "c", "major": 5}, {"type": "c", "major": 5, "minor": 0}, "rwm"),
        ({"type": "c", "major": 5, "fileMode": 0}, {"type": "c", "major": 5, "minor": 0, "fileMode": 0}, "rwm"),
        ({"hostPath": "/no", "type": "c", "major": 5, "minor": 3}, {"type": "c", "major": 5, "minor": 3}, "rwm"),
        ({"hostPath": "/no", "type": "c", "major": 5}, {"type": "c", "major": 5, "minor": 0}, "rwm"),
        ({"type": "u"}, {"type": "u", "major": 195, "minor": 7, "fileMode": 0o600}, None),
        ({"hostPath": "/no", "type": "p", "major": 5}, {"type": "p"}, None),
        ({"hostPath": "/no", "type": "p"}, {"type": "p"}, None),
        ({"hostPath": "/dev/pipe"}, {"type": "p", "fileMode": 0o600}, None),
        (
            {"fileMode": 0o640, "uid": 0, "gid": 0},
            {"type": "c", "major": 195, "minor": 7, "fileMode": 0o640, "uid": 0, "gid": 0},
            "rwm",
        ),
    ],
)
def test_a_node_has_what_the_spec_says_and_the_rest_from_the_host(
    node: dict[str, object], device: dict[str, object], access: str | None
) -> None:
    numbers = {key: value for key, value in device.items() if key in ("type", "major", "minor")}
    rules = {} if access is None else {"resources": {"devices": [{"allow": True, **numbers, "access": access}]}}

    assert apply({}, {"deviceNodes": [{"path": "/dev/one", **node}]}) == {
        "linux": {"devices": [{"path": "/dev/one", **device}], **rules}
    }


def test_a_node_belongs_to_the_process_if_the_spec_does_not_say() -> None:
    config = {"process": {"user": {"uid": 1000, "gid": 100}}}
    edits = {"deviceNodes": [{"path": "/dev/one"}, {"path": "/dev/two", "hostPath": "/dev/one", "uid": 0}]}

    assert apply(config, edits)["linux"]["devices"] == [
        {"path": "/dev/one", "type": "c", "major": 195, "minor": 7, "fileMode": 0o600, "uid": 1000, "gid": 100},
        {"path": "/dev/two", "type": "c", "major": 195, "minor": 7, "fileMode": 0o600, "uid": 0, "gid": 100},
    ]


def test_root_s_own_ids_are_left_to_the_runtime() -> None:
    config = {"process": {"user": {"uid": 0, "gid": 0}}}

    assert apply(config, {"deviceNodes": [{"path": "/dev/one"}]})["linux"]["devices"] == [
        {"path": "/dev/one", "type": "c", "major": 195, "minor": 7, "fileMode": 0o600}
    ]


def test_a_node_takes_the_place_of_one_with_its_path_and_no_other() -> None:
    config = {"linux": {"devices": [{"path": "/dev/one", "type": "b"}, {"path": "/dev/x"}], "cgroupsPath": "/c"}}

    after = apply(config, {"deviceNodes": [{"path": "/dev/one"}]})

    assert after["linux"]["devices"] == [
        {"path": "/dev/x"},
        {"path": "/dev/one", "type": "c", "major": 195, "minor": 7, "fileMode": 0o600},
    ]
    assert list(after["linux"]) == ["devices", "cgroupsPath", "resources"]


def test_a_rule_comes_after_what_is_there_and_once_unless_it_is_denied_later() -> None:
    deny: dict[str, object] = {"allow": False, "access": "rwm"}
    one = {"allow": True, "type": "c", "major": 195, "minor": 7, "access": "rw"}
    other = {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}
    edits = {"deviceNodes": [{"path": "/dev/one", "permissions": "rw"}]}

    for before, after in (
        ([deny], [deny, one]),
        ([deny, one, other], [deny, one, other]),
        ([one, deny, other], [one, deny, other, one]),
    ):
        found = apply({"linux": {"resources": {"devices": before, "pids": {}}}}, edits)["linux"]["resources"]
        assert found == {"devices": after, "pids": {}}


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            {"path": "/dev/no"},
            (
                "the host has no /dev/no, which example.com/gpu=y needs; load the device's driver, or write the"
                " spec again"
            ),
        ),
        (
            {"path": "/dev/one", "hostPath": "/dev/é\u2028"},
            (
                "the host has no /dev/é\\u2028, which example.com/gpu=y needs; load the device's driver, or write the"
                " spec again"
            ),
        ),
        (
            {"path": "/dev/link"},
            "/dev/link, which example.com/gpu=y needs, is not a device node but a link; write the spec again",
        ),
        (
            {"path": "/dev/one", "hostPath": "/dev/dir"},
            "/dev/dir, which example.com/gpu=y needs, is not a device node but a dir; write the spec again",
        ),
        (
            {"path": "/dev/one", "type": "b"},
            "/dev/one, which example.com/gpu=y needs as a block device, is a character device; write the spec again",
        ),
        (
            {"path": "/dev/disk", "type": "c"},
            "/dev/disk, which example.com/gpu=y needs as a character device, is a block device; write the spec again",
        ),
        (
            {"path": "/dev/pipe", "type": "u"},
            "/dev/pipe, which example.com/gpu=y needs as a character device, is a named pipe; write the spec again",
        ),
    ],
)
def test_a_node_that_the_host_does_not_have_is_an_error(node: dict[str, object], message: str) -> None:
    with pytest.raises(IncompleteError) as caught:
        apply({}, {"deviceNodes": [node]})
    assert str(caught.value) == message


def test_a_mount_takes_the_place_of_one_with_its_destination_and_parents_come_first() -> None:
    config = {
        "mounts": [
            {"destination": "/a/b/c", "source": "1"},
            {"destination": "/proc", "type": "proc"},
            {"destination": "/a/x", "source": "2"},
            {"destination": "//a/b/", "source": "3"},
            {"destination": "/a/x", "source": "4"},
        ]
    }
    edits = {
        "mounts": [
            {"hostPath": "/h/deep", "containerPath": "/a/b/d/e", "type": "bind", "options": ["ro", "bind"]},
            {"hostPath": "/h/x", "containerPath": "/a/x", "options": []},
            {"hostPath": "/h/top", "containerPath": "/z"},
            {"hostPath": "/h/root", "containerPath": "/"},
        ]
    }

    assert apply(config, edits) == {
        "mounts": [
            {"destination": "/proc", "type": "proc"},
            {"destination": "/z", "source": "/h/top"},
            {"destination": "/", "source": "/h/root"},
            {"destination": "//a/b/", "source": "3"},
            {"destination": "/a/x", "source": "/h/x", "options": []},
            {"destination": "/a/b/c", "source": "1"},
            {"destination": "/a/b/d/e", "type": "bind", "source": "/h/deep", "options": ["ro", "bind"]},
        ]
    }


def test_of_two_mounts_on_one_place_the_later_edit_s_counts() -> None:
    first, second = ({"mounts": [{"hostPath": path, "containerPath": "/c"}]} for path in ("/1", "/2"))

    assert apply({}, first, second) == {"mounts": [{"destination": "/c", "source": "/2"}]}


def test_of_two_mounts_on_one_place_in_one_spec_the_later_counts_in_its_own_place() -> None:
    paths = (("/1", "/c"), ("/2", "/d"), ("/3", "/c"))
    edits = {"mounts": [{"hostPath": source, "containerPath": target} for source, target in paths]}

    assert apply({}, edits) == {
        "mounts": [{"destination": "/d", "source": "/2"}, {"destination": "/c", "source": "/3"}]
    }


def test_a_hook_goes_to_the_end_of_the_list_of_its_name_with_all_that_it_has() -> None:
    config = {"hooks": {"prestart": [{"path": "/there"}], "poststop": [{"path": "/x", "args": ["x"]}]}}
    edits = {
        "hooks": [
            {"hookName": "createContainer", "path": "/b", "args": ["b", "1"], "env": ["A=b"], "timeout": 3},
            {"hookName": "prestart", "path": "/p"},
            {"hookName": "createContainer", "path": "/a"},
            {"hookName": "poststop", "path": "/x"},
        ]
    }

    assert apply(config, edits) == {
        "hooks": {
            "prestart": [{"path": "/there"}, {"path": "/p"}],
            "poststop": [{"path": "/x", "args": ["x"]}, {"path": "/x"}],
            "createContainer": [
                {"path": "/b", "args": ["b", "1"], "env": ["A=b"], "timeout": 3},
                {"path": "/a"},
            ],
        }
    }


def test_groups_are_added_once_and_never_root_s() -> None:
    config = {"process": {"user": {"uid": 5, "additionalGids": [10, 44]}}}

    assert apply(config, {"additionalGids": [0, 44, 105]}, {"additionalGids": [105, 7]}) == {
        "process": {"user": {"uid": 5, "additionalGids": [10, 44, 105, 7]}}
    }
    assert apply({}, {"additionalGids": [0]}) == {}


def test_network_devices_are_added_by_their_name_on_the_host() -> None:
    config = {"linux": {"netDevices": {"eth0": {"name": "old"}, "eth9": {}}}}
    devices = [{"hostInterfaceName": "eth0", "name": "net0"}, {"hostInterfaceName": "eth1", "name": "net1"}]

    assert apply(config, {"netDevices": devices}) == {
        "linux": {"netDevices": {"eth0": {"name": "net0"}, "eth9": {}, "eth1": {"name": "net1"}}}
    }


def test_the_last_cache_and_bandwidth_class_counts_whole() -> None:
    config = {"linux": {"intelRdt": {"closID": "old", "l3CacheSchema": "L3:0=f"}}}
    last = {"closID": "new", "schemata": ["L2:0=f"], "enableMonitoring": True}

    assert apply(config, {"intelRdt": {"closID": "first"}}, {"intelRdt": last}) == {"linux": {"intelRdt": last}}


NAMES = st.sampled_from("ABC")
PATHS = st.sampled_from(["/", "/a", "/a/b", "//a", "/a/", "/b/../c", "/b", "/c/d/e"])
MOUNTS = st.lists(PATHS, unique=True)
ENTRIES = st.lists(st.tuples(NAMES, st.sampled_from("12")), unique_by=lambda entry: entry[0])


@given(there=st.lists(PATHS), mounts=MOUNTS, env=st.lists(st.tuples(NAMES, st.sampled_from("12"))), entries=ENTRIES)
def test_whatever_is_there_every_edit_is_in_force_afterwards_and_the_rest_stays(
    there: list[str], mounts: list[str], env: list[tuple[str, str]], entries: list[tuple[str, str]]
) -> None:
    config = {
        "process": {"env": [f"{name}={value}" for name, value in env]},
        "mounts": [{"destination": path, "source": "there"} for path in there],
    }
    edits = {
        "env": [f"{name}={value}" for name, value in entries],
        "mounts": [{"hostPath": "/new", "containerPath": path} for path in mounts],
    }

    after = apply(config, edits)

    assert dict(entry.split("=") for entry in after["process"]["env"]) == dict(env) | dict(entries)
    assert len(after["process"]["env"]) == len(env) + len(dict(entries).keys() - dict(env).keys())
    sources = [(mount["destination"], mount["source"]) for mount in after["mounts"]]
    assert sorted(sources) == sorted(
        [(path, "there") for path in there if path not in mounts] + [(path, "/new") for path in mounts]
    )
