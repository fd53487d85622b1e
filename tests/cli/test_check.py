"""cdigen check: a spec was right when it was written; each test changes one thing of the host, or beside the spec."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from cdigen.parse.document import parse_document
from cdigen.schema import find_schema_violations
from cdigen.specs.found import MAX_SPECS
from tests.cli.program import bound_to_permissions, run_program
from tests.golden.hosts import GOLDEN_HOSTS, GoldenHost
from tests.hosts import (
    LIBDIR,
    NOT_ELF,
    OTHER_VERSION,
    VERSION,
    Entries,
    bdf_of,
    damaged,
    information,
    kernel_entries,
    library,
    library_entries,
    mig_entries,
    minimal_entries,
    moved,
    text,
    unreadable,
    uuid_of,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost, MakeSnapshot
    from tests.cli.program import Run

    Recheck = Callable[..., Run]

TRUE = "driver 999.88.77, 1 GPU, 3 devices"

OPENCL = f"{LIBDIR}/libnvidia-opencl.so.{VERSION}"
WITH_OPENCL = {**minimal_entries(), **library_entries("libnvidia-opencl", "libnvidia-opencl.so.1", LIBDIR)}
"""A host with a library more."""


@pytest.fixture
def recheck(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> Recheck:
    """Write the spec of one host, then check it against another."""

    def do(before: Entries, after: Entries, *options: str, check_options: tuple[str, ...] = ()) -> Run:
        spec = tmp_path / "nvidia.yaml"
        written = cdigen("generate", "--snapshot", make_snapshot(before), "-o", spec, *options)
        assert written.code == 0, written.err
        return cdigen("check", "--snapshot", make_snapshot(after), spec, "--fail-on", "warning", *check_options)

    return do


def report(run: Run, tmp_path: Path) -> list[str]:
    """Return the lines of a report, each with its remedy, where the only spec's path is SPEC."""
    assert run.err == ""
    body, _, _ = run.out.replace(str(tmp_path / "nvidia.yaml"), "SPEC").rpartition("\n\n")
    return joined(body)


def joined(body: str) -> list[str]:
    """Return the lines of a report, what to do about each at its end."""
    body = re.sub(r"(\n {18}-> .*)\n {18}\$ ", r"\1: ", body)
    return body.replace("\n                  -> ", " -> ").replace("\n                  $ ", " -> ").split("\n")


def told(lines: list[str]) -> list[str]:
    """Return lines with what to do set off as errors have it, whether it is a field of theirs or in their message."""
    return [line.replace(" -> ", "; ") for line in lines]


def wrong(level: str, message: str, remedy: str = "cdigen generate --output SPEC") -> str:
    return f"{level:<7}  spec     SPEC: {message} -> {remedy}"


@pytest.mark.parametrize(
    "host", [host for host in GOLDEN_HOSTS if not host.is_refused], ids=lambda host: str(host.name)
)
def test_every_golden_spec_is_true_of_its_host(host: GoldenHost, cdigen: Cdigen) -> None:
    nvml = [word for word in host.arguments if word.startswith("--nvml")]
    for path in (host.spec_path, *host.mode_specs.values()):
        run = cdigen("check", "--json", "--snapshot", host.snapshot, "--spec", path, *(nvml or ["--nvml=auto"]))

        document = json.loads(run.out)
        assert find_schema_violations(document, "report") == ()
        assert (run.code, run.err, document["true"]) == (0, "", True), document
        assert [one["level"] for one in document["diagnoses"]] == ["ok"], document
        assert document["diagnoses"][0]["message"].startswith("true of this host: ")


@pytest.mark.parametrize(
    "host", [host for host in GOLDEN_HOSTS if not host.is_refused], ids=lambda host: str(host.name)
)
def test_without_nvml_no_golden_spec_is_called_untrue(host: GoldenHost, cdigen: Cdigen) -> None:
    for path in (host.spec_path, *host.mode_specs.values()):
        run = cdigen("check", "--snapshot", host.snapshot, "--spec", path)

        assert (run.code, run.err) == (0, ""), run.out


def test_a_spec_is_true_of_the_host_that_it_was_made_of(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(), minimal_entries())

    assert (run.code, run.err) == (0, "")
    assert run.out == (
        f"ok       spec     {tmp_path}/nvidia.yaml: true of this host: {TRUE}, 20 mounts\n\ntrue of this host: 1 ok\n"
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--capabilities", "compute"),
        ("--no-all", "--device-name-strategy", "uuid"),
        ("--device", "0", "--container-lib-dir", "/opt/a b"),
        ("--mode", "management", "--vendor", "example.org"),
    ],
)
def test_the_options_of_the_spec_are_in_its_header(options: tuple[str, ...], recheck: Recheck) -> None:
    entries = {**minimal_entries(gpus=2), "/proc/devices": text("Character devices:\n195 nvidia\n")}

    run = recheck(entries, entries, *options)

    assert (run.code, run.err) == (0, ""), run.out
    assert ": true of this host: " in run.out


def test_a_library_that_has_gone(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(WITH_OPENCL, minimal_entries())

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong(
            "problem",
            f"1 of the 8 files that it mounts is gone: containers do not start ({OPENCL})",
        )
    ]


