"""Options that several verbs share, and what they mean to the commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cdigen.catalog.modes import MODES
from cdigen.errors import UsageError, one_line
from cdigen.options.duration import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from cdigen.plan.options import BuildOptions
    from cdigen.session.target import Target

    F = TypeVar("F", bound=Callable[..., object])
    _Choice = click.Choice[str]
else:
    _Choice = click.Choice  # no generic class before click 8.2

_KIND_CLASSES = list(dict.fromkeys(row.device_class for row in MODES.values()))


class _ModeChoice(_Choice):
    """One of `MODES`, or the vendor's word for one of them: nvml is gpu."""

    def __init__(self) -> None:
        super().__init__(tuple(MODES))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the mode; raises click.BadParameter for one that is none.

        `nvidia-ctk cdi generate --mode` has two words for platforms, which are told by files here.
        """
        if value == "wsl":
            self.fail(
                "'wsl' is no mode: that a host is WSL2 is found out. Leave it out, or use --platform wsl.", param, ctx
            )
        if value == "csv":
            self.fail(
                "'csv' is no mode: that a host is a Jetson is found out. Leave it out, or use --platform tegra.",
                param,
                ctx,
            )
        return super().convert("gpu" if value == "nvml" else value, param, ctx)


HOST_ROOT = click.option(
    "--host-root", metavar="DIR", help="Where the host's / is visible to this process.  [default: /]"
)
_PROCFS = click.option(
    "--procfs", metavar="DIR", help="Where the host's /proc is visible.  [default: below the host root]"
)
_SYSFS = click.option(
    "--sysfs", metavar="DIR", help="Where the host's /sys is visible.  [default: below the host root]"
)
_ROOT_OPTIONS = (
    HOST_ROOT,
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
    _PROCFS,
    _SYSFS,
    click.option(
        "--platform",
        type=click.Choice(("auto", "pci", "wsl", "tegra")),
        default="auto",
        show_default=True,
        help="Which kind of machine it is: GPUs on a PCI bus, WSL2, a Jetson; auto lets files tell.",
    ),
    click.option(
        "--snapshot",
        metavar="FILE",
        help="Use the host that `cdigen snapshot` recorded in FILE; - is standard input.",
    ),
)


def _nvml_options(default: str) -> tuple[Callable[[F], F], ...]:
    return (
        click.option(
            "--nvml",
            "ask_nvml",
            type=click.Choice(("auto", "never", "always")),
            default=default,
            show_default=True,
            help="Ask NVML (with the Python package nvidia-ml-py); auto asks only where procfs cannot tell: unknown"
            " UUIDs, MIG.",
        ),
        click.option(
            "--nvml-timeout",
            metavar="SECONDS",
            type=click.FloatRange(0, 3600, min_open=True),
            help="How long to wait for NVML's answer.  [default: 30]",
        ),
    )


HOST_OPTIONS = (HOST_ROOT, _PROCFS, _SYSFS)
"""For whoever looks at what a spec names, and at no driver."""

TARGET_OPTIONS = (*_ROOT_OPTIONS, *_nvml_options("auto"))
PROBE_OPTIONS = (*_ROOT_OPTIONS, *_nvml_options("never"))
"""For what is asked often: NVML can take seconds where no program keeps the GPUs awake."""

BUILD_OPTIONS = (
    click.option(
        "--mode",
        type=_ModeChoice(),
        default="auto",
        show_default=True,
        help="Which devices the spec offers: the GPUs (auto, gpu), or another class.",
    ),
    click.option(
        "--device",
        "devices",
        metavar="NAME",
        multiple=True,
        help="Offer only these GPUs or MIG devices (by index, UUID or PCI address) or IMEX channels; repeatable, or"
        " several with commas: 0,1.  [default: all]",
    ),
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
    click.option(
        "--none-device",
        is_flag=True,
        help="Add a device `none` for schedulers: what every container gets, the driver's files and control nodes, and"
        " no GPU.",
    ),
    click.option(
        "--additional-gids",
        type=click.Choice(("auto", "always", "never")),
        default="auto",
        show_default=True,
        help="Give containers the groups of device nodes that are not open to all, so that their users may open them."
        " It costs cdiVersion 0.7.0: auto does so if every engine of this machine is known to read that.",
    ),
    click.option(
        "--annotations",
        is_flag=True,
        help="Say in the spec of which profile each MIG device is, for `cdigen device-plugin`. Where there are any, it"
        " costs cdiVersion 0.6.0.",
    ),
    click.option("--vendor", metavar="NAME", default="nvidia.com", show_default=True, help="Vendor part of the kind."),
    click.option(
        "--class",
        "device_class",
        metavar="NAME",
        help=f"Class part of the kind.  [default: {', '.join(_KIND_CLASSES[:-1])} or {_KIND_CLASSES[-1]}, by the mode]",
    ),
    click.option(
        "--container-lib-dir",
        "library_directories",
        metavar="DIR",
        multiple=True,
        help="Mount 64-bit libraries only in DIR in the container; repeatable."
        "  [default: /usr/lib/<multiarch> and /usr/lib64]",
    ),
    click.option(
        "--capabilities",
        metavar="LIST",
        default="all",
        help="Mount only the files of these capabilities and what they need, separated by commas: compute, utility,"
        " graphics, video, display, ngx, compat32.  [default: all but compat32]",
    ),
    click.option("--ipc", is_flag=True, help="Mount the sockets of persistenced, fabricmanager and MPS that exist."),
    click.option("--compat32", is_flag=True, help="Mount 32-bit libraries too."),
    click.option(
        "--allow-incomplete",
        is_flag=True,
        help="Write the spec even if libraries of the driver are missing or unreadable, or NVML does not answer and the"
        " spec would lose names that it has; with a warning for each.",
    ),
)
OF_TARGET = (
    "host_root",
    "driver_root",
    "dev_root",
    "procfs",
    "sysfs",
    "platform",
    "snapshot",
    "ask_nvml",
    "nvml_timeout",
)
"""The parameters of `TARGET_OPTIONS`."""

SPEC_FILE = (
    click.argument("name", required=False, metavar="[FILE]"),
    click.option("--spec", metavar="FILE", help="The same as FILE."),
)
CREATE_DIRS = click.option("--create-dirs", is_flag=True, help="Make the directory of the output if it is missing.")
OUTPUT_OPTIONS = (
    click.option(
        "-o",
        "--output",
        metavar="PATH",
        help="File to write; - is standard output.  [default: /etc/cdi/nvidia.yaml on the host, or nvidia-<mode>.yaml"
        " for another mode]",
    ),
    CREATE_DIRS,
    click.option(
        "--format",
        "file_format",
        type=click.Choice(("yaml", "json")),
        help="Format of the spec.  [default: by the suffix of the output, else yaml]",
    ),
    click.option(
        "--create-nodes", is_flag=True, help="Make missing device nodes first, as `cdigen nodes --create` does."
    ),
    click.option(
        "--all-modes",
        is_flag=True,
        help="Also write the specs of all other modes that have devices, as NAME-<mode>.yaml beside the first, and"
        " remove those that cdigen wrote and whose devices are gone.",
    ),
    click.option(
        "--wait",
        metavar="TIME",
        type=parse_duration,
        default="0",
        help="Wait up to TIME, such as 30s or 1min 30s (at most an hour), for a driver that is still coming up: its"
        " module, GPUs and device nodes. Does not wait where there is no sign of a driver.  [default: 0]",
    ),
    click.option(
        "--record",
        metavar="FILE",
        help="Also keep the facts behind the specs in FILE, as a snapshot; `cdigen diff --facts FILE` shows later what"
        " has changed. FILE is written only when a spec is.",
    ),
    click.option(
        "--strict",
        is_flag=True,
        help="Exit 1 if another spec keeps engines from taking a device of what was written; it stays written.",
    ),
)
"""What is written, where, and what is done before and besides."""
DEVICES = click.option(
    "--device",
    "devices",
    metavar="KIND=NAME",
    multiple=True,
    required=True,
    help="Device of a spec, such as nvidia.com/gpu=0; repeatable.",
)
SPEC_DIRS = click.option(
    "--spec-dir",
    "spec_dirs",
    metavar="DIR",
    multiple=True,
    help="Directory of specs; repeatable, a later one takes precedence.  [default: /etc/cdi and /var/run/cdi]",
)
MIG_STRATEGY = click.option(
    "--mig-strategy",
    type=click.Choice(("none", "single", "mixed")),
    default="none",
    show_default=True,
    help="What becomes of MIG devices in Kubernetes: not offered; offered as GPUs, where a node has nothing else and"
    " all are of one profile; each profile a resource of its own, such as nvidia.com/mig-1g.5gb.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Report as JSON (schemas/report.schema.json).")


def with_options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that adds the options to a verb, in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def given_options(context: click.Context, *, except_for: Sequence[str]) -> list[str]:
    """Return the options on the command line itself, less those of the parameters in `except_for`."""
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in except_for
        and context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
    ]


def are_defaults(context: click.Context, *, except_for: Sequence[str]) -> bool:
    """Tell whether no option is given, on the command line or by environment, but for those in `except_for`."""
    default = click.core.ParameterSource.DEFAULT
    names = (parameter.name or "" for parameter in context.command.params if parameter.name not in except_for)
    return all(context.get_parameter_source(name) is default for name in names)


def given_words(context: click.Context, names: Collection[str]) -> list[str]:
    """Return the words that give another verb the values of some options of this one.

    Args:
        context: of this verb, by whichever way they were given.
        names: the parameters of these options; those that are not given are left out.
    """
    words: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in names and context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            option, value = max(parameter.opts, key=len), context.params[name]
            if isinstance(value, bool):
                words += [option] * value
            else:
                words += [f"{option}={one}" for one in (value if isinstance(value, tuple) else (value,))]
    return words


def check_device_names(names: Sequence[str]) -> None:
    """Raise UsageError if a value of `DEVICES` is no qualified name."""
    for name in names:
        if not re.fullmatch(r"[^/=\s]+/[^/=\s]+=\S+", name):
            raise UsageError(
                f"--device {one_line(name)}: not a device", hint="name one as KIND=NAME, such as nvidia.com/gpu=0"
            )


def take_spec_file(name: str | None, spec: str | None) -> str | None:
    """Return the file that the values of `SPEC_FILE` name; raises UsageError if both do."""
    if name is not None and spec is not None:
        raise UsageError("FILE and --spec both name the spec", hint="leave one of them out", code="conflicting-options")
    return spec if name is None else name


def take_target(values: dict[str, Any]) -> Target:
    """Take the values of `TARGET_OPTIONS` out of a verb's own; raises UsageError if they do not go together."""
    from cdigen.session.target import Target

    return Target(**{name: values.pop(name) for name in OF_TARGET})


def take_build_options(values: dict[str, Any]) -> BuildOptions:
    """Take the values of `BUILD_OPTIONS` out of a verb's own; raises UsageError for one that cannot stand in a spec."""
    from cdigen.plan.options import BuildOptions, parse_capabilities, parse_devices
    from cdigen.records import replace

    capabilities, compat32 = parse_capabilities(values.pop("capabilities"))
    devices = values.pop("devices")
    options = BuildOptions(
        with_all=not values.pop("no_all"),
        capabilities=capabilities,
        compat32=values.pop("compat32") or compat32,
        **{name: values.pop(name) for name in BuildOptions.__annotations__ if name in values},
    )
    return replace(options, devices=parse_devices(devices, options.kind))
