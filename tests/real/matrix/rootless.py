"""A user without rights and a host for it, in namespaces of their own: who it is, its devices, what it can reach.

In a user namespace a runtime cannot make device nodes: it binds the host's node of the same path and heeds no
`hostPath`. So the nodes of the host tree are put into a `/dev` that only this namespace has, and the spec is made for
that. Nothing of the machine is changed: the user is in copies of the files, the test cache (which may be in a home
that others cannot enter) is reached through `/mnt`.
"""

from __future__ import annotations

from pathlib import Path

from tests.real.cache import Artifact
from tests.real.matrix.images import ROOTS
from tests.real.process import run

USER = 4242
"""The user's number, and its group's; no Debian package has it."""

TREE = "/mnt/tree"
"""Where the host tree is in the namespaces."""

ROOTS_INSIDE = "/mnt/roots"
"""Where the root directories are, owned by the user."""

_HERE = Path(__file__)

# $1 is the host tree, $2 the directory of roots, $3 that of the state, $4 the file that says that all is ready.
_IN_NAMESPACE = f"""\
set -eu
tree=$1 roots=$2 state=$3 ready=$4
mount --make-rprivate /
mount --make-rshared /  # podman warns of anything else
mount -t proc proc /proc
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
mkdir "$state/etc"
for file in passwd group subuid subgid; do cp "/etc/$file" "$state/etc/$file"; done
echo 'rootless:x:{USER}:{USER}::/mnt/state/home:/bin/sh' >> "$state/etc/passwd"
echo 'rootless:x:{USER}:' >> "$state/etc/group"
for file in subuid subgid; do echo 'rootless:400000:65536' >> "$state/etc/$file"; done
for file in passwd group subuid subgid; do mount --bind "$state/etc/$file" "/etc/$file"; done
mkdir "$state/dev"
mount -t tmpfs -o mode=755 tmpfs "$state/dev"
cp -a "$tree"/dev/nvidia* "$tree/dev/dri" "$state/dev/"
for path in /dev/*; do
  name=${{path#/dev/}}
  if [ -e "$state/dev/$name" ]; then continue; fi
  if [ -L "$path" ]; then cp -a "$path" "$state/dev/"; continue; fi
  if [ -d "$path" ]; then mkdir "$state/dev/$name"; else : > "$state/dev/$name"; fi
  mount --rbind "$path" "$state/dev/$name"
done
mount --rbind "$state/dev" /dev
mkdir "$state/cdi" "$state/home" "$state/run"
chown {USER}:{USER} "$state/home" "$state/run"
chmod 700 "$state/run"
mkdir -p /etc/cdi
mount --bind "$state/cdi" /etc/cdi
if [ -d /run/cdi ]; then mount -t tmpfs tmpfs /run/cdi; fi
mount -t tmpfs tmpfs /mnt
mkdir {TREE} {ROOTS_INSIDE} /mnt/state
mount --rbind "$tree" {TREE}
mount --rbind "$roots" {ROOTS_INSIDE}
mount --bind "$state" /mnt/state
chmod 755 "$state"
: > "$ready"
exec sleep infinity
"""

AS_USER = (
    *("env", "--chdir=/", "HOME=/mnt/state/home", "XDG_RUNTIME_DIR=/mnt/state/run"),
    *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
)
"""The prefix of a command of the user's, in the namespaces."""


def hold_namespaces(tree: Path, roots: Path, state: Path, ready: Path) -> tuple[str, ...]:
    """Return the command that makes the namespaces, writes `ready`, and keeps them until it is killed."""
    enter = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _IN_NAMESPACE, "sh")
    return (*enter, str(tree), str(roots), str(state), str(ready))


def _build_roots(cache: Path, dest: Path) -> None:
    for root in ROOTS.path(cache).iterdir():
        run(["cp", "--archive", "--reflink=auto", str(root), str(dest / root.name)])
    run(["chown", "--recursive", "--no-dereference", f"{USER}:{USER}", str(dest)])


ROOTLESS_ROOTS = Artifact(name="matrix-rootless", recipe=(_HERE,), build=_build_roots, needs=(ROOTS,))
"""The root directories of `images.ROOTS`, owned by the user: what is not mapped cannot be the container's root."""
