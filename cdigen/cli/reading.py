"""The verbs that only report."""

from __future__ import annotations

from typing import Any

import click

from cdigen.cli.options import (
    BUILD_OPTIONS,
    JSON,
    OF_TARGET,
    PROBE_OPTIONS,
    TARGET_OPTIONS,
    are_defaults,
    given_options,
    take_build_options,
    take_target,
    with_options,
)
from cdigen.errors import UsageError
from cdigen.specs.header import RECORD


def _file_of(name: str | None, spec: str | None) -> str | None:
    """Return the file that FILE or --spec names."""
    if name is not None and spec is not None:
        raise UsageError("FILE and --spec both name the spec", hint="leave one of them out", code="conflicting-options")
    return spec if name is None else name


@click.command("list")
@click.argument("name", required=False, metavar="[FILE]")
@click.option("--spec", metavar="FILE", help="The same as FILE.")
@click.option(
    "--all", "all_specs", is_flag=True, help="List the devices of every vendor in the spec directories, as engines do."
)
@click.option(
    "--spec-dir",
    "spec_dirs",
    metavar="DIR",
    multiple=True,
    help="With --all, a directory of specs; repeatable, a later one takes precedence."
    "  [default: /etc/cdi and /var/run/cdi]",
)
@JSON
@with_options(*TARGET_OPTIONS, *BUILD_OPTIONS)
@click.pass_context
def list_(
    context: click.Context,
    /,
    name: str | None,
    spec: str | None,
    all_specs: bool,
    spec_dirs: tuple[str, ...],
    as_json: bool,
    **values: Any,
) -> int:
    """List the devices that this host offers, or a spec: FILE, - for standard input; or all specs: --all.

    With --all, each device has the file from which engines take it, or those that keep them from it.
    """
    target, options = take_target(values), take_build_options(values)
    spec = _file_of(name, spec)
    if all_specs:
        given = given_options(context, except_for=("name", "all_specs", "spec_dirs", "as_json", "host_root"))
        if given or name is not None:
            raise click.UsageError(
                f"--all lists all specs and cannot be used together with {', '.join([*given, *['FILE'] * bool(name)])}."
            )
        from cdigen.verbs.list_all import run_list_all

        return run_list_all(target, spec_dirs=spec_dirs, as_json=as_json)
    if spec_dirs:
        raise UsageError(
            "--spec-dir says where --all looks", hint="add --all, or leave it out", code="conflicting-options"
        )
    if spec is not None:
        given = given_options(context, except_for=("name", "spec", "as_json"))
        if given:
            raise click.UsageError(f"FILE is all that is read and cannot be used together with {', '.join(given)}.")
        from cdigen.verbs.list_devices import run_list_spec

        return run_list_spec(spec, as_json=as_json)
    from cdigen.verbs.list_devices import run_list

    return run_list(target, options, as_json=as_json)


@click.command()
@click.argument("patterns", nargs=-1, metavar="[NAME]...")
@JSON
@with_options(*TARGET_OPTIONS, *BUILD_OPTIONS)
def explain(patterns: tuple[str, ...], as_json: bool, **values: Any) -> int:
    """Show why each entry of the spec is there, what it needs, and what was left out and why.

    NAME limits that to entries with NAME in a path or name, such as libcuda or '*.json'.
    """
    target, options = take_target(values), take_build_options(values)
    from cdigen.verbs.explain import run_explain

    return run_explain(target, options, patterns=patterns, as_json=as_json)


