"""What generate says of other specs that keep engines from taking what it wrote."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from cdigen.schema import find_schema_violations
from tests.classes import all_class_entries
from tests.cli.test_outputs import SUMMARY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost
    from tests.cli.program import Run

OURS = "/etc/cdi/nvidia.yaml"


def spec(*names: str, kind: str = "nvidia.com/gpu") -> str:
    devices = [{"name": name, "containerEdits": {"env": ["A=b"]}} for name in names]
    return json.dumps({"cdiVersion": "0.5.0", "kind": kind, "devices": devices})


@pytest.fixture
def host(make_host: MakeHost) -> Path:
    root = make_host()
    for directory in ("etc/cdi", "run/cdi", "var"):
        (root / directory).mkdir(parents=True)
    (root / "var/run").symlink_to("/run")
    return root


def said(run: Run, root: Path) -> list[str]:
    """Return what was said besides the first line."""
    first, *rest = run.err.splitlines()
    assert first.endswith(f"{root}{OURS} ({OURS} on the host): {SUMMARY}")
    return rest


def test_a_spec_that_counts_more_is_a_warning_with_how_to_remove_it(host: Path, cdigen: Cdigen) -> None:
    other = host / "run/cdi/other.yaml"
    other.write_text(spec("all", "0"))

    run = cdigen("generate", "--host-root", host)

    warning = (
        f"cdigen: warning: 2 devices of {OURS} hidden by /var/run/cdi/other.yaml, which takes precedence; remove one of"
        f" the two: rm {host}/var/run/cdi/other.yaml"
    )
    assert (run.code, said(run, host)) == (0, [warning])
    assert said(cdigen("generate", "--host-root", host), host) == [warning]
    other.unlink()
    assert said(cdigen("generate", "--host-root", host), host) == []


def test_a_spec_beside_with_the_same_devices_is_a_warning(host: Path, cdigen: Cdigen) -> None:
    (host / "etc/cdi/nvidia.json").write_text(spec("0"))

    run = cdigen("generate", "--host-root", host)

    assert (run.code, said(run, host)) == (
        0,
        [
            (
                f"cdigen: warning: 1 device of {OURS} in /etc/cdi/nvidia.json too, so engines take them from none of"
                f" these; keep one of them: rm {host}/etc/cdi/nvidia.json"
            )
        ],
    )


def test_strict_makes_it_a_failure_and_the_spec_stays_written(host: Path, cdigen: Cdigen) -> None:
    assert cdigen("generate", "--host-root", host, "--strict").code == 0
    (host / "run/cdi/other.json").write_text(spec("all"))
    (host / OURS[1:]).unlink()

    run = cdigen("generate", "--host-root", host, "--strict", "--json")

    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert (run.code, report["changed"]) == (1, True)
    (finding,) = report["findings"]
    assert (finding["level"], finding["code"], finding["subject"]) == ("warning", "spec-hidden", OURS)
    assert finding["remedy"] == {
        "hint": "remove one of the two",
        "commands": [f"rm {host}/var/run/cdi/other.json"],
    }
    assert (host / OURS[1:]).exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run/cdi/other.yaml", spec("all", kind="amd.com/gpu")),
        ("run/cdi/other.yaml", spec("all", kind="nvidia.com/gpux")),
        ("run/cdi/other.yaml", spec("99")),
        ("run/cdi/other.yml", spec("all")),
        ("run/cdi/broken.yaml", "kind: nvidia.com/gpu\ndevices: ["),
        ("run/cdi/broken.yaml", spec("all").replace("devices", "device")),
        ("etc/other/nvidia.yaml", spec("all")),
    ],
)
def test_what_engines_do_not_take_our_devices_from_is_no_matter(
    name: str, content: str, host: Path, cdigen: Cdigen
) -> None:
    (host / name).parent.mkdir(exist_ok=True)
    (host / name).write_text(content)

    assert said(cdigen("generate", "--host-root", host, "--strict"), host) == []


def test_what_cannot_be_read_beside_is_no_matter(host: Path, cdigen: Cdigen) -> None:
    os.mkfifo(host / "run/cdi/pipe.yaml")
    (host / "run/cdi/gone.yaml").symlink_to("/nowhere")
    (host / "run/cdi/self.yaml").symlink_to("self.yaml")
    (host / "run/cdi/dir.yaml").mkdir()

    assert said(cdigen("generate", "--host-root", host), host) == []


def test_the_specs_of_all_modes_are_looked_at_and_are_not_in_each_others_way(
    make_host: MakeHost, cdigen: Cdigen
) -> None:
    root = make_host(all_class_entries())
    (root / "var/run/cdi").mkdir(parents=True)
    run = cdigen("generate", "--host-root", root, "--all-modes")
    assert "warning" not in run.err
    (root / "var/run/cdi/imex.yaml").write_text(spec("all", "0", kind="nvidia.com/imex-channel"))

    run = cdigen("generate", "--host-root", root, "--all-modes")

    warnings = [line for line in run.err.splitlines() if "warning" in line]
    assert warnings == [
        (
            "cdigen: warning: 2 devices of /etc/cdi/nvidia-imex.yaml hidden by /var/run/cdi/imex.yaml, which takes"
            f" precedence; remove one of the two: rm {root}/var/run/cdi/imex.yaml"
        )
    ]


def test_a_spec_that_is_written_elsewhere_is_in_nobodys_way(host: Path, tmp_path: Path, cdigen: Cdigen) -> None:
    (host / "run/cdi/other.yaml").write_text(spec("all"))

    run = cdigen("generate", "--host-root", host, "-o", tmp_path / "spec.yaml", "--strict")

    assert (run.code, len(run.err.splitlines())) == (0, 1)


def test_the_one_that_counts_more_may_be_ours(host: Path, cdigen: Cdigen) -> None:
    (host / OURS[1:]).write_text(spec("all"))

    run = cdigen("generate", "--host-root", host, "-o", host / "run/cdi/ours.yaml", "--strict")

    assert (run.code, len(run.err.splitlines())) == (0, 1)
