"""docs/kubernetes.md tells the truth of the manifests, the table of Xids and the states."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast, get_args

from cdigen.catalog.xids import RECOVERY_ACTION, XIDS
from cdigen.parse.document import parse_document
from cdigen.watch.status import State

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/kubernetes.md").read_text()


def rows(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def pod() -> dict[str, Any]:
    manifest = cast("dict[str, Any]", parse_document((ROOT / "deploy/base/daemonset.yaml").read_bytes()))
    return cast("dict[str, Any]", manifest["spec"]["template"]["spec"])


def test_every_mount_has_a_row_and_every_row_is_one() -> None:
    said = {(row[0].strip("`"), row[1]) for row in rows("What each container may") if row[0] != "both"}
    mounted = {
        (
            container["name"],
            f"`{mount['name']}` at `{mount['mountPath']}`{', read-only' if mount.get('readOnly') else ''}",
        )
        for container in pod()["containers"]
        for mount in container["volumeMounts"]
    }

    assert said == mounted


def test_the_xids_that_count_are_those_of_the_table() -> None:
    [counted] = re.findall(r"Xids that count are ([0-9, ]+), and 154", PAGE)

    assert [int(number) for number in counted.split(", ")] == sorted(row.number for row in XIDS.values() if row.counts)
    assert RECOVERY_ACTION == 154
    for numbers in re.findall(r"\(([0-9]+(?:, [0-9]+)+)\)", PAGE):
        assert not any(XIDS[int(number)].counts for number in numbers.split(", "))


def test_every_state_has_a_row() -> None:
    assert [row[0].strip("`") for row in rows("What the states of watch mean")] == list(get_args(State))


def test_components_and_paths_are_there() -> None:
    named = [row[0].strip("`") for row in rows("From a bare cluster to nvidia-smi in a pod") if row[0].startswith("`")]
    assert sorted(named) == sorted(path.name for path in (ROOT / "deploy/components").iterdir())
    for path in re.findall(r"`?(deploy/[a-z/.-]+[a-z])`?", PAGE):
        assert (ROOT / path).exists(), path


def test_the_version_is_this_one() -> None:
    from cdigen import __version__

    assert {*re.findall(r"cdigen:([0-9.]+)", PAGE)} == {__version__}
    assert f"newTag: {__version__}\n" in (ROOT / "deploy/base/kustomization.yaml").read_text()