@click.command()
@click.argument("name", required=False, metavar="[FILE]")
@click.option("--spec", metavar="FILE", help="The same as FILE.")
@click.option(
    "--facts",
    metavar="[FILE]",
    is_flag=False,
    flag_value=RECORD,
    help="Compare the host with its facts in FILE, written by `cdigen generate --record` or `cdigen snapshot`, in place"
    f" of a spec; - is standard input.  [default: {RECORD}]",
)
@JSON
@with_options(*TARGET_OPTIONS, *BUILD_OPTIONS)
@click.pass_context
def diff(
    context: click.Context, /, name: str | None, spec: str | None, facts: str | None, as_json: bool, **values: Any
) -> int:
    """Show what generate would change in a spec, entry by entry; with --facts, what has changed on the host.

    The spec is FILE, - for standard input, or the one that generate would write. + is new, - is gone, ~ is changed. If
    no option of generate is given, those in the spec's header are used. Exits with 0 if nothing has changed, else with
    1.
    """
    target, options = take_target(values), take_build_options(values)
    if facts is not None:
        given = given_options(context, except_for=("name", "facts", "as_json", *OF_TARGET)) + ["FILE"] * bool(name)
        if given:
            raise click.UsageError(f"--facts reads no spec and cannot be used together with {', '.join(given)}.")
        from cdigen.specs.record_diff import run_facts_diff

        return run_facts_diff(target, facts=facts, as_json=as_json)
    from cdigen.verbs.diff import run_diff

    is_own = are_defaults(context, except_for=("name", "spec", "facts", "as_json", *OF_TARGET))
    return run_diff(target, None if is_own else options, spec=_file_of(name, spec), as_json=as_json)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--hook-free", is_flag=True, help="Also report hooks.")
@JSON
def validate(files: tuple[str, ...], hook_free: bool, as_json: bool) -> int:
    """Check specs of any author against the CDI schema and rules; - is standard input.

    Every violation is reported with its place, as FILE::$.devices[0].name: message. So is what engines, which read YAML
    1.1 in every file, read otherwise than it says, such as a name y that is not in quotes.
    """
    from cdigen.verbs.validate import run_validate

    return run_validate(files, hook_free=hook_free, as_json=as_json)


@click.command("lint-image")
@click.argument("image", metavar="DIR|ARCHIVE")
@click.option(
    "--driver-version",
    metavar="VERSION",
    help="Driver version of the host that will run the image, such as 535.309.01.  [default: this host's]",
)
@JSON
@with_options(*TARGET_OPTIONS)
def lint_image(image: str, driver_version: str | None, as_json: bool, **values: Any) -> int:
    """Find driver files in an image. They do not belong there: the host's are mounted into the container.

    The image is a root directory, an OCI layout, or an archive saved by podman, docker, buildah or skopeo; it is not
    unpacked. Exits with 0 if there are none, else with 1.
    """
    target = take_target(values)
    from cdigen.verbs.lint_image import run_lint_image

    return run_lint_image(image, target, driver_version=driver_version, as_json=as_json)


@click.command()
@click.argument("name", required=False, metavar="[FILE]")
@click.option("--spec", metavar="FILE", help="The same as FILE.")
@click.option(
    "--fail-on",
    type=click.Choice(["warning", "problem"]),
    default="problem",
    show_default=True,
    help="The least that makes the exit code 1.",
)
@JSON
@with_options(*PROBE_OPTIONS)
def check(name: str | None, spec: str | None, fail_on: str, as_json: bool, **values: Any) -> int:
    """Tell whether the spec that the engines will use is still true of this host.

    FILE is one to look at, - is standard input; without it, all from which an engine takes NVIDIA's devices are looked
    at: whether what they mount is there and of the driver's version, whether their devices are those of the host, and
    whether another spec hides them. A spec of cdigen's is compared with what would be written now with its own options.
    Nothing is changed and no GPU is woken; any user may run it, every minute. Exit 1 if there is a problem, else 0.
    """
    target = take_target(values)
    spec = _file_of(name, spec)
    from cdigen.verbs.check import run_check

    return run_check(target, spec=spec, fail_on=fail_on, as_json=as_json)


@click.command()
@JSON
@with_options(*TARGET_OPTIONS)
def doctor(as_json: bool, **values: Any) -> int:
    """Look at the whole chain from the GPU to the container, and say what to do where it is broken.

    A line each for GPUs, kernel modules, device nodes, the driver, specs, container engines, SELinux and systemd's
    units. Nothing is changed. Any user may run it; what only root can see is said. Exit 0 if nothing is a problem,
    else 1.
    """
    target = take_target(values)
    from cdigen.verbs.doctor import run_doctor

    return run_doctor(target, as_json=as_json)
