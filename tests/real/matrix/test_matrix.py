"""The spec that cdigen writes, in every engine and every kind of image."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.conftest import skipped_where_unavailable as skipped_where_unavailable
from tests.real.matrix.cells import CHOICES, DRIVER_ANSWERS, find_faults_of_cell, run_choices
from tests.real.matrix.engines import ROWS, Engine, Row, Start, open_trixie_buildah
from tests.real.matrix.expected import FAILURES, Failure
from tests.real.matrix.groups import ENGINES, GVISOR, Seen, ask, expected, render_groups
from tests.real.matrix.images import KINDS, Images, Kind
from tests.real.matrix.table import render_table

if TYPE_CHECKING:
    from tests.real.matrix.cells import Spec

PAGE = Path(__file__).parents[3] / "docs" / "engines.md"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_container_has_what_it_asked_for_and_nothing_else(
    opened: tuple[Row, Engine], kind: Kind, images: Images, spec: Spec, cells: dict[tuple[str, str], Failure | None]
) -> None:
    row, engine = opened
    failure = FAILURES.get((row.name, kind.name))
    if failure is None:
        assert find_faults_of_cell(engine, kind, images.root(kind), spec, row=row) == []
    else:
        expected = [
            (failure.status, "", failure.message.format(device=f"nvidia.com/gpu={names[0]}")) for names, _ in CHOICES
        ]
        ended = run_choices(engine, kind, spec)
        assert [(done.returncode, done.stdout, done.stderr) for done in ended] == expected
    cells[row.name, kind.name] = failure


@pytest.mark.parametrize("with_groups", [False, True], ids=["never", "always"])
@pytest.mark.parametrize("row", ENGINES, ids=lambda row: row.name)
def test_who_may_open_a_node_of_the_hosts_mode_and_group(
    row: Row,
    images: Images,
    spec: Spec,
    spec_with_groups: Path,
    seen_groups: dict[tuple[str, bool], Seen],
    *,
    with_groups: bool,
) -> None:
    with skipped_where_unavailable(), row.open(images, spec_with_groups if with_groups else spec.path) as engine:
        seen = ask(engine)

    assert seen == expected(row, with_groups=with_groups)
    seen_groups[row.name, with_groups] = seen


def test_the_real_driver_runs_in_gvisor(images: Images, spec: Spec) -> None:
    kind = next(kind for kind in KINDS if kind.name == "bookworm")
    with skipped_where_unavailable(), GVISOR.open(images, spec.path) as engine:
        done = engine.run(Start(kind=kind, devices=("nvidia.com/gpu=all",), argv=("probe", "--cuinit")))

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["result"] == DRIVER_ANSWERS["cuInit"]


def test_buildah_1_39_starts_nothing_with_a_device_node_of_any_spec(images: Images, tmp_path: Path) -> None:
    node = {"path": "/dev/other", "hostPath": "/dev/null", "permissions": "rw"}
    devices = [
        {"name": "node", "containerEdits": {"deviceNodes": [node]}},
        {"name": "none", "containerEdits": {"env": ["FROM_CDI=yes"]}},
    ]
    spec = tmp_path / "other.json"
    spec.write_text(json.dumps({"cdiVersion": "0.5.0", "kind": "example.com/other", "devices": devices}))
    kind = next(kind for kind in KINDS if kind.name == "rhel-like")
    with skipped_where_unavailable(), open_trixie_buildah(images, spec) as buildah:
        works = buildah.run(Start(kind=kind, devices=("example.com/other=none",), argv=("sh", "-c", "echo $FROM_CDI")))
        fails = buildah.run(Start(kind=kind, devices=("example.com/other=node",), argv=("true",)))
    assert (works.returncode, works.stdout, works.stderr) == (0, "yes\n", "")
    assert fails.returncode == 1
    assert 'msg="runc create failed: device access at 2 field cannot be empty"\n' in fails.stderr


def test_every_expected_failure_is_of_a_cell() -> None:
    assert set(FAILURES) <= {(row.name, kind.name) for row in ROWS for kind in KINDS}


def test_the_page_says_what_was_seen(
    cells: dict[tuple[str, str], Failure | None], seen_groups: dict[tuple[str, bool], Seen], *, update_golden: bool
) -> None:
    unseen = [f"{row.name} with {kind.name}" for row in ROWS for kind in KINDS if (row.name, kind.name) not in cells]
    unseen += [
        f"{row.name} and groups" for row in ENGINES for has in (False, True) if (row.name, has) not in seen_groups
    ]
    if unseen:
        reason = f"{len(unseen)} cells were not run or failed, such as {unseen[0]}: the page needs all of them"
        if os.environ.get("CI"):
            pytest.fail(f"under CI nothing is skipped: {reason}", pytrace=False)
        pytest.skip(reason)
    page = f"{render_table(ROWS, KINDS, cells)}\n{render_groups(seen_groups)}"
    if update_golden:
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "docs/engines.md is not what this run has seen: run again with --update-golden"
