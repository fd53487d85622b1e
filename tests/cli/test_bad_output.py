"""Places where no spec can be written."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import bound_to_permissions, run_program
from tests.cli.standing_spec import StandingSpec, assert_refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeSnapshot

    Mount = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A path that cannot be written.

    Attributes:
        name: what is wrong.
        path: relative to the directory of the standing spec.
        reason: the error after "cannot write PATH: ".
        make: prepares the directory.
    """

    name: str
    path: str
    reason: str
    make: Callable[[Path], None] = lambda directory: None


def make_directory(directory: Path) -> None:
    (directory / "sub").mkdir()


def make_links(directory: Path) -> None:
    (directory / "dangling.yaml").symlink_to("/no/such/file")
    (directory / "loop.yaml").symlink_to("loop.yaml")
    (directory / "to-directory.yaml").symlink_to(".")


def make_pipe(directory: Path) -> None:
    os.mkfifo(directory / "pipe.yaml")


OUTPUTS = (
    Output(name="a directory", path="sub", make=make_directory, reason="it is a directory; name a file in it"),
    Output(
        name="a directory with a slash",
        path="sub/",
        make=make_directory,
        reason="it is the path of a directory; name a file in it",
    ),
    Output(
        name="a dangling link",
        path="dangling.yaml",
        make=make_links,
        reason="it is a symbolic link to /no/such/file, which is missing; remove the link",
    ),
    Output(
        name="a link cycle",
        path="loop.yaml",
        make=make_links,
        reason="Too many levels of symbolic links; remove the loop of symbolic links",
    ),
    Output(
        name="a link to a directory",
        path="to-directory.yaml",
        make=make_links,
        reason="it is a directory; name a file in it",
    ),
    Output(
        name="a pipe that nobody reads",
        path="pipe.yaml",
        make=make_pipe,
        reason="it is not a regular file; choose another output file",
    ),
    Output(
        name="below a file",
        path="nvidia.yaml/x.yaml",
        reason="Not a directory; a part of the path is a file; choose another output file",
    ),
    Output(
        name="too long a name",
        path="n" * 300 + ".yaml",
        reason="File name too long; choose a shorter name",
    ),
)


@pytest.mark.parametrize("case", OUTPUTS, ids=lambda case: case.name)
def test_a_path_that_cannot_be_written_is_refused(case: Output, tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    directory = tmp_path / "cdi"
    directory.mkdir()
    case.make(directory)
    standing = StandingSpec(directory)
    output = f"{directory}/{case.path}"

    run = run_program("generate", "--snapshot", make_snapshot(), "--output", output)

    assert_refused(run, 7, f"cannot write {output}: {case.reason}")
    standing.assert_untouched()


def test_a_device_is_no_place_for_a_spec(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    run = cdigen("generate", "--snapshot", make_snapshot(), "--output", "/dev/null")

    assert_refused(run, 7, "cannot write /dev/null: it is not a regular file; choose another output file")


def test_a_file_system_that_is_read_only_is_refused(
    tmp_path: Path, make_snapshot: MakeSnapshot, mount: Mount, cdigen: Cdigen
) -> None:
    standing = StandingSpec(tmp_path / "cdi")
    mount(standing.path.parent, "--bind", str(standing.path.parent))
    subprocess.run(["mount", "-o", "remount,bind,ro", str(standing.path.parent)], check=True)

    run = cdigen("generate", "--snapshot", make_snapshot(), "-o", standing.path)

    assert_refused(
        run,
        7,
        (
            f"cannot write {standing.path}: Read-only file system; choose an output file on a file system that can be"
            " written"
        ),
    )
    standing.assert_untouched()


def test_a_file_system_that_is_full_is_refused(
    tmp_path: Path, make_snapshot: MakeSnapshot, mount: Mount, cdigen: Cdigen
) -> None:
    (tmp_path / "cdi").mkdir()
    mount(tmp_path / "cdi", "-t", "tmpfs", "-o", "size=4k", "tmpfs")
    standing = StandingSpec(tmp_path / "cdi")

    run = cdigen("generate", "--snapshot", make_snapshot(), "-o", standing.path)

    assert_refused(run, 7, f"cannot write {standing.path}: No space left on device; free some space there")
    standing.assert_untouched()


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_directory_that_may_not_be_written_is_refused(mode: int, tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    standing = StandingSpec(tmp_path / "cdi")
    snapshot = make_snapshot()
    standing.path.parent.chmod(mode)

    run = run_program("generate", "--snapshot", snapshot, "-o", standing.path, before=bound_to_permissions())

    standing.path.parent.chmod(0o755)
    assert_refused(
        run, 7, f"cannot write {standing.path}: Permission denied; run as root, or choose another output file"
    )
    standing.assert_untouched()


def test_missing_directories_are_made_for_everyone_to_read(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    output = tmp_path / "etc" / "cdi" / "nvidia.yaml"

    umask = ("sh", "-c", 'umask 077; exec "$@"', "-")
    run = run_program("generate", "--snapshot", make_snapshot(), "-o", output, "--create-dirs", before=umask)

    assert run.code == 0
    assert [stat.S_IMODE(path.stat().st_mode) for path in (output, output.parent, output.parent.parent)] == [
        0o644,
        0o755,
        0o755,
    ]


def test_a_link_to_a_file_is_followed_and_stays(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    standing = StandingSpec(tmp_path / "cdi")
    link = tmp_path / "link.yaml"
    link.symlink_to(standing.path)

    run = cdigen("generate", "--snapshot", make_snapshot(), "-o", link)

    assert run.code == 0
    assert link.is_symlink()
    assert standing.path.read_text().startswith("# Written by cdigen")
    assert os.listdir(standing.path.parent) == ["nvidia.yaml"]


def test_a_snapshot_is_written_with_the_same_care(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    run = cdigen("snapshot", "--snapshot", make_snapshot(), "-o", tmp_path)

    assert_refused(run, 7, f"cannot write {tmp_path}: it is a directory; name a file in it")


def test_an_odd_name_of_a_file_forges_no_line(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    output = tmp_path / "a\ncdigen: error: forged\x1b[2J"

    run = cdigen("generate", "--snapshot", make_snapshot(), "-o", output)

    name = f"{tmp_path}/a\\ncdigen: error: forged\\x1b[2J"
    assert (run.code, run.out) == (0, "")
    assert [line.partition(name)[0] for line in run.err.splitlines()] == [
        "cdigen: wrote ",
        "cdigen: warning: no engine reads ",
    ]
