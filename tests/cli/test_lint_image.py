"""cdigen lint-image as users meet it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cdigen.schema import find_schema_violations
from tests.cli.program import bound_to_permissions, run_program
from tests.hosts import minimal_entries
from tests.image.archives import LIBDIR, OTHER_VERSION, VERSION, digest, docker_pieces, layer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeSnapshot

CUDA = f"{LIBDIR}/libcuda.so.{OTHER_VERSION}"
LAYERS = (
    layer({"etc/passwd": b"x"}),
    layer({CUDA: b"x", f"{LIBDIR}/libcuda.so.1": f"libcuda.so.{OTHER_VERSION}", "usr/lib64/libcuda.so.1": "gone"}),
)
HIDDEN = f"hidden by the host's file, which is mounted over it by way of /{LIBDIR}/libcuda.so.1"
DANGLING = "crun cannot mount over a dangling link (ENOENT): the container does not start; runc can"
UNKNOWN = (
    "cdigen: note: the version of the host's driver is unknown: no /proc/driver/nvidia/version, and no single libcuda;"
    " name it with --driver-version\n"
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(layer(docker_pieces(LAYERS)))
    return path


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "clean.tar"
    path.write_bytes(layer(docker_pieces(LAYERS[:1])))
    return path


def test_what_is_found_is_said_with_layer_effect_and_fix_and_exits_1(archive: Path, cdigen: Cdigen) -> None:
    run = cdigen("lint-image", archive, "--driver-version", VERSION)

    assert (run.code, run.err) == (1, "")
    assert run.out == (
        f"{archive} (docker archive, 2 layers): found 2 driver files, for a host with driver {VERSION}"
        f" (--driver-version)\n"
        f"\n/{CUDA} (driver-library, {OTHER_VERSION})\n"
        f"  note     {HIDDEN}\n"
        f"  layer    {digest(LAYERS[1])}, RUN step 1\n"
        f"  fix      RUN rm /{CUDA}, or leave out the step that makes it\n"
        f"\n/usr/lib64/libcuda.so.1 (dangling-link)\n"
        f"  warning  {DANGLING}\n"
        f"  layer    {digest(LAYERS[1])}, RUN step 1\n"
        f"  fix      RUN rm /usr/lib64/libcuda.so.1, or leave out the step that makes it\n"
    )


def test_the_report_obeys_its_schema(archive: Path, cdigen: Cdigen) -> None:
    run = cdigen("lint-image", archive, "--driver-version", VERSION, "--json")

    assert (run.code, run.err) == (1, "")
    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert report == {
        "report": "lint-image",
        "image": str(archive),
        "form": "docker archive",
        "layers": [{"name": digest(data), "createdBy": f"RUN step {n}"} for n, data in enumerate(LAYERS)],
        "driverVersion": VERSION,
        "driverVersionSource": "--driver-version",
        "found": [
            {
                "level": "note",
                "code": "driver-library",
                "path": f"/{CUDA}",
                "layer": digest(LAYERS[1]),
                "version": OTHER_VERSION,
                "effect": HIDDEN,
                "fix": f"RUN rm /{CUDA}, or leave out the step that makes it",
            },
            {
                "level": "warning",
                "code": "dangling-link",
                "path": "/usr/lib64/libcuda.so.1",
                "layer": digest(LAYERS[1]),
                "version": None,
                "effect": DANGLING,
                "fix": "RUN rm /usr/lib64/libcuda.so.1, or leave out the step that makes it",
            },
        ],
        "findings": [],
    }


def test_a_clean_image_exits_0(clean: Path, tmp_path: Path, cdigen: Cdigen) -> None:
    run = cdigen("lint-image", clean, "--driver-version", VERSION)
    host = f"for a host with driver {VERSION} (--driver-version)"
    assert (run.code, run.err) == (0, "")
    assert run.out == f"{clean} (docker archive, 1 layer): found no driver files, {host}\n"

    (tmp_path / "root").mkdir()
    run = cdigen("lint-image", tmp_path / "root", "--driver-version", VERSION, "--json")
    assert (run.code, run.err) == (0, "")
    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert report["layers"] == [{"name": "directory", "createdBy": ""}]


def version_of(cdigen: Cdigen, clean: Path, snapshot: Path) -> tuple[object, object, list[str]]:
    run = cdigen("lint-image", clean, "--snapshot", snapshot, "--json")
    report = json.loads(run.out)
    assert (run.code, run.err, find_schema_violations(report, "report")) == (0, "", ())
    codes = [finding["code"] for finding in report["findings"]]
    return report["driverVersion"], report["driverVersionSource"], codes


def test_the_version_is_the_hosts_by_its_kernel_module_or_its_only_libcuda(
    clean: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    proc, module = "/proc/driver/nvidia/version", "/sys/module/nvidia/version"
    entries = minimal_entries()
    assert version_of(cdigen, clean, make_snapshot(entries)) == (VERSION, proc, [])
    entries.pop(proc)
    entries.pop(module, None)
    libcuda = f"/{LIBDIR}/libcuda.so.{VERSION}"
    assert version_of(cdigen, clean, make_snapshot(entries)) == (VERSION, libcuda, [])
    entries[f"/{LIBDIR}/libcuda.so.{OTHER_VERSION}"] = entries[libcuda]
    assert version_of(cdigen, clean, make_snapshot(entries)) == (None, None, ["driver-unknown"])


def test_without_a_known_host_it_is_said_what_would_be(
    tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(layer(docker_pieces([layer({f"opt/libcuda.so.{OTHER_VERSION}": b"x"})])))
    run = cdigen("lint-image", path, "--snapshot", make_snapshot({}))
    assert (run.code, run.err) == (1, UNKNOWN)
    effect = (
        "programs that search /opt (LD_LIBRARY_PATH, RUNPATH) load it: version mismatch unless the host's driver is"
    )
    assert f"for a host with an unknown driver\n\n/opt/libcuda.so.{OTHER_VERSION}" in run.out
    assert f"  note     {effect} {OTHER_VERSION}\n" in run.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--driver-version", "12\n"], "--driver-version 12\\n: not a driver's version; use one such as 535.309.01"),
        (
            ["--driver-version", VERSION, "--host-root", "/"],
            (
                "--driver-version takes the place of a host and cannot be used together with the options that name one;"
                " use one of them"
            ),
        ),
    ],
)
def test_options_without_meaning_are_a_mistake(options: list[str], message: str, clean: Path, cdigen: Cdigen) -> None:
    run = cdigen("lint-image", clean, *options)
    assert (run.code, run.out, run.err) == (2, "", f"cdigen: error: {message}\n")


def test_a_file_that_is_no_image_exits_1_and_one_that_cannot_be_read_7(tmp_path: Path, cdigen: Cdigen) -> None:
    path = tmp_path / "text"
    path.write_text("hello")
    run = cdigen("lint-image", path, "--driver-version", VERSION)
    assert (run.code, run.out, run.err) == (
        1,
        "",
        (
            f"cdigen: error: {path}: not a tar archive; name a root directory, an OCI layout, or an archive saved"
            " by podman, docker, buildah or skopeo\n"
        ),
    )
    run = cdigen("lint-image", tmp_path / "no\nne", "--driver-version", VERSION)
    assert (run.code, run.out, run.err) == (
        7,
        "",
        (
            f"cdigen: error: cannot read {tmp_path}/no\\nne: No such file or directory; name an image that you may"
            " read\n"
        ),
    )


def test_a_directory_below_that_may_not_be_read_exits_7_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "root/closed").mkdir(parents=True)
    (tmp_path / "root/closed").chmod(0)
    before = bound_to_permissions()
    run = run_program("lint-image", tmp_path / "root", "--driver-version", VERSION, before=before)
    (tmp_path / "root/closed").chmod(0o700)
    assert (run.code, run.out, run.err) == (
        7,
        "",
        (f"cdigen: error: cannot read {tmp_path}/root/closed: Permission denied; name an image that you may read\n"),
    )


def test_of_very_many_driver_files_the_first_are_listed(tmp_path: Path, cdigen: Cdigen) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for number in range(600):
        (root / f"libcuda.so.1.{number}").touch()
    run = cdigen("lint-image", root, "--driver-version", VERSION)
    more = "more than 500 driver files"
    assert (run.code, run.err) == (1, f"cdigen: note: {more}; the first are listed\n")
    assert run.out.startswith(f"{root} (directory): found {more}, for a host with driver {VERSION}")
    assert run.out.count("(empty-file)") == 500

    run = cdigen("lint-image", root, "--driver-version", VERSION, "--json")
    report = json.loads(run.out)
    assert (run.code, len(report["found"]), find_schema_violations(report, "report")) == (1, 500, ())
    assert [finding["code"] for finding in report["findings"]] == ["more-driver-files"]
