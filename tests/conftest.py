"""Options of every test run, and what of the process it has to do without."""

from __future__ import annotations

import compileall
import os
import signal

import pytest
from hypothesis import settings

from tests import remedies

COLLECTED = pytest.StashKey[set[str]]()
"""The paths of the files, below the repository, that tests were collected from; `-m` and `-k` do not matter."""

# Hypothesis fails an example that takes more than 200 ms, which on a busy machine any does now and then. A test that is
# about time sets a limit of its own.
settings.register_profile("cdigen", settings.get_profile("ci" if os.environ.get("CI") else "default"), deadline=None)
settings.load_profile("cdigen")
# For tests.mutation, where every test is run many times: fewer examples, always the same ones.
settings.register_profile("mutation", deadline=None, derandomize=True, max_examples=20, database=None)

remedies.watch()


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
    # Behind `&` in a script Ctrl-C is ignored, and a program that a test starts, to interrupt it, would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    # Many tests start the program. Where PYTHONDONTWRITEBYTECODE is set each start would compile it again, which is a
    # third of its time.
    compileall.compile_dir(config.rootpath / "cdigen", quiet=2)
    config.pluginmanager.register(remedies.Plugin(), "remedies")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep which files tests were found in, before any is deselected."""
    config.stash[COLLECTED] = {str(item.path.relative_to(config.rootpath)) for item in items}


@pytest.fixture(scope="session")
def update_golden(pytestconfig: pytest.Config) -> bool:
    """Return whether expected files are to be rewritten."""
    return bool(pytestconfig.getoption("--update-golden"))
