"""Devices for engines without CDI: what each is told, quoted right, and what it is not told is refused."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.cdi.registry import SourcedEdits
from cdigen.errors import IncompleteError
from cdigen.export.injection import Bind, Injection, Node, build_injection
from cdigen.export.targets import TARGETS, quote_all, render_for
from cdigen.host.host import Entry
from tests.cli.program import run_program

if TYPE_CHECKING:
    from pathlib import Path

INJECTION = Injection(
    binds=(
        Bind(host_path="/usr/lib/a.so", container_path="/usr/lib64/a.so", is_directory=False, is_read_only=True),
        Bind(host_path="/run/s", container_path="/run/s", is_directory=True, is_read_only=False),
    ),
    nodes=(
        Node(host_path="/dev/nvidia0", container_path="/dev/nvidia0", kind="c", major=195, minor=0, permissions="rw"),
    ),
    env=(("A", "b c"),),
    findings=(),
)

EXPECTED = {
    "bwrap": [
        *("--ro-bind", "/usr/lib/a.so", "/usr/lib64/a.so", "--bind", "/run/s", "/run/s"),
        *("--dev-bind", "/dev/nvidia0", "/dev/nvidia0", "--setenv", "A", "b c"),
    ],
    "apptainer": [
        "--mount=type=bind,source=/usr/lib/a.so,destination=/usr/lib64/a.so,ro",
        "--mount=type=bind,source=/run/s,destination=/run/s",
        "--mount=type=bind,source=/dev/nvidia0,destination=/dev/nvidia0",
        "--env=A=b c",
    ],
    "docker": [
        "--mount=type=bind,src=/usr/lib/a.so,dst=/usr/lib64/a.so,readonly",
        "--mount=type=bind,src=/run/s,dst=/run/s",
        "--device=/dev/nvidia0:/dev/nvidia0:rw",
        "--env=A=b c",
    ],
    "nspawn": [
        "--bind-ro=/usr/lib/a.so:/usr/lib64/a.so",
        "--bind=/run/s:/run/s",
        "--bind=/dev/nvidia0:/dev/nvidia0",
        "--property=DeviceAllow=/dev/nvidia0 rw",
        "--setenv=A=b c",
    ],
    "charliecloud": ["--bind=/usr/lib/a.so:/usr/lib64/a.so", "--bind=/run/s:/run/s", "--set-env=A=b c"],
    "lxc": [
        "lxc.mount.entry = /usr/lib/a.so usr/lib64/a.so none bind,ro,nosuid,nodev,optional,create=file 0 0",
        "lxc.mount.entry = /run/s run/s none bind,nosuid,nodev,optional,create=dir 0 0",
        "lxc.mount.entry = /dev/nvidia0 dev/nvidia0 none bind,create=file 0 0",
        "lxc.cgroup2.devices.allow = c 195:0 rw",
        "lxc.environment = A=b c",
    ],
}
EXPECTED["incus"] = EXPECTED["lxc"]


@pytest.mark.parametrize("name", EXPECTED)
def test_each_engine_is_told_in_its_own_words(name: str) -> None:
    assert render_for(name, INJECTION) == (tuple(EXPECTED[name]), ())


def test_every_engine_is_held_by_a_test() -> None:
    assert {*EXPECTED, "json"} == {*TARGETS}


def test_json_is_for_programs() -> None:
    [text], _ = render_for("json", INJECTION)

    assert json.loads(text) == {
        "mounts": [
            {
                "hostPath": "/usr/lib/a.so",
                "containerPath": "/usr/lib64/a.so",
                "isDirectory": False,
                "isReadOnly": True,
            },
            {"hostPath": "/run/s", "containerPath": "/run/s", "isDirectory": True, "isReadOnly": False},
        ],
        "devices": [
            {
                "hostPath": "/dev/nvidia0",
                "containerPath": "/dev/nvidia0",
                "kind": "c",
                "major": 195,
                "minor": 0,
                "permissions": "rw",
            }
        ],
        "env": {"A": "b c"},
    }


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30), max_size=5))
def test_what_is_quoted_a_shell_takes_as_it_was(arguments: list[str]) -> None:
    assert shlex.split(quote_all(arguments)) == arguments


def with_node(path: str, host_path: str = "/dev/dri/card0") -> Injection:
    node = Node(host_path=host_path, container_path=path, kind="c", major=226, minor=0, permissions="rw")
    return Injection(binds=(), nodes=(node,), env=(), findings=())


@pytest.mark.parametrize("name", ["docker", "charliecloud", "apptainer"])
def test_names_by_path_are_left_out_where_they_cannot_be_told(name: str) -> None:
    parts, findings = render_for(name, with_node("/dev/dri/by-path/pci-0000:01:00.0-card"))

    assert parts == ()
    assert [finding.text for finding in findings] == [
        f"1 names of DRM nodes by path are left out, which {name} cannot be told"
    ]


@pytest.mark.parametrize(
    ("name", "path", "host_path", "message"),
    [
        ("docker", "/dev/a:b", "/dev/a", "docker cannot be told this: the path '/dev/a:b' has ':'"),
        ("docker", "/dev/a,b", "/dev/a", "docker cannot be told this: the path '/dev/a,b' has ','"),
        ("bwrap", "/dev/a\nb", "/dev/a", "bwrap cannot be told this: the path '/dev/a\\nb' has '\\n'"),
        (
            "apptainer",
            "/dev/b",
            "/dev/a",
            "apptainer cannot be told this: /dev/a cannot have another path in the container (/dev/b)",
        ),
    ],
)
def test_what_an_engine_cannot_be_told_is_refused(name: str, path: str, host_path: str, message: str) -> None:
    with pytest.raises(IncompleteError) as caught:
        render_for(name, with_node(path, host_path))

    assert str(caught.value) == message


def test_blanks_and_colons_are_escaped_where_they_can_be() -> None:
    assert render_for("lxc", with_node("/dev/a b", "/dev/c d"))[0][0] == (
        "lxc.mount.entry = /dev/c\\040d dev/a\\040b none bind,create=file 0 0"
    )
    assert render_for("nspawn", with_node("/dev/a:b"))[0][0] == "--bind=/dev/dri/card0:/dev/a\\:b"


def build(*edits: dict[str, Any], entry: Entry | None = Entry(kind="file")) -> Injection:  # noqa: B008 - immutable
    return build_injection([SourcedEdits(source="s", edits=one) for one in edits], lambda _: entry)


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            {"hooks": [{"hookName": "createContainer", "path": "/x"}]},
            "s has hooks, which options cannot express; write a spec without them with: cdigen generate",
        ),
        (
            {"mounts": [{"hostPath": "t", "containerPath": "/t", "type": "tmpfs"}]},
            "/t is a file system of the type tmpfs, which options cannot express",
        ),
        (
            {"deviceNodes": [{"path": "/dev/x"}]},
            (
                "/dev/x is no device node of this host, though the spec names it; see whether the spec is still true"
                " with: cdigen check"
            ),
        ),
    ],
)
def test_edits_that_options_cannot_do_are_refused(edits: dict[str, Any], message: str) -> None:
    with pytest.raises(IncompleteError) as caught:
        build(edits)

    assert str(caught.value) == message


def test_the_last_edit_of_a_place_counts_and_groups_are_said() -> None:
    found = build(
        {"mounts": [{"hostPath": "/a", "containerPath": "/x/y"}], "env": ["A=1", "B=2"]},
        {"mounts": [{"hostPath": "/b", "containerPath": "/x/y", "options": ["ro"]}], "env": ["A=3"]},
        {"mounts": [{"hostPath": "/c", "containerPath": "/x"}], "additionalGids": [0, 44]},
    )

    assert [(bind.host_path, bind.container_path, bind.is_read_only) for bind in found.binds] == [
        ("/c", "/x", False),
        ("/b", "/x/y", True),
    ]
    assert found.env == (("A", "3"), ("B", "2"))
    assert [finding.text for finding in found.findings] == [
        "the additional groups 44 are left out: a program that is not root may lack the right to a node"
    ]


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    directory = tmp_path / "cdi"
    directory.mkdir()
    (tmp_path / "a b").write_text("x")
    device = {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/null"}]}}
    edits = {"mounts": [{"hostPath": str(tmp_path / "a b"), "containerPath": "/x/a b", "options": ["ro"]}]}
    spec = {"cdiVersion": "0.5.0", "kind": "example.org/dev", "devices": [device], "containerEdits": edits}
    (directory / "x.json").write_text(json.dumps(spec))
    return directory


def test_lines_are_words_for_a_shell_and_null_is_for_programs(specs: Path, tmp_path: Path) -> None:
    arguments = ("export", "--spec-dir", specs, "--device", "example.org/dev=0", "--for", "bwrap")
    expected = ["--ro-bind", f"{tmp_path}/a b", "/x/a b", "--dev-bind", "/dev/null", "/dev/null"]

    run = run_program(*arguments)
    assert (run.code, run.err) == (0, "")
    script = f'eval "set -- {" ".join(run.out.splitlines())}"; printf "%s\\n" "$@"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == expected
    assert run_program(*arguments, "--null").out.split("\0") == [*expected, ""]
    path = tmp_path / "out"
    run = run_program(*arguments, "--output", path)
    assert (run.out, run.err) == ("", f"cdigen: wrote {path}\n")
    assert shlex.split(path.read_text()) == expected


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--device", "x", "--for", "bwrap"), 2, "--device x: not a device; name one as KIND=NAME"),
        (
            ("--device", "example.org/dev=0", "--for", "lxc", "--null"),
            2,
            "--null separates options, and lxc has none; leave it out",
        ),
        (("--device", "example.org/dev=7", "--for", "bwrap"), 1, "no valid spec in"),
    ],
)
def test_what_is_wrong_is_a_line(specs: Path, options: tuple[str, ...], code: int, message: str) -> None:
    run = run_program("export", "--spec-dir", specs, *options)

    assert (run.code, run.out) == (code, "")
    assert run.err.startswith(f"cdigen: error: {message}")
    assert run.err.count("\n") == 1
    assert os.linesep in run.err
