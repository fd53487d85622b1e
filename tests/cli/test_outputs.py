"""Where specs are written and looked for with --host-root and without --output."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.classes import all_class_entries
from tests.hosts import VERSION
from tests.swap import exchanging

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost

ROUNDS = 40
SUMMARY = f"driver {VERSION}, 1 GPU, 3 devices, 20 mounts"


def tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_the_spec_of_another_root_is_written_below_it_and_found_there(make_host: MakeHost, cdigen: Cdigen) -> None:
    root = make_host()
    spec = root / "etc/cdi/nvidia.yaml"

    run = cdigen("generate", "--host-root", root)

    assert (run.code, run.out) == (0, "")
    assert run.err == f"cdigen: wrote {spec} (/etc/cdi/nvidia.yaml on the host): {SUMMARY}\n"
    assert str(root) not in spec.read_text()
    assert cdigen("generate", "--host-root", root).err == (
        f"cdigen: unchanged: {spec} (/etc/cdi/nvidia.yaml on the host): {SUMMARY}\n"
    )
    diff = cdigen("diff", "--host-root", root, "--json")
    report = json.loads(diff.out)
    assert (diff.code, report["spec"], report["changes"]) == (0, str(spec), [])
    checked = cdigen("check", "--host-root", root)
    assert (checked.code, "true of this host" in checked.out) == (0, True)


def test_the_specs_of_all_modes_are_too_and_are_removed_there(make_host: MakeHost, cdigen: Cdigen) -> None:
    root = make_host(all_class_entries())
    assert cdigen("generate", "--host-root", root, "--all-modes").code == 0
    written = {path.name for path in (root / "etc/cdi").iterdir()}
    assert {"nvidia.yaml", "nvidia-imex.yaml", "nvidia-management.yaml"} < written

    run = cdigen("remove", "--host-root", root)

    assert (run.code, run.out) == (0, "")
    assert {*run.err.splitlines()} == {f"cdigen: removed {root}/etc/cdi/{name}" for name in written}
    assert list((root / "etc/cdi").iterdir()) == []


@pytest.mark.parametrize(
    ("link", "target", "place"),
    [
        ("etc/cdi", "/run/cdi", "run/cdi/nvidia.yaml"),
        ("etc/cdi", "../run/cdi", "run/cdi/nvidia.yaml"),
        ("etc/cdi", "../../../../../../run/cdi", "run/cdi/nvidia.yaml"),
        ("etc", "/conf", "conf/cdi/nvidia.yaml"),
        ("etc/cdi/nvidia.yaml", "/run/cdi/ours", "run/cdi/ours"),
    ],
)
def test_links_below_the_root_are_followed_as_on_that_host(
    link: str, target: str, place: str, make_host: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    root = make_host()
    for directory in ("run/cdi", "conf"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "run/cdi/ours").write_text("")
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(target)
    before = tree(tmp_path) - {f"host/{place}", "host/conf/cdi"}

    run = cdigen("generate", "--host-root", root)

    assert run.code == 0
    assert (root / place).read_text().startswith("# Written by cdigen ")
    assert tree(tmp_path) - {f"host/{place}", "host/conf/cdi"} == before
    assert not os.path.lexists("/run/cdi/ours")


@pytest.mark.parametrize(("link", "target"), [("etc/cdi", "/gone/cdi"), ("etc/cdi/nvidia.yaml", "/gone")])
def test_a_link_to_nothing_is_refused(link: str, target: str, make_host: MakeHost, cdigen: Cdigen) -> None:
    root = make_host()
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(target)

    run = cdigen("generate", "--host-root", root)

    assert (run.code, run.out) == (7, "")
    assert run.err == (
        f"cdigen: error: /{link} of the host is a symbolic link to {target}, which is missing; remove the link\n"
    )


def test_a_cycle_of_links_is_refused(make_host: MakeHost, cdigen: Cdigen) -> None:
    root = make_host()
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/cdi").symlink_to("cdi")

    run = cdigen("generate", "--host-root", root)

    assert (run.code, run.err) == (
        5,
        "cdigen: error: /etc/cdi/nvidia.yaml leads through more than 40 symbolic links; remove the link cycle\n",
    )


@pytest.mark.parametrize("command", ["generate", "remove"])
def test_nothing_out_of_a_root_is_changed_however_its_links_come_and_go(
    command: str, make_host: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    root, outside = make_host(all_class_entries()), tmp_path / "outside"
    assert cdigen("generate", "--host-root", root, "--all-modes").code == 0
    (root / "etc/cdi").rename(outside)
    for path in outside.iterdir():
        path.write_text("# Written by cdigen 0.0.1\n")
    before = {path: path.stat() for path in (outside, *outside.iterdir())}
    (root / "etc/cdi").mkdir()
    (root / "etc/link").symlink_to(outside)
    with exchanging(root / "etc/cdi", root / "etc/link"):
        for _ in range(ROUNDS):
            cdigen(command, "--host-root", root)

    assert {path: path.stat() for path in (outside, *outside.iterdir())} == before


def test_a_named_output_is_where_it_is_named(make_host: MakeHost, tmp_path: Path, cdigen: Cdigen) -> None:
    spec = tmp_path / "spec.yaml"

    run = cdigen("generate", "--host-root", make_host(), "-o", spec)

    assert (run.code, run.err) == (0, f"cdigen: wrote {spec}: {SUMMARY}\n")


def test_a_spec_that_is_named_has_to_be_there(make_host: MakeHost, cdigen: Cdigen) -> None:
    root = make_host()

    for arguments in (("--spec", "typo.yaml"), ("typo.yaml",)):
        run = cdigen("diff", "--host-root", root, *arguments)
        assert (run.code, run.out) == (7, "")
        assert run.err.startswith("cdigen: error: cannot read typo.yaml: No such file or directory; ")
    assert cdigen("diff", "--host-root", root).code == 1


@pytest.mark.parametrize("command", ["list", "diff"])
def test_the_file_may_be_named_without_an_option(command: str, make_host: MakeHost, cdigen: Cdigen) -> None:
    root = make_host()
    cdigen("generate", "--host-root", root)
    spec = root / "etc/cdi/nvidia.yaml"
    host = ("--host-root", root) if command == "diff" else ()

    assert cdigen(command, spec, *host) == cdigen(command, "--spec", spec, *host)
    run = cdigen(command, spec, "--spec", spec, *host)
    message = "cdigen: error: FILE and --spec both name the spec; leave one of them out\n"
    assert (run.code, run.out, run.err) == (2, "", message)


@pytest.mark.parametrize("arguments", [("--spec-dir", "x"), ("x.yaml",)])
def test_what_to_remove_is_said_once(arguments: tuple[str, ...], cdigen: Cdigen) -> None:
    run = cdigen("remove", "--host-root", "/", *arguments)

    what = "--spec-dir" if len(arguments) > 1 else "FILE"
    assert (run.code, run.out) == (2, "")
    assert f"--host-root and {what} both say where to look; use one of them" in run.err
