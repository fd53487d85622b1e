"""Every mode on the command line: list, explain, diff, snapshot, and --all-modes over the life of its files."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, cast

import pytest
from yaml import safe_load

from cdigen.schema import find_schema_violations
from tests.classes import IMEX, all_class_entries, gds_entries, imex_entries
from tests.hosts import LIBDIR, VERSION, Entries, bdf_of, minimal_entries, text, unreadable, uuid_of, without

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeSnapshot
    from tests.cli.program import Run

CLASS_MODES = ("management", "imex", "nvswitch", "gds", "gdrcopy", "mofed")
FULL_HOST = f"driver {VERSION}, 2 GPUs, 5 devices, 20 mounts"
MANAGEMENT = f"driver {VERSION}, 1 device, 7 nodes, 20 mounts"
OTHER_LINES = {
    "management": MANAGEMENT,
    "imex": "4 devices, 3 nodes",
    "nvswitch": "1 device, 5 nodes",
    "gds": "1 device, 2 nodes, 2 mounts",
    "gdrcopy": "1 device, 1 node",
    "mofed": "1 device, 3 nodes",
}
ABSENT_GDS = (
    "there is no GPUDirect Storage, /dev/nvidia-fs<N>; install the package nvidia-fs and load its module with: modprobe"
    " nvidia-fs"
)


def report_of(out: str) -> dict[str, object]:
    report: dict[str, object] = json.loads(out)
    assert find_schema_violations(report, "report") == ()
    return report


def file_of(directory: Path, mode: str) -> Path:
    return directory / f"nvidia-{mode}.yaml"


def stamps(directory: Path) -> dict[str, tuple[int, int, int]]:
    found = ((path.name, path.stat()) for path in directory.iterdir())
    return {name: (status.st_ino, status.st_mtime_ns, status.st_ctime_ns) for name, status in found}


# one mode


@pytest.mark.parametrize("mode", CLASS_MODES)
def test_every_command_knows_every_mode(mode: str, tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    host = ("--snapshot", make_snapshot(all_class_entries()), "--mode", mode)
    spec = tmp_path / "spec.yaml"

    generated = cdigen("generate", *host, "-o", spec)

    assert (generated.code, generated.out) == (0, "")
    assert generated.err == f"cdigen: wrote {spec}: {OTHER_LINES[mode]}\n"
    assert cdigen("validate", "--hook-free", spec).code == 0
    same = cdigen("diff", *host, "--spec", spec)
    assert (same.code, same.out, same.err) == (0, "", "")
    listed = cdigen("list", *host)
    assert (listed.code, listed.err) == (0, "")
    assert listed == cdigen("list", "--spec", spec)
    for command in ("list", "explain", "diff"):
        report_of(cdigen(command, *host, "--json").out)
    report = report_of(cdigen("generate", *host, "-o", spec, "--json").out)
    assert (report["changed"], report["driverVersion"]) == (False, VERSION if mode == "management" else None)


def test_explain_says_where_each_entry_of_a_class_comes_from(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    snapshot = make_snapshot({**gds_entries(1), f"{IMEX}/channel0": text("")})

    run = cdigen("explain", "--snapshot", snapshot, "--mode", "gds")

    assert (run.code, run.err) == (0, "")
    assert run.out == (
        "nvidia.com/gds, which needs no driver\n"
        "\ncufile.json (config, compute)\n  host file    /etc/cufile.json\n  why          catalog: settings of cuFile\n"
        "  mounted at   /etc/cufile.json\n"
        "\nudev (data, compute)\n  host file    /run/udev\n"
        "  why          catalog: udev's database, by which cuFile tells disks\n  mounted at   /run/udev\n"
        "\n/dev/nvidia-fs0 (device node)\n  why          catalog: GPUDirect Storage\n"
        "  now          498:0, mode 0666, group 0; no numbers in the spec\n  in           all\n"
    )


def test_a_mode_without_a_device_is_refused_and_its_file_stays(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    spec = tmp_path / "nvidia-gds.yaml"
    spec.write_text("what stood here before")

    run = cdigen("generate", "--snapshot", make_snapshot(), "--mode", "gds", "-o", spec)

    assert (run.code, run.out, run.err) == (5, "", f"cdigen: error: {ABSENT_GDS}\n")
    assert spec.read_text() == "what stood here before"


def test_what_was_found_in_the_place_of_a_device_is_said_before_the_refusal(
    make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    snapshot = make_snapshot({"/dev/nvidia-fs0": text("")})

    run = cdigen("generate", "--snapshot", snapshot, "--mode", "gds", "-o", "-")

    assert (run.code, run.out, run.err) == (
        5,
        "",
        (
            "cdigen: warning: /dev/nvidia-fs0 is not a character device; it is left out; remove it, or reload its"
            f" driver, which creates it again\ncdigen: error: {ABSENT_GDS}\n"
        ),
    )


def test_management_of_a_host_whose_gpus_are_not_there_yet(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    entries = without(minimal_entries(), "/proc/driver/nvidia/gpus", "/dev/nvidia0")

    run = cdigen("list", "--snapshot", make_snapshot(entries), "--mode", "management")

    assert (run.code, run.err) == (0, "")
    assert run.out == (
        "DEVICE                         NODES\n"
        "management.nvidia.com/gpu=all  /dev/nvidiactl /dev/nvidia-uvm /dev/nvidia-uvm-tools /dev/nvidia-modeset\n"
    )


def test_coherence_that_is_not_known_is_an_error(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    run = cdigen("list", "--snapshot", make_snapshot(), "--mode", "coherent", "--nvml", "never")

    assert (run.code, run.out, run.err) == (
        5,
        "",
        "cdigen: error: no GPU is known to be coherent, which only NVML can tell; let it be asked with --nvml always\n",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--mode", "gds", "--device", "0"],
            "--device chooses GPUs and IMEX channels, of which --mode gds offers none by name; leave it out",
        ),
        (
            ["--all-modes", "--mode", "imex"],
            "--all-modes writes the specs of all modes and cannot be used together with --mode imex; use one of them",
        ),
        (
            ["--all-modes", "-o", "-"],
            "--all-modes writes several files and cannot be used together with --output -; name a file",
        ),
        (
            ["--all-modes", "-o", "a.json"],
            (
                "--all-modes writes YAML only: JSON has no comments, so a later run could not tell that it wrote the"
                " file; name a file that ends in .yaml"
            ),
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: list[str], message: str, cdigen: Cdigen) -> None:
    run = cdigen("generate", *options)

    assert (run.code, run.out, run.err) == (2, "", f"cdigen: error: {message}\n")


def test_a_snapshot_has_what_every_mode_needs(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    first, again = make_snapshot(all_class_entries()), tmp_path / "again.yaml"

    assert cdigen("snapshot", "--snapshot", first, "-o", again).code == 0

    for mode in ("gpu", *CLASS_MODES):
        host = ("generate", "-o", "-", "--mode", mode, "--snapshot")
        assert cdigen(*host, again) == cdigen(*host, first)


def test_a_snapshot_of_a_host_without_a_driver_has_the_other_classes(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    again = tmp_path / "again.yaml"
    cdigen("snapshot", "--snapshot", make_snapshot(gds_entries()), "-o", again)

    run = cdigen("list", "--snapshot", again, "--mode", "gds")

    assert (run.code, run.out) == (
        0,
        "DEVICE              NODES\nnvidia.com/gds=all  /dev/nvidia-fs0 /dev/nvidia-fs1\n",
    )


# --all-modes


def all_modes(cdigen: Cdigen, snapshot: Path, directory: Path, *options: str) -> tuple[int, str, list[str]]:
    run = cdigen(
        "generate", "--all-modes", "--snapshot", snapshot, "-o", directory / "nvidia.yaml", "--create-dirs", *options
    )
    return run.code, run.out, [line.removeprefix("cdigen: ") for line in run.err.splitlines()]


def lines_of(directory: Path, state: str) -> list[str]:
    return [
        f"{state} {directory}/nvidia.yaml: {FULL_HOST}",
        *(f"{state} {file_of(directory, mode)}: {OTHER_LINES[mode]}" for mode in CLASS_MODES),
    ]


def test_all_specs_are_written_once_and_then_left_alone(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    snapshot, cdi = make_snapshot(all_class_entries()), tmp_path / "cdi"

    assert all_modes(cdigen, snapshot, cdi) == (0, "", lines_of(cdi, "wrote"))
    before = stamps(cdi)
    assert all_modes(cdigen, snapshot, cdi) == (0, "", lines_of(cdi, "unchanged:"))

    assert stamps(cdi) == before
    assert sorted(before) == sorted(["nvidia.yaml", *(f"nvidia-{mode}.yaml" for mode in CLASS_MODES)])
    for mode in CLASS_MODES:
        alone = cdigen("generate", "--snapshot", snapshot, "--mode", mode, "-o", "-")
        assert alone.out == file_of(cdi, mode).read_text()


def test_a_file_whose_devices_are_gone_is_removed(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    cdi = tmp_path / "cdi"
    all_modes(cdigen, make_snapshot(all_class_entries()), cdi)
    before = stamps(cdi)
    snapshot = make_snapshot(without(all_class_entries(), "/dev/nvidia-fs0", "/dev/nvidia-fs1"))

    code, out, said = all_modes(cdigen, snapshot, cdi)

    expected = lines_of(cdi, "unchanged:")
    expected[4] = f"removed {cdi}/nvidia-gds.yaml: its devices are gone"
    assert (code, out, said) == (0, "", expected)
    del before["nvidia-gds.yaml"]
    assert stamps(cdi) == before
    assert all_modes(cdigen, snapshot, cdi) == (0, "", [line for line in expected if "gds" not in line])


@pytest.mark.parametrize(
    "content", [b"", b"cdiVersion: 0.3.0\nkind: nvidia.com/gds\n", b"# Written by hand\n", b"\xff\x00\xfe"]
)
@pytest.mark.parametrize("has_devices", [True, False])
def test_a_file_that_is_not_ours_is_left_with_a_warning(
    content: bytes, has_devices: bool, tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    file = file_of(tmp_path, "gds")
    file.write_bytes(content)
    before = stamps(tmp_path)
    entries = minimal_entries() | (gds_entries() if has_devices else {})
    snapshot = tmp_path / "host"
    snapshot.mkdir()

    code, _, said = all_modes(cdigen, make_snapshot(entries), tmp_path)

    reason = (
        " as it is: it was not written by cdigen; remove it and run cdigen generate again"
        if has_devices
        else ", which has no device to offer: it was not written by cdigen; remove it by hand"
    )
    assert (code, said[2]) == (0, f"warning: left {file}{reason}")
    assert stamps(tmp_path)["nvidia-gds.yaml"] == before["nvidia-gds.yaml"]
    assert file.read_bytes() == content


def test_a_link_in_the_place_of_a_file_is_left(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("# Written by cdigen 0.0.1 for nvidia.com/gds.\n")
    file_of(tmp_path, "gds").symlink_to(target)

    code, _, said = all_modes(cdigen, make_snapshot(), tmp_path)

    assert (code, said[2]) == (
        0,
        (
            f"warning: left {tmp_path}/nvidia-gds.yaml, which has no device to offer: it was not written by cdigen;"
            " remove it by hand"
        ),
    )
    assert file_of(tmp_path, "gds").is_symlink()
    assert target.exists()


def test_a_class_that_cannot_be_looked_at_keeps_its_file(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    cdi = tmp_path / "cdi"
    all_modes(cdigen, make_snapshot(all_class_entries()), cdi)
    closed: Entries = {IMEX: unreadable("EACCES", "dir")}
    snapshot = make_snapshot({**without(all_class_entries(), IMEX), **closed})

    code, _, said = all_modes(cdigen, snapshot, cdi)

    error = f"cannot read {IMEX}: Permission denied; run as a user who may read it"
    assert (code, said[2]) == (0, f"warning: left {cdi}/nvidia-imex.yaml as it is: {error}")
    assert file_of(cdi, "imex").exists()
    file_of(cdi, "imex").unlink()
    assert all_modes(cdigen, snapshot, cdi)[2][2] == f"warning: no spec of mode imex was written: {error}"


def test_nothing_is_written_or_removed_where_the_main_spec_is_refused(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    cdi = tmp_path / "cdi"
    all_modes(cdigen, make_snapshot(all_class_entries()), cdi)
    before = stamps(cdi)
    snapshot = make_snapshot(without(all_class_entries(), "/dev/nvidiactl", "/dev/nvidia-fs0", "/dev/nvidia-fs1"))

    code, out, said = all_modes(cdigen, snapshot, cdi)

    assert (code, out, len(said)) == (5, "", 1)
    assert said[0].startswith("error: /dev/nvidiactl is missing")
    assert stamps(cdi) == before


def test_a_file_that_cannot_be_written_keeps_no_other_from_its_turn(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen, mount: Callable[..., None]
) -> None:
    cdi, snapshot = tmp_path / "cdi", make_snapshot(all_class_entries())
    all_modes(cdigen, snapshot, cdi)
    file_of(cdi, "gds").unlink()
    imex = file_of(cdi, "imex")
    imex.write_text("# Written by cdigen 0.0.1 for nvidia.com/imex-channel.\n")
    mount(imex, "--bind", str(imex))

    code, _, said = all_modes(cdigen, snapshot, cdi)

    expected = lines_of(cdi, "unchanged:")
    expected[2] = (
        f"error: cannot write {imex}: Device or resource busy; it is a mount point; write to the file on the other side"
        " of the mount"
    )
    expected[4] = expected[4].replace("unchanged:", "wrote")
    expected.append(expected.pop(2))  # the reason is the last line
    assert (code, said) == (7, expected)
    report = report_of(
        cdigen("generate", "--all-modes", "--snapshot", snapshot, "-o", cdi / "nvidia.yaml", "--json").out
    )
    states = {one["mode"]: one["state"] for one in cast("list[dict[str, str]]", report["others"])}
    assert states == dict.fromkeys(CLASS_MODES, "unchanged") | {"imex": "failed"}


def test_findings_of_all_modes_are_said_and_reported_once(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    entries = {**minimal_entries(), **imex_entries(0), f"{IMEX}/channel1": text(""), "/dev/gdrdrv": text("")}
    snapshot = make_snapshot(entries)

    code, _, said = all_modes(cdigen, snapshot, tmp_path)
    run = cdigen("generate", "--all-modes", "--snapshot", snapshot, "-o", tmp_path / "nvidia.yaml", "--json")

    end = "is not a character device; it is left out; remove it, or reload its driver, which creates it again"
    assert (code, said[3:]) == (0, [f"warning: {IMEX}/channel1 {end}", f"warning: /dev/gdrdrv {end}"])
    report = report_of(run.out)
    findings = cast("list[dict[str, str]]", report["findings"])
    assert [finding["subject"] for finding in findings] == [f"{IMEX}/channel1", "/dev/gdrdrv"]
    assert report["others"] == [
        {
            "mode": "management",
            "output": f"{tmp_path}/nvidia-management.yaml",
            "state": "unchanged",
            "devices": ["management.nvidia.com/gpu=all"],
            "message": f"unchanged: {tmp_path}/nvidia-management.yaml: driver {VERSION}, 1 device, 5 nodes, 20 mounts",
            "remedy": None,
        },
        {
            "mode": "imex",
            "output": f"{tmp_path}/nvidia-imex.yaml",
            "state": "unchanged",
            "devices": ["nvidia.com/imex-channel=0", "nvidia.com/imex-channel=all"],
            "message": f"unchanged: {tmp_path}/nvidia-imex.yaml: 2 devices, 1 node",
            "remedy": None,
        },
    ]


def test_choices_for_the_gpus_do_not_reach_the_other_specs(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    snapshot, cdi = make_snapshot(all_class_entries()), tmp_path / "cdi"

    code, _, _ = all_modes(
        cdigen, snapshot, cdi, "--device", "1", "--class", "card", "--vendor", "example.com", "--no-all"
    )

    assert code == 0
    specs = {name: safe_load((cdi / name).read_text()) for name in sorted(os.listdir(cdi))}
    names = {spec["kind"]: [device["name"] for device in spec["devices"]] for spec in specs.values()}
    assert names == {
        "example.com/card": ["1", "GPU-00000000-0000-4000-8000-000000000001"],
        "example.com/gdrcopy": ["all"],
        "example.com/gds": ["all"],
        "example.com/imex-channel": ["0", "2", "10"],
        "example.com/mofed": ["all"],
        "example.com/nvswitch": ["all"],
        "management.example.com/gpu": ["all"],
    }


def coherent_entries(*coherent: bool | None) -> Entries:
    """Return a host whose recorded answer of NVML tells of each GPU whether it is coherent."""
    entries = minimal_entries(gpus=len(coherent))
    gpus = [
        {"bdf": bdf_of(index), "minor": index, **({} if known is None else {"coherent": known})}
        for index, known in enumerate(coherent)
    ]
    library = f"{LIBDIR}/libnvidia-ml.so.{VERSION}"
    entries[library] = {**entries[library], "nvml": {"driver_version": VERSION, "gpus": gpus}}
    return entries


def names_of(run: Run) -> list[str]:
    return [str(device["device"]) for device in cast("list[dict[str, object]]", report_of(run.out)["devices"])]


@pytest.mark.parametrize(("mode", "index"), [("coherent", 1), ("noncoherent", 2)])
def test_a_mode_of_coherence_asks_nvml_and_offers_those_that_are_known(
    mode: str, index: int, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    snapshot = make_snapshot(coherent_entries(None, True, False))

    run = cdigen("list", "--snapshot", snapshot, "--mode", mode, "--json")

    kind = f"nvidia.com/gpu.{mode}"
    assert (run.code, names_of(run)) == (0, [f"{kind}={index}", f"{kind}={uuid_of(index)}", f"{kind}=all"])
    spec = safe_load(cdigen("generate", "--snapshot", snapshot, "--mode", mode, "-o", "-").out)
    assert (spec["cdiVersion"], spec["kind"]) == ("0.6.0", kind)


def test_coherence_is_written_only_where_nvml_was_asked_and_kept_where_it_was_not(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    snapshot, file = make_snapshot(coherent_entries(True)), file_of(tmp_path, "coherent")

    all_modes(cdigen, snapshot, tmp_path)
    assert not file.exists()
    _, _, said = all_modes(cdigen, snapshot, tmp_path, "--nvml", "always")
    assert said[2:] == [f"wrote {file}: driver {VERSION}, 1 GPU, 3 devices, 20 mounts"]
    _, _, said = all_modes(cdigen, snapshot, tmp_path)

    assert said[2:] == [
        f"warning: left {file} as it is: only NVML tells which GPUs are coherent; ask it with --nvml always"
    ]
    snapshot = make_snapshot(coherent_entries(False))
    _, _, said = all_modes(cdigen, snapshot, tmp_path, "--nvml", "always")
    assert said[2:] == [
        f"removed {file}: its devices are gone",
        f"wrote {file_of(tmp_path, 'noncoherent')}: driver {VERSION}, 1 GPU, 3 devices, 20 mounts",
    ]
