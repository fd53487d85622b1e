"""What an image may not go beyond. Far above the largest that is published (some 500,000 files, 40 GB)."""

from __future__ import annotations

MAX_ENTRIES = 2_000_000
"""The most files and directories of all layers together."""

MAX_NAME_BYTES = 256 << 20
"""The most bytes of names and link targets of all layers together."""

MAX_DEPTH = 200
"""The most directories that may stand in one another."""

STEPS = 200_000
"""How many parts of names and of link targets may be walked to put an image together, whatever its size.

The kernel's limits let one path take 80,000: 40 links with 2,047 parts each.
"""

STEPS_PER_ENTRY = 32
"""How many more for each file and directory; those of real images take some eight."""

MAX_UNPACKED = 128 << 30
"""The most bytes that are decompressed from one image."""

MIN_UNPACKED = 256 << 20
"""How many bytes may be decompressed from an image of any size."""

MAX_RATIO = 1100
"""How many more for each byte that is read from the disk.

Deflate makes at most 1,032 bytes of one (zlib's technical details, "Maximum Compression Factor"), as of a swap file,
which is zeros. One level of gzip never comes to this limit, but what is compressed twice does if it is made to.
"""

MEMBER_COST = 4096
"""As how many decompressed bytes a gzip member counts besides what is in it: 20 bytes are an empty one."""

MAX_FOUND = 500
"""The most driver files that are reported of one image; a driver has some hundred."""

MAX_KEPT = 64 << 20
"""The most bytes of files whose content is looked at, of one image."""

MAX_KEPT_FILE = 16 << 20
"""The largest file whose content is looked at; a linker cache with 2,500 libraries has 200 kB."""

MAX_LAYERS = 1000
"""The most layers; overlayfs stops at 500, docker at 127."""
