from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError, one_line
from cdigen.parse.nvml import NvmlFacts, NvmlGpu, NvmlMig, parse_nvml, render_nvml
from cdigen.parse.nvml_values import parse_bus_id, parse_gpu_uuid, parse_mig_name, parse_mig_uuid
from cdigen.parse.text import decode_json
from cdigen.schema import find_schema_violations

if TYPE_CHECKING:
    from collections.abc import Iterator

GPU_UUID = "GPU-00000000-0000-4000-8000-000000000001"
MIG_UUID = "MIG-00000000-0000-5000-8000-000000000001"

DOCUMENT: dict[str, object] = {
    "driver_version": "999.88.77",
    "gpus": [
        {
            "bdf": "0000:01:00.0",
            "minor": 3,
            "uuid": GPU_UUID,
            "model": "NVIDIA Fictional 9000",
            "mig_enabled": True,
            "mig": [
                {"index": 0, "uuid": MIG_UUID, "gpu_instance": 9, "compute_instance": 0, "profile": "1g.5gb"},
                {"index": 2, "uuid": f"MIG-{GPU_UUID}/7/0", "gpu_instance": 7, "compute_instance": 1},
            ],
            "coherent": False,
            "memory": 81559,
            "compute": "9.0",
        },
        {"bdf": "10000:0a:1f.7"},
    ],
    "problems": ["GPU 10000:0a:1f.7: nvmlDeviceGetUUID: GPU is lost (15)"],
}

FACTS = NvmlFacts(
    driver_version="999.88.77",
    gpus=(
        NvmlGpu(
            bdf="0000:01:00.0",
            minor=3,
            uuid=GPU_UUID,
            model="NVIDIA Fictional 9000",
            mig_enabled=True,
            mig=(
                NvmlMig(index=0, uuid=MIG_UUID, gpu_instance=9, compute_instance=0, profile="1g.5gb"),
                NvmlMig(index=2, uuid=f"MIG-{GPU_UUID}/7/0", gpu_instance=7, compute_instance=1, profile=None),
            ),
            coherent=False,
            memory=81559,
            compute="9.0",
        ),
        NvmlGpu(bdf="10000:0a:1f.7", minor=None, uuid=None, model=None, mig_enabled=None, mig=(), coherent=None),
    ),
    problems=("GPU 10000:0a:1f.7: nvmlDeviceGetUUID: GPU is lost (15)",),
)

_hex = st.sampled_from("0123456789abcdef")
_uuids = st.uuids().map(str)
_numbers = st.integers(0, (1 << 20) - 1)
_texts = st.text(min_size=1, max_size=500).filter(str.isprintable)
_bdfs = st.builds(
    "{:04x}:{:02x}:{:02x}.{}".format,
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 255),
    st.integers(0, 31),
    st.integers(0, 7),
)
_profiles = st.builds(
    "{}{}g.{}gb{}".format,
    st.sampled_from(["", "1c.", "7c."]),
    st.integers(1, 7),
    st.integers(1, 9999),
    st.sampled_from(["", "+me", "+gfx", "+me.all", "-me", "+gfx+me"]),
)
_mig = st.builds(
    NvmlMig,
    index=_numbers,
    uuid=st.none()
    | _uuids.map("MIG-{}".format)
    | st.builds("MIG-GPU-{}/{}/{}".format, _uuids, _small := st.integers(0, 999), _small),
    gpu_instance=_numbers,
    compute_instance=_numbers,
    profile=st.none() | _profiles,
)
_migs = st.lists(
    _mig, max_size=8, unique_by=(lambda mig: mig.index, lambda mig: (mig.gpu_instance, mig.compute_instance))
).map(lambda migs: tuple(sorted(migs, key=lambda mig: mig.index)))
_gpus = st.builds(
    NvmlGpu,
    bdf=_bdfs,
    minor=st.none() | _numbers,
    uuid=st.none() | _uuids.map("GPU-{}".format),
    model=st.none() | _texts,
    mig_enabled=st.none() | st.booleans(),
    mig=_migs,
    coherent=st.none() | st.booleans(),
    memory=st.none() | st.integers(1, 1 << 26),
    compute=st.none() | st.builds("{}.{}".format, st.integers(0, 999), st.integers(0, 999)),
)
_facts = st.builds(
    NvmlFacts,
    driver_version=st.none() | _texts,
    gpus=st.lists(_gpus, max_size=5, unique_by=lambda gpu: gpu.bdf).map(tuple),
    problems=st.lists(_texts, max_size=5).map(tuple),
)


def refusal(document: object) -> str:
    with pytest.raises(ParseError) as caught:
        parse_nvml(document)
    assert one_line(str(caught.value)) == str(caught.value)
    return str(caught.value)


def parsed(data: bytes) -> NvmlFacts | str:
    """Return the facts, or why there are none."""
    try:
        return parse_nvml(decode_json(data))
    except ParseError as error:
        return str(error)


