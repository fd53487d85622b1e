"""What there is to say of the sockets of the driver's daemons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import one_line, shell_word
from cdigen.findings import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.facts import Inventory
    from cdigen.plan.options import BuildOptions


def warn_of_sockets(inventory: Inventory, options: BuildOptions) -> Iterator[Finding]:
    """Yield a warning for what is in the place of each socket, if sockets are wanted."""
    for socket in inventory.sockets if options.ipc else ():
        if socket.problem:
            shown = one_line(socket.host_path)
            yield Finding(
                level="warning",
                code="not-a-socket",
                subject=shown,
                message=f"{shown} is {socket.problem}, so containers do not get the {socket.why}",
                remedy=Remedy("see what it is with", (f"ls -ld {shell_word(shown)}",)),
            )
