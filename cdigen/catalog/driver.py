"""What the driver consists of, as data: names, places, capability groups, and the reason of each row.

Only what a version suffix cannot tell is listed. Every shared object `*.so.<driver version>` is taken whether
it has a row or not, so that a new driver's libraries are injected before anybody has heard of them.

Sources, by the letters of a row's `source`:
C NVIDIA/libnvidia-container src/nvc_info.c (capability arrays); T NVIDIA/nvidia-container-toolkit
internal/discover/graphics.go and pkg/nvcdi; N the history of negativo17's nvidia-driver.spec; U Ubuntu's
packaging, canonical/nvidia-graphics-drivers; D Debian's packages of source nvidia-graphics-drivers 535;
K NVIDIA/open-gpu-kernel-modules.

Groups are the vendor's words for driver capabilities: compute, utility, graphics, video, display, ngx.
"""

from __future__ import annotations

from cdigen.records import Record

MACHINES = {
    "x86_64": ("x86_64-linux-gnu", "i386"),
    "aarch64": ("aarch64-linux-gnu", "arm"),
}
"""Machine of a 64-bit libcuda: its multiarch triplet, and the machine of its 32-bit companions."""

LINKER_CACHES = ("/etc/ld.so.cache", "/usr/local/glibc/etc/ld.so.cache")
"""Where glibc's ldconfig writes; the second is Talos', whose system is musl."""

LINKER_CACHE_PREFIXES = (
    "libcuda.so",
    "libnvidia-",
    "libnvcuvid.so",
    "libnvoptix.so",
    "libGLX_nvidia.so",
    "libEGL_nvidia.so",
    "libvdpau_nvidia.so",
)
"""What the names of the driver's libraries begin with; enough of them to learn every directory."""

LIBRARY_DIRECTORIES = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/lib64",
    "/lib",
    "/usr/lib/i386-linux-gnu",
    "/usr/lib32",
    "/run/opengl-driver/lib",
    "/run/opengl-driver-32/lib",
    "/usr/local/nvidia/lib64",
    "/usr/local/nvidia/lib",
    "/usr/local/glibc/usr/lib",
    "/usr/local/lib64",
    "/usr/local/lib",
    "/var/lib/nvidia/lib64",
)
"""Where distributions put libraries, in the order in which they are searched after the linker cache.

NixOS: /run/opengl-driver. Container-Optimized OS and CoreOS: /usr/local/nvidia, /var/lib/nvidia. Talos: /usr/local.
"""

DRIVER_ROOTS = (
    "/run/nvidia/driver",
    "/home/kubernetes/bin/nvidia",
    "/var/lib/nvidia",
    "/opt/nvidia/current",
    "/opt/nvidia",
    "/snap/docker/current/graphics",
)
"""Where a driver may be that is none of the host's own `/`, for who is to be told of it: `--driver-root`.

The GPU Operator's driver container; GKE and other Container-Optimized OS; Flatcar, CoreOS and the GPU images of EKS;
snaps of docker on Ubuntu Core (NVIDIA/nvidia-container-toolkit#82).
"""

DISPLAY_LIBRARIES = ("libnvidia-glcore.so.", "libnvidia-eglcore.so.")
"""What every driver has that can draw, also where a distribution has packages for that half alone (D,
nvidia-driver-libs), without libcuda."""

ALTERNATIVE_SETS = "nvidia"
"""Directory below a library directory in which each subdirectory may hold a driver: Debian's nvidia/current."""

FOREIGN_DIRECTORIES = ("compat", "stubs")
"""Directories of the CUDA toolkit whose libcuda is not this host's driver: forward compatibility, link stubs."""

TEGRA_LIBRARY = "libnvrm_gpu.so"
"""A library without which no library of a Tegra chip's own GPU works (J). A directory that has it, below a library
directory, is that GPU's, whose driver is another one than that of a GPU in a slot."""

SUBDIRECTORIES = ("", "vdpau", "gbm")
"""Directories below a library directory that hold libraries of the driver."""


