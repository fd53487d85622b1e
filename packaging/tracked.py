"""A build hook of hatchling: packages hold what git tracks, whatever else lies in a checkout.

Hatchling itself knows of git what `.gitignore` names, so a module, a core file or settings that somebody has left in
the tree would be handed on to everybody. An unpacked source distribution has no git and is built from what is in it.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TrackedFiles(BuildHookInterface):
    """Names the files of a target one by one."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Narrow the target that is about to be built; an editable install has no files."""
        if version != "standard":
            return
        target = self.build_config.target_config
        files = list_tracked(self.root)
        if self.target_name == "wheel":
            # Also without git: the order in a wheel comes from how its files were selected.
            packages = target["packages"]
            files = list_files(self.root, packages) if files is None else files
            files = [path for path in files if path.partition("/")[0] in packages]
        if files is not None:
            target["only-include"] = files


def list_tracked(root: str) -> list[str] | None:
    """Return the paths of the tracked files below `root` that are there, links to directories followed.

    None where `root` is no checkout.

    Raises:
        SystemExit: git is missing or refuses.
    """
    if not os.path.lexists(f"{root}/.git"):
        return None
    # To build in somebody's checkout runs their code anyway; a monitor of theirs need not run as well.
    command = ["git", "-c", f"safe.directory={os.path.abspath(root)}", "-c", "core.fsmonitor=false", "ls-files", "-z"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, check=True)  # noqa: S603 - fixed words, no shell
    except OSError as error:
        raise SystemExit(f"{root} is a checkout, and git, which lists its files, cannot be run: {error}") from error
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"git cannot list the files of {root}: {error.stderr.decode(errors='replace')}") from error
    listed = [path for path in os.fsdecode(done.stdout).split("\0") if path and os.path.lexists(f"{root}/{path}")]
    links = {path for path in listed if os.path.isdir(f"{root}/{path}")}
    files = [path for path in listed if path not in links]
    for link in links:
        target = os.path.relpath(os.path.realpath(f"{root}/{link}"), os.path.realpath(root)) + "/"
        files += [f"{link}/{path.removeprefix(target)}" for path in listed if path.startswith(target)]
    return files


def list_files(root: str, directories: list[str]) -> list[str]:
    """Return the paths of all files in directories below `root`, but for compiled ones."""
    return [
        os.path.relpath(f"{place}/{name}", root)
        for directory in directories
        for place, _, names in os.walk(f"{root}/{directory}", followlinks=True)
        if os.path.basename(place) != "__pycache__"
        for name in names
    ]
