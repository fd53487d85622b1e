"""What the plugin sends and reads on the wire, held against Google's own package and the published definition."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError
from cdigen.kubernetes.api import (
    EMPTY,
    OPTIONS,
    ListedDevice,
    Preference,
    encode_allocate_response,
    encode_list,
    encode_preferred_response,
    encode_register_request,
    parse_allocate_request,
    parse_preferred_request,
)
from cdigen.kubernetes.protobuf import Message
from tests.kubernetes.messages import MESSAGES

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
LISTS = st.lists(TEXTS, max_size=5)
LISTED = st.builds(
    ListedDevice, id=TEXTS, is_healthy=st.booleans(), numa_node=st.none() | st.integers(0, (1 << 31) - 1)
)


def read(name: str, data: bytes) -> Any:
    message = MESSAGES[name].FromString(data)
    assert message.SerializeToString(deterministic=True) == data, "it is the shortest form, with nothing unknown"
    return message


@given(TEXTS, TEXTS)
def test_a_registration_is_what_the_kubelet_reads(endpoint: str, resource: str) -> None:
    message = read("RegisterRequest", encode_register_request(endpoint, resource))

    assert (message.version, message.endpoint, message.resource_name) == ("v1beta1", endpoint, resource)
    assert message.options.get_preferred_allocation_available is True
    assert message.options.pre_start_required is False
    assert message.options == MESSAGES["DevicePluginOptions"].FromString(OPTIONS)
    assert MESSAGES["Empty"]().SerializeToString() == EMPTY


@given(st.lists(LISTED, max_size=5))
def test_a_list_is_what_the_kubelet_reads(devices: list[ListedDevice]) -> None:
    message = read("ListAndWatchResponse", encode_list(devices))

    assert [
        (device.ID, device.health, [node.ID for node in device.topology.nodes], device.HasField("topology"))
        for device in message.devices
    ] == [
        (
            device.id,
            "Healthy" if device.is_healthy else "Unhealthy",
            [] if device.numa_node is None else [device.numa_node],
            device.numa_node is not None,
        )
        for device in devices
    ]


@given(st.lists(LISTS, max_size=4))
def test_answers_are_what_the_kubelet_reads(containers: list[list[str]]) -> None:
    allocated = read("AllocateResponse", encode_allocate_response(containers))
    preferred = read("PreferredAllocationResponse", encode_preferred_response(containers))

    assert [[one.name for one in container.cdi_devices] for container in allocated.container_responses] == containers
    assert [list(container.deviceIDs) for container in preferred.container_responses] == containers


@given(st.lists(LISTS, max_size=4))
def test_what_the_kubelet_asks_for_is_read(containers: list[list[str]]) -> None:
    request = MESSAGES["AllocateRequest"]()
    for ids in containers:
        request.container_requests.add(devices_ids=ids)

    assert parse_allocate_request(request.SerializeToString()) == tuple(map(tuple, containers))


@given(LISTS, LISTS, st.integers(-(1 << 31), (1 << 31) - 1))
def test_a_preference_is_read(available: list[str], required: list[str], size: int) -> None:
    request = MESSAGES["PreferredAllocationRequest"]()
    request.container_requests.add(available_deviceIDs=available, must_include_deviceIDs=required, allocation_size=size)

    assert parse_preferred_request(request.SerializeToString()) == (
        Preference(available=tuple(available), required=tuple(required), size=size),
    )


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_googles_package_reads_them_or_refused(data: bytes) -> None:
    """Fields of other wire types than the definition's are unknown ones, which both pass over.

    Google's takes groups (wire types 3 and 4) too, which nobody sends: those alone are refused here and read there.
    """
    try:
        ours: Any = parse_allocate_request(data)
    except ParseError:
        ours = None
    try:
        message = MESSAGES["AllocateRequest"].FromString(data)
        theirs: Any = tuple(tuple(one.devices_ids) for one in message.container_requests)
    except Exception:
        theirs = None
    if ours is not None or theirs is None:
        assert ours == theirs


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("0a05616263", "field 1 at byte 0 is cut off"),
        ("0dffffff", "field 1 at byte 0 is cut off"),
        ("09ffffffffffffff", "field 1 at byte 0 is cut off"),
        ("0896", "no number ends at byte 1"),
        ("08ffffffffffffffffffff01", "no number ends at byte 1"),
        ("0001", "field number 0 at byte 0"),
        ("0b", "wire type 3 at byte 0"),
        ("0a030a01ff", "field 1 is not UTF-8"),
        ("0a020a05", "field 1 at byte 0 is cut off"),
    ],
)
def test_what_is_no_message_is_an_error_that_says_where(data: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_allocate_request(bytes.fromhex(data))

    assert str(caught.value) == message


def test_of_a_field_that_is_several_times_the_last_counts_and_other_wire_types_do_not() -> None:
    message = Message(bytes.fromhex("180118021a0161" + "0d01000000" + "090100000000000000" + "0a0178" + "0a0179"))

    assert (message.number(3), message.text(3), message.text(1), message.texts(1)) == (2, "a", "y", ("x", "y"))
    assert (message.number(9), message.text(9)) == (0, "")
