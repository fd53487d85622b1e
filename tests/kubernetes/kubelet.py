"""A kubelet, as far as a device plugin sees one: it registers plugins, watches their lists, and asks them for devices.

It keeps to what is published (kubernetes/kubelet, pkg/cm/devicemanager): when it starts it empties its directory and
makes its socket; a plugin that registers is called back at its own socket; a resource that is registered again is
served by the later one.
"""

from __future__ import annotations

import threading
import time
from concurrent import futures
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import grpc

from tests.kubernetes.messages import MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 20.0

Device = tuple[str, str, "int | None"]
"""An ID, its health, and its NUMA node."""


class Registered:
    """A plugin that has registered: the request, and a channel to it."""

    def __init__(self, request: Any, directory: Path) -> None:
        self.request = request
        self.lists: list[list[Device]] = []
        self.times: list[float] = []
        self.ended = ""
        self._news = threading.Condition()
        self._channel = grpc.insecure_channel(f"unix:{directory / request.endpoint}")
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        call: Any = self._channel.unary_stream(
            "/v1beta1.DevicePlugin/ListAndWatch",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=MESSAGES["ListAndWatchResponse"].FromString,
        )
        try:
            for answer in call(MESSAGES["Empty"](), wait_for_ready=True):
                found = [
                    (
                        device.ID,
                        device.health,
                        device.topology.nodes[0].ID if device.HasField("topology") else None,
                    )
                    for device in answer.devices
                ]
                with self._news:
                    self.lists.append(found)
                    self.times.append(time.monotonic())
                    self._news.notify_all()
        except (grpc.RpcError, ValueError) as error:
            self.ended = str(error)
        with self._news:
            self._news.notify_all()

    def wait(self, wanted: Callable[[list[Device]], bool]) -> list[Device]:
        """Return the last list when it is as wanted; fails if it never is."""
        with self._news:
            if self._news.wait_for(lambda: bool(self.lists) and wanted(self.lists[-1]), SECONDS):
                return self.lists[-1]
        raise AssertionError(f"no such list within {SECONDS} s, but {self.lists}; the stream {self.ended or 'goes on'}")

    def call(self, method: str, request: Any, answer: str) -> Any:
        """Call a method; raises grpc.RpcError as the plugin answers it."""
        call: Any = self._channel.unary_unary(
            f"/v1beta1.DevicePlugin/{method}",
            request_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
            response_deserializer=MESSAGES[answer].FromString,
        )
        return call(request, timeout=SECONDS)

    def allocate(self, *containers: list[str]) -> list[list[str]]:
        """Return the CDI names that each container gets; asserts that it gets nothing else."""
        request = MESSAGES["AllocateRequest"]()
        for ids in containers:
            request.container_requests.add(devices_ids=ids)
        answer = self.call("Allocate", request, "AllocateResponse")
        for container in answer.container_responses:
            assert [field.name for field, _ in container.ListFields()] in ([], ["cdi_devices"])
        return [[device.name for device in container.cdi_devices] for container in answer.container_responses]

    def prefer(self, available: list[str], size: int, required: list[str] | None = None) -> list[str]:
        """Return which devices the plugin would take."""
        request = MESSAGES["PreferredAllocationRequest"]()
        request.container_requests.add(
            available_deviceIDs=available, must_include_deviceIDs=required or [], allocation_size=size
        )
        answer = self.call("GetPreferredAllocation", request, "PreferredAllocationResponse")
        return list(answer.container_responses[0].deviceIDs)

    def close(self) -> None:
        """Talk to it no more."""
        self._channel.close()


class Kubelet:
    """A kubelet with its directory of sockets."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.registered: list[Registered] = []
        self.refuses = ""
        self._news = threading.Condition()
        self._server: grpc.Server | None = None

    def start(self, *, empties: bool = True) -> None:
        """Start as after a boot or a restart: with an empty directory, but for a kubelet that leaves it as it is."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for place in self.directory.iterdir() if empties else ():
            place.unlink()
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        handler: Any = grpc.unary_unary_rpc_method_handler(
            self._register,
            request_deserializer=MESSAGES["RegisterRequest"].FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("v1beta1.Registration", {"Register": handler}),)
        )
        server.add_insecure_port(f"unix:{self.directory / 'kubelet.sock'}")
        server.start()
        self._server = server

    def _register(self, request: Any, context: Any) -> Any:
        if self.refuses:
            context.abort(grpc.StatusCode.UNKNOWN, self.refuses)
        plugin = Registered(request, self.directory)
        with self._news:
            self.registered.append(plugin)
            self._news.notify_all()
        return MESSAGES["Empty"]()

    def plugin(self, resource: str, *, number: int = 1) -> Registered:
        """Return the plugin that has registered a resource, the `number`th time; waits for it."""

        def found() -> list[Registered]:
            return [plugin for plugin in self.registered if plugin.request.resource_name == resource]

        with self._news:
            if self._news.wait_for(lambda: len(found()) >= number, SECONDS):
                return found()[number - 1]
        names = [plugin.request.resource_name for plugin in self.registered]
        raise AssertionError(f"{resource} was not registered {number} times within {SECONDS} s, but {names}")

    def stop(self) -> None:
        """Stop, and leave everything as it lies."""
        for plugin in self.registered:
            plugin.close()
        if self._server is not None:
            self._server.stop(None).wait()
            with suppress(OSError):
                (self.directory / "kubelet.sock").unlink()
            self._server = None
