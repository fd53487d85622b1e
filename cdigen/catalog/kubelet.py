"""Where a kubelet and its device plugins meet, and how their sockets are called."""

from __future__ import annotations

DIRECTORY = "/var/lib/kubelet/device-plugins"
KUBELET_SOCKET = "kubelet.sock"

OURS, VENDORS = "cdigen-", "nvidia-"
"""What the name of a plugin's socket begins with; the resource follows, in the vendor's without its domain."""

SUFFIX = ".sock"
