"""cdigen remove: takes away what cdigen wrote, and nothing else."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from typing import TYPE_CHECKING, Literal

import click

from cdigen.cdi.spec_dirs import DEFAULT_DIRECTORIES
from cdigen.errors import DocumentError, FileError, UsageError, one_line, shell_word
from cdigen.findings import NOTHING_TO_DO, Remedy
from cdigen.options.shared import JSON
from cdigen.report import emit_json, say
from cdigen.specs.header import HEAD_BYTES, RECORD_DIRECTORY, is_ours, may_become_ours
from cdigen.specs.outcome import Outcome, failed
from cdigen.specs.outputs import place_below, root_of, view_below
from cdigen.specs.ownership import find_own
from cdigen.walk import Place, UnfitPathError, open_directory, open_place, reopen
from cdigen.write import READ_FLAGS, remove_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cdigen.specs.ownership import What

MOST_SAID = 10
"""Of the files of one directory that are left or failed, so many are named; a report as JSON has them all."""

# rmdir(2): removed by others, put to use by others, or a link to a directory.
_STAYS = {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}

_BY_HAND = Remedy("remove it with rm if it is not needed")
_IS_JSON = "JSON has no header that says who wrote it"


@click.command("remove")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "--spec-dir",
    "spec_dirs",
    metavar="DIR",
    multiple=True,
    help="Look only in this directory; repeatable.  [default: /etc/cdi, /var/run/cdi and /var/lib/cdigen]",
)
@click.option(
    "--host-root",
    metavar="DIR",
    help="Look in these directories of the host whose / is visible to this process at DIR.  [default: /]",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@JSON
def command(
    files: tuple[str, ...], spec_dirs: tuple[str, ...], host_root: str | None, dry_run: bool, as_json: bool
) -> int:
    """Remove what generate wrote, and nothing else: specs, and the record of the facts behind them.

    With FILE, remove only that. A file is removed only if it begins with the header that generate writes. JSON files
    have no header, and symbolic links are not followed: they are left, with a message.
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
    root = root_of(host_root)
    if root is not None:
        view = view_below(root)
        own = tuple(place_below(view, root, directory) for directory in own)
    directories = tuple(spec_dirs) or own
    if files:
        outcomes = [_remove_named(path, dry_run) for path in dict.fromkeys(files)]
    else:
        outcomes = list(_clear_all(directories, root, dry_run))
        if not spec_dirs:
            outcomes += _remove_directory(own[-1], root, outcomes, dry_run)
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
        with open_place(path.rstrip("/") or path, follow=False) as place:
            found = place.lstat()
            if found is None:
                outcome: Literal["removed", "absent", "left"] = "absent"
            elif stat.S_ISLNK(found.st_mode):
                target = one_line(os.readlink(place.name, dir_fd=place.directory))
                return _refused(
                    path, f"a symbolic link to {target}", Remedy("name that file, or remove the link with rm")
                )
            elif stat.S_ISDIR(found.st_mode):
                return _refused(path, "a directory", Remedy("name a file in it, or use --spec-dir"))
            elif not stat.S_ISREG(found.st_mode):
                return _refused(path, "not a regular file, so cdigen did not write it")
            elif dry_run:
                with open(os.open(place.name, READ_FLAGS, dir_fd=place.directory), "rb") as file:
                    outcome = "removed" if is_ours(file.read(HEAD_BYTES)) else "left"
            else:
                outcome = remove_at(place, is_ours, head_bytes=HEAD_BYTES)
    except FileNotFoundError:
        outcome = "absent"
    except (FileError, UnfitPathError, OSError) as error:
        return _failed(path, error, f"cannot read {shown}")
    if outcome == "left":
        if path.endswith(".json"):
            return _refused(path, _IS_JSON, _BY_HAND)
        return _refused(path, "not written by cdigen")
    if outcome == "absent":
        return Outcome(path=path, state="absent", message=f"no such file: {shown}")
    return _removed(path, dry_run)


