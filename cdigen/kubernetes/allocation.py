"""Which of the free devices a container should get: as near to each other as may be, and of groups already begun.

Devices are near that are of one GPU (MIG), then behind one PCI root, then at one NUMA node. Nothing is known of NVLink
here: NVML alone tells.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Groups = tuple[str, ...]
"""Where a device is: the names of its groups, the widest first. All devices have as many."""


def choose_near(places: Mapping[str, Groups], required: Sequence[str], size: int) -> tuple[str, ...]:
    """Return the devices to take, in the order of `places`.

    Packed: of the nearest groups that have enough the one with the fewest is taken, so that large ones stay whole;
    where none has, the largest is emptied first, so that few are touched. What is required draws the rest to itself.

    Args:
        places: where each free device is, in the order in which equals are taken.
        required: devices that are taken in any case; they are among `places`.
        size: how many are wanted, those included; all if there are no more.
    """
    taken = set(required)
    levels = max(map(len, places.values()), default=0)
    for level in range(levels, 0, -1):  # around what is taken already, from the nearest on
        begun = {places[one][:level] for one in taken}
        near = [one for one in places if one not in taken and places[one][:level] in begun]
        if taken and len(taken) + len(near) >= size:
            return _in_order(places, {*taken, *_pack(places, near, size - len(taken), level)})
        taken.update(near if taken else ())
    rest = [one for one in places if one not in taken]
    return _in_order(places, {*taken, *_pack(places, rest, size - len(taken), 0)})


def _pack(places: Mapping[str, Groups], devices: Sequence[str], size: int, level: int) -> Sequence[str]:
    """Return `size` of the devices, which are together as far as `level`, from the nearest groups that have enough."""
    if size <= 0:
        return ()
    if size >= len(devices) or level >= len(places[devices[0]]):
        return devices[:size]
    numbers = Counter(places[one][:depth] for one in devices for depth in range(1, len(places[one]) + 1))
    for depth in range(len(places[devices[0]]), level, -1):
        fitting = [one for one in devices if numbers[places[one][:depth]] >= size]
        if fitting:

            def left(one: str, depth: int = depth) -> list[int]:
                return [numbers[places[one][:wider]] for wider in range(depth, level, -1)]

            group = places[min(fitting, key=left)][:depth]
            return _empty(places, [one for one in devices if places[one][:depth] == group], size, depth)
    return _empty(places, devices, size, level)


def _empty(places: Mapping[str, Groups], devices: Sequence[str], size: int, level: int) -> Sequence[str]:
    """Return `size` of the devices: no group of the next level has so many, and the largest is taken whole."""
    if size >= len(devices) or level >= len(places[devices[0]]):
        return devices[:size]
    numbers = Counter(places[one][: level + 1] for one in devices)
    largest = max(numbers, key=lambda group: numbers[group])
    taken = [one for one in devices if places[one][: level + 1] == largest][:size]
    rest = [one for one in devices if one not in taken]
    return [*taken, *_pack(places, rest, size - len(taken), level)]


def _in_order(places: Mapping[str, Groups], devices: set[str]) -> tuple[str, ...]:
    return tuple(one for one in places if one in devices)
