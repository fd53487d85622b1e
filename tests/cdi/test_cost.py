"""What a hostile document costs is bounded by its size, however much it means when it is written out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cdigen.cdi.validate import find_violations
from cdigen.errors import ParseError
from cdigen.oci.config import find_config_violations
from cdigen.parse.document import parse_document
from cdigen.schema import AND_MORE, MOST_VIOLATIONS, find_schema_violations, summarise
from cdigen.specs.reading import parse_spec
from tests.work import calls_of, peak_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdigen.schema import Violation

HEAD = "cdiVersion: 1.1.0\nkind: aa.com/bb\n"
MANY = 120


def many(item: str, number: int = MANY) -> str:
    """Return a flow sequence of items; `#` in an item becomes its position."""
    return f"[{', '.join(item.replace('#', str(n)) for n in range(number))}]"


def shared(key: str, item: str) -> str:
    """Return a spec with many devices of the same edits, which have one large array."""
    first = f"{{name: d, containerEdits: &e {{{key}: {many(item)}}}}}"
    rest = "".join(f", {{name: d{n}, containerEdits: *e}}" for n in range(MANY))
    return f"{HEAD}devices: [{first}{rest}]\n"


def nested_aliases(levels: int) -> str:
    """Return a spec of lists that are made of each other."""
    lines = [f"l{n}: &l{n} {many(f'*l{n - 1}' if n else 'x', 9)}\n" for n in range(levels)]
    return f"{''.join(lines)}{HEAD}devices: [{{name: a, containerEdits: {{env: *l{levels - 1}}}}}]\n"


SPECS = {
    "variables that are none": shared("env", "x#"),
    "one variable over and over": shared("env", "A=b"),
    "mounts without anything": shared("mounts", "{}"),
    "mounts of unknown keys": shared("mounts", "{hostPath: /a, containerPath: /b#, c: d, e: f}"),
    "one mount over and over": shared("mounts", "{hostPath: /a, containerPath: /b}"),
    "nodes": shared("deviceNodes", "{path: a#, type: x, major: -1, permissions: rrr, uid: -1}"),
    "hooks": shared("hooks", "{hookName: x, path: a, args: [1], env: [a]}"),
    "interfaces": shared("netDevices", "{hostInterfaceName: a, name: b}"),
    "groups": shared("additionalGids", "-1"),
    "one array in all edits": f"x: &x {many('{}')}\n{HEAD}devices: "
    + many("{name: d#, containerEdits: {mounts: *x, deviceNodes: *x, hooks: *x}}"),
    "one device over and over": f"x: &x {{name: a, b: {many('c#')}}}\n{HEAD}devices: {many('*x')}",
    "an array for a device": f"x: &x {many('c#')}\n{HEAD}devices: {many('*x')}",
    "annotations": f"x: &x {{{many('a#: 1')[1:-1]}}}\n{HEAD}devices: " + many("{name: d#, annotations: *x}"),
    "lists of lists of lists": nested_aliases(3),
    "lists of lists": f"l: &l {many('x')}\n{HEAD}devices: {many('[*l]')}",
    "unknown keys": "\n".join(f"kynd{n}: 1" for n in range(20_000)),
    "devices that are numbers": f"{HEAD}devices: {many('1', 20_000)}",
    "long keys": "\n".join(f"{'k' * 500}{n}: 1" for n in range(MANY)),
    "a long key": f"? {'k' * 100_000}\n: 1",
    "long texts": f"{HEAD}devices: {many(f'{{name: -{10_000 * chr(97)}#}}', 20)}",
    "permissions without an end": f"{HEAD}devices: [{{name: a, containerEdits: {{deviceNodes: [{{path: /a,"
    f" permissions: {''.join(map(chr, range(0x4E00, 0x9000)))}}}]}}}}]",
    "permissions of one letter": f"{HEAD}devices: [{{name: a, containerEdits: {{deviceNodes: [{{path: /a,"
    f" permissions: {'r' * 50_000}}}]}}}}]",
}


def judge(data: bytes) -> None:
    find_violations(parse_document(data), hook_free=True)


def read(data: bytes) -> None:
    parse_spec(data)


def judge_snapshot(data: bytes) -> None:
    summarise(find_schema_violations(parse_document(data), "snapshot"))


@pytest.mark.parametrize("do", [judge, read, judge_snapshot])
@pytest.mark.parametrize("what", SPECS)
def test_the_cost_of_a_document_is_bounded_by_its_size(what: str, do: Callable[[bytes], None]) -> None:
    data = SPECS[what].encode()
    do(data)  # what is imported once is not counted

    assert calls_of(lambda: do(data)) < 30 * len(data) + 50_000
    assert peak_of(lambda: do(data)) < 150 * len(data) + 2_000_000


@pytest.mark.parametrize("do", [judge, read, judge_snapshot])
@pytest.mark.parametrize("document", [nested_aliases(12), nested_aliases(6), "{a: " * 5000, "[" * 5000, "- " * 5000])
def test_what_no_engine_reads_is_refused_at_once(document: str, do: Callable[[bytes], None]) -> None:
    def refuse() -> None:
        with pytest.raises(ParseError):
            do(document.encode())

    refuse()
    assert calls_of(refuse) < 100 * len(document) + 50_000
    assert peak_of(refuse) < 150 * len(document) + 2_000_000


def places(violations: tuple[Violation, ...]) -> list[str]:
    return [violation.place for violation in violations]


@pytest.mark.parametrize("number", [MOST_VIOLATIONS - 1, MOST_VIOLATIONS, MOST_VIOLATIONS + 1, 5 * MOST_VIOLATIONS])
def test_of_many_violations_the_first_are_told_and_that_there_are_more(number: int) -> None:
    data = f"{HEAD}devices: {many('1', number)}".encode()
    expected = [f"$.devices[{position}]" for position in range(min(number, MOST_VIOLATIONS))]
    more = [AND_MORE.place] if number > MOST_VIOLATIONS else []

    assert places(find_violations(parse_document(data))) == expected + more
    assert places(parse_spec(data)[1]) == expected + more


def test_what_several_places_share_is_judged_at_the_first_of_them() -> None:
    first = "{name: a, containerEdits: &e {env: [x], mounts: [{}]}}"
    text = f"{HEAD}devices: [{first}, {{name: b, containerEdits: *e}}]"

    assert places(find_violations(parse_document(text.encode()))) == [
        "$.devices[0].containerEdits.env[0]",
        "$.devices[0].containerEdits.mounts[0]",
        "$.devices[0].containerEdits.mounts[0]",
    ]
    assert places(parse_spec(text.encode())[1]) == [
        "$.devices[0].containerEdits.env[0]",
        "$.devices[0].containerEdits.mounts[0]",
        "$.devices[0].containerEdits.mounts[0]",
    ]


def test_a_device_in_two_places_is_there_twice() -> None:
    text = f"{HEAD}devices: [&d {{name: a, containerEdits: {{env: [A=b]}}}}, *d]"

    assert places(find_violations(parse_document(text.encode()))) == ["$.devices[1].name"]
    assert places(parse_spec(text.encode())[1]) == ["$.devices[1].name"]


def test_the_violations_of_a_configuration_are_bounded() -> None:
    config = {"ociVersion": "1.0.0", "mounts": [{}] * 50_000, "process": {"env": [1] * 50_000}}
    document = parse_document(json.dumps(config).encode(), is_json=True)

    violations = find_config_violations(document)

    assert (len(violations), violations[-1]) == (MOST_VIOLATIONS + 1, AND_MORE)
    assert summarise(violations).endswith("; and more than 190 others")
