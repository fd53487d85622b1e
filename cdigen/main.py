"""The process: runs the command line, turns every error into one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from cdigen.cli import cli
from cdigen.errors import CdigenError, FileError, InvalidSpecError, one_line
from cdigen.report import say_findings

if TYPE_CHECKING:
    from typing import NoReturn

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C has ended: 128 + SIGINT."""

_STDOUT_ERRORS = (errno.ENOSPC, errno.EBADF, errno.EIO)


def main() -> NoReturn:
    """Run the command line and exit with its code; every error is one line on standard error."""
    _replace_closed_streams()
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # It was reported; the interpreter must not try once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _replace_closed_streams() -> None:
    """Let no file that is opened later become a standard stream that the caller closed.

    In their places stand files on which every read or write fails, but for standard error: what is said there is lost.
    """
    for descriptor, name, mode, flags in (
        (0, "stdin", "r", os.O_WRONLY),
        (1, "stdout", "w", os.O_RDONLY),
        (2, "stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            os.open(os.devnull, flags)  # the lowest free descriptor, which is this one
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115 - open until the end


def run(arguments: list[str]) -> int:
    """Run the command line with `arguments` and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # they are text files here
    try:
        # Not cli.main, which ends the process itself when a pipe breaks.
        with cli.make_context("cdigen", list(arguments)) as context:
            result = cli.invoke(context)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        return _fail(one_line(error.format_message()), error.exit_code, error)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted; a spec that is on the disk is whole", INTERRUPTED)
    except CdigenError as error:
        say_findings(error.findings)
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        # The reader has gone; standard output must not be flushed again on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:
        if os.environ.get("CDIGEN_DEBUG"):
            raise
        if isinstance(error, OSError) and error.filename is None and error.errno in _STDOUT_ERRORS:
            # What is read and written here makes a FileError: this is click, with its help.
            return _fail(
                f"cannot write to standard output: {error.strerror}; make room, or write elsewhere", FileError.exit_code
            )
        return _fail(
            f"internal error: {type(error).__name__}: {one_line(str(error))}; please report it with the output of"
            " cdigen snapshot; CDIGEN_DEBUG=1 shows where it happened",
            InvalidSpecError.exit_code,
        )
    return result if isinstance(result, int) else 0


def _fail(message: str, code: int, usage: click.ClickException | None = None) -> int:
    context = getattr(usage, "ctx", None)
    hint = f"{'' if message.endswith(('.', '?')) else '.'} Try '{context.command_path} --help'." if context else ""
    with suppress(OSError):  # the exit code says it too
        sys.stderr.write(f"cdigen: error: {one_line(message)}{hint}\n")
    return code
