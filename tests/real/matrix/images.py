"""The kinds of image that the matrix starts containers from, each a root directory and the options that go with it.

Two whole distributions (debootstrapped bookworm and trixie) and small roots made of Debian's own glibc, each of
which differs from the others in one thing that can break an injected driver: where its loader looks, whether
it has a shell or a linker cache, what stands where a library has to be mounted, and which of `/lib`, `/lib64`
and `/usr/lib64` are links. All have `probe` and `look` (`look.c`).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.real.cache import Artifact
from tests.real.debian import BASE, copy_root
from tests.real.make_images import PROBE, RHEL_LIKE
from tests.real.matrix.releases import TRIXIE
from tests.real.process import UnavailableError, require_root, run

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE = Path(__file__)
_LOOK_SOURCE = _HERE.with_name("look.c")
_TRIPLET = "x86_64-linux-gnu"
_BUSYBOX_NAMES = ("cat", "env", "ls", "sh", "stat", "true")

STALE_VERSION = "470.00.00"
"""The version that the stale libcuda of an image claims; there is no such driver."""

STALE_ANSWER = 999
"""What the stale libcuda's cuInit answers, so that nobody takes it for the driver's."""

_STALE_SOURCE = f"int cuInit(unsigned flags) {{ (void)flags; return {STALE_ANSWER}; }}\n"

DEBIAN_DIRECTORIES = (f"/lib/{_TRIPLET}", f"/usr/lib/{_TRIPLET}", "/lib", "/usr/lib")
"""What is built into Debian's loader, in its order."""

RHEL_DIRECTORIES = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
"""What is built into the loader of the other roots: the RHEL family's directories, and then two more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of image, and how a container of it is started.

    Attributes:
        name: what tests and the table call it.
        about: what is special about it, for the table.
        root: which root directory it starts from, a name in `_BUILDERS`.
        directories: where its loader looks, as absolute paths in it.
        libc: the version of its glibc.
        env: the variables that the image sets, `NAME=VALUE`.
        user: the numeric user and group that the container runs as; 0 for root.
        read_only: whether the container's root is read-only.
    """

    name: str
    about: str
    root: str
    directories: tuple[str, ...] = DEBIAN_DIRECTORIES
    libc: str = "2.36"
    env: tuple[str, ...] = field(default=())
    user: int = 0
    read_only: bool = False


KINDS = (
    Kind(name="bookworm", about="Debian 12, debootstrapped", root="bookworm"),
    Kind(name="trixie", about="Debian 13, debootstrapped", root="trixie", libc="2.41"),
    Kind(name="rhel-like", about="a loader for `/usr/lib64`", root="rhel-like", directories=RHEL_DIRECTORIES),
    Kind(name="distroless", about="loader and libc; no shell, no ldconfig, no linker cache", root="distroless"),
    Kind(name="stale-libcuda", about="an old libcuda behind its link, in the linker cache", root="stale-libcuda"),
    Kind(name="dangling-link", about="`libcuda.so.1` is a link to nothing", root="dangling-link"),
    Kind(
        name="library-path",
        about="sets `LD_LIBRARY_PATH`",
        root="merged-usr",
        env=("LD_LIBRARY_PATH=/opt/application/lib",),
    ),
    Kind(
        name="nvidia-library-path",
        about="sets `LD_LIBRARY_PATH` as the vendor's images do",
        root="rhel-like",
        directories=RHEL_DIRECTORIES,
        env=("LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64",),
    ),
    Kind(name="read-only", about="distroless, started with a read-only root", root="distroless", read_only=True),
    Kind(
        name="non-root",
        about="rhel-like, started as user 1000",
        root="rhel-like",
        directories=RHEL_DIRECTORIES,
        user=1000,
    ),
    Kind(name="merged-usr", about="`/lib` and `/lib64` are links into `/usr`", root="merged-usr"),
    Kind(name="unmerged-usr", about="`/lib` and `/lib64` are directories, no `/usr/lib64`", root="unmerged-usr"),
    Kind(
        name="arch-like",
        about="`/usr/lib64`, `/lib64` and `/lib` are links to `/usr/lib`",
        root="arch-like",
        directories=RHEL_DIRECTORIES,
    ),
)
"""Every kind, in the order of the table."""


