"""What is at the path after a write that went well, and after one that could not be done."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdigen.errors import FileError
from cdigen.write import write_file
from tests.write.conftest import lack

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534
OLD = b"old: content\n"
NEW = b"new: content that is longer\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "nvidia.yaml"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def narrow_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def refusal(path: Path | str, data: bytes = NEW) -> str:
    with pytest.raises(FileError) as caught:
        write_file(path, data)
    return str(caught.value)


def test_a_new_file_is_readable_by_all_and_alone(tmp_path: Path, narrow_umask: None) -> None:
    path = tmp_path / "nvidia.yaml"

    assert write_file(path, NEW) is True

    assert path.read_bytes() == NEW
    assert mode(path) == 0o644
    assert names(tmp_path) == ["nvidia.yaml"]


def test_missing_directories_are_made_for_all_to_enter(tmp_path: Path, narrow_umask: None) -> None:
    path = tmp_path / "etc" / "cdi" / "nvidia.yaml"

    assert write_file(str(path), NEW) is True

    assert path.read_bytes() == NEW
    assert [mode(path.parent), mode(path.parent.parent)] == [0o755, 0o755]


def test_a_directory_that_exists_keeps_its_mode(spec: Path) -> None:
    spec.parent.chmod(0o700)

    write_file(spec, NEW)

    assert mode(spec.parent) == 0o700


def test_a_name_alone_is_written_to_the_working_directory(tmp_path: Path) -> None:
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert write_file("a.yaml", NEW) is True
        assert write_file("sub/b.yaml", NEW) is True
    finally:
        os.chdir(before)

    assert names(tmp_path) == ["a.yaml", "sub"]


def test_another_content_replaces_the_file(spec: Path) -> None:
    spec.chmod(0o600)

    assert write_file(spec, NEW) is True

    assert spec.read_bytes() == NEW
    assert mode(spec) == 0o644
    assert names(spec.parent) == ["nvidia.yaml"]


def test_content_of_the_same_length_replaces_the_file(spec: Path) -> None:
    assert write_file(spec, OLD.swapcase()) is True
    assert spec.read_bytes() == OLD.swapcase()


def test_the_same_content_is_left_alone(spec: Path) -> None:
    spec.chmod(0o444)
    before = spec.stat()

    assert write_file(spec, OLD) is False

    after = spec.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino, before.st_mtime_ns, before.st_ctime_ns,
    )  # fmt: skip
    assert mode(spec) == 0o444


def test_the_same_content_that_not_all_can_read_gets_its_mode_alone(spec: Path) -> None:
    spec.chmod(0o640)
    before = spec.stat()

    assert write_file(spec, OLD) is True

    after = spec.stat()
    assert (after.st_ino, after.st_mtime_ns, mode(spec)) == (before.st_ino, before.st_mtime_ns, 0o644)


@pytest.mark.parametrize(
    ("standing", "changed", "left"), [(0o644, False, 0o644), (0o600, True, 0o644), (0o755, False, 0o755)]
)
def test_the_same_content_needs_to_be_read_and_not_run_by_whom_the_mode_says(
    standing: int, changed: bool, left: int, spec: Path
) -> None:
    spec.chmod(standing)

    assert write_file(spec, OLD, mode=0o755) is changed
    assert mode(spec) == left


def test_an_empty_file_can_be_written_and_kept(spec: Path) -> None:
    assert write_file(spec, b"") is True
    assert write_file(spec, b"") is False


def test_a_link_stays_and_its_target_is_written(spec: Path) -> None:
    (spec.parent / "links").mkdir()
    link = spec.parent / "links" / "first.yaml"
    link.symlink_to("second.yaml")
    (spec.parent / "links" / "second.yaml").symlink_to("../nvidia.yaml")

    assert write_file(link, NEW) is True
    assert write_file(link, NEW) is False

    assert spec.read_bytes() == NEW
    assert str(link.readlink()) == "second.yaml"
    assert names(spec.parent / "links") == ["first.yaml", "second.yaml"]
    assert names(spec.parent) == ["links", "nvidia.yaml"]


def test_a_dangling_link_is_refused_and_nothing_is_made_behind_it(tmp_path: Path) -> None:
    link = tmp_path / "nvidia.yaml"
    link.symlink_to("elsewhere/new.yaml")

    assert refusal(link) == (
        f"cannot write {link}: it is a symbolic link to elsewhere/new.yaml, which is missing; remove the link"
    )
    assert names(tmp_path) == ["nvidia.yaml"]


def test_a_directory_that_is_a_dangling_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cdi").symlink_to("elsewhere")

    assert refusal(tmp_path / "cdi" / "a.yaml") == (
        f"cannot write {tmp_path}/cdi/a.yaml: No such file or directory; choose another output file"
    )
    assert names(tmp_path) == ["cdi"]


def test_a_cycle_of_links_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "a.yaml"
    link.symlink_to("b.yaml")
    (tmp_path / "b.yaml").symlink_to("a.yaml")

    assert refusal(link) == (
        f"cannot write {link}: Too many levels of symbolic links; remove the loop of symbolic links"
    )


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"cannot write {tmp_path}: it is a directory; name a file in it"


@pytest.mark.parametrize("path", ["", "/", ".", "x/..", "x/"])
def test_a_path_without_a_file_name_is_refused(path: str) -> None:
    assert refusal(path) == f"cannot write {path}: it is the path of a directory; name a file in it"


def test_an_error_tells_programs_what_it_is_and_of_which_file(spec: Path) -> None:
    with pytest.raises(FileError) as unfit:
        write_file(spec.parent, NEW)
    with pytest.raises(FileError) as failed:
        write_file(spec / "below.yaml", NEW)

    assert (unfit.value.code, unfit.value.subject) == ("unfit-output", str(spec.parent))
    assert (failed.value.code, failed.value.subject) == ("cannot-write", str(spec / "below.yaml"))


def test_a_pipe_is_refused_without_waiting_for_its_other_end(tmp_path: Path) -> None:
    pipe = tmp_path / "nvidia.yaml"
    os.mkfifo(pipe)

    assert refusal(pipe) == f"cannot write {pipe}: it is not a regular file; choose another output file"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "nvidia.yaml"
    link.symlink_to("/dev/null")

    assert refusal(link) == f"cannot write {link}: it is not a regular file; choose another output file"
    assert refusal("/dev/null") == "cannot write /dev/null: it is not a regular file; choose another output file"


def test_a_file_in_place_of_a_directory_is_refused(spec: Path) -> None:
    assert refusal(spec / "a.yaml") == (
        f"cannot write {spec}/a.yaml: Not a directory; a part of the path is a file; choose another output file"
    )
    assert spec.read_bytes() == OLD


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 256)

    assert refusal(path) == f"cannot write {path}: File name too long; choose a shorter name"
    assert names(tmp_path) == []


def test_a_path_with_odd_characters_stays_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a\n\x1b[2J.yaml"
    path.mkdir()

    assert refusal(path) == f"cannot write {tmp_path}/a\\n\\x1b[2J.yaml: it is a directory; name a file in it"
    assert refusal("a\0b") == "cannot write a\\x00b: a NUL character in the path; choose another output file"


def test_litter_of_a_writer_that_was_killed_is_removed_and_nothing_else(spec: Path) -> None:
    (spec.parent / ".nvidia.yaml.0123456789abcdef.tmp").write_bytes(b"half a f")
    others = [".nvidia.yaml.backup.tmp", ".other.yaml.0123456789abcdef.tmp", "nvidia.yaml.0123456789abcdef.tmp"]
    for name in others:
        (spec.parent / name).touch()

    assert write_file(spec, OLD) is False

    assert names(spec.parent) == sorted([*others, "nvidia.yaml"])


def test_a_user_who_may_not_write_is_told_so() -> None:
    # Not tmp_path: another user could not come as far as into it.
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        spec = directory / "nvidia.yaml"
        spec.write_bytes(OLD)
        spec.chmod(0o644)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        else:
            directory.chmod(0o555)
        try:
            write_message, make_message = refusal(spec), refusal(directory / "cdi" / "a.yaml")
            unchanged = write_file(spec, OLD)
        finally:
            os.seteuid(user)
            directory.chmod(0o755)

        assert write_message == (f"cannot write {spec}: Permission denied; run as root, or choose another output file")
        assert make_message == (
            f"cannot write {directory}/cdi/a.yaml: Permission denied; run as root, or choose another output file"
        )
        assert unchanged is False
        assert spec.read_bytes() == OLD
        assert names(directory) == ["nvidia.yaml"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_mode_that_is_asked_for_is_the_files_from_its_first_moment(spec: Path, mode: int) -> None:
    new = spec.parent / "config.json"

    assert write_file(new, NEW, mode=mode) is True
    assert stat.S_IMODE(new.stat().st_mode) == mode
    assert write_file(new, NEW, mode=mode) is False

    new.chmod(0o200)
    assert write_file(new, NEW, mode=mode) is True
    assert stat.S_IMODE(new.stat().st_mode) == 0o200 | mode & 0o444


def test_what_is_no_permission_is_not_handed_on(spec: Path) -> None:
    new = spec.parent / "config.json"

    assert write_file(new, NEW, mode=0o7755) is True
    assert mode(new) == 0o755

    for before in (0o4755, 0o2755, 0o1755):
        new.chmod(before)
        assert write_file(new, NEW, mode=0o7755) is True
        assert mode(new) == 0o755


def test_the_same_content_under_another_name_too_keeps_its_mode_there(spec: Path) -> None:
    secret = spec.parent / "secret"
    spec.rename(secret)
    secret.chmod(0o600)
    os.link(secret, spec)

    assert write_file(spec, OLD) is True

    assert (mode(secret), mode(spec), spec.stat().st_ino == secret.stat().st_ino) == (0o600, 0o644, False)


@pytest.mark.parametrize("standing", [0o600, 0o644])
def test_root_leaves_no_file_of_another_user_that_he_could_change_later(spec: Path, standing: int) -> None:
    if os.geteuid() != 0:
        lack("to be root")
    os.chown(spec, NOBODY, NOBODY)
    spec.chmod(standing)

    assert write_file(spec, OLD) is True

    assert (spec.stat().st_uid, mode(spec), spec.read_bytes()) == (0, 0o644, OLD)
