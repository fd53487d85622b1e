"""A run of another verb in a process of its own: what it needs goes with it, and what it comes to is its exit code."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_OUTPUT = 16 << 20  # bytes of a report or of what it says
_GRACE_SECONDS = 5.0


class Ran(Record):
    """What a run came to.

    Attributes:
        exit_code: as a shell tells it; 137 if it was killed.
        report: what it reported as JSON; nothing if it did not.
        said: what it has said on standard error.
    """

    exit_code: int
    report: Mapping[str, object]
    said: bytes


async def run_verb(words: Sequence[str], *, timeout: float) -> Ran:
    """Run `cdigen` with these words, and end it when we are told to end.

    Args:
        words: its command line.
        timeout: seconds after which it is killed.

    Raises:
        OSError: no process can be started.
    """
    flags = ("-I",) if sys.flags.isolated else ()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *flags, "-m", "cdigen", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_MAX_OUTPUT,
    )
    try:
        async with asyncio.timeout(timeout):
            output, said = await process.communicate()
    except TimeoutError:
        output, said = b"", f"cdigen: error: cdigen {words[0]} did not end within {timeout:g} s\n".encode()
    finally:
        await _end(process)
    code = process.returncode or 0
    return Ran(exit_code=code if code >= 0 else 128 - code, report=_read(output), said=said[:_MAX_OUTPUT])


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _read(output: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(output[:_MAX_OUTPUT])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
