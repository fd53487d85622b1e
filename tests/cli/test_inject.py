"""cdigen inject: specs in directories, a configuration or a bundle, and what comes out."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import bound_to_permissions, environment, run_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen

# What no program of ours would write: keys in an odd order, keys that nobody knows, numbers and text of every kind.
CONFIG = (
    '{"zeta":{"b":[1,2.5,-7,12345678901234567890,true,null,"\\u00e9\\n"],"a":{}},"mounts":[{"destination":"/proc"}],'
    '"process":{"terminal":false,"env":["PATH=/bin","A=0"],"user":{"uid":0,"gid":0}},"ociVersion":"1.0.2"}'
)
SPEC = {
    "cdiVersion": "0.7.0",
    "kind": "example.com/gpu",
    "containerEdits": {
        "env": ["A=1"],
        "mounts": [{"hostPath": "/lib/x.so", "containerPath": "/usr/lib/x.so", "options": ["ro", "bind"]}],
        "hooks": [{"hookName": "createContainer", "path": "/usr/bin/hook", "args": ["hook"]}],
    },
    "devices": [
        {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/gpu0", "hostPath": "/dev/null"}]}},
        {"name": "1", "containerEdits": {"additionalGids": [44]}},
    ],
}
NULL = {"type": "c", "major": 1, "minor": 3}  # Linux, Documentation/admin-guide/devices.txt
INJECTED = {
    "zeta": {"b": [1, 2.5, -7, 12345678901234567890, True, None, "é\n"], "a": {}},
    "mounts": [
        {"destination": "/proc"},
        {"destination": "/usr/lib/x.so", "source": "/lib/x.so", "options": ["ro", "bind"]},
    ],
    "process": {
        "terminal": False,
        "env": ["PATH=/bin", "A=1"],
        "user": {"uid": 0, "gid": 0, "additionalGids": [44]},
    },
    "ociVersion": "1.0.2",
    "hooks": {"createContainer": [{"path": "/usr/bin/hook", "args": ["hook"]}]},
    "linux": {
        "devices": [{"path": "/dev/gpu0", **NULL, "fileMode": 0o666}],
        "resources": {"devices": [{"allow": True, **NULL, "access": "rwm"}]},
    },
}
TEXT = json.dumps(INJECTED, indent=2, ensure_ascii=False) + "\n"
BOTH = ("--device", "example.com/gpu=0", "--device", "example.com/gpu=1")
SUMMARY = "2 devices, 1 device node, 1 mount, 1 hook"


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """Return a directory with one spec."""
    directory = tmp_path / "specs"
    directory.mkdir()
    (directory / "example.json").write_text(json.dumps(SPEC))
    return directory


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    directory = tmp_path / "bundle"
    directory.mkdir()
    (directory / "config.json").write_text(CONFIG)
    return directory


def test_a_bundle_s_configuration_is_rewritten_and_all_else_in_it_stays(
    specs: Path, bundle: Path, cdigen: Cdigen
) -> None:
    run = cdigen("inject", *BOTH, "--spec-dir", specs, bundle)

    config = bundle / "config.json"
    assert (run.code, run.out, run.err) == (0, "", f"cdigen: wrote {config}: {SUMMARY}\n")
    assert config.read_text() == TEXT
    assert [entry.name for entry in bundle.iterdir()] == ["config.json"]


def test_to_do_it_again_changes_nothing(specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    config = bundle / "config.json"
    cdigen("inject", *BOTH, "--spec-dir", specs, config)
    before = config.stat()

    run = cdigen("inject", *BOTH, "--spec-dir", specs, config)

    assert (run.code, run.out, run.err) == (0, "", f"cdigen: unchanged: {config}: {SUMMARY}\n")
    assert (config.stat().st_ino, config.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_standard_input_goes_to_standard_output(specs: Path) -> None:
    run = run_program("inject", *BOTH, "--spec-dir", specs, "-", stdin=CONFIG.encode())

    assert (run.code, run.out, run.err) == (0, TEXT, "")


def test_the_result_can_go_elsewhere(specs: Path, bundle: Path, tmp_path: Path, cdigen: Cdigen) -> None:
    other = tmp_path / "other.json"

    shown = cdigen("inject", *BOTH, "--spec-dir", specs, "-o", "-", bundle)
    wrote = cdigen("inject", *BOTH, "--spec-dir", specs, "--output", other, bundle)

    assert (shown.code, shown.out, shown.err) == (0, TEXT, "")
    assert (wrote.code, wrote.out, wrote.err) == (0, "", f"cdigen: wrote {other}: {SUMMARY}\n")
    assert other.read_text() == TEXT
    assert (bundle / "config.json").read_text() == CONFIG


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_configuration_keeps_its_mode_because_its_environment_can_be_secret(
    mode: int, specs: Path, bundle: Path, tmp_path: Path, cdigen: Cdigen
) -> None:
    config, other = bundle / "config.json", tmp_path / "other.json"
    config.chmod(mode)

    for options in (("-o", other), ("-o", other), (), ()):
        assert cdigen("inject", *BOTH, "--spec-dir", specs, *options, bundle).code == 0

    assert [stat.S_IMODE(file.stat().st_mode) for file in (config, other)] == [mode, mode]


def test_a_file_that_is_written_over_keeps_its_own_mode(
    specs: Path, bundle: Path, tmp_path: Path, cdigen: Cdigen
) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    other.chmod(0o600)

    assert cdigen("inject", *BOTH, "--spec-dir", specs, "-o", other, bundle).code == 0

    assert (stat.S_IMODE(other.stat().st_mode), other.read_text()) == (0o600, TEXT)


def test_the_directories_of_the_engines_are_the_default(bundle: Path, cdigen: Cdigen) -> None:
    run = cdigen("inject", "--device", "cdigen-test.invalid/none=0", bundle)

    reason = "no valid spec in /etc/cdi and /var/run/cdi has cdigen-test.invalid/none=0; "
    assert (run.code, run.err.splitlines()[-1].startswith(f"cdigen: error: {reason}")) == (1, True)


def test_specs_that_may_not_be_read_are_named(specs: Path, bundle: Path) -> None:
    def lines() -> list[str]:
        arguments = ("inject", *BOTH, "--spec-dir", specs, bundle)
        return run_program(*arguments, before=bound_to_permissions()).err.replace(f"{specs.parent}/", "").splitlines()

    (specs / "example.json").chmod(0)
    assert lines() == [
        "cdigen: error: cannot read specs/example.json: Permission denied; name a file that you may read",
        (
            "cdigen: error: no valid spec in specs has example.com/gpu=0; no valid spec in specs has example.com/gpu=1;"
            " if specs/example.json should have it, correct that"
        ),
    ]
    specs.chmod(0)
    assert lines() == [
        ("cdigen: error: cannot read the spec directory specs: Permission denied; name a directory that you may read")
    ]
    specs.chmod(0o755)


def test_options_come_from_the_environment_too(specs: Path, bundle: Path) -> None:
    env = {
        "CDIGEN_INJECT_DEVICE": "example.com/gpu=0 example.com/gpu=1",
        "CDIGEN_INJECT_SPEC_DIR": str(specs),
        "CDIGEN_INJECT_OUTPUT": "-",
    }

    assert run_program("inject", str(bundle), env=env).out == TEXT


def test_the_later_directory_counts(specs: Path, tmp_path: Path, cdigen: Cdigen) -> None:
    config, later = tmp_path / "config.json", tmp_path / "later"
    config.write_text('{"ociVersion": "1.0.2"}')
    later.mkdir()
    device = {"name": "0", "containerEdits": {"env": ["FROM=later"]}}
    (later / "a.yaml").write_text(json.dumps({"cdiVersion": "0.5.0", "kind": "example.com/gpu", "devices": [device]}))

    run = cdigen("inject", "--device", "example.com/gpu=0", "--spec-dir", specs, "--spec-dir", later, "-o", "-", config)

    assert json.loads(run.out) == {"ociVersion": "1.0.2", "process": {"env": ["FROM=later"]}}


def write_spec(specs: Path, edits: object, name: str = "example.json") -> None:
    device = {"name": "0", "containerEdits": edits}
    (specs / name).write_text(json.dumps({"cdiVersion": "0.6.0", "kind": "example.com/gpu", "devices": [device]}))


def test_a_node_is_found_through_a_link_to_its_directory(specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    (bundle / "dev").symlink_to("/dev")
    write_spec(specs, {"deviceNodes": [{"path": "/dev/gpu0", "hostPath": f"{bundle}/dev/null"}]})

    run = cdigen("inject", "--device", "example.com/gpu=0", "--spec-dir", specs, "-o", "-", bundle)

    assert (run.code, json.loads(run.out)["linux"]["devices"]) == (
        0,
        [{"path": "/dev/gpu0", **NULL, "fileMode": 0o666}],
    )


def refused(cdigen: Cdigen, bundle: Path, *arguments: str | Path) -> tuple[int, list[str]]:
    """Return the code and the lines of a run that must leave the bundle as it is, its directory's path left out."""
    before = {entry.name: (entry.read_bytes(), entry.stat().st_mtime_ns) for entry in bundle.iterdir()}
    run = cdigen("inject", *arguments)
    assert run.out == ""
    assert {entry.name: (entry.read_bytes(), entry.stat().st_mtime_ns) for entry in bundle.iterdir()} == before
    return run.code, run.err.replace(f"{bundle.parent}/", "").splitlines()


