"""Options of every test run."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the program says of the golden hosts into golden/, where it differs; refused under CI",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to rewrite what is expected where nobody looks at the difference."""
    if config.getoption("--update-golden") and os.environ.get("CI"):
        raise pytest.UsageError(
            "--update-golden rewrites what the tests expect, which CI (the variable CI is set) must not do:"
            " run it in a checkout and review the difference"
        )


@pytest.fixture(scope="session")
def update_golden(pytestconfig: pytest.Config) -> bool:
    """Return whether expected files are to be rewritten."""
    return bool(pytestconfig.getoption("--update-golden"))