def changed(path: str, value: object) -> dict[str, object]:
    """Return the document with `value` at a place such as `gpus.0.mig.1.uuid`."""
    document = copy.deepcopy(DOCUMENT)
    *steps, last = path.split(".")
    place: object = document
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else cast("dict[str, object]", place)[step]
    cast("dict[str, object]", place)[last] = value
    return document


def snapshot_violations(answer: object) -> list[str]:
    snapshot = {"cdigen_snapshot": 1, "entries": {"/l": {"kind": "file", "nvml": answer}}}
    return [
        violation.place.removeprefix("$.entries['/l'].nvml")
        for violation in find_schema_violations(snapshot, "snapshot")
    ]


def test_a_document_says_what_the_facts_say() -> None:
    assert parse_nvml(DOCUMENT) == FACTS
    assert render_nvml(FACTS) == DOCUMENT


def test_an_answer_without_gpus_is_an_answer() -> None:
    facts = NvmlFacts(driver_version=None, gpus=(), problems=())
    assert render_nvml(facts) == {"gpus": []}
    assert parse_nvml({"gpus": []}) == facts


@given(_facts)
def test_what_is_rendered_is_parsed_again_and_obeys_the_schema(facts: NvmlFacts) -> None:
    document = render_nvml(facts)
    assert parse_nvml(document) == facts
    assert snapshot_violations(document) == []


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("driver_version", 5, "driver_version: not a printable text: 5"),
        ("driver_version", "", "driver_version: not a printable text: ''"),
        ("driver_version", None, "driver_version: not a printable text: None"),
        ("driver_version", "x" * 501, f"driver_version: not a printable text: '{'x' * 120}'"),
        ("gpus", {}, "gpus is not an array"),
        ("gpus", [{"bdf": "0000:01:00.0"}] * 255, "gpus has 255 items, more than 254"),
        ("problems", "x", "problems is not an array"),
        ("problems", ["x"] * 65, "problems has 65 items, more than 64"),
        ("problems", ["x", []], "problems[1]: not a printable text: a collection"),
        ("more", 1, "the answer has an unknown key: 'more'"),
        ("gpus.0.more", 1, "gpus[0] has an unknown key: 'more'"),
        ("gpus.0.mig.1.more", 1, "gpus[0].mig[1] has an unknown key: 'more'"),
        ("gpus.1.bdf", None, "gpus[1].bdf: not a PCI address: None"),
        ("gpus.1.bdf", "0:1.0", "gpus[1].bdf: not a PCI address: '0:1.0'"),
        ("gpus.1.bdf", "0000:0A:00.0", "gpus[1].bdf: not written as 0000:0a:00.0: '0000:0A:00.0'"),
        ("gpus.1.bdf", "00000000:0a:00.0", "gpus[1].bdf: not written as 0000:0a:00.0: '00000000:0a:00.0'"),
        ("gpus.0.minor", -1, "gpus[0].minor: not a number from 0 to 1048575: -1"),
        ("gpus.0.minor", True, "gpus[0].minor: not a number from 0 to 1048575: True"),
        ("gpus.0.minor", 1 << 20, "gpus[0].minor: not a number from 0 to 1048575: 1048576"),
        ("gpus.0.minor", "0", "gpus[0].minor: not a number from 0 to 1048575: '0'"),
        ("gpus.0.uuid", MIG_UUID, f"gpus[0].uuid: not the UUID of a GPU: '{MIG_UUID}'"),
        ("gpus.0.uuid", GPU_UUID + "\n", rf"gpus[0].uuid: not the UUID of a GPU: '{GPU_UUID}\n'"),
        ("gpus.0.uuid", GPU_UUID.lower(), f"gpus[0].uuid: not written as {GPU_UUID}: '{GPU_UUID.lower()}'"),
        ("gpus.0.model", "a\nb", r"gpus[0].model: not a printable text: 'a\nb'"),
        ("gpus.0.mig_enabled", 1, "gpus[0].mig_enabled: neither true nor false: 1"),
        ("gpus.0.coherent", "no", "gpus[0].coherent: neither true nor false: 'no'"),
        ("gpus.0.memory", 0, "gpus[0].memory: not a number of MiB from 1 to 67108864: 0"),
        ("gpus.0.memory", True, "gpus[0].memory: not a number of MiB from 1 to 67108864: True"),
        ("gpus.0.compute", "9", "gpus[0].compute: not a compute capability: '9'"),
        ("gpus.0.mig", {}, "gpus[0].mig is not an array"),
        ("gpus.0.mig", [{}] * 121, "gpus[0].mig has 121 items, more than 120"),
        ("gpus.0.mig.0.index", None, "gpus[0].mig[0].index: not a number from 0 to 1048575: None"),
        ("gpus.0.mig.0.gpu_instance", 1.5, "gpus[0].mig[0].gpu_instance: not a number from 0 to 1048575: 1.5"),
        ("gpus.0.mig.0.compute_instance", -9, "gpus[0].mig[0].compute_instance: not a number from 0 to 1048575: -9"),
        ("gpus.0.mig.0.uuid", GPU_UUID, f"gpus[0].mig[0].uuid: not the UUID of a MIG device: '{GPU_UUID}'"),
        ("gpus.0.mig.0.profile", "1g", "gpus[0].mig[0].profile: not a MIG profile: '1g'"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_refused_with_its_place_by_parser_and_schema(
    path: str, value: object, reason: str
) -> None:
    document = changed(path, value)
    assert refusal(document) == reason
    # A line break at the end passes the schema's patterns, and what cannot be printed passes its texts.
    assert snapshot_violations(document) or "\n" in str(value)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("gpus.1.bdf", "0000:01:00.0", "gpus: two have the bdf 0000:01:00.0"),
        ("gpus.0.mig.1.index", 0, "gpus[0].mig: two have the index 0"),
        ("gpus.0.mig.1.gpu_instance", 9, None),
        ("gpus.0.mig.1.uuid", MIG_UUID, None),  # whoever names devices by UUIDs says so
    ],
)
def test_what_is_there_twice_is_refused(path: str, value: object, reason: str | None) -> None:
    document = changed(path, value)
    if reason is None:
        parse_nvml(document)
    else:
        assert refusal(document) == reason


