"""Debian trixie and testing, which this machine is not: a root with the container engines of each.

Trixie's minimal root is an image of the matrix too. The engines run in their root by `pivot_root` in a mount namespace
of their own (`IN_RELEASE`). A plain chroot is not enough: runc has to remount the root of its namespace, and that has
to be a mount. The root is mounted read-only and stays as it was made; what engines write goes to a directory that is
bound over their state.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.real.cache import Artifact
from tests.real.debian import SUITE, Source, copy_root, find_sources, private_apt
from tests.real.process import CommandError, download, run

_HERE = Path(__file__)
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_PACKAGES = ("buildah", "containerd", "crun", "docker.io", "docker-cli", "podman", "runc")
_GVISOR = "runsc"  # gVisor's; trixie has none

STATE_DIRECTORIES = ("var/lib/containerd", "var/lib/containers", "var/lib/docker")
"""What the engines keep their images and containers in; the directories of the state that is bound there."""

# $1 is the root of a release, $2 the directory of specs, $3 that of the state, $4 the cache, which keeps its path; the
# rest is the command. The second cgroup hierarchy of a "hybrid" machine would keep crun from starting.
IN_RELEASE = f"""\
set -eu
root=$1 specs=$2 state=$3 cache=$4
shift 4
mount --make-rprivate /
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
mkdir -p "$root$cache"
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
for directory in run tmp mnt; do mount -t tmpfs tmpfs "$root/$directory"; done
for directory in {" ".join(STATE_DIRECTORIES)}; do
  mkdir -p "$state/$directory"
  mount --bind "$state/$directory" "$root/$directory"
done
mount --bind "$specs" "$root/etc/cdi"
mount --rbind "$cache" "$root$cache"
cd "$root"
pivot_root . mnt
umount --lazy /mnt
mount -o remount,bind,ro /
exec "$@"
"""
"""The shell script that goes into the root of a release, to be run in a mount namespace of its own."""


def _mirror() -> str:
    return next(source.uri for source in find_sources() if source.suite == SUITE)


def _build_minimal(suite: str, _cache: Path, dest: Path) -> None:
    proxy = run(["apt-config", "shell", "proxy", "Acquire::http::Proxy"]).strip()
    env = {"http_proxy": proxy.removeprefix("proxy=").strip("'")} if proxy else {}
    root = dest / "root"
    command = ["unshare", "--mount", "debootstrap", "--variant=minbase", f"--keyring={_KEYRING}"]
    download([*command, suite, str(root), _mirror()], env=env)
    for directory in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / directory)
        (root / directory).mkdir()


def _build_engines(suite: str, minimal: Artifact, names: tuple[str, ...], cache: Path, dest: Path) -> None:
    root = dest / "root"
    copy_root(minimal.path(cache) / "root", root)
    packages = root / "packages"
    packages.mkdir()
    status = root / "var/lib/dpkg/status"
    source = Source(uri=_mirror(), suite=suite)
    with private_apt(dest, (source,), architecture="amd64", components=("main",), status=status) as apt:
        apt.download("apt-get", "install", "--download-only", "--yes", "-q", *names)
        for package in apt.archives.glob("*.deb"):
            package.rename(packages / package.name)
    no_services = root / "usr/sbin/policy-rc.d"
    no_services.write_text("#!/bin/sh\nexit 101\n")
    no_services.chmod(0o755)
    files = [f"/packages/{package.name}" for package in sorted(packages.iterdir())]
    # All in one go, so dpkg finds the order; the audit says whether everything is there in the end.
    options = ["--force-depends", "--force-unsafe-io", "--install"]
    run(["chroot", str(root), "dpkg", *options, *files], env={"DEBIAN_FRONTEND": "noninteractive"})
    problems = run(["chroot", str(root), "dpkg", "--audit"])
    if problems.strip():
        raise CommandError(f"dpkg --audit in the root of {suite}'s engines: {problems.strip()}")
    shutil.rmtree(packages)
    for directory in ("etc/cdi", *STATE_DIRECTORIES):
        (root / directory).mkdir(parents=True, exist_ok=True)


def _minimal(suite: str) -> Artifact:
    recipe = (_HERE, _HERE.parents[1] / "debian.py")
    return Artifact(name=suite, recipe=recipe, build=partial(_build_minimal, suite))


TRIXIE = _minimal("trixie")
"""`root/`: trixie's essential packages, by debootstrap."""

_TESTING = _minimal("testing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release whose engines are run.

    Attributes:
        name: what directories are called after it.
        engines: `root/`: its essential packages with podman, buildah, docker, containerd, runc and crun.
    """

    name: str
    engines: Artifact


def _release(suite: str, minimal: Artifact, *more: str) -> Release:
    build = partial(_build_engines, suite, minimal, (*_PACKAGES, *more))
    return Release(
        name=suite, engines=Artifact(name=f"{suite}-engines", recipe=(_HERE,), build=build, needs=(minimal,))
    )


RELEASE_13 = _release("trixie", TRIXIE)
"""Debian 13, whose engines have versions of the CDI library before 1.1.0."""

RELEASE_TESTING = _release("testing", _TESTING, _GVISOR)
"""Debian testing, whose engines have version 1.1.0 of the CDI library or a later one, and gVisor."""
