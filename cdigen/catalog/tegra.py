"""What is known beforehand of a Tegra system on chip (Jetson), as data: lists, places, groups, device nodes.

Sources, by letter: T NVIDIA/nvidia-container-toolkit, internal/platform-support/tegra and testdata/lookup/rootfs-orin
(NVIDIA's own lists); E lf-edge/eve, pkg/nvidia/cdi (specs made on boards); Y OE4T/meta-tegra; N
anduril/jetpack-nixos#542 and pkgs/containers/l4t-csv.nix; A avocado-linux/meta-avocado#248.
"""

from __future__ import annotations

from cdigen.records import Record

LISTS = "/etc/nvidia-container-runtime/host-files-for-container.d"
"""Where the lists of the host's files are (T)."""

LIST_NAMES = ("devices.csv", "drivers.csv", "l4t.csv")
"""Those of the driver (T): the third up to JetPack 5. Others are of CUDA and TensorRT, for images of JetPack 4."""

LIBRARY_FOLDERS = ("/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/run/opengl-driver/lib")
"""Where libraries are, of which others than the driver's are too: Ubuntu's, Red Hat's, Yocto's (Y), NixOS' (N)."""

PRIVATE_FOLDERS = ("nvidia", "tegra", "tegra-egl")
"""Folders below those that are the driver's alone (T), so that they can be mounted whole."""

OTHER_FOLDERS = ("/opt/nvidia/l4t-gpu-libs/openrm", "/opt/nvidia/l4t-gpu-libs/nvgpu")
"""Where Jetson Linux 39 keeps libcuda, from which a link is made at boot (N)."""

PREFIXES = ("libcuda", "libnv", "libtegra", "libEGL_nvidia", "libGLX_nvidia", "libGLESv1_CM_nvidia", "libGLESv2_nvidia")
"""What the names of libraries begin with that are the driver's where the driver's need them."""

NAMES = (
    *("libcuda.so", "libEGL_nvidia.so", "libGLX_nvidia.so", "libGLESv1_CM_nvidia.so", "libGLESv2_nvidia.so"),
    *("libnvidia-", "libnvcuvid.so", "libnvcucompat.so", "libnvcudla.so", "libnvrm_", "libnvbuf", "libnvmedia"),
    *("libnvsci", "libnvargus", "libnvv4l2.so", "libnvv4lconvert.so", "libtegrav4l2.so", "libnvvic.so"),
)
"""What the names of the driver's libraries begin with that programs open, in folders where there are others' too: not
libnv, as TensorRT has libnvinfer and CUDA libnvrtc."""

FILES = (
    *("/etc/vulkan/icd.d/nvidia_icd.json", "/usr/share/glvnd/egl_vendor.d/10_nvidia.json"),
    *("/usr/bin/nvidia-smi", "/usr/sbin/nvidia-smi"),
)
"""What a host without lists may have beside its libraries (T)."""

LEFT_OUT = "weston"
"""Demo programs of a compositor, 27 to 56 files in a folder of that name (E)."""

PLATFORM_NODES = (
    "/dev/nvgpu/igpu*/*",
    "/dev/nvidia[0-9]*",
    "/dev/nvidiactl",
    "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
)
"""Nodes that are looked for whatever the lists say: they name those of the GPU by an older name (A), and not those of a
card beside it."""

NODES = (
    *("/dev/nvhost-*", "/dev/nvmap", "/dev/nvsciipc", "/dev/host1x-fence", "/dev/host1x", "/dev/v4l2-nvdec"),
    *("/dev/v4l2-nvenc", "/dev/nvidia-modeset", "/dev/fb[0-9]", "/dev/dri/card*", "/dev/dri/renderD*"),
)
"""Nodes of a host that has no lists (T, Y: the union of the releases')."""

GPU_NODES = ("/dev/nvgpu/", "/dev/nvhost-ctrl-gpu", "/dev/nvhost-gpu", "/dev/nvidia")
"""What the path of a node of a GPU begins with."""


class GroupRow(Record, kw_only=False):
    """Libraries of one capability.

    Attributes:
        prefixes: what their names begin with.
        group: the vendor's word for the capability.
        reason: what they are.
    """

    prefixes: tuple[str, ...]
    group: str
    reason: str


GROUPS = (
    GroupRow(("libnvargus", "libnvscf", "libnvcam", "libnvisp", "libnvfusa", "libnvcapture"), "video", "camera"),
    GroupRow(("libnvodm_imager", "libsensors", "libnvtracebuf", "libnvphs", "libjetsonpower"), "video", "camera"),
    GroupRow(("libnvmedia", "libnvmm", "libnvtvmr", "libnvomx", "libnvvideo", "libnvparser"), "video", "multimedia"),
    GroupRow(("libnvjpeg", "libnvexif", "libnvofsdk", "libnvoggopus", "libnvosd"), "video", "multimedia"),
    GroupRow(("libnvbuf", "libnvdsbuf", "libnvid_mapper", "libnvcuvid", "libnvplayfair"), "video", "codecs"),
    GroupRow(("libv4l", "libnvv4l", "libtegrav4l2", "libgst", "libnvfnet", "libnvgov"), "video", "V4L2 and GStreamer"),
    GroupRow(("libnvveglstream", "libnveglstream", "libnvdecode2eglimage", "libnvimp"), "video", "multimedia"),
    GroupRow(("libnvidia-ml",), "utility", "NVML"),
    GroupRow(("libEGL", "libGL", "libnvidia-egl", "libnvidia-gl", "libnvidia-tls"), "graphics", "OpenGL and EGL"),
    GroupRow(("libnvidia-rtcore", "libnvidia-vksc", "libvulkansc", "libVk", "libnvoptix"), "graphics", "Vulkan"),
    GroupRow(("libtegrawfd", "libnvdc", "libnvidia-kms", "libnvidia-rmapi"), "display", "displays"),
    GroupRow(("libcuda", "libnvcu", "libnvidia-nvvm", "libnvidia-ptxjit", "libnvidia-gpucomp"), "compute", "CUDA"),
    GroupRow(("libnvdla", "libnvpva"), "compute", "the accelerators DLA and PVA"),
    GroupRow(("libnvrm", "libnvos", "libnvsoc", "libnvtegrahv", "libnvsci"), "compute", "the base of the driver"),
)
"""The first row with a prefix of the name counts. What none has is compute, so that it is not lost."""