def test_an_instance_that_is_there_twice_is_refused() -> None:
    document = changed("gpus.0.mig.1.compute_instance", 0)
    cast("list[dict[str, list[dict[str, object]]]]", document["gpus"])[0]["mig"][1]["gpu_instance"] = 9
    assert refusal(document) == "gpus[0].mig: two have the instance (9, 0)"


@pytest.mark.parametrize("document", [[], None, 5, "x"])
def test_what_is_no_object_is_refused(document: object) -> None:
    assert refusal(document) == "the answer is not an object"


def test_an_item_that_is_no_object_is_refused() -> None:
    assert refusal({"gpus": [1]}) == "gpus[0] is not an object"
    assert refusal({}) == "gpus is not an array"
    assert refusal({"gpus": [{"bdf": "0000:01:00.0", "mig": [[]]}]}) == "gpus[0].mig[0] is not an object"


def test_mig_devices_are_in_the_order_of_their_indices_whatever_the_document_has() -> None:
    document = changed("gpus.0.mig.1.index", 0)
    cast("list[dict[str, list[dict[str, object]]]]", document["gpus"])[0]["mig"][0]["index"] = 5
    assert [mig.index for mig in parse_nvml(document).gpus[0].mig] == [0, 5]


def damaged_documents(data: bytes) -> Iterator[bytes]:
    yield from (data[:size] for size in range(len(data)))
    yield from (data[:at] + b"\xff" + data[at + 1 :] for at in range(len(data)))


def test_a_document_that_is_cut_or_has_a_wrong_byte_is_refused() -> None:
    for data in damaged_documents(json.dumps(DOCUMENT).encode()):
        with pytest.raises(ParseError):
            parse_nvml(decode_json(data))


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_parsed_or_refused(data: bytes) -> None:
    assert isinstance(parsed(data), NvmlFacts | str)


_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_places = [
    "driver_version",
    "gpus",
    "problems",
    "gpus.0.bdf",
    "gpus.0.mig",
    "gpus.0.mig.0.index",
    "gpus.0.mig.1.profile",
]


@given(st.sampled_from(_places), _values)
def test_any_value_anywhere_is_parsed_or_refused_in_one_line(path: str, value: object) -> None:
    facts = parsed(json.dumps(changed(path, value)).encode())
    if isinstance(facts, NvmlFacts):
        assert parse_nvml(render_nvml(facts)) == facts
    else:
        assert one_line(facts) == facts


@pytest.mark.parametrize(
    ("text", "bdf"),
    [
        ("00000000:01:00.0", "0000:01:00.0"),
        ("00000008:06:00.0", "0008:06:00.0"),
        ("00010000:AB:1F.7", "10000:ab:1f.7"),
        ("0000:01:00.0", "0000:01:00.0"),
    ],
)
def test_an_address_of_nvml_is_written_as_procfs_writes_it(text: str, bdf: str) -> None:
    assert parse_bus_id(text) == bdf


def test_uuids_are_in_lower_case_behind_their_prefix() -> None:
    assert parse_gpu_uuid(GPU_UUID.upper()) == GPU_UUID
    assert parse_mig_uuid(MIG_UUID.lower()) == MIG_UUID
    assert parse_mig_uuid(f"MIG-{GPU_UUID.upper()}/13/1") == f"MIG-{GPU_UUID}/13/1"


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "1g.5gb"),
        ("NVIDIA A100-SXM4-40GB MIG 1c.2g.10gb", "1c.2g.10gb"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb+me", "1g.10gb+me"),
        ("NVIDIA RTX PRO 6000 MIG MIG 1g.24gb+gfx", "1g.24gb+gfx"),
        ("MIG 7g.180gb", "7g.180gb"),
    ],
)
def test_the_name_of_a_mig_device_ends_in_its_profile(name: str, profile: str) -> None:
    assert parse_mig_name(name) == profile
