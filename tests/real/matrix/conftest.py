"""Fixtures of the matrix: the images, the spec, each engine in turn, and what was seen of its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tests.real.cache import cache_dir
from tests.real.conftest import skipped_where_unavailable
from tests.real.matrix.cells import Spec
from tests.real.matrix.engines import ROWS, Engine, Row
from tests.real.matrix.images import Images, make_images
from tests.real.program import as_driver_root, report_of, run_cdigen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real.make_driver import HostTree
    from tests.real.matrix.expected import Failure
    from tests.real.matrix.groups import Seen


@pytest.fixture(scope="session")
def images() -> Images:
    """Return the root directories of every kind of image."""
    with skipped_where_unavailable():
        return make_images(cache_dir())


@pytest.fixture(scope="session")
def spec(driver_debian: HostTree, tmp_path_factory: pytest.TempPathFactory) -> Spec:
    """Return the spec that cdigen writes for the real driver, and what it says of it."""
    options = as_driver_root(driver_debian)
    path = tmp_path_factory.mktemp("spec") / "nvidia.yaml"
    done = run_cdigen("generate", *options, "--output", str(path))
    assert done.returncode == 0, done.stderr
    return Spec(
        path=path,
        tree=driver_debian,
        document=yaml.safe_load(path.read_text()),
        explained=report_of("explain", *options),
    )


@pytest.fixture(scope="session")
def spec_with_groups(driver_debian: HostTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same spec with additionalGids."""
    path = tmp_path_factory.mktemp("groups") / "nvidia.yaml"
    options = ("--additional-gids", "always", "--output", str(path))
    done = run_cdigen("generate", *as_driver_root(driver_debian), *options)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="session")
def seen_groups() -> dict[tuple[str, bool], Seen]:
    """Return where tests put what they have seen of an engine's nodes, without and with groups."""
    return {}


@pytest.fixture(scope="session", params=ROWS, ids=lambda row: row.name)
def opened(request: pytest.FixtureRequest, images: Images, spec: Spec) -> Iterator[tuple[Row, Engine]]:
    """Give each engine in turn, ready, with its row of the table."""
    row: Row = request.param
    with skipped_where_unavailable():
        context = row.open(images, spec.path)
        engine = context.__enter__()
    try:
        yield row, engine
    finally:
        context.__exit__(None, None, None)


@pytest.fixture(scope="session")
def cells() -> dict[tuple[str, str], Failure | None]:
    """Return where tests put what they have seen of each cell: None where it works."""
    return {}
