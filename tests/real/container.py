"""cdigen's own image, built by the project's script from the files of this checkout, whether committed or not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.real.cache import cache_dir
from tests.real.process import UnavailableError, command_environment, download, require_root, run

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "localhost/cdigen:test"
_DATE = "2026-01-02T03:04:05Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """The image.

    Attributes:
        root: its files, unpacked; not to be changed.
        said: what the script has printed.
        config: its configuration, as the OCI's image specification has it.
    """

    root: Path
    said: str
    config: dict[str, Any]

    @property
    def digest(self) -> str:
        """The digest of its manifest."""
        return self.said.split()[1].rstrip(",")


@contextmanager
def built_image() -> Iterator[BuiltImage]:
    """Build the image into a storage of its own.

    Raises:
        UnavailableError: something that it takes is not installed, or cannot be downloaded.
    """
    require_root()
    missing = [tool for tool in ("buildah", "git", "mmdebstrap") if shutil.which(tool) is None]
    if missing:
        raise UnavailableError(
            f"{', '.join(missing)} not installed: apt-get install what tests/real/packages.txt lists"
        )
    cache_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="container-", dir=cache_dir()) as name:
        place = Path(name)
        source, settings = place / "source", place / "storage.conf"
        _commit(source)
        settings.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{place}/graph"\nrunroot = "{place}/run"\n')
        environment = {"BUILD_PYTHON": sys.executable, "CONTAINERS_STORAGE_CONF": str(settings)}
        said = download([str(source / "packaging/container/build"), NAME], env=environment)
        container = run(["buildah", "from", NAME], env=environment).strip()
        inspected = json.loads(run(["buildah", "inspect", "--type", "image", NAME], env=environment))
        try:
            root = Path(run(["buildah", "mount", container], env=environment).strip())
            yield BuiltImage(root=root, said=said, config=inspected["OCIv1"])
        finally:
            run(["buildah", "umount", container], env=environment)
            run(["buildah", "rm", container], env=environment)


def _commit(place: Path) -> None:
    """Make a repository of the tracked files as they are now, with one commit of a fixed date."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True, env=command_environment()
    )
    for path in filter(None, os.fsdecode(listed.stdout).split("\0")):
        target = place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(CHECKOUT / path):
            shutil.copy2(CHECKOUT / path, target, follow_symlinks=False)
    identity = ("-c", "user.name=cdigen", "-c", "user.email=cdigen@localhost")
    dates = {"GIT_AUTHOR_DATE": _DATE, "GIT_COMMITTER_DATE": _DATE}
    run(["git", "init", "-q", str(place)])
    run(["git", "-C", str(place), "add", "--all", "--force"])
    run(["git", "-C", str(place), *identity, "commit", "-q", "--message", "as it is"], env=dates)
