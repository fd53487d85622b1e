"""Whether a process is alive and ready, over HTTP, for the kubelet's probes: /livez and /readyz, and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.errors import FileError, UsageError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 5.0
_MAX_REQUEST = 4096  # bytes
_MOST_PEERS = 16
_ALIVE = "ok"


def parse_address(text: str) -> tuple[str, int]:
    """Return the address and the port of a text such as "127.0.0.1:8080", ":8080" or "[::1]:8080"; "" is any.

    Raises:
        UsageError: it is none.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise UsageError(
            f"--listen {one_line(text)}: not an address and a port",
            hint="use one such as 127.0.0.1:8080, or :8080 for every address",
            code="invalid-value",
        )
    return host, int(port)


async def serve_probes(text: str, why_not_ready: Callable[[], str]) -> asyncio.Server:
    """Answer probes until the server is closed.

    Args:
        text: see `parse_address`.
        why_not_ready: returns why the process is not ready; "" if it is.

    Raises:
        UsageError: the address is none.
        FileError: nothing can listen there.
    """
    host, port = parse_address(text)
    peers = asyncio.Semaphore(_MOST_PEERS)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not peers.locked():
            async with peers:
                with suppress(OSError, TimeoutError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
                    async with asyncio.timeout(_SECONDS):
                        head = await reader.readuntil(b"\r\n\r\n")
                        writer.write(respond(head, why_not_ready()))
                        await writer.drain()
        writer.close()

    try:
        return await asyncio.start_server(answer, host or None, port, limit=_MAX_REQUEST)
    except OSError as error:
        raise FileError(
            f"cannot listen on {one_line(text)}: {error.strerror or error}",
            hint="name another port with --listen",
            subject=one_line(text),
            code="cannot-listen",
        ) from error


def respond(head: bytes, not_ready: str) -> bytes:
    """Return the answer to a request.

    Args:
        head: its first lines.
        not_ready: why the process is not ready; "" if it is.
    """
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or words[0] not in (b"GET", b"HEAD"):
        status, text = "405 Method Not Allowed", "only GET"
    elif words[1] == b"/livez":
        status, text = "200 OK", _ALIVE
    elif words[1] == b"/readyz":
        status, text = ("503 Service Unavailable", one_line(not_ready)) if not_ready else ("200 OK", _ALIVE)
    else:
        status, text = "404 Not Found", "there are /livez and /readyz"
    body = f"{text}\n".encode()
    lines = (f"HTTP/1.1 {status}", "Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}")
    shown = b"" if words[0] == b"HEAD" else body
    return "\r\n".join((*lines, "Connection: close", "", "")).encode() + shown