def test_a_library_that_is_new(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(), WITH_OPENCL)

    assert run.code == 1
    assert report(run, tmp_path) == [wrong("warning", f"{OPENCL} is there but not mounted")]


def test_a_library_that_is_damaged(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(WITH_OPENCL, {**WITH_OPENCL, OPENCL: damaged(NOT_ELF)})

    assert run.code == 1
    assert report(run, tmp_path) == [wrong("problem", f"{OPENCL} is mounted but should not be: {NOT_ELF}")]


def test_a_library_that_has_become_a_directory(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(WITH_OPENCL, {**WITH_OPENCL, OPENCL: {"kind": "dir"}})

    assert run.code == 1
    assert report(run, tmp_path) == [wrong("problem", f"{OPENCL} is mounted but should not be: not a regular file")]


def test_a_library_that_has_another_soname(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(WITH_OPENCL, {**WITH_OPENCL, OPENCL: library("libnvidia-opencl.so.2")})

    assert run.code == 1
    assert report(run, tmp_path) == [wrong("problem", f"{OPENCL} is to be mounted under other names now")]


def test_an_upgrade_with_its_new_module(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(), minimal_entries(OTHER_VERSION))

    names = ("libcuda", "libnvidia-gpucomp")
    paths = ["/usr/lib/firmware/nvidia/{v}/gsp_ga10x.bin", *(f"{LIBDIR}/{name}.so.{{v}}" for name in names)]
    gone, new = (", ".join(path.format(v=v) for path in paths) for v in (VERSION, OTHER_VERSION))
    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("warning", f"{new} and 3 more are there but not mounted"),
        wrong("problem", f"it is of driver {VERSION}; the host's is {OTHER_VERSION}"),
        wrong(
            "problem",
            f"6 of the 7 files that it mounts are gone: containers do not start ({gone} and 3 more)",
        ),
    ]


def test_an_upgrade_whose_module_is_not_loaded_yet(recheck: Recheck, tmp_path: Path) -> None:
    after = {**minimal_entries(OTHER_VERSION), **kernel_entries(VERSION)}

    run = recheck(minimal_entries(), after)

    assert run.code == 1
    assert told(report(run, tmp_path)) == told(
        [
            wrong(
                "problem",
                f"the kernel module is {VERSION} (/proc/driver/nvidia/version) but the user-space driver is"
                f" {OTHER_VERSION} ({LIBDIR}/libcuda.so.{OTHER_VERSION})",
                "reboot to load the module that was installed with it, or install the user-space driver 999.88.77",
            )
        ]
    )


def test_a_warning_fails_only_where_it_is_to(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    spec = tmp_path / "nvidia.yaml"
    assert cdigen("generate", "--snapshot", make_snapshot(), "-o", spec).code == 0
    after = make_snapshot(WITH_OPENCL)

    run = cdigen("check", "--snapshot", after, spec)
    assert (run.code, run.err) == (0, "")
    assert run.out.endswith("\n\ntrue of this host: 1 warning\n")
    for fail_on, code in (("problem", 0), ("warning", 1)):
        run = cdigen("check", "--snapshot", after, spec, "--fail-on", fail_on, "--json")
        assert (run.code, json.loads(run.out)["true"]) == (code, True)


def test_the_file_may_be_an_option_and_not_both(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    spec, snapshot = tmp_path / "nvidia.yaml", make_snapshot()
    assert cdigen("generate", "--snapshot", snapshot, "-o", spec).code == 0

    named = cdigen("check", "--snapshot", snapshot, spec)
    assert named.code == 0
    assert cdigen("check", "--snapshot", snapshot, "--spec", spec) == named
    assert cdigen("check", "--snapshot", snapshot, "--spec", spec, spec).code == 2


def test_a_gpu_that_has_gone(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(gpus=2), minimal_entries())

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("problem", f"nvidia.com/gpu=1 and nvidia.com/gpu={uuid_of(1)} are offered but no longer there")
    ]


def test_a_gpu_that_is_new(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(), minimal_entries(gpus=2))

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("warning", f"nvidia.com/gpu=1 and nvidia.com/gpu={uuid_of(1)} are there but not offered")
    ]


def test_gpus_that_have_changed_places(recheck: Recheck, tmp_path: Path) -> None:
    swapped = {
        **minimal_entries(gpus=2),
        f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information": information(bdf=bdf_of(0), minor=1, uuid=uuid_of(0)),
        f"/proc/driver/nvidia/gpus/{bdf_of(1)}/information": information(bdf=bdf_of(1), minor=0, uuid=uuid_of(1)),
    }

    run = recheck(minimal_entries(gpus=2), swapped)

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong(
            "problem",
            f"nvidia.com/gpu=0, nvidia.com/gpu={uuid_of(0)}, nvidia.com/gpu=1 and 1 more are offered with device"
            " nodes that differ from the host's",
        )
    ]


def test_a_gpu_that_sleeps_is_not_called_another(recheck: Recheck, tmp_path: Path) -> None:
    asleep = information(bdf=bdf_of(0), minor=0, uuid="GPU-????????-????-????-????-????????????")

    run = recheck(minimal_entries(), {**minimal_entries(), f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information": asleep})

    assert (run.code, report(run, tmp_path)) == (
        0,
        [f"ok       spec     SPEC: true of this host: {TRUE.replace('3', '2')}, 20 mounts"],
    )


def asleep(index: int) -> Entries:
    """Return the GPU as procfs has it before anything has used it."""
    unknown = "GPU-????????-????-????-????-????????????"
    path = f"/proc/driver/nvidia/gpus/{bdf_of(index)}/information"
    return {path: information(bdf=bdf_of(index), minor=index, uuid=unknown)}


BY_NVML = "true of this host: driver {version}; NVML alone tells which devices its names mean"


@pytest.mark.parametrize(
    "options",
    [
        ("--device", uuid_of(1)),
        ("--device-name-strategy", "uuid"),
        ("--device-name-strategy", "uuid", "--no-all"),
        ("--device", uuid_of(0), "--device-name-strategy", "type-index"),
    ],
)
def test_names_that_a_sleeping_gpu_does_not_tell_are_not_judged(
    options: tuple[str, ...], recheck: Recheck, tmp_path: Path
) -> None:
    host = {**minimal_entries(gpus=2), **library_entries("libnvidia-opencl", "libnvidia-opencl.so.1", LIBDIR)}

    run = recheck(host, {**host, **asleep(0), **asleep(1)}, *options)
    assert (run.code, report(run, tmp_path)) == (0, [f"ok       spec     SPEC: {BY_NVML.format(version=VERSION)}"])

    gone = without(host, OPENCL)
    run = recheck(host, {**gone, **asleep(0), **asleep(1)}, *options)
    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong(
            "problem",
            f"1 of the 8 files that it mounts is gone: containers do not start ({OPENCL})",
            f"cdigen generate --output SPEC {' '.join(written_as(options))}",
        )
    ]


def written_as(options: tuple[str, ...]) -> list[str]:
    """Return options as a header has them: those with a value in one word, in its order."""
    words = " ".join(options).replace("--device ", "--device=").replace("strategy ", "strategy=").split()
    order = ["--device", "--device-name-strategy", "--no-all"]
    return sorted(words, key=lambda word: order.index(word.partition("=")[0]))


def test_a_gpu_that_has_gone_is_missed_also_where_the_others_sleep(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(gpus=2), {**minimal_entries(), **asleep(0)}, "--device", uuid_of(1))

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong(
            "problem",
            f"nvidia.com/gpu=1 and nvidia.com/gpu={uuid_of(1)} are offered but no longer there",
            f"cdigen generate --output SPEC --device={uuid_of(1)}",
        )
    ]


GOLDEN = {host.name: host for host in GOLDEN_HOSTS}


@pytest.mark.parametrize(
    "options",
    [
        ("--device", "0:2"),
        ("--device", "MIG-8970491e-16e0-5140-9f8f-d561baa3c186", "--no-all"),
        ("--device-name-strategy", "uuid"),
    ],
)
def test_mig_devices_that_were_chosen_with_nvml_are_not_judged_without(
    options: tuple[str, ...], tmp_path: Path, cdigen: Cdigen
) -> None:
    host, spec = GOLDEN["a100-580-mig"], tmp_path / "nvidia.yaml"
    assert cdigen("generate", "--snapshot", host.snapshot, "--nvml", "auto", "-o", spec, *options).code == 0

    run = cdigen("check", "--snapshot", host.snapshot, "--spec", spec)
    assert (run.code, report(run, tmp_path)) == (0, [f"ok       spec     SPEC: {BY_NVML.format(version='580.105.08')}"])
    run = cdigen("check", "--snapshot", host.snapshot, "--spec", spec, "--nvml", "auto")
    assert (run.code, run.err) == (0, "")
    assert "true of this host: driver 580.105.08, 1 GPU, " in run.out


def test_without_nvml_a_coherent_spec_of_another_driver_is_untrue_all_the_same(cdigen: Cdigen) -> None:
    spec = GOLDEN["gb200-580-arm64-coherent"].spec_path.with_name("nvidia-coherent.yaml")

    run = cdigen("check", "--snapshot", GOLDEN["rocky9-615"].snapshot, "--spec", spec)

    assert (run.code, run.err) == (1, "")
    assert f"problem  spec     {spec}: it is of driver 580.173.02; the host's is 6" in run.out


def test_devices_of_a_class_that_have_gone(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    spec = GOLDEN["gb200-580-imex"].spec_path.with_name("nvidia-imex.yaml")

    run = cdigen("check", "--snapshot", make_snapshot(), "--spec", spec)

    assert (run.code, run.err) == (1, "")
    assert run.out.startswith(f"problem  spec     {spec}: there is no IMEX channel, ")
    assert f"if they are gone for good, remove the spec instead: cdigen remove {spec}\n" in run.out


def test_mig_instances_that_come_and_go(recheck: Recheck, tmp_path: Path) -> None:
    whole = {**minimal_entries(), "/proc/devices": text("Character devices:\n195 nvidia\n508 nvidia-caps\n")}
    before = {**whole, **mig_entries(0, (1, 0), (2, 0))}

    assert recheck(before, before).code == 0
    run = recheck(before, {**whole, **mig_entries(0, (2, 0), (3, 0))})
    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("warning", "nvidia.com/gpu=0:1 is there but not offered"),
        wrong("problem", "nvidia.com/gpu=0:0 is offered but no longer there"),
    ]
    run = recheck(whole, before)
    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("warning", "nvidia.com/gpu=0:0 and nvidia.com/gpu=0:1 are there but not offered"),
        wrong("problem", f"nvidia.com/gpu=0 and nvidia.com/gpu={uuid_of(0)} are offered but no longer there"),
    ]


