"""cdigen labels: what Kubernetes' node is labelled with, by Node Feature Discovery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from cdigen.errors import NoDriverError
from cdigen.kubernetes.labels import build_labels, render_labels
from cdigen.options.shared import JSON, MIG_STRATEGY, TARGET_OPTIONS, take_target, with_options
from cdigen.report import emit_bytes, emit_json, findings_to_json, say, say_findings
from cdigen.session.target import open_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdigen.kubernetes.resources import MigStrategy


@click.command("labels")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write them to FILE, such as /etc/kubernetes/node-feature-discovery/features.d/cdigen, which is emptied where"
    " there is no driver.  [default: standard output]",
)
@MIG_STRATEGY
@JSON
@with_options(*TARGET_OPTIONS)
def command(output: str | None, mig_strategy: str, as_json: bool, **values: Any) -> int:
    """Say what this node should be labelled with in Kubernetes.

    A line each, as Node Feature Discovery reads them: driver, GPUs, MIG profiles. The names are those of the vendor's
    GPU feature discovery. Memory and compute capability are known where NVML is asked.
    """
    target = take_target(values)
    session = open_session(target)
    try:
        inventory = session.inventory(target.ask_nvml)
    except NoDriverError:
        if output not in (None, "-"):
            _write(output or "", {})
        raise
    labels = build_labels(inventory, cast("MigStrategy", mig_strategy))
    is_file = output not in (None, "-")
    changed = is_file and _write(output or "", labels)
    if as_json:
        emit_json("labels", {"labels": dict(labels), "findings": findings_to_json(inventory.findings)})
        return 0
    if is_file:
        say("", f"{'wrote' if changed else 'unchanged:'} {output}: {len(labels)} labels")
    else:
        emit_bytes(render_labels(labels).encode())
    say_findings(finding for finding in inventory.findings if finding.level == "warning")
    return 0


def _write(path: str, labels: Mapping[str, str]) -> bool:
    from cdigen.write import write_file

    return write_file(path, render_labels(labels).encode())
