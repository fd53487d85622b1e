"""Where real input is kept between runs, and how each piece of it is made once.

The directory is `$CDIGEN_TEST_CACHE`, else `cdigen-test` in the user's cache directory; it is never inside
the repository. A piece is an `Artifact`. Its directory is named after the bytes of the files that say how
to make it, and appears by a rename, so that a directory that is there is complete and current.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KEPT_SECONDS = 7 * 24 * 3600  # another checkout may still use what another recipe made


def cache_dir() -> Path:
    """Return the cache directory that the environment asks for; it need not exist yet."""
    chosen = os.environ.get("CDIGEN_TEST_CACHE")
    if chosen:
        return Path(chosen).absolute()
    user = os.environ.get("XDG_CACHE_HOME")
    return (Path(user) if user else Path.home() / ".cache") / "cdigen-test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A directory in the cache and the recipe for it.

    Attributes:
        name: what the directory's name starts with.
        recipe: the files whose bytes decide what is made.
        needs: artifacts that `build` reads.
        build: makes the content. It gets the cache directory, for its needs, and an empty directory.
    """

    name: str
    recipe: tuple[Path, ...]
    build: Callable[[Path, Path], None]
    needs: tuple[Artifact, ...] = ()

    def key(self) -> str:
        """Return the hash of the recipe and of the recipes of everything that it needs."""
        digest = hashlib.sha256()
        for path in self.recipe:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        for needed in self.needs:
            digest.update(needed.key().encode("ascii"))
        return digest.hexdigest()

    def path(self, cache: Path) -> Path:
        """Return the artifact's directory, which `make` fills."""
        return cache / f"{self.name}-{self.key()[:12]}"

    def make(self, cache: Path) -> Path:
        """Return the artifact's directory, after building it and its needs where they are missing.

        Two processes that want the same artifact build it once: the second one waits.

        Raises:
            UnavailableError: this machine lacks something that the build needs.
            CommandError: a command of the build failed.
        """
        final = self.path(cache)
        if not final.is_dir():
            for needed in self.needs:
                needed.make(cache)
            with _locked(cache / "locks" / self.name):
                if not final.is_dir():
                    self._build_into(cache, final)
                    self._drop_unused(cache, final)
        os.utime(final)  # the time of the last use: see _drop_unused
        return final

    def _build_into(self, cache: Path, final: Path) -> None:
        unfinished = cache / "unfinished" / self.name
        shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed; we hold the lock
        unfinished.mkdir(parents=True)
        try:
            self.build(cache, unfinished)
            unfinished.rename(final)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _drop_unused(self, cache: Path, final: Path) -> None:
        oldest = time.time() - _KEPT_SECONDS
        for other in cache.glob(f"{self.name}-" + "[0-9a-f]" * 12):
            if other != final and other.stat().st_mtime < oldest:
                shutil.rmtree(other)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
