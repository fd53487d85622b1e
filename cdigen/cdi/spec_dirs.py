"""Where specs are, as the CDI specification and its library (pkg/cdi/spec-dirs.go) have it."""

from __future__ import annotations

DEFAULT_DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
"""Where engines look, the one that counts more last."""

SUFFIXES = (".json", ".yaml")

MAX_FILES = 4096
"""The most specs of one directory: drivers that write one for each claim have some hundreds on a large node."""
