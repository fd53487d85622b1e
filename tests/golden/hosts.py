"""The golden hosts: recorded hosts, and what the program says of each, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cdigen.parse.document import parse_document

if TYPE_CHECKING:
    from collections.abc import Mapping

GOLDEN = Path(__file__).resolve().parents[2] / "golden"

SPEC, STDERR, EXIT_CODE = "nvidia.yaml", "stderr.txt", "exit-code"
OF_GPUS = {f"nvidia-{mode}.yaml" for mode in ("management", "coherent", "noncoherent")}
"""Specs of modes that repeat most of the GPUs' own: written down only where they show something."""
SNAPSHOT, ARGUMENTS = "snapshot.yaml", "arguments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run of `cdigen generate` leaves behind."""

    stdout: bytes
    stderr: bytes
    exit_code: int

    def files(self) -> dict[str, bytes]:
        """Return the outcome as the content of the expected files; what is usual has an empty one."""
        return {
            SPEC: self.stdout,
            STDERR: self.stderr,
            EXIT_CODE: f"{self.exit_code}\n".encode() if self.exit_code else b"",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenHost:
    """One directory below golden/."""

    directory: Path

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def snapshot(self) -> Path:
        return self.directory / SNAPSHOT

    @property
    def spec_path(self) -> Path:
        return self.directory / SPEC

    @property
    def mode_specs(self) -> dict[str, Path]:
        """Return the expected specs of other modes, by their file names; those of `OF_GPUS` may be left out."""
        return {path.name: path for path in sorted(self.directory.glob("nvidia-*.yaml"))}

    @property
    def is_refused(self) -> bool:
        """Return whether the program is expected to write no spec for this host."""
        return (self.directory / EXIT_CODE).exists()

    @property
    def spec(self) -> dict[str, object]:
        """Return the expected spec as a document."""
        return cast("dict[str, object]", parse_document(self.spec_path.read_bytes()))

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the options of `cdigen generate` for this host, one to a line of the file."""
        path = self.directory / ARGUMENTS
        return tuple(path.read_text().splitlines()) if path.exists() else ()

    @property
    def document(self) -> dict[str, object]:
        """Return the snapshot as a document."""
        return cast("dict[str, object]", parse_document(self.snapshot.read_bytes()))

    @property
    def entries(self) -> Mapping[str, Mapping[str, object]]:
        """Return the snapshot's paths and what is there."""
        return cast("Mapping[str, Mapping[str, object]]", self.document["entries"])


GOLDEN_HOSTS = tuple(GoldenHost(directory=path) for path in sorted(GOLDEN.iterdir()) if path.is_dir())


def find_difference(path: Path, actual: bytes, *, update: bool) -> str:
    """Compare `actual` with the expected file at `path`; a file that is not there is expected to be empty.

    Args:
        path: the expected file.
        actual: what the program gave.
        update: rewrite the file where it differs, so that nothing differs any more.

    Returns:
        A unified diff from what is expected to what there is; "" if they are the same bytes.
    """
    expected = path.read_bytes() if path.exists() else b""
    if actual == expected:
        return ""
    if update:
        if actual:
            path.write_bytes(actual)
        else:
            path.unlink()
        return ""
    name = f"{path.parent.name}/{path.name}"
    old, new = (text.decode(errors="backslashreplace").splitlines() for text in (expected, actual))
    lines = unified_diff(old, new, f"{name} (expected)", f"{name} (now)", lineterm="")
    return "\n".join(lines) or f"{name}: only the line ends differ"
