"""What is done with an input that is a document, or bytes of some other form; and what must hold of the answer."""

from __future__ import annotations

import io
import math
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cdigen.catalog.xids import RECOVERY_ACTION
from cdigen.cdi.engine_form import read_as_engines
from cdigen.cdi.render import render_json, render_yaml
from cdigen.cdi.validate import find_violations
from cdigen.errors import DocumentError, ParseError
from cdigen.host import Entry
from cdigen.kubernetes.api import parse_allocate_request, parse_preferred_request
from cdigen.kubernetes.protobuf import encode_message, encode_texts
from cdigen.oci.config import find_config_violations
from cdigen.oci.edits import apply_edits
from cdigen.options.duration import MOST_SECONDS, parse_duration
from cdigen.parse import nvml_values
from cdigen.parse.document import parse_document
from cdigen.parse.elf import glibc_floor, parse_elf
from cdigen.parse.engine_document import format_scalar, parse_as_engines
from cdigen.parse.kmsg import parse_kernel_message, parse_xid, says_module_loaded
from cdigen.parse.nvml import parse_nvml, render_nvml
from cdigen.parse.text import decode_json
from cdigen.plan.header_options import format_choices, parse_choices
from cdigen.specs.header import header_options, is_ours, may_become_ours, spec_header
from cdigen.specs.on_disk import read_registry
from cdigen.specs.reading import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cdigen.cdi.registry import SourcedEdits


from tests.fuzz.properties import SEPARATOR, check_line, temporary_directory

_MOST_RENDERED = 2_000
"""The most values of a document that is written and read again: aliases can make a million of a few bytes."""


def elf(data: bytes) -> None:
    """Read the headers of a library, and the glibc that it needs."""
    glibc_floor(parse_elf(io.BytesIO(data), len(data)).versions)


def nvml(data: bytes) -> None:
    """Read an answer of NVML; what is written of it is read as the same."""
    facts = parse_nvml(decode_json(data))
    assert parse_nvml(render_nvml(facts)) == facts


def nvml_value(data: bytes) -> None:
    """Read a text as each value of NVML; what is read of it is read as the same."""
    text = data.decode(errors="surrogateescape")
    parsers: tuple[Callable[[object], str], ...] = (
        nvml_values.parse_bus_id,
        nvml_values.parse_compute,
        nvml_values.parse_gpu_uuid,
        nvml_values.parse_mig_uuid,
        nvml_values.parse_name,
        nvml_values.parse_profile,
    )
    for parse in parsers:
        with suppress(ParseError):
            value = parse(text)
            assert parse(value) == value
            assert value.isprintable()
    with suppress(ParseError):
        nvml_values.parse_mig_name(text)
    with suppress(ParseError):
        nvml_values.parse_number(int.from_bytes(data[:5], "big", signed=True))


def yaml(data: bytes) -> None:
    """Read a YAML document; what is written of it is read as the same."""
    value = parse_document(data)
    if _is_small(value):
        assert parse_document(render_yaml(value)) == value
        assert parse_document(render_yaml(value, compact=True)) == value


def json(data: bytes) -> None:
    """Read a JSON document; what is written of it is read as the same."""
    value = parse_document(data, is_json=True)
    if _is_small(value):
        assert parse_document(render_json(value), is_json=True) == value


def engine_document(data: bytes) -> None:
    """Read a document as engines do; what we write of it they read as the same."""
    value = parse_as_engines(data)
    if _is_small(value) and _is_json(value):
        assert parse_as_engines(render_yaml(value)) == value


def validate(data: bytes) -> None:
    """Judge a document by our rules; one that breaks none is taken by engines."""
    document = parse_document(data)
    violations = find_violations(document, hook_free=True)
    for violation in violations:
        check_line(violation.place, violation.message)
    if not find_violations(document):
        _, refused = read_as_engines(document, format_scalar)
        assert refused == ()


def spec(data: bytes) -> None:
    """Judge a spec as engines do; what it is for them is the same for them again."""
    found, violations = parse_spec(data)
    for violation in violations:
        check_line(violation.place, violation.message)
    if not violations:
        assert read_as_engines(found, format_scalar) == (found, ())


