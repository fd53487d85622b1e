"""What each command says of a host and of files: text and JSON, whole, and its exit code."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from yaml import safe_load

from cdigen.schema import find_schema_violations
from tests.cli.program import run_program
from tests.hosts import (
    LIBDIR,
    VERSION,
    damaged,
    gpu_entries,
    library_entries,
    minimal_entries,
    text,
    without,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, Expect, MakeHost, MakeSnapshot
    from tests.hosts import Entries

OTHERS = "{cdiVersion: 0.3.0, kind: aa.com/bb, devices: [{name: a, containerEdits: {env: [A=b]}}]}"
"""A spec of somebody's."""

REPORTING = ("generate", "list", "diff", "explain")
WROTE = f"driver {VERSION}, 1 GPU, 3 devices, 20 mounts"


def eventful_entries() -> Entries:
    """Return a host of which there is something to say: findings, files left out, an ICD, two GPUs, 32 bits."""
    icd = json.dumps({"file_format_version": "1.0.0", "ICD": {"library_path": "libGLX_nvidia.so.0"}})
    return {
        **without(minimal_entries(gpus=2), "/dev/nvidia-modeset", "/proc/driver/nvidia/gpus/0000:02:00.0"),
        **gpu_entries(1, uuid="GPU-????????-????-????-????-????????????"),
        **library_entries("libnvcuvid", "libnvcuvid.so.1", "/usr/lib/i386-linux-gnu", machine="i386"),
        f"{LIBDIR}/libnvidia-encode.so.{VERSION}": damaged(),
        "/usr/share/vulkan/icd.d/nvidia_icd.json": text(icd),
        "/usr/bin/nvidia-modprobe": {"kind": "file"},
    }


def assert_report(out: str) -> dict[str, object]:
    report: dict[str, object] = json.loads(out)
    assert find_schema_violations(report, "report") == ()
    return report


# generate


def test_generate_writes_the_spec_and_says_so_once(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen, expect: Expect
) -> None:
    output = tmp_path / "new" / "nvidia.yaml"
    snapshot = make_snapshot()

    first = cdigen("generate", "--snapshot", snapshot, "-o", output, "--create-dirs")
    before = output.stat()
    second = cdigen("generate", "--snapshot", snapshot, "-o", output)

    assert (first.code, first.out, first.err) == (0, "", f"cdigen: wrote {output}: {WROTE}\n")
    assert (second.code, second.out, second.err) == (0, "", f"cdigen: unchanged: {output}: {WROTE}\n")
    expect("expected/nvidia.yaml", output.read_text())
    after = output.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert (before.st_mode & 0o777, output.parent.stat().st_mode & 0o777) == (0o644, 0o755)
    assert os.listdir(output.parent) == ["nvidia.yaml"]


def test_generate_writes_the_same_to_standard_output(make_snapshot: MakeSnapshot, expect: Expect) -> None:
    run = run_program("generate", "--snapshot", make_snapshot(), "--output", "-")

    assert (run.code, run.err) == (0, "")
    expect("expected/nvidia.yaml", run.out)


def test_generate_reads_a_snapshot_from_standard_input(make_snapshot: MakeSnapshot, expect: Expect) -> None:
    run = run_program("generate", "--snapshot", "-", "--output", "-", stdin=make_snapshot().read_bytes())

    assert (run.code, run.err) == (0, "")
    expect("expected/nvidia.yaml", run.out)