class LibraryRow(Record, kw_only=False):
    """What is known of a library beyond its version suffix.

    Attributes:
        stem: the file name up to ".so"; one `*` in it stands for anything.
        group: capability group.
        reason: why the row is here.
        source: letters of the module's list of sources.
        own_version: the file name does not end in the driver's version, so it is taken by this row.
        subdir: directory below the library directory in which it belongs, whatever the host's layout.
        aliases: further names, relative to the library directory, under which it is asked for.
        keep_file_name: also mounted under its versioned file name.
    """

    stem: str
    group: str
    reason: str
    source: str = ""
    own_version: bool = False
    subdir: str = ""
    aliases: tuple[str, ...] = ()
    keep_file_name: bool = False


def matches_stem(stem: str, pattern: str) -> bool:
    """Tell whether the name of a library up to ".so" is `pattern`, in which one `*` stands for anything."""
    head, star, tail = pattern.partition("*")
    return stem == pattern or (bool(star) and stem.startswith(head) and stem[len(head) :].endswith(tail))


def _prefix(stem: str) -> str:
    head, star, _ = stem.partition("*")
    return head if star else f"{stem}.so"


LIBRARIES = (
    LibraryRow(
        "libcuda",
        "compute",
        "the CUDA driver; programs read its version off the file name, libnvidia-rtcore opens libcuda.so",
        source="C, D",
        aliases=("libcuda.so",),
        keep_file_name=True,
    ),
    LibraryRow("libcudadebugger", "compute", "debugger of CUDA programs", source="C"),
    LibraryRow("libnvidia-opencl", "compute", "OpenCL driver", source="C"),
    LibraryRow("libnvidia-ptxjitcompiler", "compute", "compiles PTX for libcuda", source="C"),
    LibraryRow("libnvidia-fatbinaryloader", "compute", "needed by libcuda up to 440", source="C"),
    LibraryRow("libnvidia-compiler*", "compute", "OpenCL compiler up to 530", source="C, N"),
    LibraryRow(
        "libnvidia-allocator",
        "compute",
        "buffer allocation; also the GBM backend, which libgbm opens by that name",
        source="C, T",
        aliases=("gbm/nvidia-drm_gbm.so",),
    ),
    LibraryRow("libnvidia-nvvm70", "compute", "NVVM of CUDA 12 from 575 on", source="T", own_version=True),
    LibraryRow(
        "libnvidia-nvvm",
        "compute",
        "NVVM; libnvidia-opencl opens it by its versioned name; own version in 470 to 510",
        source="C, N, D",
        own_version=True,
        keep_file_name=True,
    ),
    LibraryRow("libnvidia-gpucomp", "compute", "shader compiler shared by compute and graphics", source="C"),
    LibraryRow("libnvidia-pkcs11*", "compute", "encryption for confidential computing", source="C"),
    LibraryRow("libnvidia-tileiras", "compute", "tile compiler from 590 on", source="C"),
    LibraryRow("libnvcuextend", "compute", "CUDA extensions from 610 on, Arm", source="N"),
    LibraryRow(
        "libnvidia-ml",
        "utility",
        "NVML; programs read its version off the file name",
        source="C",
        keep_file_name=True,
    ),
    LibraryRow("libnvidia-cfg", "utility", "GPU configuration, for X and nvidia-persistenced", source="C"),
    LibraryRow("libnvidia-nscq", "utility", "NVSwitch queries", source="C"),
    LibraryRow("libnvidia-sandboxutils", "utility", "what a container needs, asked of the driver", source="N"),
    LibraryRow("libnvcuvid", "video", "video decoding", source="C"),
    LibraryRow("libnvidia-encode", "video", "video encoding", source="C"),
    LibraryRow("libnvidia-opticalflow", "video", "optical flow", source="C, T", aliases=("libnvidia-opticalflow.so",)),
    LibraryRow(
        "libvdpau_nvidia",
        "video",
        "VDPAU driver, which libvdpau opens in vdpau/ by that name",
        source="C",
        subdir="vdpau",
        aliases=("vdpau/libvdpau_nvidia.so.1",),
    ),
    LibraryRow(
        "libGLX_nvidia",
        "graphics",
        "GLX and Vulkan driver; indirect rendering asks for the second name",
        source="C, T",
        aliases=("libGLX_indirect.so.0",),
    ),
    LibraryRow("libEGL_nvidia", "graphics", "EGL driver", source="C"),
    LibraryRow("libGLESv*_nvidia", "graphics", "OpenGL ES driver", source="C"),
    LibraryRow("libnvidia-eglcore", "graphics", "core of the EGL driver", source="C"),
    LibraryRow("libnvidia-glcore", "graphics", "core of the GLX driver", source="C"),
    LibraryRow("libnvidia-glsi", "graphics", "system interface of the OpenGL drivers", source="C"),
    LibraryRow("libnvidia-tls", "graphics", "thread-local storage of the OpenGL drivers", source="C"),
    LibraryRow("libnvidia-glvkspirv", "graphics", "SPIR-V compiler", source="C"),
    LibraryRow("libnvidia-rtcore", "graphics", "ray tracing", source="C"),
    LibraryRow("libnvoptix", "graphics", "OptiX ray tracing", source="C"),
    LibraryRow("libnvidia-cbl", "graphics", "Vulkan ray tracing up to 470", source="C"),
    LibraryRow("libnvidia-ifr", "graphics", "frame readback up to 470", source="C"),
    LibraryRow("libnvidia-fbc", "graphics", "frame buffer capture", source="C"),
    LibraryRow(
        "libnvidia-vulkan-producer",
        "graphics",
        "Vulkan on EGL streams, 470 to 535; has no SONAME",
        source="T",
        aliases=("libnvidia-vulkan-producer.so",),
    ),
    LibraryRow("libnvidia-present", "graphics", "presentation from 575 on", source="N"),
    LibraryRow("libnvidia-vksc-core", "graphics", "Vulkan SC from 560 on", source="N"),
    LibraryRow("libnvidia-api", "graphics", "NVAPI for Wine and Proton", source="T", own_version=True),
    LibraryRow("libnvidia-egl-gbm", "graphics", "EGL on GBM", source="T", own_version=True),
    LibraryRow("libnvidia-egl-wayland*", "graphics", "EGL on Wayland", source="T", own_version=True),
    LibraryRow("libnvidia-egl-xcb", "graphics", "EGL on X11", source="T", own_version=True),
    LibraryRow("libnvidia-egl-xlib", "graphics", "EGL on X11", source="T", own_version=True),
    LibraryRow("libnvidia-ngx", "ngx", "deep-learning image processing", source="C"),
)

