"""Runs podman with runc or crun on a root directory, a CDI spec and devices, apart from the machine's own.

podman 4.3 reads /etc/cdi and /var/run/cdi, whatever it is told, so it runs in a mount namespace in which the
first is our directory and the second is empty. There too the second cgroup hierarchy of a "hybrid" machine
is unmounted, which crun would not start with. Its storage is in the test cache; it has no network, no
events, no image (`--rootfs DIR:O` puts an overlay on the directory, which stays as it is) and none of the
machine's OCI hooks, so that nothing but the spec can bring a driver into the container.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.real.cache import cache_dir
from tests.real.process import UnavailableError, command_environment, require_root

if TYPE_CHECKING:
    from collections.abc import Sequence

Engine = Literal["runc", "crun"]

ENGINES: tuple[Engine, ...] = ("runc", "crun")
"""The OCI runtimes that podman is run with."""

_CONTAINER_SECONDS = 60
_PODMAN_SECONDS = 120

# $1 is the directory of specs, $2 an empty one; the rest is the command. /var/run leads to /run.
_IN_NAMESPACE = """\
set -eu
mkdir -p /etc/cdi
mount --bind "$1" /etc/cdi
if [ -d /run/cdi ]; then mount --bind "$2" /run/cdi; fi
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
shift 2
exec "$@"
"""


def require_engine(engine: Engine) -> None:
    """Raise `UnavailableError` unless podman can be run with `engine` here."""
    require_root()
    path = command_environment()["PATH"]
    missing = [tool for tool in ("podman", engine, "unshare") if shutil.which(tool, path=path) is None]
    if missing:
        raise UnavailableError(
            f"{', '.join(missing)} not installed: apt-get install what tests/real/packages.txt lists"
        )


def run_in_container(
    engine: Engine,
    image_root: Path,
    spec: Path | None,
    devices: Sequence[str],
    argv: Sequence[str],
    *,
    options: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run `argv` in a container and return its status and what it wrote.

    Args:
        engine: the OCI runtime.
        image_root: the container's root directory; it is not changed.
        spec: a CDI spec, or a directory of them, in place of the machine's; None for no spec at all.
        devices: CDI names of devices to give to the container, such as `nvidia.com/gpu=all`.
        argv: the command in the container.
        options: further options of `podman run`.

    Returns:
        The command's own status and output. Where podman itself failed, the status is 125 or 126 and stderr
        says why: 126 for a device that no spec has. 127 is a command that the image lacks.

    Raises:
        UnavailableError: not root, or an engine is not installed.
        subprocess.TimeoutExpired: the engine did not end within two minutes.
    """
    require_engine(engine)
    with tempfile.TemporaryDirectory(prefix="cdi-") as name:
        specs, empty = Path(name) / "specs", Path(name) / "empty"
        specs.mkdir()
        empty.mkdir()
        if spec is not None and spec.is_dir():
            specs = spec
        elif spec is not None:
            shutil.copy(spec, specs)
        return subprocess.run(
            container_command(engine, image_root, specs, empty, devices, argv, options=options),
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
            timeout=_PODMAN_SECONDS,
            env=command_environment(),
        )


def container_command(
    engine: Engine,
    image_root: Path,
    specs: Path,
    empty: Path,
    devices: Sequence[str],
    argv: Sequence[str],
    *,
    options: Sequence[str] = (),
    seconds: int = _CONTAINER_SECONDS,
) -> list[str]:
    """Return the command that runs `argv` in a container; see `run_in_container`.

    Args:
        engine, image_root, devices, argv, options: see there.
        specs: the directory of specs.
        empty: an empty directory.
        seconds: after which the container is killed.
    """
    state = cache_dir() / "engine"
    state.mkdir(parents=True, exist_ok=True)
    return [
        *("unshare", "--mount", "sh", "-c", _IN_NAMESPACE, "sh", str(specs), str(empty)),
        *("podman", f"--root={state}/root", f"--runroot={state}/run", f"--tmpdir={state}/libpod"),
        *("--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"),
        *(f"--hooks-dir={empty}", f"--runtime={engine}"),
        *("run", "--rm", f"--timeout={seconds}", "--network=none"),
        # The limits of a machine that is itself a container cannot be raised: ask for low ones.
        *("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"),
        *(f"--device={device}" for device in devices),
        *options,
        *("--rootfs", f"{image_root}:O"),
        *argv,
    ]
