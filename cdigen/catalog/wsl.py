"""What is known of WSL2 beforehand: where Windows shows its driver to Linux, as data.

Sources, by letter: L microsoft/WSL#6260, #7314, #8587 (listings of the library folder); T
NVIDIA/nvidia-container-toolkit#1739, #1890 and internal/dxcore (the driver store and what is taken of it); N
nvml-wrapper#51 (which files are opened by absolute path).
"""

from __future__ import annotations

from cdigen.catalog.driver import LibraryRow

DEVICE = "/dev/dxg"
"""The one device of all GPUs, of every vendor: Microsoft's drivers/hv/dxgkrnl."""

LIBRARY_FOLDER = "/usr/lib/wsl/lib"
"""Windows' System32\\lxss\\lib (L). Plain files: loaders that open the real library in the store, and whole ones."""

DRIVER_STORES = "/usr/lib/wsl/drivers"
"""Windows' FileRepository (T): a directory for every driver package of every vendor."""

STORE_PREFIX = "nv"
"""What the names of NVIDIA's packages begin with (T, N): nv_dispi, nvmdi, nvlti and others, by who made the machine."""

CUDA = "libcuda.so.1.1"
"""The real libcuda, which the store of NVIDIA's driver has and no other (T)."""

CUDA_NAMES = ("libcuda.so", "libcuda.so.1", CUDA)

DXCORE = "libdxcore.so"
"""In the library folder: asks Windows which adapters there are, and where their store is. Nothing works without (T)."""

NVIDIA_SMI = "nvidia-smi"

LIBRARIES = (
    LibraryRow("libd3d12", "graphics", "Direct3D 12, on which Mesa's OpenGL stands"),
    LibraryRow("libd3d12core", "graphics", "Direct3D 12, opened by libd3d12"),
    LibraryRow("libdirectml", "compute", "DirectML, machine learning on Direct3D 12"),
    LibraryRow("libnvwgf2umx", "graphics", "the user-space driver of Direct3D, opened by libd3d12"),
    LibraryRow("libnvdxdlkernels", "graphics", "kernels of DLSS, opened by libnvwgf2umx"),
    LibraryRow("libnvdxgdmal", "compute", "memory by way of /dev/dxg, opened by libcuda"),
)
"""Libraries that only WSL2 has."""
