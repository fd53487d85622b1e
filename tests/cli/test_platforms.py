"""What every command says of a platform that is not supported: that, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cdigen.schema import find_schema_violations
from tests.golden.hosts import GOLDEN
from tests.hosts import minimal_entries, text, without

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost

TEGRA = "this host is a Jetson (it has /etc/nv_tegra_release), which cdigen does not support yet"
HOSTS = pytest.mark.parametrize(("host", "said"), [("jetson-orin-540", TEGRA)])


def below(root: Path) -> list[str]:
    return sorted(str(path) for path in root.rglob("*"))


@HOSTS
@pytest.mark.parametrize("command", ["generate", "list", "explain", "diff", "nodes"])
def test_one_error_says_what_the_host_is(command: str, host: str, said: str, tmp_path: Path, cdigen: Cdigen) -> None:
    arguments = ("-o", tmp_path / "spec.yaml") if command == "generate" else ()

    run = cdigen(command, "--snapshot", GOLDEN / host / "snapshot.yaml", *arguments)

    assert (run.code, run.out, run.err) == (3, "", f"cdigen: error: {said}\n")
    assert below(tmp_path) == []


@HOSTS
@pytest.mark.parametrize("command", ["doctor", "check"])
def test_one_problem_says_what_the_host_is(command: str, host: str, said: str, cdigen: Cdigen) -> None:
    snapshot = GOLDEN / host / "snapshot.yaml"
    subject = said.partition("it has ")[2].partition(")")[0]

    run = cdigen(command, "--json", "--snapshot", snapshot)

    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert [
        (one["topic"], one["subject"], one["level"], one["message"], one["remedy"]) for one in report["diagnoses"]
    ] == [("platform", subject, "problem", said, None)]
    assert (run.code, run.err) == (1, "")


def test_no_spec_is_judged_there(tmp_path: Path, cdigen: Cdigen) -> None:
    spec = tmp_path / "nvidia.yaml"
    spec.write_text("nothing")

    run = cdigen("check", "--spec", spec, "--snapshot", GOLDEN / "jetson-orin-540/snapshot.yaml")

    assert (run.code, run.out.splitlines()[0]) == (1, f"problem  platform  {TEGRA}")


@pytest.mark.parametrize(
    "arguments", [("generate", "--create-nodes"), ("generate", "--wait", "1h"), ("nodes", "--create"), ("generate",)]
)
def test_nothing_is_made_or_waited_for(
    arguments: tuple[str, ...], make_host: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    root = make_host({**without(minimal_entries(), "/dev/nvidiactl"), "/etc/nv_tegra_release": text("")})
    output = ("-o", tmp_path / "spec.yaml") if arguments[0] == "generate" else ()
    before = below(tmp_path)

    run = cdigen(*arguments, "--host-root", root, *output)

    assert (run.code, run.out, run.err) == (3, "", f"cdigen: error: {TEGRA}\n")
    assert below(tmp_path) == before


@pytest.mark.parametrize(
    ("mode", "answer"),
    [
        ("wsl", "'wsl' is no mode: that a host is WSL2 is found out. Leave it out."),
        ("csv", "'csv' is for Jetson, which cdigen does not support yet."),
    ],
)
def test_the_vendors_word_for_a_platform_is_answered(mode: str, answer: str, cdigen: Cdigen) -> None:
    run = cdigen("generate", "--mode", mode)

    assert (run.code, run.out) == (2, "")
    assert run.err == f"cdigen: error: Invalid value for '--mode': {answer} Try 'cdigen generate --help'.\n"


def test_the_vendors_word_for_the_usual_platform_is_the_mode_of_the_gpus(
    make_host: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    root = make_host()
    for mode in ("gpu", "nvml"):
        run = cdigen("generate", "--mode", mode, "--host-root", root, "-o", tmp_path / mode)
        assert run.code == 0
    assert (tmp_path / "gpu").read_bytes() == (tmp_path / "nvml").read_bytes()
