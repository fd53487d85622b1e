"""The choices behind a spec as one line of text, which stands in its header so that it can be built again.

The text is that of a command line: `--capabilities=compute,utility --no-all`. Only what differs from the default is in
it, always in the same order, so that the same spec has the same line.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, cast, get_args

from cdigen.catalog.modes import MODES
from cdigen.errors import ParseError, UsageError, one_line
from cdigen.facts import AskedPlatform
from cdigen.plan.options import COMPAT32, BuildOptions, NameStrategy, check_root, parse_capabilities
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_BYTES = 1 << 16

_DEFAULT = BuildOptions()

ONE = {
    "--mode": "mode",
    "--vendor": "vendor",
    "--class": "device_class",
    "--additional-gids": "additional_gids",
}
MANY = {"--device": "devices", "--device-name-strategy": "strategies", "--container-lib-dir": "library_directories"}
FLAGS = {
    "--no-all": ("with_all", False),
    "--none-device": ("none_device", True),
    "--ipc": ("ipc", True),
    f"--{COMPAT32}": ("compat32", True),
    "--annotations": ("annotations", True),
    "--allow-incomplete": ("allow_incomplete", True),
}
"""Options that take one value, several, and none, each with the field of `BuildOptions` that it sets."""

_CAPABILITIES = "--capabilities"
_PLATFORM = "--platform"
_ROOTS = {"--driver-root": "driver_root", "--dev-root": "dev_root"}


class Choices(Record):
    """Everything that a user chose and that shows in the spec.

    Attributes:
        options: what of the host is written, and under which names.
        driver_root: the directory on the host that holds the driver's files.
        dev_root: the directory on the host that holds `dev/`; None for the default, which the driver root decides.
        platform: which kind of machine it is; "auto" if files told.
    """

    options: BuildOptions
    driver_root: str = "/"
    dev_root: str | None = None
    platform: AskedPlatform = "auto"


def format_choices(choices: Choices) -> str:
    """Return the text of `choices`; "" if all are the defaults."""
    return " ".join(map(shlex.quote, _arguments(choices)))


def _arguments(choices: Choices) -> Iterator[str]:
    for option, name in _ROOTS.items():
        value = getattr(choices, name)
        if value not in (None, "/" if name == "driver_root" else None):  # "/" is not the default of the other
            yield f"{option}={value}"
    if choices.platform != "auto":
        yield f"{_PLATFORM}={choices.platform}"
    options = choices.options
    for option, name in ONE.items():
        value = getattr(options, name)
        if value not in (getattr(_DEFAULT, name), "gpu" if name == "mode" else None):  # another word for the default
            yield f"{option}={value}"
    for option, name in MANY.items():
        values = getattr(options, name)
        if values != getattr(_DEFAULT, name):
            yield from (f"{option}={value}" for value in values)
    if options.capabilities != _DEFAULT.capabilities:
        yield f"{_CAPABILITIES}={','.join(options.capabilities)}"
    for option, (name, value) in FLAGS.items():
        if getattr(options, name) is value:
            yield option


def parse_choices(text: str) -> Choices:
    """Return the choices that `text` says, as `format_choices` writes it.

    Raises:
        ParseError: it is not such a text.
    """
    if len(text) > _MAX_BYTES:
        raise ParseError(f"more than {_MAX_BYTES} bytes of options")
    try:
        arguments = shlex.split(text)
    except ValueError as error:
        raise ParseError(f"no options: {error}") from error
    found: dict[str, Any] = {}
    platform = "auto"
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option in FLAGS and not equals:
            name, flag = FLAGS[option]
            found[name] = flag
        elif not value:
            raise ParseError(f"{one_line(argument)!r} is not an option of a spec")
        elif option in MANY:
            found[MANY[option]] = (*found.get(MANY[option], ()), value)
        elif option == _CAPABILITIES:
            found["capabilities"], _ = parse_capabilities(value)
        elif option == _PLATFORM:
            platform = value
        elif option in ONE or option in _ROOTS:
            found[{**ONE, **_ROOTS}[option]] = value
        else:
            raise ParseError(f"{one_line(argument)!r} is not an option of a spec")
    if found.get("mode", _DEFAULT.mode) not in MODES:
        raise ParseError(f"{one_line(found['mode'])!r} is not a mode")
    if found.get("additional_gids", "never") not in ("always", "never"):
        raise ParseError(f"{one_line(found['additional_gids'])!r} does not say whether there are groups")
    if platform not in get_args(AskedPlatform):
        raise ParseError(f"{one_line(platform)!r} is not a platform")
    for word in found.get("strategies", ()):
        if word not in get_args(NameStrategy):
            raise ParseError(f"{one_line(word)!r} is not a way to name devices")
    roots = {name: found.pop(name) for name in _ROOTS.values() if name in found}
    try:
        for option, name in _ROOTS.items():
            if name in roots:
                check_root(option, roots[name])
        return Choices(options=BuildOptions(**found), platform=cast("AskedPlatform", platform), **roots)
    except UsageError as error:
        raise ParseError(str(error)) from error
