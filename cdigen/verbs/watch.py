"""cdigen watch: writes the spec of the host, and keeps it true until it is told to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cdigen.errors import UsageError
from cdigen.options.duration import parse_duration
from cdigen.options.shared import (
    BUILD_OPTIONS,
    MIG_STRATEGY,
    OF_TARGET,
    OUTPUT_OPTIONS,
    TARGET_OPTIONS,
    given_words,
    take_build_options,
    with_options,
)

if TYPE_CHECKING:
    from cdigen.watch.keeper import Settings


_OWN = {"interval", "status", "labels", "mig_strategy", "listen"}
"""The parameters that are not those of `cdigen generate`."""


@click.command("watch")
@click.option(
    "--interval",
    metavar="TIME",
    type=parse_duration,
    default="1min",
    show_default=True,
    help="How often to look at the host where nothing says that it has changed.",
)
@click.option(
    "--status",
    metavar="FILE",
    help="Keep in FILE, as JSON, how things stand: true, idle (no driver) or blocked, and why; for `cdigen"
    " device-plugin --status FILE`.",
)
@click.option(
    "--labels",
    metavar="FILE",
    help="Keep in FILE what `cdigen labels` says of the host, for Node Feature Discovery.",
)
@MIG_STRATEGY
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    help="Answer GET /livez and /readyz there.  [default: no port]",
)
@with_options(*OUTPUT_OPTIONS)
@with_options(*TARGET_OPTIONS, *BUILD_OPTIONS)
@click.pass_context
def command(
    context: click.Context,
    /,
    interval: float,
    status: str | None,
    labels: str | None,
    mig_strategy: str,
    listen: str | None,
    **values: Any,
) -> int:
    """Write the spec of this host, and again whenever something changes that it depends on, until told to end.

    It takes every option of `cdigen generate`, and runs that in a process of its own, first at once. Where there is no
    driver it waits for one; where a spec cannot be written, the old one stays, the reason is said once, and it is tried
    again when something has changed. Changes are noticed as they happen, and looked for every --interval.
    """
    from cdigen.session.target import Target

    target = Target(**{name: values[name] for name in OF_TARGET})
    take_build_options(dict(values))
    if target.snapshot is not None or values["output"] == "-":
        what = "--snapshot" if target.snapshot is not None else "--output -"
        raise UsageError(
            f"watch keeps the spec of a live host in a file, so {what} has no meaning", hint="leave it out"
        )
    if interval < 1:
        raise UsageError("--interval: less than a second", hint="use one such as 1min", code="invalid-value")
    from cdigen.watch.keeper import Settings

    settings = Settings(
        target=target,
        words=given_words(context, {parameter.name or "" for parameter in context.command.params} - _OWN),
        interval=interval,
        status=status,
        labels=None
        if labels is None
        else [f"--output={labels}", f"--mig-strategy={mig_strategy}", *given_words(context, OF_TARGET)],
    )
    import asyncio

    asyncio.run(_keep(settings, listen))
    return 0


async def _keep(settings: Settings, listen: str | None) -> None:
    from cdigen.watch.keeper import Keeper

    keeper = Keeper(settings)
    if listen is None:
        await keeper.run()
        return
    from cdigen.watch.probes import serve_probes

    async with await serve_probes(listen, keeper.why_not_ready):
        await keeper.run()
