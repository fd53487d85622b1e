from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cdigen.host import HostReadError, LinkError, View
from cdigen.host.live import LiveHost
from cdigen.host.snapshot import SnapshotHost
from tests.host.kernel import TOO_MANY_LINKS, Lookup, resolve_in_root
from tests.hosts import link, text
from tests.work import calls_of

PARTS = st.sampled_from(["a", "b", "c", "..", ".", ""])
PATHS = st.builds(lambda head, parts: head + "/".join(parts), st.sampled_from(["", "/"]), st.lists(PARTS, max_size=6))
PLACES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)
TREES = st.dictionaries(
    PLACES,
    st.one_of(st.just("file"), st.just("dir"), PATHS.filter(bool).map("link {}".format)),
    min_size=1,
    max_size=12,
)


def make(root: Path, tree: dict[str, str]) -> None:
    """Make what can be made of `tree`, shallow paths first; what would lie below a file or a link cannot."""
    for place in sorted(tree, key=lambda place: (place.count("/"), place)):
        path, kind = root / place, tree[place]
        parents = [root / parent for parent in Path(place).parents][:-1]
        if any(parent.is_symlink() or parent.is_file() for parent in parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "file":
            path.touch()
        elif kind == "dir":
            path.mkdir(exist_ok=True)
        else:
            path.symlink_to(kind.removeprefix("link "))


def lookup(view: View, path: str) -> Lookup:
    try:
        return Lookup(view.resolve(path))
    except LinkError:
        return TOO_MANY_LINKS


def kernel_lookup(root: str, path: str) -> Lookup:
    found = resolve_in_root(root, path)
    assert found.error in (0, errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return found if found.error == errno.ELOOP else Lookup(found.path)


@settings(max_examples=300, deadline=None)
@given(tree=TREES, paths=st.lists(PATHS.map("/{}".format), min_size=1, max_size=12))
@example(tree={"a": "file", "b": "link a/"}, paths=["/a/", "/a/.", "/a/..", "/b", "/a//"])
@example(tree={"a": "link /b/c", "b": "link ../../..", "c": "file"}, paths=["/a", "/a/../c", "/b/b/b/a"])
@example(tree={"a": "link b", "b": "link a", "c": "link c"}, paths=["/a", "/c/x", "/b/.."])
def test_a_path_leads_where_the_kernel_leads_it_in_a_root(tree: dict[str, str], paths: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        make(Path(directory), tree)
        view = View(LiveHost(directory))
        assert [lookup(view, path) for path in paths] == [kernel_lookup(directory, path) for path in paths]


@settings(max_examples=100, deadline=None)
@given(tree=TREES, root=PLACES, path=PATHS.map("/{}".format))
@example(tree={"a": "link /b", "b/a": "link /c", "b/c": "file"}, root="a", path="/a")
def test_a_view_of_a_directory_has_that_directory_as_its_root(tree: dict[str, str], root: str, path: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        make(Path(directory), tree)
        try:
            view = View(LiveHost(directory), f"/{root}")
        except LinkError:
            return
        seen_root = kernel_lookup(directory, f"/{root}").path
        if seen_root is None or not Path(directory + seen_root).is_dir():
            return
        assert lookup(view, path) == kernel_lookup(directory + seen_root, path)
        assert view.host_path("/x") == f"{seen_root.rstrip('/')}/x"


@pytest.mark.parametrize("links", [39, 40, 41])
def test_a_chain_of_forty_links_is_followed_and_one_of_forty_one_is_not(tmp_path: Path, links: int) -> None:
    (tmp_path / "0").touch()
    for number in range(links):
        (tmp_path / f"{number + 1}").symlink_to(f"{number}")
    found = lookup(View(LiveHost(str(tmp_path))), f"/{links}")
    assert found == kernel_lookup(str(tmp_path), f"/{links}")
    assert (found == TOO_MANY_LINKS) == (links > 40)


def test_links_to_directories_count_as_much_as_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/self").symlink_to(".")
    for count in (40, 41):
        path = "/d" + "/self" * count
        found = lookup(View(LiveHost(str(tmp_path))), path)
        assert found == kernel_lookup(str(tmp_path), path)
        assert (found == TOO_MANY_LINKS) == (count > 40)


def test_a_cycle_is_an_error_that_names_the_path_on_the_host() -> None:
    view = View(SnapshotHost({"/run/driver/a": link("b"), "/run/driver/b": link("a")}), "/run/driver")
    with pytest.raises(LinkError) as caught:
        view.resolve("/a")
    assert str(caught.value) == ("/run/driver/a leads through more than 40 symbolic links; remove the link cycle")
    assert caught.value.exit_code == 5


def test_what_was_seen_once_is_not_looked_at_again(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    view = View(LiveHost(str(tmp_path)))
    before = view.find("/a")
    os.remove(tmp_path / "a")
    assert before is not None
    assert view.find("/a") == before


def test_a_name_with_a_line_break_cannot_forge_a_second_line_of_an_error() -> None:
    with pytest.raises(LinkError) as caught:
        View(SnapshotHost({"/a\nb": link("a\nb")})).resolve("/a\nb")
    assert str(caught.value) == "/a\\nb leads through more than 40 symbolic links; remove the link cycle"


def test_what_is_not_there_is_none_for_every_question() -> None:
    view = View(SnapshotHost({"/a": text("x"), "/dangling": link("nowhere")}))
    for path in ("/b", "/a/b", "/dangling", "/dangling/x"):
        assert (view.resolve(path), view.find(path), view.read(path), view.names(path)) == (None, None, None, ())


def test_a_root_that_is_not_there_has_nothing_in_it() -> None:
    view = View(SnapshotHost({"/a": text("x")}), "/run/driver/")
    assert (view.find("/a"), view.names("/"), view.host_path("/a")) == (None, (), "/run/driver/a")


STEPS = "d/../" * 815


def test_a_link_is_walked_once_however_many_paths_lead_through_it() -> None:
    entries: dict[str, dict[str, object]] = {"/d": {"kind": "dir"}, "/l0": link(f"{STEPS}d"), "/d/x": text("")}
    entries |= {f"/l{number}": link(f"{STEPS}l{number - 1}") for number in range(1, 39)}

    def resolve(paths: int) -> int:
        view = View(SnapshotHost(entries))

        def work() -> None:
            for number in range(paths):
                assert view.resolve(f"/l38/{number}") is None

        return calls_of(work, most=2_000_000)

    assert resolve(1000) - resolve(1) < 50 * 999


def test_links_that_lead_out_of_a_root_are_walked_once_there_too() -> None:
    entries: dict[str, dict[str, object]] = {"/d": {"kind": "dir"}, "/run": {"kind": "dir"}, "/l0": link(f"{STEPS}d")}
    entries |= {f"/l{number}": link(f"{STEPS}l{number - 1}") for number in range(1, 39)}
    entries |= {f"/run/{number}": link("/l38") for number in range(100)}
    view = View(SnapshotHost(entries), "/run")
    first = calls_of(lambda: view.leads_out("/0"))
    others = calls_of(lambda: [view.leads_out(f"/{number}") for number in range(1, 100)], most=first)
    assert others < 50 * 99


def test_a_link_that_is_given_up_among_others_is_followed_by_itself() -> None:
    entries = {f"/{number}": link(f"{number - 1}") for number in range(1, 100)}
    view = View(SnapshotHost({"/0": text("x"), **entries}))
    for number in (99, 41, 60, 40, 41, 39):
        found = lookup(view, f"/{number}")
        assert found == (Lookup("/0") if number <= 40 else TOO_MANY_LINKS)


@pytest.mark.parametrize(
    "entries", [{"/a": link("d/" * 2047 + "dd")}, {"/a": link("é" * 2048)}], ids=["parts", "bytes"]
)
def test_a_target_that_is_longer_than_the_kernels_paths_is_refused_as_there(
    entries: dict[str, dict[str, object]],
) -> None:
    with pytest.raises(HostReadError) as caught:
        View(SnapshotHost(entries)).resolve("/a")
    assert caught.value.reason == "File name too long"
    assert not caught.value.is_failure
    assert View(SnapshotHost({"/a": link("./" * 2047 + "b"), "/b": text("")})).resolve("/a") == "/b"
