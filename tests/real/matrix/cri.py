"""A client for the few calls of the Container Runtime Interface that start one container and wait for it.

Debian has no crictl, and containerd 1.7's own `ctr` takes no CDI names. CRI is gRPC: a protocol buffer in a five-byte
frame, POSTed over HTTP/2, which curl speaks on a unix socket. The numbers of the fields are those of
`k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`; the encoding is https://protobuf.dev/programming-guides/encoding/,
of which CRI's messages need two wire types.
"""

from __future__ import annotations

import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.real.process import command_environment

Field = tuple[int, "int | str | list[Field]"]
"""A field's number and its value: a number, a text, or a message, which is a list of fields."""

_SECONDS = 60
_EXITED = 2  # ContainerState.CONTAINER_EXITED
_NODE = 2  # NamespaceMode.NODE, and so no network to set up


class CriError(Exception):
    """The runtime refused a call; the message is its own."""


def encode_message(fields: list[Field]) -> bytes:
    """Return the wire format of a message."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _encode_varint(number << 3) + _encode_varint(value)
            continue
        content = value.encode() if isinstance(value, str) else encode_message(value)
        out += _encode_varint(number << 3 | 2) + _encode_varint(len(content)) + content
    return out


def decode_message(content: bytes) -> dict[int, int | bytes]:
    """Return the last value of each field, numbers and undecoded contents.

    Raises:
        ValueError: a wire type that CRI's answers do not have, or a cut-off message.
    """
    fields: dict[int, int | bytes] = {}
    at = 0
    while at < len(content):
        key, at = _decode_varint(content, at)
        value, at = _decode_varint(content, at)
        if key & 7 == 0:
            fields[key >> 3] = value
        elif key & 7 == 2 and at + value <= len(content):
            fields[key >> 3] = content[at : at + value]
            at += value
        else:
            raise ValueError(f"field {key >> 3} of wire type {key & 7} at byte {at} cannot be read")
    return fields


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _decode_varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 64:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError(f"no number ends at byte {at}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A container to start.

    Attributes:
        name: its name, and that of its log.
        image: the image's reference.
        argv: the command.
        devices: names of CDI devices.
        env: `NAME=VALUE` entries.
        user: the numeric user and group.
        read_only: whether its root is read-only.
    """

    name: str
    image: str
    argv: tuple[str, ...]
    devices: tuple[str, ...]
    env: tuple[str, ...]
    user: int
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cri:
    """A runtime's CRI socket, and a directory for logs that the runtime sees under the same path."""

    socket: Path
    logs: Path

    def start_sandbox(self) -> str:
        """Start a pod sandbox in the host's network and return its id.

        Raises:
            CriError: the runtime refused.
        """
        return self._text(self._call("RunPodSandbox", [(1, self._sandbox_config())]), 1)

    def run(self, sandbox: str, wanted: Wanted) -> tuple[int, str, str]:
        """Run a container to its end and return its status, stdout and stderr.

        Raises:
            CriError: the runtime refused, or the container did not end within a minute.
        """
        request: list[Field] = [(1, sandbox), (2, _container_config(wanted)), (3, self._sandbox_config())]
        container = self._text(self._call("CreateContainer", request), 1)
        try:
            self._call("StartContainer", [(1, container)])
            status = self._wait(container)
        finally:
            self._call("RemoveContainer", [(1, container)])
        streams: dict[str, str] = {"stdout": "", "stderr": ""}
        log = self.logs / f"{wanted.name}.log"
        for line in log.read_text(errors="replace").splitlines():
            _, stream, tag, text = line.split(" ", 3)
            streams[stream] += text + ("\n" if tag == "F" else "")  # F: a full line, P: a part of one
        log.unlink()
        return status, streams["stdout"], streams["stderr"]

    def _wait(self, container: str) -> int:
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            answer = self._call("ContainerStatus", [(1, container)])
            status = decode_message(_content(answer, 1))
            if status.get(3) == _EXITED:
                code = status.get(7, 0)
                return code if isinstance(code, int) else -1
            time.sleep(0.02)
        raise CriError(f"container {container} did not end within {_SECONDS} s")

    def _sandbox_config(self) -> list[Field]:
        metadata: list[Field] = [(1, "matrix"), (2, "matrix"), (3, "matrix")]
        namespaces: list[Field] = [(1, [(1, _NODE)])]
        return [(1, metadata), (3, str(self.logs)), (8, [(2, namespaces)])]

    def _text(self, answer: dict[int, int | bytes], number: int) -> str:
        return _content(answer, number).decode()

    def _call(self, method: str, request: list[Field]) -> dict[int, int | bytes]:
        message = encode_message(request)
        with tempfile.TemporaryDirectory(prefix="cri-") as name:
            headers = Path(name) / "headers"
            done = subprocess.run(
                [
                    *("curl", "--silent", "--show-error", "--http2-prior-knowledge"),
                    *("--unix-socket", str(self.socket), "--max-time", str(_SECONDS), "--dump-header", str(headers)),
                    *("--header", "content-type: application/grpc", "--header", "te: trailers"),
                    *("--data-binary", "@-"),
                    f"http://localhost/runtime.v1.RuntimeService/{method}",
                ],
                input=b"\0" + struct.pack(">I", len(message)) + message,
                capture_output=True,
                check=False,
                env=command_environment(),
            )
            lines = headers.read_text(errors="replace").splitlines() if headers.is_file() else []
        trailers = dict(line.split(": ", 1) for line in lines if ": " in line)
        if done.returncode != 0 or trailers.get("grpc-status") != "0":
            raise CriError(trailers.get("grpc-message") or f"{method}: {done.stderr.decode(errors='replace').strip()}")
        return decode_message(done.stdout[5:])


def _content(answer: dict[int, int | bytes], number: int) -> bytes:
    value = answer.get(number)
    if not isinstance(value, bytes):
        raise CriError(f"the answer has no field {number}: {answer}")
    return value


def _container_config(wanted: Wanted) -> list[Field]:
    security: list[Field] = [(1, [(1, "MKNOD")]), (3, [(1, _NODE), (2, 1)])]
    if wanted.user:
        security += [(5, [(1, wanted.user)]), (12, [(1, wanted.user)])]
    if wanted.read_only:
        security.append((7, 1))
    envs: list[Field] = []
    for entry in wanted.env:
        name, _, value = entry.partition("=")
        envs.append((6, [(1, name), (2, value)]))
    command: list[Field] = [(3, argument) for argument in wanted.argv]
    devices: list[Field] = [(17, [(1, device)]) for device in wanted.devices]
    return [
        (1, [(1, wanted.name)]),
        (2, [(1, wanted.image)]),
        *command,
        *envs,
        (11, f"{wanted.name}.log"),
        (15, [(2, security)]),
        *devices,
    ]
