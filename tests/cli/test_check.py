"""cdigen check: a spec was right when it was written; each test changes one thing of the host, or beside the spec."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from cdigen.schema import find_schema_violations
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
    text,
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


@pytest.fixture
def recheck(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> Recheck:
    """Write the spec of one host, then check it against another."""

    def do(before: Entries, after: Entries, *options: str, check_options: tuple[str, ...] = ()) -> Run:
        spec = tmp_path / "nvidia.yaml"
        written = cdigen("generate", "--snapshot", make_snapshot(before), "-o", spec, *options)
        assert written.code == 0, written.err
        return cdigen("check", "--snapshot", make_snapshot(after), "--spec", spec, *check_options)

    return do


def report(run: Run, tmp_path: Path) -> list[str]:
    """Return the lines of a report, each with its remedy, where the only spec's path is SPEC."""
    assert run.err == ""
    body, _, _ = run.out.replace(str(tmp_path / "nvidia.yaml"), "SPEC").rpartition("\n\n")
    return body.replace("\n                  -> ", " -> ").split("\n")


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
        f"ok       spec     {tmp_path}/nvidia.yaml: true of this host: {TRUE}, 12 mounts\n"
        "\n1 ok, 0 warnings, 0 problems, 0 unknown\n"
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
    extra = library_entries("libnvidia-opencl", "libnvidia-opencl.so.1", LIBDIR)

    run = recheck({**minimal_entries(), **extra}, minimal_entries())

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong(
            "problem",
            "1 of the 5 files that it mounts is gone: containers do not start"
            f" ({LIBDIR}/libnvidia-opencl.so.{VERSION})",
        )
    ]


def test_a_library_that_is_new(recheck: Recheck, tmp_path: Path) -> None:
    extra = library_entries("libnvidia-opencl", "libnvidia-opencl.so.1", LIBDIR)

    run = recheck(minimal_entries(), {**minimal_entries(), **extra})

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("warning", f"{LIBDIR}/libnvidia-opencl.so.{VERSION} is there and not mounted")
    ]


def test_a_library_that_is_damaged(recheck: Recheck, tmp_path: Path) -> None:
    path = f"{LIBDIR}/libnvidia-opencl.so.{VERSION}"
    extra = library_entries("libnvidia-opencl", "libnvidia-opencl.so.1", LIBDIR)

    run = recheck({**minimal_entries(), **extra}, {**minimal_entries(), **extra, path: damaged(NOT_ELF)})

    assert run.code == 1
    assert report(run, tmp_path) == [wrong("problem", f"{path} is mounted and should not be: {NOT_ELF}")]


def test_a_library_that_has_become_a_directory(recheck: Recheck, tmp_path: Path) -> None:
    path = f"{LIBDIR}/libnvidia-opencl.so.{VERSION}"
    extra = library_entries("libnvidia-opencl", "libnvidia-opencl.so.1", LIBDIR)

    run = recheck({**minimal_entries(), **extra}, {**minimal_entries(), **extra, path: {"kind": "dir"}})

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("problem", f"{path} is mounted and should not be: this version of cdigen would not mount it")
    ]


def test_a_library_that_has_another_soname(recheck: Recheck, tmp_path: Path) -> None:
    path = f"{LIBDIR}/libnvidia-opencl.so.{VERSION}"
    extra = library_entries("libnvidia-opencl", "libnvidia-opencl.so.1", LIBDIR)

    run = recheck(
        {**minimal_entries(), **extra}, {**minimal_entries(), **extra, path: library("libnvidia-opencl.so.2")}
    )

    assert run.code == 1
    assert report(run, tmp_path) == [wrong("problem", f"{path} is asked for by other names now")]


def test_an_upgrade_with_its_new_module(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(), minimal_entries(OTHER_VERSION))

    paths = ["/usr/lib/firmware/nvidia/{v}/gsp_ga10x.bin", LIBDIR + "/libcuda.so.{v}", LIBDIR + "/libnvidia-ml.so.{v}"]
    gone, new = (", ".join(path.format(v=v) for path in paths[:-1]) for v in (VERSION, OTHER_VERSION))
    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("problem", f"it is of driver {VERSION}; the host's is {OTHER_VERSION}"),
        wrong(
            "problem",
            "3 of the 4 files that it mounts are gone: containers do not start"
            f" ({gone} and {paths[-1].format(v=VERSION)})",
        ),
        wrong("warning", f"{new} and {paths[-1].format(v=OTHER_VERSION)} are there and not mounted"),
    ]


