"""A read that fails is not absence: whichever of a run's reads fails, the spec is the same or there is none.

Of the calls that reads are made of, `test_failed_calls.py` shows the same.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from cdigen.errors import UnreadableError
from cdigen.findings import Remedy
from cdigen.host import HostReadError
from cdigen.host.snapshot import load_snapshot
from cdigen.plan.options import BuildOptions
from cdigen.plan.plan import build_plan
from tests.discover.outcomes import Outcome, outcomes
from tests.golden.hosts import GOLDEN_HOSTS, GoldenHost
from tests.host.failing import FailingHost
from tests.hosts import (
    LIBDIR,
    VERSION,
    inventory_of,
    minimal_entries,
    unreadable,
    without,
)

if TYPE_CHECKING:
    from cdigen.host import Host

ERRORS = (errno.EIO, errno.EMFILE, errno.ENOMEM, errno.ESTALE, errno.EACCES)


def check(host: Host, at: int, number: int, expected: dict[str, Outcome]) -> str:
    """Fail one read; return it, "" if there are not so many."""
    failing = FailingHost(host, at=at, number=number)
    for mode, outcome in outcomes(lambda: failing).items():
        assert outcome in (expected[mode], "FileError"), f"{mode}: {failing.failed}: {errno.errorcode[number]}"
    return failing.failed


@pytest.mark.real
@pytest.mark.parametrize("golden", GOLDEN_HOSTS, ids=lambda golden: golden.name)
def test_whichever_read_of_a_golden_host_fails_the_spec_is_the_same_or_there_is_none(golden: GoldenHost) -> None:
    host = load_snapshot(golden.snapshot.read_bytes(), golden.name).host
    expected = outcomes(lambda: host)
    at = 0
    # Each with the next error; that it makes no difference which, test_failed_calls shows of every call.
    while check(host, at, ERRORS[at % len(ERRORS)], expected):
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