_ROWS = {row.stem: row for row in LIBRARIES}
_PATTERNS = tuple(row for row in LIBRARIES if "*" in row.stem)


def find_library_row(stem: str) -> LibraryRow | None:
    """Return what is known of the library of that name up to ".so"; None if it is not known."""
    return _ROWS.get(stem) or next((row for row in _PATTERNS if matches_stem(stem, row.stem)), None)


class RequirementRow(Record, kw_only=False):
    """A library that another one opens and does not work without, or a whole group; no ELF header tells of it.

    Attributes:
        stem: of the library that must be there.
        by: stem of the one that opens it; "" if all of its own group does.
        since: the first series of the driver (the number before the first dot) of which this is so.
        reason: what for; a clause.
        source: letters of the module's list of sources.
    """

    stem: str
    by: str
    since: int
    reason: str
    source: str


REQUIREMENTS = (
    RequirementRow("libnvidia-ml", "", 0, "nvidia-smi and whoever asks for the state of a GPU open it", "C"),
    RequirementRow("libnvidia-ptxjitcompiler", "libcuda", 0, "libcuda compiles PTX with it", "D, libcuda1"),
    RequirementRow(
        "libnvidia-nvvm", "libnvidia-opencl", 470, "libnvidia-opencl compiles with it", "D, nvidia-opencl-icd"
    ),
    RequirementRow("libnvidia-nvvm", "libcuda", 560, "libcuda compiles with it", "U, N"),
    RequirementRow(
        "libnvidia-gpucomp",
        "libnvidia-eglcore",
        545,
        "libnvidia-eglcore compiles shaders with it",
        "D, libnvidia-eglcore",
    ),
    RequirementRow("libnvidia-gpucomp", "libnvidia-glcore", 545, "libnvidia-glcore compiles shaders with it", "N"),
    RequirementRow("libnvidia-gpucomp", "libcuda", 560, "libcuda compiles with it", "U, N"),
)
"""Up to 555 Debian packages libnvidia-nvvm and libnvidia-gpucomp apart, and its libcuda1 depends on neither: a host
without them is whole there. From 560 on every packaging has them in one package with libcuda."""