def registry(data: bytes) -> None:
    """Look up and apply the devices of two specs of one directory; applied twice they are applied once."""
    parts = dict(zip(("a.yaml", "b.json"), data.split(SEPARATOR, 1), strict=False))
    registry = read_registry((_spec_directory(),), read=lambda path: parts.get(os.path.basename(path), b""))
    for file in registry.files:
        check_line(*file.problems)
    for name in registry.devices():
        registry.winner(name)
    with suppress(DocumentError):
        registry.resolve(["nvidia.com/gpu=0"])
    _apply_twice({"ociVersion": "1.0.2"}, registry.resolve(registry.devices()))


def oci_config(data: bytes) -> None:
    """Judge the configuration of a bundle, and apply edits of every kind to one that breaks no rule."""
    document = parse_document(data, is_json=True)
    violations = find_config_violations(document)
    for violation in violations:
        check_line(violation.place, violation.message)
    if not violations:
        _apply_twice(cast("dict[str, object]", document), _every_kind_of_edit())


def header(data: bytes) -> None:
    """Read the options in a spec's header; what is written of them says the same."""
    assert may_become_ours(data) or not is_ours(data)
    options = format_choices(parse_choices(header_options(data)))
    written = render_yaml({}, spec_header("a test", options))
    assert is_ours(written)
    if options.isprintable():  # the header has all else escaped
        assert format_choices(parse_choices(header_options(written))) == options


def kmsg(data: bytes) -> None:
    """Read a record of the kernel's log, and the Xid in it."""
    message = parse_kernel_message(data)
    says_module_loaded(message.text)
    xid = parse_xid(message.text)
    assert xid is None or (xid.recovery is None or xid.number == RECOVERY_ACTION)


def device_plugin(data: bytes) -> None:
    """Read what a kubelet asks for; what is written of it is read as the same."""
    containers = parse_allocate_request(data)
    again = b"".join(encode_message(1, encode_texts(1, ids)) for ids in containers)
    assert parse_allocate_request(again) == containers
    for wanted in parse_preferred_request(data):
        assert -(1 << 31) <= wanted.size < 1 << 31


def duration(data: bytes) -> None:
    """Read a time span."""
    seconds = parse_duration(data.decode(errors="surrogateescape"))
    assert math.isfinite(seconds)
    assert 0 <= seconds <= MOST_SECONDS


def _is_small(value: object) -> bool:
    left = [value]
    for _ in range(_MOST_RENDERED):
        if not left:
            return True
        item = left.pop()
        if isinstance(item, dict | list):
            left += item.values() if isinstance(item, dict) else item
            if len(left) > _MOST_RENDERED:
                return False
    return False


def _is_json(value: object) -> bool:
    """Tell whether a small document has nothing that JSON has not: no infinity."""
    if isinstance(value, dict | list):
        return all(map(_is_json, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def _apply_twice(config: dict[str, object], edits: Iterable[SourcedEdits]) -> None:
    edits = tuple(edits)
    once = apply_edits(config, edits, find_node=_find_node)
    assert find_config_violations(once) == ()
    assert apply_edits(once, edits, find_node=_find_node) == once


def _find_node(path: str) -> Entry | None:
    del path
    return Entry(kind="char", mode=0o666, major=195, minor=0)


@cache
def _spec_directory() -> str:
    directory = Path(temporary_directory()) / "specs"
    directory.mkdir()
    for name in ("a.yaml", "b.json"):
        (directory / name).touch()
    return str(directory)


@cache
def _every_kind_of_edit() -> tuple[SourcedEdits, ...]:
    text = b"""
cdiVersion: 1.1.0
kind: example.com/all
containerEdits: {env: [A=b], additionalGids: [44]}
devices:
- name: a
  containerEdits:
    deviceNodes:
    - {path: /dev/a}
    - {path: /dev/b, type: c, major: 1, minor: 3, fileMode: 438, permissions: rw, uid: 1, gid: 2}
    mounts: [{hostPath: /etc/a, containerPath: /etc/a, type: bind, options: [ro, bind]}]
    hooks: [{hookName: prestart, path: /bin/true, args: [true], env: [B=c], timeout: 3}]
    intelRdt: {closID: a, l3CacheSchema: b, memBwSchema: c}
    netDevices: [{hostInterfaceName: eth0, name: eth1}]
"""
    registry = read_registry((_spec_directory(),), read=lambda path: text if path.endswith("a.yaml") else b"")
    return registry.resolve(registry.devices())
