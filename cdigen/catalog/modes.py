"""The modes, as data: what a spec can be of, and its kind. A class of devices is a mode by its row in `classes.py`.

Words and kinds are those of NVIDIA/nvidia-container-toolkit: pkg/nvcdi/api.go and cmd/nvidia-ctk/cdi/generate.
"""

from __future__ import annotations

from cdigen.catalog.classes import CLASSES
from cdigen.records import Record


class ModeRow(Record, kw_only=False):
    """What a spec is of.

    Attributes:
        name: the vendor's word for it.
        device_class: the class part of the spec's kind.
        prefix: what stands before the vendor's part of it.
        suffix: what stands after the class.
        is_of_gpus: the devices are GPUs and MIG instances.
        has_names: there are devices with names beside `all`.
        with_driver: a class that comes with the driver's files.
        coherent: whether only GPUs are offered that are known to address the host's memory coherently, or known not to;
            None for all.
    """

    name: str
    device_class: str = "gpu"
    prefix: str = ""
    suffix: str = ""
    is_of_gpus: bool = False
    has_names: bool = False
    with_driver: bool = False
    coherent: bool | None = None


_ROWS = (
    ModeRow("auto", is_of_gpus=True, has_names=True),
    ModeRow("gpu", is_of_gpus=True, has_names=True),
    *(
        ModeRow(row.name, row.device_class, row.prefix, has_names=row.has_names, with_driver=row.with_driver)
        for row in CLASSES
    ),
    ModeRow("coherent", suffix=".coherent", is_of_gpus=True, has_names=True, coherent=True),
    ModeRow("noncoherent", suffix=".noncoherent", is_of_gpus=True, has_names=True, coherent=False),
)

MODES = {row.name: row for row in _ROWS}
"""Every mode by its name, in the order in which they are listed; the vendor says "nvml" for "gpu"."""

MAIN_MODES = ("auto", "gpu")
"""Those of the main file; each of the others has one beside it."""

OTHER_MODES = tuple(name for name in MODES if name not in MAIN_MODES)

GPU_MODES = tuple(name for name, row in MODES.items() if row.is_of_gpus)
