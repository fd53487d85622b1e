"""The command line itself: help, options, environment variables, and what is wrong with arguments."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, get_args

import click
import pytest

from cdigen import __version__
from cdigen.catalog.modes import MODES
from cdigen.cli import VERBS, load_verb
from cdigen.discover.gpus import AskNvml
from cdigen.facts import AskedPlatform
from cdigen.options.duration import parse_duration
from cdigen.options.shared import BUILD_OPTIONS, with_options
from cdigen.plan.header_options import FLAGS, MANY, ONE
from cdigen.plan.options import AdditionalGids, BuildOptions, NameStrategy
from cdigen.session.target import Target
from tests.cli.program import run_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, Expect, MakeSnapshot

COMMANDS = sorted(VERBS)
OPTIONS = [
    (command, option)
    for command in COMMANDS
    for option in load_verb(command).params
    if isinstance(option, click.Option)
]
WORDS = {
    "strategies": ("tuple[NameStrategy, ...]", NameStrategy),
    "mode": ("str", tuple(MODES)),
    "ask_nvml": ("AskNvml", AskNvml),
    "platform": ("AskedPlatform", AskedPlatform),
    "additional_gids": ("AdditionalGids", AdditionalGids),
}
"""Options that take one of some words, by parameter: its annotation, and the type that has the words."""
WITH_OPTIONS = pytest.mark.parametrize(("command", "option"), OPTIONS, ids=[f"{c} {o.opts[-1]}" for c, o in OPTIONS])


def test_there_are_these_commands() -> None:
    assert COMMANDS == [
        "check",
        "configure",
        "device-plugin",
        "diff",
        "doctor",
        "explain",
        "export",
        "generate",
        "help",
        "inject",
        "labels",
        "lint-image",
        "list",
        "nodes",
        "remove",
        "snapshot",
        "validate",
        "watch",
    ]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_data_and_reads_as_in_the_file(command: str, expect: Expect) -> None:
    run = run_program(*command.split(), "--help", env={"COLUMNS": "100"})

    assert (run.code, run.err) == (0, "")
    expect(f"help/{command or 'cdigen'}.txt", run.out)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_short_form_of_help_is_the_same(command: str, cdigen: Cdigen) -> None:
    assert cdigen(*command.split(), "-h") == cdigen(*command.split(), "--help")


def test_without_arguments_the_help_is_shown_as_for_a_mistake() -> None:
    run, help_run = run_program(), run_program("--help")

    assert (run.code, run.out, run.err) == (2, "", help_run.out)


def test_the_version_is_the_packages() -> None:
    run = run_program("--version")

    assert (run.code, run.out, run.err) == (0, f"cdigen {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generat"], "No such command 'generat'. Did you mean 'generate'? Try 'cdigen --help'."),
        (["bogus"], "No such command 'bogus'. Try 'cdigen --help'."),
        (["generate", "--bogus"], "No such option '--bogus'. Try 'cdigen generate --help'."),
        (["generate", "--output"], "Option '--output' requires an argument."),
        (["generate", "extra"], "Got unexpected extra argument (extra). Try 'cdigen generate --help'."),
        (
            ["generate", "--format", "toml"],
            "Invalid value for '--format': 'toml' is not one of 'yaml', 'json'. Try 'cdigen generate --help'.",
        ),
        (
            ["generate", "--device-name-strategy", "name"],
            (
                "Invalid value for '--device-name-strategy': 'name' is not one of 'index', 'uuid', 'type-index'."
                " Try 'cdigen generate --help'."
            ),
        ),
        (["validate"], "Missing argument 'FILE...'. Try 'cdigen validate --help'."),
        (
            ["generate", "--snapshot", "s.yaml", "--host-root", "/h", "--sysfs", "/s"],
            "--snapshot has its own roots and cannot be used together with --host-root, --sysfs; leave them out",
        ),
        (
            ["list", "--spec", "s.yaml", "--procfs", "/p", "--no-all"],
            "FILE is all that is read and cannot be used together with --procfs, --no-all. Try 'cdigen list --help'.",
        ),
        (
            ["generate", "--vendor", "nvidia com"],
            (
                "--vendor nvidia com: not a vendor name; use two or more letters, digits, '.', '_' and '-', such as"
                " nvidia.com"
            ),
        ),
        (
            ["generate", "--class", "gpu\nkind: x"],
            "--class gpu\\nkind: x: not a class name; use two or more letters, digits, '_' and '-', such as gpu",
        ),
        (
            ["generate", "--container-lib-dir", "/usr/../lib"],
            (
                "--container-lib-dir /usr/../lib: not an absolute path without '.', '..', '//' and a slash at the end;"
                " use one such as /usr/lib64"
            ),
        ),
        (
            ["generate", "--driver-root", "run/nvidia"],
            (
                "--driver-root run/nvidia: not an absolute path on the host without '..'; use one such as"
                " /run/nvidia/driver"
            ),
        ),
        (
            ["generate", "--dev-root", "/a/../b"],
            "--dev-root /a/../b: not an absolute path on the host without '..'; use one such as /run/nvidia/driver",
        ),
    ],
)
def test_a_mistake_in_the_arguments_is_one_line_and_exit_2(arguments: list[str], message: str, cdigen: Cdigen) -> None:
    run = cdigen(*arguments)

    assert (run.code, run.out, run.err) == (2, "", f"cdigen: error: {message}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_of_any_command_is_one_line_and_exit_2(command: str, cdigen: Cdigen) -> None:
    run = cdigen(command, "--xyzzy")

    assert (run.code, run.out) == (2, "")
    assert run.err == f"cdigen: error: No such option '--xyzzy'. Try 'cdigen {command} --help'.\n"


@WITH_OPTIONS
def test_every_option_has_a_variable_of_its_own_name(command: str, option: click.Option) -> None:
    long = next(name for name in option.opts if name.startswith("--"))

    assert option.envvar == f"CDIGEN_{command}_{long[2:]}".upper().replace("-", "_")


@WITH_OPTIONS
def test_every_option_says_what_it_is_for(command: str, option: click.Option) -> None:
    assert option.help


@pytest.mark.parametrize("command", COMMANDS)
def test_options_and_annotations_agree(command: str) -> None:
    callback = load_verb(command).callback
    assert callback is not None
    signature = inspect.signature(callback)
    takes = {name: str(parameter.annotation) for name, parameter in signature.parameters.items()}
    # What a function takes as **values becomes a Target and, where it is given, BuildOptions.
    grouped = {**Target.__annotations__, **BuildOptions.__annotations__}
    grouped["no_all"] = grouped.pop("with_all")
    assert grouped["capabilities"] == "tuple[str, ...]"
    grouped["capabilities"] = "str"  # a list with commas, which parse_capabilities reads
    if command == "watch":  # passes on what it does not know itself
        own = inspect.signature(load_verb("generate").callback).parameters  # type: ignore[arg-type]
        grouped |= {name: str(parameter.annotation) for name, parameter in own.items()}
    given = {parameter.name: parameter for parameter in load_verb(command).params}

    for name, parameter in given.items():
        assert name is not None
        if name in WORDS:
            annotation, words = WORDS[name]
            assert grouped[name] == annotation
            assert isinstance(parameter.type, click.Choice)
            assert tuple(parameter.type.choices) == (words if isinstance(words, tuple) else get_args(words))
            continue
        annotation = takes.get(name) or grouped[name]
        assert annotation == _expected_annotation(parameter), name
    expected = {name for name, p in signature.parameters.items() if p.kind is not p.VAR_KEYWORD} - {"context"}
    assert expected <= given.keys()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()):
        assert Target.__annotations__.keys() <= given.keys()


def _expected_annotation(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return "bool"
    if parameter.multiple or parameter.nargs == -1:
        return "tuple[str, ...]"
    if isinstance(parameter, click.Argument):
        return "str" if parameter.required else "str | None"
    if isinstance(parameter.type, click.types.FuncParamType) and parameter.type.func is parse_duration:
        return "float"
    if isinstance(parameter.type, click.FloatRange):
        return "float | None"
    return "str" if parameter.required or isinstance(parameter.default, str) else "str | None"


def test_the_environment_sets_every_kind_of_option(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    output = tmp_path / "spec.txt"
    variables = {
        "SNAPSHOT": str(make_snapshot()),
        "OUTPUT": str(output),
        "FORMAT": "json",
        "JSON": "1",
        "NO_ALL": "true",
        "VENDOR": "example.com",
        "CLASS": "card",
        "DEVICE_NAME_STRATEGY": "type-index index",
        "CONTAINER_LIB_DIR": "/opt/a /opt/b",
    }

    run = run_program("generate", env={f"CDIGEN_GENERATE_{name}": value for name, value in variables.items()})

    assert run.code == 0
    report = json.loads(run.out)
    assert (report["output"], report["devices"]) == (str(output), ["example.com/card=gpu0", "example.com/card=0"])
    spec = json.loads(output.read_bytes())
    assert spec["containerEdits"]["env"][1] == "TRITON_LIBCUDA_PATH=/opt/a"
    mounts = [mount["containerPath"] for mount in spec["containerEdits"]["mounts"]]
    assert {path.rpartition("/")[0] for path in mounts if "libcuda" in path} == {"/opt/a", "/opt/b"}


def test_the_command_line_wins_over_the_environment(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    env = {"CDIGEN_GENERATE_OUTPUT": str(tmp_path / "no.yaml"), "CDIGEN_LIST_JSON": "1"}

    run = run_program("generate", "--snapshot", make_snapshot(), "-o", "-", env=env)

    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("# Written by cdigen")
    assert not (tmp_path / "no.yaml").exists()


def test_a_variable_of_one_command_is_not_another_ones(make_snapshot: MakeSnapshot) -> None:
    run = run_program("list", "--snapshot", make_snapshot(), env={"CDIGEN_GENERATE_JSON": "1"})

    assert (run.code, run.out.partition(" ")[0]) == (0, "DEVICE")


def test_a_value_from_the_environment_is_checked_like_one_of_the_command_line() -> None:
    run = run_program("generate", env={"CDIGEN_GENERATE_FORMAT": "toml"})

    assert (run.code, run.out) == (2, "")
    assert run.err == (
        "cdigen: error: Invalid value for '--format': 'toml' is not one of 'yaml', 'json'."
        " Try 'cdigen generate --help'.\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_the_table_of_verbs_says_what_each_says_of_itself(command: str) -> None:
    text = load_verb(command).help
    assert text is not None

    assert " ".join(text.split("\n\n")[0].split()).startswith(VERBS[command])
    assert VERBS[command].endswith(".")


def test_what_can_be_chosen_is_what_the_header_of_a_spec_can_say() -> None:
    def declared() -> int:
        return 0

    chosen = with_options(*BUILD_OPTIONS)(declared)
    by_name = {
        option.opts[-1]: option.name for option in click.command(chosen).params if isinstance(option, click.Option)
    }
    fields = {"no_all": "with_all"}
    in_header = {
        **ONE,
        **MANY,
        **{option: name for option, (name, _) in FLAGS.items()},
        "--capabilities": "capabilities",
    }

    assert {option: fields.get(str(name), name) for option, name in by_name.items()} == in_header
    assert set(in_header.values()) == BuildOptions.__annotations__.keys()
