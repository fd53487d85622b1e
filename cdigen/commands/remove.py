"""cdigen remove: takes away what cdigen wrote, and nothing else."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES
from cdigen.commands.find_own import find_own
from cdigen.commands.outputs import place_below
from cdigen.commands.own_files import HEAD_BYTES, RECORD_DIRECTORY, is_ours, may_become_ours
from cdigen.errors import DocumentError, FileError, UsageError, one_line
from cdigen.findings import NOTHING_TO_DO, Remedy, sentence
from cdigen.report import emit_json, remedy_to_json, say
from cdigen.write import LOCK_TIMEOUT, READ_FLAGS, remove_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cdigen.commands.find_own import What

MOST_SAID = 10
"""Of the files of one directory that are left or failed, so many are named; a report as JSON has them all."""

State = Literal["removed", "would-remove", "absent", "left", "failed"]

# rmdir(2): removed by others, put to use by others, or a link to a directory.
_STAYS = {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}

_BY_HAND = Remedy("remove it with rm if it is not needed")
_IS_JSON = "JSON has no header that says who wrote it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a file.

    Attributes:
        path: the file, or the directory that could not be looked through.
        state: "left" is what cannot be known for ours, "failed" what could not be looked at or removed.
        message: one line for the user.
        remedy: what to do about it.
        level: the line's, as of `say`; "" for plain information.
        exit_code: 0, or that of the error.
    """

    path: str
    state: State
    message: str
    remedy: Remedy = NOTHING_TO_DO
    level: Literal["", "note", "warning", "error"] = ""
    exit_code: int = 0

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON value."""
        return {
            "path": self.path,
            "state": self.state,
            "message": self.message,
            "remedy": remedy_to_json(self.remedy),
        }


def run_remove(
    files: Sequence[str], *, spec_dirs: Sequence[str], host_root: str | None = None, dry_run: bool, as_json: bool
) -> int:
    """Remove files of ours; one that fails keeps no other from its turn.

    Args:
        files: what to remove; if there is none, all of ours in the directories.
        spec_dirs: directories to look in, in place of those of the engines and that of the record.
        host_root: where the host's `/` is visible, below which the latter are; None for this process's own.
        dry_run: say what would be removed, and remove nothing.
        as_json: report as JSON.

    Returns:
        0; 1 if one of `files` is not known for ours; 7 if something could not be looked at or removed.

    Raises:
        UsageError: two of files, directories and a root are given.
        FileError: the root cannot be opened.
    """
    if files and spec_dirs:
        raise UsageError(
            "FILE and --spec-dir both say what to remove", hint="use one of them", code="conflicting-options"
        )
    if host_root is not None and (files or spec_dirs):
        raise UsageError(
            f"--host-root and {'FILE' if files else '--spec-dir'} both say where to look",
            hint="use one of them",
            code="conflicting-options",
        )
    own: tuple[str, ...] = (*DEFAULT_DIRECTORIES, RECORD_DIRECTORY)
    if host_root is not None and os.path.realpath(host_root) != "/":
        own = tuple(place_below(host_root, directory) for directory in own)
    directories = tuple(spec_dirs) or own
    if files:
        outcomes = [_remove_named(path, dry_run) for path in dict.fromkeys(files)]
    else:
        outcomes = list(_clear_all(directories, dry_run))
        if not spec_dirs:
            outcomes += _remove_directory(own[-1], outcomes, dry_run)
    if as_json:
        emit_json("remove", {"files": [one.to_json() for one in outcomes]})
    else:
        _say_all(outcomes)
        if not files and all(one.state == "left" for one in outcomes):
            say("", f"nothing to remove: found no file written by cdigen in {_join(directories)}")
    return max([one.exit_code for one in outcomes], default=0)


def _remove_named(path: str, dry_run: bool) -> Outcome:
    """Remove a file that the user names."""
    shown = one_line(path)
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            target = one_line(os.readlink(path))
            return _refused(path, f"a symbolic link to {target}", Remedy("name that file, or remove the link with rm"))
        if stat.S_ISDIR(mode):
            return _refused(path, "a directory", Remedy("name a file in it, or use --spec-dir"))
        if not stat.S_ISREG(mode):
            return _refused(path, "not a regular file, so cdigen did not write it")
        if dry_run:
            with open(os.open(path, READ_FLAGS), "rb") as file:
                found = is_ours(file.read(HEAD_BYTES))
            outcome: Literal["removed", "absent", "left"] = "removed" if found else "left"
        else:
            outcome = remove_file(path, is_ours, head_bytes=HEAD_BYTES)
    except FileNotFoundError:
        outcome = "absent"
    except (FileError, OSError) as error:
        return _failed(path, error, f"cannot read {shown}")
    if outcome == "left":
        if path.endswith(".json"):
            return _refused(path, _IS_JSON, _BY_HAND)
        return _refused(path, "not written by cdigen")
    if outcome == "absent":
        return Outcome(path=path, state="absent", message=f"no such file: {shown}")
    return _removed(path, dry_run)


def _clear_all(directories: Sequence[str], dry_run: bool) -> Iterator[Outcome]:
    """Remove all files of ours in the directories; yield what became of each, and what may be ours but is left."""
    seen = set()  # one directory can have two names: /var/run is a link to /run
    for directory in directories:
        try:
            directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield _failed(directory, error, f"cannot list {one_line(directory)}")
            continue
        try:
            status = os.fstat(directory_fd)
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield from _clear(directory, directory_fd, dry_run)
        finally:
            os.close(directory_fd)


def _clear(directory: str, directory_fd: int, dry_run: bool) -> Iterator[Outcome]:
    try:
        found = sorted(find_own(directory_fd))
    except OSError as error:
        yield _failed(directory, error, f"cannot list {one_line(directory)}")
        return
    # Whoever may read the directory can hold its lock for ever: it is waited for once.
    deadline = time.monotonic() + LOCK_TIMEOUT
    for name, what, detail in found:
        path = os.path.join(directory, name)
        if what in ("ours", "part"):
            outcome = _remove_found(path, what == "part", dry_run, max(0.0, deadline - time.monotonic()))
            if outcome is not None:
                yield outcome
        else:
            yield _left(path, what, detail)


def _remove_found(path: str, is_part: bool, dry_run: bool, lock_timeout: float) -> Outcome | None:
    """Remove what was found to be ours, if it still is; return None if others have removed it."""
    if dry_run:
        return _removed(path, dry_run)
    try:
        outcome = remove_file(
            path,
            may_become_ours if is_part else is_ours,
            head_bytes=HEAD_BYTES,
            lock_timeout=lock_timeout,
            only_locked=is_part,
        )
    except FileError as error:
        return _failed(path, error, "")
    if outcome == "left":
        reason = "a writer may be at work on it" if is_part else "something else has taken its place"
        return Outcome(
            path=path,
            state="left",
            message=f"left {one_line(path)}: {reason}",
            remedy=Remedy("run this again"),
            level="warning",
        )
    return _removed(path, dry_run) if outcome == "removed" else None


def _remove_directory(directory: str, outcomes: Sequence[Outcome], dry_run: bool) -> Iterator[Outcome]:
    """Remove a directory of ours if it is empty, or would be after `outcomes`."""
    try:
        names = set(os.listdir(directory))
    except OSError:
        return  # absent; what cannot be read was said already
    if dry_run:
        states = {(one.path, one.state) for one in outcomes}
        names -= {name for name in names if (os.path.join(directory, name), "would-remove") in states}
    if names:
        return
    try:
        if not dry_run:
            os.rmdir(directory)
    except OSError as error:
        if error.errno not in _STAYS:
            yield _failed(directory, error, f"cannot remove {one_line(directory)}")
    else:
        yield _removed(directory, dry_run)


def _removed(path: str, dry_run: bool) -> Outcome:
    shown = one_line(path)
    if dry_run:
        return Outcome(path=path, state="would-remove", message=f"would remove {shown}")
    return Outcome(path=path, state="removed", message=f"removed {shown}")


def _refused(path: str, reason: str, remedy: Remedy = NOTHING_TO_DO) -> Outcome:
    """Return what is said of a file that the user names and that is not removed."""
    return Outcome(
        path=path,
        state="left",
        message=f"left {one_line(path)}: {reason}",
        remedy=remedy,
        level="error",
        exit_code=DocumentError.exit_code,
    )


def _failed(path: str, error: FileError | OSError, doing: str) -> Outcome:
    if isinstance(error, FileError):
        message, remedy = error.message, error.remedy
    else:
        denied = error.errno in (errno.EACCES, errno.EPERM)
        message = f"{doing}: {error.strerror}"
        remedy = Remedy("run as root") if denied else Remedy("see what is there", (_list_command(path),))
    return Outcome(
        path=path, state="failed", message=message, remedy=remedy, level="error", exit_code=FileError.exit_code
    )


def _list_command(path: str) -> str:
    import shlex

    return f"ls -ld {shlex.quote(one_line(path))}"


def _left(path: str, what: What, detail: str) -> Outcome:
    """Return what is said of a file that is not known for ours and could be."""
    shown = one_line(path)
    if what == "link":
        message = f"left {shown}: a symbolic link to {one_line(detail)}, which is not followed"
        return Outcome(path=path, state="left", message=message, remedy=_BY_HAND, level="warning")
    if what == "json":
        return Outcome(path=path, state="left", message=f"left {shown}: {_IS_JSON}", remedy=_BY_HAND, level="note")
    return Outcome(
        path=path,
        state="failed",
        message=f"cannot read {shown}, which may have been written by cdigen: {detail}",
        remedy=Remedy("run as root"),
        level="error",
        exit_code=FileError.exit_code,
    )


def _say_all(outcomes: Sequence[Outcome]) -> None:
    """Say each outcome; of many in one directory that are alike, the first ones and how many more there are."""
    said: Counter[tuple[str, str, str]] = Counter()
    for one in outcomes:
        alike = (os.path.dirname(one.path), one.state, one.level)
        said[alike] += 1
        if one.state not in ("left", "failed") or said[alike] <= MOST_SAID:
            say(one.level, sentence(one.message, one.remedy))
    for (directory, state, level), number in said.items():
        if state in ("left", "failed") and number > MOST_SAID:
            say(level, f"{number - MOST_SAID} more like these in {one_line(directory)}; --json lists them all")


def _join(names: Sequence[str]) -> str:
    shown = [one_line(name) for name in names]
    return " and ".join([*filter(None, [", ".join(shown[:-1])]), shown[-1]])
