"""All checks in the order of the chain, from the GPU to the container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.diagnosis import unread
from cdigen.doctor.driver import check_driver
from cdigen.doctor.kernel import check_kernel
from cdigen.doctor.kubelet import OUR_PLUGIN, check_kubelet
from cdigen.doctor.nodes import check_nodes
from cdigen.doctor.pci import check_pci
from cdigen.doctor.platform import check_platform, is_on_pci
from cdigen.doctor.selinux import check_selinux
from cdigen.doctor.specs import NO_DEVICE_FOUND, check_specs
from cdigen.doctor.units import check_units, units_command
from cdigen.engines.engines import check_engines, find_programs, version_commands
from cdigen.findings import Remedy
from cdigen.host import UNREADABLE
from cdigen.records import replace
from cdigen.specs.compare_host import check_truth

if TYPE_CHECKING:
    from cdigen.diagnosis import Diagnosis
    from cdigen.session.context import Context
    from cdigen.specs.compare_host import Rebuild

_DRIVER_FIRST = Remedy("correct first what is wrong with the driver")


def diagnose(context: Context, rebuild: Rebuild) -> tuple[Diagnosis, ...]:
    """Return what every check says of the host. Programs of the host are run side by side, once.

    Args:
        context: the host.
        rebuild: builds specs of that host anew.
    """
    programs = find_programs(context.views.system)
    units, unseen = None, None
    try:
        units = units_command(context)
    except UNREADABLE as error:
        unseen = unread("systemd", error)
    commands = [*version_commands(programs), *([units] if units else [])]
    answers = context.runner(commands) if context.runner else ()
    engine_lines, engines = check_engines(context, programs, answers[: len(programs)])
    driver_lines = check_driver(context)
    spec_lines, specs = check_specs(context, engines)
    if any(line.level == "problem" for line in driver_lines):  # of which a spec would have to be made
        spec_lines = tuple(
            replace(line, remedy=_DRIVER_FIRST) if line.code == NO_DEVICE_FOUND and line.remedy else line
            for line in spec_lines
        )
    said = {(line.code, line.message, line.remedy) for line in driver_lines}
    kubelet_lines = check_kubelet(context)
    if is_on_pci(context):
        hardware = (*check_pci(context), *check_kernel(context), *check_nodes(context))
    else:
        hardware = check_platform(context)
    return (
        *hardware,
        *driver_lines,
        *spec_lines,
        *(
            line
            for spec in specs
            for line in check_truth(context, spec, rebuild)
            if (line.code, line.message, line.remedy) not in said
        ),
        *engine_lines,
        *check_selinux(context),
        *(
            [unseen]
            if unseen
            else check_units(
                context,
                answers[len(programs)] if answers and units else None,
                has_ours=any(spec.author == "cdigen" for spec in specs),
                has_pod=any(line.code in OUR_PLUGIN for line in kubelet_lines),
            )
        ),
        *kubelet_lines,
    )
