"""A spec's facts as a document."""

from __future__ import annotations

import json

from cdigen.cdi.model import ContainerEdits, Device, DeviceNode, Mount, Spec, to_document
from cdigen.cdi.validate import find_violations


def test_a_spec_becomes_a_valid_document_in_the_order_of_its_facts() -> None:
    spec = Spec(
        kind="example.com/gpu",
        devices=(
            Device(
                name="b",
                edits=ContainerEdits(
                    device_nodes=(
                        DeviceNode(
                            path="/dev/b", host_path="/driver/dev/b", file_mode=0o660, permissions="rwm", gid=44
                        ),
                    )
                ),
            ),
            Device(name="a", edits=ContainerEdits(device_nodes=(DeviceNode(path="/dev/a", file_mode=0),))),
        ),
        edits=ContainerEdits(
            env=("B=1", "A=2"),
            device_nodes=(DeviceNode(path="/dev/ctl", host_path="/dev/ctl", file_mode=0o666),),
            mounts=(
                Mount(host_path="/z", container_path="/y", options=("ro", "bind")),
                Mount(host_path="/a", container_path="/b", options=()),
            ),
            additional_gids=(44, 7),
        ),
    )

    document = to_document(spec)

    expected = {
        "cdiVersion": "0.7.0",
        "kind": "example.com/gpu",
        "devices": [
            {
                "name": "b",
                "containerEdits": {
                    "deviceNodes": [
                        {
                            "path": "/dev/b",
                            "hostPath": "/driver/dev/b",
                            "fileMode": 0o660,
                            "permissions": "rwm",
                            "gid": 44,
                        }
                    ]
                },
            },
            {
                "name": "a",
                "containerEdits": {"deviceNodes": [{"path": "/dev/a", "fileMode": 0, "permissions": "rw"}]},
            },
        ],
        "containerEdits": {
            "env": ["B=1", "A=2"],
            "deviceNodes": [{"path": "/dev/ctl", "fileMode": 0o666, "permissions": "rw"}],
            "mounts": [
                {"hostPath": "/z", "containerPath": "/y", "options": ["ro", "bind"]},
                {"hostPath": "/a", "containerPath": "/b"},
            ],
            "additionalGids": [44, 7],
        },
    }
    assert json.dumps(document) == json.dumps(expected)  # the order of keys too
    assert find_violations(document, hook_free=True) == ()


def test_empty_common_edits_are_left_out_and_the_lowest_version_is_declared() -> None:
    node = DeviceNode(path="/dev/a", file_mode=0o666)
    spec = Spec(
        kind="example.com/gpu",
        devices=(Device(name="a", edits=ContainerEdits(device_nodes=(node,))),),
        edits=ContainerEdits(),
    )

    assert to_document(spec) == {
        "cdiVersion": "0.3.0",
        "kind": "example.com/gpu",
        "devices": [
            {"name": "a", "containerEdits": {"deviceNodes": [{"path": "/dev/a", "fileMode": 438, "permissions": "rw"}]}}
        ],
    }
