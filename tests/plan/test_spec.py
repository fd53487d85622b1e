from __future__ import annotations

from typing import Any, cast

from cdigen.cdi.model import to_document
from cdigen.cdi.validate import find_violations
from cdigen.plan.groups import find_closed
from cdigen.plan.options import BuildOptions
from cdigen.plan.plan import build_plan
from cdigen.plan.spec import build_spec
from tests.hosts import LIBDIR, OWN_LIBRARIES, VERSION, Entries, char, inventory_of, minimal_entries, moved, without

READ_ONLY = ["ro", "nosuid", "nodev", "bind"]


def document_of(entries: Entries, options: BuildOptions, **roots: str) -> dict[str, object]:
    document = to_document(build_spec(build_plan(inventory_of(entries, **roots), options)))
    assert find_violations(document, hook_free=True) == ()
    return document


def mount(host_path: str, container_path: str) -> dict[str, object]:
    return {"hostPath": host_path, "containerPath": container_path, "options": READ_ONLY}


def node(path: str, host_path: str | None = None, mode: int = 0o666, **group: int) -> dict[str, object]:
    host: dict[str, object] = {"hostPath": host_path} if host_path else {}
    return {"path": path, **host, "fileMode": mode, "permissions": "rw", **group}


def test_the_spec_of_a_small_host() -> None:
    gpu = {
        "deviceNodes": [
            node("/dev/nvidia0"),
            node("/dev/dri/card0", mode=0o660),
            node("/dev/dri/renderD128"),
            node("/dev/dri/by-path/pci-0000:01:00.0-card", "/dev/dri/card0", mode=0o660),
            node("/dev/dri/by-path/pci-0000:01:00.0-render", "/dev/dri/renderD128"),
        ]
    }
    assert document_of(minimal_entries(), BuildOptions()) == {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [
            {"name": "0", "containerEdits": gpu},
            {"name": "GPU-00000000-0000-4000-8000-000000000000", "containerEdits": gpu},
            {"name": "all", "containerEdits": gpu},
        ],
        "containerEdits": {
            "env": ["NVIDIA_VISIBLE_DEVICES=void", f"TRITON_LIBCUDA_PATH={LIBDIR}"],
            "deviceNodes": [
                node("/dev/nvidiactl"),
                node("/dev/nvidia-uvm"),
                node("/dev/nvidia-uvm-tools"),
                node("/dev/nvidia-modeset"),
            ],
            "mounts": [
                mount(
                    f"/usr/lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin",
                    f"/lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin",
                ),
                mount("/usr/bin/nvidia-smi", "/usr/bin/nvidia-smi"),
                *(
                    mount(f"{LIBDIR}/{file_name}", f"{directory}/{name}")
                    for directory in (LIBDIR, "/usr/lib64")
                    for file_name, names in OWN_LIBRARIES.items()
                    for name in names
                ),
            ],
        },
    }


def test_the_spec_of_a_host_with_every_choice_made() -> None:
    root = "/run/driver"
    entries = moved(without(minimal_entries(machine="aarch64"), "/sys", "/dev/dri"), root, "/usr", "/lib", "/dev")
    options = BuildOptions(
        vendor="example.com",
        device_class="accelerator",
        strategies=("type-index",),
        with_all=False,
        library_directories=("/opt/lib",),
    )
    libraries = f"{root}/usr/lib/aarch64-linux-gnu"
    assert document_of(entries, options, driver_root=root) == {
        "cdiVersion": "0.5.0",
        "kind": "example.com/accelerator",
        "devices": [
            {"name": "gpu0", "containerEdits": {"deviceNodes": [node("/dev/nvidia0", f"{root}/dev/nvidia0")]}},
        ],
        "containerEdits": {
            "env": ["NVIDIA_VISIBLE_DEVICES=void", "TRITON_LIBCUDA_PATH=/opt/lib"],
            "deviceNodes": [
                node(f"/dev/{name}", f"{root}/dev/{name}")
                for name in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
            ],
            "mounts": [
                mount(
                    f"{root}/usr/lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin",
                    f"/lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin",
                ),
                *(
                    mount(f"{libraries}/{file_name}", f"/opt/lib/{name}")
                    for file_name, names in OWN_LIBRARIES.items()
                    for name in names
                ),
            ],
        },
    }


