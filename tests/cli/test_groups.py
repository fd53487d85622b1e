"""--additional-gids and --none-device on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from yaml import safe_load

from cdigen.engines.engines import Engine
from cdigen.specs.groups import judge_engines
from tests.hosts import char, minimal_entries

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost, MakeSnapshot

CLOSED = minimal_entries() | {"/dev/dri/card0": char(226, 0, "0660", owner="0:44")}
NOTE = (
    "cdigen: note: /dev/dri/card0, /dev/dri/by-path/pci-0000:01:00.0-card not open to all; containers do not get group"
    " 44 (additionalGids), as {}; if all your engines read cdiVersion 0.7.0, use --additional-gids always\n"
)
OF_SNAPSHOT = NOTE.format("a snapshot does not tell which engines there are")
OF_OTHER_HOST = NOTE.format("the host is not this machine, so its engines cannot be asked for their versions")
PODMAN_4 = Engine(name="podman 4.3.1", directories=("/etc/cdi",), reads="0.5.0")
PODMAN_5 = Engine(name="podman 5.4.2", directories=("/etc/cdi",), reads="0.8.0")
DOCKER_27 = Engine(name="docker 27.0", directories=("/etc/cdi",), reads="0.7.0")
CRIO = Engine(name="CRI-O 1.30.1", directories=("/etc/cdi",), reads=None)


def gids(document: Any) -> list[object]:
    return [edits["containerEdits"].get("additionalGids") for edits in (document, *document["devices"])]


@pytest.mark.parametrize(
    ("engines", "answer"),
    [
        ((), (False, "no engine here reads CDI specs")),
        ((DOCKER_27,), (True, "docker 27.0 reads cdiVersion 0.7.0")),
        ((PODMAN_5, DOCKER_27), (True, "podman 5.4.2, docker 27.0 read cdiVersion 0.7.0")),
        ((PODMAN_5, PODMAN_4), (False, "podman 4.3.1 may not read cdiVersion 0.7.0")),
        ((PODMAN_4, CRIO, PODMAN_5), (False, "podman 4.3.1, CRI-O 1.30.1 may not read cdiVersion 0.7.0")),
    ],
)
def test_groups_are_given_if_every_engine_is_known_to_read_them(
    engines: tuple[Engine, ...], answer: tuple[bool, str]
) -> None:
    assert judge_engines(engines) == answer


def test_of_another_host_it_is_not_known_and_the_note_says_so(
    make_snapshot: MakeSnapshot, make_host: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    for options, note in (
        (("--snapshot", make_snapshot(CLOSED)), OF_SNAPSHOT),
        (("--host-root", make_host(CLOSED)), OF_OTHER_HOST),
    ):
        run = cdigen("generate", *options, "-o", "-")
        assert (run.code, run.err) == (0, note)
        assert gids(safe_load(run.out)) == [None] * 4
        assert "Options" not in run.out.partition("cdiVersion")[0]
    assert cdigen("generate", "--snapshot", make_snapshot(), "-o", "-").err == ""


@pytest.mark.parametrize("choice", ["always", "never"])
def test_the_choice_is_kept_in_the_header_and_check_and_diff_build_the_same(
    choice: str, make_host: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    spec = tmp_path / "nvidia.yaml"
    host = ("--host-root", make_host(CLOSED))
    run = cdigen("generate", *host, "--additional-gids", choice, "-o", spec)
    assert (run.code, run.err.count("\n")) == (0, 1)
    document = safe_load(spec.read_text())
    assert gids(document) == ([None, [44], [44], [44]] if choice == "always" else [None] * 4)
    assert document["cdiVersion"] == ("0.7.0" if choice == "always" else "0.5.0")
    assert f"--additional-gids={choice}" in spec.read_text()

    assert (cdigen("diff", *host, "--spec", spec).code, cdigen("check", *host, "--spec", spec).code) == (
        0,
        0,
    )
    other = cdigen("diff", *host, "--spec", spec, "--additional-gids", "always" if choice == "never" else "never")
    lines = [line for line in other.out.splitlines() if "additionalGids" in line]
    sign = "-" if choice == "always" else "+"
    assert lines[0] == f"{sign} device 0, additionalGids: 44"
    assert (other.code, len(lines)) == (1, 3)


def test_diff_with_options_of_its_own_decides_as_generate_would(
    make_snapshot: MakeSnapshot, tmp_path: Path, cdigen: Cdigen
) -> None:
    run = cdigen("diff", "--snapshot", make_snapshot(CLOSED), "--spec", tmp_path / "none.yaml", "--no-all")
    assert "additionalGids" not in run.out


def test_a_device_none_is_listed_and_belongs_to_no_gpu(
    make_snapshot: MakeSnapshot, tmp_path: Path, cdigen: Cdigen
) -> None:
    options = ("--snapshot", make_snapshot(), "--none-device", "--device-name-strategy", "index")
    listed = cdigen("list", *options)
    assert (listed.code, listed.out.splitlines()[-1].split()) == (0, ["nvidia.com/gpu=none", "-", "-", "0", "GPUs"])
    report = json.loads(cdigen("list", *options, "--json").out)
    assert report["devices"][-1] == {"device": "nvidia.com/gpu=none", "name": "none", "nodes": []}

    spec = tmp_path / "nvidia.yaml"
    assert cdigen("generate", *options, "-o", spec).code == 0
    assert cdigen("validate", "--hook-free", spec).code == 0
    assert cdigen("diff", "--snapshot", make_snapshot(), "--spec", spec).code == 0


def test_a_device_none_is_one_of_gpus(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    run = cdigen("generate", "--snapshot", make_snapshot(), "--none-device", "--mode", "imex")
    assert (run.code, run.err) == (
        2,
        "cdigen: error: --none-device is a device without a GPU, and --mode imex has no GPUs; leave it out\n",
    )
