"""What wakes a process that keeps something true of a host."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from cdigen.host.changes import ChangesError, DirectoryChanges, KernelEvents


@pytest.fixture
def changes() -> DirectoryChanges:
    return DirectoryChanges()


def is_woken(fd: int, seconds: float = 0) -> bool:
    return bool(select.select([fd], [], [], seconds)[0])


def test_what_appears_goes_is_renamed_or_written_wakes(changes: DirectoryChanges, tmp_path: Path) -> None:
    assert changes.watch([str(tmp_path)]) == ()
    assert not is_woken(changes.fd)
    file, other = tmp_path / "a", tmp_path / "b"
    for act in (lambda: file.write_text("x"), lambda: file.rename(other), other.unlink, lambda: os.mkfifo(file)):
        act()
        assert is_woken(changes.fd, 5)
        changes.drain()
        assert not is_woken(changes.fd)


def test_what_is_read_or_below_does_not_wake(changes: DirectoryChanges, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_text("x")
    changes.watch([str(tmp_path)])

    (tmp_path / "a").read_text()
    (tmp_path / "sub" / "b").write_text("x")

    assert not is_woken(changes.fd)


def test_a_directory_that_is_not_there_is_passed_over_and_watched_once_it_is(
    changes: DirectoryChanges, tmp_path: Path
) -> None:
    place = tmp_path / "later"
    assert changes.watch([str(place)]) == ()

    place.mkdir()
    assert changes.watch([str(place)]) == ()
    (place / "a").write_text("x")
    assert is_woken(changes.fd, 5)


def test_no_link_of_a_host_leads_out_of_its_root(changes: DirectoryChanges, tmp_path: Path) -> None:
    host, outside = tmp_path / "host", tmp_path / "outside"
    for place in (host / "run" / "cdi", outside, host / "var"):
        place.mkdir(parents=True)
    (host / "var" / "run").symlink_to("/run")
    (host / "escape").symlink_to(outside)

    changes.watch(["/var/run/cdi", "/escape"], root=str(host))
    (outside / "a").write_text("x")
    assert not is_woken(changes.fd)
    (host / "run" / "cdi" / "a").write_text("x")
    assert is_woken(changes.fd, 5)


def test_a_file_is_no_directory_and_is_passed_over(changes: DirectoryChanges, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")

    assert changes.watch([str(tmp_path / "a")]) == ()


def test_why_nothing_wakes_is_told() -> None:
    kept: list[DirectoryChanges] = []

    def open_many() -> None:
        for _ in range(100_000):
            kept.append(DirectoryChanges())  # noqa: PERF401 - those that were opened are to be closed

    with pytest.raises(ChangesError, match=r"^Too many open files; raise fs\.inotify\.max_user_instances$"):
        open_many()
    for one in kept:
        one.close()


def test_the_kernel_says_when_a_device_comes_or_goes() -> None:
    """A kernel without the socket, as in a sandbox, says so: whoever is not woken looks by the clock."""
    try:
        events = KernelEvents()
    except ChangesError as error:
        known = ("Protocol not supported", "Operation not permitted", "Permission denied")
        assert str(error) in known  # noqa: PT017 - of a kernel that has it there is none
        return
    assert events.drain([b"x"]) is False
    trigger = Path("/sys/class/mem/null/uevent")
    if os.access(trigger, os.W_OK):
        trigger.write_text("change")
        assert is_woken(events.fd, 5)
        assert events.drain([b"SUBSYSTEM=pci"]) is False
        trigger.write_text("change")
        assert is_woken(events.fd, 5)
        assert events.drain([b"SUBSYSTEM=mem"]) is True
    events.close()
