"""What is offered of specs on the disk: each device once, under the name that stays, and of no spec with hooks."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

import pytest

from cdigen.facts import PciPlace
from cdigen.host import View
from cdigen.kubernetes.devices import Content, find_offer, read_specs_of
from cdigen.kubernetes.resources import choose_resources
from tests.golden.hosts import GOLDEN_HOSTS, GoldenHost
from tests.hosts import host_of, minimal_entries, text

if TYPE_CHECKING:
    from cdigen.kubernetes.devices import Offer
    from cdigen.kubernetes.resources import MigStrategy

KIND = "nvidia.com/gpu"
HOSTS = [host for host in GOLDEN_HOSTS if not host.is_refused]


def offer_of(*documents: dict[str, Any] | bytes, kind: str = KIND, rank: int = 0) -> Offer:
    content = [
        Content(f"/etc/cdi/{n}.yaml", rank, one if isinstance(one, bytes) else json.dumps(one).encode())
        for n, one in enumerate(documents)
    ]
    return find_offer(content, kind, {})


def spec(*devices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"cdiVersion": "0.7.0", "kind": KIND, "devices": list(devices), **more}


def device(name: str, *nodes: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "containerEdits": {"deviceNodes": [{"path": node} for node in nodes]}, **more}


def names(offer: Offer) -> list[str]:
    return [one.id for one in offer.devices]


def lines(offer: Offer) -> list[str]:
    return [finding.text for finding in offer.findings]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_of_every_golden_host_each_gpu_or_mig_device_is_offered_once(host: GoldenHost) -> None:
    offer = offer_of(host.spec_path.read_bytes(), kind=str(host.spec["kind"]))

    nodes = {
        str(one["name"]): {str(node.get("hostPath") or node["path"]) for node in one["containerEdits"]["deviceNodes"]}
        for one in cast("list[dict[str, Any]]", host.spec["devices"])
    }
    by_uuid = {name: found for name, found in nodes.items() if name.startswith(("GPU-", "MIG-"))}
    by_index = {name: found for name, found in nodes.items() if re.fullmatch(r"[0-9]+(:[0-9]+)?", name)}
    nameless = {name: found for name, found in by_index.items() if found not in by_uuid.values()}
    expected = {**by_uuid, **nameless} or nodes
    assert {one.id: {*one.nodes} for one in offer.devices} == expected
    assert [one.is_mig for one in offer.devices] == [
        any("nvidia-cap" in node for node in expected[one.id]) for one in offer.devices
    ]
    assert lines(offer) == []


def test_a_name_for_several_and_one_without_nodes_are_no_devices() -> None:
    offer = offer_of(
        spec(
            device("0", "/dev/nvidia0"),
            device("GPU-a", "/dev/nvidia0"),
            device("1", "/dev/nvidia1"),
            device("all", "/dev/nvidia0", "/dev/nvidia1"),
            {"name": "none", "containerEdits": {"env": ["A=b"]}},
        )
    )

    assert names(offer) == ["GPU-a", "1"]
    assert [one.cdi_name for one in offer.devices] == ["nvidia.com/gpu=GPU-a", "nvidia.com/gpu=1"]
    assert lines(offer) == []


def test_all_is_offered_where_it_is_the_only_device() -> None:
    assert names(offer_of(spec(device("all", "/dev/dxg")))) == ["all"]
    assert names(offer_of(spec(device("all", "/dev/dxg"), device("0", "/dev/dxg")))) == ["0"]


def test_a_gpu_beside_one_of_its_mig_devices_hides_neither() -> None:
    mig = device("MIG-a", "/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap1", "/dev/nvidia-caps/nvidia-cap2")
    offer = offer_of(spec(device("0", "/dev/nvidia0"), mig))

    assert [(one.id, one.is_mig) for one in offer.devices] == [("0", False), ("MIG-a", True)]


def test_of_a_spec_with_hooks_nothing_is_offered() -> None:
    hook = {"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook"}
    offer = offer_of(
        spec(device("0", "/dev/nvidia0"), containerEdits={"hooks": [hook]}), spec(device("1", "/dev/nvidia1"))
    )

    assert names(offer) == ["1"]
    assert lines(offer) == [
        (
            "/etc/cdi/0.yaml has hooks, which run at every container's start (/usr/bin/nvidia-cdi-hook);"
            " none of its devices"
            " is offered; if another spec of this kind is there, remove this one: rm /etc/cdi/0.yaml"
        )
    ]


def test_what_engines_do_not_resolve_is_not_offered() -> None:
    offer = offer_of(spec(device("0", "/dev/nvidia0")), spec(device("0", "/dev/nvidia1"), device("1", "/dev/nvidia1")))

    assert names(offer) == ["1"]
    assert lines(offer) == [
        (
            "nvidia.com/gpu=0 in /etc/cdi/0.yaml and /etc/cdi/1.yaml, which count the same, so engines take"
            " them from none"
            " of these; keep one of them: rm /etc/cdi/1.yaml"
        )
    ]


def test_the_later_directory_counts() -> None:
    first = Content(
        "/etc/cdi/a.yaml", 0, json.dumps(spec(device("0", "/dev/nvidia0"), device("1", "/dev/nvidia1"))).encode()
    )
    later = Content("/var/run/cdi/a.yaml", 1, json.dumps(spec(device("0", "/dev/nvidia7"))).encode())

    offer = find_offer([first, later], KIND, {})

    assert {one.id: (one.spec, list(one.nodes)) for one in offer.devices} == {
        "0": ("/var/run/cdi/a.yaml", ["/dev/nvidia7"]),
        "1": ("/etc/cdi/a.yaml", ["/dev/nvidia1"]),
    }
    assert {*offer.specs} == {"/etc/cdi/a.yaml", "/var/run/cdi/a.yaml"}


@pytest.mark.parametrize("data", [b"{", b"kind: nvidia.com/gpu\n", b"\xff", b""])
def test_a_spec_that_engines_do_not_take_is_named(data: bytes) -> None:
    offer = offer_of(data)

    assert names(offer) == []
    [finding] = offer.findings
    assert (finding.code, finding.subject, finding.remedy.commands) == (
        "unusable-spec",
        "/etc/cdi/0.yaml",
        ("cdigen validate /etc/cdi/0.yaml",),
    )
    assert finding.message.startswith("/etc/cdi/0.yaml is not a valid spec, so engines ignore it: ")


def test_a_name_that_the_kubelet_would_refuse_is_said() -> None:
    long = "x" * 64
    offer = offer_of(spec(device(long, "/dev/nvidia0"), device("x" * 63, "/dev/nvidia1")))

    assert names(offer) == ["x" * 63]
    assert lines(offer) == [
        f"nvidia.com/gpu={long} has a name of more than 63 characters, which the kubelet refuses, so it is not offered"
    ]


def test_where_a_gpu_is_comes_from_its_node() -> None:
    places = {3: PciPlace(bdf="0000:3b:00.0", root="pci0000:3a", numa_node=1)}
    content = [Content("/etc/cdi/a.yaml", 0, json.dumps(spec(device("0", "/dev/nvidia3", "/dev/dri/card0"))).encode())]

    [one] = find_offer(content, KIND, places).devices

    assert (one.minors, one.place) == (frozenset({3}), places[3])


def test_only_files_that_may_matter_are_read() -> None:
    entries = minimal_entries() | {
        "/etc/cdi/nvidia.yaml": text("{}"),
        "/etc/cdi/gpu.json": text('{"kind": "nvidia.com/gpu"}'),
        "/etc/cdi/escaped.json": text('{"kind": "nvidia.com\\/gpu"}'),
        "/etc/cdi/other.yaml": text("kind: example.org/gpu"),
        "/etc/cdi/nvidia.txt": text("kind: nvidia.com/gpu"),
        "/run/cdi/late.yaml": text("kind: nvidia.com/gpu"),
        "/var/run": {"kind": "link", "to": "/run"},
    }

    content = read_specs_of(View(host_of(entries)), KIND)

    assert [(one.path, one.rank) for one in content] == [
        ("/etc/cdi/escaped.json", 0),
        ("/etc/cdi/gpu.json", 0),
        ("/etc/cdi/nvidia.yaml", 0),
        ("/var/run/cdi/late.yaml", 1),
    ]


def mig(name: str, profile: str | None, gpu: int = 0) -> dict[str, Any]:
    annotations = {} if profile is None else {"annotations": {"cdigen/mig-profile": profile}}
    return device(name, f"/dev/nvidia{gpu}", f"/dev/nvidia-caps/nvidia-cap{abs(hash(name)) % 1000}", **annotations)


WHOLE = device("GPU-a", "/dev/nvidia7")


@pytest.mark.parametrize(
    ("devices", "strategy", "expected", "said"),
    [
        ([WHOLE], "none", {KIND: ["GPU-a"]}, None),
        ([WHOLE], "single", {KIND: ["GPU-a"]}, None),
        ([], "mixed", {KIND: []}, None),
        (
            [WHOLE, mig("MIG-a", "1g.5gb")],
            "none",
            {KIND: ["GPU-a"]},
            (
                "1 MIG device not offered, as --mig-strategy is none; use --mig-strategy mixed, or single where"
                " all are of"
                " one profile"
            ),
        ),
        ([mig("MIG-a", "1g.5gb"), mig("MIG-b", "1g.5gb")], "single", {KIND: ["MIG-a", "MIG-b"]}, None),
        (
            [mig("MIG-a", "1g.5gb"), mig("MIG-b", "2g.10gb")],
            "single",
            {KIND: []},
            (
                "nothing is offered as nvidia.com/gpu: --mig-strategy single is for MIG devices of one profile"
                " alone, and"
                " they are of several profiles: 1g.5gb, 2g.10gb; use --mig-strategy mixed"
            ),
        ),
        (
            [WHOLE, mig("MIG-a", "1g.5gb")],
            "single",
            {KIND: []},
            (
                "nothing is offered as nvidia.com/gpu: --mig-strategy single is for MIG devices of one profile"
                " alone, and"
                " 1 GPU of this node not in MIG mode; use --mig-strategy mixed"
            ),
        ),
        (
            [mig("MIG-a", None)],
            "single",
            {KIND: []},
            (
                "nothing is offered as nvidia.com/gpu: --mig-strategy single is for MIG devices of one profile"
                " alone, and"
                " the spec does not tell their profiles; write the spec with --annotations where NVML can be"
                " asked: cdigen"
                " generate --annotations --nvml always"
            ),
        ),
        (
            [WHOLE, mig("MIG-a", "1g.5gb"), mig("MIG-b", "1g.10gb+me"), mig("MIG-c", "1g.5gb")],
            "mixed",
            {
                KIND: ["GPU-a"],
                "nvidia.com/mig-1g.5gb": ["MIG-a", "MIG-c"],
                "nvidia.com/mig-1g.10gb.me": ["MIG-b"],
            },
            None,
        ),
        (
            [mig("MIG-a", "1g.5gb"), mig("MIG-b", None), mig("MIG-c", "; rm")],
            "mixed",
            {KIND: [], "nvidia.com/mig-1g.5gb": ["MIG-a"]},
            (
                "MIG-b, MIG-c not offered: the spec does not tell of which profile, and so not of which"
                " resource; write the"
                " spec with --annotations where NVML can be asked: cdigen generate --annotations --nvml always"
            ),
        ),
    ],
)
def test_the_vendors_strategies_for_mig(
    devices: list[dict[str, Any]], strategy: MigStrategy, expected: dict[str, list[str]], said: str | None
) -> None:
    offered = offer_of(spec(*devices)).devices if devices else ()

    resources, findings = choose_resources(offered, strategy, KIND)

    assert {name: [one.id for one in found] for name, found in resources.items()} == expected
    assert [finding.text for finding in findings] == ([] if said is None else [said])
