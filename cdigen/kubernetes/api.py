"""The messages of the kubelet's device plugin API, v1beta1, that a plugin sends and reads.

Source: kubernetes/kubelet, pkg/apis/deviceplugin/v1beta1/api.proto; the numbers of the fields are its.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.kubernetes.protobuf import Message, encode_message, encode_number, encode_text, encode_texts
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VERSION = "v1beta1"
REGISTER = f"/{VERSION}.Registration/Register"
SERVICE = f"{VERSION}.DevicePlugin"

HEALTHY, UNHEALTHY = "Healthy", "Unhealthy"
MAX_ID = 63
"""The most characters of a device's ID."""

EMPTY = b""
"""`Empty`, and every answer that says nothing."""

OPTIONS = encode_number(2, 1)
"""`DevicePluginOptions`: get_preferred_allocation_available is true, pre_start_required (1) is not."""


class ListedDevice(Record):
    """A device as the kubelet is told of it.

    Attributes:
        id: what the kubelet calls it.
        is_healthy: whether it can be given to a container.
        numa_node: the NUMA node that it is near to; None if that is not known.
    """

    id: str
    is_healthy: bool
    numa_node: int | None


class Preference(Record):
    """What the kubelet asks for of one container: which of the devices should be taken.

    Attributes:
        available: the IDs to choose from.
        required: those that must be among them.
        size: how many are wanted, the required ones included.
    """

    available: tuple[str, ...]
    required: tuple[str, ...]
    size: int


def encode_register_request(endpoint: str, resource: str) -> bytes:
    """Return `RegisterRequest`: the base name of the plugin's socket, and the resource that it serves."""
    return encode_text(1, VERSION) + encode_text(2, endpoint) + encode_text(3, resource) + encode_message(4, OPTIONS)


def encode_list(devices: Iterable[ListedDevice]) -> bytes:
    """Return `ListAndWatchResponse`."""
    return b"".join(encode_message(1, _encode_device(device)) for device in devices)


def _encode_device(device: ListedDevice) -> bytes:
    health = HEALTHY if device.is_healthy else UNHEALTHY
    topology = (
        b"" if device.numa_node is None else encode_message(3, encode_message(1, encode_number(1, device.numa_node)))
    )
    return encode_text(1, device.id) + encode_text(2, health) + topology


def parse_allocate_request(data: bytes) -> tuple[tuple[str, ...], ...]:
    """Return the IDs that each container is to get, of `AllocateRequest`; raises ParseError if it is none."""
    return tuple(container.texts(1) for container in Message(data).messages(1))


def encode_allocate_response(containers: Iterable[Sequence[str]]) -> bytes:
    """Return `AllocateResponse`: the qualified CDI names that each container gets, and nothing else."""
    return b"".join(
        encode_message(1, b"".join(encode_message(5, encode_text(1, name)) for name in names)) for names in containers
    )


def parse_preferred_request(data: bytes) -> tuple[Preference, ...]:
    """Return what is asked for each container, of `PreferredAllocationRequest`; raises ParseError if it is none."""
    return tuple(
        Preference(available=one.texts(1), required=one.texts(2), size=one.number(3))
        for one in Message(data).messages(1)
    )


def encode_preferred_response(containers: Iterable[Sequence[str]]) -> bytes:
    """Return `PreferredAllocationResponse`: the IDs that should be taken for each container."""
    return b"".join(encode_message(1, encode_texts(1, ids)) for ids in containers)
