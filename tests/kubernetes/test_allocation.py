"""Which devices a container should get: near to each other, and the large groups left whole."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.kubernetes.allocation import Groups, choose_near

GPUS_16 = {f"g{n}": (str(n // 8), f"root{n // 4}", f"gpu{n}") for n in range(16)}
"""Two NUMA nodes of two roots of four GPUs each."""

MIG_4 = {f"m{gpu}:{n}": ("0", "root0", f"gpu{gpu}") for gpu in range(4) for n in range(7)}
"""Four GPUs of seven MIG devices each."""

PLACES = st.dictionaries(
    st.integers(0, 40).map(str),
    st.tuples(st.sampled_from("ab"), st.sampled_from("cde"), st.sampled_from("fghi")),
    max_size=16,
)


@pytest.mark.parametrize(
    ("free", "required", "size", "expected"),
    [
        ("0-15", "", 1, "0"),
        ("0-15", "", 4, "0-3"),
        ("0-15", "", 8, "0-7"),
        ("0-15", "", 5, "0-4"),  # a root whole, and one of the next at the same NUMA node
        ("0-15", "9", 2, "8-9"),
        ("0-15", "9", 4, "8-11"),
        ("0-15", "9", 6, "8-13"),
        ("0-15", "3,12", 3, "0,3,12"),
        ("2-15", "", 2, "2-3"),  # the root with two of its four left
        ("1,4-15", "", 1, "1"),
        ("1-3,4-15", "", 4, "4-7"),  # not three of one and one of another
        ("1-3,5-7,8-10,12-14", "", 4, "1-3,5"),  # no root has four
        ("0-3", "", 9, "0-3"),  # all that there are
        ("0-15", "5", 0, "5"),
        ("0-15", "5", -1, "5"),
        ("", "", 2, ""),
    ],
)
def test_gpus_of_one_root_then_of_one_numa_node(free: str, required: str, size: int, expected: str) -> None:
    places = {name: GPUS_16[name] for name in names_of(free)}

    assert choose_near(places, names_of(required), size) == tuple(names_of(expected))


def test_mig_devices_are_taken_of_the_gpu_that_is_begun() -> None:
    free = {name: place for name, place in MIG_4.items() if name not in ("m2:0", "m2:1", "m2:2")}

    assert choose_near(free, (), 1) == ("m2:3",)
    assert choose_near(free, (), 4) == ("m2:3", "m2:4", "m2:5", "m2:6")
    assert choose_near(free, (), 5) == ("m0:0", "m0:1", "m0:2", "m0:3", "m0:4")
    assert choose_near(free, ("m3:6",), 2) == ("m3:0", "m3:6")


@given(PLACES, st.data())
def test_as_many_as_are_wanted_with_what_is_required_in_the_order_of_the_host(
    places: dict[str, Groups], data: st.DataObject
) -> None:
    required = data.draw(st.lists(st.sampled_from(sorted(places)), unique=True)) if places else []
    size = data.draw(st.integers(-1, 20))

    chosen = choose_near(places, required, size)

    assert set(required) <= set(chosen) <= set(places)
    assert len(chosen) == min(len(places), max(size, len(required)))
    assert list(chosen) == [name for name in places if name in chosen]
    assert choose_near(places, required, size) == chosen


@given(PLACES, st.integers(1, 4))
def test_no_choice_of_a_single_group_is_missed(places: dict[str, Groups], size: int) -> None:
    """If any choice is within one GPU, one root, or one NUMA node, so is the one that is made."""
    chosen = choose_near(places, (), size)

    def level_of(names: tuple[str, ...]) -> int:
        return next(level for level in (3, 2, 1, 0) if len({places[name][:level] for name in names}) <= 1)

    best = max((level_of(names) for names in combinations(places, min(size, len(places)))), default=3)
    assert level_of(chosen) == best


def names_of(text: str) -> list[str]:
    """Return the names of numbers such as "0-3,5"."""
    found: list[str] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += [f"g{n}" for n in range(int(first), int(last or first) + 1)]
    return found
