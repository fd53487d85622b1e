"""Two names whose files change places without end: what an attacker does while a program looks and then acts."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SWAP = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
one, other = (os.fsencode(path) for path in sys.argv[1:])
exchange = lambda: libc.renameat2(-100, one, -100, other, 2)  # AT_FDCWD, RENAME_EXCHANGE
print(exchange(), flush=True)
while True:
    exchange()
"""


@contextmanager
def exchanging(one: Path, other: Path) -> Iterator[None]:
    """Let a process exchange what two paths name, over and over."""
    process = subprocess.Popen([sys.executable, "-c", _SWAP, str(one), str(other)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"0\n"
        yield
    finally:
        process.kill()
        process.communicate()
