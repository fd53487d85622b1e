"""Which kind of machine a host is, told by files before any library is looked at.

Each has a driver of its own: WSL2 a paravirtual device and a library folder of Windows, a Tegra system on chip (Jetson)
an integrated GPU, everything else GPUs on a PCI bus. A driver that is installed tells nothing: distributions' packages
of the Linux one are found on WSL2 too.

Sources: Linux, Documentation/ABI/testing/sysfs-devices-soc; NVIDIA/go-nvlib, pkg/nvlib/info; the device of WSL2 is that
of Microsoft's drivers/hv/dxgkrnl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cdigen.catalog.tegra import RELEASE
from cdigen.catalog.wsl import DEVICE
from cdigen.discover.pci import find_gpus_of_nvidia
from cdigen.records import Record

if TYPE_CHECKING:
    from cdigen.host import View
    from cdigen.host.views import Views

SOC_FAMILY = "/sys/devices/soc0/family"

_NVGPU = "/dev/nvgpu"
_ON_PCI = "igpu-"  # an integrated GPU that shows on the PCI bus: /dev/nvgpu/igpu-0000:01:00.0 of Thor


class Platform(Record):
    """A kind of machine.

    Attributes:
        kind: "wsl", "tegra", or "pci" for any other.
        shown_by: the file that tells; "" for "pci", or where the user has said it.
    """

    kind: Literal["pci", "wsl", "tegra"]
    shown_by: str = ""


def find_platform(views: Views) -> Platform:
    """Return what kind of machine a host is.

    A Tegra with a GPU in a slot, which the kernel driver `nvidia` has, is "pci": that GPU needs the usual driver. Where
    the integrated GPU is on the PCI bus as well (Thor), one driver has both, and it is "tegra".

    Raises:
        HostReadError, LinkError: a file that tells cannot be looked at, which is not absence.
    """
    if views.platform != "auto":
        return Platform(kind=views.platform)
    device = views.dev.find(DEVICE)
    if device is not None and device[1].kind == "char":
        return Platform(kind="wsl", shown_by=views.dev.host_path(DEVICE))
    shown_by = _find_tegra(views.system)
    if shown_by is None or _has_discrete_gpu(views):
        return Platform(kind="pci")
    return Platform(kind="tegra", shown_by=shown_by)


def _find_tegra(system: View) -> str | None:
    if system.find(RELEASE) is not None:
        return RELEASE
    family = system.read(SOC_FAMILY)
    return SOC_FAMILY if family is not None and family.strip().lower().startswith(b"tegra") else None


def _has_discrete_gpu(views: Views) -> bool:
    return not views.dev.names(_NVGPU, (_ON_PCI,)) and bool(find_gpus_of_nvidia(views.system))
