"""cdigen help: the help of a verb, its manual page, or completion for a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from cdigen.errors import UsageError, one_line
from cdigen.manual.completion import SHELLS
from cdigen.report import emit_bytes
from cdigen.wording import did_you_mean

if TYPE_CHECKING:
    from cdigen.manual.verbs import VerbText


@click.command("help")
@click.option("--man", "as_man", is_flag=True, help="Write the manual page, for man(1).")
@click.option(
    "--completion", "shell", type=click.Choice(tuple(SHELLS)), help="Write the script with which a shell completes."
)
@click.argument("verb", required=False, metavar="[COMMAND]")
@click.pass_context
def command(context: click.Context, verb: str | None, as_man: bool, shell: str | None) -> int:
    """Show the help of a command, or of cdigen itself.

    With --man as a manual page: cdigen help --man generate | man -l -. With --completion the script for a shell:
    cdigen help --completion bash > /etc/bash_completion.d/cdigen.
    """
    group = cast("click.Group", (context.parent or context).command)
    top = click.Context(group, info_name="cdigen", **group.context_settings)
    if shell is not None:
        if verb is not None or as_man:
            raise UsageError("--completion is of all commands", hint="leave the others out", code="conflicting-options")
        emit_bytes(SHELLS[shell](_describe_all(group, top)).encode())
        return 0
    if verb is not None and verb not in group.commands:
        from difflib import get_close_matches

        raise UsageError(
            f"no such command: {one_line(verb)}.{did_you_mean(get_close_matches(verb, group.commands))}",
            hint="see",
            commands=("cdigen --help",),
            code="unknown-command",
        )
    if as_man:
        from cdigen.manual.man import render_main, render_verb
        from cdigen.manual.verbs import paragraphs_of

        found = {one.name: one for one in _describe_all(group, top)}
        page = render_main(paragraphs_of(group), tuple(found.values())) if verb is None else render_verb(found[verb])
        emit_bytes(page.encode())
        return 0
    shown = group if verb is None else group.get_command(top, verb) or group
    own = top if verb is None else click.Context(shown, info_name=verb, parent=top)
    emit_bytes(f"{shown.get_help(own)}\n".encode())
    return 0


def _describe_all(group: click.Group, top: click.Context) -> tuple[VerbText, ...]:
    from cdigen.manual.verbs import describe

    loaded = ((name, listed.help or "", group.get_command(top, name)) for name, listed in group.commands.items())
    return describe((name, summary, verb) for name, summary, verb in loaded if verb is not None)
