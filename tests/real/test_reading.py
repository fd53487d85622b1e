"""Whether a spec is read as an engine reads it: podman is shown the documents of `tests.cdi.engine_documents`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdigen.cdi.registry import read_registry
from cdigen.specs.reading import parse_spec
from tests.cdi.engine_documents import CASES, Case
from tests.real.engines import run_in_container

if TYPE_CHECKING:
    from tests.real.engines import Engine

ASKED = tuple(case for case in CASES if not case.crashes)
ABSENT = "absent.example.com/dev=0"


def kind_of(number: int) -> str:
    return f"k{number}.example.com/dev"


def is_taken_by_podman(case: Case) -> bool:
    return (case.device is None) == case.is_new


@pytest.mark.parametrize("engine", ["runc"], indirect=True)
def test_podman_and_the_registry_take_the_same_documents(engine: Engine, image_bookworm: Path, tmp_path: Path) -> None:
    """Show that podman resolves each device that we do, and that it refuses as many documents as there are others."""
    for number, case in enumerate(ASKED):
        (tmp_path / f"{number}{case.suffix}").write_bytes(case.document(kind_of(number)))
    taken = [
        f"{kind_of(number)}={case.device}"
        for number, case in enumerate(ASKED)
        if is_taken_by_podman(case) and case.device is not None
    ]

    # Nothing is started: an injection of all of these would fail for the paths that they name.
    refused = run_in_container(engine, image_bookworm, tmp_path, [ABSENT], ["true"], options=("--log-level=debug",))
    resolved = run_in_container(engine, image_bookworm, tmp_path, taken, ["true"])

    assert refused.returncode == 126
    assert f"unresolvable CDI devices {ABSENT}" in refused.stderr
    count = re.search(r"refreshing the CDI registry: ([0-9]+) errors occurred", refused.stderr)
    assert count is not None
    assert int(count[1]) == sum(not is_taken_by_podman(case) for case in ASKED)
    assert "unresolvable CDI devices" not in resolved.stderr
    assert len(taken) > 200
    registry = read_registry([str(tmp_path)], lambda path: parse_spec(Path(path).read_bytes()))
    ours = {Path(file.path).name for file in registry.files if file.document is not None}
    assert ours == {f"{number}{case.suffix}" for number, case in enumerate(ASKED) if case.device is not None}
    assert {*taken} <= {*registry.devices()}