def test_mode_and_group_of_a_node_are_the_hosts_and_its_owner_is_not_written() -> None:
    entries = minimal_entries() | {
        "/dev/nvidia0": char(195, 0, "1640", owner="7:44"),
        "/dev/dri/card0": char(226, 0, "0660", owner="0:44"),
        "/dev/dri/renderD128": char(226, 128, "0666", owner="0:105"),
        "/dev/nvidiactl": char(195, 255, "0000", owner="7:0"),
    }
    document = cast("Any", document_of(entries, BuildOptions(strategies=("type-index",), with_all=False)))
    assert document["devices"][0]["containerEdits"]["deviceNodes"] == [
        node("/dev/nvidia0", mode=0o640, gid=44),
        node("/dev/dri/card0", mode=0o660, gid=44),
        node("/dev/dri/renderD128", gid=105),
        node("/dev/dri/by-path/pci-0000:01:00.0-card", "/dev/dri/card0", mode=0o660, gid=44),
        node("/dev/dri/by-path/pci-0000:01:00.0-render", "/dev/dri/renderD128", gid=105),
    ]
    assert document["containerEdits"]["deviceNodes"][0] == node("/dev/nvidiactl", mode=0)
    assert document["cdiVersion"] == "0.5.0"


def test_a_host_that_needs_nothing_new_has_the_lowest_version() -> None:
    entries = without(minimal_entries(), "/dev/dri", "/sys")
    assert document_of(entries, BuildOptions(strategies=("type-index",)))["cdiVersion"] == "0.3.0"
    assert document_of(entries, BuildOptions(strategies=("index",)))["cdiVersion"] == "0.5.0"
    assert document_of(entries, BuildOptions(strategies=("type-index", "uuid")))["cdiVersion"] == "0.3.0"


def test_the_device_none_has_a_variable_alone_as_one_without_edits_is_invalid() -> None:
    document = cast("Any", document_of(minimal_entries(), BuildOptions(none_device=True, strategies=("index",))))
    assert [device["name"] for device in document["devices"]] == ["0", "all", "none"]
    assert document["devices"][-1]["containerEdits"] == {"env": ["NVIDIA_VISIBLE_DEVICES=void"]}


def test_groups_are_given_for_nodes_with_which_their_group_may_do_more_than_everybody() -> None:
    entries = minimal_entries() | {
        "/dev/nvidia0": char(195, 0, "0666", owner="0:7"),  # open to all
        "/dev/nvidia-uvm": char(511, 0, "0660", owner="0:105"),
        "/dev/nvidia-uvm-tools": char(511, 1, "0464", owner="0:106"),
        "/dev/nvidia-modeset": char(195, 254, "0606", owner="0:8"),  # closed to the group alone
        "/dev/dri/card0": char(226, 0, "0660", owner="0:44"),
        "/dev/dri/renderD128": char(226, 128, "0664", owner="0:21"),
        "/dev/nvidiactl": char(195, 255, "0660", owner="0:0"),  # no engine adds root's
    }
    plan = build_plan(inventory_of(entries), BuildOptions(none_device=True, strategies=("type-index",)))

    document = cast("Any", to_document(build_spec(plan, with_groups=True)))

    assert find_violations(document, hook_free=True) == ()
    assert document["cdiVersion"] == "0.7.0"
    assert [device["containerEdits"].get("additionalGids") for device in document["devices"]] == [
        [21, 44],
        [21, 44],
        None,
    ]
    assert document["containerEdits"]["additionalGids"] == [105, 106]
    assert list(document["devices"][0]["containerEdits"]) == ["deviceNodes", "additionalGids"]
    assert [node.path for node in find_closed(plan)] == [
        "/dev/nvidia-uvm",
        "/dev/nvidia-uvm-tools",
        "/dev/dri/card0",
        "/dev/dri/renderD128",
        "/dev/dri/by-path/pci-0000:01:00.0-card",
        "/dev/dri/by-path/pci-0000:01:00.0-render",
    ]
    assert "additionalGids" not in str(to_document(build_spec(plan)))
