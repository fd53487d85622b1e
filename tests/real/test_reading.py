"""Whether a spec is read as an engine reads it: podman is shown the documents of `tests.cdi.engine_documents`."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

import pytest

from cdigen.cdi.validate import find_violations
from cdigen.errors import ParseError
from cdigen.parse.document import parse_document
from cdigen.parse.engine_document import parse_as_engines
from cdigen.specs.on_disk import read_registry
from cdigen.specs.reading import find_misreadings, parse_spec
from tests.cdi.engine_documents import CASES, Case
from tests.cdi.library import podman_is_older
from tests.cdi.near_specs import NearSpec, make_near_spec
from tests.real.engines import run_in_container

if TYPE_CHECKING:
    from tests.real.engines import Engine

ASKED = tuple(case for case in CASES if not case.crashes)
NEAR = 500  # documents that podman is asked about at once
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
    registry = read_registry([str(tmp_path)])
    ours = {Path(file.path).name for file in registry.files if file.document is not None}
    assert ours == {f"{number}{case.suffix}" for number, case in enumerate(ASKED) if case.device is not None}
    assert {*taken} <= {*registry.devices()}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("engine", ["runc"], indirect=True)
def test_podman_and_the_registry_take_the_same_of_documents_near_specs(
    engine: Engine, image_bookworm: Path, tmp_path: Path, seed: int
) -> None:
    """Show the same of hundreds of documents made by chance, and that `validate` takes none that podman does not."""
    rng = Random(seed)  # noqa: S311 - it is for the same documents each time
    taken: list[str] = []
    refused = 0
    for number in range(NEAR):
        spec = make_near_spec(rng, f"{seed}x{number:04}")
        violations: object = None
        document = None
        with suppress(ParseError):
            if podman_is_older(parse_as_engines(spec.data)):
                continue
            document, violations = parse_spec(spec.data)
        (tmp_path / f"{number}{spec.suffix}").write_bytes(spec.data)
        if violations == () and document is not None:
            devices = cast("list[dict[str, object]]", document["devices"])
            taken += [f"{document['kind']}={device['name']}" for device in devices]
        else:
            refused += 1
            assert not is_valid(spec)

    asked = run_in_container(engine, image_bookworm, tmp_path, [ABSENT], ["true"], options=("--log-level=debug",))
    resolved = run_in_container(engine, image_bookworm, tmp_path, taken, ["true"])

    count = re.search(r"refreshing the CDI registry: ([0-9]+) errors occurred", asked.stderr)
    assert count is not None
    assert int(count[1]) == refused
    assert "unresolvable CDI devices" not in resolved.stderr
    assert min(len(taken), refused) > NEAR // 5


def is_valid(spec: NearSpec) -> bool:
    try:
        document = parse_document(spec.data, is_json=spec.suffix == ".json")
    except ParseError:
        return False
    return find_violations(document, misread=find_misreadings(spec.data, document)) == ()
