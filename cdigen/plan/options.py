"""What a user may choose about a spec."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from cdigen.catalog.modes import MODES
from cdigen.errors import UsageError, one_line
from cdigen.records import Record, replace

if TYPE_CHECKING:
    from collections.abc import Iterable

NameStrategy = Literal["index", "uuid", "type-index"]
AdditionalGids = Literal["auto", "always", "never"]

CAPABILITIES = ("compute", "utility", "graphics", "video", "display", "ngx")
"""The vendor's words for groups of the driver's files, as in NVIDIA_DRIVER_CAPABILITIES."""

COMPAT32 = "compat32"
"""The vendor's word for 32-bit libraries, of whatever group is chosen beside it."""

_MAX_VENDOR, _MAX_CLASS = 253, 63  # with what a mode adds to them
_VENDOR = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,251}[A-Za-z0-9]")
_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,61}[A-Za-z0-9]")
_DIRECTORY = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[^/\x00-\x1f\x7f-\x9f\ud800-\udfff]+)+")


class BuildOptions(Record):
    """Choices that do not change what was found, only what of it is written and under which names.

    Attributes:
        vendor: the part of `kind` before the slash.
        device_class: the part of `kind` after it; None for the mode's own.
        mode: what the spec is of, one of `catalog.modes.MODES`.
        strategies: how each GPU is named, in this order.
        with_all: add a device "all" that has every GPU.
        library_directories: where 64-bit libraries are mounted; () for the two families of distributions.
        capabilities: the groups of which files are mounted; what they need is mounted too.
        ipc: mount sockets of the driver's daemons.
        compat32: mount 32-bit libraries.
        devices: names of the GPUs and MIG instances, or of the IMEX channels, that are offered; () for all. See
            `select_gpus`.
        none_device: add a device "none" that has no GPU.
        additional_gids: whether containers get the groups of device nodes that are not open to all; "auto" if that is
            still to be decided, and until then they do not.
        annotations: say in the spec of which profile each MIG device is.
        allow_incomplete: write the spec also without libraries of the driver that something in it needs, and without
            what NVML told of the one that is there.
    """

    vendor: str = "nvidia.com"
    device_class: str | None = None
    mode: str = "auto"
    strategies: tuple[NameStrategy, ...] = ("index", "uuid")
    with_all: bool = True
    library_directories: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = CAPABILITIES
    ipc: bool = False
    compat32: bool = False
    devices: tuple[str, ...] = ()
    none_device: bool = False
    additional_gids: AdditionalGids = "auto"
    annotations: bool = False
    allow_incomplete: bool = False

    @property
    def kind(self) -> str:
        """The spec's `kind`, with the vendor's prefix and suffixes for some modes."""
        row = MODES[self.mode]
        device_class = row.device_class if self.device_class is None else self.device_class
        return f"{row.prefix}{self.vendor}/{device_class}{row.suffix}"

    @property
    def coherent(self) -> bool | None:
        """The mode's own; see `ModeRow`."""
        return MODES[self.mode].coherent

    def for_mode(self, mode: str) -> BuildOptions:
        """Return these choices for the spec of another mode beside this one's: those that have a meaning there."""
        is_of_gpus, has_names = MODES[mode].is_of_gpus, MODES[mode].has_names
        return replace(
            self,
            mode=mode,
            device_class=self.device_class if is_of_gpus else None,
            devices=self.devices if is_of_gpus else (),
            with_all=self.with_all or not has_names,
            none_device=self.none_device and is_of_gpus,
            annotations=self.annotations and is_of_gpus,
        )

    def __post_init__(self) -> None:
        """Check what the CDI specification says of names, and that directories are absolute.

        Raises:
            UsageError: a value cannot stand in a spec.
        """
        vendor, _, device_class = self.kind.partition("/")
        own_class = "gpu" if self.device_class is None else self.device_class
        if not _VENDOR.fullmatch(self.vendor) or len(vendor) > _MAX_VENDOR:
            raise UsageError(
                f"--vendor {one_line(self.vendor)}: not a vendor name",
                hint="use two or more letters, digits, '.', '_' and '-', such as nvidia.com",
                code="invalid-value",
            )
        if not _CLASS.fullmatch(own_class) or len(device_class) > _MAX_CLASS:
            raise UsageError(
                f"--class {one_line(own_class)}: not a class name",
                hint="use two or more letters, digits, '_' and '-', such as gpu",
                code="invalid-value",
            )
        if not MODES[self.mode].has_names:
            if self.devices:
                raise UsageError(
                    f"--device chooses GPUs and IMEX channels, of which --mode {self.mode} offers none by name",
                    hint="leave it out",
                    code="conflicting-options",
                )
            if not self.with_all:
                raise UsageError(
                    f"--no-all would leave nothing, as --mode {self.mode} has only the device `all`",
                    code="conflicting-options",
                )
        if self.none_device and not MODES[self.mode].is_of_gpus:
            raise UsageError(
                f"--none-device is a device without a GPU, and --mode {self.mode} has no GPUs", hint="leave it out"
            )
        for name in self.devices:
            if not name.isprintable():  # the spec's header could not say it
                raise UsageError(
                    f"--device {one_line(name)}: no device has such a name",
                    hint="see",
                    commands=("cdigen list",),
                    code="invalid-value",
                )
        for word in self.capabilities:
            if word not in CAPABILITIES:
                raise UsageError(
                    f"--capabilities: {one_line(word)!r} is not a capability",
                    hint=f"use some of {', '.join((*CAPABILITIES, COMPAT32))}, separated by commas",
                    code="invalid-value",
                )
        if not self.capabilities:
            raise UsageError(
                "--capabilities: none given",
                hint=f"use some of {', '.join((*CAPABILITIES, COMPAT32))}",
                code="invalid-value",
            )
        for directory in self.library_directories:
            if not _DIRECTORY.fullmatch(directory) or len(directory) > 1024 or not directory.isprintable():
                raise UsageError(
                    f"--container-lib-dir {one_line(directory)}: not an absolute path without '.', '..', '//'"
                    " and a slash at the end",
                    hint="use one such as /usr/lib64",
                    code="invalid-value",
                )


