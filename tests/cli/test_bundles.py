"""cdigen inject, run by root on a bundle of a user whom root does not trust."""

from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from cdigen.errors import FileError
from cdigen.oci.bundle import open_config
from tests.cli.conftest import lack
from tests.swap import exchanging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Cdigen
    from tests.cli.program import Run

USER, GROUP, OTHER_USER = 65534, 65533, 65532
CONFIG = '{"ociVersion": "1.0.2"}'
INJECTED = {"ociVersion": "1.0.2", "process": {"env": ["A=1"]}}
SPEC = {
    "cdiVersion": "0.5.0",
    "kind": "example.com/gpu",
    "devices": [{"name": "0", "containerEdits": {"env": ["A=1"]}}],
}
ROUNDS, MOST_ROUNDS = 150, 10_000

pytestmark = pytest.mark.usefixtures("root")


class Bundle(NamedTuple):
    """A user's bundle, and how devices are injected into what it has.

    Attributes:
        config: its configuration.
        cdigen: runs the program.
        options: the device, and where it is.
    """

    config: Path
    cdigen: Cdigen
    options: tuple[str, ...]

    def inject(self, *arguments: Path | str) -> Run:
        return self.cdigen("inject", *self.options, *arguments)


@pytest.fixture
def bundle(tmp_path: Path, cdigen: Cdigen) -> Bundle:
    directory, specs = tmp_path / "bundle", tmp_path / "specs"
    specs.mkdir()
    (specs / "a.json").write_text(json.dumps(SPEC))
    directory.mkdir()
    os.chown(directory, USER, GROUP)
    (directory / "config.json").write_text(CONFIG)
    os.chown(directory / "config.json", USER, GROUP)
    return Bundle(directory / "config.json", cdigen, ("--device", "example.com/gpu=0", "--spec-dir", str(specs)))


def rights(path: Path) -> tuple[int, int, str]:
    found = path.lstat()
    return found.st_uid, found.st_gid, oct(stat.S_IMODE(found.st_mode))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (0o6777, "0o755"),
        (0o1666, "0o644"),
        (0o4755, "0o755"),
        (0o664, "0o644"),
        (0o640, "0o640"),
        (0o600, "0o600"),
        (0o444, "0o444"),
    ],
)
def test_his_configuration_stays_his_and_gets_no_right_that_it_should_not_have(
    before: int, after: str, bundle: Bundle
) -> None:
    bundle.config.chmod(before)

    run = bundle.inject(bundle.config.parent)

    assert (run.code, json.loads(bundle.config.read_text())) == (0, INJECTED)
    assert rights(bundle.config) == (USER, GROUP, after)
    assert bundle.inject(bundle.config).err.startswith("cdigen: unchanged: ")
    assert os.listdir(bundle.config.parent) == ["config.json"]


@pytest.mark.parametrize(("before", "after"), [(0o6777, "0o705"), (0o660, "0o600"), (0o644, "0o604"), (0o600, "0o600")])
def test_a_new_file_made_of_it_is_roots_and_nobody_may_do_more_with_it(
    before: int, after: str, bundle: Bundle, tmp_path: Path
) -> None:
    bundle.config.chmod(before)

    run = bundle.inject("-o", tmp_path / "new.json", bundle.config)

    assert (run.code, json.loads((tmp_path / "new.json").read_text())) == (0, INJECTED)
    assert rights(tmp_path / "new.json") == (0, 0, after)


