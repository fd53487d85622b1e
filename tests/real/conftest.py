"""Fixtures that make real input: a driver, images and engines.

What this machine cannot have is a skip with the reason. Under CI it is a failure: there the tests must run.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.cache import cache_dir
from tests.real.container import BuiltImage, built_image
from tests.real.engines import ENGINES, Engine, require_engine
from tests.real.make_driver import HostTree, make_host, read_package_files
from tests.real.make_images import make_image
from tests.real.process import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory `real`."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.real)


@contextmanager
def skipped_where_unavailable() -> Iterator[None]:
    try:
        yield
    except UnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(f"under CI nothing is skipped: {error}", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def driver_plain() -> HostTree:
    """Return the host root with the packages' files alone: libraries in nvidia/current, no alternatives."""
    with skipped_where_unavailable():
        return make_host("plain", cache_dir())


@pytest.fixture(scope="session")
def driver_debian() -> HostTree:
    """Return the host root of an installed bookworm: alternatives links, the packages' own linker cache."""
    with skipped_where_unavailable():
        return make_host("debian", cache_dir())


@pytest.fixture(scope="session")
def package_files() -> dict[str, tuple[str, ...]]:
    """Return the absolute paths of files and links in each of the driver's packages."""
    with skipped_where_unavailable():
        return read_package_files(cache_dir())


@pytest.fixture(scope="session")
def image_bookworm() -> Path:
    """Return a container root whose loader looks into /usr/lib/x86_64-linux-gnu."""
    with skipped_where_unavailable():
        return make_image("bookworm", cache_dir())


@pytest.fixture(scope="session")
def image_rhel() -> Path:
    """Return a container root whose loader looks into /usr/lib64."""
    with skipped_where_unavailable():
        return make_image("rhel-like", cache_dir())


@pytest.fixture(scope="session", params=["image_bookworm", "image_rhel"])
def image(request: pytest.FixtureRequest) -> Path:
    """Return each of the container roots in turn."""
    root = request.getfixturevalue(request.param)
    assert isinstance(root, Path)
    return root


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return each of the engines in turn, known to be installed."""
    chosen: Engine = request.param
    with skipped_where_unavailable():
        require_engine(chosen)
    return chosen


@pytest.fixture(scope="session")
def built() -> Iterator[BuiltImage]:
    """Return cdigen's own image, built of this checkout."""
    with skipped_where_unavailable():
        context = built_image()
        image = context.__enter__()
    try:
        yield image
    finally:
        context.__exit__(None, None, None)
