"""Our specs on the disk: where each mode's is, and the comment that every YAML file of ours begins with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from cdigen import __version__
from cdigen.catalog.modes import MAIN_MODES
from cdigen.errors import DocumentError, ParseError, one_line, shell_word
from cdigen.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdigen.plan.header_options import Choices

DEFAULT_OUTPUT = "/etc/cdi/nvidia.yaml"

RECORD_DIRECTORY = "/var/lib/cdigen"
"""Where the unit keeps the facts behind the last written spec."""

RECORD = f"{RECORD_DIRECTORY}/nvidia.snapshot.yaml"
"""The file in which it keeps them."""

_MARK = "Written by cdigen "
_OPTIONS = "Options: "
_HEADER_LINES = 3
_FIRST_BYTES = f"# {_MARK}".encode()
_OPTIONS_BYTES = f"# {_OPTIONS}".encode()

HEAD_BYTES = len(_FIRST_BYTES)
"""How much of a file `is_ours` must see."""


def spec_header(subject: str, options: str) -> tuple[str, ...]:
    """Return the comment lines of a spec.

    Args:
        subject: what the spec is for.
        options: those of the command line that made it, other than the defaults; one line.
    """
    return (
        f"{_MARK}{__version__} for {subject}.",
        "Do not edit: `cdigen generate` replaces this file.",
        *([f"{_OPTIONS}{options}"] if options else []),
    )


def record_header(specs: Sequence[str]) -> tuple[str, ...]:
    """Return the comment lines of the record of the facts behind the specs at these paths, the first the main one."""
    others = f" and {count(len(specs) - 1, 'other spec')}" if len(specs) > 1 else ""
    return (
        f"{_MARK}{__version__}: the facts behind {specs[0]}{others}.",
        "Do not edit: `cdigen generate --record` replaces this file.",
        "What has changed since: cdigen diff --facts FILE; the specs again: cdigen generate --snapshot FILE",
    )


def header_options(data: bytes) -> str:
    """Return the options in the header of a spec of ours, as they were given to `spec_header`; "" if it has none."""
    for line in data.split(b"\n", _HEADER_LINES)[:_HEADER_LINES]:
        if line.startswith(_OPTIONS_BYTES):
            return line[len(_OPTIONS_BYTES) :].decode(errors="replace")
    return ""


def read_choices(data: bytes, path: str) -> Choices:
    """Return the choices with which a spec of ours was made.

    Args:
        data: the spec.
        path: where it is, for the error.

    Raises:
        DocumentError: its header has options that no spec has.
    """
    from cdigen.plan.header_options import parse_choices

    try:
        return parse_choices(header_options(data))
    except ParseError as error:
        name = one_line(path)
        raise DocumentError(
            f"the header of {name} cannot be read: {error}",
            hint="regenerate the spec with",
            commands=(f"cdigen generate --output {shell_word(name)}",),
            subject=name,
            code="invalid-header",
        ) from error


def options_of(data: bytes) -> str:
    """Return the options with which a spec of ours was made, quoted for a shell; "" where its header tells none."""
    from cdigen.plan.header_options import format_choices

    try:
        return format_choices(read_choices(data, "")) if is_ours(data) else ""
    except DocumentError:
        return ""


def regenerate(data: bytes, path: str) -> str:
    """Return the command that writes a spec of ours again, with its own options as far as its header tells them."""
    options = options_of(data)
    return f"cdigen generate --output {shell_word(path)}{' ' * bool(options)}{options}"


def is_ours(head: bytes) -> bool:
    """Tell whether a file that begins with `head` was written by cdigen, of whatever version.

    JSON has no comments, so a JSON file cannot be told from anyone's.
    """
    return head.startswith(_FIRST_BYTES)


def may_become_ours(head: bytes) -> bool:
    """Tell whether a file that begins with `head` is ours, or a part of one of which no more was written."""
    return is_ours(head) or _FIRST_BYTES.startswith(head)


def output_of(mode: str, main: str = DEFAULT_OUTPUT) -> str:
    """Return the file of a mode's spec beside that of the GPUs.

    Args:
        mode: the mode; those of `MAIN_MODES` have the main file itself.
        main: the main file, such as /etc/cdi/nvidia.yaml, for which /etc/cdi/nvidia-imex.yaml is returned.
    """
    if mode in MAIN_MODES:
        return main
    stem, suffix = os.path.splitext(main)
    return f"{stem}-{mode}{suffix}"


def standing_file(path: str, *, root: str | None = None) -> Literal["absent", "ours", "foreign"]:
    """Return whose file is at `path`, links followed; what cannot be read is taken for another's.

    Args:
        path: the file.
        root: see `cdigen.walk.open_place`.
    """
    from cdigen.write import read_head

    head = read_head(path, HEAD_BYTES, root=root)
    if head is None:
        return "foreign" if os.path.lexists(path) else "absent"
    return "ours" if is_ours(head) else "foreign"