def test_a_node_that_is_a_link_or_missing_is_exit_5(specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    (bundle.parent / "link").symlink_to("/dev/null")
    for name, message in (
        ("link", "link, which example.com/gpu=0 needs, is not a device node but a link; write the spec again"),
        (
            "no/x",
            "the host has no no/x, which example.com/gpu=0 needs; load the device's driver, or write the spec again",
        ),
    ):
        write_spec(specs, {"deviceNodes": [{"path": "/dev/gpu0", "hostPath": f"{bundle.parent}/{name}"}]})
        assert refused(cdigen, bundle, "--device", "example.com/gpu=0", "--spec-dir", specs, bundle) == (
            5,
            [f"cdigen: error: {message}"],
        )


def test_an_unknown_device_is_exit_1_with_the_near_ones(specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    options = ("--spec-dir", specs, "--spec-dir", bundle.parent / "no")

    assert refused(cdigen, bundle, "--device", "example.com/gpu=7", "--device", "zz/yy=x", *options, bundle) == (
        1,
        [
            (
                "cdigen: error: no valid spec in specs and no has example.com/gpu=7; no valid spec in specs and no has"
                " zz/yy=x; did you mean example.com/gpu=0 or example.com/gpu=1?; see what is there with:"
                " cdigen list --all --spec-dir specs --spec-dir no"
            )
        ],
    )


def test_a_disputed_device_is_exit_1_with_both_files(specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    write_spec(specs, {"env": ["A=b"]}, "other.yaml")

    assert refused(cdigen, bundle, *BOTH, "--spec-dir", specs, bundle) == (
        1,
        [
            (
                "cdigen: error: example.com/gpu=0 is in specs/example.json and specs/other.yaml, which count the same;"
                " remove it from all but one of them"
            )
        ],
    )


def test_a_spec_that_is_not_valid_is_named_with_all_violations(specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    write_spec(specs, {"env": ["A"], "mounts": [{"hostPath": "x"}]})

    assert refused(cdigen, bundle, "--device", "example.com/gpu=0", "--spec-dir", specs, bundle) == (
        1,
        [
            (
                "cdigen: error: specs/example.json::$.devices[0].containerEdits.env[0]: 'A' is not an environment"
                " entry: NAME=VALUE"
            ),
            (
                "cdigen: error: specs/example.json::$.devices[0].containerEdits.mounts[0]: key 'containerPath' is"
                " missing or empty"
            ),
            (
                "cdigen: error: no valid spec in specs has example.com/gpu=0; if specs/example.json should have it,"
                " correct that"
            ),
        ],
    )


def test_a_spec_that_is_not_valid_and_not_needed_is_a_warning(specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    (specs / "bad.yaml").write_text("kind: 1\n")

    run = cdigen("inject", *BOTH, "--spec-dir", specs, bundle)

    config = bundle / "config.json"
    assert (run.code, run.out, config.read_text()) == (0, "", TEXT)
    assert run.err.splitlines() == [
        (
            f"cdigen: warning: {specs}/bad.yaml::$: key 'cdiVersion' is missing or empty (and 2 more); this spec was"
            " passed over"
        ),
        f"cdigen: wrote {config}: {SUMMARY}",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "line 1, column 1: expecting value"),
        ("ociVersion: 1.0.2\n", "line 1, column 1: expecting value"),
        ("[]", "$: this array is not an object"),
        ("{}", "$: key 'ociVersion' is missing"),
        (
            '{"process": [], "mounts": {}}',
            (
                "$: key 'ociVersion' is missing; $.mounts: this object is not an array;"
                " $.process: this array is not an object"
            ),
        ),
        ('{"ociVersion": "1.0.2", "ociVersion": "1.0.2"}', "line 1, column 25: duplicate key 'ociVersion'"),
        (
            json.dumps({"ociVersion": "1.0.2", "mounts": [0] * 12}),
            "; ".join(f"$.mounts[{number}]: 0 is not an object" for number in range(10)) + "; and 2 more",
        ),
    ],
)
def test_what_is_no_configuration_is_exit_1(
    content: str, reason: str, specs: Path, bundle: Path, cdigen: Cdigen
) -> None:
    (bundle / "config.json").write_text(content)

    assert refused(cdigen, bundle, *BOTH, "--spec-dir", specs, bundle) == (
        1,
        [f"cdigen: error: bundle/config.json is not an OCI runtime configuration: {reason}; make one with: runc spec"],
    )


def test_a_directory_without_a_configuration_is_exit_7(specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    (bundle / "config.json").unlink()

    assert refused(cdigen, bundle, *BOTH, "--spec-dir", specs, bundle) == (
        7,
        ["cdigen: error: cannot read bundle/config.json: No such file or directory; check the path"],
    )


def test_a_spec_directory_that_is_a_file_is_exit_7(specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    assert refused(cdigen, bundle, *BOTH, "--spec-dir", specs / "example.json", bundle) == (
        7,
        [
            (
                "cdigen: error: cannot read the spec directory specs/example.json: Not a directory;"
                " name a directory that you may read"
            )
        ],
    )


def test_an_output_that_cannot_be_written_is_exit_7(specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    assert refused(cdigen, bundle, *BOTH, "--spec-dir", specs, "-o", specs, bundle) == (
        7,
        ["cdigen: error: cannot write specs: it is a directory; name a file in it"],
    )


@pytest.mark.parametrize("name", ["0", "example.com/gpu", "gpu=0", "example.com/gpu=", "a/b/c=0", "a/b=c d\n"])
def test_a_device_that_is_no_name_of_one_is_exit_2(name: str, specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    shown = name.replace("\n", "\\n")

    assert refused(cdigen, bundle, "--device", name, "--spec-dir", specs, bundle) == (
        2,
        [f"cdigen: error: --device {shown}: not a device; name one as KIND=NAME, such as nvidia.com/gpu=0"],
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["config.json"], "Missing option '--device'. Try 'cdigen inject --help'."),
        (["--device", "a/b=c"], "Missing argument 'BUNDLE|FILE'. Try 'cdigen inject --help'."),
    ],
)
def test_what_is_missing_is_one_line_and_exit_2(arguments: list[str], message: str, cdigen: Cdigen) -> None:
    run = cdigen("inject", *arguments)

    assert (run.code, run.out, run.err) == (2, "", f"cdigen: error: {message}\n")


def test_a_name_cannot_forge_another_line(specs: Path, bundle: Path, cdigen: Cdigen) -> None:
    (specs / "x\ny.json").write_text("")

    run = cdigen("inject", "--device", "a/b=\u2028", "--spec-dir", specs, bundle)

    assert (run.code, run.err.replace(str(specs), "specs").splitlines()) == (
        2,
        ["cdigen: error: --device a/b=\\u2028: not a device; name one as KIND=NAME, such as nvidia.com/gpu=0"],
    )
    run = cdigen("inject", "--device", "a/b=\x1b", "--spec-dir", specs, bundle)

    assert (run.code, run.err.replace(str(specs), "specs").splitlines()) == (
        1,
        [
            "cdigen: error: specs/x\\ny.json::$: no document in it",
            "cdigen: error: no valid spec in specs has a/b=\\x1b; if specs/x\\ny.json should have it, correct that",
        ],
    )


def test_no_elf_is_read_for_it(specs: Path, bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cdigen", "inject", *BOTH, "--spec-dir", str(specs), str(bundle)],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )

    assert "elftools" not in done.stderr
    assert "jsonschema" not in done.stderr
    assert "yaml" in done.stderr
