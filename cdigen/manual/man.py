"""Manual pages, of the macros of man(7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cdigen.manual.verbs import OptionText, VerbText

_TITLE = "CDI specs of NVIDIA GPUs"


def render_verb(verb: VerbText) -> str:
    """Return the page cdigen-<verb>(1)."""
    name = f"cdigen-{verb.name}"
    lines = [
        *_head(name, verb.summary),
        ".SH SYNOPSIS",
        f".B cdigen {_text(verb.name)}",
        _text(verb.usage),
        ".SH DESCRIPTION",
        *_paragraphs(verb.paragraphs),
        ".SH OPTIONS",
        *(line for option in verb.options for line in _option(option)),
        ".SH EXIT STATUS",
        "See",
        ".BR cdigen (1).",
        ".SH SEE ALSO",
        ".BR cdigen (1)",
    ]
    return "\n".join(lines) + "\n"


def render_main(help_text: Sequence[str], verbs: Sequence[VerbText]) -> str:
    """Return the page cdigen(1).

    Args:
        help_text: the paragraphs of the program's own help.
        verbs: all verbs.
    """
    lines = [
        *_head("cdigen", help_text[0].rstrip(".")),
        ".SH SYNOPSIS",
        ".B cdigen",
        r"\fICOMMAND\fR [\fIOPTIONS\fR]...",
        ".SH DESCRIPTION",
        *_paragraphs(help_text),
        ".SH COMMANDS",
        *(line for verb in verbs for line in _listed(verb)),
        ".SH FILES",
        ".TP",
        ".I /etc/cdi/nvidia.yaml",
        "The spec that cdigen generate writes.",
        ".SH SEE ALSO",
        ", ".join(f"\\fBcdigen\\-{_text(verb.name)}\\fR(1)" for verb in verbs),
    ]
    return "\n".join(lines) + "\n"


def _head(name: str, summary: str) -> Iterator[str]:
    yield f'.TH {_text(name.upper())} 1 "" "cdigen {__version__}" "{_TITLE}"'
    yield ".SH NAME"
    yield f"{_text(name)} \\- {_text(summary)}"


def _listed(verb: VerbText) -> tuple[str, ...]:
    return ".TP", f".BR cdigen\\-{_text(verb.name)} (1)", f"{_text(verb.summary)}."


def _paragraphs(paragraphs: Sequence[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield ".PP"
        yield _text(paragraph)


def _option(option: OptionText) -> Iterator[str]:
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in option.names)
    yield ".TP"
    yield f"{names} \\fI{_text(option.value)}\\fR" if option.value else names
    yield _text(option.text)
    if option.variable:
        yield f"Environment: {_text(option.variable)}."


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
