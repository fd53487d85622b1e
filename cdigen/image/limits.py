"""What an image may not go beyond. Far above the largest that is published (some 500,000 files, 40 GB)."""

from __future__ import annotations

MAX_ENTRIES = 2_000_000
"""The most files and directories of all layers together."""

MAX_NAME_BYTES = 256 << 20
"""The most bytes of names and link targets of all layers together."""

MAX_DEPTH = 200
"""The most directories that may stand in one another."""

MAX_PATH = 4096
"""The longest name or link target: PATH_MAX."""

MAX_UNPACKED = 128 << 30
"""The most bytes that are decompressed from one image."""

MAX_KEPT = 64 << 20
"""The most bytes of files whose content is looked at, of one image."""

MAX_KEPT_FILE = 16 << 20
"""The largest file whose content is looked at; a linker cache with 2,500 libraries has 200 kB."""

MAX_LAYERS = 1000
"""The most layers; overlayfs stops at 500, docker at 127."""
