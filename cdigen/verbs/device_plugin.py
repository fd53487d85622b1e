"""cdigen device-plugin: offers the devices of the spec on the disk to the kubelet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import click

from cdigen.catalog.kubelet import DIRECTORY
from cdigen.errors import FileError, UsageError, one_line
from cdigen.options.duration import parse_duration
from cdigen.options.shared import HOST_OPTIONS, MIG_STRATEGY, with_options

if TYPE_CHECKING:
    from cdigen.kubernetes.daemon import Settings
    from cdigen.kubernetes.resources import MigStrategy

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_QUALIFIED = re.compile(rf"[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?/{_NAME}")


@click.command("device-plugin")
@click.option(
    "--kind",
    metavar="VENDOR/CLASS",
    default="nvidia.com/gpu",
    show_default=True,
    help="Of which devices, as the spec calls their kind.",
)
@click.option(
    "--resource-name",
    metavar="NAME",
    help="What pods ask for.  [default: the kind]",
)
@MIG_STRATEGY
@click.option(
    "--plugin-dir",
    metavar="DIR",
    default=DIRECTORY,
    show_default=True,
    help="The kubelet's directory of sockets.",
)
@click.option(
    "--status",
    metavar="FILE",
    help="Believe what `cdigen watch --status FILE` says of the spec, instead of looking at the files that it mounts.",
)
@click.option(
    "--interval",
    metavar="TIME",
    type=parse_duration,
    default="30s",
    show_default=True,
    help="How often to look at the host where nothing says that it has changed.",
)
@click.option("--no-xids", is_flag=True, help="Do not read the kernel's log for errors that the driver reports.")
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    help="Answer GET /livez and /readyz there.  [default: no port]",
)
@with_options(*HOST_OPTIONS)
def command(
    kind: str,
    resource_name: str | None,
    mig_strategy: str,
    plugin_dir: str,
    status: str | None,
    interval: float,
    no_xids: bool,
    listen: str | None,
    host_root: str | None,
    procfs: str | None,
    sysfs: str | None,
) -> int:
    """Offer the devices of the spec on the disk to the kubelet, by its device plugin API, until told to end.

    Any spec without hooks will do, from the directories that engines read. What a pod is given are CDI names of devices
    and nothing else: the engine reads the spec. Devices whose node, GPU or driver is gone are reported as unhealthy,
    and as healthy when they are back. It needs the extra cdigen[kubernetes].
    """
    name = resource_name or kind
    for option, value in (("--kind", kind), ("--resource-name", name)):
        if not _QUALIFIED.fullmatch(value):
            raise UsageError(
                f"{option} {one_line(value)}: not a domain and a name",
                hint="use one such as nvidia.com/gpu",
                code="invalid-value",
            )
    if interval < 1:
        raise UsageError("--interval: less than a second", hint="use one such as 30s", code="invalid-value")
    try:
        import grpc.aio  # noqa: F401 - asked for once, to say what is missing
    except ImportError as error:
        raise FileError(
            f"the Python package grpcio cannot be loaded: {one_line(str(error))}",
            hint="install cdigen with its extra",
            commands=("pip install 'cdigen[kubernetes]'",),
            code="missing-module",
        ) from error
    from cdigen.kubernetes.daemon import Settings
    from cdigen.session.target import Target

    settings = Settings(
        target=Target(host_root=host_root, procfs=procfs, sysfs=sysfs),
        kind=kind,
        resource=name,
        strategy=cast("MigStrategy", mig_strategy),
        directory=plugin_dir,
        status=status,
        interval=interval,
        with_xids=not no_xids,
    )
    import asyncio

    asyncio.run(_serve(settings, listen))
    return 0


async def _serve(settings: Settings, listen: str | None) -> None:
    from cdigen.kubernetes.daemon import Daemon

    daemon = Daemon(settings)
    if listen is None:
        await daemon.run()
        return
    from cdigen.watch.probes import serve_probes

    async with await serve_probes(listen, daemon.why_not_ready):
        await daemon.run()
