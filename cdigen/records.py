"""Immutable values with named fields, which cost nothing to define.

They are what `dataclasses.dataclass(frozen=True)` makes, but for the code that it generates and compiles for every
class at import: that was a quarter of the time of a run which changes nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar, dataclass_transform

_R = TypeVar("_R", bound="Record")


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record:
    """Base of a class whose annotations are its fields, with their defaults, in this order.

    Two are equal if they are of the same class and all fields are. With `kw_only=False` in the class's head, values may
    be given by position. A subclass may check them in `__post_init__`.
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    _names: ClassVar[frozenset[str]] = frozenset()
    _defaults: ClassVar[dict[str, Any]] = {}
    _kw_only: ClassVar[bool] = True

    def __init_subclass__(cls, *, kw_only: bool = True) -> None:
        """Take the fields from the annotations of the class."""
        own = tuple(cls.__annotations__)
        cls._fields = (*cls._fields, *own)
        cls._names = frozenset(cls._fields)
        cls._defaults = {**cls._defaults, **{name: cls.__dict__[name] for name in own if name in cls.__dict__}}
        cls._kw_only = kw_only

    def __init__(self, *args: Any, **values: Any) -> None:
        """Take the value of each field.

        Raises:
            TypeError: a value is missing, or is of no field.
        """
        if args:
            if self._kw_only or len(args) > len(self._fields):
                raise TypeError(f"{type(self).__name__}() takes no such value by position: {args[-1]!r}")
            positional = dict(zip(self._fields, args, strict=False))
            if not positional.keys().isdisjoint(values):
                raise TypeError(f"{type(self).__name__}() takes a value twice")
            values = positional | values
        values = {**self._defaults, **values}
        if values.keys() != self._names:
            odd = ", ".join(sorted(values.keys() ^ self._names))
            raise TypeError(f"{type(self).__name__}() lacks values, or has no such fields: {odd}")
        self.__dict__.update(values)
        self.__post_init__()

    def __post_init__(self) -> None:
        """Check the values; nothing by itself."""

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __delattr__(self, name: str) -> None:
        """Refuse.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted")

    def _values(self) -> tuple[Any, ...]:
        return tuple([self.__dict__[name] for name in self._fields])

    def __eq__(self, other: object) -> bool:
        """Compare all fields."""
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        """Hash all fields."""
        return hash(self._values())

    def __repr__(self) -> str:
        """Name the class and all fields."""
        shown = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self._fields)
        return f"{type(self).__qualname__}({shown})"


def replace(record: _R, **changes: Any) -> _R:
    """Return the same record but for some fields.

    Raises:
        TypeError: a change is of no field.
    """
    return type(record)(**{name: record.__dict__[name] for name in record._fields} | changes)


def to_dict(record: Record) -> dict[str, Any]:
    """Return the values by the names of their fields."""
    return {name: record.__dict__[name] for name in record._fields}
