"""What becomes of the specs of all modes of a host: the spec, or the kind of error in its place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cdigen.catalog.modes import MODES as ROWS
from cdigen.errors import CdigenError, FileError
from cdigen.parse.nvml import NvmlFacts, NvmlGpu, NvmlMig
from cdigen.plan.options import BuildOptions
from cdigen.session.planner import Planner
from cdigen.session.session import Session
from cdigen.session.target import Target
from cdigen.specs.render import render_plan
from tests.classes import all_class_entries
from tests.hosts import (
    LIBDIR,
    VERSION,
    Entries,
    bdf_of,
    library,
    link,
    linker_cache,
    mig_entries,
    minimal_entries,
    program,
    text,
    uuid_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdigen.host import Host

MODES: tuple[str, ...] = tuple(ROWS)
OPTIONS = BuildOptions(ipc=True, compat32=True)

_MIG = tuple(
    NvmlMig(index=index, uuid=None, gpu_instance=instance, compute_instance=0, profile=None)
    for index, instance in enumerate((1, 2))
)

ANSWER = NvmlFacts(
    driver_version=VERSION,
    gpus=tuple(
        NvmlGpu(
            bdf=bdf_of(index),
            minor=index,
            uuid=uuid_of(index),
            model=None,
            mig_enabled=index == 0,
            mig=() if index else _MIG,
            coherent=index == 1,
        )
        for index in range(3)
    ),
    problems=(),
)
"""What NVML says of `a_host_with_everything`: one GPU in MIG mode, a coherent one and one that is not."""

Outcome = bytes | str
"""A spec, or the name of the error that is in its place."""


def a_host_with_everything() -> Entries:
    """Return a host on which every finder finds something, behind links where hosts have them."""
    icd = json.dumps({"file_format_version": "1.0.0", "ICD": {"library_path": "/opt/links/libGLX_nvidia.so.0"}})
    return {
        **minimal_entries(gpus=3),
        **all_class_entries(),
        **mig_entries(0, (1, 0), (2, 0)),
        "/etc/ld.so.cache": linker_cache(f"{LIBDIR}/libcuda.so.1"),
        f"{LIBDIR}/nvidia/current/libnvidia-encode.so.{VERSION}": library("libnvidia-encode.so.1"),
        f"{LIBDIR}/libnvidia-encode.so.1": link("/etc/alternatives/encode"),
        "/etc/alternatives/encode": link(f"{LIBDIR}/nvidia/current/libnvidia-encode.so.{VERSION}"),
        f"{LIBDIR}/libGLX_nvidia.so.{VERSION}": library("libGLX_nvidia.so.0"),
        "/opt/links/libGLX_nvidia.so.0": link(f"{LIBDIR}/libGLX_nvidia.so.{VERSION}"),
        f"/usr/lib/i386-linux-gnu/libnvcuvid.so.{VERSION}": library("libnvcuvid.so.1", "i386"),
        "/usr/bin/nvidia-debugdump": link("/opt/nvidia/nvidia-debugdump"),
        "/opt/nvidia/nvidia-debugdump": program(),
        "/etc/vulkan/icd.d/nvidia_icd.json": text(icd),
        f"{LIBDIR}/xorg/modules/drivers/nvidia_drv.so": library(None),
        "/run/nvidia-persistenced/socket": {"kind": "socket"},
        "/proc/driver/nvidia-caps/mig-minors": text("gpu0/gi1/access 12\n"),
    }


def outcomes(host: Callable[[], Host]) -> dict[str, Outcome]:
    """Return what becomes of the spec of every mode; `host` opens the host."""
    found: dict[str, Outcome] = {}
    try:
        opened = Session(host())
        planner = Planner(Target(ask_nvml="auto"), session=opened)
    except CdigenError as error:
        return dict.fromkeys(MODES, name_of(error))
    for mode in MODES:
        try:
            found[mode] = render_plan(planner.plan(OPTIONS.for_mode(mode)), "json")
        except CdigenError as error:
            found[mode] = name_of(error)
    return found


def name_of(error: CdigenError) -> str:
    """Return the kind of an error; all that could not be read are one."""
    return "FileError" if isinstance(error, FileError) else type(error).__name__