LIBRARY_PREFIXES = tuple(sorted({"libnvidia-", "libGLX_indirect.so", *(_prefix(row.stem) for row in LIBRARIES)}))
"""What the names of files that may be the driver's libraries, or links to them, begin with."""

UNKNOWN_LIBRARY_GROUP = "compute"
"""Group of a library that no row knows: the least that anybody asks for, so that it is not lost."""


class LeftOutRow(Record, kw_only=False):
    """A name that looks like the driver's and is not injected.

    Attributes:
        name: of a library, its stem as in `LibraryRow`; of a program, its file name.
        reason: why not.
    """

    name: str
    reason: str


LEFT_OUT_LIBRARIES = (
    LeftOutRow("libnvidia-container*", "part of the vendor's container tools, not of the driver"),
    LeftOutRow("libnvidia-gtk*", "part of nvidia-settings, which has no use in a container"),
    LeftOutRow("libnvidia-wayland-client", "part of nvidia-settings, which has no use in a container"),
    LeftOutRow("libglxserver_nvidia", "a module of the X server, not a library; injected as such"),
    LeftOutRow("libnvidia-wfb", "a module of X servers of before 2013"),
    LeftOutRow("libEGL", "the vendor-neutral library comes from the image"),
    LeftOutRow("libGL", "the vendor-neutral library comes from the image"),
    LeftOutRow("libGLESv*", "the vendor-neutral library comes from the image"),
)
"""Only looked at for names that no row of LIBRARIES has."""


class BinaryRow(Record, kw_only=False):
    """A program that is injected to /usr/bin.

    Attributes:
        name: its file name.
        group: capability group.
        reason: what it is for.
        source: letters of the module's list of sources.
    """

    name: str
    group: str
    reason: str
    source: str


BINARIES = (
    BinaryRow("nvidia-smi", "utility", "shows the GPUs", source="C"),
    BinaryRow("nvidia-debugdump", "utility", "collects a dump for the vendor", source="C"),
    BinaryRow("nvidia-persistenced", "utility", "keeps the GPUs initialised", source="C"),
    BinaryRow("nv-fabricmanager", "utility", "configures NVSwitch systems", source="C"),
    BinaryRow("nvidia-imex", "utility", "shares memory between nodes", source="T"),
    BinaryRow("nvidia-imex-ctl", "utility", "controls nvidia-imex", source="T"),
    BinaryRow("nvidia-cuda-mps-control", "compute", "controls the multi-process service", source="C"),
    BinaryRow("nvidia-cuda-mps-server", "compute", "the multi-process service", source="C"),
)

BINARY_DIRECTORIES = (
    "/usr/bin",
    "/usr/sbin",
    "/bin",
    "/sbin",
    "/usr/local/bin",
    "/opt/bin",
    "/run/opengl-driver/bin",
    "/run/current-system/sw/bin",
    "/usr/local/nvidia/bin",
    "/var/lib/nvidia/bin",
    "/usr/libexec/nvidia/tesla/bin",
)
"""Where distributions put programs, in the order of the search; then comes `bin` beside each library directory.
/opt/bin: Flatcar. /var/lib/nvidia: Container-Optimized OS. /usr/libexec: Bottlerocket."""

