"""Makes what a real boot takes: a bookworm with the driver, engines and systemd, and an upgrade of its driver.

    python tests/real/make_boot.py [--cache DIR]

prints where the pieces are. The root is a layer over the host root `debian` of `make_driver`, so that nothing is
copied: what boots is an overlay of both. cdigen is not part of it, because that changes with every commit.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.real.cache import Artifact, cache_dir
from tests.real.debian import PACKAGES, find_sources, private_apt
from tests.real.make_driver import DEBIAN
from tests.real.process import CommandError, UnavailableError, require_root, run

UPGRADED_VERSION = "535.999.01"
"""The version of the driver that the upgrade pretends to be; nobody can mistake it for a real one."""

_ENGINES = ("containerd", "crun", "docker.io", "kmod", "podman", "python3", "udev")
_UPGRADED = (
    "libcuda1",
    "libnvidia-cfg1",
    "libnvidia-ml1",
    "libnvidia-ptxjitcompiler1",
    "nvidia-smi",
)

# $1 is the host's root, $2 the layer, $3 and $4 are empty directories, $5 has the packages.
_INSTALL = """\
set -eu
lower=$1 upper=$2 merged=$3 work=$4
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$merged"
printf '#!/bin/sh\\nexit 101\\n' > "$merged/usr/sbin/policy-rc.d"
chmod 755 "$merged/usr/sbin/policy-rc.d"
mkdir "$merged/packages"
mount --bind "$5" "$merged/packages"
chroot "$merged" sh -c 'dpkg --force-depends --force-unsafe-io --install /packages/*.deb'
if [ -n "$(chroot "$merged" dpkg --audit)" ]; then chroot "$merged" dpkg --audit >&2; exit 1; fi
umount "$merged/packages"
rmdir "$merged/packages"
rm "$merged/usr/sbin/policy-rc.d"
"""


def _build_layer(cache: Path, dest: Path) -> None:
    lower = DEBIAN.path(cache) / "root"
    upper, merged, work, packages = (dest / name for name in ("layer", "merged", "work", "packages"))
    for directory in (upper, merged, work, packages):
        directory.mkdir()
    upper.chmod(0o755)
    status = lower / "var/lib/dpkg/status"
    with private_apt(dest, find_sources(), architecture="amd64", components=("main",), status=status) as apt:
        # What the driver's packages lack here (a kernel module) is none of these packages' business.
        apt.download("apt-get", "install", "--download-only", "--yes", "-q", *_ENGINES)
        for package in apt.archives.glob("*.deb"):
            package.rename(packages / package.name)
    script = ["unshare", "--mount", "sh", "-c", _INSTALL, "sh"]
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    run([*script, *map(str, (lower, upper, merged, work, packages))], env=env)
    for directory in (merged, work, packages):
        shutil.rmtree(directory)


def _build_upgrade(cache: Path, dest: Path) -> None:
    packages = PACKAGES.path(cache)
    version = (packages / "version").read_text().strip()
    for name in _UPGRADED:
        (package,) = (packages / "driver").glob(f"{name}_*.deb")
        tree = dest / "tree"
        run(["dpkg-deb", "--raw-extract", str(package), str(tree)])
        for path in sorted(tree.rglob("*"), reverse=True):
            if path.is_symlink():
                target = str(path.readlink())
                if version in target:
                    path.unlink()
                    path.symlink_to(target.replace(version, UPGRADED_VERSION))
            elif path.is_file() and path.parent.name == "DEBIAN":
                path.write_text(path.read_text().replace(version, UPGRADED_VERSION))
            if version in path.name:
                path.rename(path.with_name(path.name.replace(version, UPGRADED_VERSION)))
        run(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", str(tree), str(dest / f"{name}.deb")])
        shutil.rmtree(tree)


_HERE = Path(__file__)

LAYER = Artifact(name="boot-layer", recipe=(_HERE,), build=_build_layer, needs=(DEBIAN,))
"""`layer/`: what installing engines, udev and Python in `DEBIAN`'s root has changed there."""

UPGRADE = Artifact(name="boot-upgrade", recipe=(_HERE,), build=_build_upgrade, needs=(PACKAGES,))
"""`*.deb`: some of the driver's packages with `UPGRADED_VERSION` in the names of their files."""


def make_boot(cache: Path) -> tuple[tuple[Path, Path], Path]:
    """Return the two layers of a root that boots, the upper one first, and the directory of the upgrade's packages.

    Raises:
        UnavailableError: this machine lacks root, a tool, or the network.
        CommandError: a command of the build failed.
    """
    require_root()
    return (LAYER.make(cache) / "layer", DEBIAN.make(cache) / "root"), UPGRADE.make(cache)


def main() -> None:
    """Make the pieces and print where they are."""
    parser = argparse.ArgumentParser(description="Make what a real boot takes.")
    parser.add_argument("--cache", type=Path, default=cache_dir(), help="where they are kept (%(default)s)")
    try:
        layers, upgrade = make_boot(parser.parse_args().cache.absolute())
    except (UnavailableError, CommandError) as error:
        sys.exit(f"make_boot: {error}")
    sys.stdout.write("".join(f"{path}\n" for path in (*layers, upgrade)))


if __name__ == "__main__":
    main()