def _clear_all(directories: Sequence[str], root: str | None, dry_run: bool) -> Iterator[Outcome]:
    """Remove all files of ours in the directories; yield what became of each, and what may be ours but is left.

    What was found in a directory is removed from that one, whatever has its name by then.
    """
    seen = set()  # one directory can have two names: /var/run is a link to /run
    for directory in directories:
        try:
            with open_directory(directory, root=root) as found, reopen(found) as directory_fd:
                status = os.fstat(directory_fd)
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    yield from _clear(directory, directory_fd, dry_run)
        except FileNotFoundError:
            continue
        except (OSError, UnfitPathError) as error:
            yield _failed(directory, error, f"cannot list {one_line(directory)}")


def _clear(directory: str, directory_fd: int, dry_run: bool) -> Iterator[Outcome]:
    for name, what, detail in sorted(find_own(directory_fd)):
        place = Place(directory_fd, name, os.path.join(directory, name))
        if what in ("ours", "part"):
            outcome = _remove_found(place, what == "part", dry_run)
            if outcome is not None:
                yield outcome
        else:
            yield _left(place.path, what, detail)


def _remove_found(place: Place, is_part: bool, dry_run: bool) -> Outcome | None:
    """Remove what was found to be ours, if it still is; return None if others have removed it."""
    if dry_run:
        return _removed(place.path, dry_run)
    try:
        outcome = remove_at(place, may_become_ours if is_part else is_ours, head_bytes=HEAD_BYTES, is_part=is_part)
    except FileError as error:
        return _failed(place.path, error, "")
    if outcome == "left":
        reason = "a writer may be at work on it" if is_part else "something else has taken its place"
        return Outcome(
            path=place.path,
            state="left",
            message=f"left {one_line(place.path)}: {reason}",
            remedy=Remedy("run this again"),
            level="warning",
        )
    return _removed(place.path, dry_run) if outcome == "removed" else None


def _remove_directory(
    directory: str, root: str | None, outcomes: Sequence[Outcome], dry_run: bool
) -> Iterator[Outcome]:
    """Remove a directory of ours if it is empty, or would be after `outcomes`."""
    try:
        with open_directory(directory, root=root) as found, reopen(found) as directory_fd:
            names = set(os.listdir(directory_fd))
    except (OSError, UnfitPathError):
        return  # absent; what cannot be read was said already
    if dry_run:
        states = {(one.path, one.state) for one in outcomes}
        names -= {name for name in names if (os.path.join(directory, name), "would-remove") in states}
    if names:
        return
    try:
        if not dry_run:
            with open_place(directory, root=root, follow=False) as place:
                os.rmdir(place.name, dir_fd=place.directory)
    except (OSError, UnfitPathError) as error:
        if not isinstance(error, OSError) or error.errno not in _STAYS:
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


def _failed(path: str, error: FileError | UnfitPathError | OSError, doing: str) -> Outcome:
    if isinstance(error, FileError):
        return failed(path, error)
    if isinstance(error, UnfitPathError):
        message, remedy = f"{doing}: {error.reason}", Remedy(error.hint)
    else:
        denied = error.errno in (errno.EACCES, errno.EPERM)
        message = f"{doing}: {error.strerror}"
        remedy = Remedy("run as root") if denied else Remedy("see what is there", (f"ls -ld {shell_word(path)}",))
    return Outcome(
        path=path, state="failed", message=message, remedy=remedy, level="error", exit_code=FileError.exit_code
    )


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
            say(one.level, one.text)
    for (directory, state, level), number in said.items():
        if state in ("left", "failed") and number > MOST_SAID:
            say(level, f"{number - MOST_SAID} more like these in {one_line(directory)}; --json lists them all")


def _join(names: Sequence[str]) -> str:
    shown = [one_line(name) for name in names]
    return " and ".join([*filter(None, [", ".join(shown[:-1])]), shown[-1]])