def test_a_node_that_has_gone(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(), without(minimal_entries(), "/dev/nvidia-uvm"))

    assert run.code == 1
    (line,) = report(run, tmp_path)
    assert told([line])[0].startswith("problem  spec     SPEC: /dev/nvidia-uvm is missing; ")
    assert "cdigen nodes --create" in line


def test_a_node_of_all_devices_that_a_spec_can_do_without_but_this_one_has(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(), without(minimal_entries(), "/dev/nvidia-modeset"))

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong(
            "problem",
            "/dev/nvidia-modeset is gone: containers that get such a device do not start",
            "create what is gone; where it is gone for good, regenerate the spec instead: cdigen nodes --create",
        )
    ]


def test_a_drm_node_that_has_gone(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(), without(minimal_entries(), "/dev/dri/renderD128"))

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong(
            "problem",
            f"nvidia.com/gpu=0, nvidia.com/gpu={uuid_of(0)} and nvidia.com/gpu=all are offered with device nodes"
            " that differ from the host's",
        )
    ]


def test_what_was_edited_by_hand(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    spec, snapshot = tmp_path / "nvidia.yaml", make_snapshot()
    assert cdigen("generate", "--snapshot", snapshot, "-o", spec).code == 0
    spec.write_text(spec.read_text().replace("=void", "=all"))

    run = cdigen("check", "--snapshot", snapshot, "--fail-on", "warning", spec)

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("warning", "differs from what would be written now in env NVIDIA_VISIBLE_DEVICES (see: cdigen diff)")
    ]
    spec.write_text(spec.read_text().replace("=all", "=void").replace("- ro\n", "- rw\n", 1))
    run = cdigen("check", "--snapshot", snapshot, "--fail-on", "warning", spec)
    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong(
            "warning",
            "differs from what would be written now in mount"
            f" /lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin (see: cdigen diff)",
        )
    ]


