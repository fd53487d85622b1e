from __future__ import annotations

from collections import Counter

import pytest

from tests.host.calls import CallHost
from tests.hosts import LIBDIR, Entries, host_of, inventory_of, library_entries, minimal_entries


def questions(entries: Entries) -> Counter[str]:
    host = CallHost(host_of(entries))
    inventory_of(host)
    return Counter(call.method for call in host.calls)


def with_libraries(count: int) -> Entries:
    entries = minimal_entries()
    for number in range(count):
        entries |= library_entries(f"libnvidia-l{number}", f"libnvidia-l{number}.so.1", LIBDIR)
    return entries


@pytest.mark.parametrize("counts", [(50, 100, 500)])
def test_questions_to_the_host_grow_linearly_with_libraries(counts: tuple[int, int, int]) -> None:
    few, more, many = (questions(with_libraries(count)) for count in counts)
    each = {method: (more[method] - few[method]) / (counts[1] - counts[0]) for method in more}
    assert each == {"lstat": 2, "elf": 1, "names": 0, "read": 0}
    assert {method: (many[method] - few[method]) / (counts[2] - counts[0]) for method in many} == each


def test_questions_to_the_host_grow_linearly_with_gpus() -> None:
    one, eight, many = (questions(minimal_entries(gpus=count)) for count in (1, 8, 64))
    each = {method: (eight[method] - one[method]) / 7 for method in eight}
    assert each == {"lstat": 10, "elf": 0, "names": 1, "read": 1}
    assert {method: (many[method] - one[method]) / 63 for method in many} == each


def test_nothing_is_asked_twice() -> None:
    host = CallHost(host_of(with_libraries(20)))
    inventory_of(host)
    asked = Counter((call.method, call.arguments[0]) for call in host.calls if call.method in ("lstat", "read"))
    assert {question: count for question, count in asked.items() if count > 1} == {}
