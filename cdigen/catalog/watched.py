"""What of a host tells, when it changes, that its spec may have to change: for whoever keeps one true.

The units know the same by other means: `systemd/cdigen.path` and `systemd/72-cdigen.rules`.
"""

from __future__ import annotations

from cdigen.records import Record


class WatchedRow(Record, kw_only=False):
    """One of them.

    Attributes:
        path: on the host, of /dev below the device root; "*" in its last parts stands for any name.
        how: "text" if what is in it counts, "file" if it is another one or was written to, "names" if those in a
            directory count.
        why: what a change of it means.
        prefixes: of names that count; all if there are none.
        of_driver: whether it counts below the driver root too.
    """

    path: str
    how: str
    why: str
    prefixes: tuple[str, ...] = ()
    of_driver: bool = False


WATCHED = (
    WatchedRow("/etc/ld.so.cache", "file", "package managers and the vendor's installer run ldconfig", of_driver=True),
    WatchedRow("/etc/alternatives", "file", "Debian's and Ubuntu's choice between drivers", of_driver=True),
    WatchedRow("/run/opengl-driver", "file", "NixOS's driver is behind this link"),
    WatchedRow("/run/nvidia/validations", "file", "the GPU operator's driver container says here that it is ready"),
    WatchedRow("/usr/lib/wsl/drivers", "file", "Windows' driver was updated"),
    WatchedRow("/etc/nvidia-container-runtime/host-files-for-container.d", "file", "a Jetson's lists of driver files"),
    WatchedRow("/sys/module", "names", "a module was loaded or unloaded", prefixes=("nvidia", "nvgpu", "gdrdrv")),
    WatchedRow("/sys/module/nvidia/version", "text", "another module was loaded"),
    WatchedRow("/sys/module/nvidia/initstate", "text", "the module has looked at its GPUs"),
    WatchedRow("/proc/driver/nvidia/version", "text", "another module was loaded"),
    WatchedRow("/proc/driver/nvidia/gpus", "names", "a GPU has come or gone"),
    WatchedRow("/proc/driver/nvidia/gpus/*/information", "text", "a UUID is known now, or a GPU is excluded"),
    WatchedRow("/proc/driver/nvidia/capabilities/*/mig/*", "names", "a MIG instance was made or destroyed"),
    WatchedRow("/dev", "names", "a node was made or is gone", prefixes=("nvidia", "dxg", "nvgpu", "nvhost", "nvmap")),
    WatchedRow("/dev/dri", "names", "a node was made or is gone"),
    WatchedRow("/dev/nvidia-caps", "names", "a node was made or is gone"),
    WatchedRow("/dev/nvidia-caps-imex-channels", "names", "a node was made or is gone"),
    WatchedRow("/dev/infiniband", "names", "a node was made or is gone"),
)
"""In the order in which they are looked at."""

WAKING = (
    "/etc",
    "/etc/alternatives",
    "/run",
    "/run/nvidia",
    "/run/nvidia/validations",
    "/dev",
    "/dev/dri",
    "/dev/nvidia-caps",
    "/dev/nvidia-caps-imex-channels",
)
"""The directories in which the kernel tells of changes; in procfs and sysfs it tells of none."""

EVENTS = (b"SUBSYSTEM=module", b"SUBSYSTEM=pci", b"SUBSYSTEM=drm")
"""Words of the kernel's events after which to look: a module, a GPU, its nodes."""
