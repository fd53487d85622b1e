"""Which host a command looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import UsageError
from cdigen.plan.options import check_root
from cdigen.read import read_input
from cdigen.records import Record, replace
from cdigen.session.session import Session, normal_root

if TYPE_CHECKING:
    from cdigen.discover.gpus import AskNvml
    from cdigen.facts import AskedPlatform
    from cdigen.plan.header_options import Choices


class Target(Record):
    """The five root options, or a snapshot in place of a live host.

    Attributes:
        host_root, procfs, sysfs: where this process sees the host's `/`, `/proc` and `/sys`; the last two None for
            below `host_root`.
        driver_root, dev_root: directories on the host; see `cdigen.host.views.open_views`.
        platform: which kind of machine it is; "auto" if files are to tell.
        snapshot: a file to read in place of a host; then none of the others is given.
        ask_nvml: when to ask NVML what procfs does not tell.
        nvml_timeout: seconds to wait for its answer; None for the host's default.
    """

    host_root: str | None = None
    driver_root: str | None = None
    dev_root: str | None = None
    procfs: str | None = None
    sysfs: str | None = None
    platform: AskedPlatform = "auto"
    snapshot: str | None = None
    ask_nvml: AskNvml = "auto"
    nvml_timeout: float | None = None

    def __post_init__(self) -> None:
        """Check that the options go together.

        Raises:
            UsageError: they do not.
        """
        roots = {
            "--host-root": self.host_root,
            "--driver-root": self.driver_root,
            "--dev-root": self.dev_root,
            "--procfs": self.procfs,
            "--sysfs": self.sysfs,
        }
        if self.snapshot is not None and (given := [option for option, value in roots.items() if value is not None]):
            raise UsageError(
                f"--snapshot has its own roots and cannot be used together with {', '.join(given)}",
                hint=f"leave {'it' if len(given) == 1 else 'them'} out",
                code="conflicting-options",
            )
        for option in ("--driver-root", "--dev-root"):
            value = roots[option]
            if value is not None:
                check_root(option, value)

    def with_choices(self, choices: Choices) -> Target:
        """Return the same with the roots and the platform of a spec where it names none; a snapshot has its roots."""
        seen = replace(self, platform=choices.platform if self.platform == "auto" else self.platform)
        if self.snapshot is not None:
            return seen
        return replace(
            seen,
            driver_root=self.driver_root or choices.driver_root,
            dev_root=self.dev_root or choices.dev_root,
        )


def open_session(target: Target, *, may_wake: bool = True) -> Session:
    """Return the host of `target`.

    Args:
        target: which host.
        may_wake: whether a GPU that has not been used yet may be initialised, so that its UUID is known.

    Raises:
        FileError: a root or the snapshot cannot be opened.
        DocumentError: the snapshot is not one.
    """
    if target.snapshot is not None:
        from cdigen.host.snapshot import load_snapshot

        snapshot = load_snapshot(read_input(target.snapshot), target.snapshot)
        return Session(
            snapshot.host,
            driver_root=snapshot.driver_root,
            dev_root=snapshot.dev_root,
            platform=snapshot.platform if target.platform == "auto" else target.platform,
        )
    from cdigen.host.live import LiveHost

    timeout = {} if target.nvml_timeout is None else {"nvml_timeout": target.nvml_timeout}
    return Session(
        LiveHost(
            target.host_root or "/",
            procfs=target.procfs,
            sysfs=target.sysfs,
            may_wake=may_wake,
            **timeout,
        ),
        driver_root=normal_root(target.driver_root) or "/",
        dev_root=normal_root(target.dev_root),
        platform=target.platform,
    )
