from __future__ import annotations

from cdigen.cdi.entries import entries_of

DOCUMENT = {
    "cdiVersion": "0.6.0",
    "kind": "vendor.com/class",
    "annotations": {"b": "2", "a": ["x", 1]},
    "devices": [
        {
            "name": "one",
            "annotations": {"slot": "3"},
            "containerEdits": {
                "deviceNodes": [{"permissions": "rw", "path": "/dev/one", "hostPath": "/dev/host1", "fileMode": 432}],
                "env": ["ONE=1=2"],
            },
        },
        {"name": "none", "containerEdits": {"env": ["EMPTY="]}},
    ],
    "containerEdits": {
        "mounts": [{"containerPath": "/in", "hostPath": "/out", "options": ["ro", "bind"]}],
        "deviceNodes": [{"path": "/dev/all", "fileMode": 4}],
        "additionalGids": [44, 109],
    },
}


def test_every_entry_has_what_it_is_its_name_in_the_container_and_its_value() -> None:
    assert {(key.title, key.name): value for key, value in entries_of(DOCUMENT).items()} == {
        ("cdiVersion", ""): "0.6.0",
        ("kind", ""): "vendor.com/class",
        ("annotations", ""): "b=2 a=x,1",
        ("device one", ""): "offered",
        ("device one, annotations", ""): "slot=3",
        ("device one, node", "/dev/one"): "fileMode=0660 hostPath=/dev/host1 permissions=rw",
        ("device one, env", "ONE"): "1=2",
        ("device none", ""): "offered",
        ("device none, env", "EMPTY"): "",
        ("mount", "/in"): "hostPath=/out options=ro,bind",
        ("node", "/dev/all"): "fileMode=0004",
        ("additionalGids", ""): "44,109",
    }


def test_the_order_of_entries_and_of_keys_does_not_count() -> None:
    reordered = {key: DOCUMENT[key] for key in reversed(DOCUMENT)}
    reordered["devices"] = [
        {key: device[key] for key in reversed(device)}
        for device in reversed(DOCUMENT["devices"])  # type: ignore[call-overload]
    ]
    assert entries_of(reordered) == entries_of(DOCUMENT)


def test_a_key_tells_what_an_entry_is_and_of_which_device() -> None:
    keys = {key.text: (key.what, key.device) for key in entries_of(DOCUMENT)}

    assert keys == {
        "cdiVersion": ("cdiVersion", None),
        "kind": ("kind", None),
        "annotations": ("annotations", None),
        "device one": ("", "one"),
        "device one, node /dev/one": ("node", "one"),
        "device one, env ONE": ("env", "one"),
        "device one, annotations": ("annotations", "one"),
        "device none": ("", "none"),
        "device none, env EMPTY": ("env", "none"),
        "mount /in": ("mount", None),
        "node /dev/all": ("node", None),
        "additionalGids": ("additionalGids", None),
    }
