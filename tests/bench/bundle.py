"""Bundles for an OCI runtime: what `runc spec` writes, with the edits that `cdigen inject` makes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.real.process import CommandError, run

if TYPE_CHECKING:
    from collections.abc import Sequence

Config = dict[str, Any]
"""An OCI runtime configuration, the `config.json` of a bundle."""


def make_config() -> Config:
    """Return the configuration of `runc spec`, changed as engines do: no terminal, a root that can be written.

    Raises:
        UnavailableError: runc is not installed.
        CommandError: it failed.
    """
    with tempfile.TemporaryDirectory() as directory:
        run(["runc", "spec", "--bundle", directory])
        config: Config = json.loads((Path(directory) / "config.json").read_text())
    config["process"]["terminal"] = False
    config["root"]["readonly"] = False
    return config


def inject(config: Config, spec: Path, device: str) -> Config:
    """Return `config` with the edits of a device of `spec`, which is the only spec in its directory.

    Raises:
        CommandError: cdigen refused.
    """
    command = [sys.executable, "-m", "cdigen", "inject", f"--device={device}", f"--spec-dir={spec.parent}", "-"]
    done = subprocess.run(command, input=json.dumps(config), capture_output=True, check=False, text=True, timeout=60)
    if done.returncode != 0:
        raise CommandError(f"cdigen inject --device={device}: status {done.returncode}: {done.stderr.strip()}")
    injected: Config = json.loads(done.stdout)
    return injected


def write_bundle(directory: Path, config: Config, root: str, argv: Sequence[str]) -> Path:
    """Make `directory` a bundle that runs `argv` in its own directory `root`, and return `directory`."""
    process = {**config["process"], "args": list(argv)}
    whole = {**config, "process": process, "root": {**config["root"], "path": root}}
    (directory / "config.json").write_text(json.dumps(whole))
    return directory
