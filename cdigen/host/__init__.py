"""The only code that reads the disk: a live host, a recorded one, and the recording of one into the other.

Everything above uses absolute paths as the host sees them. Where a directory of the host is visible to this
process is the business of `cdigen.host.live` alone.
"""

from cdigen.host.host import Entry, Host, HostReadError, NvmlError
from cdigen.host.view import LinkError, View

__all__ = ["Entry", "Host", "HostReadError", "LinkError", "NvmlError", "View"]
