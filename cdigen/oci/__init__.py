"""The runtime configuration of the Open Container Initiative, and CDI's edits to it.

The sources are config.md and config-linux.md of github.com/opencontainers/runtime-spec, and, for what an edit does,
pkg/cdi/container-edits.go of github.com/cncf-tags/container-device-interface. Nothing here reads the host: the facts of
its device nodes are handed in.
"""
