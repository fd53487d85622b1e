"""The verbs and their options. What a verb does is in `cdigen.verbs`, imported when it is run."""

from __future__ import annotations

import os

import click

from cdigen import __version__
from cdigen.cli import reading, writing
from cdigen.cli.environment import find_unknown_variables, name_variables
from cdigen.report import say_findings


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    }
)
@click.version_option(__version__, prog_name="cdigen", message="%(prog)s %(version)s")
def cli() -> None:
    """Write a Container Device Interface spec for NVIDIA GPUs that needs no hook.

    Exit codes: 0 done or nothing to do; 1 a check's answer is no; 2 usage; 3 no NVIDIA driver, or a platform
    that is not supported; 4 kernel and user-space versions differ; 5 something is missing; 6 a bug of cdigen;
    7 a file could not be read or written.

    Every option can be set by environment: CDIGEN_<COMMAND>_<OPTION>, such as CDIGEN_GENERATE_OUTPUT.
    """
    say_findings(find_unknown_variables(cli.commands.values(), os.environ))


for _command in (
    writing.generate,
    writing.nodes,
    writing.snapshot,
    writing.inject,
    writing.remove,
    reading.list_,
    reading.explain,
    reading.diff,
    reading.validate,
    reading.lint_image,
    reading.check,
    reading.doctor,
):
    cli.add_command(_command)

name_variables(cli.commands.values())
