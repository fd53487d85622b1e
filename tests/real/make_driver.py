"""Makes host roots around NVIDIA's real driver, as Debian packages it.

    python tests/real/make_driver.py [--cache DIR] [plain] [debian]

prints the directory of each host root that is asked for (both, if none is named), which `cdigen --host-root`
takes. `plain` has the packages' files alone: the libraries are in `nvidia/current` and a linker cache leads
there. `debian` is an installed bookworm, where the same files are reached through the alternatives links and
the linker cache that the packages' own scripts made. Around both stand eight GPUs (`tests.real.hardware`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.real.cache import Artifact, cache_dir
from tests.real.debian import BASE, PACKAGES, copy_root
from tests.real.hardware import add_hardware
from tests.real.process import CommandError, UnavailableError, require_root, run

_LIBRARY_DIRECTORIES = "/usr/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu/nvidia/current\n"
_PACKAGE_FILES = "package-files.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTree:
    """A host root that was made: its directory and the version of the driver in it."""

    root: Path
    version: str


def _build_plain(cache: Path, dest: Path) -> None:
    root = dest / "root"
    root.mkdir()
    packages = PACKAGES.path(cache)
    files: dict[str, list[str]] = {}
    for package in sorted((packages / "driver").iterdir()):
        listing = run(["dpkg-deb", "--vextract", str(package), str(root)])
        paths = (line.removeprefix(".") for line in listing.splitlines())
        files[package.name.partition("_")[0]] = sorted(path for path in paths if not path.endswith("/"))
    (dest / _PACKAGE_FILES).write_text(json.dumps(files, indent=1, sort_keys=True) + "\n")
    (root / "etc" / "ld.so.conf").write_text(_LIBRARY_DIRECTORIES)
    run(["ldconfig", "-X", "-r", str(root)])  # -X: makes no links, the files stay as they were packaged
    add_hardware(root, _version(packages))


def _build_debian(cache: Path, dest: Path) -> None:
    root = dest / "root"
    packages = PACKAGES.path(cache)
    copy_root(BASE.path(cache) / "root", root)
    inside = root / "packages"
    inside.mkdir()
    for package in packages.glob("*/*.deb"):
        shutil.copy2(package, inside)
    no_services = root / "usr/sbin/policy-rc.d"
    no_services.write_text("#!/bin/sh\nexit 101\n")
    no_services.chmod(0o755)
    names = [f"/packages/{package.name}" for package in sorted(inside.iterdir())]
    # All in one go, so dpkg finds the order; a pre-dependency that is unpacked but not yet configured
    # has to do, hence the force. What must hold in the end is asked of the audit.
    options = ["--force-depends", "--force-unsafe-io", "--install"]
    run(["chroot", str(root), "dpkg", *options, *names], env={"DEBIAN_FRONTEND": "noninteractive"})
    problems = run(["chroot", str(root), "dpkg", "--audit"])
    if problems.strip():
        raise CommandError(f"dpkg --audit in the installed host: {problems.strip()}")
    shutil.rmtree(inside)
    no_services.unlink()
    add_hardware(root, _version(packages))


def _version(packages: Path) -> str:
    return (packages / "version").read_text().strip()


_HERE = Path(__file__)
_RECIPE = (_HERE, _HERE.with_name("hardware.py"))

PLAIN = Artifact(name="host-plain", recipe=_RECIPE, build=_build_plain, needs=(PACKAGES,))
DEBIAN = Artifact(name="host-debian", recipe=_RECIPE, build=_build_debian, needs=(BASE, PACKAGES))

_LAYOUTS = {"plain": PLAIN, "debian": DEBIAN}


def make_host(layout: str, cache: Path) -> HostTree:
    """Return the host root of `layout`, "plain" or "debian", made first where it is missing.

    Raises:
        UnavailableError: this machine lacks root, a tool, or the network.
        CommandError: a command of the build failed.
    """
    require_root()
    directory = _LAYOUTS[layout].make(cache)
    return HostTree(root=directory / "root", version=_version(PACKAGES.make(cache)))


def read_package_files(cache: Path) -> dict[str, tuple[str, ...]]:
    """Return the absolute paths of the files and links (no directories) that each driver package holds.

    Raises:
        UnavailableError, CommandError: as for `make_host`.
    """
    require_root()
    listing = json.loads((PLAIN.make(cache) / _PACKAGE_FILES).read_text())
    return {package: tuple(paths) for package, paths in listing.items()}


def main() -> None:
    """Make what the command line asks for and print where it is."""
    parser = argparse.ArgumentParser(description="Make host roots around NVIDIA's real driver.")
    parser.add_argument("--cache", type=Path, default=cache_dir(), help="where they are kept (%(default)s)")
    parser.add_argument("layout", nargs="*", metavar="LAYOUT", help="plain, debian; default: both")
    chosen = parser.parse_args()
    unknown = set(chosen.layout) - set(_LAYOUTS)
    if unknown:
        parser.error(f"no such layout: {', '.join(sorted(unknown))}")
    try:
        for layout in chosen.layout or _LAYOUTS:
            sys.stdout.write(f"{make_host(layout, chosen.cache.absolute()).root}\n")
    except (UnavailableError, CommandError) as error:
        sys.exit(f"make_driver: {error}")


if __name__ == "__main__":
    main()
