"""Which devices the kubelet is offered under which resource name: the vendor's strategies for MIG.

Source: NVIDIA/k8s-device-plugin, README, "Configuration Option Details", MIG_STRATEGY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cdigen.errors import ParseError, one_line
from cdigen.findings import Finding, Remedy
from cdigen.parse.nvml_values import parse_profile
from cdigen.wording import count, first_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cdigen.kubernetes.devices import OfferedDevice

MigStrategy = Literal["none", "single", "mixed"]

_WITH_PROFILES = Remedy(
    "write the spec with --annotations where NVML can be asked", ("cdigen generate --annotations --nvml always",)
)
_MOST_NAMED = 3


def choose_resources(
    devices: Sequence[OfferedDevice], strategy: MigStrategy, name: str
) -> tuple[Mapping[str, tuple[OfferedDevice, ...]], tuple[Finding, ...]]:
    """Return the devices of each resource, and what is offered to nobody.

    Args:
        devices: those of the spec.
        strategy: "none" offers no MIG devices; "single" offers those of a node that has nothing else, all of one
            profile, under `name`; "mixed" those of each profile as <domain>/mig-<profile>.
        name: the resource of whole GPUs, such as "nvidia.com/gpu"; it is always there, if only without devices.
    """
    whole = tuple(device for device in devices if not device.is_mig)
    mig = tuple(device for device in devices if device.is_mig)
    if not mig:
        return {name: whole}, ()
    if strategy == "none":
        message = f"{count(len(mig), 'MIG device')} not offered, as --mig-strategy is none"
        remedy = Remedy("use --mig-strategy mixed, or single where all are of one profile")
        return {name: whole}, (
            Finding(level="note", code="mig-not-offered", subject=name, message=message, remedy=remedy),
        )
    nameless = [device for device in mig if not _has_profile(device)]
    if strategy == "single":
        profiles = {device.profile for device in mig}
        if whole or nameless or len(profiles) > 1:
            return {name: ()}, (_not_single(name, whole, nameless, profiles),)
        return {name: mig}, ()
    resources: dict[str, tuple[OfferedDevice, ...]] = {name: whole}
    domain = name.partition("/")[0]
    for device in mig:
        if device not in nameless:
            resource = f"{domain}/{name_of_profile(str(device.profile))}"
            resources[resource] = (*resources.get(resource, ()), device)
    return resources, tuple(_nameless(nameless))


def name_of_profile(profile: str) -> str:
    """Return what the devices of a MIG profile are called in Kubernetes, where names have no `+`."""
    return f"mig-{profile.replace('+', '.')}"


def _has_profile(device: OfferedDevice) -> bool:
    try:
        parse_profile(device.profile)
    except ParseError:
        return False
    return True


def _not_single(
    name: str,
    whole: Sequence[OfferedDevice],
    nameless: Sequence[OfferedDevice],
    profiles: set[str | None],
) -> Finding:
    remedy = Remedy("use --mig-strategy mixed")
    if whole:
        why = f"{count(len(whole), 'GPU')} of this node not in MIG mode"
    elif nameless:
        why, remedy = "the spec does not tell their profiles", _WITH_PROFILES
    else:
        why = f"they are of several profiles: {', '.join(sorted(one_line(str(profile)) for profile in profiles))}"
    message = f"nothing is offered as {name}: --mig-strategy single is for MIG devices of one profile alone, and {why}"
    return Finding(level="warning", code="mig-not-single", subject=name, message=message, remedy=remedy)


def _nameless(devices: Sequence[OfferedDevice]) -> tuple[Finding, ...]:
    if not devices:
        return ()
    names = first_of([one_line(device.id) for device in devices], _MOST_NAMED)
    message = f"{names} not offered: the spec does not tell of which profile, and so not of which resource"
    return (
        Finding(
            level="warning",
            code="mig-profile-unknown",
            subject=devices[0].id,
            message=message,
            remedy=_WITH_PROFILES,
        ),
    )
