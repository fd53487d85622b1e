"""Makes root directories for containers, each with the probe program (`probe.c`) in it.

    python tests/real/make_images.py [--cache DIR] [bookworm] [rhel-like]

prints the directory of each root that is asked for (both, if none is named). They differ in what decides
whether a mounted library is found when no linker cache knows it, the directories built into the loader:

`bookworm` is Debian's essential packages: /usr/lib/x86_64-linux-gnu, never /usr/lib64.
`rhel-like` has a loader for /usr/lib64, as the RHEL family has, and nothing but that loader's glibc, busybox
and the probe. The loader is Debian's own 64-bit glibc for i386 systems, which is built that way; unlike the
RHEL family's it goes on to /lib and /usr/lib, so a library that is found there proves nothing.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.real.cache import Artifact, cache_dir
from tests.real.debian import BASE, SUITE, copy_root, find_sources, private_apt
from tests.real.process import CommandError, UnavailableError, require_root, run

_HERE = Path(__file__)
_PROBE_SOURCE = _HERE.with_name("probe.c")
_PROBE_INSIDE = "usr/bin/probe"
_BUSYBOX_NAMES = ("cat", "env", "id", "ls", "readlink", "sh", "stat", "true")
_LOADER_PACKAGE = "libc6-amd64"


def _build_probe(_cache: Path, dest: Path) -> None:
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
    run(["gcc", *warnings, "-O1", "-s", "-o", str(dest / "probe"), str(_PROBE_SOURCE)])


def _build_bookworm(cache: Path, dest: Path) -> None:
    copy_root(BASE.path(cache) / "root", dest / "root")
    shutil.copy2(PROBE.path(cache) / "probe", dest / "root" / _PROBE_INSIDE)


def _build_rhel_like(cache: Path, dest: Path) -> None:
    root = dest / "root"
    for directory in ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/lib", "usr/lib64"):
        (root / directory).mkdir(parents=True)
    for name, target in (("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64"), ("sbin", "usr/bin")):
        (root / name).symlink_to(target)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    _add_loader(dest, root)
    busybox = shutil.which("busybox", path="/bin:/usr/bin")
    if busybox is None:
        raise UnavailableError("busybox is not installed: apt-get install busybox-static")
    shutil.copy2(busybox, root / "usr/bin/busybox")
    for name in _BUSYBOX_NAMES:
        (root / "usr/bin" / name).symlink_to("busybox")
    shutil.copy2(PROBE.path(cache) / "probe", root / _PROBE_INSIDE)


def _add_loader(dest: Path, root: Path) -> None:
    # The release alone: a loader needs no fixes, and a mirror may lack the other suites' i386 lists.
    release = tuple(source for source in find_sources() if source.suite == SUITE)
    unpacked = dest / "unpacked"
    with private_apt(dest, release, architecture="i386", components=("main",)) as apt:
        apt.download("apt-get", "download", "-q", _LOADER_PACKAGE)
        (package,) = apt.archives.glob(f"{_LOADER_PACKAGE}_*.deb")
        run(["dpkg-deb", "--extract", str(package), str(unpacked)])
    for directory in ("lib64", "usr/lib64"):
        if (unpacked / directory).is_dir():
            shutil.copytree(unpacked / directory, root / "usr/lib64", symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(unpacked)


PROBE = Artifact(name="probe", recipe=(_HERE, _PROBE_SOURCE), build=_build_probe)
BOOKWORM = Artifact(name="image-bookworm", recipe=(_HERE,), build=_build_bookworm, needs=(BASE, PROBE))
RHEL_LIKE = Artifact(
    name="image-rhel-like",
    recipe=(_HERE, _HERE.with_name("debian.py")),
    build=_build_rhel_like,
    needs=(PROBE,),
)

_IMAGES = {"bookworm": BOOKWORM, "rhel-like": RHEL_LIKE}


def make_image(name: str, cache: Path) -> Path:
    """Return the root directory of the image `name`, "bookworm" or "rhel-like", made first if missing.

    Raises:
        UnavailableError: this machine lacks root, a tool, or the network.
        CommandError: a command of the build failed.
    """
    require_root()
    return _IMAGES[name].make(cache) / "root"


def main() -> None:
    """Make what the command line asks for and print where it is."""
    parser = argparse.ArgumentParser(description="Make root directories for containers.")
    parser.add_argument("--cache", type=Path, default=cache_dir(), help="where they are kept (%(default)s)")
    parser.add_argument("image", nargs="*", metavar="IMAGE", help="bookworm, rhel-like; default: both")
    chosen = parser.parse_args()
    unknown = set(chosen.image) - set(_IMAGES)
    if unknown:
        parser.error(f"no such image: {', '.join(sorted(unknown))}")
    try:
        for image in chosen.image or _IMAGES:
            sys.stdout.write(f"{make_image(image, chosen.cache.absolute())}\n")
    except (UnavailableError, CommandError) as error:
        sys.exit(f"make_images: {error}")


if __name__ == "__main__":
    main()
