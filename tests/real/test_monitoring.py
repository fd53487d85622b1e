"""The metrics are read by a real node_exporter, and the alert rules judged by a real promtool."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import run_program
from tests.real.cache import Artifact, cache_dir
from tests.real.conftest import skipped_where_unavailable
from tests.real.debian import SUITE, find_sources, private_apt
from tests.real.process import run
from tests.test_monitoring import STALE, TRUE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
RULES = CHECKOUT / "packaging/prometheus/cdigen.rules.yaml"
CASES = f"""\
rule_files: [{RULES}]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - {{series: 'cdigen_check_success{{instance="a"}}', values: '0x30'}}
  - {{series: 'cdigen_check_success{{instance="b"}}', values: '1x30'}}
  - {{series: 'cdigen_driver_info{{instance="a",kernel="1",user="2",match="false"}}', values: '1x90'}}
  - {{series: 'cdigen_driver_info{{instance="b",kernel="",user="2",match="false"}}', values: '1x90'}}
  - {{series: 'cdigen_check_timestamp_seconds{{instance="a"}}', values: '0x90'}}
  - {{series: 'cdigen_check_timestamp_seconds{{instance="b"}}', values: '0+60x90'}}
  - {{series: 'node_textfile_mtime_seconds{{instance="c",file="/x/cdigen.prom"}}', values: '1x90'}}
  alert_rule_test:
  - {{eval_time: 5m, alertname: CdiSpecNotTrue, exp_alerts: []}}
  - eval_time: 15m
    alertname: CdiSpecNotTrue
    exp_alerts:
    - exp_labels: {{instance: a, severity: warning}}
      exp_annotations:
        summary: "Containers on a may not start with GPUs: the CDI spec is not true of the host"
        description: "Run cdigen doctor there."
  - {{eval_time: 30m, alertname: CdiDriverHalvesDiffer, exp_alerts: []}}
  - eval_time: 70m
    alertname: CdiDriverHalvesDiffer
    exp_alerts:
    - exp_labels: {{instance: a, kernel: "1", user: "2", match: "false", severity: warning}}
      exp_annotations:
        summary: "a needs a reboot: kernel module 1, user-space driver 2"
  - {{eval_time: 10m, alertname: CdiCheckStale, exp_alerts: []}}
  - eval_time: 25m
    alertname: CdiCheckStale
    exp_alerts:
    - exp_labels: {{instance: a, severity: warning}}
      exp_annotations:
        summary: "cdigen check has not run on a for 15 minutes"
        description: "Look at systemctl status cdigen-check.timer there."
  - eval_time: 20m
    alertname: CdiCheckAbsent
    exp_alerts:
    - exp_labels: {{instance: c, file: /x/cdigen.prom, severity: warning}}
      exp_annotations:
        summary: "The metrics of cdigen check on c cannot be read"
"""


def _build(cache: Path, dest: Path) -> None:
    del cache
    sources = tuple(source for source in find_sources() if source.suite == SUITE)
    with private_apt(dest, sources, architecture="amd64", components=("main",)) as apt:
        apt.download("apt-get", "download", "-q", "prometheus", "prometheus-node-exporter")
        for package in apt.archives.glob("*.deb"):
            run(["dpkg-deb", "--extract", str(package), str(dest / "root")])


PROMETHEUS = Artifact(name="prometheus", recipe=(Path(__file__),), build=_build)


@pytest.fixture(scope="module")
def programs() -> Path:
    with skipped_where_unavailable():
        return PROMETHEUS.make(cache_dir()) / "root/usr/bin"


def test_the_rules_fire_when_they_should(programs: Path, tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text(CASES)

    assert "SUCCESS" in run([str(programs / "promtool"), "check", "rules", str(RULES)])
    assert "SUCCESS" in run([str(programs / "promtool"), "test", "rules", str(cases)])


@pytest.mark.parametrize("arguments", [STALE, TRUE], ids=["stale", "true"])
def test_promtool_finds_no_fault(programs: Path, arguments: tuple[str, ...]) -> None:
    metrics = run_program("check", "--format", "prometheus", *arguments).out
    done = subprocess.run(
        [programs / "promtool", "check", "metrics"], input=metrics, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def scrape(programs: Path, tmp_path: Path) -> Iterator[Callable[[], str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = (
        *(programs / "prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile"),
        *(f"--collector.textfile.directory={tmp_path}", f"--web.listen-address={address}"),
    )
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def ask() -> str:
        end = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
                    return str(answer.read().decode())
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    yield ask
    process.kill()
    process.wait()


def test_node_exporter_tells_what_the_check_has_written(scrape: Callable[[], str], tmp_path: Path) -> None:
    run_program("check", "--format", "prometheus", "--output", tmp_path / "cdigen.prom", *STALE)
    told = scrape()

    assert "cdigen_check_success 0\n" in told
    assert 'cdigen_driver_info{kernel="580.173.02",match="false",user="580.178.04"} 1\n' in told
    assert "node_textfile_scrape_error 0\n" in told
    run_program("check", "--format", "prometheus", "--output", tmp_path / "cdigen.prom", *TRUE)
    assert "cdigen_check_success 1\n" in scrape()