def test_an_upgrade_whose_module_is_not_loaded_yet(recheck: Recheck, tmp_path: Path) -> None:
    after = {**minimal_entries(OTHER_VERSION), **kernel_entries(VERSION)}

    run = recheck(minimal_entries(), after)

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong(
            "problem",
            f"the kernel module is {VERSION} (/proc/driver/nvidia/version) but the user-space driver is"
            f" {OTHER_VERSION} ({LIBDIR}/libcuda.so.{OTHER_VERSION})",
            "reboot to load the module that was installed with it, or install the user-space driver 999.88.77",
        )
    ]


def test_a_gpu_that_has_gone(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(gpus=2), minimal_entries())

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("problem", f"nvidia.com/gpu=1 and nvidia.com/gpu={uuid_of(1)} are offered, and not there any more")
    ]


def test_a_gpu_that_is_new(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(), minimal_entries(gpus=2))

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("warning", f"nvidia.com/gpu=1 and nvidia.com/gpu={uuid_of(1)} are there, and not offered")
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
            f"nvidia.com/gpu=0, nvidia.com/gpu={uuid_of(0)}, nvidia.com/gpu=1 and 1 more are offered with other nodes"
            " than the host has for it",
        )
    ]


def test_a_gpu_that_sleeps_is_not_called_another(recheck: Recheck, tmp_path: Path) -> None:
    asleep = information(bdf=bdf_of(0), minor=0, uuid="GPU-????????-????-????-????-????????????")

    run = recheck(minimal_entries(), {**minimal_entries(), f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information": asleep})

    assert (run.code, report(run, tmp_path)) == (
        0,
        [f"ok       spec     SPEC: true of this host: {TRUE.replace('3', '2')}, 12 mounts"],
    )


def test_mig_instances_that_come_and_go(recheck: Recheck, tmp_path: Path) -> None:
    whole = {**minimal_entries(), "/proc/devices": text("Character devices:\n195 nvidia\n508 nvidia-caps\n")}
    before = {**whole, **mig_entries(0, (1, 0), (2, 0))}

    assert recheck(before, before).code == 0
    run = recheck(before, {**whole, **mig_entries(0, (2, 0), (3, 0))})
    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("problem", "nvidia.com/gpu=0:0 is offered, and not there any more"),
        wrong("warning", "nvidia.com/gpu=0:1 is there, and not offered"),
    ]
    run = recheck(whole, before)
    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("problem", f"nvidia.com/gpu=0 and nvidia.com/gpu={uuid_of(0)} are offered, and not there any more"),
        wrong("warning", "nvidia.com/gpu=0:0 and nvidia.com/gpu=0:1 are there, and not offered"),
    ]


def test_a_node_that_has_gone(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(), without(minimal_entries(), "/dev/nvidia-uvm"))

    assert run.code == 1
    (line,) = report(run, tmp_path)
    assert line.startswith("problem  spec     SPEC: /dev/nvidia-uvm is missing -> create with: cdigen nodes --create")


def test_a_drm_node_that_has_gone(recheck: Recheck, tmp_path: Path) -> None:
    run = recheck(minimal_entries(), without(minimal_entries(), "/dev/dri/renderD128"))

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong(
            "problem",
            f"nvidia.com/gpu=0, nvidia.com/gpu={uuid_of(0)} and nvidia.com/gpu=all are offered with other nodes than"
            " the host has for it",
        )
    ]


