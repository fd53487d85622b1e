"""Which links a path is followed through, and what is written when they change on the way."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from cdigen.errors import FileError
from cdigen.walk import UnfitPathError, open_place
from cdigen.write import remove_file, write_file
from tests.swap import exchanging
from tests.write.conftest import lack

STRANGER, OTHER = 65534, 65533
ROUNDS, MOST_ROUNDS = 150, 100_000
OLD = b"old: content\n"
NEW = b"new: content that is longer\n"


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """Return a directory like /tmp."""
    if os.geteuid() != 0:
        lack("to make another user's link takes root")
    directory = tmp_path / "public"
    directory.mkdir()
    directory.chmod(0o1777)
    return directory


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a file in a directory of its own that nobody else may read."""
    path = tmp_path / "private" / "victim"
    path.parent.mkdir()
    path.write_bytes(OLD)
    path.chmod(0o600)
    return path


def put_link(link: Path, target: Path | str, owner: int) -> None:
    link.symlink_to(target)
    os.chown(link, owner, owner, follow_symlinks=False)


def refusal(path: Path | str) -> str:
    with pytest.raises(FileError) as caught:
        write_file(path, NEW)
    assert (caught.value.code, caught.value.subject) == ("unfit-output", str(path))
    return str(caught.value)


def refused_link(path: Path | str, link: Path | str) -> str:
    return (
        f"cannot write {path}: {link} is a symbolic link of user {STRANGER} in a directory that all may write to;"
        " remove the link, or name where it leads"
    )


def test_a_strangers_link_in_a_directory_for_all_is_not_followed(public: Path, victim: Path) -> None:
    link = public / "a.yaml"
    put_link(link, victim, STRANGER)

    assert refusal(link) == refused_link(link, link)

    assert (victim.read_bytes(), stat.S_IMODE(victim.stat().st_mode)) == (OLD, 0o600)
    assert os.listdir(victim.parent) == ["victim"]


def test_nor_is_one_on_the_way_to_the_directory(public: Path, victim: Path) -> None:
    put_link(public / "cdi", victim.parent, STRANGER)
    path = public / "cdi" / "new" / "a.yaml"

    assert refusal(path) == refused_link(path, public / "cdi")
    assert os.listdir(victim.parent) == ["victim"]


