"""Layers merged: whiteouts, links, kinds that change, and any layers against a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError, one_line
from cdigen.image.limits import STEPS, STEPS_PER_ENTRY
from cdigen.image.tree import Change, Tree
from tests.work import calls_of, peak_of


def merge(*layers: list[Change]) -> dict[str, tuple[str, int]]:
    """Return each path with what it is and the layer that it comes from."""
    tree = Tree()
    for position, changes in enumerate(layers):
        tree.apply(changes, position)
    return {path: (node.kind, node.layer) for path, node in tree.walk()}


def file(path: str, size: int = 1) -> Change:
    return Change(path, "file", size)


def directory(path: str) -> Change:
    return Change(path, "dir")


def link(path: str, target: str) -> Change:
    return Change(path, "link", target=target)


def hard(path: str, target: str) -> Change:
    return Change(path, "file", target=target, is_hard_link=True)


BASE = [directory("a"), file("a/x"), file("a/y"), directory("a/d"), file("a/d/z")]


def test_a_later_layer_wins() -> None:
    assert merge([file("x")], [file("x")]) == {"/x": ("file", 1)}


def test_a_whiteout_hides_a_file_and_a_whole_directory() -> None:
    assert merge(BASE, [file("a/.wh.x"), file("a/.wh.d")]) == {"/a": ("dir", 0), "/a/y": ("file", 0)}


@pytest.mark.parametrize("order", [1, -1])
def test_an_opaque_directory_keeps_what_its_own_layer_has_in_any_order(order: int) -> None:
    top = [directory("a"), file("a/.wh..wh..opq"), file("a/new")][::order]
    assert merge(BASE, top) == {"/a": ("dir", 1), "/a/new": ("file", 1)}


@pytest.mark.parametrize("order", [1, -1])
def test_a_whiteout_hides_nothing_of_its_own_layer(order: int) -> None:
    assert merge([file("x")], [file("x"), file(".wh.x")][::order]) == {"/x": ("file", 1)}


def test_a_whiteout_of_what_is_not_there_and_files_of_aufs_are_nothing() -> None:
    assert merge(BASE[:2], [file("b/.wh.x"), file(".wh..wh.plnk"), file("a/x/.wh.q")]) == merge(BASE[:2])


def test_a_directory_takes_the_place_of_a_link_and_a_link_that_of_a_directory() -> None:
    assert merge([directory("b"), link("a", "b")], [directory("a"), file("a/x")]) == {
        "/a": ("dir", 1),
        "/a/x": ("file", 1),
        "/b": ("dir", 0),
    }
    assert merge(BASE, [link("a", "b")]) == {"/a": ("link", 1)}


def test_a_whiteout_in_a_directory_that_takes_the_place_of_a_link_leaves_the_links_target_alone() -> None:
    base = [directory("b"), file("b/x"), link("a", "b")]
    assert merge(base, [directory("a"), file("a/.wh.x")])["/b/x"] == ("file", 0)
    assert "/b/x" not in merge(base, [file("a/.wh.x")])


@pytest.mark.parametrize("target", ["usr/lib", "/usr/lib", "../../usr/lib", "./usr/../usr/lib/"])
def test_an_entry_below_a_link_goes_where_the_link_leads_inside_the_image(target: str) -> None:
    merged = merge([directory("usr"), directory("usr/lib"), link("lib", target)], [file("lib/x")])
    assert merged["/usr/lib/x"] == ("file", 1)
    assert merged["/lib"] == ("link", 0)


def test_an_absolute_link_starts_at_the_images_root() -> None:
    merged = merge([directory("usr"), link("usr/lib", "/opt"), directory("opt")], [file("usr/lib/x")])
    assert merged == {"/opt": ("dir", 0), "/opt/x": ("file", 1), "/usr": ("dir", 0), "/usr/lib": ("link", 0)}


def test_missing_directories_are_made() -> None:
    assert merge([file("a/b/c")]) == {"/a": ("dir", 0), "/a/b": ("dir", 0), "/a/b/c": ("file", 0)}


def test_a_hard_link_is_the_same_file_in_its_own_layer() -> None:
    tree = Tree()
    tree.apply([Change("a/x", "file", 7, content=b"content")], 0)
    tree.apply([hard("y", "a/x")], 1)
    node = tree.node("/y")
    assert node is not None
    assert (node.kind, node.size, node.content, node.layer) == ("file", 7, b"content", 1)


def reason(*layers: list[Change]) -> str:
    with pytest.raises(ParseError) as caught:
        merge(*layers)
    return str(caught.value)


def test_what_cannot_be_merged_says_so() -> None:
    assert reason([hard("y", "x")]) == "/y is a hard link to nothing, /x"
    assert reason([directory("x"), hard("y", "x")]) == "/y is a hard link to a directory, /x"
    assert reason([link("a", "b"), link("b", "a"), file("a/x")]) == "/a leads through more than 40 symbolic links"
    deep = "/".join("d" * 150)
    assert reason([file(f"{deep}/x"), link("a", deep), link(f"{deep}/b", f"/{deep}"), file(f"a/{deep}/y")]) == (
        "directories more than 200 levels deep"
    )


def test_every_entry_and_every_directory_that_is_made_counts() -> None:
    for changes in ([file("a/b/c")], [file("a"), file("a"), file(".wh.a"), file("b")]):
        Tree(4).apply(changes, 0)
        with pytest.raises(ParseError) as caught:
            Tree(2).apply(changes, 0)
        assert str(caught.value) == "more than 2 files and directories"


def test_links_that_lead_through_each_other_are_refused_before_they_cost_much() -> None:
    steps = "d/../" * 815
    changes = [directory("d"), link("l0", f"{steps}d")]
    changes += [link(f"l{number}", f"{steps}l{number - 1}") for number in range(1, 39)]
    changes += [file(f"l38/{number}/x") for number in range(1000)]

    def work() -> None:
        assert reason(changes) == ("directories and links that take more steps to follow than those of any image")

    assert calls_of(work) < 1_000_000


def test_the_way_to_a_directory_is_walked_once_for_the_files_in_it() -> None:
    steps = "d/../" * 815
    changes = [directory("d"), link("l0", f"{steps}d")]
    changes += [link(f"l{number}", f"{steps}l{number - 1}") for number in range(1, 39)]
    changes += [file(f"l38/{number}") for number in range(1000)]

    assert len(merge(changes)) == 1000 + 1 + 39


def test_an_entry_that_takes_the_place_of_another_changes_the_way() -> None:
    changes = [directory("d/e"), directory("o/p"), link("way", "d/e/.."), file("way/1")]
    changes += [link("way/e", "/o/p"), file("way/2")]

    assert [path for path in merge(changes) if path.endswith(("1", "2"))] == ["/d/1", "/o/2"]


def test_a_layer_of_deep_names_that_is_applied_again_and_again_is_refused() -> None:
    deep = [file(f"{'d/' * 190}{number}") for number in range(100)]
    assert reason(*[deep] * 100) == "directories and links that take more steps to follow than those of any image"


def test_links_as_images_have_them_cost_nothing_that_counts() -> None:
    changes = [directory("usr/lib/x86_64-linux-gnu"), link("lib", "usr/lib")]
    changes += [file(f"lib/x86_64-linux-gnu/{number}") for number in range(20_000)]
    assert len(merge(changes)) == 20_004


def test_a_walk_holds_one_path_for_each_level() -> None:
    name = "d" * 200
    tree = Tree()
    tree.apply([file(f"{f'{name}/' * 19}{number}") for number in range(5000)], 0)
    assert peak_of(lambda: sum(1 for _ in tree.walk())) < 1 << 20


# --- any layers ---

NAMES = st.sampled_from(["a", "b"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CHANGES = st.one_of(
    PATHS.map(file),
    PATHS.map(directory),
    PATHS.map(lambda path: file("/".join([*path.split("/")[:-1], f".wh.{path.rpartition('/')[2]}"]))),
    PATHS.map(lambda path: file(f"{path}/.wh..wh..opq")),
)


def model(layers: list[list[Change]]) -> dict[str, tuple[str, int]]:
    """Merge layers without links in a dictionary of paths."""
    files: dict[str, tuple[str, int]] = {}

    def drop_below(path: str) -> None:
        for other in [other for other in files if other.startswith(f"{path}/")]:
            del files[other]

    for position, changes in enumerate(layers):
        for change in changes:
            parent, _, name = f"/{change.path}".rpartition("/")
            if name == ".wh..wh..opq":
                drop_below(parent)
            elif name.startswith(".wh."):
                files.pop(f"{parent}/{name[4:]}", None)
                drop_below(f"{parent}/{name[4:]}")
        for change in changes:
            path = f"/{change.path}"
            if "/.wh." in path:
                continue
            parts = path.split("/")[1:-1]
            for depth in range(1, len(parts) + 1):
                above = "/" + "/".join(parts[:depth])
                if files.get(above, ("",))[0] != "dir":
                    files[above] = ("dir", position)
            if change.kind != "dir":
                drop_below(path)
            files[path] = (change.kind, position)
    return files


@given(st.lists(st.lists(CHANGES, max_size=6), max_size=4))
def test_merged_layers_are_those_of_a_model_that_applies_them_one_by_one(layers: list[list[Change]]) -> None:
    assert merge(*layers) == model(layers)


LINKS = st.builds(link, PATHS, st.lists(st.sampled_from(["a", "b", "..", "", "a/../b/.."]), max_size=500).map("/".join))
HARD_LINKS = st.builds(hard, PATHS, PATHS)


@given(st.lists(st.lists(st.one_of(CHANGES, LINKS, HARD_LINKS), max_size=30), max_size=4))
def test_any_layers_with_links_are_merged_or_refused_at_a_bounded_cost(layers: list[list[Change]]) -> None:
    said = ""

    def work() -> None:
        nonlocal said
        try:
            merge(*layers)
        except ParseError as error:
            said = str(error)

    assert calls_of(work) < 4 * (STEPS + sum(map(len, layers)) * (STEPS_PER_ENTRY + 10))
    assert one_line(said) == said
