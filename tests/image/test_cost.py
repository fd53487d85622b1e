"""What the parts of an image cost that its author makes as long as he likes: in proportion to their size."""

from __future__ import annotations

import pytest

from cdigen.image.rules import find_driver_files
from cdigen.image.tree import Change, Tree
from cdigen.parse.ldcache import CacheEntry
from tests.image.archives import LIBDIR, VERSION
from tests.image.test_rules import make_image
from tests.parse.test_ldcache import build
from tests.work import calls_of, peak_of

CHAIN: dict[str, bytes | str | None] = {f"chain/{n}": f"/chain/{n + 1}" for n in range(30)} | {"chain/30/x": b""}
"""A directory that is reached through thirty links."""


def environment(size: int) -> dict[str, str]:
    return {name: ":".join(f"/chain/0/{n}" for n in range(size)) for name in ("PATH", "LD_LIBRARY_PATH")}


def cache(size: int) -> bytes:
    entries = (CacheEntry(name="libcuda.so.1", flags=0x303, path=f"/chain/0/{n}", hwcap=n) for n in range(size))
    return build("new", tuple(entries))


@pytest.mark.parametrize("what", ["environment", "cache"])
def test_what_an_image_says_costs_in_proportion_to_its_length(what: str) -> None:
    def work(size: int) -> int:
        files = {**CHAIN, f"{LIBDIR}/libcuda.so.1": b"x"}
        if what == "cache":
            image = make_image({**files, "etc/ld.so.cache": cache(size)})
        else:
            image = make_image(files, **environment(size))
        return calls_of(lambda: find_driver_files(image, VERSION))

    few, many = work(1000), work(2000)

    assert 1.5 * few < many < 2.2 * few


def test_entries_of_layers_cost_in_proportion_to_their_number() -> None:
    def work(size: int) -> tuple[int, int]:
        changes = [Change(f"usr/{n % 100}/{n}", "file", 1) for n in range(size)]
        return calls_of(lambda: Tree().apply(changes, 0)), peak_of(lambda: Tree().apply(changes, 0))

    (few_calls, few_bytes), (many_calls, many_bytes) = work(2000), work(4000)

    assert many_calls < 2.2 * few_calls
    assert many_bytes < 2.2 * few_bytes


def test_entries_of_one_directory_cost_the_same_however_deep_it_is() -> None:
    def work(depth: int) -> int:
        changes = [Change(f"{'d/' * depth}{n}", "file", 1) for n in range(1000)]
        return calls_of(lambda: Tree().apply(changes, 0))

    assert work(100) < 1.2 * work(1)
