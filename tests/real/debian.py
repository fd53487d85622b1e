"""Debian bookworm as real input: a minimal root, and NVIDIA's driver with all that it depends on.

Nothing here names a mirror. The machine's own apt sources say where bookworm is; a private apt
configuration reads from there, with the components that carry the driver, and leaves the machine's package
lists and its package database alone.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.real.cache import Artifact
from tests.real.process import UnavailableError, download, run

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE = "bookworm"
"""The Debian release that everything is taken from."""

_COMPONENTS = ("main", "contrib", "non-free", "non-free-firmware")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_DRIVER_SOURCE = "nvidia-graphics-drivers"

_KERNEL_SUFFIXES = ("-dkms", "-kernel-source")
"""Packages that build a kernel module: no test loads one."""

_DRIVER_COMPANIONS = (
    "libnvidia-egl-gbm1",  # of source packages of their own, and loaded by the driver's libraries
    "libnvidia-egl-wayland1",
    "nvidia-modprobe",  # likewise, and started by the driver's libraries or at boot
    "nvidia-persistenced",
)

_PLACEHOLDER = """\
Package: cdigen-test-kernel
Version: 1
Architecture: all
Maintainer: cdigen tests <root@localhost>
Provides: nvidia-kernel-{version}
Description: stands in for the kernel module, which no test loads
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A place that apt gets bookworm from: the repository's address and the suite there."""

    uri: str
    suite: str


