"""The command line: options in, exit code out. What a verb does is in `cdigen.commands`, imported when it is run."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cdigen import __version__
from cdigen.errors import CdigenError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from cdigen.build.options import BuildOptions
    from cdigen.commands.target import Target

    F = TypeVar("F", bound=Callable[..., object])

DEFAULT_OUTPUT = "/etc/cdi/nvidia.yaml"
_STDOUT_ERRORS = (errno.ENOSPC, errno.EBADF, errno.EIO)
INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C has ended: 128 + SIGINT."""

_TARGET_OPTIONS = (
    click.option("--host-root", metavar="DIR", help="Where the host's / is visible to this process.  [default: /]"),
    click.option(
        "--driver-root",
        metavar="DIR",
        help="Directory on the host that holds the driver's files; kept in hostPath, dropped from containerPath."
        "  [default: /]",
    ),
    click.option(
        "--dev-root",
        metavar="DIR",
        help="Directory on the host that holds dev/; kept in hostPath, dropped from path."
        "  [default: the driver root if it has dev/nvidiactl, else /]",
    ),
    click.option("--procfs", metavar="DIR", help="Where the host's /proc is visible.  [default: below the host root]"),
    click.option("--sysfs", metavar="DIR", help="Where the host's /sys is visible.  [default: below the host root]"),
    click.option(
        "--snapshot",
        metavar="FILE",
        help="Use the host that `cdigen snapshot` recorded in FILE; - is standard input.",
    ),
)
_BUILD_OPTIONS = (
    click.option(
        "--device-name-strategy",
        "strategies",
        type=click.Choice(("index", "uuid", "type-index")),
        multiple=True,
        default=("index", "uuid"),
        show_default="index and uuid",
        help="How GPUs are named: 0, GPU-<uuid>, gpu0; repeatable.",
    ),
    click.option("--no-all", is_flag=True, help="Leave out the device `all`."),
    click.option("--vendor", metavar="NAME", default="nvidia.com", show_default=True, help="Vendor part of the kind."),
    click.option(
        "--class",
        "device_class",
        metavar="NAME",
        default="gpu",
        show_default=True,
        help="Class part of the kind.",
    ),
    click.option(
        "--container-lib-dir",
        "library_directories",
        metavar="DIR",
        multiple=True,
        help="Mount 64-bit libraries in DIR of the container only; repeatable."
        "  [default: /usr/lib/<multiarch> and /usr/lib64]",
    ),
    click.option(
        "--ipc", is_flag=True, help="Mount the sockets of persistenced, fabricmanager and MPS that are there."
    ),
    click.option("--compat32", is_flag=True, help="Mount 32-bit libraries too."),
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Report as JSON (schemas/report.schema.json).")


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _take_target(values: dict[str, Any]) -> Target:
    from cdigen.commands.target import Target

    names = ("host_root", "driver_root", "dev_root", "procfs", "sysfs", "snapshot")
    return Target(**{name: values.pop(name) for name in names})


def _take_build_options(values: dict[str, Any]) -> BuildOptions:
    from cdigen.build.options import BuildOptions

    names = ("strategies", "vendor", "device_class", "library_directories", "ipc", "compat32")
    return BuildOptions(with_all=not values.pop("no_all"), **{name: values.pop(name) for name in names})


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    }
)
@click.version_option(__version__, prog_name="cdigen", message="%(prog)s %(version)s")
def cli() -> None:
    """Write a Container Device Interface spec for NVIDIA GPUs that needs no hook.

    Exit codes: 0 done or nothing to do; 1 a check's answer is no; 2 usage; 3 no NVIDIA driver;
    4 kernel and user-space versions differ; 5 something is missing; 6 a bug of cdigen; 7 a file could not be
    read or written.

    Every option can be set by environment: CDIGEN_<COMMAND>_<OPTION>, such as CDIGEN_GENERATE_OUTPUT.
    """


@cli.command()
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    default=DEFAULT_OUTPUT,
    show_default=True,
    help="File to write; - is standard output.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("yaml", "json")),
    help="[default: by the suffix of the output, else yaml]",
)
@_JSON
@_options(*_TARGET_OPTIONS, *_BUILD_OPTIONS)
def generate(output: str, file_format: str | None, as_json: bool, **values: Any) -> int:
    """Scan the host, build its spec, validate and write it.

    The file is replaced in one step, and left alone if nothing has changed. If the spec would not work,
    nothing is written.
    """
    target, options = _take_target(values), _take_build_options(values)
    from cdigen.commands.generate import run_generate

    return run_generate(target, options, output=output, file_format=file_format, as_json=as_json)


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--hook-free", is_flag=True, help="Hooks are violations too.")
@_JSON
def validate(files: tuple[str, ...], hook_free: bool, as_json: bool) -> int:
    """Check specs of anyone against the CDI schema and rules; - is standard input.

    Every violation is reported with its place, as FILE::$.devices[0].name: message.
    """
    from cdigen.commands.validate import run_validate

    return run_validate(files, hook_free=hook_free, as_json=as_json)


