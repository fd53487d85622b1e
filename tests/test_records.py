"""Records are values as frozen dataclasses are."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from cdigen.records import Record, replace, to_dict

if TYPE_CHECKING:
    from collections.abc import Callable


class Point(Record):
    x: int
    y: int = 2


class Named(Point):
    name: str


class Row(Record, kw_only=False):
    first: str
    second: tuple[str, ...] = ()


class Even(Record):
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError(self.number)


POINT: Any = Point
ROW: Any = Row


def test_fields_have_their_values_and_defaults() -> None:
    assert to_dict(Point(x=1)) == {"x": 1, "y": 2}
    assert to_dict(Named(name="a", x=3, y=4)) == {"x": 3, "y": 4, "name": "a"}
    assert Row("a", second=("b",)) == Row("a", ("b",)) == Row(first="a", second=("b",))


def test_only_what_is_of_the_same_class_with_the_same_values_is_equal() -> None:
    assert Point(x=1) == Point(y=2, x=1)
    assert hash(Point(x=1)) == hash(Point(y=2, x=1))
    assert Point(x=1) != Point(x=2)
    assert Point(x=1, y=2) != Named(x=1, y=2, name="")
    assert Point(x=1) != {"x": 1, "y": 2}


def test_it_is_shown_with_all_fields() -> None:
    assert repr(Named(x=1, name="n")) == "Named(x=1, y=2, name='n')"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: POINT(), "Point() lacks values, or has no such fields: x"),
        (lambda: POINT(x=1, z=3), "Point() lacks values, or has no such fields: z"),
        (lambda: POINT(1), "Point() takes no such value by position: 1"),
        (lambda: ROW("a", (), "c"), "Row() takes no such value by position: 'c'"),
        (lambda: ROW("a", first="b"), "Row() takes a value twice"),
        (lambda: replace(Point(x=1), z=3), "Point() lacks values, or has no such fields: z"),
    ],
)
def test_values_that_do_not_fit_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        make()

    assert str(caught.value) == message


def test_a_subclass_checks_what_is_made_and_what_is_changed() -> None:
    with pytest.raises(ValueError, match="3"):
        Even(number=3)
    with pytest.raises(ValueError, match="5"):
        replace(Even(number=2), number=5)


def test_nothing_can_be_changed() -> None:
    point: Any = Point(x=1)

    with pytest.raises(AttributeError, match=r"^Point\.x cannot be changed$"):
        point.x = 2
    with pytest.raises(AttributeError, match=r"^Point\.z cannot be changed$"):
        point.z = 2
    with pytest.raises(AttributeError, match=r"^Point\.x cannot be deleted$"):
        del point.x

    assert point == Point(x=1)


def test_a_change_makes_another_and_leaves_the_first() -> None:
    point = Point(x=1)

    assert replace(point, y=5) == Point(x=1, y=5)
    assert point == Point(x=1, y=2)


def test_copies_are_equal() -> None:
    row = Row("a", ("b",))

    assert copy.copy(row) == copy.deepcopy(row) == pickle.loads(pickle.dumps(row)) == row  # noqa: S301 - ours
