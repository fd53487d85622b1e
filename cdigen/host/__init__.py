"""The only code that reads the disk: a live host, a recorded one, and the recording of one into the other.

Everything above uses absolute paths as the host sees them. Where a directory of the host is visible to this
process is the business of `cdigen.host.live` alone.
"""

from cdigen.errors import ParseError
from cdigen.host.host import Entry, Host, HostReadError, NvmlError
from cdigen.host.view import LinkError, View

__all__ = ["UNREADABLE", "UNSEEN", "Entry", "Host", "HostReadError", "LinkError", "NvmlError", "View"]

UNSEEN = (HostReadError, LinkError)
"""Why it cannot be told what is at a path."""

UNREADABLE = (*UNSEEN, ParseError)
"""Why it cannot be told what is in a file."""
