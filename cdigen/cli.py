"""The verbs and their options. What a verb does is in `cdigen.commands`, imported when it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from cdigen import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdigen.build.options import BuildOptions
    from cdigen.commands.target import Target

    F = TypeVar("F", bound=Callable[..., object])

_TARGET_OPTIONS = (
    click.option("--host-root", metavar="DIR", help="Where the host's / is visible to this process.  [default: /]"),
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
    click.option("--procfs", metavar="DIR", help="Where the host's /proc is visible.  [default: below the host root]"),
    click.option("--sysfs", metavar="DIR", help="Where the host's /sys is visible.  [default: below the host root]"),
    click.option(
        "--snapshot",
        metavar="FILE",
        help="Use the host that `cdigen snapshot` recorded in FILE; - is standard input.",
    ),
    click.option(
        "--nvml",
        "ask_nvml",
        type=click.Choice(("auto", "never", "always")),
        default="auto",
        show_default=True,
        help="Ask NVML (pip install 'cdigen[nvml]'); auto asks only where procfs cannot tell: unknown UUIDs, MIG.",
    ),
    click.option(
        "--nvml-timeout",
        metavar="SECONDS",
        type=click.FloatRange(0, 3600, min_open=True),
        help="How long to wait for NVML's answer.  [default: 30]",
    ),
)
_BUILD_OPTIONS = (
    click.option(
        "--mode",
        type=click.Choice(
            ("auto", "gpu", "management", "imex", "nvswitch", "gds", "gdrcopy", "mofed", "coherent", "noncoherent")
        ),
        default="auto",
        show_default=True,
        help="What the spec is of: the GPUs (auto, gpu), or another class of devices.",
    ),
    click.option(
        "--device",
        "devices",
        metavar="NAME",
        multiple=True,
        help="Offer only this GPU or MIG device (its index, UUID or PCI address) or IMEX channel; repeatable."
        "  [default: all]",
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
    click.option("--vendor", metavar="NAME", default="nvidia.com", show_default=True, help="Vendor part of the kind."),
    click.option(
        "--class",
        "device_class",
        metavar="NAME",
        help="Class part of the kind.  [default: gpu, imex-channel, nvswitch, gds, gdrcopy or mofed, by the mode]",
    ),
    click.option(
        "--container-lib-dir",
        "library_directories",
        metavar="DIR",
        multiple=True,
        help="Mount 64-bit libraries in DIR of the container only; repeatable."
        "  [default: /usr/lib/<multiarch> and /usr/lib64]",
    ),
    click.option(
        "--capabilities",
        metavar="LIST",
        default="all",
        help="Mount only the files of these capabilities and what they need: compute, utility, graphics, video,"
        " display, ngx, compat32, with commas between them.  [default: all but compat32]",
    ),
    click.option(
        "--ipc", is_flag=True, help="Mount the sockets of persistenced, fabricmanager and MPS that are there."
    ),
    click.option("--compat32", is_flag=True, help="Mount 32-bit libraries too."),
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Report as JSON (schemas/report.schema.json).")


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _take_target(values: dict[str, Any]) -> Target:
    from cdigen.commands.target import Target

    names = ("host_root", "driver_root", "dev_root", "procfs", "sysfs", "snapshot", "ask_nvml", "nvml_timeout")
    return Target(**{name: values.pop(name) for name in names})


def _take_build_options(values: dict[str, Any]) -> BuildOptions:
    from cdigen.build.options import BuildOptions, parse_capabilities

    names = ("strategies", "vendor", "device_class", "library_directories", "ipc", "devices", "mode")
    capabilities, compat32 = parse_capabilities(values.pop("capabilities"))
    return BuildOptions(
        with_all=not values.pop("no_all"),
        capabilities=capabilities,
        compat32=values.pop("compat32") or compat32,
        **{name: values.pop(name) for name in names},
    )


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    }
)
@click.version_option(__version__, prog_name="cdigen", message="%(prog)s %(version)s")
def cli() -> None:
    """Write a Container Device Interface spec for NVIDIA GPUs that needs no hook.

    Exit codes: 0 done or nothing to do; 1 a check's answer is no; 2 usage; 3 no NVIDIA driver;
    4 kernel and user-space versions differ; 5 something is missing; 6 a bug of cdigen; 7 a file could not be
    read or written.

    Every option can be set by environment: CDIGEN_<COMMAND>_<OPTION>, such as CDIGEN_GENERATE_OUTPUT.
    """


@cli.command()
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="File to write; - is standard output.  [default: /etc/cdi/nvidia.yaml, of other modes nvidia-<mode>.yaml]",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("yaml", "json")),
    help="[default: by the suffix of the output, else yaml]",
)
@click.option("--create-nodes", is_flag=True, help="Make missing device nodes first, as `cdigen nodes --create` does.")
@click.option(
    "--all-modes",
    is_flag=True,
    help="Also write the specs of all other modes that have devices, beside the first as NAME-<mode>.yaml, and remove"
    " those of ours whose devices are gone.",
)
@_JSON
@_options(*_TARGET_OPTIONS, *_BUILD_OPTIONS)
def generate(
    output: str | None, file_format: str | None, create_nodes: bool, all_modes: bool, as_json: bool, **values: Any
) -> int:
    """Scan the host, build its spec, validate and write it.

    The file is replaced in one step, and left alone if nothing has changed. If the spec would not work,
    nothing is written.
    """
    target, options = _take_target(values), _take_build_options(values)
    from cdigen.commands.generate import run_generate

    return run_generate(
        target,
        options,
        output=output,
        file_format=file_format,
        as_json=as_json,
        create_nodes=create_nodes,
        all_modes=all_modes,
    )


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--hook-free", is_flag=True, help="Hooks are violations too.")
@_JSON
def validate(files: tuple[str, ...], hook_free: bool, as_json: bool) -> int:
    """Check specs of anyone against the CDI schema and rules; - is standard input.

    Every violation is reported with its place, as FILE::$.devices[0].name: message.
    """
    from cdigen.commands.validate import run_validate

    return run_validate(files, hook_free=hook_free, as_json=as_json)


@cli.command("list")
@click.option("--spec", metavar="FILE", help="List the devices of this spec in place of a host's.")
@_JSON
@_options(*_TARGET_OPTIONS, *_BUILD_OPTIONS)
@click.pass_context
def list_(context: click.Context, /, spec: str | None, as_json: bool, **values: Any) -> int:
    """List the devices that this host, or a spec, offers."""
    target, options = _take_target(values), _take_build_options(values)
    if spec is not None:
        given = [
            parameter.opts[0]
            for parameter in context.command.params
            if parameter.name not in ("spec", "as_json")
            and context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        ]
        if given:
            raise click.UsageError(f"--spec reads no host and cannot be used together with {', '.join(given)}.")
        from cdigen.commands.list_devices import run_list_spec

        return run_list_spec(spec, as_json=as_json)
    from cdigen.commands.list_devices import run_list

    return run_list(target, options, as_json=as_json)


@cli.command()
@click.option(
    "--spec",
    metavar="FILE",
    help="File to compare with; - is standard input.  [default: the mode's own, as of generate]",
)
@_JSON
@_options(*_TARGET_OPTIONS, *_BUILD_OPTIONS)
def diff(spec: str | None, as_json: bool, **values: Any) -> int:
    """Show what generate would change in a spec, entry by entry.

    + is new, - is gone, ~ is changed. Exit 0 if nothing would change, else 1.
    """
    target, options = _take_target(values), _take_build_options(values)
    from cdigen.commands.diff import run_diff

    return run_diff(target, options, spec=spec, as_json=as_json)


@cli.command()
@click.argument("patterns", nargs=-1, metavar="[NAME]...")
@_JSON
@_options(*_TARGET_OPTIONS, *_BUILD_OPTIONS)
def explain(patterns: tuple[str, ...], as_json: bool, **values: Any) -> int:
    """Show why each entry of the spec is there, what it needs, and what was left out and why.

    NAME restricts that to what has it in a path or name, such as libcuda or '*.json'.
    """
    target, options = _take_target(values), _take_build_options(values)
    from cdigen.commands.explain import run_explain

    return run_explain(target, options, patterns=patterns, as_json=as_json)


@cli.command()
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    default="-",
    show_default=True,
    help="File to write; - is standard output.",
)
@click.option("--note", default="", help="Free text for the reader, put into the snapshot.")
@_options(*_TARGET_OPTIONS)
def snapshot(output: str, note: str, **values: Any) -> int:
    """Record the facts of this host that cdigen looks at: for a bug report, a test, or to build elsewhere.

    It holds names of driver files, PCI addresses, GPU UUIDs and models, and no content of libraries. It is
    recorded also where generate refuses to write a spec.
    """
    target = _take_target(values)
    from cdigen.commands.snapshot import run_snapshot

    return run_snapshot(target, output=output, note=note)


@cli.command()
@click.option(
    "--device",
    "devices",
    metavar="KIND=NAME",
    multiple=True,
    required=True,
    help="Device to inject, such as nvidia.com/gpu=0; repeatable.",
)
@click.option(
    "--spec-dir",
    "spec_dirs",
    metavar="DIR",
    multiple=True,
    help="Directory of specs; repeatable, a later one counts more.  [default: /etc/cdi and /var/run/cdi]",
)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="File to write; - is standard output.  [default: where the configuration came from]",
)
@click.argument("config", metavar="BUNDLE|FILE")
def inject(devices: tuple[str, ...], spec_dirs: tuple[str, ...], output: str | None, config: str) -> int:
    """Put devices into an OCI runtime configuration: a bundle's config.json, or - for standard input.

    For runtimes that read no CDI specs, such as plain runc and crun, and to see what an engine would do. Specs
    may be anyone's; hooks in them are carried over.
    """
    from cdigen.commands.inject import run_inject

    return run_inject(config, devices=devices, spec_dirs=spec_dirs, output=output)


@cli.command("lint-image")
@click.argument("image", metavar="DIR|ARCHIVE")
@click.option(
    "--driver-version",
    metavar="VERSION",
    help="Driver of the host that is to run the image, such as 535.309.01.  [default: this host's]",
)
@_JSON
@_options(*_TARGET_OPTIONS)
def lint_image(image: str, driver_version: str | None, as_json: bool, **values: Any) -> int:
    """Find files of a driver in an image, where they do not belong: the host's are mounted into a container.

    The image is a root directory, an OCI layout, or an archive that podman, docker, buildah or skopeo saved; it is not
    unpacked. Exit 0 if it is clean, else 1.
    """
    target = _take_target(values)
    from cdigen.commands.lint_image import run_lint_image

    return run_lint_image(image, target, driver_version=driver_version, as_json=as_json)


@cli.command()
@click.option("--create", is_flag=True, help="Make the nodes that are missing; replace those that are other devices.")
@click.option(
    "--dev-char",
    is_flag=True,
    help="Make the links /dev/char/MAJOR:MINOR, without which containers lose a GPU when systemd reloads.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@_JSON
@_options(*_TARGET_OPTIONS)
def nodes(create: bool, dev_char: bool, dry_run: bool, as_json: bool, **values: Any) -> int:
    """Show every device node that the driver could have: its numbers, mode and owner, and whether it is there.

    --create uses the driver's nvidia-modprobe where the host is the running system, which loads modules too, and
    mknod otherwise. A node that is right, or only has another mode, is left alone.
    """
    target = _take_target(values)
    from cdigen.commands.nodes import run_nodes

    return run_nodes(target, create=create, dev_char=dev_char, dry_run=dry_run, as_json=as_json)


@cli.command()
@_JSON
@_options(*_TARGET_OPTIONS)
def doctor(as_json: bool, **values: Any) -> int:
    """Look at the whole chain from the GPU to the container, and say what to do where it is broken.

    A line each for GPUs, kernel modules, device nodes, the driver, specs, container engines, SELinux and systemd's
    units. Nothing is changed. Any user may run it; what only root can see is said. Exit 0 if nothing is a problem,
    else 1.
    """
    target = _take_target(values)
    from cdigen.commands.doctor import run_doctor

    return run_doctor(target, as_json=as_json)


for _command in cli.commands.values():
    for _option in _command.params:
        if isinstance(_option, click.Option):
            # By the option's own name: click's auto_envvar_prefix takes the function's parameter, as in ..._AS_JSON.
            _long = next(name for name in _option.opts if name.startswith("--"))
            _option.envvar = f"CDIGEN_{_command.name}_{_long[2:]}".replace("-", "_").upper()