@cli.command("list")
@click.option("--spec", metavar="FILE", help="List the devices of this spec in place of a host's.")
@_JSON
@_options(*_TARGET_OPTIONS, *_BUILD_OPTIONS)
@click.pass_context
def list_(context: click.Context, /, spec: str | None, as_json: bool, **values: Any) -> int:
    """List the devices that this host, or a spec, offers."""
    target, options = _take_target(values), _take_build_options(values)
    if spec is not None:
        given = [
            parameter.opts[0]
            for parameter in context.command.params
            if parameter.name not in ("spec", "as_json")
            and context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        ]
        if given:
            raise click.UsageError(f"--spec reads no host and cannot be used together with {', '.join(given)}.")
        from cdigen.commands.list_devices import run_list_spec

        return run_list_spec(spec, as_json=as_json)
    from cdigen.commands.list_devices import run_list

    return run_list(target, options, as_json=as_json)


@cli.command()
@click.option(
    "--spec",
    metavar="FILE",
    default=DEFAULT_OUTPUT,
    show_default=True,
    help="File to compare with; - is standard input.",
)
@_JSON
@_options(*_TARGET_OPTIONS, *_BUILD_OPTIONS)
def diff(spec: str, as_json: bool, **values: Any) -> int:
    """Show what generate would change in a spec, entry by entry.

    + is new, - is gone, ~ is changed. Exit 0 if nothing would change, else 1.
    """
    target, options = _take_target(values), _take_build_options(values)
    from cdigen.commands.diff import run_diff

    return run_diff(target, options, spec=spec, as_json=as_json)


@cli.command()
@click.argument("patterns", nargs=-1, metavar="[NAME]...")
@_JSON
@_options(*_TARGET_OPTIONS, *_BUILD_OPTIONS)
def explain(patterns: tuple[str, ...], as_json: bool, **values: Any) -> int:
    """Show why each entry of the spec is there, what it needs, and what was left out and why.

    NAME restricts that to what has it in a path or name, such as libcuda or '*.json'.
    """
    target, options = _take_target(values), _take_build_options(values)
    from cdigen.commands.explain import run_explain

    return run_explain(target, options, patterns=patterns, as_json=as_json)


@cli.command()
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    default="-",
    show_default=True,
    help="File to write; - is standard output.",
)
@click.option("--note", default="", help="Free text for the reader, put into the snapshot.")
@_options(*_TARGET_OPTIONS)
def snapshot(output: str, note: str, **values: Any) -> int:
    """Record the facts of this host that cdigen looks at: for a bug report, a test, or to build elsewhere.

    It holds names of driver files, PCI addresses, GPU UUIDs and models, and no content of libraries. It is
    recorded also where generate refuses to write a spec.
    """
    target = _take_target(values)
    from cdigen.commands.snapshot import run_snapshot

    return run_snapshot(target, output=output, note=note)


for _command in cli.commands.values():
    for _option in _command.params:
        if isinstance(_option, click.Option):
            # By the option's own name: click's auto_envvar_prefix takes the function's parameter, as in ..._AS_JSON.
            _long = next(name for name in _option.opts if name.startswith("--"))
            _option.envvar = f"CDIGEN_{_command.name}_{_long[2:]}".replace("-", "_").upper()


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
            return _fail(f"cannot write to standard output: {error.strerror}; make room, or write elsewhere", 7)
        return _fail(
            f"internal error: {type(error).__name__}: {one_line(str(error))}; please report it with the output"
            f" of cdigen snapshot;"
            " CDIGEN_DEBUG=1 shows where it happened",
            6,
        )
    return result if isinstance(result, int) else 0


def _fail(message: str, code: int, usage: click.ClickException | None = None) -> int:
    context = getattr(usage, "ctx", None)
    hint = f"{'' if message.endswith(('.', '?')) else '.'} Try '{context.command_path} --help'." if context else ""
    with suppress(OSError):  # the exit code says it too
        sys.stderr.write(f"cdigen: error: {one_line(message)}{hint}\n")
    return code