def test_a_header_that_was_edited(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    spec, snapshot = tmp_path / "nvidia.yaml", make_snapshot()
    assert cdigen("generate", "--snapshot", snapshot, "-o", spec, "--no-all").code == 0
    spec.write_text(spec.read_text().replace("--no-all", "--output=/etc/shadow"))

    run = cdigen("check", "--snapshot", snapshot, "--spec", spec)

    assert run.code == 1
    line = (
        "problem  spec     the header of SPEC cannot be read: '--output=/etc/shadow' is not an option of a spec"
        " -> regenerate the spec with: cdigen generate --output SPEC"
    )
    assert told(report(run, tmp_path)) == told([line])


def test_a_file_that_is_no_spec(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    spec = tmp_path / "nvidia.yaml"
    spec.write_text("cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: {}\n")

    run = cdigen("check", "--snapshot", make_snapshot(), "--spec", spec)

    assert run.code == 1
    (line,) = report(run, tmp_path)
    assert line.startswith("problem  spec     SPEC: not a valid spec, so engines ignore it: $.devices: ")
    assert line.endswith(" -> regenerate it, or remove it: cdigen generate --output SPEC")


def test_a_file_that_is_not_there(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    run = cdigen("check", "--snapshot", make_snapshot(), "--spec", tmp_path / "no.yaml")

    assert (run.code, run.out) == (7, "")
    message = f"cannot read {tmp_path}/no.yaml: No such file or directory; check the path"
    assert run.err == f"cdigen: error: {message}\n"


class Live:
    """A host with a spec in its /etc/cdi."""

    def __init__(self, root: Path, cdigen: Cdigen, *options: str) -> None:
        """Write the spec of the host at `root`."""
        self.root, self.cdigen = root, cdigen
        self.spec = root / "etc/cdi/nvidia.yaml"
        self.spec.parent.mkdir(parents=True, exist_ok=True)
        assert self.generate(*options).code == 0

    def generate(self, *options: str) -> Run:
        return self.cdigen("generate", "--host-root", self.root, "-o", self.spec, *options)

    def check(self, *options: str) -> list[str]:
        run = self.cdigen("check", "--host-root", self.root, *options)
        assert run.err == ""
        lines = joined(run.out.rpartition("\n\n")[0])
        problems = [line for line in lines if line.startswith("problem")]
        assert run.code == (1 if problems else 0), run.out
        return lines


@pytest.fixture
def live(make_host: MakeHost, cdigen: Cdigen) -> Live:
    return Live(make_host(), cdigen)


OURS = "/etc/cdi/nvidia.yaml"
LIVE_TRUE = f"ok       spec     {OURS}: true of this host: {TRUE}, 20 mounts"


def test_the_spec_in_the_directory_of_the_engines_is_looked_at(live: Live) -> None:
    assert live.check() == [LIVE_TRUE]

    (live.root / f"usr/lib/x86_64-linux-gnu/libnvidia-ml.so.{VERSION}").unlink()
    assert live.check()[1].startswith(
        f"problem  spec     {OURS}: 1 of the 7 files that it mounts is gone: containers do"
    )


def test_a_spec_that_hides_ours(live: Live) -> None:
    other = live.root / "run/cdi/nvidia.yaml"
    other.parent.mkdir(parents=True)
    (live.root / "var").mkdir(exist_ok=True)
    (live.root / "var/run").symlink_to("../run")
    document = "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {deviceNodes: [%s]}}]\n"
    other.write_text(document % "{path: /dev/nvidia0}")

    disable = (
        "disable the vendor's service and remove its spec: systemctl disable --now nvidia-cdi-refresh.path"
        " nvidia-cdi-refresh.service -> rm -f /var/run/cdi/nvidia.yaml"
    )
    shadow = (
        f"warning  spec     {OURS}: 1 device of it hidden by /var/run/cdi/nvidia.yaml, which takes"
        f" precedence (written by the"
        f" vendor's generator) -> {disable}"
    )
    theirs = "ok       spec     /var/run/cdi/nvidia.yaml: all files and device nodes that it names are there"
    assert live.check() == [LIVE_TRUE, theirs, shadow]

    other.write_text(document % "{path: /dev/nvidia0}, {path: /dev/nvidia7}, {path: /dev/null, hostPath: /etc/cdi}")
    assert live.check() == [
        LIVE_TRUE,
        shadow,
        (
            "problem  spec     /var/run/cdi/nvidia.yaml: /dev/nvidia7 is gone: containers that get such a device do not"
            f" start -> {disable}"
        ),
        (
            "problem  spec     /var/run/cdi/nvidia.yaml: /etc/cdi is no longer such a device node: containers"
            f" do not start -> {disable}"
        ),
    ]


def foreign(*nodes: str, mounts: str = "") -> str:
    listed = f"  mounts: [{mounts}]\n" if mounts else "  env: [A=b]\n"
    return (
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: all\n"
        f"  containerEdits: {{deviceNodes: [{', '.join(nodes)}]}}\ncontainerEdits:\n{listed}"
    )


def test_what_engines_make_themselves_need_not_be_there(live: Live) -> None:
    compat = f"/opt/compat/libcuda.so.{OTHER_VERSION}"
    (live.root / "opt/compat").mkdir(parents=True)
    (live.root / compat[1:]).touch()
    live.spec.write_text(
        foreign(
            "{path: /run/fifo, type: p}",
            "{path: /dev/nvidia0, type: c, major: 195, minor: 0}",
            mounts="{hostPath: /nowhere, containerPath: /tmp/x, type: tmpfs},"
            f" {{hostPath: {compat}, containerPath: /usr/lib64/compat.so}},"
            f" {{hostPath: {LIBDIR}/libcuda.so.{VERSION}, containerPath: /usr/lib64/libcuda.so.1}}",
        )
    )

    assert live.check() == [f"ok       spec     {OURS}: all files and device nodes that it names are there"]


def test_nodes_of_other_numbers_or_types_than_a_spec_says(live: Live) -> None:
    nodes = ("{path: /dev/nvidia0, type: b}", "{path: /dev/nvidia-uvm, type: c, major: 508, minor: 0}")
    live.spec.write_text(foreign(*nodes))

    renew = "regenerate it with the program that wrote it"
    assert live.check() == [
        f"problem  spec     {OURS}: /dev/nvidia0 is no longer such a device node: containers do not start -> {renew}",
        (
            f"problem  spec     {OURS}: device numbers of /dev/nvidia-uvm differ from the spec: containers get another"
            " device"
            f" -> {renew}"
        ),
    ]


def test_a_spec_that_no_engine_uses_may_be_old(live: Live) -> None:
    (live.root / "var/run/cdi").mkdir(parents=True)
    other = live.root / "var/run/cdi/nvidia.yaml"
    shutil.copy(live.spec, other)
    live.spec.write_text(live.spec.read_text().replace(VERSION, OTHER_VERSION))

    assert live.check() == [LIVE_TRUE.replace("/etc/cdi", "/var/run/cdi")]

    live.spec.write_text(foreign("{path: /dev/nvidia7}"))
    assert live.check() == [LIVE_TRUE.replace("/etc/cdi", "/var/run/cdi")]


def test_an_engine_that_reads_other_directories_makes_no_spec_untrue(live: Live) -> None:
    for path, content in {
        "usr/bin/podman": "",
        "etc/containers/containers.conf": '[engine]\ncdi_spec_dirs = ["/opt/cdi"]\n',
    }.items():
        (live.root / path).parent.mkdir(parents=True, exist_ok=True)
        (live.root / path).write_text(content)
    nothing = "finds no device of nvidia.com in /opt/cdi -> cdigen generate"

    assert live.check() == [LIVE_TRUE, f"problem  spec     podman: {nothing}"]

    (live.root / "usr/bin/dockerd").touch()
    (live.root / "etc/docker").mkdir()
    (live.root / "etc/docker/daemon.json").write_text('{"features": {"cdi": true}}')
    assert live.check() == [LIVE_TRUE]


def test_what_a_user_may_not_read_is_wrong_for_that_users_engine(live: Live) -> None:
    closed = "finds no device of nvidia.com in /etc/cdi and /var/run/cdi, of which not all could be read"

    def lines() -> list[str]:
        os.chown(live.spec, 65534, 65534)
        os.chown(live.spec.parent, 65534, 65534)
        run = run_program("check", "--host-root", live.root, before=bound_to_permissions())
        assert (run.code, run.err) == (0, "")
        return joined(run.out.rpartition("\n\n")[0])

    live.spec.chmod(0o600)
    assert lines() == [
        f"unknown  spec     {OURS}: Permission denied -> run it as root",
        f"unknown  spec     an engine: {closed}",
        f"warning  spec     {OURS}: mode 0600: rootless engines cannot read it -> chmod 0644 {OURS}",
    ]
    live.spec.parent.chmod(0o700)
    assert lines() == [
        "unknown  spec     /etc/cdi: Permission denied -> run it as root",
        f"unknown  spec     an engine: {closed}",
        "warning  spec     /etc/cdi: mode 0700: rootless engines cannot read it -> chmod 0755 /etc/cdi",
    ]


def test_a_library_that_a_user_may_not_read_is_not_called_wrong(make_host: MakeHost, cdigen: Cdigen) -> None:
    live = Live(make_host(WITH_OPENCL), cdigen)
    path = OPENCL
    os.chown(live.root / path[1:], 65534, 65534)
    (live.root / path[1:]).chmod(0o600)

    run = run_program("check", "--host-root", live.root, before=bound_to_permissions())

    assert (run.code, run.err) == (0, "")
    assert run.out == (
        f"unknown  spec     {OURS}: cannot tell whether {path} is still right\n"
        "                  -> run it as root\n"
        "\ntrue of this host, as far as could be seen: 1 unknown\n"
    )


def test_directories_that_are_none(live: Live) -> None:
    nothing = (
        "problem  spec     an engine: finds no device of nvidia.com in /etc/cdi and /var/run/cdi -> cdigen generate"
    )
    shutil.rmtree(live.spec.parent)

    live.spec.parent.symlink_to("cdi")
    assert live.check() == [
        (
            "problem  spec     /etc/cdi: leads through more than 40 symbolic links: engines find nothing there"
            " -> remove the link cycle"
        ),
        nothing,
    ]

    live.spec.parent.unlink()
    live.spec.parent.touch()
    assert live.check() == [
        "problem  spec     /etc/cdi: is not a directory: engines find nothing -> rm /etc/cdi -> cdigen generate",
        nothing,
    ]


def test_files_that_lead_nowhere_are_passed_over_as_engines_do(live: Live) -> None:
    live.spec.with_name("acme.yaml").symlink_to("acme.yaml")
    live.spec.with_name("nvidia-gone.yaml").symlink_to("/nowhere")
    os.mkfifo(live.spec.with_name("nvidia-fifo.yaml"))
    live.spec.with_name("nvidia-directory.yaml").mkdir()

    assert live.check() == [LIVE_TRUE]


def test_the_remedy_keeps_the_options_of_the_spec(live: Live) -> None:
    assert live.generate("--no-all").code == 0
    live.spec.write_text(live.spec.read_text() + "added: 1\n")
    (live.spec.parent / "nvidia-imex.yaml").write_text("added: 1\n")

    lines = live.check()

    invalid = "not a valid spec, so engines ignore it: "
    assert lines[0].startswith(f"problem  spec     /etc/cdi/nvidia-imex.yaml: {invalid}")
    assert lines[0].endswith(
        " -> regenerate it, or remove it: cdigen generate --output /etc/cdi/nvidia-imex.yaml --mode=imex"
    )
    assert lines[1] == (
        f"problem  spec     {OURS}: {invalid}$.added: unknown key"
        f" -> regenerate it, or remove it: cdigen generate --output {OURS} --no-all"
    )


def test_a_path_in_a_remedy_can_be_typed(live: Live) -> None:
    odd = live.spec.rename(live.spec.with_name("my; spec.yaml"))
    odd.chmod(0o600)

    assert live.check()[-1] == (
        "warning  spec     /etc/cdi/my; spec.yaml: mode 0600: rootless engines cannot read it ->"
        " chmod 0644 '/etc/cdi/my; spec.yaml'"
    )


def claim(number: int) -> str:
    """Return a spec as NVIDIA's driver for dynamic resource allocation writes one for every claim."""
    mounts = [f"{{hostPath: /usr/lib/x{n}, containerPath: /usr/lib/x{n}, options: [ro, bind]}}" for n in range(50)]
    return foreign("{path: /dev/nvidia0}", mounts=", ".join(mounts)).replace(
        "nvidia.com/gpu", f"k8s.gpu.nvidia.com/claim{number}"
    )


def test_specs_of_others_cost_next_to_nothing(live: Live) -> None:
    to_parse = time_of(lambda: parse_document(claim(0).encode()))
    for number in range(1000):
        (live.spec.parent / f"k8s.gpu.nvidia.com-claim_{number:04}.yaml").write_text(claim(number))

    assert live.check() == [LIVE_TRUE]
    assert time_of(live.check) < 1000 * to_parse / 4


def time_of(do: Callable[[], object]) -> float:
    """Return how many seconds it takes, the least of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        do()
        times.append(time.perf_counter() - start)
    return min(times)


def test_no_more_specs_are_looked_at_than_a_host_can_have(live: Live) -> None:
    for number in range(MAX_SPECS):
        shutil.copy(live.spec, live.spec.with_name(f"copy{number:04}.yaml"))

    lines = live.check()

    assert lines[1] == (
        f"warning  spec     /etc/cdi/copy{MAX_SPECS - 1:04}.yaml: more than {MAX_SPECS} specs for NVIDIA's devices, or"
        " 4 MiB of them; this one and what follows are not looked at -> remove the specs that are not needed"
    )
    assert lines[2].endswith(
        f"in {OURS} and /etc/cdi/copy0000.yaml"
        f" and /etc/cdi/copy0001.yaml and {MAX_SPECS - 3} more, with equal precedence"
        f" -> keep one of them, such as {OURS}"
    )
    copies = f"/etc/cdi/copy0000.yaml, /etc/cdi/copy0001.yaml and {MAX_SPECS - 3} more"
    assert lines[0] == LIVE_TRUE.replace(OURS, f"{OURS}, {copies}")
    assert len(lines) == 3


def test_a_large_spec_is_not_read_to_the_end_of_the_host(live: Live) -> None:
    for number in range(8):
        live.spec.with_name(f"large{number}.yaml").write_text("# nvidia.com/\n" + "a: b\n" * 200_000)

    assert live.check()[1] == (
        "warning  spec     /etc/cdi/large4.yaml: more than 256 specs for NVIDIA's devices, or 4 MiB of them; this one"
        " and what follows are not looked at -> remove the specs that are not needed"
    )


def test_a_device_twice_in_one_directory(live: Live) -> None:
    shutil.copy(live.spec, live.spec.with_name("old.yaml"))

    assert live.check() == [
        LIVE_TRUE.replace(OURS, f"{OURS}, /etc/cdi/old.yaml"),
        (
            f"problem  spec     an engine: nvidia.com/gpu=0, nvidia.com/gpu={uuid_of(0)}, nvidia.com/gpu=all cannot be"
            f" resolved: defined in {OURS} and /etc/cdi/old.yaml, with equal precedence -> keep one of them, such as"
            f" {OURS}: rm /etc/cdi/old.yaml"
        ),
    ]


def test_a_spec_that_not_all_may_read(live: Live) -> None:
    live.spec.chmod(0o600)

    warning = f"warning  spec     {OURS}: mode 0600: rootless engines cannot read it -> chmod 0644 {OURS}"
    assert live.check() == [LIVE_TRUE, warning]


def test_a_spec_of_another_driver_that_is_not_ours(live: Live) -> None:
    data = live.spec.read_text().replace(VERSION, OTHER_VERSION)
    live.spec.write_text(data[data.index("cdiVersion") :])
    for path in list(live.root.rglob(f"*{VERSION}*")):
        shutil.copytree(path, str(path).replace(VERSION, OTHER_VERSION)) if path.is_dir() else shutil.copy(
            path, str(path).replace(VERSION, OTHER_VERSION)
        )

    assert live.check() == [
        (
            f"problem  spec     {OURS}: it is of driver {OTHER_VERSION}; the kernel module is {VERSION} ->"
            " regenerate it with the program that wrote it"
        )
    ]


def test_no_spec_where_there_is_a_driver(live: Live) -> None:
    live.spec.unlink()

    assert live.check() == [
        "problem  spec     an engine: finds no device of nvidia.com in /etc/cdi and /var/run/cdi -> cdigen generate"
    ]


def test_neither_spec_nor_driver(tmp_path: Path, cdigen: Cdigen) -> None:
    run = cdigen("check", "--host-root", tmp_path)

    assert (run.code, run.err) == (0, "")
    assert run.out == (
        "ok       spec     specs: no driver is loaded, and there is no spec for its devices\n"
        "\ntrue of this host: 1 ok\n"
    )


def test_a_driver_that_was_removed(live: Live) -> None:
    for path in ("usr", "proc", "dev"):
        shutil.rmtree(live.root / path)

    lines = live.check()

    remove = "if the driver is gone for good, remove what cdigen wrote: cdigen remove"
    assert told(lines) == told(
        [
            (
                f"problem  spec     {OURS}: no NVIDIA driver: neither /proc/driver/nvidia/version nor a"
                " libcuda.so.<version> below / -> install the driver, or name its directory with --driver-root"
            ),
            (
                f"problem  spec     {OURS}: 7 of the 7 files that it mounts are gone: containers do not start"
                f" (/usr/bin/nvidia-smi, /usr/lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin,"
                f" {LIBDIR}/libcuda.so.{VERSION}"
                f" and 4 more) -> {remove}"
            ),
            lines[-1],
        ]
    )
    assert lines[-1].startswith(f"problem  spec     {OURS}: /dev/dri/card0, /dev/dri/renderD128, /dev/nv")
    assert lines[-1].endswith(f"are gone: containers that get such a device do not start -> {remove}")


def test_any_user_may_check(live: Live) -> None:
    run = run_program("check", "--host-root", live.root, before=bound_to_permissions())

    assert (run.code, run.err) == (0, "")


def test_a_spec_on_standard_input(live: Live, tmp_path: Path) -> None:
    run = run_program("check", "--host-root", live.root, "--spec", "-", stdin=live.spec.read_bytes())

    assert (run.code, run.err) == (0, "")
    assert run.out.startswith(f"ok       spec     -: true of this host: {TRUE}")


def test_a_snapshot_on_standard_input(make_snapshot: MakeSnapshot, cdigen: Cdigen, tmp_path: Path) -> None:
    spec, snapshot = tmp_path / "nvidia.yaml", make_snapshot()
    assert cdigen("generate", "--snapshot", snapshot, "-o", spec).code == 0

    run = run_program("check", "--snapshot", "-", "--spec", spec, stdin=snapshot.read_bytes())
    assert (run.code, report(run, tmp_path)) == (0, [f"ok       spec     SPEC: true of this host: {TRUE}, 20 mounts"])
    run = run_program("check", "--snapshot", "-", "--spec", "-", stdin=snapshot.read_bytes())
    message = "the spec and --snapshot are both standard input, which is read once; name a file for one"
    assert (run.code, run.out, run.err) == (2, "", f"cdigen: error: {message}\n")


def test_doctor_looks_where_the_spec_was_made_of(make_host: MakeHost, cdigen: Cdigen) -> None:
    root = make_host(moved(minimal_entries(), "/run/nvidia/driver", "/usr", "/dev"))
    live = Live(root, cdigen, "--driver-root", "/run/nvidia/driver")
    ok = f"ok       driver   /run/nvidia/driver{LIBDIR}/libcuda.so.{VERSION}: version {VERSION}, the"

    run = cdigen("doctor", "--host-root", root)

    assert (run.code, run.err) == (0, "")
    assert ok in run.out

    live.spec.write_text(live.spec.read_text().replace("=/run/nvidia/driver", "=../driver"))
    run = cdigen("doctor", "--host-root", root)
    assert (run.code, run.err) == (1, "")
    reason = f"the header of {OURS} cannot be read: --driver-root ../driver: not an absolute path on the host"
    assert f"problem  spec     {reason} without '..'; use one such as /run/nvidia/driver" in "\n".join(
        told(joined(run.out))
    )
    assert ok not in run.out


def test_doctor_tells_it_too(live: Live, cdigen: Cdigen) -> None:
    (live.root / f"usr/lib/x86_64-linux-gnu/libnvidia-ml.so.{VERSION}").unlink()

    run = cdigen("doctor", "--host-root", live.root)

    assert run.code == 1
    assert f"problem  spec     {OURS}: 1 of the 7 files that it mounts is gone: containers do not start" in run.out


@pytest.mark.parametrize("path", ["/dev/fd/0", "/dev/stdin", "-"])
def test_what_is_no_file_is_not_to_be_removed(path: str) -> None:
    run = run_program("check", "--spec", path)

    assert (run.code, run.err) == (1, "")
    assert run.out == (
        f"problem  spec     {path}: not a valid spec, so engines ignore it: no document in it\n"
        "                  $ cdigen generate\n\nnot true of this host: 1 problem\n"
    )


def test_a_gpu_that_the_driver_has_lost_is_a_problem_though_the_spec_is_without_it(
    recheck: Recheck, tmp_path: Path
) -> None:
    lost: Entries = {"/sys/bus/pci/drivers/nvidia/0000:0a:00.0": {"kind": "dir"}}
    host = {**minimal_entries(), **lost}

    run = recheck(host, host)
    assert run.code == 1
    assert report(run, tmp_path) == [
        (
            "problem  spec     SPEC: GPU 0000:0a:00.0 is bound to nvidia on the PCI bus, but the driver does not list"
            " it in /proc/driver/nvidia/gpus, so it is not offered -> if it fell off the bus, power-cycle the machine;"
            " see what the driver says in the kernel log: dmesg | grep -i nvrm"
        )
    ]


def test_a_spec_that_is_allowed_to_be_incomplete_is_not_called_true(recheck: Recheck, tmp_path: Path) -> None:
    ml = f"libnvidia-ml.so.{VERSION}"
    host = without(minimal_entries(), f"{LIBDIR}/{ml}")

    run = recheck(host, host, "--allow-incomplete")
    assert report(run, tmp_path) == [
        (
            f"warning  spec     SPEC: containers lack a library of the driver: {ml} is missing (nvidia-smi and whoever"
            f" asks for the state of a GPU open it) -> reinstall the user-space driver {VERSION}"
        )
    ]


def test_what_cannot_be_read_may_belong_in_the_spec(recheck: Recheck, tmp_path: Path) -> None:
    path = f"{LIBDIR}/libnvidia-cfg.so.{VERSION}"

    run = recheck(minimal_entries(), {**minimal_entries(), path: unreadable()})
    assert (run.code, report(run, tmp_path)) == (
        0,
        [
            (
                f"unknown  spec     SPEC: cannot read {path}: Input/output error; what is there may belong in the spec"
                f" -> see what it is with: ls -ld {path}"
            )
        ],
    )
