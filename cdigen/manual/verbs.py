"""What there is to say of a verb, as fields."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable


class OptionText(Record):
    """An option.

    Attributes:
        names: as they are typed, the short one first.
        value: what stands for its value; "" if it takes none.
        words: the values that it can have; () if any.
        is_path: whether its value is a file or a directory.
        text: its help.
        variable: the environment variable that sets it; "" if none does.
    """

    names: tuple[str, ...]
    value: str
    words: tuple[str, ...]
    is_path: bool
    text: str
    variable: str


class VerbText(Record):
    """A verb.

    Attributes:
        name: it.
        summary: one sentence, without its full stop.
        usage: what follows its name.
        paragraphs: of its help, each one line.
        options: in the order of its help.
        takes_file: whether it takes an argument that is a file.
    """

    name: str
    summary: str
    usage: str
    paragraphs: tuple[str, ...]
    options: tuple[OptionText, ...]
    takes_file: bool


def describe(verbs: Iterable[tuple[str, str, click.Command]]) -> tuple[VerbText, ...]:
    """Return what there is to say of verbs.

    Args:
        verbs: name, first sentence and command of each.
    """
    return tuple(_describe(name, summary, command) for name, summary, command in verbs)


def paragraphs_of(command: click.Command) -> tuple[str, ...]:
    """Return the paragraphs of a command's help, each one line."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return tuple(" ".join(part.replace("\b", "").split()) for part in paragraphs)


def _describe(name: str, summary: str, command: click.Command) -> VerbText:
    context = click.Context(command, info_name=name)
    return VerbText(
        name=name,
        summary=summary.rstrip("."),
        usage=" ".join(command.collect_usage_pieces(context)),
        paragraphs=paragraphs_of(command),
        options=tuple(_option(one, context) for one in command.get_params(context) if isinstance(one, click.Option)),
        takes_file=any(isinstance(one, click.Argument) for one in command.params),
    )


def _option(option: click.Option, context: click.Context) -> OptionText:
    words = tuple(map(str, option.type.choices)) if isinstance(option.type, click.Choice) else ()
    value = "" if option.is_flag or option.count else "|".join(words) or option.metavar or option.type.name.upper()
    record = option.get_help_record(context)
    return OptionText(
        names=tuple(sorted(option.opts, key=len)),
        value=value,
        words=words,
        is_path=option.metavar in ("FILE", "PATH", "DIR"),
        text=" ".join((record[1] if record else "").split()),
        variable=str(option.envvar or ""),
    )