LEFT_OUT_BINARIES = (
    LeftOutRow("nvidia-modprobe", "setuid root and works on the host's kernel modules"),
    LeftOutRow("nvidia-settings", "configures the host's X server"),
    LeftOutRow("nvidia-xconfig", "configures the host's X server"),
    LeftOutRow("nvidia-bug-report.sh", "describes the host, not the container"),
    LeftOutRow("nvidia-installer", "changes the host's driver"),
    LeftOutRow("nvidia-uninstall", "changes the host's driver"),
    LeftOutRow("nvidia-detect", "Debian's adviser which driver to install"),
    LeftOutRow("nvidia-sleep.sh", "part of the host's suspend and resume"),
    LeftOutRow("nvidia-powerd", "daemon of the host"),
    LeftOutRow("nvidia-ngx-updater", "changes the host's driver"),
    LeftOutRow("nvidia-pcc", "configures the host's GPUs"),
)


class FileRow(Record, kw_only=False):
    """A configuration or data file.

    Attributes:
        kind: "config" or "data".
        places: where it may be on the host, one `*` in the last part; `{version}` is the driver's, `{arch}` the
            machine. The first place that has a file gives it; every file that matches there is taken. A relative
            place is below a library directory.
        target: the directory in the container; relative means below every library directory.
        group: capability group.
        reason: what reads it there.
        source: letters of the module's list of sources, or a document.
        format: how to read the libraries that it names: "text", "json" or "" for none.
        bits: the word size of the libraries that it names; a file of 32-bit ones is mounted only with them.
    """

    kind: str
    places: tuple[str, ...]
    target: str
    group: str
    reason: str
    source: str = ""
    format: str = ""
    bits: int = 64


