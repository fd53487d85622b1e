"""Which of a host's GPUs and MIG instances are wanted, by any of their names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdigen.errors import IncompleteError, one_line
from cdigen.records import replace
from cdigen.wording import first_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.facts import Gpu, MigInstance

_MOST_NAMED = 8
_BDF = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])")


def select_gpus(gpus: tuple[Gpu, ...], wanted: tuple[str, ...]) -> tuple[Gpu, ...]:
    """Return the wanted GPUs, of those that are divided by MIG the wanted instances, in their own order.

    Args:
        gpus: the host's, by index.
        wanted: names: of a GPU its index, `gpu<index>`, UUID or PCI address; of a MIG instance `<GPU>:<index>`,
            `mig<GPU>:<index>` or its UUID. The name of a GPU stands for all its instances. () wants all.

    Raises:
        IncompleteError: a name is that of no GPU and no instance.
    """
    if not wanted:
        return gpus
    names = {_normal(name) for name in wanted}
    unknown = [name for name in wanted if not any(_normal(name) in known for known in _known(gpus))]
    if unknown:
        shown = ", ".join(map(one_line, unknown))
        raise IncompleteError(
            f"--device {shown}: no such GPU or MIG device",
            hint=_hint(unknown, gpus),
            commands=("cdigen list",),
            subject=shown,
            code="no-such-device",
        )
    chosen = []
    for gpu in gpus:
        if names & set(gpu_names(gpu)):
            chosen.append(gpu)
        elif instances := tuple(mig for mig in gpu.mig or () if names & set(instance_names(gpu, mig))):
            chosen.append(replace(gpu, mig=instances))
    return tuple(chosen)


def _hint(unknown: list[str], gpus: tuple[Gpu, ...]) -> str:
    """Return by which names the GPUs can be asked for: those that are meant, if that can be told, else all."""
    by_node = {f"nvidia{gpu.minor}": gpu for gpu in gpus}
    meant = [by_node.get(name.strip().lower().removeprefix("/dev/")) for name in unknown]
    if None not in meant:
        return f"name a GPU by its index: {', '.join(str(gpu.index) for gpu in meant if gpu is not None)}; see"
    return f"the GPUs are {first_of([_describe(gpu) for gpu in gpus], _MOST_NAMED)}; see"


def _describe(gpu: Gpu) -> str:
    return f"{gpu.index} ({gpu.bdf})" if gpu.bdf else str(gpu.index)


def gpu_names(gpu: Gpu) -> tuple[str, ...]:
    """Return the names by which a GPU can be asked for, in lower case."""
    names = (str(gpu.index), f"gpu{gpu.index}", gpu.uuid, gpu.bdf)
    return tuple(name.lower() for name in names if name is not None)


def instance_names(gpu: Gpu, mig: MigInstance) -> tuple[str, ...]:
    """Return the names by which a MIG instance can be asked for, in lower case."""
    names = (f"{gpu.index}:{mig.index}", f"mig{gpu.index}:{mig.index}", mig.uuid)
    return tuple(name.lower() for name in names if name is not None)


def _known(gpus: tuple[Gpu, ...]) -> Iterator[tuple[str, ...]]:
    for gpu in gpus:
        yield gpu_names(gpu)
        for mig in gpu.mig or ():
            yield instance_names(gpu, mig)


def _normal(name: str) -> str:
    """Return a name in lower case, a PCI address with the domain as procfs writes it; NVML's has eight digits."""
    name = name.strip().lower()
    match = _BDF.fullmatch(name)
    return f"{int(match.group(1) or '0', 16):04x}:{match.group(2)}" if match else name
