"""cdigen check for programs that watch hosts: the forms, their exit codes, and what they say of what is not seen."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.diagnosis import Diagnosis, Level
from cdigen.monitoring.plugins import render_checkmk, render_nagios, render_npd
from cdigen.monitoring.prometheus import render_prometheus
from cdigen.monitoring.result import LEVELS, TOPICS, CheckResult
from cdigen.schema import find_schema_violations
from tests.cli.program import run_program
from tests.golden.hosts import GOLDEN

if TYPE_CHECKING:
    from pathlib import Path

STALE = (
    *("--snapshot", str(GOLDEN / "ubuntu22.04-580-stale-module" / "snapshot.yaml")),
    str(GOLDEN / "talos-580" / "nvidia.yaml"),
)
TRUE = (
    *("--snapshot", str(GOLDEN / "rocky9-615" / "snapshot.yaml")),
    str(GOLDEN / "rocky9-615" / "nvidia.yaml"),
)
HALVES = (
    "the kernel module is 580.173.02 (/proc/driver/nvidia/version) but the user-space driver is 580.178.04"
    " (/usr/lib/x86_64-linux-gnu/libcuda.so.580.178.04)"
)
REBOOT = "reboot to load the module that was installed with it, or install the user-space driver 580.173.02"


def result_of(*levels: Level, message: str = "m", subject: str = "s") -> CheckResult:
    return CheckResult(
        diagnoses=tuple(
            Diagnosis(topic="spec", subject=subject, level=level, code="c", message=message) for level in levels
        ),
        specs=(),
        kernel=None,
        user=(),
        seconds=0.25,
        timestamp=1.0,
        is_good="problem" not in levels,
    )


def test_nagios_of_what_is_wrong_and_of_what_is_right() -> None:
    spec = STALE[-1]
    run = run_program("check", "--format", "nagios", *STALE)
    first, second = run.out.splitlines()
    assert run.code == 2
    assert re.fullmatch(
        re.escape(f"CDI CRITICAL - {spec}: {HALVES} | problems=1 warnings=0 unknown=0 time=") + r"[0-9.]+s", first
    )
    assert second == f"problem: {spec}: {HALVES}; {REBOOT}"

    run = run_program("check", "--format", "nagios", *TRUE)
    assert run.code == 0
    assert re.fullmatch(
        r"CDI OK - 1 spec true of this host \| problems=0 warnings=0 unknown=0 time=[0-9.]+s\n", run.out
    )


@pytest.mark.parametrize(
    ("levels", "nagios", "checkmk", "npd"),
    [
        ((), 0, "0", 0),
        (("ok",), 0, "0", 0),
        (("ok", "unknown"), 3, "3", 2),
        (("unknown", "warning"), 1, "1", 0),
        (("warning", "problem", "unknown"), 2, "2", 1),
    ],
)
def test_the_gravest_level_decides(levels: tuple[Level, ...], nagios: int, checkmk: str, npd: int) -> None:
    result = result_of(*levels)

    assert render_nagios(result)[1] == nagios
    line, code = render_checkmk(result)
    assert (line.split()[0], code) == (checkmk, 0)
    assert render_npd(result)[1] == npd


def test_checkmk_and_node_problem_detector() -> None:
    run = run_program("check", "--format", "checkmk", *STALE)
    assert (run.code, run.out) == (0, f'2 "CDI" problems=1|warnings=0 {STALE[-1]}: {HALVES}\n')
    run = run_program("check", "--format", "npd", *STALE)
    assert run.code == 1
    assert run.out == f"{STALE[-1]}: {HALVES}"[:77] + "...\n"
    run = run_program("check", "--format", "npd", *TRUE)
    assert (run.code, run.out) == (0, "1 spec true of this host\n")


@pytest.mark.parametrize(
    ("form", "code", "line"),
    [("nagios", 3, "CDI UNKNOWN - "), ("checkmk", 0, '3 "CDI" - '), ("npd", 2, "")],
)
def test_who_could_not_look_says_unknown(form: str, code: int, line: str) -> None:
    run = run_program("check", "--format", form, "--snapshot", "/nonexistent")

    assert (run.code, run.err) == (code, "")
    assert run.out.startswith(f"{line}cannot read /nonexistent: No such file or directory")
    assert run.out.count("\n") == 1


@given(st.text(max_size=200), st.text(max_size=60))
def test_nothing_in_a_name_is_more_than_text(message: str, subject: str) -> None:
    result = result_of("problem", "warning", message=message, subject=subject)

    text, _ = render_nagios(result)
    first, *others = text.splitlines()
    assert first.count("|") == 1
    assert len(others) == 2
    assert all("|" not in line for line in others)
    assert render_checkmk(result)[0].count("\n") == 1
    line, _ = render_npd(result)
    assert line.count("\n") == 1
    assert len(line) <= 81


def test_metrics_are_these_and_do_not_depend_on_what_was_found() -> None:
    run = run_program("check", "--format", "prometheus", *STALE, env={"SOURCE_DATE_EPOCH": "1700000000"})
    found = re.sub(r"(duration_seconds) [0-9.]+", r"\1 0", run.out)
    spec = STALE[-1]

    assert run.code == 1
    assert [line for line in found.splitlines() if not line.startswith(("#", "cdigen_check_findings"))] == [
        'cdigen_build_info{version="0.1.0"} 1',
        "cdigen_check_success 0",
        "cdigen_check_duration_seconds 0",
        "cdigen_check_timestamp_seconds 1700000000",
        'cdigen_driver_info{kernel="580.173.02",user="580.178.04",match="false"} 1',
        f'cdigen_spec_info{{path="{spec}",kind="nvidia.com/gpu",cdi_version="0.5.0",writer="cdigen"}} 1',
        f'cdigen_spec_devices{{path="{spec}"}} 2',
        f'cdigen_spec_valid{{path="{spec}"}} 0',
    ]
    findings = [line for line in found.splitlines() if line.startswith("cdigen_check_findings")]
    assert len(findings) == (len(LEVELS) - 1) * len(TOPICS)
    assert [line for line in findings if not line.endswith(" 0")] == [
        'cdigen_check_findings{level="problem",topic="spec"} 1'
    ]
    good = run_program("check", "--format", "prometheus", *TRUE)
    assert good.code == 0
    assert "cdigen_check_success 1\n" in good.out
    assert 'match="true"} 1\n' in good.out


def test_a_report_goes_to_a_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "cdigen.prom"
    run = run_program("check", "--format", "prometheus", "--output", path, *TRUE)
    assert (run.code, run.out, run.err) == (0, "", "")
    assert path.read_text().endswith("\n")
    assert path.stat().st_mode & 0o777 == 0o644
    path = tmp_path / "report.json"
    run_program("check", "--json", "--output", path, *TRUE)
    assert find_schema_violations(json.loads(path.read_text()), "report") == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--json", "--format", "nagios"), "--json and --format nagios ask for two reports; leave one of them out"),
        (("--output", "x"), "--output writes a report for programs; name one with --format"),
    ],
)
def test_what_does_not_go_together_is_refused(options: tuple[str, ...], message: str) -> None:
    run = run_program("check", *options, *TRUE)

    assert (run.code, run.err) == (2, f"cdigen: error: {message}\n")


def test_a_label_is_escaped() -> None:
    result = result_of("ok")
    assert "# TYPE cdigen_check_success gauge\n" in render_prometheus(result)
