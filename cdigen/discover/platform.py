"""Which kind of machine a host is, told by files before any library is looked at.

Each has a driver of its own: WSL2 a paravirtual device and a library folder of Windows, a Tegra system on chip (Jetson)
an integrated GPU, everything else GPUs on a PCI bus. A driver that is installed tells nothing: distributions' packages
of the Linux one are found on WSL2 too.

Sources: Linux, Documentation/ABI/testing/sysfs-devices-soc; NVIDIA/go-nvlib, pkg/nvlib/info; the device of WSL2 is that
of Microsoft's drivers/hv/dxgkrnl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.wsl import DEVICE
from cdigen.discover.pci import find_gpus_of_nvidia

if TYPE_CHECKING:
    from cdigen.facts import PlatformKind
    from cdigen.host import View
    from cdigen.host.views import Views

TEGRA_RELEASE = "/etc/nv_tegra_release"
"""Tells the release of Jetson Linux (L4T); programs in containers read it too."""

SOC_FAMILY = "/sys/devices/soc0/family"

_NVGPU = "/dev/nvgpu"
_ON_PCI = "igpu-"  # an integrated GPU that shows on the PCI bus: /dev/nvgpu/igpu-0000:01:00.0 of Thor


def find_platform(views: Views) -> PlatformKind:
    """Return what kind of machine a host is.

    A Tegra with a GPU in a slot, which the kernel driver `nvidia` has, is "pci": that GPU needs the usual driver. Where
    the integrated GPU is on the PCI bus as well (Thor), one driver has both, and it is "tegra".

    Raises:
        HostReadError, LinkError: a file that tells cannot be looked at, which is not absence.
    """
    if views.platform != "auto":
        return views.platform
    device = views.dev.find(DEVICE)
    if device is not None and device[1].kind == "char":
        return "wsl"
    return "tegra" if _is_tegra(views.system) and not _has_discrete_gpu(views) else "pci"


def _is_tegra(system: View) -> bool:
    if system.find(TEGRA_RELEASE) is not None:
        return True
    family = system.read(SOC_FAMILY)
    return family is not None and family.strip().lower().startswith(b"tegra")


def _has_discrete_gpu(views: Views) -> bool:
    return not views.dev.names(_NVGPU, (_ON_PCI,)) and bool(find_gpus_of_nvidia(views.system))
