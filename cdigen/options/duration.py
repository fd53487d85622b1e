"""A time span on the command line, as in systemd's own settings."""

from __future__ import annotations

import re

import click

from cdigen.errors import one_line

MOST_SECONDS = 3600

_UNITS = (
    (1e-6, ("us", "usec", "\u00b5s", "\u03bcs")),
    (1e-3, ("ms", "msec")),
    (1.0, ("s", "sec", "second", "seconds")),
    (60.0, ("min", "m", "minute", "minutes")),
    (3600.0, ("h", "hr", "hour", "hours")),
)
"""Seconds, and the names of the unit: systemd.time(7), "Parsing Time Spans", as far as an hour."""

_SECONDS = {name: seconds for seconds, names in _UNITS for name in names}
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_LONGEST_FIRST = "|".join(sorted(_SECONDS, key=len, reverse=True))
_PART = rf"\s*({_NUMBER})\s*({_LONGEST_FIRST})"


def parse_duration(text: str) -> float:
    """Return the seconds of a time span: a number of them, or numbers with units such as 500ms and 1min 30s.

    Raises:
        click.BadParameter: it is none, or longer than `MOST_SECONDS`.
    """
    text = text.strip()
    if re.fullmatch(_NUMBER, text):
        seconds = float(text)
    elif re.fullmatch(f"(?:{_PART})+", text):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text))
    else:
        raise click.BadParameter(f"'{one_line(text)}' is not a time span such as 30s, 500ms or 1min 30s.")
    if seconds > MOST_SECONDS:
        raise click.BadParameter(f"'{one_line(text)}' is longer than {MOST_SECONDS} seconds.")
    return seconds