def check_root(option: str, value: str) -> None:
    """Check a directory on the host that stands for its `/` or holds its `dev/`.

    Raises:
        UsageError: it is no such path; it names the `option`.
    """
    if not value.startswith("/") or ".." in value.split("/") or not value.isprintable():
        raise UsageError(
            f"{option} {one_line(value)}: not an absolute path on the host without '..'",
            hint="use one such as /run/nvidia/driver",
            code="invalid-value",
        )


def parse_devices(texts: Iterable[str], kind: str) -> tuple[str, ...]:
    """Return the names of devices that texts such as "0,1" and "nvidia.com/gpu=0" hold.

    Args:
        texts: names with commas between them, each with or without the kind before it.
        kind: the spec's own, such as "nvidia.com/gpu".

    Raises:
        UsageError: a text holds no name, or one of another kind.
    """
    devices = []
    for text in texts:
        for word in map(str.strip, text.split(",")):
            prefix, equals, name = word.rpartition("=")
            if equals and prefix != kind:
                raise UsageError(
                    f"--device {one_line(word)}: not a device of {kind}",
                    hint="name devices as cdigen list does",
                    code="invalid-value",
                )
            if not name:
                raise UsageError(
                    f"--device {one_line(text)!r}: a name is missing", hint="use one such as 0", code="invalid-value"
                )
            devices.append(name)
    return tuple(devices)


def parse_capabilities(text: str) -> tuple[tuple[str, ...], bool]:
    """Return the groups that a list such as "compute,utility,compat32" names, and whether it has compat32.

    Args:
        text: words with commas between them, in any order; "all" stands for all groups without compat32.

    Returns:
        The groups in the order of `CAPABILITIES`, then words that are none, for `BuildOptions` to refuse.
    """
    words = {word.strip() for word in text.split(",")} - {""}
    if "all" in words:
        words = (words - {"all"}) | set(CAPABILITIES)
    groups = words - {COMPAT32}
    known = tuple(group for group in CAPABILITIES if group in groups)
    return known + tuple(sorted(groups - set(CAPABILITIES))), COMPAT32 in words
