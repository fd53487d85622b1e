"""The device plugin API's messages as Google's own package has them, made of the numbers of its published definition.

Source: kubernetes/kubelet, pkg/apis/deviceplugin/v1beta1/api.proto at 0.36.3. What the plugin sends and reads is held
against these, so that our encoding and theirs are two.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_TYPES = {"string": 9, "bool": 8, "int32": 5, "int64": 3}

_MESSAGES = {
    "Empty": "",
    "DevicePluginOptions": "1 bool pre_start_required, 2 bool get_preferred_allocation_available",
    "RegisterRequest": "1 string version, 2 string endpoint, 3 string resource_name, 4 DevicePluginOptions options",
    "ListAndWatchResponse": "1 *Device devices",
    "TopologyInfo": "1 *NUMANode nodes",
    "NUMANode": "1 int64 ID",
    "Device": "1 string ID, 2 string health, 3 TopologyInfo topology",
    "PreStartContainerRequest": "1 *string devices_ids",
    "PreferredAllocationRequest": "1 *ContainerPreferredAllocationRequest container_requests",
    "ContainerPreferredAllocationRequest": "1 *string available_deviceIDs, 2 *string must_include_deviceIDs,"
    " 3 int32 allocation_size",
    "PreferredAllocationResponse": "1 *ContainerPreferredAllocationResponse container_responses",
    "ContainerPreferredAllocationResponse": "1 *string deviceIDs",
    "AllocateRequest": "1 *ContainerAllocateRequest container_requests",
    "ContainerAllocateRequest": "1 *string devices_ids",
    "CDIDevice": "1 string name",
    "AllocateResponse": "1 *ContainerAllocateResponse container_responses",
    "ContainerAllocateResponse": "1 *EnvsEntry envs, 2 *Mount mounts, 3 *DeviceSpec devices,"
    " 4 *EnvsEntry annotations, 5 *CDIDevice cdi_devices",
    "EnvsEntry": "1 string key, 2 string value",  # what a map is on the wire
    "Mount": "1 string container_path, 2 string host_path, 3 bool read_only",
    "DeviceSpec": "1 string container_path, 2 string host_path, 3 string permissions",
}


def _make() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="deviceplugin.proto", package="v1beta1", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in filter(None, fields.split(", ")):
            number, kind, label = field.split(" ")
            made = message.field.add(name=label, number=int(number), label=3 if kind.startswith("*") else 1)
            kind = kind.removeprefix("*")
            if kind in _TYPES:
                made.type = _TYPES[kind]  # type: ignore[assignment]  # a number of the enumeration
            else:
                made.type = 11  # type: ignore[assignment]  # a message
                made.type_name = f".v1beta1.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"v1beta1.{name}")) for name in _MESSAGES}


MESSAGES = _make()
"""The class of each message, by its name."""
