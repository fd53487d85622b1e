"""What NVML says of a host's GPUs, as one small JSON document: between two processes, and in a snapshot.

The document is ours; its values are those of `cdigen.parse.nvml_values`. `schemas/snapshot.schema.json` says the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from cdigen.errors import ParseError
from cdigen.parse.nvml_values import (
    parse_bus_id,
    parse_compute,
    parse_gpu_uuid,
    parse_memory,
    parse_mig_uuid,
    parse_name,
    parse_number,
    parse_profile,
    preview,
)
from cdigen.records import Record, to_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

T = TypeVar("T")

MAX_GPUS = 254
"""The most GPUs of an answer: the kernel module has the minors 0 to 253 for them; 254 and 255 are its own."""

MAX_MIG_DEVICES = 120
"""The most MIG devices of a GPU: `mig-minors` has 15 GPU instances with 8 compute instances each. Today's have 7."""

MAX_PROBLEMS = 64
"""The most problems of an answer. A lost GPU has about four."""


class NvmlMig(Record):
    """One MIG device.

    Attributes:
        index: its number in NVML's own order on its GPU, from 0, which is the one that nvidia-smi shows; there can
            be holes.
        uuid: `MIG-` and a UUID in lower case, before R470 `MIG-GPU-<uuid>/<gi>/<ci>`; None if NVML did not tell.
        gpu_instance: the ID of the GPU instance, as in `gi<ID>` of procfs.
        compute_instance: the ID of the compute instance in it, as in `ci<ID>`.
        profile: e.g. `1g.5gb`, `1c.2g.10gb`, `1g.24gb+gfx`; None if NVML did not tell.
    """

    index: int
    uuid: str | None
    gpu_instance: int
    compute_instance: int
    profile: str | None


class NvmlGpu(Record):
    """One GPU.

    Attributes:
        bdf: the PCI address as procfs writes it: lower case, `dddd:bb:dd.f`, the domain with four digits or as many
            more as it needs.
        minor: of `/dev/nvidia<minor>`; None if NVML did not tell.
        uuid: `GPU-` and a UUID in lower case; None if NVML did not tell.
        model: the product name; None if NVML did not tell.
        mig_enabled: whether it is in MIG mode now; None if it has no such mode, or NVML did not tell.
        mig: its MIG devices, by index.
        coherent: whether it addresses the system's memory through ATS, as in GH200 and GB200; None if NVML cannot
            tell, as before R580.
        memory: its memory in MiB; None if NVML did not tell, as where it is the system's.
        compute: its compute capability, such as "9.0"; None if NVML did not tell.
    """

    bdf: str
    minor: int | None
    uuid: str | None
    model: str | None
    mig_enabled: bool | None
    mig: tuple[NvmlMig, ...]
    coherent: bool | None
    memory: int | None = None
    compute: str | None = None


class NvmlFacts(Record):
    """What NVML says.

    Attributes:
        driver_version: of the kernel module that NVML speaks to; None if it did not tell.
        gpus: in NVML's order, which means nothing; no PCI address twice.
        problems: what it did not tell and why, one line for each call that failed; the rest is still good.
    """

    driver_version: str | None
    gpus: tuple[NvmlGpu, ...]
    problems: tuple[str, ...]


def parse_nvml(document: object) -> NvmlFacts:
    """Read the document as a value: of JSON, or of YAML in a snapshot.

    Raises:
        ParseError: it is anything else; the reason names the place.
    """
    fields = _object(document, "the answer", {"driver_version", "gpus", "problems"})
    gpus = tuple(_gpu(item, f"gpus[{i}]") for i, item in enumerate(_array(fields, "gpus", "", MAX_GPUS)))
    _check_no_repeats((gpu.bdf for gpu in gpus), "gpus", "bdf")
    problems = enumerate(_array(fields, "problems", "", MAX_PROBLEMS))
    return NvmlFacts(
        driver_version=_optional(fields, "driver_version", "", parse_name),
        gpus=gpus,
        problems=tuple(_placed(f"problems[{i}]", parse_name, item) for i, item in problems),
    )


