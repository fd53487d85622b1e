"""A bundle for plain runc and crun: a configuration, and an overlay on an image's root in a namespace of its own.

The overlay is there because runtimes make the files that they mount on.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.real.process import command_environment
from tests.real.program import run_cdigen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.real.engines import Engine

_SECONDS = 60
_CAPABILITIES = ["CAP_DAC_OVERRIDE", "CAP_MKNOD"]
_CONFIG: dict[str, object] = {
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NVIDIA_VISIBLE_DEVICES=all", "OURS=kept"],
        "cwd": "/",
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES),
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": False},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    ],
    "linux": {
        "namespaces": [{"type": name} for name in ("pid", "ipc", "uts", "mount", "network")],
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
    },
}

# $1 is the bundle, $2 the image's root, $3 the runtime. crun does not start beside a second cgroup hierarchy.
_RUN = """\
set -eu
mount -t tmpfs tmpfs "$1/layer"
mkdir "$1/layer/upper" "$1/layer/work"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/layer/upper,workdir=$1/layer/work" "$1/rootfs"
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
exec "$3" --root "$1/state" run --bundle "$1" "cdigen-test-$$"
"""


def make_bundle(directory: Path) -> Path:
    """Make the directories of a bundle below `directory` and return it."""
    for name in ("layer", "rootfs", "state"):
        (directory / name).mkdir(parents=True)
    return directory


def write_config(bundle: Path, argv: Sequence[str], *, is_read_only: bool = False, **process: object) -> None:
    """Write the bundle's configuration: a command, and other members of `process`."""
    before = _CONFIG["process"]
    assert isinstance(before, dict)
    root = {"path": "rootfs", "readonly": is_read_only}
    config = {**_CONFIG, "root": root, "process": {**before, "args": list(argv), **process}}
    (bundle / "config.json").write_text(json.dumps(config))


def inject(bundle: Path, specs: Path, *devices: str) -> str:
    """Inject GPUs into the bundle and return what cdigen said."""
    options = [option for name in devices for option in ("--device", f"nvidia.com/gpu={name}")]
    done = run_cdigen("inject", *options, "--spec-dir", str(specs), str(bundle))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr


def run_bundle(engine: Engine, bundle: Path, image: Path) -> subprocess.CompletedProcess[str]:
    """Run the bundle on an image's root and return its status and output."""
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", _RUN, "sh", str(bundle), str(image), engine],
        capture_output=True,
        check=False,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=_SECONDS,
        env=command_environment(),
    )
