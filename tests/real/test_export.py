"""What `cdigen export` says is what real engines take: in each the real driver's code runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.real.conftest import skipped_where_unavailable
from tests.real.engines import run_in_container
from tests.real.process import UnavailableError, command_environment
from tests.real.program import as_driver_root, run_cdigen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.real.engines import Engine
    from tests.real.make_driver import HostTree

PROBE = ("probe", "--cuinit")

# $1 is a device root; its nodes take the place of this machine's, with what every program wants of /dev.
_OWN_DEV = """\
set -eu
tree=$1
shift
mount -t tmpfs tmpfs /mnt
cp -a "$tree"/dev/. /mnt/
for name in null zero full random urandom tty; do [ -e /mnt/$name ] || cp -a /dev/$name /mnt/; done
mount --move /mnt /dev
exec "$@"
"""


@pytest.fixture
def specs(driver_debian: HostTree, tmp_path: Path) -> Path:
    path = tmp_path / "cdi" / "nvidia.yaml"
    done = run_cdigen("generate", *as_driver_root(driver_debian), "--output", str(path), "--create-dirs")
    assert done.returncode == 0, done.stderr
    return path.parent


@pytest.fixture
def root(image_bookworm: Path, tmp_path: Path) -> Iterator[Path]:
    """Return a copy of the image: engines make places for mounts in it."""
    copy = tmp_path / "root"
    run(["cp", "-a", "--", str(image_bookworm), str(copy)])
    yield copy
    shutil.rmtree(copy, ignore_errors=True)


def exported(target: str, specs: Path, *devices: str) -> list[str]:
    arguments = [f"--device=nvidia.com/gpu={device}" for device in devices or ("0",)]
    done = run_cdigen("export", "--spec-dir", str(specs), *arguments, "--for", target, "--null")
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\0")[:-1]


def run(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    with skipped_where_unavailable():
        if shutil.which(argv[0], path=command_environment()["PATH"]) is None:
            raise UnavailableError(f"{argv[0]} is not installed: apt-get install what tests/real/packages.txt lists")
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=command_environment({"USER": "root"}),
    )


def assert_answers(done: subprocess.CompletedProcess[str]) -> None:
    line = next((line for line in done.stdout.splitlines() if line.startswith("{")), "")
    assert line, done
    answer = json.loads(line)
    assert (answer["name"], answer["ok"], answer["result"]) == ("libcuda.so.1", True, 100), done


def test_bwrap(specs: Path, root: Path) -> None:
    base = ("bwrap", "--bind", str(root), "/", "--proc", "/proc", "--dev", "/dev")
    assert_answers(run([*base, *exported("bwrap", specs), *PROBE]))
    nodes = run([*base, *exported("bwrap", specs, "0", "2"), "sh", "-c", "ls /dev"]).stdout.split()
    assert {name for name in nodes if name.startswith("nvidia") and name[6:].isdigit()} == {"nvidia2", "nvidia0"}


def test_nspawn(specs: Path, root: Path) -> None:
    base = ("systemd-nspawn", "-q", "--register=no", "--keep-unit", "-D", str(root))
    assert_answers(run([*base, *exported("nspawn", specs), *PROBE]))


def test_lxc(specs: Path, root: Path, tmp_path: Path) -> None:
    done = run_cdigen("export", "--spec-dir", str(specs), "--device=nvidia.com/gpu=all", "--for", "lxc")
    assert done.returncode == 0, done.stderr
    settings = tmp_path / "lxc.conf"
    own = f"lxc.rootfs.path = dir:{root}\nlxc.net.0.type = empty\nlxc.uts.name = x\n"
    settings.write_text(own + done.stdout)
    assert_answers(run(["lxc-execute", "-n", f"cdigen-{tmp_path.name[-8:]}", "-f", str(settings), "--", *PROBE]))


# The specs' directory, the image's root, and the options of `cdigen generate`.
_IN_CHARLIECLOUD = """\
set -eu
specs=$1 root=$2
shift 2
"$PYTHON" -m cdigen generate "$@" --additional-gids never --output "$specs/nvidia.yaml" --create-dirs
options=$("$PYTHON" -m cdigen export --spec-dir "$specs" --device nvidia.com/gpu=all --for charliecloud)
eval "set -- $(echo "$options" | tr '\\n' ' ')"
for option; do
  case $option in --bind=*) pair=${option#--bind=}; place=$root${pair#*:};
    mkdir -p "${place%/*}"; [ -e "$place" ] || : >"$place" ;;
  esac
done
exec ch-run --write "$@" "$root" -- probe --cuinit
"""


def test_charliecloud(driver_debian: HostTree, root: Path, tmp_path: Path) -> None:
    """It shows the host's /dev, so the nodes have to be there; this release makes no places for files in an image."""
    tree = str(driver_debian.root)
    roots = ("--driver-root", tree, "--dev-root", "/", "--procfs", f"{tree}/proc", "--sysfs", f"{tree}/sys")
    inner = ("env", f"PYTHON={sys.executable}", "sh", "-c", _IN_CHARLIECLOUD, "sh", str(tmp_path / "own"), str(root))
    assert_answers(run(["unshare", "--mount", "sh", "-c", _OWN_DEV, "sh", tree, *inner, *roots]))


def test_podmans_options_which_are_dockers(engine: Engine, image_bookworm: Path, specs: Path) -> None:
    done = run_in_container(engine, image_bookworm, None, [], PROBE, options=exported("docker", specs))

    assert_answers(done)
