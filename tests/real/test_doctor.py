"""cdigen doctor on real engines: this machine's, and those of Debian 13 with the configuration that they came with."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from typing import TYPE_CHECKING

from cdigen.engines.engines import Engine, check_engines, find_programs, version_commands
from cdigen.host.live import LiveHost
from cdigen.host.programs import run_programs
from tests.doctor.contexts import context_of
from tests.real.cache import cache_dir
from tests.real.conftest import skipped_where_unavailable
from tests.real.engines import require_engine
from tests.real.matrix.releases import RELEASE_13
from tests.real.process import run
from tests.real.program import run_cdigen

if TYPE_CHECKING:
    from pathlib import Path

BOTH = ("/etc/cdi", "/var/run/cdi")


def test_podman_of_this_machine_is_run_and_known() -> None:
    with skipped_where_unavailable():
        require_engine("crun")
    version = run(["podman", "--version"]).split()[-1]

    done = run_cdigen("doctor", "--json")

    (podman,) = [
        one
        for one in json.loads(done.stdout)["diagnoses"]
        if one["topic"] == "engine" and one["subject"] == f"podman {version}"
    ]
    assert (podman["level"], podman["remedy"]) == ("ok", None)
    assert podman["message"].partition(" from ")[0].endswith("/podman reads CDI specs")


# podman 5 asks /proc for its own name.
_IN_ROOT = ("/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def look_at(root: Path, host: Path) -> tuple[dict[str, str], tuple[Engine, ...]]:
    """Return the level of each engine by its name and first two numbers, and the engines.

    Args:
        root: where the engines are, and are run.
        host: where their configuration is.
    """
    context = context_of(LiveHost(str(host)))
    programs = find_programs(context_of(LiveHost(str(root))).views.system)
    commands = [(*_IN_ROOT, f"--root={root}", *command) for command in version_commands(programs)]
    answers = run_programs(commands, timeout=20)
    lines, engines = check_engines(context, programs, answers)
    return {re.sub(r"(\.\d+)\.\d+$", r"\1", line.subject): line.level for line in lines}, engines


def test_debians_engines_are_judged_by_their_real_versions_and_files(tmp_path: Path) -> None:
    with skipped_where_unavailable():
        root = RELEASE_13.engines.make(cache_dir()) / "root"

    levels, engines = look_at(root, root)

    # docker 26 and containerd 1.7 read specs only where they are told to, and Debian does not tell them.
    assert levels == {"podman 5.4": "ok", "buildah 1.39": "ok", "docker 26.1": "warning", "containerd 1.7": "warning"}
    assert [(engine.directories, engine.reads) for engine in engines] == [(BOTH, "0.8.0"), (("/etc/cdi",), "0.8.0")]

    for directory in ("etc/containerd", "etc/docker"):
        shutil.copytree(root / directory, tmp_path / directory)
    for name in ("usr/sbin/dockerd", "usr/bin/containerd"):  # to be found; it is not run there
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch(0o755)
    for directory in ("proc", "sys"):
        (tmp_path / directory).mkdir()
    for engine in ("docker", "containerd"):
        run_cdigen("configure", engine, "--write", "--host-root", str(tmp_path))

    levels, engines = look_at(root, tmp_path)

    assert levels == {"podman 5.4": "ok", "buildah 1.39": "ok", "docker 26.1": "ok", "containerd 1.7": "ok"}
    assert [engine.directories for engine in engines] == [BOTH, ("/etc/cdi",), BOTH, BOTH]

    # and so say the engines themselves
    there = ["bwrap", "--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run"]
    for name in ("docker", "containerd"):
        there += ["--ro-bind", str(tmp_path / "etc" / name), f"/etc/{name}"]
    run([*there, "dockerd", "--validate"])
    dump = tomllib.loads(run([*there, "containerd", "config", "dump"]))
    assert dump["plugins"]["io.containerd.grpc.v1.cri"]["enable_cdi"] is True
    assert dump["plugins"]["io.containerd.grpc.v1.cri"]["cni"]["conf_dir"] == "/etc/cni/net.d"