def render_nvml(facts: NvmlFacts) -> dict[str, object]:
    """Return the document of `facts`, of which `parse_nvml` makes them again.

    What is None has no key; nor has what is empty, but for the list of GPUs.
    """
    gpus = [
        _without_nothing(to_dict(gpu) | {"mig": [_without_nothing(to_dict(mig)) for mig in gpu.mig]})
        for gpu in facts.gpus
    ]
    return _without_nothing(to_dict(facts) | {"gpus": gpus, "problems": list(facts.problems)}) | {"gpus": gpus}


def _gpu(value: object, place: str) -> NvmlGpu:
    fields = _object(value, place, set(NvmlGpu.__annotations__))
    mig = tuple(_mig(item, f"{place}.mig[{i}]") for i, item in enumerate(_array(fields, "mig", place, MAX_MIG_DEVICES)))
    _check_no_repeats((device.index for device in mig), f"{place}.mig", "index")
    _check_no_repeats(((device.gpu_instance, device.compute_instance) for device in mig), f"{place}.mig", "instance")
    return NvmlGpu(
        bdf=_required(fields, "bdf", place, _unchanged(parse_bus_id)),
        minor=_optional(fields, "minor", place, parse_number),
        uuid=_optional(fields, "uuid", place, _unchanged(parse_gpu_uuid)),
        model=_optional(fields, "model", place, parse_name),
        mig_enabled=_optional(fields, "mig_enabled", place, _truth),
        mig=tuple(sorted(mig, key=lambda device: device.index)),
        coherent=_optional(fields, "coherent", place, _truth),
        memory=_optional(fields, "memory", place, parse_memory),
        compute=_optional(fields, "compute", place, parse_compute),
    )


def _mig(value: object, place: str) -> NvmlMig:
    fields = _object(value, place, {"index", "uuid", "gpu_instance", "compute_instance", "profile"})
    return NvmlMig(
        index=_required(fields, "index", place, parse_number),
        uuid=_optional(fields, "uuid", place, _unchanged(parse_mig_uuid)),
        gpu_instance=_required(fields, "gpu_instance", place, parse_number),
        compute_instance=_required(fields, "compute_instance", place, parse_number),
        profile=_optional(fields, "profile", place, parse_profile),
    )


def _object(value: object, place: str, keys: set[str]) -> dict[object, object]:
    if not isinstance(value, dict):
        raise ParseError(f"{place} is not an object")
    unknown = next((key for key in value if key not in keys), None)
    if unknown is not None:
        raise ParseError(f"{place} has an unknown key: {preview(unknown)}")
    return value


def _array(fields: dict[object, object], key: str, place: str, most: int) -> list[object]:
    value = fields.get(key, [] if key != "gpus" else None)
    if not isinstance(value, list):
        raise ParseError(f"{_inside(place, key)} is not an array")
    if len(value) > most:
        raise ParseError(f"{_inside(place, key)} has {len(value)} items, more than {most}")
    return value


def _optional(fields: dict[object, object], key: str, place: str, parse: Callable[[object], T]) -> T | None:
    return _placed(_inside(place, key), parse, fields[key]) if key in fields else None


def _required(fields: dict[object, object], key: str, place: str, parse: Callable[[object], T]) -> T:
    return _placed(_inside(place, key), parse, fields.get(key))


def _placed(place: str, parse: Callable[[object], T], value: object) -> T:
    try:
        return parse(value)
    except ParseError as error:
        raise ParseError(f"{place}: {error}") from error


def _unchanged(parse: Callable[[object], str]) -> Callable[[object], str]:
    """Return `parse` for a document, which has texts in the form that `parse` returns."""

    def strictly(value: object) -> str:
        parsed = parse(value)
        if parsed != value:
            raise ParseError(f"not written as {parsed}: {preview(value)}")
        return parsed

    return strictly


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ParseError(f"neither true nor false: {preview(value)}")
    return value


def _check_no_repeats(values: Iterable[Hashable], place: str, what: str) -> None:
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise ParseError(f"{place}: two have the {what} {value}")
        seen.add(value)


def _inside(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _without_nothing(fields: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value is not None and value != []}
