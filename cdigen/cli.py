"""The command line: which verbs there are. Each is a module of `cdigen.verbs`, imported when it is asked for."""

from __future__ import annotations

import os
from importlib import import_module

import click

from cdigen import __version__
from cdigen.options.variables import find_unknown_variables, name_variables
from cdigen.report import say_findings
from cdigen.wording import did_you_mean

VERBS = {
    "check": "Tell whether the spec that the engines will use is still true of this host.",
    "configure": "Switch CDI on in an engine's own configuration, where its version reads specs only if it is told to.",
    "device-plugin": "Offer the devices of the spec on the disk to the kubelet, by its device plugin API, until told to"
    " end.",
    "diff": "Show what generate would change in a spec, entry by entry; with --facts, what has changed on the host.",
    "doctor": "Look at the whole chain from the GPU to the container, and say what to do where it is broken.",
    "explain": "Show why each entry of the spec is there, what it needs, and what was left out and why.",
    "export": "Give devices to an engine that does not read CDI specs, by its own options or configuration.",
    "generate": "Scan the host, build its spec, validate and write it.",
    "help": "Show the help of a command, or of cdigen itself.",
    "inject": "Add devices to an OCI runtime configuration: a bundle's config.json, or - for standard input.",
    "labels": "Say what this node should be labelled with in Kubernetes.",
    "lint-image": "Find driver files in an image.",
    "list": "List the devices that this host offers, or a spec: FILE, - for standard input; or all specs: --all.",
    "nodes": "Show every device node that the driver can have: its numbers, mode and owner, and whether it exists.",
    "remove": "Remove what generate wrote, and nothing else: specs, and the record of the facts behind them.",
    "snapshot": "Record the facts of this host that cdigen looks at: for a bug report, a test, or to build its spec"
    " elsewhere.",
    "validate": "Check specs of any author against the CDI schema and rules; - is standard input.",
    "watch": "Write the spec of this host, and again whenever something changes that it depends on, until told to end.",
}
"""Every verb, with the first sentence of its help."""


def load_verb(name: str) -> click.Command:
    """Return a verb of the table, with the variables of its options."""
    verb: click.Command = import_module(f"cdigen.verbs.{name.replace('-', '_')}").command
    name_variables(verb)
    return verb


class NoSuchCommand(click.UsageError):
    """No verb has the name; versions of click before 8.4 have no error of their own for that."""

    def __init__(self, name: str, ctx: click.Context) -> None:
        from difflib import get_close_matches

        super().__init__(f"No such command {name!r}.{did_you_mean(get_close_matches(name, VERBS))}", ctx)


class _Verbs(click.Group):
    """The verbs, none of which is loaded to be listed."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in VERBS and not args[0].startswith("-"):
            raise NoSuchCommand(args[0], ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_verb(cmd_name) if cmd_name in VERBS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Group(commands=self.commands).format_commands(ctx, formatter)


@click.group(
    cls=_Verbs,
    commands=[click.Command(name, help=summary) for name, summary in VERBS.items()],
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.version_option(__version__, prog_name="cdigen", message="%(prog)s %(version)s")
def cli() -> None:
    """Write a Container Device Interface spec for NVIDIA GPUs that needs no hook.

    Exit codes: 0 done or nothing to do; 1 a check's answer is no; 2 usage; 3 no NVIDIA driver, or a platform
    that is not supported; 4 kernel and user-space versions differ; 5 something is missing; 6 a bug of cdigen;
    7 a file could not be read or written.

    Every option can be set by environment: CDIGEN_<COMMAND>_<OPTION>, such as CDIGEN_GENERATE_OUTPUT.
    """
    say_findings(find_unknown_variables(VERBS, load_verb, os.environ))