def test_it_is_named_as_the_path_names_it(public: Path, victim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_link(public / "cdi", victim.parent, STRANGER)
    monkeypatch.chdir(public)

    assert refusal("cdi/a.yaml") == refused_link("cdi/a.yaml", "cdi")


def test_nor_is_one_to_which_another_link_leads(public: Path, victim: Path, tmp_path: Path) -> None:
    put_link(public / "x", victim.parent, STRANGER)
    (tmp_path / "first").symlink_to("public/x")

    assert refusal(tmp_path / "first" / "a.yaml") == refused_link(tmp_path / "first" / "a.yaml", public / "x")
    assert os.listdir(victim.parent) == ["victim"]


def test_nor_is_one_by_which_a_file_would_be_removed(public: Path, victim: Path) -> None:
    put_link(public / "x", victim.parent, STRANGER)

    with pytest.raises(FileError) as caught:
        remove_file(public / "x" / "victim", lambda _: True)

    assert str(caught.value) == refused_link(public / "x" / "victim", public / "x").replace("write", "remove", 1)
    assert victim.read_bytes() == OLD


@pytest.mark.parametrize(
    ("mode", "holder", "owner"),
    [(0o1777, 0, 0), (0o1777, STRANGER, STRANGER), (0o777, 0, STRANGER), (0o1775, 0, STRANGER), (0o755, 0, STRANGER)],
    ids=["our own", "the directory's owner's", "not sticky", "not for all", "a directory of few"],
)
def test_all_other_links_are_followed(mode: int, holder: int, owner: int, public: Path, victim: Path) -> None:
    os.chown(public, holder, holder)
    public.chmod(mode)
    put_link(public / "a.yaml", victim, owner)
    put_link(public / "cdi", victim.parent, owner)

    assert write_file(public / "a.yaml", NEW) is True
    assert write_file(public / "cdi" / "b.yaml", NEW) is True

    assert victim.read_bytes() == (victim.parent / "b.yaml").read_bytes() == NEW
    assert (public / "a.yaml").is_symlink()


def test_a_strangers_file_in_a_directory_for_all_is_replaced_and_not_opened(public: Path) -> None:
    spec = public / "a.yaml"
    spec.write_bytes(OLD)
    spec.chmod(0o666)
    os.chown(spec, STRANGER, STRANGER)
    his = os.open(spec, os.O_RDWR)

    assert write_file(spec, NEW) is True

    assert (os.pread(his, 100, 0), spec.read_bytes(), spec.stat().st_uid) == (OLD, NEW, 0)
    os.close(his)


@pytest.mark.parametrize(
    ("links", "path", "place"),
    [
        ({"etc": "/conf"}, "etc/a.yaml", "conf/a.yaml"),
        ({"etc": "../../../../conf"}, "etc/a.yaml", "conf/a.yaml"),
        ({"etc": "/../conf/../conf/."}, "etc/a.yaml", "conf/a.yaml"),
        ({"conf/up": ".."}, "conf/up/conf/up/../conf/a.yaml", "conf/a.yaml"),
        ({"conf/a.yaml": "/old"}, "conf/a.yaml", "old"),
        ({"conf/a.yaml": "../../../old"}, "conf/a.yaml", "old"),
        ({}, "conf/../../../conf/new/a.yaml", "conf/new/a.yaml"),
    ],
)
def test_no_link_leads_out_of_a_root(links: dict[str, str], path: str, place: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "conf").mkdir(parents=True)
    (root / "old").write_bytes(OLD)
    for link, target in links.items():
        (root / link).symlink_to(target)

    assert write_file(f"{root}/{path}", NEW, root=f"{root}/") is True

    assert (root / place).read_bytes() == NEW
    assert os.listdir(tmp_path) == ["root"]
    assert not Path("/conf").exists()


@pytest.mark.parametrize("target", ["", "/", "x/..", "/.."])
def test_a_link_to_a_directory_is_none_of_a_file(target: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "a.yaml").symlink_to(target or "x")

    assert refusal(tmp_path / "a.yaml") == f"cannot write {tmp_path}/a.yaml: it is a directory; name a file in it"


@pytest.mark.parametrize("target", ["/", "x/..", ".."])
def test_a_place_has_a_name(target: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "a.yaml").symlink_to(target)

    with pytest.raises(UnfitPathError, match="it is a directory"), open_place(f"{tmp_path}/a.yaml"):
        pass


def test_of_links_that_lead_to_nothing_the_first_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("second")
    (tmp_path / "second").symlink_to("third")

    assert refusal(tmp_path / "a.yaml") == (
        f"cannot write {tmp_path}/a.yaml: it is a symbolic link to second, which is missing; remove the link"
    )


def test_a_directory_that_takes_another_place_on_the_way_is_the_one_that_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "theirs").mkdir()

    with open_place(f"{tmp_path}/mine/a.yaml") as place:
        (tmp_path / "mine").rename(tmp_path / "moved")
        (tmp_path / "mine").symlink_to("theirs")
        os.close(os.open(place.name, os.O_CREAT, dir_fd=place.directory))

    assert (os.listdir(tmp_path / "moved"), os.listdir(tmp_path / "theirs")) == (["a.yaml"], [])


def write_often(path: str, root: Path, until: set[bool]) -> set[bool]:
    """Write many times, and until it was written and refused as `until` says; return which of both it was."""
    seen = set()
    for number in range(MOST_ROUNDS):
        try:
            seen.add(write_file(path, b"%d" % number, root=str(root)))
        except FileError:
            seen.add(False)
        if number >= ROUNDS and seen >= until:
            break
    return seen


def test_nothing_is_written_out_of_a_root_in_which_links_come_and_go(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "cdi").mkdir(parents=True)
    outside.mkdir()
    (root / "link").symlink_to(outside)

    with exchanging(root / "cdi", root / "link"):
        assert write_often(f"{root}/cdi/a.yaml", root, {True, False}) == {True, False}

    assert os.listdir(outside) == []


def test_nor_from_a_directory_that_is_moved_out_of_it(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "cdi").mkdir(parents=True)
    (outside / "cdi").mkdir(parents=True)

    with exchanging(root / "cdi", outside / "cdi"):
        assert write_often(f"{root}/cdi/../a.yaml", root, {True}) == {True}

    assert os.listdir(outside) == ["cdi"]


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "loop").symlink_to("loop")
    before = os.listdir("/proc/self/fd")

    for root in (None, str(tmp_path)):
        write_file(f"{tmp_path}/a/b/../../{'a' if root else 'link'}/b/new/c.yaml", NEW, root=root)
        for path in ("loop/a.yaml", "none/../loop", "a/b/new/c.yaml/d", "link/no"):
            with suppress(FileError):
                remove_file(f"{tmp_path}/{path}", lambda _: False, root=root)
            with pytest.raises(FileError):
                write_file(f"{tmp_path}/{path}/", NEW, root=root)

    assert os.listdir("/proc/self/fd") == before
