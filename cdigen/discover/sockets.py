"""Sockets of the driver's daemons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.driver import SOCKETS
from cdigen.facts import Socket
from cdigen.host import UNSEEN

if TYPE_CHECKING:
    from cdigen.host import View
    from cdigen.notes import Notes


_WORDS = {"socket": "socket", "dir": "directory"}


def find_sockets(view: View, notes: Notes) -> tuple[Socket, ...]:
    """Return the sockets and directories of sockets that are there now, in the order of the catalog.

    What else is in the place of one is among them, with the problem: whether that matters depends on the options.

    Args:
        view: the driver root.
        notes: gets what cannot be looked at.
    """
    found = []
    for row in SOCKETS:
        try:
            target = view.find(row.path)
        except UNSEEN as error:
            notes.damaged(view.host_path(row.path), error, "it is not injected")
            continue
        if target is not None:
            problem = "" if target[1].kind == row.kind else f"not a {_WORDS[row.kind]}"
            host_path = view.host_path(target[0])
            found.append(Socket(host_path=host_path, container_path=row.path, why=row.reason, problem=problem))
    return tuple(found)
