"""The device plugins that a kubelet has: whose they are, and whether two serve one resource.

Sources: kubernetes/kubelet, pkg/apis/deviceplugin/v1beta1/constants.go, for the directory; the vendor's plugin names
its sockets nvidia-<resource>.sock (NVIDIA/k8s-device-plugin, internal/plugin/server.go). Of a resource that is
registered twice the later plugin counts (kubernetes, pkg/kubelet/cm/devicemanager).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.kubelet import DIRECTORY, KUBELET_SOCKET, OURS, SUFFIX, VENDORS
from cdigen.diagnosis import Diagnosis, diagnosis, run, unreadable
from cdigen.errors import shell_word
from cdigen.host import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.session.context import Context

OUR_PLUGIN = ("plugin-found", "plugin-twice")
"""The codes of what is said where cdigen's own serves."""

_NVIDIA = "nvidia.com-"


def check_kubelet(context: Context) -> tuple[Diagnosis, ...]:
    """Return a line for each device plugin of NVIDIA's GPUs; nothing where there is no kubelet."""
    system = context.views.system
    try:
        if system.find(f"{DIRECTORY}/{KUBELET_SOCKET}") is None:
            return ()
        names = system.names(DIRECTORY, (OURS, VENDORS), SUFFIX)
    except UNREADABLE as error:
        return (unreadable("kubelet", DIRECTORY, error),)
    return tuple(_judge(names))


def _judge(names: tuple[str, ...]) -> Iterator[Diagnosis]:
    ours = {name.removeprefix(OURS).removesuffix(SUFFIX): name for name in names if name.startswith(OURS)}
    vendors = {
        _NVIDIA + name.removeprefix(VENDORS).removesuffix(SUFFIX): name for name in names if name.startswith(VENDORS)
    }
    for resource in sorted({*ours, *vendors}):
        own, other = ours.get(resource), vendors.get(resource)
        path = f"{DIRECTORY}/{own or other}"
        if own and other:
            message = (
                f"cdigen's device plugin and the vendor's ({other}) serve the same resource: the kubelet believes the"
                " one that registered last"
            )
            remedy = run(
                f"rm {shell_word(f'{DIRECTORY}/{other}')}",
                hint="take one of them away from this node; if the vendor's is gone already, its socket is left over",
            )
            yield diagnosis("kubelet", path, "warning", "plugin-twice", message, remedy)
        elif own:
            yield diagnosis("kubelet", path, "ok", "plugin-found", "cdigen's device plugin serves here")
        else:
            message = "the vendor's device plugin serves here; the specs that it writes have hooks"
            yield diagnosis("kubelet", path, "ok", "vendors-plugin-found", message)
