"""Runs the command line, and turns every error into one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from cdigen.errors import EXHAUSTED, CdigenError, Ended, FileError, InvalidSpecError, UsageError, one_line
from cdigen.report import emit_error, say, say_findings, say_help, stdout_error
from cdigen.wording import did_you_mean

if TYPE_CHECKING:
    import click

_STDOUT_ERRORS = (errno.ENOSPC, errno.EBADF, errno.EIO)

_PACKAGES = {"click": "click", "elftools": "pyelftools", "jsonschema": "jsonschema", "yaml": "PyYAML"}
"""The packages that cdigen needs (pyproject.toml), by the module that each brings."""

_USAGE_CODES = {
    "NoSuchCommand": "unknown-command",
    "NoSuchOption": "unknown-option",
    "MissingParameter": "missing-argument",
    "BadParameter": "invalid-value",
}
"""The codes of click's errors, by the names of their classes; all others have `UsageError`'s own."""


class _Interrupted(CdigenError):  # noqa: N818 - it is no fault
    """The user, or whoever started it, has ended the run."""

    code = "interrupted"

    def __init__(self, ended: Ended) -> None:
        super().__init__("interrupted; a spec that is on the disk is whole")
        self.exit_code = ended.exit_code


class _ClickError(UsageError):
    """A mistake in the arguments, as click says it."""

    def __init__(self, error: click.ClickException) -> None:
        context = getattr(error, "ctx", None)
        said = one_line(_message_of(error))
        self._stop = "" if said.endswith("?") else "."
        super().__init__(
            said.removesuffix("."),
            commands=(f"{context.command_path} --help",) if context else (),
            code=_USAGE_CODES.get(type(error).__name__, ""),
        )
        self.exit_code = error.exit_code

    def __str__(self) -> str:
        return f"{self.message}{self._stop}" + "".join(f" Try '{command}'." for command in self.remedy.commands)


def _message_of(error: click.ClickException) -> str:
    """Return what click says; of an option that there is not, in the words of its later versions."""
    if type(error).__name__ != "NoSuchOption":
        return error.format_message()
    return f"No such option {error.option_name!r}.{did_you_mean(error.possibilities or ())}"  # type: ignore[attr-defined]


def run(arguments: list[str]) -> int:
    """Run the command line with `arguments` and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # they are text files here
    try:
        return _run_command(arguments)
    except BrokenPipeError:
        # The reader has gone; standard output must not be flushed again on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt as error:
        failure: CdigenError = _Interrupted(error if isinstance(error, Ended) else Ended())
    except CdigenError as error:
        failure = error
    except Exception as error:
        if os.environ.get("CDIGEN_DEBUG"):
            raise
        failure = _failure_of(error)
    say_findings(failure.findings)
    say("error", str(failure))
    if not failure.is_reported and _wants_json(arguments):
        with suppress(OSError, CdigenError):  # the line and the exit code say it too
            emit_error(failure)
    return failure.exit_code


def _run_command(arguments: list[str]) -> int:
    """Do what the command line says; click's errors become ours."""
    import click

    from cdigen.cli import cli

    if not arguments:  # of which every version of click makes something else
        say_help(cli.get_help(click.Context(cli, info_name="cdigen", **cli.context_settings)))
        return UsageError.exit_code
    try:
        # Not cli.main, which ends the process itself when a pipe breaks.
        with cli.make_context("cdigen", list(arguments)) as context:
            result = cli.invoke(context)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        raise _ClickError(error) from error
    except click.Abort as error:
        raise Ended from error
    return result if isinstance(result, int) else 0


def _wants_json(arguments: list[str]) -> bool:
    """Tell whether an error is to be reported as JSON too.

    By the words themselves: what is wrong may be that they cannot be parsed.
    """
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    command = next((word for word in words if not word.startswith("-")), "")
    variable = os.environ.get(f"CDIGEN_{command}_JSON".replace("-", "_").upper(), "")
    return "--json" in words or variable.strip().lower() in ("1", "true", "t", "yes", "y", "on")  # click's words


def _failure_of(error: Exception) -> CdigenError:
    """Return what is said of an error that nothing has caught."""
    if isinstance(error, ImportError):
        return _installation_error(error)
    if isinstance(error, MemoryError):
        return FileError("not enough memory", hint="free some, or raise the limit (ulimit -v)", code="out-of-memory")
    if isinstance(error, OSError) and error.errno in EXHAUSTED:
        place = one_line(str(error.filename or ""))
        return FileError(
            f"cannot read {place}: {error.strerror}" if place else str(error.strerror),
            hint=EXHAUSTED[error.errno],
            subject=place,
            code="out-of-resources",
        )
    if isinstance(error, OSError) and error.filename is None and error.errno in _STDOUT_ERRORS:
        # What is read and written here makes a FileError: this is click, with its help.
        return stdout_error(error)
    return InvalidSpecError(
        f"internal error: {type(error).__name__}: {one_line(str(error))}",
        hint="please report it with the output of cdigen snapshot; CDIGEN_DEBUG=1 shows where it happened",
        code="internal-error",
    )


def _installation_error(error: ImportError) -> FileError:
    """Return what is said of a module that is missing, or is not the one that cdigen needs."""
    name = one_line(error.name or "")
    package = _PACKAGES.get(name.partition(".")[0], "")
    is_missing = isinstance(error, ModuleNotFoundError)
    message = f"the Python module {name} is missing" if is_missing else f"a Python module cannot be loaded: {error}"
    if package and sys.prefix != sys.base_prefix:  # elsewhere the system's package manager may refuse pip
        import shlex

        return FileError(
            message,
            hint="install it",
            commands=(f"{shlex.quote(sys.executable)} -m pip install --force-reinstall {package}",),
            subject=name,
            code="missing-module",
        )
    what = f"install the package {package} for {one_line(sys.executable)}, or " if package else ""
    return FileError(message, hint=f"{what}install cdigen again", subject=name, code="missing-module")