FILES = (
    FileRow(
        "config",
        (
            "/etc/OpenCL/vendors/nvidia.icd",
            "/usr/share/OpenCL/vendors/nvidia.icd",
            "/run/opengl-driver/etc/OpenCL/vendors/nvidia.icd",
        ),
        "/etc/OpenCL/vendors",
        "compute",
        "the OpenCL loader finds the driver by it",
        source="T",
        format="text",
    ),
    FileRow(
        "config",
        (
            "/etc/glvnd/egl_vendor.d/10_nvidia.json",
            "/usr/share/glvnd/egl_vendor.d/10_nvidia.json",
            "/usr/local/share/glvnd/egl_vendor.d/10_nvidia.json",
            "/run/opengl-driver/share/glvnd/egl_vendor.d/10_nvidia.json",
        ),
        "/usr/share/glvnd/egl_vendor.d",
        "graphics",
        "libglvnd finds the EGL driver by it",
        source="T",
        format="json",
    ),
    *(
        FileRow(
            "config",
            (
                f"/etc/egl/egl_external_platform.d/{name}",
                f"/usr/share/egl/egl_external_platform.d/{name}",
                f"/usr/local/share/egl/egl_external_platform.d/{name}",
                f"/run/opengl-driver/share/egl/egl_external_platform.d/{name}",
            ),
            "/usr/share/egl/egl_external_platform.d",
            "graphics",
            "the EGL driver finds this platform by it",
            source="T",
            format="json",
        )
        for name in (
            "09_nvidia_wayland2.json",
            "10_nvidia_wayland.json",
            "15_nvidia_gbm.json",
            "20_nvidia_xcb.json",
            "20_nvidia_xlib.json",
        )
    ),
    FileRow(
        "config",
        (
            "/etc/vulkan/icd.d/nvidia_icd.json",
            "/usr/share/vulkan/icd.d/nvidia_icd.json",
            "/usr/local/share/vulkan/icd.d/nvidia_icd.json",
            "/etc/vulkan/icd.d/nvidia_icd.{arch}.json",
            "/usr/share/vulkan/icd.d/nvidia_icd.{arch}.json",
            "/usr/local/share/vulkan/icd.d/nvidia_icd.{arch}.json",
            "/run/opengl-driver/share/vulkan/icd.d/nvidia_icd*.json",
            "/vulkan/icd.d/nvidia_icd.json",
        ),
        "/etc/vulkan/icd.d",
        "graphics",
        "the Vulkan loader finds the driver by it, in /etc whatever XDG_DATA_DIRS says",
        source="T",
        format="json",
    ),
    FileRow(
        "config",
        (
            "/etc/vulkan/icd.d/nvidia_icd.i686.json",
            "/usr/share/vulkan/icd.d/nvidia_icd.i686.json",
            "/usr/local/share/vulkan/icd.d/nvidia_icd.i686.json",
            "/run/opengl-driver-32/share/vulkan/icd.d/nvidia_icd.i686.json",
        ),
        "/etc/vulkan/icd.d",
        "graphics",
        "the Vulkan loader of 32-bit programs finds the driver by it",
        source="N",
        format="json",
        bits=32,
    ),
    FileRow(
        "config",
        (
            "/etc/vulkan/implicit_layer.d/nvidia_layers.json",
            "/usr/share/vulkan/implicit_layer.d/nvidia_layers.json",
            "/usr/local/share/vulkan/implicit_layer.d/nvidia_layers.json",
            "/run/opengl-driver/share/vulkan/implicit_layer.d/nvidia_layers.json",
        ),
        "/etc/vulkan/implicit_layer.d",
        "graphics",
        "the Vulkan loader finds the Optimus layer by it",
        source="T",
        format="json",
    ),
    FileRow(
        "config",
        (
            "/etc/vulkansc/icd.d/nvidia_icd*.json",
            "/usr/share/vulkansc/icd.d/nvidia_icd*.json",
            "/usr/local/share/vulkansc/icd.d/nvidia_icd*.json",
        ),
        "/etc/vulkansc/icd.d",
        "graphics",
        "the Vulkan SC loader finds the driver by it",
        source="N, T",
        format="json",
    ),
    FileRow(
        "data",
        (
            "/usr/share/nvidia/nvoptix.bin",
            "/usr/local/share/nvidia/nvoptix.bin",
            "/run/opengl-driver/share/nvidia/nvoptix.bin",
            "nvoptix.bin",
        ),
        "/usr/share/nvidia",
        "graphics",
        "weights of the OptiX denoiser",
        source="T",
    ),
    FileRow(
        "data",
        (
            "/usr/share/nvidia/nvidia-application-profiles-{version}-rc",
            "/usr/local/share/nvidia/nvidia-application-profiles-{version}-rc",
            "/run/opengl-driver/share/nvidia/nvidia-application-profiles-{version}-rc",
        ),
        "/usr/share/nvidia",
        "graphics",
        "the OpenGL driver's settings for known programs",
        source="driver README, Application Profiles",
    ),
    FileRow(
        "data",
        ("nvidia/wine/*nvngx.dll",),
        "nvidia/wine",
        "ngx",
        "Proton looks for it beside libGLX_nvidia.so.0",
        source="driver README, NGX",
    ),
    *(
        FileRow(
            "config",
            (
                f"/etc/X11/xorg.conf.d/{name}",
                f"/usr/share/X11/xorg.conf.d/{name}",
                f"/usr/local/share/X11/xorg.conf.d/{name}",
                f"/etc/nvidia/{name}",
                f"/etc/nvidia/current/{name}",
            ),
            "/usr/share/X11/xorg.conf.d",
            "display",
            "the X server chooses the driver by it",
            source="T, D",
        )
        for name in ("10-nvidia.conf", "nvidia-drm-outputclass.conf")
    ),
)

XORG_MODULES = (
    ("nvidia_drv.so", "drivers", "the X server's driver", "T"),
    ("libglxserver_nvidia.so", "extensions", "the X server's GLX", "T"),
)
"""File name as the X server asks for it, directory below modules/, reason, source."""

