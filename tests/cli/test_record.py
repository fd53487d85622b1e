"""cdigen generate --record: the facts behind the specs, kept beside them."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from yaml import safe_load

from cdigen import __version__
from cdigen.schema import find_schema_violations
from cdigen.specs.header import HEAD_BYTES, is_ours
from tests.classes import all_class_entries
from tests.cli.program import run_program
from tests.cli.recorded_case import RecordedCase, relink
from tests.hosts import (
    LIBDIR,
    VERSION,
    bdf_of,
    minimal_entries,
    moved,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


MODES = "gpu,management,imex,nvswitch,gds,gdrcopy,mofed"
INFORMATION = f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information"
CUDA = f"{LIBDIR}/libcuda.so.1"


def test_the_record_is_a_snapshot_that_is_ours_for_all_to_read(make_case: Callable[..., RecordedCase]) -> None:
    case = make_case()
    run = run_program(
        *("generate", "--host-root", case.root, "-o", case.spec, "--record", case.record),
        before=("sh", "-c", 'umask 077; exec "$@"', "sh"),
    )

    assert (run.code, run.out) == (0, "")
    assert run.err.splitlines()[1:] == [f"cdigen: wrote {case.record}: the facts behind 1 spec"]
    data = case.record.read_bytes()
    assert is_ours(data[:HEAD_BYTES])
    assert data.decode().splitlines()[:4] == [
        f"# Written by cdigen {__version__}: the facts behind {case.spec}.",
        "# Do not edit: `cdigen generate --record` replaces this file.",
        "# What has changed since: cdigen diff --facts FILE; the specs again: cdigen generate --snapshot FILE",
        "cdigen_snapshot: 1",
    ]
    assert find_schema_violations(safe_load(data), "snapshot") == ()
    assert case.record.stat().st_mode & 0o777 == 0o644
    assert os.listdir(case.record.parent) == ["facts.yaml"]


@pytest.mark.parametrize(
    "options", [("--all-modes",), ("--all-modes", "--capabilities", "compute", "--no-all"), ("--mode", "imex")]
)
def test_the_record_gives_the_very_same_specs(
    options: tuple[str, ...], make_case: Callable[..., RecordedCase], tmp_path: Path
) -> None:
    case = make_case(all_class_entries())
    assert case.generate(*options).code == 0

    again = tmp_path / "again"
    run = run_program("generate", "--snapshot", case.record, "-o", again / "nvidia.yaml", "--create-dirs", *options)

    assert run.code == 0
    specs = {path.name: path.read_bytes() for path in case.spec.parent.iterdir()}
    assert len(specs) == (7 if "--all-modes" in options else 1)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == specs


@pytest.mark.parametrize("dev", [(), ("/dev",)])
def test_the_record_of_a_driver_in_a_directory_gives_the_very_same_spec(
    dev: tuple[str, ...], make_case: Callable[..., RecordedCase], tmp_path: Path
) -> None:
    driver = "/run/nvidia/driver"
    case = make_case(moved(minimal_entries(), driver, "/usr", "/lib", *dev))
    assert case.generate("--driver-root", driver).code == 0

    run = run_program("generate", "--snapshot", case.record, "-o", tmp_path / "again.yaml")

    assert run.code == 0
    assert (tmp_path / "again.yaml").read_bytes() == case.spec.read_bytes()
    assert case.changes() == []
    relink(case.path(f"{driver}{CUDA}"), "nowhere")
    assert case.changes()[0] == f"~ {driver}{CUDA}: link to libcuda.so.{VERSION} -> link to nowhere"


def test_nothing_is_touched_while_the_specs_are_not(make_case: Callable[..., RecordedCase]) -> None:
    case = make_case(all_class_entries())
    case.generate("--all-modes")
    before, data = case.stamps(), case.record.read_bytes()
    case.path("/usr/bin/nvidia-smi").touch()
    case.path(INFORMATION).write_text(case.path(INFORMATION).read_text() + "DMA Size: \t 99\n")  # in no spec

    run = case.generate("--all-modes", "--json")

    assert (run.code, case.stamps()) == (0, before)
    assert json.loads(run.out)["record"] == {
        "file": str(case.record),
        "state": "unchanged",
        "message": f"unchanged: {case.record}: the facts behind 7 specs",
        "remedy": None,
    }
    assert run.err.splitlines()[-1] == f"cdigen: unchanged: {case.record}: the facts behind 7 specs"
    case.record.unlink()
    case.path(INFORMATION).write_text(case.path(INFORMATION).read_text().removesuffix("DMA Size: \t 99\n"))
    assert case.generate("--all-modes").err.splitlines()[-1] == (
        f"cdigen: wrote {case.record}: the facts behind 7 specs"
    )
    assert case.record.read_bytes() == data


@pytest.mark.parametrize("device", ["changed", "gone"])
def test_a_spec_that_changes_takes_the_record_with_it(device: str, make_case: Callable[..., RecordedCase]) -> None:
    case = make_case(all_class_entries())
    case.generate("--all-modes")
    for node in ("0", "1") if device == "gone" else ("1",):
        case.path(f"/dev/nvidia-fs{node}").unlink()

    run = case.generate("--all-modes", "--json")

    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert (report["record"]["file"], report["record"]["state"]) == (str(case.record), "wrote")
    generated = safe_load(case.record.read_bytes())["generated"]
    assert (generated["modes"], generated["nvml"]) == (MODES.split(","), "auto")
    modes = [mode for mode in MODES.split(",")[1:] if (device, mode) != ("gone", "gds")]
    specs = [case.spec, *(case.spec.parent / f"nvidia-{mode}.yaml" for mode in modes)]
    assert generated["specs"] == {str(path): sha256(path.read_bytes()).hexdigest() for path in specs}
    assert case.changes() == []


def test_what_a_run_left_undone_between_spec_and_record_the_next_one_does(case: RecordedCase) -> None:
    left = case.record.read_bytes()
    case.path("/usr/bin/nvidia-smi").unlink()
    run_program("generate", "--host-root", case.root, "-o", case.spec)
    assert case.record.read_bytes() == left

    run = case.generate()

    assert run.err.splitlines() == [
        f"cdigen: unchanged: {case.spec}: driver {VERSION}, 1 GPU, 3 devices, 19 mounts",
        f"cdigen: wrote {case.record}: the facts behind 1 spec",
        (
            "cdigen: warning: no nvidia-smi was found, so containers do not have it; install the programs of the"
            f" user-space driver {VERSION}"
        ),
    ]
    assert case.changes() == []
    before = case.stamps()
    assert (case.generate().code, case.stamps()) == (0, before)


def test_a_spec_that_is_written_again_has_the_facts_of_now(case: RecordedCase) -> None:
    spec = case.spec.read_bytes()
    case.spec.write_text("somebody's own\n")  # so the record that stands is that of the spec to come
    case.path(INFORMATION).write_text(case.path(INFORMATION).read_text() + "DMA Size: \t 99\n")

    assert case.generate().err.splitlines()[1] == f"cdigen: wrote {case.record}: the facts behind 1 spec"
    assert case.spec.read_bytes() == spec
    assert case.changes() == []


def test_a_refused_host_leaves_the_record_as_it_is(case: RecordedCase) -> None:
    before = case.stamps()
    case.path("/dev/nvidiactl").unlink()

    run = case.generate()

    assert (run.code, case.stamps()) == (5, before)


def test_a_record_that_cannot_be_written_takes_nothing_from_the_spec(make_case: Callable[..., RecordedCase]) -> None:
    case = make_case()
    case.record.parent.write_text("a file in the place of the directory")

    run = case.generate()

    assert (run.code, run.out) == (7, "")
    advice = "Not a directory; a part of the path is a file; choose another output file"
    assert run.err.splitlines() == [
        f"cdigen: wrote {case.spec}: driver {VERSION}, 1 GPU, 3 devices, 20 mounts",
        f"cdigen: error: cannot write {case.record}: {advice}",
    ]
    assert run_program("validate", case.spec).code == 0
    report = json.loads(case.generate("--json").out)
    assert (report["changed"], report["record"]["state"]) == (False, "failed")
    assert find_schema_violations(report, "report") == ()


def test_the_reason_of_a_failure_is_the_last_line(
    make_case: Callable[..., RecordedCase], mount: Callable[..., None]
) -> None:
    case = make_case(all_class_entries())
    case.generate("--all-modes")
    gds = case.spec.with_name("nvidia-gds.yaml")
    mount(gds, "--bind", str(gds))
    case.path("/dev/nvidia-fs1").unlink()

    run = case.generate("--all-modes")

    *others, record, reason = run.err.splitlines()
    assert run.code == 7
    assert reason.startswith(f"cdigen: error: cannot write {gds}: Device or resource busy; ")
    assert record == f"cdigen: wrote {case.record}: the facts behind 6 specs"
    assert not any(line.startswith("cdigen: error: ") for line in others)


@pytest.mark.parametrize("kind", ["pipe", "directory"])
def test_what_is_no_file_is_not_waited_for(kind: str, case: RecordedCase) -> None:
    case.record.unlink()
    if kind == "pipe":
        os.mkfifo(case.record)
    else:
        case.record.mkdir()

    run = case.generate()

    assert (run.code, run.err.splitlines()[1].partition(": it is ")[0]) == (
        7,
        f"cdigen: error: cannot write {case.record}",
    )


def test_a_name_that_is_not_utf_8_keeps_no_record_from_being_written(make_case: Callable[..., RecordedCase]) -> None:
    case = make_case()
    os.symlink(b"nowhere\xff", os.fsencode(case.path(f"{LIBDIR}/libnvidia-odd.so.1")))

    assert case.generate().code == 0
    assert case.changes() == []


INSTEAD = "name another, such as /var/lib/cdigen/nvidia.snapshot.yaml"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--record", "-"),
            ("--record cannot write to standard output; name a file such as /var/lib/cdigen/nvidia.snapshot.yaml"),
        ),
        (
            ("--record", "f", "-o", "-"),
            (
                "--record keeps the facts behind a spec on the disk, and --output - leaves none there; record the host"
                " with: cdigen snapshot"
            ),
        ),
        (
            ("--record", "f", "--snapshot", "s"),
            "--record keeps the facts of a host, which --snapshot has already; use one of them",
        ),
        (("--record", "d/../x", "-o", "x"), f"--record d/../x: a spec is written to that file; {INSTEAD}"),
        (
            ("--record", "x-imex", "-o", "x", "--all-modes"),
            f"--record x-imex: a spec is written to that file; {INSTEAD}",
        ),
        (
            ("--record", "facts.yaml", "-o", "nvidia.yaml"),
            f"--record facts.yaml: engines would take it for a spec there; {INSTEAD}",
        ),
        (
            ("--record", "/etc/cdi/facts.json", "-o", "x"),
            f"--record /etc/cdi/facts.json: engines would take it for a spec there; {INSTEAD}",
        ),
        (
            ("--record", "/var/run/cdi/facts.yaml", "-o", "x"),
            f"--record /var/run/cdi/facts.yaml: engines would take it for a spec there; {INSTEAD}",
        ),
        (
            ("--record", "", "-o", "x"),
            "--record: the file has no name; name a file such as /var/lib/cdigen/nvidia.snapshot.yaml",
        ),
    ],
)
def test_a_record_that_has_no_meaning_is_refused(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    run = run_program("generate", *options, cwd=tmp_path)

    assert (run.code, run.out, run.err) == (2, "", f"cdigen: error: {message}\n")
    assert os.listdir(tmp_path) == []


def test_an_empty_setting_keeps_no_record(make_case: Callable[..., RecordedCase]) -> None:
    case = make_case()
    arguments = ("generate", "--host-root", case.root, "-o", case.spec, "--json")

    kept = run_program(*arguments, env={"CDIGEN_GENERATE_RECORD": str(case.record)})
    none = run_program(*arguments, env={"CDIGEN_GENERATE_RECORD": ""})

    assert json.loads(kept.out)["record"]["state"] == "wrote"
    assert (none.code, "record" in json.loads(none.out)) == (0, False)
