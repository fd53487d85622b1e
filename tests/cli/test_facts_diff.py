"""cdigen diff --facts: what has changed on a host since the facts behind its specs were recorded."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
import pytest
from yaml import safe_load

from cdigen.cli import load_verb
from cdigen.host.snapshot_diff import compare_entries
from cdigen.schema import find_schema_violations
from cdigen.specs.header import RECORD
from tests.classes import all_class_entries
from tests.cli.program import CHECKOUT, bound_to_permissions, run_program
from tests.cli.recorded_case import RecordedCase, relink
from tests.hosts import (
    LIBDIR,
    OTHER_VERSION,
    VERSION,
    Entries,
    bdf_of,
    library,
    library_entries,
    minimal_entries,
    text,
    uuid_of,
)
from tests.work import calls_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Cdigen, MakeSnapshot

MODES = "gpu,management,imex,nvswitch,gds,gdrcopy,mofed"
INFORMATION = f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information"
CUDA = f"{LIBDIR}/libcuda.so.1"
GOLDEN = Path(CHECKOUT, "golden")
ICD = '{"ICD": {"library_path": "libcuda.so.1"}}'


def test_every_change_of_a_host_is_shown(make_case: Callable[..., RecordedCase]) -> None:
    case = make_case(
        {
            **minimal_entries(gpus=2),
            **library_entries("libnvidia-a", "libnvidia-a.so.1", LIBDIR),
            **library_entries("libnvidia-b", "libnvidia-b.so.1", LIBDIR),
            "/etc/vulkan/icd.d/nvidia_icd.json": text(f"{ICD}\n"),
        }
    )
    assert case.generate().code == 0
    assert case.changes() == []

    relink(case.path(f"{LIBDIR}/libcuda.so"), "libcuda.so.1.1")
    case.path("/usr/bin/nvidia-smi").unlink()
    os.mknod(case.path("/dev/nvidia-modeset-new"), 0o020666, os.makedev(195, 253))
    case.path("/dev/nvidia0").chmod(0o600)
    os.chown(case.path("/dev/nvidia0"), 0, 44)
    case.path("/dev/nvidia-uvm").unlink()
    os.mknod(case.path("/dev/nvidia-uvm"), 0o020666, os.makedev(510, 0))
    case.path("/dev/nvidia-uvm").chmod(0o666)
    a = f"{LIBDIR}/libnvidia-a.so.{VERSION}"
    case.path(a).write_bytes(case.path(CUDA).read_bytes())
    b = f"{LIBDIR}/libnvidia-b.so.{VERSION}"
    case.path(b).write_bytes(b"")
    new = f"{LIBDIR}/libnvidia-new.so.{VERSION}"
    case.path(new).write_bytes(case.path(CUDA).read_bytes())
    icd = "/etc/vulkan/icd.d/nvidia_icd.json"
    case.path(icd).write_text(ICD.replace(".so.1", ".so") + "\n")
    card = case.path(f"/sys/devices/pci9999:00/{bdf_of(1)}/drm/card1")
    card.rename(card.with_name("card7"))

    run = case.diff()

    assert (run.code, run.err) == (1, "")
    assert run.out.splitlines() == [
        "~ /dev/nvidia-uvm: character device 511:0 -> character device 510:0",
        "~ /dev/nvidia0, mode: 0666 -> 0600",
        "~ /dev/nvidia0, owner: 0:0 -> 0:44",
        f"~ {icd}, line 1: {ICD} -> {ICD.replace('.so.1', '.so')}",
        f"- /sys/devices/pci9999:00/{bdf_of(1)}/drm/card1: directory",
        f"+ /sys/devices/pci9999:00/{bdf_of(1)}/drm/card7: directory",
        "- /usr/bin/nvidia-smi: file",
        f"~ {LIBDIR}/libcuda.so: link to libcuda.so.1 -> link to libcuda.so.1.1",
        f"~ {a}, SONAME: libnvidia-a.so.1 -> libcuda.so.1",
        f"~ {b}, ELF: 64-bit x86_64 shared -> damaged: empty file",
        f"+ {new}: file",
    ]
    report = json.loads(case.diff("--json").out)
    assert find_schema_violations(report, "report") == ()
    assert (report["report"], report["facts"], report["findings"]) == ("diff-facts", str(case.record), [])
    assert report["changes"][:2] == [
        {"path": "/dev/nvidia-uvm", "fact": "", "old": "character device 511:0", "new": "character device 510:0"},
        {"path": "/dev/nvidia0", "fact": "mode", "old": "0666", "new": "0600"},
    ]
    assert report["changes"][-1] == {"path": new, "fact": "", "old": None, "new": "file"}


def test_texts_show_their_first_line_that_differs(case: RecordedCase) -> None:
    version = case.path("/proc/driver/nvidia/version")
    version.write_text(version.read_text().replace("gcc version 99.9.9", "gcc version 99.9.10") + "more\n")
    information = case.path(INFORMATION)
    # The interrupt is another one after every boot.
    information.write_text(information.read_text().replace("IRQ:   \t\t 99", "IRQ:   \t\t 7"))

    assert case.changes() == [
        "~ /proc/driver/nvidia/version, line 2: GCC version:  gcc version 99.9.9 -> GCC version:  gcc version 99.9.10"
    ]

    version.write_text(version.read_text().replace("9.10", "9.10\x1b" + "x" * 1000))
    place, rest = "~ /proc/driver/nvidia/version, line 2: ", "x" * 137
    assert case.changes() == [f"{place}…:  gcc version 99.9.9 -> …:  gcc version 99.9.10\\x1b{rest}…"]


def test_what_comes_and_goes_by_itself_is_no_change(make_case: Callable[..., RecordedCase]) -> None:
    case = make_case(all_class_entries())
    information, devices = case.path(INFORMATION), case.path("/proc/devices")
    known = information.read_text()
    information.write_text(f"{known}Video BIOS: \t ??.??.??.??.??\nGPU Excluded:\t No\n")
    assert case.generate().code == 0

    # What the driver knows only while a program has the GPU open, and somebody's serial cable.
    after = f"{known}Video BIOS: \t 96.00.74.00.01\nGPU Firmware: \t {VERSION}\nGPU Excluded:\t No\n"
    information.write_text(after)
    devices.write_text(devices.read_text().replace("  1 mem\n", "  1 mem\n188 ttyUSB\n"))
    assert case.changes() == []

    information.write_text(f"{after}more\n")
    devices.write_text(devices.read_text().replace("511 nvidia-uvm\n", "510 nvidia-uvm\n"))
    number = devices.read_text().splitlines().index("510 nvidia-uvm")  # that of the record, which has one line less
    assert [line for line in case.diff().out.splitlines() if "/proc/" in line] == [
        f"~ /proc/devices, line {number}: 511 nvidia-uvm -> 510 nvidia-uvm",
        f"+ {INFORMATION}, line {len(after.splitlines()) + 1}: more",
    ]


def test_a_driver_that_was_upgraded_under_the_old_module(case: RecordedCase) -> None:
    for name in ("libcuda", "libnvidia-ml"):
        old, new = (case.path(f"{LIBDIR}/{name}.so.{version}") for version in (VERSION, OTHER_VERSION))
        old.rename(new)
        relink(case.path(f"{LIBDIR}/{name}.so.1"), new.name)

    run = case.diff()

    lines = run.out.splitlines()
    assert run.code == 1
    assert run.err.startswith(
        "cdigen: note: generate without options would now refuse the host, so new facts may not be shown"
        f" (exit 4): the kernel module is {VERSION} (/proc/driver/nvidia/version) but the user-space driver is"
        f" {OTHER_VERSION} "
    )
    assert lines == [
        f"~ {LIBDIR}/libcuda.so.1: link to libcuda.so.{VERSION} -> link to libcuda.so.{OTHER_VERSION}",
        f"+ {LIBDIR}/libcuda.so.{OTHER_VERSION}: file",
        f"- {LIBDIR}/libcuda.so.{VERSION}: file",
        f"~ {LIBDIR}/libnvidia-ml.so.1: link to libnvidia-ml.so.{VERSION} -> link to libnvidia-ml.so.{OTHER_VERSION}",
        f"- {LIBDIR}/libnvidia-ml.so.{VERSION}: file",
    ]


def test_what_discovery_does_not_come_to_is_compared_all_the_same(case: RecordedCase) -> None:
    version = case.path("/proc/driver/nvidia/version")
    version.write_text(version.read_text().replace(VERSION, OTHER_VERSION))  # refused before anything else is read
    information = case.path(INFORMATION)
    information.write_text(information.read_text().replace(uuid_of(0), uuid_of(7)))
    case.path(f"{LIBDIR}/libnvidia-ml.so.{VERSION}").write_bytes(case.path(CUDA).read_bytes())

    module = f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {VERSION}  Release Build  (nobody@nowhere)"
    assert [line.split(" -> ")[0] for line in case.diff().out.splitlines()] == [
        f"~ {INFORMATION}, line 3: GPU UUID: \\t {uuid_of(0)}",
        f"~ /proc/driver/nvidia/version, line 1: {module}",
        f"~ {LIBDIR}/libnvidia-ml.so.{VERSION}, SONAME: libnvidia-ml.so.1",
    ]


def test_a_driver_that_was_removed(case: RecordedCase) -> None:
    for name in os.listdir(case.path(LIBDIR)):
        case.path(f"{LIBDIR}/{name}").unlink()

    run = case.diff()

    assert (run.code, "(exit 5)" in run.err) == (1, True)
    assert [line for line in run.out.splitlines() if "libcuda" in line] == [
        f"- {LIBDIR}/libcuda.so: link to libcuda.so.1",
        f"- {LIBDIR}/libcuda.so.1: link to libcuda.so.{VERSION}",
        f"- {LIBDIR}/libcuda.so.{VERSION}: file",
    ]


@pytest.mark.parametrize("options", [(), ("--all-modes",)])
def test_a_host_is_asked_what_it_was_asked_before(
    options: tuple[str, ...], make_case: Callable[..., RecordedCase]
) -> None:
    case = make_case(all_class_entries())
    case.generate(*options)

    assert case.changes() == []  # the classes' devices are there, and a record of the GPUs alone does not have them
    os.mknod(case.path("/dev/infiniband/uverbs7"), 0o020666, os.makedev(231, 199))
    assert case.changes() == (["+ /dev/infiniband/uverbs7: character device 231:199"] if options else [])


def test_what_another_user_may_not_see_is_no_change(case: RecordedCase) -> None:
    directory = case.path("/usr/lib/firmware/nvidia")
    directory.chmod(0)
    case.path(f"{LIBDIR}/libnvidia-ml.so.{VERSION}").chmod(0)

    run = case.diff(before=bound_to_permissions())

    assert (run.code, run.out) == (0, "")
    assert run.err.splitlines()[-1].startswith("cdigen: warning: ")
    assert run.err.splitlines()[-1].endswith("; run as root")
    assert "cdigen: warning: not compared: " in run.err
    assert " paths that cannot be read now, or could not be read then, such as /" in run.err


def test_a_plain_snapshot_is_compared_too(case: RecordedCase, tmp_path: Path) -> None:
    then = tmp_path / "then.yaml"
    run_program("snapshot", "--host-root", case.root, "-o", then, "--note", "before the upgrade")
    arguments = ("diff", "--host-root", case.root, "--facts")

    assert run_program(*arguments, then).code == 0
    assert run_program(*arguments, "-", stdin=then.read_bytes()).code == 0
    case.path("/dev/nvidia-uvm-tools").unlink()
    run = run_program(*arguments, then)
    assert (run.code, run.out) == (1, "- /dev/nvidia-uvm-tools: character device 511:1\n")


def test_a_record_and_a_snapshot_of_now_tell_the_same_elsewhere(case: RecordedCase, tmp_path: Path) -> None:
    now = tmp_path / "now.yaml"
    case.path("/usr/bin/nvidia-smi").unlink()
    run_program("snapshot", "--host-root", case.root, "-o", now)

    run = run_program("diff", "--facts", case.record, "--snapshot", now)
    assert (run.code, run.out, run.err) == (1, "- /usr/bin/nvidia-smi: file\n", "")

    # A refused host's snapshot does not have everything: what is not in it may be there.
    version = case.path("/proc/driver/nvidia/version")
    version.write_text(version.read_text().replace(VERSION, OTHER_VERSION))
    run_program("snapshot", "--host-root", case.root, "-o", now)
    run = run_program("diff", "--facts", case.record, "--snapshot", now)
    assert [line.split(":")[0] for line in run.out.splitlines()] == ["~ /proc/driver/nvidia/version, line 1"]
    assert run.err.endswith("; what is gone is not shown, because the snapshot may not contain it\n")


def test_a_missing_node_is_shown_though_generate_refuses_the_host(cdigen: Cdigen) -> None:
    hosts = [GOLDEN / name / "snapshot.yaml" for name in ("a100-580-mig", "a100-580-mig-missing-node")]

    run = cdigen("diff", "--facts", hosts[0], "--snapshot", hosts[1])

    assert (run.code, run.out.splitlines()) == (
        1,
        [
            "- /dev/nvidia-caps/nvidia-cap32: character device 242:32",
            "+ /dev/nvidia-caps/nvidia-cap48: character device 242:48",
            "+ /dev/nvidia-caps/nvidia-cap49: character device 242:49",
        ],
    )
    assert run.err.startswith(
        "cdigen: note: generate without options would now refuse the host (exit 5): /dev/nvidia-caps/"
    )


@pytest.mark.parametrize("host", sorted(path.parent.name for path in GOLDEN.glob("*/snapshot.yaml")))
def test_no_host_differs_from_itself(host: str, cdigen: Cdigen) -> None:
    snapshot = GOLDEN / host / "snapshot.yaml"

    run = cdigen("diff", "--facts", snapshot, "--snapshot", snapshot)

    assert (run.code, run.out) == (0, "")


def nvml(**gpu: object) -> Entries:
    path = f"{LIBDIR}/libnvidia-ml.so.{VERSION}"
    answer = {"driver_version": VERSION, "gpus": [{"bdf": bdf_of(0), "minor": 0, **gpu}]}
    return {path: {**library("libnvidia-ml.so.1"), "nvml": answer}}


def test_nvml_is_compared_where_both_have_an_answer(make_snapshot: MakeSnapshot, tmp_path: Path) -> None:
    def snapshot(name: str, entries: Entries) -> Path:
        return make_snapshot({**minimal_entries(), **entries}).rename(tmp_path / name)

    old = snapshot(
        "old", nvml(uuid=uuid_of(0), mig_enabled=True, mig=[{"index": 0, "gpu_instance": 1, "compute_instance": 0}])
    )
    new = snapshot("new", nvml(uuid=uuid_of(0), mig_enabled=False, model="NVIDIA Fictional 9000"))
    none = snapshot("none", {})

    def diff(facts: Path, now: Path) -> list[str]:
        return run_program("diff", "--facts", facts, "--snapshot", now, "--nvml", "always").out.splitlines()

    place = f"{LIBDIR}/libnvidia-ml.so.{VERSION}, NVML, GPU {bdf_of(0)}"
    assert diff(old, new) == [
        f"- {place}, MIG 1/0, index: 0",
        f"~ {place}, mig_enabled: True -> False",
        f"+ {place}, model: NVIDIA Fictional 9000",
    ]
    assert (diff(old, none), diff(none, old)) == ([], [])


def test_linker_cache_and_elf_headers_are_compared_fact_by_fact(make_snapshot: MakeSnapshot, tmp_path: Path) -> None:
    ml = f"{LIBDIR}/libnvidia-ml.so.{VERSION}"

    def snapshot(name: str, cache: list[list[object]], elf: dict[str, object]) -> Path:
        entries: Entries = {"/etc/ld.so.cache": {"kind": "file", "linker_cache": cache}}
        entries[ml] = {"kind": "file", "elf": {"bits": 64, "machine": "x86_64", "soname": "libnvidia-ml.so.1", **elf}}
        return make_snapshot({**minimal_entries(), **entries}).rename(tmp_path / name)

    cuda, other = ["libcuda.so.1", 0x303, CUDA], ["libcuda.so.1", 0x303, "/opt/cuda"]
    gone = ["libnvidia-a.so.1", 0x303, "/opt/a"]
    old = snapshot("old", [cuda, gone], {"needed": ["libc.so.6"], "versions": {"libc.so.6": ["A"]}})
    new = snapshot("new", [other, cuda], {"needed": [], "versions": {"libc.so.6": ["A", "B"]}})
    unknown = snapshot("unknown", [cuda, gone], {"runpath": ["/opt"]})

    def diff(facts: Path, now: Path) -> list[str]:
        return run_program("diff", "--facts", facts, "--snapshot", now).out.splitlines()

    assert diff(old, new) == [
        f"~ /etc/ld.so.cache, libcuda.so.1 (flags 0x303): {CUDA} -> /opt/cuda {CUDA}",
        "- /etc/ld.so.cache, libnvidia-a.so.1 (flags 0x303): /opt/a",
        f"~ {ml}, needed: libc.so.6 -> ",
        f"~ {ml}, versions of libc.so.6: A -> A B",
    ]
    assert diff(old, unknown) == [f"~ {ml}, runpath:  -> /opt"]


def test_a_record_does_not_choose_which_files_are_shown(case: RecordedCase) -> None:
    secret = case.path("/etc/secret")
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("do not tell\n")
    record = safe_load(case.record.read_bytes())
    record["entries"]["/etc/secret"] = text("another\n")
    log = case.path("/proc/kmsg")  # to read it takes lines out of it, so it is not looked into for ELF headers
    log.write_bytes(case.path(CUDA).read_bytes())
    record["entries"]["/proc/kmsg"] = library("another.so.1")
    record["entries"]["/proc/driver/../../etc"] = text("")
    case.record.write_text(json.dumps(record))
    run = case.diff()
    assert (run.code, run.out, "is not an absolute path without '.', '..'" in run.err) == (1, "", True)
    del record["entries"]["/proc/driver/../../etc"]
    case.record.write_text(json.dumps(record))

    assert case.changes() == []


def test_the_options_of_a_spec_have_no_meaning_for_facts(tmp_path: Path) -> None:
    run = run_program("diff", "--facts", "f", "--spec", "s", "--mode", "imex", "--no-all", cwd=tmp_path)

    assert (run.code, run.out, run.err) == (
        2,
        "",
        (
            "cdigen: error: --facts reads no spec and cannot be used together with --spec, --mode, --no-all."
            " Try 'cdigen diff --help'.\n"
        ),
    )
    both = run_program("diff", "--facts", "-", "--snapshot", "-")
    assert (both.code, both.err) == (
        2,
        "cdigen: error: --facts and --snapshot cannot both be standard input; name a file with one of them\n",
    )


def test_facts_of_another_driver_root_are_told_apart(case: RecordedCase) -> None:
    run = case.diff("--driver-root", "/run/nvidia/driver", "--json")

    findings = cast("list[dict[str, str]]", json.loads(run.out)["findings"])
    assert [finding["code"] for finding in findings] == ["other-root", "refused"]
    assert (run.code, findings[0]["message"]) == (
        0,  # there is nothing below that root, and what the record has is where it was
        "the facts were recorded with --driver-root / and are compared with /run/nvidia/driver",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no document in it; record it again with: cdigen snapshot"),
        (b"a: [", "line 2, column 1: did not find expected node content; record it again with: cdigen snapshot"),
        (
            b"cdiVersion: 0.5.0\n",
            (
                " is not a snapshot: $: key 'cdigen_snapshot' is missing; $: key 'entries' is missing; $.cdiVersion:"
                " unknown key; record it again with: cdigen snapshot"
            ),
        ),
        (
            b"#" * (17 << 20),
            "larger than 16 MiB, which no spec and no snapshot is; record it again with: cdigen snapshot",
        ),
    ],
    ids=["empty", "damaged", "a spec", "huge"],
)
def test_what_is_no_record_is_said_in_a_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(content)

    run = run_program("diff", "--facts", "f", cwd=tmp_path)

    assert (run.code, run.out) == (1, "")
    assert run.err == f"cdigen: error: f{'' if message.startswith(' ') else ': '}{message}\n"


@pytest.mark.parametrize(
    ("modes", "reason"),
    [
        (["imex"] * 60, "breaks the schema's rule 'uniqueItems'"),
        ([f"{letter}{other}" for letter in "abcdefgh" for other in "abcdefghi"], "has a length of 72, the most is 64"),
    ],
)
def test_a_record_does_not_choose_how_often_a_host_is_asked(modes: list[str], reason: str, case: RecordedCase) -> None:
    record = case.record.read_text()
    assert "\n  modes: [gpu]\n" in record
    case.record.write_text(record.replace("modes: [gpu]", f"modes: [{', '.join(modes)}]"))

    run = case.diff()

    assert (run.code, run.out) == (1, "")
    message = f"{case.record} is not a snapshot: $.generated.modes: {reason}; record it again with: cdigen snapshot"
    assert run.err == f"cdigen: error: {message}\n"


def test_a_record_of_a_mode_that_is_not_known_is_compared_as_any_snapshot(case: RecordedCase) -> None:
    record = case.record.read_text()
    case.record.write_text(record.replace("modes: [gpu]", "modes: [gpu, quantum]"))

    assert case.diff().code == 0


def test_a_linker_cache_of_one_name_over_and_over_costs_no_more_than_another() -> None:
    def calls(names: list[str]) -> int:
        cache = [[name, 1, "/" + "x" * 40] for name in names]
        old, new = (
            {"/etc/ld.so.cache": {"kind": "file", "linker_cache": [*cache, ["last", 1, path]]}} for path in ("/a", "/b")
        )
        return calls_of(lambda: compare_entries(old, new))

    other = calls([str(number) for number in range(10_000)])
    assert calls(["a"] * 10_000) < other
    assert other < 20 * 10_000


def test_a_record_that_may_not_be_looked_at_is_not_said_to_be_missing(case: RecordedCase) -> None:
    case.record.parent.chmod(0)

    run = case.diff(before=bound_to_permissions())

    reason = f"cannot read {case.record}: Permission denied; name a file that you may read"
    assert (run.code, run.out, run.err) == (7, "", f"cdigen: error: {reason}\n")


def test_no_record_is_said_with_what_to_do(tmp_path: Path) -> None:
    run = run_program("diff", "--facts", tmp_path / "none")

    assert (run.code, run.out, run.err) == (
        7,
        "",
        (
            f"cdigen: error: cannot read {tmp_path}/none: there is no such record; name another file, or keep the facts"
            " behind the next spec with: cdigen generate --record /var/lib/cdigen/nvidia.snapshot.yaml\n"
        ),
    )


def test_without_a_name_the_units_record_is_taken() -> None:
    run = run_program("diff", "--facts", "--spec", "x")

    assert (run.code, "--facts reads no spec" in run.err) == (2, True)
    option = next(option for option in load_verb("diff").params if option.name == "facts")
    assert isinstance(option, click.Option)
    assert (option.flag_value, option.is_flag) == (RECORD, False)
    assert f"=/{RECORD[1:]}\n" in Path(CHECKOUT, "systemd/cdigen.service").read_text()
