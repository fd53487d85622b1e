"""Specs for NVIDIA's devices: whose they are, which an engine takes, and what would keep it from working."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cdigen.catalog.engines import BOTH
from cdigen.doctor.specs import check_specs
from cdigen.engines.engines import Engine
from cdigen.host.live import LiveHost
from tests.doctor.contexts import context_of, lines
from tests.hosts import Entries, Entry, link, text, unreadable, without

if TYPE_CHECKING:
    from pathlib import Path

OURS, VENDORS = "/etc/cdi/nvidia.yaml", "/var/run/cdi/nvidia.yaml"
PODMAN = Engine(name="podman 4.3.1", directories=BOTH, reads="0.5.0")
BUILDAH = Engine(name="buildah 1.39.3", directories=("/etc/cdi",), reads="0.8.0")
HOOK = "/usr/bin/nvidia-cdi-hook"
NOTHING = "problem spec podman 4.3.1: finds no device of nvidia.com in /etc/cdi and /var/run/cdi -> cdigen generate"


def spec(*names: str, ours: bool = False, version: str = "0.5.0", hook: str | None = None, kind: str = "gpu") -> Entry:
    edits: dict[str, object] = {"env": ["A=b"]}
    if hook is not None:
        edits["hooks"] = [{"hookName": "createContainer", "path": hook}]
    devices = [{"name": name, "containerEdits": {"env": ["A=b"]}} for name in names]
    document = {"cdiVersion": version, "kind": f"nvidia.com/{kind}", "devices": devices, "containerEdits": edits}
    return text(("# Written by cdigen 1.2.3 for a driver.\n" if ours else "") + json.dumps(document))


def check(entries: Entries, *engines: Engine, is_recorded: bool = False) -> list[str]:
    return lines(check_specs(context_of(entries, is_recorded=is_recorded), engines)[0])


def test_our_spec_is_taken_by_every_engine() -> None:
    assert check({OURS: spec("0", "all", ours=True)}, PODMAN, BUILDAH) == [
        f"ok spec {OURS}: written by cdigen: nvidia.com/gpu, cdiVersion 0.5.0",
        f"ok spec podman 4.3.1: takes 2 devices from {OURS}",
        f"ok spec buildah 1.39.3: takes 2 devices from {OURS}",
    ]


def test_a_device_that_two_files_of_a_lower_directory_have_is_lost_for_engines() -> None:
    entries = {OURS: spec("0", ours=True), "/etc/cdi/other.yaml": spec("0"), VENDORS: spec("0")}
    (lost,) = (line for line in check(entries, PODMAN) if "cannot be resolved" in line)
    assert lost.startswith(
        "problem spec podman 4.3.1: nvidia.com/gpu=0 cannot be resolved: defined in /etc/cdi/nvidia.yaml and"
        " /etc/cdi/other.yaml, with equal precedence"
    )


def test_the_vendors_spec_shadows_ours_for_the_engines_that_read_it() -> None:
    entries: Entries = {
        OURS: spec("0", "all", ours=True),
        "/var/run": link("../run"),
        "/run/cdi/nvidia.yaml": spec("0", "1", hook=HOOK),
        HOOK: {"kind": "file"},
    }

    assert check(entries, PODMAN, BUILDAH) == [
        f"ok spec {OURS}: written by cdigen: nvidia.com/gpu, cdiVersion 0.5.0",
        f"ok spec {VENDORS}: written by the vendor's generator: nvidia.com/gpu, cdiVersion 0.5.0, with 1 hook program",
        (
            f"warning spec {OURS}: 1 device of it hidden by {VENDORS}, which takes precedence (written by the vendor's"
            " generator) -> disable the vendor's service and remove its spec:"
            " systemctl disable --now nvidia-cdi-refresh.path nvidia-cdi-refresh.service && rm -f"
            " /var/run/cdi/nvidia.yaml"
        ),
        f"ok spec podman 4.3.1: takes 1 device from {OURS} and 2 devices from {VENDORS}",
        f"ok spec buildah 1.39.3: takes 2 devices from {OURS}",
    ]
    assert (
        f"problem spec {VENDORS}: its hook {HOOK} is not there: containers do not start -> install what has"
        f" {HOOK}, or disable the vendor's service and remove its spec: systemctl disable --now nvidia-cdi-refresh.path"
        f" nvidia-cdi-refresh.service && rm -f {VENDORS}"
    ) in check(without(entries, HOOK), PODMAN)


def test_a_spec_that_no_engine_uses_has_no_problem() -> None:
    entries = {OURS: spec("0", hook=HOOK), VENDORS: spec("0", "1")}
    of_vendor = "written by the vendor's generator: nvidia.com/gpu, cdiVersion 0.5.0"

    assert check(entries, PODMAN) == [
        (
            f"ok spec {OURS}: {of_vendor}, with 1 hook program; no engine uses it: specs that take precedence have all"
            " its devices"
        ),
        f"ok spec {VENDORS}: {of_vendor}",
        f"ok spec podman 4.3.1: takes 2 devices from {VENDORS}",
    ]
    assert check(entries, BUILDAH)[:2] == [
        (
            f"problem spec {OURS}: its hook {HOOK} is not there: containers do not start -> install what has"
            f" {HOOK}, or regenerate it, or remove it: cdigen generate --output {OURS}"
        ),
        f"ok spec {OURS}: {of_vendor}, with 1 hook program",
    ]


def test_an_engine_that_finds_nothing_where_others_do_is_a_warning() -> None:
    assert check({VENDORS: spec("0")}, PODMAN, BUILDAH)[1:] == [
        f"ok spec podman 4.3.1: takes 1 device from {VENDORS}",
        "warning spec buildah 1.39.3: finds no device of nvidia.com in /etc/cdi -> cdigen generate",
    ]
    assert check({VENDORS: spec("0")}, BUILDAH)[1:] == [
        "problem spec buildah 1.39.3: finds no device of nvidia.com in /etc/cdi -> cdigen generate",
    ]


def test_a_device_twice_in_one_directory_cannot_be_resolved() -> None:
    other = "/etc/cdi/other.json"
    names = [str(number) for number in range(5)]
    entries = {OURS: spec(*names, ours=True), other: spec(*names)}

    assert check(entries, PODMAN) == [
        f"ok spec {OURS}: written by cdigen: nvidia.com/gpu, cdiVersion 0.5.0",
        f"ok spec {other}: author unknown: nvidia.com/gpu, cdiVersion 0.5.0",
        (
            "problem spec podman 4.3.1: nvidia.com/gpu=0, nvidia.com/gpu=1, nvidia.com/gpu=2 and 2 more cannot be"
            f" resolved: defined in {OURS} and {other}, with equal precedence -> keep one of them, such as {OURS}:"
            f" rm {other}"
        ),
    ]


def test_a_spec_that_is_newer_than_an_engine_is_a_warning_of_that_engine() -> None:
    assert check({OURS: spec("0", version="0.7.0", ours=True)}, PODMAN, BUILDAH)[1:] == [
        (
            f"warning spec podman 4.3.1: {OURS} has cdiVersion 0.7.0; it is known to read up to 0.5.0, and may"
            " refuse it"
            " -> if it does, regenerate the spec: cdigen generate --output /etc/cdi/nvidia.yaml"
        ),
        f"ok spec podman 4.3.1: takes 1 device from {OURS}",
        f"ok spec buildah 1.39.3: takes 1 device from {OURS}",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a\0", "line 1, column 2: a NUL character"),
        ("kind: nvidia.com/gpu\ncdiVersion: 0.5.0\ndevices: []\n", None),
    ],
)
def test_a_spec_that_is_not_valid_is_a_problem_for_who_has_no_other(content: str, reason: str | None) -> None:
    found = check({OURS: text(content)}, PODMAN)

    assert found[0].startswith(f"problem spec {OURS}: not a valid spec, so engines ignore it: {reason or '$'}")
    assert found[0].endswith(f" -> regenerate it, or remove it: cdigen generate --output {OURS}")
    assert found[1:] == [NOTHING]


def test_specs_of_others_and_files_that_are_none_are_passed_over() -> None:
    entries: Entries = {
        "/etc/cdi/net.yaml": text("kind: example.com/net\n"),
        "/etc/cdi/broken.yaml": text("["),
        "/etc/cdi/nvidia.yaml.bak": spec("0"),
        "/etc/cdi/nvidia.json": {"kind": "dir"},
    }

    assert check(entries, PODMAN) == [NOTHING]


def test_what_may_not_be_read_is_unknown_and_so_is_what_follows() -> None:
    closed: Entries = {OURS: unreadable("EACCES")}
    unknown = "finds no device of nvidia.com in /etc/cdi and /var/run/cdi, of which not all could be read"

    assert check(closed, PODMAN) == [
        f"unknown spec {OURS}: Permission denied -> run it as root",
        f"unknown spec podman 4.3.1: {unknown}",
    ]


def test_without_an_engine_the_usual_directories_are_looked_at() -> None:
    assert check({}, is_recorded=True) == ["unknown spec /etc/cdi and /var/run/cdi: not recorded in the snapshot"]
    assert check({OURS: spec("0")}) == [
        f"ok spec {OURS}: author unknown: nvidia.com/gpu, cdiVersion 0.5.0",
        f"ok spec an engine: takes 1 device from {OURS}",
    ]


def test_modes_that_close_a_spec_to_rootless_engines_are_warnings(tmp_path: Path) -> None:
    directory = tmp_path / "etc/cdi"
    directory.mkdir(parents=True)
    (directory / "nvidia.yaml").write_text(str(spec("0", ours=True)["text"]))
    (directory / "nvidia.yaml").chmod(0o600)
    directory.chmod(0o700)

    assert check_specs_live(tmp_path) == [
        "warning spec /etc/cdi: mode 0700: rootless engines cannot read it -> chmod 0755 /etc/cdi",
        f"warning spec {OURS}: mode 0600: rootless engines cannot read it -> chmod 0644 {OURS}",
        f"ok spec {OURS}: written by cdigen: nvidia.com/gpu, cdiVersion 0.5.0",
        f"ok spec podman 4.3.1: takes 1 device from {OURS}",
    ]


def check_specs_live(root: Path) -> list[str]:
    return lines(check_specs(context_of(LiveHost(str(root))), [PODMAN])[0])
