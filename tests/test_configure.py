"""CDI switched on in the configuration of docker and containerd: everything else stays, and it can be undone."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.engines.switch import switch_on
from cdigen.errors import ParseError
from tests.cli.program import run_program

if TYPE_CHECKING:
    from pathlib import Path

DEBIANS = """\
version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"  # a comment
"""
"""As Debian's package of containerd 1.7 has it."""

V1 = "io.containerd.grpc.v1.cri"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f'version = 2\n\n[plugins."{V1}"]\n  enable_cdi = true\n'),
        ("\n", f'version = 2\n\n[plugins."{V1}"]\n  enable_cdi = true\n'),
        (DEBIANS, DEBIANS.replace(f'"{V1}"]\n', f'"{V1}"]\n    enable_cdi = true\n', 1)),
        (f"version = 2\n[plugins.'{V1}']", f"version = 2\n[plugins.'{V1}']\n  enable_cdi = true\n"),
        (
            f'version = 2\n[plugins."{V1}"] # CRI\nx = 1\nenable_cdi = false # off\n[proxy]\n',
            f'version = 2\n[plugins."{V1}"] # CRI\nx = 1\nenable_cdi = true # off\n[proxy]\n',
        ),
        (
            f'version = 2\n[plugins."{V1}".cni]\nx = 1',
            f'version = 2\n[plugins."{V1}".cni]\nx = 1\n\n[plugins."{V1}"]\n  enable_cdi = true\n',
        ),
        ("oom_score = -999\n", "oom_score = -999\n\n[plugins.cri]\n  enable_cdi = true\n"),
        ("[plugins.cri]\nx = 1\n", "[plugins.cri]\n  enable_cdi = true\nx = 1\n"),
        (
            "version = 3\n",
            'version = 3\n\n[plugins."io.containerd.cri.v1.runtime"]\n  enable_cdi = true\n',
        ),
        # a drop-in has no version, and says itself which table it means
        (f'[plugins."{V1}"]\nenable_cdi = false\n', f'[plugins."{V1}"]\nenable_cdi = true\n'),
        (
            f'version = 2\n[plugins."{V1}"]\r\nx = 1\r\n',
            f'version = 2\n[plugins."{V1}"]\r\n  enable_cdi = true\nx = 1\r\n',
        ),
    ],
)
def test_one_line_of_containerds_file_is_changed(before: str, after: str) -> None:
    assert switch_on("containerd", before.encode()) == after.encode()
    assert switch_on("containerd", after.encode()) == after.encode()


@pytest.mark.parametrize(
    "text",
    [
        f'version = 2\nplugins = {{"{V1}" = {{x = 1}}}}\n',
        f'version = 2\n[plugins]\n"{V1}".x = 1\n',
        f'version = 2\nx = """\n[plugins."{V1}"]\n"""\n',
        f'version = 2\n[plugins]\n"{V1}" = 1\n',
        "version = 2\nplugins = 1\n",
        "version = 2\nversion = 3\n",
        "x = nan\n",
    ],
)
def test_what_cannot_be_changed_alone_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        switch_on("containerd", text.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "features": {\n    "cdi": true\n  }\n}\n'),
        (
            '{\n    "log-driver": "jöurnald",\n    "features": {"x": false}\n}',
            '{\n    "log-driver": "jöurnald",\n    "features": {\n        "x": false,\n        "cdi": true\n    }\n}\n',
        ),
        ('{\n\t"features": {"cdi": false}\n}\n', '{\n\t"features": {\n\t\t"cdi": true\n\t}\n}\n'),
    ],
)
def test_dockers_file_keeps_its_order_and_indentation(before: str, after: str) -> None:
    assert switch_on("docker", before.encode()) == after.encode()
    assert switch_on("docker", after.encode()) == after.encode()


@pytest.mark.parametrize("text", ["[]", '{"features": 1}', "{", '{"features": {}, "features": {}}', "\x80"])
def test_a_daemon_json_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        switch_on("docker", text.encode("latin-1"))