XORG_MODULE_DIRECTORIES = ("/usr/lib/xorg/modules", "/usr/lib64/xorg/modules")
"""The X server's module directory in Debian and Arch, and in Fedora: both families of images."""

XORG_SUBDIRECTORIES = (
    "nvidia/xorg",
    "xorg/modules/{kind}",
    "xorg/modules/nvidia/{kind}",
    "xorg/modules",
    "nvidia",
    "nvidia/current",
)
"""Where the modules are below a library directory: Ubuntu and Arch, Fedora, SUSE, the vendor's installer, Debian."""

FIRMWARE_DIRECTORIES = (
    "/lib/firmware/updates/{release}",
    "/lib/firmware/updates",
    "/lib/firmware/{release}",
    "/lib/firmware",
    "/firmware",
)
"""Where the kernel looks for firmware after its own parameter `firmware_class.path`, below the driver root.

Source: the kernel's Documentation/driver-api/firmware/fw_search_path.rst. The last is Container-Optimized OS', whose
driver root has no /lib."""


class ControlNodeRow(Record, kw_only=False):
    """A device node of the driver as a whole.

    Attributes:
        name: below /dev.
        minor: its minor number.
        required: whether a spec without it would not work.
        command: the command that makes it.
        reason: what it is for.
        source: letters of the module's list of sources.
    """

    name: str
    minor: int
    required: bool
    command: str
    reason: str
    source: str


CONTROL_NODES = (
    ControlNodeRow("nvidiactl", 255, True, "nvidia-modprobe -c 255", "control of all GPUs", "C"),
    ControlNodeRow("nvidia-uvm", 0, True, "nvidia-modprobe -u -c 0", "unified memory, which CUDA needs", "C"),
    ControlNodeRow(
        "nvidia-uvm-tools", 1, False, "nvidia-modprobe -u -c 0", "unified memory events, for profilers", "C"
    ),
    ControlNodeRow("nvidia-modeset", 254, False, "nvidia-modprobe -m", "mode setting, for Vulkan and displays", "T"),
)

NODE_DRIVERS = {
    "nvidia": ("nvidia", "nvidia-frontend"),
    "nvidiactl": ("nvidiactl", "nvidia-frontend"),
    "nvidia-modeset": ("nvidia-modeset", "nvidia-frontend"),
    "nvidia-uvm": ("nvidia-uvm",),
    "nvidia-uvm-tools": ("nvidia-uvm",),
    "nvidia-cap": ("nvidia-caps",),
    "nvidia-nvlink": ("nvidia-nvlink",),
    "nvidia-nvswitch": ("nvidia-nvswitch",),
    "channel": ("nvidia-caps-imex-channels",),
}
"""Whose major a node has: its name without its number, and the names of its driver in /proc/devices, any of them.

Up to 535 one entry, nvidia-frontend, stands for GPUs, nvidiactl and nvidia-modeset (open-gpu-kernel-modules, nv.c,
nv_register_chrdev)."""


class SocketRow(Record, kw_only=False):
    """A socket of a driver's daemon, or a directory of its pipes.

    Attributes:
        path: where the daemon makes it.
        kind: "socket" or "dir".
        reason: whose it is.
        source: letters of the module's list of sources.
    """

    path: str
    kind: str
    reason: str
    source: str


SOCKETS = (
    SocketRow("/run/nvidia-persistenced/socket", "socket", "socket of nvidia-persistenced", "C"),
    SocketRow("/run/nvidia-fabricmanager/socket", "socket", "socket of nv-fabricmanager", "C"),
    SocketRow("/tmp/nvidia-mps", "dir", "pipes of the multi-process service", "C"),  # noqa: S108 - CUDA's fixed name
)

FILELIST = "/usr/share/nvidia/files.d/sandboxutils-filelist.json"
"""The driver's own manifest, from 565 on."""
