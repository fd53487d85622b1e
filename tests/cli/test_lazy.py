"""A verb is imported only when it is run, asked for its help, or may have a variable that is set."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.program import environment

_RUN = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps([*sys.modules]), file=sys.stderr))
from cdigen.main import main
main()
"""


def verbs_imported(*arguments: str, **variables: str) -> set[str]:
    """Return the modules of verbs that the program imports for these arguments."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment() | variables,
        timeout=60,
    )
    modules = json.loads(done.stderr.splitlines()[-1])
    assert "cdigen.cli" in modules
    return {name.rpartition(".")[2] for name in modules if name.startswith("cdigen.verbs.")}


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        ("--help", {}, set()),
        ("--version", {}, set()),
        ("generate --help", {}, {"generate"}),
        ("lint-image --help", {"CDIGEN_LINT_IMAGE_JSON": "1"}, {"lint_image"}),
        ("list --help", {"CDIGEN_GENERATE_WAIT": "30s", "CDIGEN_DEBUG": "1"}, {"generate", "list"}),
    ],
)
def test_only_the_verbs_that_are_asked_for_are_imported(
    arguments: str, variables: dict[str, str], expected: set[str]
) -> None:
    assert verbs_imported(*arguments.split(), **variables) == expected
