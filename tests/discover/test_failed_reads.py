"""A read that fails is not absence: whichever of a run's reads fails, the spec is the same or there is none."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import pytest

from cdigen.commands.planning import Planner
from cdigen.commands.rendering import render_plan
from cdigen.commands.target import OpenTarget, Target
from cdigen.errors import CdigenError, FileError, UnreadableError
from cdigen.findings import Remedy
from cdigen.host import HostReadError
from cdigen.host.snapshot import load_snapshot
from cdigen.plan.options import BuildOptions
from cdigen.plan.plan import build_plan
from tests.classes import all_class_entries
from tests.golden.hosts import GOLDEN_HOSTS, GoldenHost
from tests.host.failing import FailingHost
from tests.hosts import (
    LIBDIR,
    VERSION,
    Entries,
    host_of,
    inventory_of,
    library,
    link,
    linker_cache,
    mig_entries,
    minimal_entries,
    program,
    text,
    unreadable,
    without,
)

if TYPE_CHECKING:
    from cdigen.host import Host
    from cdigen.plan.options import Mode

ERRORS = (errno.EIO, errno.EMFILE, errno.ENOMEM, errno.ESTALE, errno.EACCES, errno.ETIMEDOUT, errno.ENFILE, errno.EPERM)
MODES: tuple[Mode, ...] = ("auto", "management", "imex", "nvswitch", "gds", "gdrcopy", "mofed")
OPTIONS = BuildOptions(ipc=True, compat32=True)

Outcome = bytes | str
"""A spec, or the name of the error that is in its place."""


def a_host_with_everything() -> Entries:
    """Return a host on which every finder finds something, behind links where hosts have them."""
    icd = json.dumps({"file_format_version": "1.0.0", "ICD": {"library_path": "/opt/links/libGLX_nvidia.so.0"}})
    return {
        **all_class_entries(),
        **mig_entries(0, (1, 0), (2, 0)),
        "/etc/ld.so.cache": linker_cache(f"{LIBDIR}/libcuda.so.1"),
        f"{LIBDIR}/nvidia/current/libnvidia-encode.so.{VERSION}": library("libnvidia-encode.so.1"),
        f"{LIBDIR}/libnvidia-encode.so.1": link("/etc/alternatives/encode"),
        "/etc/alternatives/encode": link(f"{LIBDIR}/nvidia/current/libnvidia-encode.so.{VERSION}"),
        f"{LIBDIR}/libGLX_nvidia.so.{VERSION}": library("libGLX_nvidia.so.0"),
        "/opt/links/libGLX_nvidia.so.0": link(f"{LIBDIR}/libGLX_nvidia.so.{VERSION}"),
        f"/usr/lib/i386-linux-gnu/libnvcuvid.so.{VERSION}": library("libnvcuvid.so.1", "i386"),
        "/usr/bin/nvidia-debugdump": link("/opt/nvidia/nvidia-debugdump"),
        "/opt/nvidia/nvidia-debugdump": program(),
        "/etc/vulkan/icd.d/nvidia_icd.json": text(icd),
        f"{LIBDIR}/xorg/modules/drivers/nvidia_drv.so": library(None),
        "/run/nvidia-persistenced/socket": {"kind": "socket"},
        "/proc/driver/nvidia-caps/mig-minors": text("gpu0/gi1/access 12\n"),
    }


def outcomes(host: Host) -> dict[Mode, Outcome]:
    """Return what becomes of the spec of every mode."""
    found: dict[Mode, Outcome] = {}
    try:
        planner = Planner(Target(ask_nvml="auto"), opened=OpenTarget(host=host, driver_root="/", dev_root=None))
    except CdigenError as error:
        return dict.fromkeys(MODES, name_of(error))
    for mode in MODES:
        try:
            found[mode] = render_plan(planner.plan(OPTIONS.for_mode(mode)), "json")
        except CdigenError as error:
            found[mode] = name_of(error)
    return found


def name_of(error: CdigenError) -> str:
    return "FileError" if isinstance(error, FileError) else type(error).__name__


def check(host: Host, at: int, number: int, expected: dict[Mode, Outcome]) -> str:
    """Fail one read; return it, "" if there are not so many."""
    failing = FailingHost(host, at=at, number=number)
    for mode, outcome in outcomes(failing).items():
        assert outcome in (expected[mode], "FileError"), f"{mode}: {failing.failed}: {errno.errorcode[number]}"
    return failing.failed


def test_whichever_read_fails_the_spec_is_the_same_or_there_is_none() -> None:
    host = host_of(a_host_with_everything())
    expected = outcomes(host)
    assert [mode for mode, outcome in expected.items() if isinstance(outcome, str)] == []
    at = 0
    while check(host, at, ERRORS[at % len(ERRORS)], expected):
        at += 1
    assert at > 250


@pytest.mark.real
@pytest.mark.parametrize("golden", GOLDEN_HOSTS, ids=lambda golden: golden.name)
@pytest.mark.parametrize("number", ERRORS[:5], ids=errno.errorcode.__getitem__)
def test_the_same_on_every_golden_host(golden: GoldenHost, number: int) -> None:
    host = load_snapshot(golden.snapshot.read_bytes(), golden.name).host
    expected = outcomes(host)
    at = 0
    while check(host, at, number, expected):
        at += 1


def test_the_first_path_is_named_and_how_many_others_there_are() -> None:
    ml, cfg = f"{LIBDIR}/libnvidia-ml.so.{VERSION}", f"{LIBDIR}/libnvidia-cfg.so.{VERSION}"
    entries = {**minimal_entries(), cfg: unreadable()}
    with pytest.raises(UnreadableError) as caught:
        build_plan(inventory_of(entries), BuildOptions())
    remedy = Remedy("see what it is with", (f"ls -ld {cfg}",))
    assert (caught.value.message, caught.value.remedy) == (f"cannot read {cfg}: Input/output error", remedy)
    assert (caught.value.exit_code, caught.value.code, caught.value.subject) == (7, "unreadable", cfg)
    assert [finding.subject for finding in caught.value.findings] == [cfg]

    inventory = inventory_of({**entries, ml: unreadable("EACCES")})
    with pytest.raises(UnreadableError) as caught:
        build_plan(inventory, BuildOptions())
    assert caught.value.message == f"cannot read {cfg}, nor 1 other path: Input/output error"


def test_whoever_allows_it_gets_a_spec_with_what_can_be_read() -> None:
    cfg = f"{LIBDIR}/libnvidia-cfg.so.{VERSION}"
    inventory = inventory_of({**minimal_entries(), cfg: unreadable()})
    plan = build_plan(inventory, BuildOptions(allow_incomplete=True))
    assert plan.mounts == build_plan(inventory_of(minimal_entries()), BuildOptions()).mounts
    assert [finding.text for finding in inventory.findings] == [
        f"{cfg}: Input/output error; it is not injected; reinstall the package that it belongs to"
    ]


def test_a_directory_that_cannot_be_read_may_have_the_driver() -> None:
    for entries in (minimal_entries(), without(minimal_entries(), "/proc/driver/nvidia/version")):
        with pytest.raises(UnreadableError) as caught:
            inventory_of({**without(entries, LIBDIR), LIBDIR: unreadable(kind="dir")})
        assert caught.value.message == f"cannot read {LIBDIR}/nvidia: Input/output error"


def test_what_is_known_not_to_be_a_file_is_no_failed_read() -> None:
    assert not HostReadError("/a", "not a regular file").is_failure
    assert not HostReadError.of("/a", OSError(errno.ENAMETOOLONG, "File name too long")).is_failure
    assert HostReadError.of("/a", OSError(errno.EIO, "Input/output error")).is_failure
