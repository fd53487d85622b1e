"""From options to the plan of any mode, for every command that builds a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.modes import MODES
from cdigen.discover.scan import find_inventory
from cdigen.errors import EXHAUSTED, UnreadableError
from cdigen.plan.header_options import Choices
from cdigen.plan.plan import build_plan
from cdigen.records import Record, replace
from cdigen.session.target import open_session
from cdigen.wording import count

if TYPE_CHECKING:
    from cdigen.errors import FailedRead
    from cdigen.facts import ClassDevices, Inventory
    from cdigen.findings import Finding
    from cdigen.plan.options import BuildOptions
    from cdigen.plan.plan import Plan
    from cdigen.session.session import Session
    from cdigen.session.target import Target


class Planned(Record):
    """A plan and what it was made of.

    Attributes:
        plan: the plan.
        inventory: the driver's files and the GPUs; None if the mode needs no driver.
        findings: about the host, in the order of discovery.
        choices: what the user chose.
    """

    plan: Plan
    inventory: Inventory | None
    findings: tuple[Finding, ...]
    choices: Choices

    @property
    def with_groups(self) -> bool:
        """Whether its spec gives containers the groups of nodes that are not open to all."""
        return self.choices.options.additional_gids == "always"

    @property
    def device_names(self) -> tuple[str, ...]:
        """The qualified names of the devices."""
        return tuple(f"{self.plan.kind}={device.name}" for device in self.plan.devices)

    @property
    def summary(self) -> str:
        """What is in it, in words."""
        return ", ".join(self.contents)

    @property
    def contents(self) -> tuple[str, ...]:
        """What is in it, a part of `summary` each; the first is what it is of."""
        parts = []
        if self.inventory is not None:
            parts.append(f"driver {self.inventory.driver.name}")
        if self.inventory is not None and self.plan.devices[0].gpus:
            parts += [count(len(self.inventory.gpus), "GPU"), count(len(self.plan.devices), "device")]
        else:
            nodes = {node.path for device in self.plan.devices for node in device.nodes}
            parts += [count(len(self.plan.devices), "device"), count(len(nodes), "node")]
        if self.plan.mounts:
            parts.append(count(len(self.plan.mounts), "mount"))
        return tuple(parts)


class Planner:
    """Makes the plans of one host, which is scanned once, however many are made of it."""

    def __init__(self, target: Target, *, session: Session | None = None, allows_failed_reads: bool = False) -> None:
        """Open the host, if it is not given.

        Args:
            target: the host, and how it is looked at.
            session: the same host, if it is open.
            allows_failed_reads: whether a plan is made though something could not be read. What is lacking then is not
                said: it may be there.

        Raises:
            CdigenError: as of `open_session` and `Session.views`.
        """
        self._allows_failed_reads = allows_failed_reads
        self._session = open_session(target) if session is None else session
        self._views = self._session.views
        self._driver_root = self._session.driver_root
        self._dev_root = self._session.dev_root
        if self._dev_root is not None:
            default = self._session.at(self._driver_root, None).views.dev_root
            self._dev_root = None if self._dev_root == default else self._dev_root
        self._ask_nvml = target.ask_nvml
        self._inventory: Inventory | None = None
        self._failed_reads: dict[FailedRead, None] = {}
        self._classes: dict[str, ClassDevices] = {}

    @property
    def knows_coherence(self) -> bool:
        """Whether a plan of the GPUs was made before and NVML told of one whether it is coherent."""
        return self._inventory is not None and any(gpu.coherent is not None for gpu in self._inventory.gpus)

    @property
    def has_scanned(self) -> bool:
        """Whether the driver's files and the GPUs were looked at to the end before, whatever plan came of them."""
        return self._inventory is not None

    @property
    def failed_reads(self) -> tuple[FailedRead, ...]:
        """What could not be read so far, where that is allowed."""
        return tuple(self._failed_reads)

    def _judged(self, inventory: Inventory) -> Inventory:
        if not (self._allows_failed_reads and inventory.failed_reads):
            return inventory
        self._allow(inventory.failed_reads, inventory.findings)
        return replace(inventory, failed_reads=(), lacking=())

    def _allow(self, reads: tuple[FailedRead, ...], findings: tuple[Finding, ...]) -> None:
        """Keep what could not be read.

        Raises:
            UnreadableError: as this machine's limits do not let anything be read: that says nothing of the host.
        """
        if any(read.number in EXHAUSTED for read in reads):
            raise UnreadableError(reads, findings)
        self._failed_reads.update(dict.fromkeys(reads))

    def findings_of(self, mode: str) -> tuple[Finding, ...]:
        """Return what was found of a mode alone that was planned before, whether there was a device or not."""
        return self._classes[mode].findings if mode in self._classes else ()

    def plan(self, options: BuildOptions) -> Planned:
        """Return the plan of the mode in `options`; errors as of the finders and of `build_plan`."""
        plan, inventory, findings = self._plan(options)
        choices = Choices(
            options=options,
            driver_root=self._driver_root,
            dev_root=self._dev_root,
            platform=self._session.platform,
        )
        return Planned(plan=plan, inventory=inventory, findings=findings, choices=choices)

    def _plan(self, options: BuildOptions) -> tuple[Plan, Inventory | None, tuple[Finding, ...]]:
        """Return the plan, and what it was made of.

        NVML alone tells which GPUs are coherent, so it is asked for the modes of that name, unless it never is or there
        was a plan of the GPUs before.
        """
        mode = MODES[options.mode]
        if mode.is_of_gpus:
            if self._inventory is None:
                ask_nvml = self._ask_nvml if options.coherent is None or self._ask_nvml == "never" else "always"
                self._inventory = self._judged(self._session.inventory(ask_nvml))
            inventory = self._inventory
            plan = build_plan(inventory, options)
            return plan, inventory, (*inventory.findings, *plan.findings)
        from cdigen.discover.classes import find_class
        from cdigen.plan.class_plan import build_class_plan, build_management_plan

        files = None
        if mode.with_driver:
            files = self._inventory or self._judged(find_inventory(self._views, with_gpus=False))
        devices = find_class(self._views, options.mode)
        if self._allows_failed_reads:
            self._allow(devices.failed_reads, devices.findings)
            devices = replace(devices, failed_reads=())
        self._classes[options.mode] = devices
        if files is not None:
            plan = build_management_plan(files, devices, options)
            findings = tuple(dict.fromkeys((*files.findings, *devices.findings, *plan.findings)))
            return plan, files, findings
        return build_class_plan(devices, options), None, devices.findings


def plan_target(target: Target, options: BuildOptions) -> Planned:
    """Return the plan of the mode in `options` for the host of `target`; errors as of `Planner`."""
    return Planner(target).plan(options)