def find_sources() -> tuple[Source, ...]:
    """Return this machine's own sources for Debian bookworm, its updates and its security fixes.

    Raises:
        UnavailableError: apt is missing, has no package lists, or has no such source.
    """
    targets = run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(RELEASE)|$(REPO_URI)", "Created-By: Packages"])
    rows = {tuple(line.split("|", 2)) for line in targets.splitlines()}
    sources = sorted((suite, uri) for origin, suite, uri in rows if origin == "Debian" and suite.startswith(SUITE))
    if SUITE not in (suite for suite, _ in sources):
        raise UnavailableError(
            f"apt knows no Debian {SUITE} here: use a Debian {SUITE} machine and run `apt-get update`"
        )
    return tuple(Source(uri=uri, suite=suite) for suite, uri in sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateApt:
    """An apt with lists, archives and package database of its own; see `private_apt`."""

    directory: Path
    options: tuple[str, ...]

    @property
    def archives(self) -> Path:
        """The directory into which `install --download-only` and `download` put packages."""
        return self.directory / "cache" / "archives"

    def download(self, tool: str, *arguments: str) -> str:
        """Run `apt-get` or `apt-cache` with the private configuration and return its stdout."""
        return download([tool, *self.options, *arguments], cwd=self.archives)


@contextmanager
def private_apt(
    directory: Path,
    sources: tuple[Source, ...],
    *,
    architecture: str,
    components: tuple[str, ...] = _COMPONENTS,
    status: Path | None = None,
) -> Iterator[PrivateApt]:
    """Give an apt whose lists are fresh, with everything that it writes in a directory that goes away.

    Args:
        directory: where to make that directory.
        sources: what it reads.
        architecture: the only architecture that it knows packages of.
        components: the parts of the archive that it reads.
        status: the dpkg database that dependencies are resolved against; nothing is installed by default.

    Raises:
        UnavailableError: the lists could not be fetched, or Debian's keyring is not installed.
    """
    if not _KEYRING.is_file():
        raise UnavailableError(f"{_KEYRING} is missing: apt-get install debian-archive-keyring")
    with tempfile.TemporaryDirectory(prefix="apt-", dir=directory) as name:
        own = Path(name)
        for part in ("empty", "lists/partial", "cache/archives/partial"):
            (own / part).mkdir(parents=True)
        (own / "status").touch()
        entries = "".join(
            f"deb [signed-by={_KEYRING}] {source.uri} {source.suite} {' '.join(components)}\n" for source in sources
        )
        (own / "sources.list").write_text(entries)
        settings = {
            "Dir::Etc::sourcelist": own / "sources.list",
            "Dir::Etc::sourceparts": own / "empty",
            "Dir::Etc::preferencesparts": own / "empty",
            "Dir::State::lists": own / "lists",
            "Dir::State::status": status or own / "status",
            "Dir::State::extended_states": own / "extended_states",
            "Dir::Cache": own / "cache",
            "Dir::Cache::archives": own / "cache" / "archives",
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",  # _apt may not enter a cache directory under root's home
            "APT::Update::Error-Mode": "any",  # a list that is missing is an error, not a warning
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        options = tuple(f"-o={key}={value}" for key, value in settings.items())
        apt = PrivateApt(directory=own, options=options)
        apt.download("apt-get", "update", "-q")
        yield apt


def _build_base(_cache: Path, dest: Path) -> None:
    mirror = next(source.uri for source in find_sources() if source.suite == SUITE)
    proxy = run(["apt-config", "shell", "proxy", "Acquire::http::Proxy"]).strip()
    env = {"http_proxy": proxy.removeprefix("proxy=").strip("'")} if proxy else {}
    root = dest / "root"
    # In a mount namespace, so that the proc that debootstrap mounts there cannot outlive it.
    command = ["unshare", "--mount", "debootstrap", "--variant=minbase", f"--keyring={_KEYRING}"]
    download([*command, SUITE, str(root), mirror], env=env)
    for directory in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / directory)
        (root / directory).mkdir()


def _build_packages(cache: Path, dest: Path) -> None:
    if run(["dpkg", "--print-architecture"]).strip() != "amd64":
        raise UnavailableError("the real driver is taken for amd64: run these tests on an amd64 machine")
    status = BASE.path(cache) / "root/var/lib/dpkg/status"
    with private_apt(dest, find_sources(), architecture="amd64", status=status) as apt:
        driver, version = _find_driver(apt.download("apt-cache", "dumpavail"))
        support = dest / "support"
        support.mkdir()
        placeholder = _make_placeholder(support, version)
        apt.download("apt-get", "install", "--download-only", "--yes", "-q", str(placeholder), *driver)
        (dest / "driver").mkdir()
        for package in apt.archives.glob("*.deb"):
            kind = "driver" if package.name.partition("_")[0] in driver else "support"
            package.rename(dest / kind / package.name)
    (dest / "version").write_text(version + "\n")


def _find_driver(available: str) -> tuple[tuple[str, ...], str]:
    """Return the names of the driver's packages and its version, from `apt-cache dumpavail`'s answer."""
    names = set(_DRIVER_COMPANIONS)
    version = ""
    for stanza in available.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        name = fields.get("Package", "")
        if fields.get("Source", "").partition(" ")[0] == _DRIVER_SOURCE:
            if not name.endswith(_KERNEL_SUFFIXES):
                names.add(name)
            if name == "libcuda1":
                version = fields["Version"].rpartition("-")[0].rpartition(":")[2]
    if not version:
        raise UnavailableError(f"apt's mirror has no {_DRIVER_SOURCE} in Debian {SUITE} non-free")
    return tuple(sorted(names)), version


def _make_placeholder(directory: Path, version: str) -> Path:
    tree = directory / "placeholder"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(_PLACEHOLDER.format(version=version))
    package = directory / "cdigen-test-kernel_1_all.deb"
    run(["dpkg-deb", "--build", "--root-owner-group", str(tree), str(package)])
    shutil.rmtree(tree)
    return package


def copy_root(source: Path, dest: Path) -> None:
    """Copy a root directory with owners, modes and device nodes, sharing blocks where that is possible."""
    run(["cp", "--archive", "--reflink=auto", os.fspath(source), os.fspath(dest)])


_HERE = Path(__file__)

BASE = Artifact(name="base", recipe=(_HERE,), build=_build_base)
"""`root/`: bookworm's essential packages, by debootstrap."""

PACKAGES = Artifact(name="packages", recipe=(_HERE,), build=_build_packages, needs=(BASE,))
"""`driver/*.deb`, `support/*.deb` (what they depend on and `BASE` lacks) and `version`."""