@pytest.mark.parametrize(
    ("name", "options"), [("a.json", ()), ("a.yaml", ("--format", "json")), ("-", ("--format", "json"))]
)
def test_generate_writes_json_by_suffix_and_on_demand(
    name: str, options: tuple[str, ...], tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    output = "-" if name == "-" else str(tmp_path / name)
    snapshot = make_snapshot()

    run = cdigen("generate", "--snapshot", snapshot, "-o", output, *options)

    assert run.code == 0
    as_json = run.out if name == "-" else (tmp_path / name).read_text()
    assert json.loads(as_json) == safe_load(cdigen("generate", "--snapshot", snapshot, "-o", "-").out)


def test_generate_warns_of_a_name_that_no_engine_reads(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    run = cdigen("generate", "--snapshot", make_snapshot(), "-o", tmp_path / "nvidia.yml")

    assert (run.code, run.err) == (
        0,
        (
            f"cdigen: wrote {tmp_path}/nvidia.yml: {WROTE}\ncdigen: warning: no engine reads {tmp_path}/nvidia.yml: its"
            " name ends neither in .yaml nor in .json; choose another name\n"
        ),
    )


def test_generate_writes_to_the_current_directory(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    (tmp_path / "here").mkdir()

    run = run_program("generate", "--snapshot", make_snapshot(), "-o", "nvidia.yaml", cwd=tmp_path / "here")

    assert (run.code, run.err) == (0, f"cdigen: wrote nvidia.yaml: {WROTE}\n")
    assert os.listdir(tmp_path / "here") == ["nvidia.yaml"]


def test_generate_reports_as_json_what_it_wrote(tmp_path: Path, make_snapshot: MakeSnapshot, expect: Expect) -> None:
    snapshot = make_snapshot(eventful_entries())

    runs = [run_program("generate", "--snapshot", snapshot, "-o", "a.yaml", "--json", cwd=tmp_path) for _ in range(2)]

    expect("expected/generate.json", runs[0].out)
    assert runs[0].err == f"cdigen: wrote a.yaml: driver {VERSION}, 2 GPUs, 4 devices, 21 mounts\n"
    first, second = (assert_report(run.out) for run in runs)
    assert (first.pop("changed"), second.pop("changed")) == (True, False)
    assert first == second


# list, explain, diff


@pytest.mark.parametrize("command", ["list", "explain"])
def test_list_and_explain_tell_all_of_a_host(
    command: str, make_snapshot: MakeSnapshot, cdigen: Cdigen, expect: Expect
) -> None:
    snapshot = make_snapshot(eventful_entries())

    as_text = cdigen(command, "--snapshot", snapshot)
    as_json = cdigen(command, "--snapshot", snapshot, "--json")

    assert (as_text.code, as_json.code, as_json.err) == (0, 0, "")
    expect(f"expected/{command}.txt", as_text.out)
    if command == "explain":
        assert as_text.err == ""
    else:
        expect("expected/findings.txt", as_text.err)
    expect(f"expected/{command}.json", as_json.out)
    assert_report(as_json.out)


def test_list_shows_the_devices_of_a_spec_without_a_host(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen, expect: Expect
) -> None:
    spec = tmp_path / "nvidia.yaml"
    cdigen("generate", "--snapshot", make_snapshot(), "-o", spec)

    as_text, as_json = cdigen("list", "--spec", spec), cdigen("list", "--spec", spec, "--json")

    assert (as_text.code, as_text.err, as_json.code, as_json.err) == (0, "", 0, "")
    expect("expected/list-spec.txt", as_text.out)
    expect("expected/list-spec.json", as_json.out)
    assert_report(as_json.out)


@pytest.mark.parametrize(
    ("patterns", "files"),
    [
        (["libcuda"], ["libcuda.so.999.88.77", "libnvidia-ptxjitcompiler.so.999.88.77"]),
        (["*.bin", "nvidia-smi"], ["nvidia-smi", "gsp_ga10x.bin"]),
    ],
)
def test_explain_is_restricted_to_what_matches(
    patterns: list[str], files: list[str], make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    run = cdigen("explain", "--snapshot", make_snapshot(), "--json", *patterns)

    found = assert_report(run.out)["files"]
    assert isinstance(found, list)
    assert [file["hostPath"].rpartition("/")[2] for file in found] == files


def test_explain_knows_32_bit_libraries_and_sockets_where_these_are_asked_for(
    make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    entries: Entries = {**eventful_entries(), "/run/nvidia-persistenced/socket": {"kind": "socket"}}

    run = cdigen("explain", "--snapshot", make_snapshot(entries), "--json", "--ipc", "--compat32")

    found = assert_report(run.out)["files"]
    assert isinstance(found, list)
    assert {(file["kind"], file.get("bits")) for file in found} >= {("socket", None), ("library", 32), ("library", 64)}


def test_diff_shows_what_is_new_gone_and_changed(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen, expect: Expect
) -> None:
    spec = tmp_path / "nvidia.yaml"
    cdigen("generate", "--snapshot", make_snapshot(), "-o", spec)
    entries = {
        **without(minimal_entries(gpus=2), "/usr/bin/nvidia-smi"),
        **{path: entry for path, entry in gpu_entries(0, card=7).items() if path.startswith("/dev/dri/by-path")},
        "/dev/dri/card7": minimal_entries()["/dev/dri/card0"],
    }
    arguments = ("diff", "--snapshot", make_snapshot(entries), "--container-lib-dir", "/usr/lib64", "--spec")

    as_text, as_json = (run_program(*arguments, "nvidia.yaml", *options, cwd=tmp_path) for options in ((), ("--json",)))

    remark = (
        "cdigen: warning: no nvidia-smi was found, so containers do not have it; install the programs of the user-space"
        f" driver {VERSION}\n"
    )
    assert (as_text.code, as_text.err, as_json.code, as_json.err) == (1, remark, 1, "")
    expect("expected/diff.txt", as_text.out)
    expect("expected/diff.json", as_json.out)
    assert_report(as_json.out)
    assert {line[0] for line in as_text.out.splitlines()} == {"+", "-", "~"}


def test_diff_of_an_unchanged_host_is_empty(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    spec, snapshot = tmp_path / "nvidia.yaml", make_snapshot()
    cdigen("generate", "--snapshot", snapshot, "-o", spec)

    run = cdigen("diff", "--snapshot", snapshot, "--spec", spec)
    as_json = cdigen("diff", "--snapshot", snapshot, "--spec", spec, "--json")

    assert (run.code, run.out, run.err) == (0, "", "")
    assert (as_json.code, assert_report(as_json.out)["changes"]) == (0, [])


def test_diff_against_no_file_shows_every_entry_as_new(make_host: MakeHost, cdigen: Cdigen) -> None:
    run = cdigen("diff", "--host-root", make_host())

    assert (run.code, run.err) == (1, "")
    assert run.out.startswith("+ cdiVersion: 0.5.0\n+ device 0: offered\n")
    assert {line[0] for line in run.out.splitlines()} == {"+"}


def test_diff_does_not_count_order_and_comments(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    snapshot, spec = make_snapshot(), tmp_path / "nvidia.json"
    document = safe_load(cdigen("generate", "--snapshot", snapshot, "-o", "-").out)
    document["devices"].reverse()
    document["containerEdits"]["mounts"].reverse()
    spec.write_text(json.dumps(dict(reversed(document.items()))))

    run = cdigen("diff", "--snapshot", snapshot, "--spec", spec)

    assert (run.code, run.out) == (0, "")


def test_diff_reads_a_spec_from_standard_input(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    snapshot = make_snapshot()
    spec = cdigen("generate", "--snapshot", snapshot, "-o", "-").out

    run = run_program("diff", "--snapshot", snapshot, "--spec", "-", stdin=spec.encode())

    assert (run.code, run.out, run.err) == (0, "", "")


# validate


def test_validate_says_what_a_valid_spec_is(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    spec = tmp_path / "nvidia.yaml"
    cdigen("generate", "--snapshot", make_snapshot(), "-o", spec)

    run = cdigen("validate", spec)

    assert (run.code, run.out, run.err) == (0, f"{spec}: valid, cdiVersion 0.5.0, nvidia.com/gpu, 3 devices\n", "")


def test_validate_reports_every_violation_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        "cdiVersion: 0.3.0\nkind: example.com/card\nsize: 1\ndevices:\n"
        "- {name: '0', containerEdits: {env: [A=1]}}\n- {name: a b, containerEdits: {}}\n"
    )
    (tmp_path / "two.yaml").write_text("kind: 1\nkind: 2\n")
    (tmp_path / "hook.json").write_text(
        '{"cdiVersion": "0.3.0", "kind": "example.com/card", "devices": [{"name": "a",'
        ' "containerEdits": {"hooks": [{"hookName": "prestart", "path": "/bin/true"}]}}]}'
    )
    files = ("one.yaml", "gone.yaml", "two.yaml", "hook.json")

    as_text = run_program("validate", *files, cwd=tmp_path)
    as_json = run_program("validate", *files, "--hook-free", "--json", cwd=tmp_path)

    gone = "cannot read gone.yaml: No such file or directory"
    assert (as_text.code, as_text.err) == (7, f"cdigen: error: {gone}; check the path\n")
    assert as_text.out == (
        "one.yaml::$.cdiVersion: 0.3.0 is too low: $.devices[0].name needs 0.5.0,"
        " where a name may start with a digit\n"
        "one.yaml::$.devices[1].containerEdits: this object is not a non-empty set of edits, which every device needs\n"
        "one.yaml::$.devices[1].name: 'a b' is not a device name: letters, digits, '_', '.', ':' and '-',"
        " starting and ending with a letter or digit\n"
        "one.yaml::$.size: unknown key\n"
        "two.yaml::$: line 2, column 1: duplicate key 'kind'\n"
        "hook.json: valid, cdiVersion 0.3.0, example.com/card, 1 device\n"
    )
    assert (as_json.code, as_json.err) == (7, as_text.err)
    reported = assert_report(as_json.out)["files"]
    assert isinstance(reported, list)
    assert [(file["file"], file["valid"], len(file["violations"])) for file in reported] == [
        ("one.yaml", False, 4),
        ("gone.yaml", False, 0),
        ("two.yaml", False, 1),
        ("hook.json", False, 1),
    ]
    assert reported[1]["error"] == gone
    assert reported[3]["violations"] == [
        {"place": "$.devices[0].containerEdits.hooks", "message": "hooks are not allowed in a hook-free spec"}
    ]


def test_validate_exits_1_for_a_violation_and_reads_standard_input() -> None:
    run = run_program("validate", "-", stdin=b"[]")

    assert (run.code, run.out, run.err) == (1, "-::$: this array is not an object\n", "")


# snapshot


def test_a_snapshot_gives_the_very_same_spec(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen, expect: Expect
) -> None:
    original, copy = make_snapshot(eventful_entries()), tmp_path / "copy.yaml"

    run = cdigen("snapshot", "--snapshot", original, "--note", "made up", "-o", copy)

    expect("expected/snapshot.yaml", copy.read_text())
    expect("expected/findings.txt", run.err)
    assert (run.code, run.out) == (0, "")
    assert cdigen("generate", "--snapshot", copy, "-o", "-") == cdigen("generate", "--snapshot", original, "-o", "-")


def test_a_host_that_generate_refuses_is_recorded_with_a_note_that_says_so(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    snapshot = make_snapshot(without(minimal_entries(), "/dev/nvidia-uvm"))

    run = cdigen("snapshot", "--snapshot", snapshot)

    refusal = "/dev/nvidia-uvm is missing; create with: cdigen nodes --create"
    assert (run.code, run.err) == (0, f"cdigen: note: generate would refuse this host (exit 5): {refusal}\n")
    copy = tmp_path / "copy.yaml"
    copy.write_text(run.out)
    refused = cdigen("generate", "--snapshot", copy, "-o", "-")
    assert (refused.code, refused.out, refused.err) == (5, "", f"cdigen: error: {refusal}\n")


# all of them


@pytest.mark.parametrize("command", REPORTING)
@pytest.mark.parametrize("entries", [minimal_entries(), eventful_entries()], ids=["small", "eventful"])
def test_every_report_obeys_its_schema_and_is_alone_on_standard_output(
    command: str, entries: Entries, tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    (tmp_path / "other.yaml").write_text(OTHERS)
    place = {"generate": ("-o", tmp_path / "x.yaml"), "diff": ("--spec", tmp_path / "other.yaml")}.get(command, ())

    run = cdigen(command, "--json", "--compat32", "--snapshot", make_snapshot(entries), *place)

    assert assert_report(run.out)["report"] == command


@pytest.mark.parametrize("key", ["report", "findings"])
def test_the_schema_of_reports_allows_neither_more_nor_less(
    key: str, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    report = assert_report(cdigen("list", "--json", "--snapshot", make_snapshot()).out)

    assert find_schema_violations({**report, "more": 1}, "report")
    assert find_schema_violations({name: value for name, value in report.items() if name != key}, "report")


@pytest.mark.parametrize("command", REPORTING)
def test_a_refusal_is_reported_as_json_too(command: str, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    run = cdigen(command, "--json", "--snapshot", make_snapshot({"/dev": {"kind": "dir"}}))

    assert run.code == 3
    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert (report["error"]["code"], report["error"]["exitCode"]) == ("no-driver", 3)
    assert run.err == (
        "cdigen: error: no NVIDIA driver: neither /proc/driver/nvidia/version nor a libcuda.so.<version> below /;"
        " install the driver, or name its directory with --driver-root\n"
    )


def test_diff_takes_the_options_in_the_header_where_none_are_given(
    make_snapshot: MakeSnapshot, cdigen: Cdigen, tmp_path: Path
) -> None:
    spec, snapshot = tmp_path / "nvidia.yaml", make_snapshot()
    assert cdigen("generate", "--snapshot", snapshot, "-o", spec, "--no-all").code == 0

    run = cdigen("diff", "--snapshot", snapshot, "--spec", spec)
    assert (run.code, run.out, run.err) == (0, "", "")
    run = cdigen("diff", "--snapshot", snapshot, "--spec", spec, "--mode", "gpu")
    assert (run.code, run.err) == (1, "")
    assert run.out.startswith("+ device all: offered\n")
    spec.write_text(spec.read_text().replace("--no-all", "--all"))
    run = cdigen("diff", "--snapshot", snapshot, "--spec", spec)
    assert (run.code, run.out) == (1, "")
    assert run.err == (
        f"cdigen: error: the header of {spec} cannot be read: '--all' is not an option of a spec; regenerate the spec"
        f" with: cdigen generate --output {spec}\n"
    )
    spec.write_text(spec.read_text().replace("--all", "--driver-root=driver"))
    run = cdigen("diff", "--host-root", tmp_path, "--spec", spec)
    assert (run.code, run.out) == (1, "")
    assert run.err == (
        f"cdigen: error: the header of {spec} cannot be read: --driver-root driver: not an absolute path on the host"
        " without '..'; use one such as /run/nvidia/driver; regenerate the spec with: cdigen generate"
        f" --output {spec}\n"
    )