def test_a_file_that_is_written_over_stays_whose_it_is(bundle: Bundle, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    other.chmod(0o6660)
    os.chown(other, OTHER_USER, GROUP)

    assert bundle.inject("-o", other, bundle.config).code == 0

    assert rights(other) == (OTHER_USER, GROUP, "0o640")


def test_a_file_that_a_stranger_has_put_where_all_may_write_is_not_written_over(bundle: Bundle, tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.mkdir()
    public.chmod(0o1777)
    other = public / "other.json"
    what = f"it is a file of user {OTHER_USER} in a directory that all may write to"
    reason = f"{what}; remove it, or choose another output file"
    other.write_text("{}")
    os.chown(other, OTHER_USER, GROUP)

    run = bundle.inject("-o", other, bundle.config)

    assert (run.code, run.err) == (7, f"cdigen: error: cannot write {other}: {reason}\n")
    assert (other.read_text(), os.listdir(public)) == ("{}", ["other.json"])


def test_a_file_that_has_a_second_name_is_not_changed_under_that(bundle: Bundle, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(CONFIG)
    secret.chmod(0o600)
    bundle.config.unlink()
    os.link(secret, bundle.config)

    assert bundle.inject(bundle.config).code == 0

    assert (secret.read_text(), rights(secret)) == (CONFIG, (0, 0, "0o600"))
    assert rights(bundle.config) == (0, 0, "0o600")  # and so he reads it by neither name


def test_the_rights_of_an_access_list_do_not_become_the_groups(bundle: Bundle) -> None:
    # linux/posix_acl_xattr.h: user::rw-, user:65532:rw-, group::---, mask::rw-, other::---
    entries = [(1, 6, -1), (2, 6, OTHER_USER), (4, 0, -1), (16, 6, -1), (32, 0, -1)]
    packed = b"".join(struct.pack("<HHI", tag, may, who & 0xFFFFFFFF) for tag, may, who in entries)
    try:
        os.setxattr(bundle.config, "system.posix_acl_access", struct.pack("<I", 2) + packed)
    except OSError as error:
        lack(f"the file system has no access lists: {error.strerror}")
    assert rights(bundle.config) == (USER, GROUP, "0o660")

    assert bundle.inject(bundle.config).code == 0

    assert rights(bundle.config) == (USER, GROUP, "0o600")
    assert os.listxattr(bundle.config) == []


AS_A_USER = """
import os, sys
from contextlib import ExitStack
from cdigen.oci.bundle import open_config, write_elsewhere
config, elsewhere = sys.argv[1:]
os.setgroups([65533])
os.setresgid(65532, 65532, 65532)
os.setresuid(65532, 65532, 65532)
with ExitStack() as stack:
    opened = open_config(config, stack)
    print(opened.write(b"new"), write_elsewhere(elsewhere, b"new", opened))
"""


@pytest.mark.parametrize(
    ("owner", "group", "mode", "here", "elsewhere"),
    [
        (OTHER_USER, GROUP, 0o660, (OTHER_USER, GROUP, "0o660"), (OTHER_USER, OTHER_USER, "0o600")),
        (OTHER_USER, USER, 0o664, (OTHER_USER, OTHER_USER, "0o604"), (OTHER_USER, OTHER_USER, "0o604")),
        (USER, GROUP, 0o666, (OTHER_USER, GROUP, "0o644"), (OTHER_USER, OTHER_USER, "0o604")),
    ],
    ids=["a group of his", "another group", "another owner"],
)
def test_a_user_gives_no_group_what_another_group_had(
    owner: int, group: int, mode: int, here: tuple[int, int, str], elsewhere: tuple[int, int, str]
) -> None:
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, which another user does not come to
        directory = Path(name)
        directory.chmod(0o777)
        config = directory / "config.json"
        config.write_text(CONFIG)
        os.chown(config, owner, group)
        config.chmod(mode)
        script = [sys.executable, "-c", AS_A_USER, str(config), str(directory / "new.json")]

        done = subprocess.run(script, capture_output=True, text=True, check=False)

        assert (done.stdout, done.stderr) == ("True True\n", "")
        assert (rights(config), rights(directory / "new.json")) == (here, elsewhere)


def put_link(config: Path, victim: Path) -> str:
    config.symlink_to(victim)
    return f"it is a symbolic link to {victim}; name that file"


def put_pipe(config: Path, victim: Path) -> str:
    os.mkfifo(config)
    return "it is a named pipe; name a regular file, or - for standard input"


def put_directory(config: Path, victim: Path) -> str:
    config.mkdir()
    return "it is a directory; name a regular file, or - for standard input"


def put_device(config: Path, victim: Path) -> str:
    os.mknod(config, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero
    return "it is a character device; name a regular file, or - for standard input"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a configuration of root's own."""
    path = tmp_path / "victim.json"
    path.write_text(CONFIG)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("put", [put_link, put_pipe, put_directory, put_device])
@pytest.mark.parametrize("elsewhere", [(), ("-o", "-")])
def test_what_is_no_file_is_neither_read_nor_written(
    put: Callable[[Path, Path], str], elsewhere: tuple[str, ...], bundle: Bundle, victim: Path
) -> None:
    bundle.config.unlink()
    reason = put(bundle.config, victim)
    before = victim.stat()

    for named in [bundle.config.parent] + [bundle.config] * (put is not put_directory):
        run = bundle.inject(*elsewhere, named)

        assert (run.code, run.out) == (7, "")
        assert run.err == f"cdigen: error: cannot read {bundle.config}: {reason}\n"
    assert victim.stat() == before
    assert os.listdir(bundle.config.parent) == ["config.json"]


def test_the_directory_may_be_named_by_a_link(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("bundle")

    run = bundle.inject(tmp_path / "link")

    assert (run.code, run.err.split(": ")[1]) == (0, f"wrote {tmp_path}/link/config.json")
    assert json.loads(bundle.config.read_text()) == INJECTED


def replace_file(config: Path) -> None:
    config.rename(config.parent / "old.json")
    config.write_text(CONFIG)


def replace_by_link(config: Path) -> None:
    config.rename(config.parent / "old.json")
    config.symlink_to("old.json")


def replace_directory(config: Path) -> None:
    config.parent.rename(config.parent.parent / "aside")
    config.parent.mkdir()
    config.write_text(CONFIG)


@pytest.mark.parametrize("change", [os.unlink, replace_file, replace_by_link, replace_directory])
def test_what_has_taken_its_place_meanwhile_is_not_written_over(
    change: Callable[[Path], None], bundle: Bundle, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        opened = open_config(str(bundle.config.parent), stack)
        change(bundle.config)
        before = _statuses(tmp_path)

        with pytest.raises(FileError) as caught:
            opened.write(b"{}")

    assert str(caught.value) == f"cannot write {bundle.config}: it was replaced after it was read; run this again"
    assert _statuses(tmp_path) == before


def _statuses(directory: Path) -> dict[Path, tuple[int, ...]]:
    """Return what lstat(2) tells of all that is below a directory, but for the times of reading: rglob reads too."""
    found = {path: path.lstat() for path in directory.rglob("*")}
    return {path: (s.st_mode, s.st_ino, s.st_uid, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for path, s in found.items()}


@pytest.fixture
def swapped(bundle: Bundle, victim: Path) -> Iterator[None]:
    """Let a process exchange the configuration and a link to the victim over and over."""
    link = bundle.config.parent / "link"
    link.symlink_to(victim)
    with exchanging(bundle.config, link):
        yield


def test_a_link_that_comes_and_goes_never_leads_to_the_file_of_another(
    bundle: Bundle, victim: Path, swapped: None
) -> None:
    before = victim.stat()
    codes: set[int] = set()
    for number in range(MOST_ROUNDS):
        codes.add(bundle.inject(bundle.config if number % 2 else bundle.config.parent).code)
        assert victim.stat() == before
        if number >= ROUNDS and codes == {0, 7}:
            break

    assert codes == {0, 7}
    assert victim.read_text() == CONFIG
