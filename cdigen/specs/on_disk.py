"""Specs on the disk, whoever wrote them: one, or all of some directories, each as engines read it."""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from cdigen.cdi.engine_form import is_kind
from cdigen.cdi.registry import Registry, SpecFile
from cdigen.cdi.spec_dirs import MAX_FILES, SUFFIXES
from cdigen.errors import DocumentError, FileError, ParseError, one_line, shell_word
from cdigen.findings import Remedy
from cdigen.read import read_input
from cdigen.schema import summarise
from cdigen.specs.header import is_ours, regenerate
from cdigen.specs.reading import parse_spec
from cdigen.walk import UnfitPathError, open_directory, reopen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def load_spec(path: str) -> Mapping[str, object]:
    """Return the document of the valid spec in the file at `path`; "-" is standard input.

    Raises:
        FileError: it cannot be read.
        DocumentError: see `read_spec`.
    """
    return read_spec(read_input(path), path)


def read_spec(data: bytes, path: str) -> Mapping[str, object]:
    """Return a spec as engines hold it.

    Args:
        data: the spec.
        path: where it is, for the error.

    Raises:
        DocumentError: engines would not take it; the first reasons are named.
    """
    file = read_file(path, data)
    if file.declared is None:
        raise _invalid(data, path, f"cannot be read as a spec: {file.reason}", Remedy("correct it"))
    if file.document is None:
        all_of_it = () if path == "-" else (f"cdigen validate {shell_word(path)}",)
        remedy = Remedy("see all that is wrong with" if all_of_it else "correct it", all_of_it)
        raise _invalid(data, path, f"is not a valid spec: {file.reason}", remedy)
    return file.document


def read_file(path: str, data: bytes, *, rank: int = 0) -> SpecFile:
    """Return what is in a file, whatever that is.

    Args:
        path: where it is.
        data: its content.
        rank: see `SpecFile`.
    """
    name = one_line(path)
    try:
        declared, violations = parse_spec(data)
    except ParseError as error:
        reason = one_line(str(error))
        return SpecFile(
            path=path, rank=rank, kind=None, document=None, problems=(f"{name}::$: {error}",), reason=reason
        )
    kind = str((declared or {}).get("kind", ""))
    is_taken = declared is not None and not violations
    return SpecFile(
        path=path,
        rank=rank,
        kind=kind if is_kind(kind) else None,
        document=declared if is_taken else None,
        problems=tuple(f"{name}::{violation.place}: {violation.message}" for violation in violations),
        reason="" if is_taken else summarise(violations),
        declared=declared or {},
    )


def _invalid(data: bytes, path: str, message: str, remedy: Remedy) -> DocumentError:
    """Return the error for a spec that engines would not take; one of ours is best written again."""
    name = one_line(path)
    if is_ours(data) and path != "-":
        remedy = Remedy("regenerate it with", (regenerate(data, path),))
    return DocumentError(f"{name} {message}", hint=remedy.hint, commands=remedy.commands, subject=name)


def read_registry(
    directories: Sequence[str], *, root: str | None = None, read: Callable[[str], bytes] | None = None
) -> Registry:
    """Return what the directories offer.

    Args:
        directories: paths, the one that counts more last. One that is not there is empty.
        root: out of which no link of the directories leads; see `cdigen.walk.open_directory`.
        read: returns the bytes of the file at a path; None to read it from the disk, below `root`.

    Raises:
        FileError: a directory cannot be read, or has more than `MAX_FILES` specs.
    """
    if read is None:
        read = partial(read_input, root=root)
    return Registry(
        directories,
        (
            _read_file(path, rank, read, is_regular=is_regular)
            for rank, directory in enumerate(directories)
            for path, is_regular in _find_files(directory, root)
        ),
    )


def _find_files(directory: str, root: str | None) -> list[tuple[str, bool]]:
    """Return what has the name of a spec and is no directory, and whether it may be a regular file."""
    try:
        with open_directory(directory, root=root) as place, reopen(place) as fd:
            names = sorted(name for name in os.listdir(fd) if name.endswith(SUFFIXES))
            modes = [(name, _mode(name, fd, follow=root is None)) for name in names[: MAX_FILES + 1]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, UnfitPathError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a NUL character in the path"
        if isinstance(error, UnfitPathError):
            reason = error.reason
        raise FileError(
            f"cannot read the spec directory {one_line(directory)}: {reason}",
            hint="name a directory that you may read",
            subject=one_line(directory),
        ) from error
    if len(names) > MAX_FILES:
        raise FileError(
            f"{one_line(directory)} has {len(names)} specs, more than {MAX_FILES}",
            hint="remove what is not needed",
            subject=one_line(directory),
        )
    return [
        (os.path.join(directory, name), stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFLNK))
        for name, mode in modes
        if not stat.S_ISDIR(mode)
    ]


def _mode(name: str, directory: int, *, follow: bool) -> int:
    """Return the mode of what a name in a directory leads to; of a link if it is not followed; 0 if it is not known.

    A link to a directory is no directory here, as for engines.
    """
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if not (stat.S_ISLNK(mode) and follow):
            return mode
        target = os.stat(name, dir_fd=directory).st_mode
    except OSError:
        return 0
    return stat.S_IFCHR if stat.S_ISDIR(target) else target


def _read_file(path: str, rank: int, read: Callable[[str], bytes], *, is_regular: bool) -> SpecFile:
    if not is_regular:
        # Opening a pipe would wait for someone to write to it.
        problem = f"{one_line(path)} is not a regular file"
        return SpecFile(path=path, rank=rank, kind=None, document=None, problems=(problem,))
    try:
        return read_file(path, read(path), rank=rank)
    except FileError as error:
        return SpecFile(path=path, rank=rank, kind=None, document=None, problems=(str(error),))
