"""What Kubernetes' nodes are labelled with, by the names that GPU feature discovery gave them.

Sources: NVIDIA/k8s-device-plugin, docs/gpu-feature-discovery/README.md, "Generated Labels"; for what a value may be,
Kubernetes' documentation, "Labels and Selectors", "Syntax and character set".
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from cdigen.kubernetes.resources import name_of_profile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cdigen.facts import Gpu, Inventory
    from cdigen.kubernetes.resources import MigStrategy

PREFIX = "nvidia.com"

_NOT_IN_VALUE = re.compile(r"[^A-Za-z0-9_.-]+")
_MAX_VALUE = 63


def build_labels(inventory: Inventory, strategy: MigStrategy) -> Mapping[str, str]:
    """Return the labels of a host, by name, sorted.

    Args:
        inventory: its facts. What only NVML tells is left out where it was not asked.
        strategy: what becomes of MIG devices; with "single" they are what is counted, if there is nothing else.
    """
    labels = {f"{PREFIX}/{name}": value_of(value) for name, value in _labels(inventory, strategy)}
    return {name: labels[name] for name in sorted(labels) if labels[name]}


def render_labels(labels: Mapping[str, str]) -> str:
    """Return labels as a feature file of Node Feature Discovery: a line each."""
    return "".join(f"{name}={value}\n" for name, value in labels.items())


def value_of(text: str) -> str:
    """Return a text as the value of a label: blanks and what else none can have become dashes."""
    return _NOT_IN_VALUE.sub("-", text)[:_MAX_VALUE].strip("-_.")


def _labels(inventory: Inventory, strategy: MigStrategy) -> Iterator[tuple[str, str]]:
    whole = [gpu for gpu in inventory.gpus if gpu.mig is None]
    profiles = Counter(mig.profile for gpu in inventory.gpus for mig in gpu.mig or ())
    if not (inventory.gpus or inventory.shared_nodes):
        return
    yield "gpu.present", "true"
    yield "mig.strategy", strategy
    version = inventory.driver.version
    if version is not None:
        yield "cuda.driver-version.full", version
        for name, old, part in zip(
            ("major", "minor", "revision"), ("major", "minor", "rev"), (*version.split("."), "")[:3], strict=False
        ):
            yield f"cuda.driver-version.{name}", part
            yield f"cuda.driver.{old}", part
    if inventory.shared_nodes:
        yield "gpu.count", "1"  # one device that stands for all
        return
    model = next(filter(None, (gpu.model for gpu in whole or inventory.gpus)), "")
    if strategy == "single" and not whole and len(profiles) == 1 and None not in profiles:
        [(profile, number)] = profiles.items()
        yield "gpu.count", str(number)
        yield "gpu.product", f"{model}-MIG-{profile}"
    else:
        yield "gpu.count", str(len(inventory.gpus))
        yield "gpu.product", model
        yield from _mixed_labels(inventory.gpus, model) if strategy == "mixed" else ()
    yield from _of_first(whole or inventory.gpus)


def _mixed_labels(gpus: tuple[Gpu, ...], model: str) -> Iterator[tuple[str, str]]:
    profiles = Counter(mig.profile for gpu in gpus for mig in gpu.mig or () if mig.profile is not None)
    for profile, number in sorted(profiles.items()):
        resource = name_of_profile(profile)
        yield f"{resource}.count", str(number)
        yield f"{resource}.product", f"{model}-MIG-{profile}"


def _of_first(gpus: list[Gpu] | tuple[Gpu, ...]) -> Iterator[tuple[str, str]]:
    """Yield what NVML alone tells, of the first GPU, as the vendor does where they differ."""
    first = gpus[0]
    if first.memory is not None:
        yield "gpu.memory", str(first.memory)
    if first.compute is not None:
        major, _, minor = first.compute.partition(".")
        yield "gpu.compute.major", major
        yield "gpu.compute.minor", minor