LINES = st.sampled_from(
    (
        "version = 2",
        "version = 3",
        f'[plugins."{V1}"]',
        f'[plugins."{V1}".cni]',
        f"[plugins.'{V1}'] # x",
        "[plugins.cri]",
        "[plugins]",
        "[[x]]",
        "a = 1",
        'b = """',
        '"""',
        "c = [",
        "]",
        "enable_cdi = false",
        "enable_cdi = 1",
        "\r",
        "",
    )
)


@given(st.lists(LINES, max_size=8).map("\n".join))
def test_of_any_file_one_key_is_changed_or_none(text: str) -> None:
    try:
        changed = switch_on("containerd", text.encode())
    except ParseError:
        return
    before = tomllib.loads(text if text.strip() else "version = 2")
    after = tomllib.loads(changed.decode())
    switched = [isinstance(table, dict) and table.get("enable_cdi") is True for table in after["plugins"].values()]

    assert sum(switched) == 1
    kept = set(text.splitlines()) - {"enable_cdi = false", "enable_cdi = 1"}
    assert kept <= {*changed.decode().splitlines(), ""}
    for document in (before, after):
        for table in document.get("plugins", {}).values():
            if isinstance(table, dict):
                table.pop("enable_cdi", None)
        for name in [name for name, table in document.get("plugins", {}).items() if table == {}]:
            del document["plugins"][name]
        if document.get("plugins") == {}:
            del document["plugins"]
    assert before == after


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host that this process sees elsewhere, with both engines, which cannot be asked for their version."""
    for directory in ("proc", "sys", "usr/bin", "etc/docker", "etc/containerd"):
        (tmp_path / directory).mkdir(parents=True)
    for name in ("dockerd", "containerd"):
        (tmp_path / "usr/bin" / name).touch(0o755)
    return tmp_path


def test_the_difference_is_shown_and_nothing_changed(host: Path) -> None:
    path = host / "etc/containerd/config.toml"
    path.write_text(DEBIANS)

    run = run_program("configure", "containerd", "--host-root", str(host))

    assert (run.code, run.err) == (0, "cdigen: nothing was changed; to do it, add --write\n")
    assert run.out == (
        "--- /etc/containerd/config.toml\n"
        "+++ /etc/containerd/config.toml\n"
        "@@ -2,5 +2,6 @@\n"
        " \n"
        " [plugins]\n"
        f'   [plugins."{V1}"]\n'
        "+    enable_cdi = true\n"
        f'     [plugins."{V1}".cni]\n'
        '       bin_dir = "/usr/lib/cni"  # a comment\n'
    )
    assert path.read_text() == DEBIANS
    assert [one.name for one in path.parent.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    ("engine", "name", "text"),
    [("docker", "etc/docker/daemon.json", '{"debug": true}'), ("containerd", "etc/containerd/config.toml", DEBIANS)],
)
def test_it_is_written_once_and_undone(engine: str, name: str, text: str, host: Path) -> None:
    path, backup = host / name, host / f"{name}.before-cdigen"
    path.write_text(text)
    path.chmod(0o600)
    command = ("configure", engine, "--host-root", str(host))
    wrote = f"cdigen: wrote {path}; to let it take effect: systemctl restart {engine}\n"

    run = run_program(*command, "--write")
    assert (run.code, run.out, run.err) == (0, "", wrote)
    assert path.read_bytes() == switch_on(engine, text.encode())
    assert backup.read_text() == text
    assert path.stat().st_mode & 0o777 == backup.stat().st_mode & 0o777 == 0o600

    run = run_program(*command, "--write")
    assert (run.code, run.out) == (0, "")
    assert run.err.startswith("cdigen: nothing to do: ")
    assert backup.read_text() == text

    run = run_program(*command, "--undo", "--write")
    assert (run.code, run.out, run.err) == (0, "", wrote)
    assert path.read_text() == text
    assert not backup.exists()

    run = run_program(*command, "--undo", "--write")
    assert (run.code, run.err) == (0, f"cdigen: nothing to undo: /{name} does not switch CDI on\n")


def test_a_file_that_was_not_there_is_removed_again(host: Path) -> None:
    path = host / "etc/docker/daemon.json"
    command = ("configure", "docker", "--host-root", str(host))

    assert run_program(*command, "--write").code == 0
    assert json.loads(path.read_text()) == {"features": {"cdi": True}}
    assert path.stat().st_mode & 0o777 == 0o644
    run = run_program(*command, "--undo")
    assert (run.code, run.out.splitlines()[1]) == (0, "+++ /dev/null")
    run = run_program(*command, "--undo", "--write")

    assert (run.code, run.err) == (0, f"cdigen: removed {path}; to let it take effect: systemctl restart docker\n")
    assert list(path.parent.iterdir()) == []


def test_what_was_changed_since_is_not_undone(host: Path) -> None:
    path = host / "etc/docker/daemon.json"
    path.write_text("{}")
    command = ("configure", "docker", "--host-root", str(host))
    assert run_program(*command, "--write").code == 0
    changed = '{"features": {"cdi": true}, "debug": true}'
    path.write_text(changed)

    run = run_program(*command, "--undo", "--write")

    assert (run.code, run.out) == (1, "")
    assert run.err == (
        "cdigen: error: /etc/docker/daemon.json is not as cdigen wrote it; put back what was there before:"
        " cp /etc/docker/daemon.json.before-cdigen /etc/docker/daemon.json\n"
    )
    assert path.read_text() == changed


def test_what_another_switched_on_is_not_undone(host: Path) -> None:
    path = host / "etc/docker/daemon.json"
    path.write_text('{"features": {"cdi": true}, "debug": true}')

    run = run_program("configure", "docker", "--host-root", str(host), "--undo", "--write")

    assert (run.code, run.err) == (
        1,
        "cdigen: error: /etc/docker/daemon.json is not as cdigen wrote it; take out by hand what switches CDI on\n",
    )


@pytest.mark.parametrize(
    ("engine", "name", "text", "message"),
    [
        (
            "docker",
            "etc/docker/daemon.json",
            "{",
            (
                "/etc/docker/daemon.json: damaged: not JSON: line 1, column 2: expecting property name enclosed in"
                " double quotes; correct /etc/docker/daemon.json"
            ),
        ),
        (
            "containerd",
            "etc/containerd/config.toml",
            'disabled_plugins = ["cri"]\n',
            (
                "containerd: its CRI plugin is switched off in /etc/containerd/config.toml: Kubernetes cannot use it;"
                " docker and nerdctl can"
            ),
        ),
        (
            "containerd",
            "etc/containerd/config.toml",
            f'version = 2\n[plugins]\n"{V1}".x = 1\n',
            (
                f"cannot change /etc/containerd/config.toml: the table {V1} is not written below a header of its own;"
                " put enable_cdi = true into the table of its CRI plugin by hand"
            ),
        ),
    ],
)
def test_what_does_not_help_is_said(engine: str, name: str, text: str, message: str, host: Path) -> None:
    (host / name).write_text(text)

    run = run_program("configure", engine, "--host-root", str(host), "--write")

    assert (run.code, run.out, run.err) == (1, "", f"cdigen: error: {message}\n")
    assert (host / name).read_text() == text


def test_an_engine_that_is_not_there(host: Path) -> None:
    (host / "usr/bin/dockerd").unlink()

    run = run_program("configure", "docker", "--host-root", str(host))

    assert (run.code, run.out) == (5, "")
    assert run.err == (
        "cdigen: error: there is no docker in /usr/bin, /usr/sbin, /usr/local/bin, /usr/local/sbin, /bin, /sbin,"
        " /opt/bin, /snap/bin; install it first\n"
    )


def test_a_link_does_not_lead_out_of_the_host(host: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "daemon.json"
    outside.write_text("{}")
    (host / "etc/docker/daemon.json").symlink_to(outside)

    run = run_program("configure", "docker", "--host-root", str(host), "--write")

    assert run.code != 0
    assert outside.read_text() == "{}"
    assert list(outside.parent.iterdir()) == [outside]


def test_a_writer_that_was_killed_after_the_copy_has_left_nothing_to_undo(host: Path) -> None:
    path = host / "etc/docker/daemon.json"
    for one in (path, host / "etc/docker/daemon.json.before-cdigen"):
        one.write_text("{}")

    run = run_program("configure", "docker", "--host-root", str(host), "--undo", "--write")

    assert (run.code, run.out) == (0, "")
    assert run.err == "cdigen: nothing to undo: /etc/docker/daemon.json does not switch CDI on\n"
    assert path.read_text() == "{}"
