"""Names that come from a host, however odd, neither break nor extend the spec, and forge no line of a message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yaml import safe_load

from cdigen.cdi.model import to_document
from cdigen.cdi.validate import find_violations
from cdigen.parse.document import parse_document
from cdigen.plan.header_options import Choices
from cdigen.plan.options import BuildOptions
from cdigen.plan.plan import build_plan
from cdigen.plan.spec import build_spec
from cdigen.session.planner import Planned
from cdigen.specs.render import render_plan, validate_rendered
from tests.hosts import (
    LIBDIR,
    VERSION,
    bdf_of,
    information,
    inventory_of,
    library,
    link,
    minimal_entries,
    text,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost, MakeSnapshot
    from tests.hosts import Entries

FORGED = "x\n- hostPath: /etc/shadow\n  containerPath: /etc/shadow\n#"
ODD = (
    FORGED,
    "a: b",
    "{a: b}",
    "[a]",
    "- a",
    "*a",
    "&a",
    "!!python/name:os.system",
    "a #b",
    "'\"",
    "%YAML 1.1",
    "---",
    "true",
    "1e3",
    "~",
    "a\tb",
    "a\r\nb",
    "\x1b[2J",
    "\u2028",
    "\u202e",
    "é",
    "\U0001f600",
    " ",
    "..",
    "$(id)",
    "a=b,c",
)
INFORMATION = f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information"


def spec_of(entries: Entries) -> dict[str, object]:
    """Return the document that an engine reads in the YAML of this host's spec; check that JSON says the same."""
    inventory = inventory_of(entries)
    plan = build_plan(inventory, BuildOptions())
    planned = Planned(
        plan=plan, inventory=inventory, findings=inventory.findings, choices=Choices(options=BuildOptions())
    )
    rendered = render_plan(planned, "yaml")
    validate_rendered(rendered, "yaml")
    document = safe_load(rendered)
    assert document == to_document(build_spec(plan)) == parse_document(rendered)
    assert json.loads(render_plan(planned, "json")) == document
    assert find_violations(document, hook_free=True) == ()
    return cast("dict[str, object]", document)


PLAIN = spec_of(minimal_entries())


def without_uuid() -> dict[str, object]:
    devices = cast("list[dict[str, object]]", PLAIN["devices"])
    return {**PLAIN, "devices": [device for device in devices if not str(device["name"]).startswith("GPU-")]}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_uuid_gives_no_name(odd: str) -> None:
    entries = minimal_entries()
    entries[INFORMATION] = information(bdf=bdf_of(0), minor=0, uuid=f"GPU-{odd}")

    assert spec_of(entries) == without_uuid()


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_model_is_not_in_the_spec(odd: str) -> None:
    entries = minimal_entries()
    content = str(entries[INFORMATION]["text"]).replace("NVIDIA Fictional 9000", odd)

    assert spec_of({**entries, INFORMATION: text(content)}) == PLAIN


def odd_entries(odd: str) -> Entries:
    """Return a complete host that has `odd` in every name that may be of any length and kind."""
    name = odd.replace("/", "_").replace("\0", "")
    return {
        **minimal_entries(),
        f"{LIBDIR}/libnvidia-{name}.so.{VERSION}": library("libnvidia-odd.so.1"),
        f"{LIBDIR}/libcuda.so.{name}": link(f"libcuda.so.{VERSION}"),
        f"{LIBDIR}/libcuda.so.{VERSION}{name}": library("libcuda.so.1"),
        f"{LIBDIR}/libnvidia-soname.so.{VERSION}": library(f"lib/{odd}"),
        f"/usr/lib/firmware/nvidia/{VERSION}/gsp_{name}.bin": {"kind": "file"},
        f"/proc/driver/nvidia/gpus/{bdf_of(0)}{name}": {"kind": "dir"},
        f"/sys/devices/pci9999:00/{bdf_of(0)}/drm/card0{name}": {"kind": "dir"},
        f"/dev/dri/by-path/pci-{name}-card": link("../card0"),
        f"/dev/nvidia0{name}": minimal_entries()["/dev/nvidia0"],
        "/usr/share/vulkan/icd.d/nvidia_icd.json": text(json.dumps({"ICD": {"library_path": odd}})),
    }


def names_in(document: dict[str, object]) -> set[str]:
    """Return the paths of every mount and node, as the container has them."""
    all_edits = [
        document["containerEdits"],
        *(d["containerEdits"] for d in cast("list[dict[str, object]]", document["devices"])),
    ]
    return {
        str(entry.get("containerPath") or entry["path"])
        for edits in cast("list[dict[str, list[dict[str, object]]]]", all_edits)
        for key in ("mounts", "deviceNodes")
        for entry in edits.get(key, [])
    }


ICD = {"/etc/vulkan/icd.d/nvidia_icd.json"}


@pytest.mark.parametrize("odd", ODD)
def test_odd_names_of_files_are_left_out_or_taken_as_they_are(odd: str) -> None:
    document = spec_of(odd_entries(odd))

    more = names_in(document) - names_in(PLAIN) - ICD
    assert names_in(PLAIN) <= names_in(document)
    # What is taken has the name in it, whole: nothing was split off it.
    assert [path for path in more if odd not in path and not path.endswith("/libnvidia-odd.so.1")] == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(odd=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_any_name_leaves_the_spec_valid(odd: str) -> None:
    document = spec_of(odd_entries(odd))

    assert document.keys() == PLAIN.keys()
    assert names_in(PLAIN) <= names_in(document)
    assert all(path.isprintable() for path in names_in(document))


@pytest.mark.parametrize("command", ["generate", "list", "diff", "explain", "snapshot"])
def test_no_message_and_no_table_has_a_forged_line(
    command: str, tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    entries = odd_entries("\ncdigen: error: forged\x1b[2J")
    # No parser returns such a SONAME, and no snapshot may have one.
    entries[f"{LIBDIR}/libnvidia-soname.so.{VERSION}"] = library("libnvidia-soname.so.1")
    content = str(entries[INFORMATION]["text"]).replace("NVIDIA Fictional 9000", "A\x1b[2J\rB")

    spec = tmp_path / "other.yaml"
    spec.write_text("{cdiVersion: 0.3.0, kind: aa.com/bb, devices: [{name: a, containerEdits: {env: [A=b]}}]}")
    options = {"generate": ("-o", "-"), "diff": ("--spec", spec)}.get(command, ())

    run = cdigen(command, "--snapshot", make_snapshot({**entries, INFORMATION: text(content)}), *options)

    assert run.code == (1 if command == "diff" else 0)
    assert "\n" + "cdigen: error" not in f"\n{run.out}\n{run.err}"
    assert (run.out + run.err).replace("\n", "").isprintable()


def test_odd_names_on_a_real_disk_are_no_different(make_host: MakeHost, cdigen: Cdigen) -> None:
    root = make_host()
    plain = cdigen("generate", "--host-root", root, "-o", "-")
    directory = root / LIBDIR[1:]
    for name in (f"libnvidia-{FORGED.replace('/', '_')}.so.{VERSION}", "libcuda.so.\udcff", "libcuda.so.1\n"):
        (directory / name).symlink_to(f"libcuda.so.{VERSION}")
    (root / "usr" / "lib" / "\udcff\n").mkdir()

    run = cdigen("generate", "--host-root", root, "-o", "-")

    assert (run.code, run.out, run.err) == (0, plain.out, "")
