"""A live host with its specs and the record of the facts behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.program import run_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import Run


class RecordedCase:
    """A live host, its specs and their record, each in a directory of its own."""

    def __init__(self, root: Path, directory: Path) -> None:
        self.root = root
        self.spec = directory / "cdi/nvidia.yaml"
        self.record = directory / "state/facts.yaml"
        self.spec.parent.mkdir()

    def generate(self, *options: str | Path, **variables: str) -> Run:
        """Run generate with the options."""
        arguments = ("--host-root", self.root, "-o", self.spec, "--record", self.record, *options)
        return run_program("generate", *arguments, env=variables)

    def diff(self, *options: str | Path, before: tuple[str, ...] = ()) -> Run:
        return run_program("diff", "--facts", self.record, "--host-root", self.root, *options, before=before)

    def changes(self) -> list[str]:
        """Return the lines of diff, whose exit code has to fit, and nothing is said besides."""
        run = self.diff()
        assert (run.code, run.err) == (1 if run.out else 0, "")
        return run.out.splitlines()

    def path(self, host_path: str) -> Path:
        return self.root / host_path.lstrip("/")

    def stamps(self) -> list[tuple[int, int, int]]:
        found = [path.stat() for path in (self.record, *sorted(self.spec.parent.iterdir()))]
        return [(status.st_ino, status.st_mtime_ns, status.st_ctime_ns) for status in found]


def relink(path: Path, to: str) -> None:
    path.unlink()
    path.symlink_to(to)