def test_what_was_edited_by_hand(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    spec, snapshot = tmp_path / "nvidia.yaml", make_snapshot()
    assert cdigen("generate", "--snapshot", snapshot, "-o", spec).code == 0
    spec.write_text(spec.read_text().replace("=void", "=all"))

    run = cdigen("check", "--snapshot", snapshot, "--spec", spec)

    assert run.code == 1
    assert report(run, tmp_path) == [
        wrong("warning", "differs from what would be written now in env NVIDIA_VISIBLE_DEVICES (see: cdigen diff)")
    ]
    spec.write_text(spec.read_text().replace("=all", "=void").replace("- ro\n", "- rw\n", 1))
    run = cdigen("check", "--snapshot", snapshot, "--spec", spec)
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
    assert report(run, tmp_path) == [
        wrong(
            "problem",
            "the header of SPEC cannot be read: '--output=/etc/shadow' is no option of a spec",
            "write the spec anew with: cdigen generate",
        )
    ]


def test_a_file_that_is_no_spec(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    spec = tmp_path / "nvidia.yaml"
    spec.write_text("cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: {}\n")

    run = cdigen("check", "--snapshot", make_snapshot(), "--spec", spec)

    assert run.code == 1
    (line,) = report(run, tmp_path)
    assert line.startswith("problem  spec     SPEC: not a valid spec, so engines pass it over: $.devices: ")
    assert line.endswith(" -> cdigen generate --output SPEC, or remove it")


def test_a_file_that_is_not_there(tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    run = cdigen("check", "--snapshot", make_snapshot(), "--spec", tmp_path / "no.yaml")

    assert (run.code, run.out) == (7, "")
    message = f"cannot read {tmp_path}/no.yaml: No such file or directory; name a file that you may read"
    assert run.err == f"cdigen: error: {message}\n"


class Live:
    """A host with a spec in its /etc/cdi."""

    def __init__(self, root: Path, cdigen: Cdigen) -> None:
        """Write the spec of the host at `root`."""
        self.root, self.cdigen = root, cdigen
        self.spec = root / "etc/cdi/nvidia.yaml"
        assert self.generate().code == 0

    def generate(self) -> Run:
        return self.cdigen("generate", "--host-root", self.root, "-o", self.spec)

    def check(self, *options: str) -> list[str]:
        run = self.cdigen("check", "--host-root", self.root, *options)
        assert run.err == ""
        lines = run.out.rpartition("\n\n")[0].replace("\n                  -> ", " -> ").split("\n")
        wrong = [line for line in lines if line.startswith(("problem", "warning"))]
        assert run.code == (1 if wrong else 0), run.out
        return lines


@pytest.fixture
def live(make_host: MakeHost, cdigen: Cdigen) -> Live:
    return Live(make_host(), cdigen)


OURS = "/etc/cdi/nvidia.yaml"
LIVE_TRUE = f"ok       spec     {OURS}: true of this host: {TRUE}, 12 mounts"


def test_the_spec_in_the_directory_of_the_engines_is_looked_at(live: Live) -> None:
    assert live.check() == [LIVE_TRUE]

    (live.root / f"usr/lib/x86_64-linux-gnu/libnvidia-ml.so.{VERSION}").unlink()
    assert live.check()[0].startswith(
        f"problem  spec     {OURS}: 1 of the 4 files that it mounts is gone: containers do"
    )


def test_a_spec_that_hides_ours(live: Live) -> None:
    other = live.root / "run/cdi/nvidia.yaml"
    other.parent.mkdir(parents=True)
    (live.root / "var").mkdir(exist_ok=True)
    (live.root / "var/run").symlink_to("../run")
    document = "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {deviceNodes: [%s]}}]\n"
    other.write_text(document % "{path: /dev/nvidia0}")

    shadow = (
        f"warning  spec     {OURS}: 1 device of it hidden by /var/run/cdi/nvidia.yaml, which counts more and is of the"
        " vendor's generator -> systemctl disable --now nvidia-cdi-refresh.path nvidia-cdi-refresh.service, then: rm"
        " /var/run/cdi/nvidia.yaml"
    )
    theirs = "ok       spec     /var/run/cdi/nvidia.yaml: everything that it mounts or makes a node of is there"
    assert live.check() == [shadow, LIVE_TRUE, theirs]

    other.write_text(document % "{path: /dev/nvidia0}, {path: /dev/nvidia7}, {path: /dev/null, hostPath: /etc/cdi}")
    assert live.check() == [
        shadow,
        LIVE_TRUE,
        (
            "problem  spec     /var/run/cdi/nvidia.yaml: /dev/nvidia7 is gone: containers that get such a device do not"
            " start -> write it anew with what has written it"
        ),
        (
            "problem  spec     /var/run/cdi/nvidia.yaml: /etc/cdi is no device node any more: containers do not start"
            " -> write it anew with what has written it"
        ),
    ]


def test_a_device_twice_in_one_directory(live: Live) -> None:
    shutil.copy(live.spec, live.spec.with_name("old.yaml"))

    assert live.check() == [
        (
            f"problem  spec     an engine: nvidia.com/gpu=0, nvidia.com/gpu={uuid_of(0)}, nvidia.com/gpu=all cannot be"
            f" resolved: in {OURS} and /etc/cdi/old.yaml, which count the same -> remove all but one: rm"
            " /etc/cdi/old.yaml"
        ),
        LIVE_TRUE,
        LIVE_TRUE.replace("nvidia.yaml", "old.yaml"),
    ]


def test_a_spec_that_not_all_may_read(live: Live) -> None:
    live.spec.chmod(0o600)

    warning = f"warning  spec     {OURS}: mode 0600: rootless engines cannot read it -> chmod 0644 {OURS}"
    assert live.check() == [warning, LIVE_TRUE]


def test_a_spec_of_another_driver_that_is_not_ours(live: Live) -> None:
    data = live.spec.read_text().replace(VERSION, OTHER_VERSION)
    live.spec.write_text(data[data.index("cdiVersion") :])
    for path in list(live.root.rglob(f"*{VERSION}*")):
        shutil.copytree(path, str(path).replace(VERSION, OTHER_VERSION)) if path.is_dir() else shutil.copy(
            path, str(path).replace(VERSION, OTHER_VERSION)
        )

    assert live.check() == [
        (
            f"problem  spec     {OURS}: it is of driver {OTHER_VERSION}; the kernel module is {VERSION} -> write it"
            " anew with what has written it"
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
        "\n1 ok, 0 warnings, 0 problems, 0 unknown\n"
    )


def test_a_driver_that_was_removed(live: Live) -> None:
    for path in ("usr", "proc", "dev"):
        shutil.rmtree(live.root / path)

    lines = live.check()

    assert lines == [
        (
            f"problem  spec     {OURS}: no NVIDIA driver: neither /proc/driver/nvidia/version nor a"
            " libcuda.so.<version> below / -> install the driver, or name its directory with --driver-root"
        ),
        (
            f"problem  spec     {OURS}: 4 of the 4 files that it mounts are gone: containers do not start"
            f" (/usr/bin/nvidia-smi, /usr/lib/firmware/nvidia/{VERSION}/gsp_ga10x.bin, {LIBDIR}/libcuda.so.{VERSION}"
            " and 1 more) -> cdigen remove, or install the driver again"
        ),
        lines[-1],
    ]
    assert lines[-1].startswith(f"problem  spec     {OURS}: /dev/dri/card0, /dev/dri/renderD128, /dev/nv")
    assert lines[-1].endswith(
        "are gone: containers that get such a device do not start -> cdigen remove, or install the driver again"
    )


def test_any_user_may_check(live: Live) -> None:
    run = run_program("check", "--host-root", live.root, before=bound_to_permissions())

    assert (run.code, run.err) == (0, "")


def test_a_spec_on_standard_input(live: Live, tmp_path: Path) -> None:
    run = run_program("check", "--host-root", live.root, "--spec", "-", stdin=live.spec.read_bytes())

    assert (run.code, run.err) == (0, "")
    assert run.out.startswith(f"ok       spec     -: true of this host: {TRUE}")


def test_doctor_tells_it_too(live: Live, cdigen: Cdigen) -> None:
    (live.root / f"usr/lib/x86_64-linux-gnu/libnvidia-ml.so.{VERSION}").unlink()

    run = cdigen("doctor", "--host-root", live.root)

    assert run.code == 1
    assert f"problem  spec     {OURS}: 1 of the 4 files that it mounts is gone: containers do not start" in run.out