def _build_look(_cache: Path, dest: Path) -> None:
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-s"]
    run(["gcc", *flags, "-o", str(dest / "look"), str(_LOOK_SOURCE)])
    stale = dest / "stale.c"
    stale.write_text(_STALE_SOURCE)
    run(["gcc", *flags, "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(dest / "libcuda"), str(stale)])


def _add_programs(cache: Path, root: Path) -> None:
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy2(PROBE.path(cache) / "probe", root / "usr/bin/probe")
    shutil.copy2(LOOK.path(cache) / "look", root / "usr/bin/look")


def _add_busybox(root: Path) -> None:
    busybox = shutil.which("busybox", path="/bin:/usr/bin")
    if busybox is None:
        raise UnavailableError("busybox is not installed: apt-get install busybox-static")
    shutil.copy2(busybox, root / "usr/bin/busybox")
    for name in _BUSYBOX_NAMES:
        (root / "usr/bin" / name).symlink_to("busybox")


def _make_empty(root: Path) -> None:
    for directory in ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/lib"):
        (root / directory).mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")


def _add_debian_glibc(cache: Path, root: Path) -> None:
    """Copy the shared objects of bookworm's libc6, the loader's name in /lib64 included, to where `root` leads them."""
    base = BASE.path(cache) / "root"
    listing = (base / "var/lib/dpkg/info/libc6:amd64.list").read_text().splitlines()
    for path in sorted(listing):
        inside = path.removeprefix("/usr")
        if not inside.startswith((f"/lib/{_TRIPLET}/", "/lib64/")) or ".so" not in inside or "/gconv/" in inside:
            continue
        target = root / inside[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(base / inside[1:], target)


def _build_bookworm(cache: Path, root: Path) -> None:
    copy_root(BASE.path(cache) / "root", root)


def _build_trixie(cache: Path, root: Path) -> None:
    copy_root(TRIXIE.path(cache) / "root", root)


def _build_rhel_like(cache: Path, root: Path) -> None:
    copy_root(RHEL_LIKE.path(cache) / "root", root)


def _build_distroless(cache: Path, root: Path) -> None:
    _make_empty(root)
    _add_debian_glibc(cache, root)


def _build_merged(cache: Path, root: Path) -> None:
    _make_empty(root)
    for name in ("bin", "lib", "lib64"):
        (root / "usr" / name).mkdir(exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    _add_debian_glibc(cache, root)
    _add_busybox(root)
    run(["ldconfig", "-r", str(root)])


def _build_unmerged(cache: Path, root: Path) -> None:
    _make_empty(root)
    _add_debian_glibc(cache, root)
    _add_busybox(root)
    (root / "bin").mkdir()
    (root / "bin/sh").symlink_to("../usr/bin/busybox")
    run(["ldconfig", "-r", str(root)])


def _build_stale(cache: Path, root: Path) -> None:
    _build_merged(cache, root)
    directory = root / "usr/lib" / _TRIPLET
    shutil.copy2(LOOK.path(cache) / "libcuda", directory / f"libcuda.so.{STALE_VERSION}")
    (directory / "libcuda.so.1").symlink_to(f"libcuda.so.{STALE_VERSION}")
    run(["ldconfig", "-r", str(root)])


def _build_dangling(cache: Path, root: Path) -> None:
    _build_merged(cache, root)
    (root / "usr/lib" / _TRIPLET / "libcuda.so.1").symlink_to(f"libcuda.so.{STALE_VERSION}")


def _build_arch_like(cache: Path, root: Path) -> None:
    copy_root(RHEL_LIKE.path(cache) / "root", root)
    shutil.rmtree(root / "usr/lib")
    (root / "usr/lib64").rename(root / "usr/lib")
    (root / "lib64").unlink()
    (root / "lib64").symlink_to("usr/lib")
    (root / "usr/lib64").symlink_to("lib")


_BUILDERS: dict[str, Callable[[Path, Path], None]] = {
    "bookworm": _build_bookworm,
    "trixie": _build_trixie,
    "rhel-like": _build_rhel_like,
    "distroless": _build_distroless,
    "stale-libcuda": _build_stale,
    "dangling-link": _build_dangling,
    "merged-usr": _build_merged,
    "unmerged-usr": _build_unmerged,
    "arch-like": _build_arch_like,
}


def _build_roots(cache: Path, dest: Path) -> None:
    for name, build in _BUILDERS.items():
        build(cache, dest / name)
        _add_programs(cache, dest / name)


def _build_archives(cache: Path, dest: Path) -> None:
    for name in _BUILDERS:
        layer = dest / "layer.tar"
        with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as archive:
            archive.add(ROOTS.path(cache) / name, arcname=".")
        with layer.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/usr/bin/busybox", "sleep", "1000000"]},  # of a pod's sandbox; others say what to run
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [],
        }
        (dest / "config.json").write_text(json.dumps(config))
        manifest = [{"Config": "config.json", "RepoTags": [reference(name)], "Layers": ["layer.tar"]}]
        (dest / "manifest.json").write_text(json.dumps(manifest))
        with tarfile.open(dest / f"{name}.tar", "w", format=tarfile.PAX_FORMAT) as archive:
            for part in ("manifest.json", "config.json", "layer.tar"):
                archive.add(dest / part, arcname=part)
                (dest / part).unlink()


def reference(root: str) -> str:
    """Return the name of the image in the archive of `root`."""
    return f"localhost/cdigen/{root}:1"


LOOK = Artifact(name="matrix-look", recipe=(_LOOK_SOURCE, _HERE), build=_build_look)
ROOTS = Artifact(name="matrix-roots", recipe=(_HERE,), build=_build_roots, needs=(BASE, TRIXIE, PROBE, RHEL_LIKE, LOOK))
"""One directory a root."""

ARCHIVES = Artifact(name="matrix-archives", recipe=(_HERE,), build=_build_archives, needs=(ROOTS,))
"""`NAME.tar` of each root, an image as `docker save` writes it, for engines that load images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Where the roots of the kinds are.

    Attributes:
        roots: the directory of the root directories.
        archives: the directory of their archives.
    """

    roots: Path
    archives: Path

    def root(self, kind: Kind) -> Path:
        """Return the root directory of `kind`."""
        return self.roots / kind.root

    def archive(self, kind: Kind) -> Path:
        """Return the archive of the image of `kind`; `reference` is its name there."""
        return self.archives / f"{kind.root}.tar"


def make_images(cache: Path) -> Images:
    """Return where the roots are, made first where they are missing.

    Raises:
        UnavailableError: this machine lacks root, a tool, or the network.
        CommandError: a command of the build failed.
    """
    require_root()
    return Images(roots=ROOTS.make(cache), archives=ARCHIVES.make(cache))
