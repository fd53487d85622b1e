"""One resource, served to the kubelet by its device plugin API: its list, and the CDI names of what is taken."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import grpc
import grpc.aio

from cdigen.catalog.kubelet import OURS, SUFFIX
from cdigen.errors import FileError, ParseError, UsageError, one_line
from cdigen.kubernetes.allocation import choose_near
from cdigen.kubernetes.api import (
    EMPTY,
    OPTIONS,
    REGISTER,
    SERVICE,
    ListedDevice,
    encode_allocate_response,
    encode_list,
    encode_preferred_response,
    encode_register_request,
    parse_allocate_request,
    parse_preferred_request,
)
from cdigen.report import say
from cdigen.wording import first_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from cdigen.kubernetes.allocation import Groups
    from cdigen.kubernetes.devices import OfferedDevice

    Context = grpc.aio.ServicerContext[bytes, bytes]
    Handler = Callable[[bytes, Context], Awaitable[bytes]]

_MAX_MESSAGE = 1 << 20  # the IDs of some 16,000 devices
_MAX_CALLS = 64  # at once; the kubelet has one stream and a call or two
_REGISTER_SECONDS = 10
_GRACE_SECONDS = 1.0
_MAX_SOCKET_PATH = 107  # sun_path, unix(7)
_MOST_NAMED = 3

_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE),
    ("grpc.so_reuseport", 0),
    ("grpc.enable_http_proxy", 0),  # a proxy of the environment is for other places than a socket here
)


class RegisterError(Exception):
    """The kubelet did not take the plugin; the message is the reason."""


def socket_of(resource: str, directory: str) -> str:
    """Return the path of a resource's socket in the kubelet's directory.

    Raises:
        UsageError: it would be longer than a socket's can be.
    """
    path = os.path.join(directory, f"{OURS}{resource.replace('/', '-')}{SUFFIX}")
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        raise UsageError(
            f"--plugin-dir {one_line(directory)}: a socket in it has a path of more than {_MAX_SOCKET_PATH} bytes",
            hint="mount the kubelet's directory at a shorter path",
            code="invalid-value",
        )
    return path


class Plugin:
    """The server of one resource. Its list is empty at first.

    Attributes:
        resource: the name, such as "nvidia.com/gpu".
        socket: the path of its socket.
    """

    def __init__(self, resource: str, directory: str) -> None:
        """Serve nothing yet.

        Args:
            resource: its name.
            directory: the kubelet's, in which the socket is.

        Raises:
            UsageError: the socket's path would be longer than a socket's can be.
        """
        self.resource = resource
        self.socket = socket_of(resource, directory)
        self._devices: dict[str, OfferedDevice] = {}
        self._unhealthy: Mapping[str, str] = {}
        self._list = EMPTY
        self._changed = asyncio.Event()
        self._server: grpc.aio.Server | None = None

    def update(self, devices: Sequence[OfferedDevice], unhealthy: Mapping[str, str]) -> bool:
        """Offer these devices from now on; whoever watches the list is sent it at once.

        Args:
            devices: all of them.
            unhealthy: why some can be given to nobody, by ID.

        Returns:
            Whether anything has changed, reasons included.
        """
        self._devices = {device.id: device for device in devices}
        has_other_reasons, self._unhealthy = unhealthy != self._unhealthy, unhealthy
        now = encode_list(
            ListedDevice(
                id=device.id,
                is_healthy=device.id not in unhealthy,
                numa_node=None if device.place is None else device.place.numa_node,
            )
            for device in devices
        )
        is_new, self._list = now != self._list, now
        if is_new:
            self._changed.set()
            self._changed = asyncio.Event()
        return is_new or has_other_reasons

    @property
    def is_serving(self) -> bool:
        """Whether the socket is there for the kubelet; it removes it when it starts."""
        return self._server is not None and os.path.exists(self.socket)

    async def start(self) -> None:
        """Serve, in place of whoever served at this socket before.

        Raises:
            FileError: the socket cannot be made.
        """
        await self.stop()
        server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_MAX_CALLS)
        server.add_generic_rpc_handlers((self._handlers(),))
        mask = os.umask(0o177)  # the kubelet is root
        try:
            with suppress(FileNotFoundError):
                os.unlink(self.socket)
            server.add_insecure_port(f"unix:{self.socket}")
            await server.start()
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else _reason_of(self.socket)
            raise FileError(
                f"cannot make the socket {one_line(self.socket)}: {reason}",
                hint="run it as root, where the kubelet's directory can be written to",
                subject=one_line(self.socket),
                code="cannot-serve",
            ) from error
        finally:
            os.umask(mask)
        self._server = server

    async def register(self, kubelet: str) -> None:
        """Tell the kubelet that this plugin serves the resource.

        Args:
            kubelet: the kubelet's socket.

        Raises:
            RegisterError: it does not answer, or refuses.
        """
        async with grpc.aio.insecure_channel(f"unix:{kubelet}", options=_OPTIONS) as channel:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(REGISTER)
            try:
                await call(
                    encode_register_request(os.path.basename(self.socket), self.resource), timeout=_REGISTER_SECONDS
                )
            except grpc.aio.AioRpcError as error:
                raise RegisterError(one_line(str(error.details() or error.code().name))) from error

    async def stop(self) -> None:
        """Serve no more, and leave no socket."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(_GRACE_SECONDS)
            with suppress(OSError):
                os.unlink(self.socket)

    def _handlers(self) -> grpc.GenericRpcHandler:
        unary = {
            "GetDevicePluginOptions": self._options,
            "GetPreferredAllocation": self._prefer,
            "Allocate": self._allocate,
            "PreStartContainer": self._nothing,
        }
        # Without a deserializer, what a peer sends comes as it is: one of grpc's own that fails leaves a traceback.
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            name: grpc.unary_unary_rpc_method_handler(_guarded(method)) for name, method in unary.items()
        }
        handlers["ListAndWatch"] = grpc.unary_stream_rpc_method_handler(self._list_and_watch)
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    async def _options(self, _request: bytes, _context: Context) -> bytes:
        return OPTIONS

    async def _nothing(self, _request: bytes, _context: Context) -> bytes:
        return EMPTY

    async def _list_and_watch(self, _request: bytes, _context: Context) -> AsyncIterator[bytes]:
        while True:
            changed = self._changed
            yield self._list
            await changed.wait()

    async def _allocate(self, request: bytes, context: Context) -> bytes:
        containers = parse_allocate_request(request)
        for name in dict.fromkeys(name for names in containers for name in names):
            if name not in self._devices:
                say("warning", f"the kubelet asked for {one_line(name)}, which is no device of {self.resource}")
                await _refuse(context, grpc.StatusCode.NOT_FOUND, f"no device {one_line(name)} of {self.resource}")
            if name in self._unhealthy:
                reason = f"{name} cannot be given to a container: {self._unhealthy[name]}"
                await _refuse(context, grpc.StatusCode.FAILED_PRECONDITION, reason)
        return encode_allocate_response(
            [self._devices[name].cdi_name for name in dict.fromkeys(names)] for names in containers
        )

    async def _prefer(self, request: bytes, context: Context) -> bytes:
        chosen = []
        for wanted in parse_preferred_request(request):
            named = (*wanted.available, *wanted.required)
            unknown = [one_line(name) for name in dict.fromkeys(named) if name not in self._devices]
            if unknown:
                names = first_of(unknown, _MOST_NAMED)
                await _refuse(context, grpc.StatusCode.NOT_FOUND, f"no device {names} of {self.resource}")
            free = {*named}
            places = {device.id: _groups_of(device) for device in self._devices.values() if device.id in free}
            chosen.append(choose_near(places, wanted.required, wanted.size))
        return encode_preferred_response(chosen)


def _groups_of(device: OfferedDevice) -> Groups:
    """Return where a device is: its NUMA node, the root of its bus, its GPU; "" for what is not known."""
    place = device.place
    if place is None:
        return ("", "", device.id)
    return ("" if place.numa_node is None else str(place.numa_node), place.root or "", place.bdf)


def _guarded(method: Handler) -> Handler:
    """Return a method that answers what it cannot read, and what goes wrong in it, by a line to the peer."""

    async def call(request: bytes, context: Context) -> bytes:
        try:
            return await method(request, context)
        except ParseError as error:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, f"not a message of the API: {error}")
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            reason = f"internal error: {type(error).__name__}: {one_line(str(error))}"
            say("error", reason)
            await _refuse(context, grpc.StatusCode.INTERNAL, reason)

    return call


async def _refuse(context: Context, code: grpc.StatusCode, message: str) -> NoReturn:
    await context.abort(code, message)


def _reason_of(path: str) -> str:
    """Return why a socket could not be made, which grpc says in many words."""
    try:
        os.stat(os.path.dirname(path))
    except OSError as error:
        return str(error.strerror)
    return "no server can be bound to it"
