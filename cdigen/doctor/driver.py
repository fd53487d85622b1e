"""The user-space driver, whether it is of the kernel module's build, and everything that a scan has to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.diagnosis import Diagnosis, diagnosis, pass_on
from cdigen.discover.pci import GPU_LOST
from cdigen.errors import CdigenError
from cdigen.plan.lacking import warn_of_lacking
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cdigen.facts import Inventory
    from cdigen.findings import Finding
    from cdigen.session.context import Context


def check_driver(context: Context) -> tuple[Diagnosis, ...]:
    """Return a line for the driver, and one for every warning of the scan."""
    root = context.views.driver.host_path("/")
    try:
        inventory = context.session.inventory(context.ask_nvml)
    except CdigenError as error:
        return (pass_on("driver", root, "problem", error), *_pass_on_warnings(error.findings))
    driver = inventory.driver
    subject = driver.libcuda or root
    notes = sum(finding.level == "note" for finding in inventory.findings)
    more = f", {count(notes, 'note')} (cdigen list)" if notes else ""
    what = f"{len(inventory.libraries)} libraries, {count(len(inventory.gpus), 'GPU')}"
    version = "the kernel module's too" if driver.kernel_version_source else "the kernel module's is not known"
    message = f"version {driver.version}, {version}; {what}{more}"
    if driver.version is None:
        message = f"{driver.described}; {len(inventory.libraries)} libraries{more}"
    return (
        diagnosis("driver", subject, "ok", "driver-found", message)
        if not inventory.failed_reads
        else diagnosis("driver", subject, "unknown", "driver-partly-read", f"as far as it can be read: {message}"),
        *_pass_on_warnings(inventory.findings),
        *_pass_on_lacking(inventory),
    )


def _pass_on_lacking(inventory: Inventory) -> Iterator[Diagnosis]:
    """Yield a line for every library of the driver without which no spec is written."""
    if inventory.failed_reads:  # it may be there
        return
    lacking = {(library.name, library.bits): library for library in reversed(inventory.lacking) if library.bits == 64}
    for finding in warn_of_lacking(reversed(lacking.values()), inventory.driver.name):
        yield pass_on("driver", finding.subject, "problem", finding)


def _pass_on_warnings(findings: Iterable[Finding]) -> Iterator[Diagnosis]:
    for finding in findings:
        if finding.level == "warning" and finding.code != GPU_LOST:  # which check_pci says
            yield pass_on("driver", finding.subject, "warning", finding)
