"""Debian trixie's kubectl, which needs nothing but itself; bookworm's is too old for components of kustomize."""

from __future__ import annotations

from pathlib import Path

from tests.real.cache import Artifact
from tests.real.debian import SUITE, Source, find_sources, private_apt
from tests.real.process import run

_PACKAGE = "kubectl"


def _build(cache: Path, dest: Path) -> None:
    del cache
    mirror = next(source.uri for source in find_sources() if source.suite == SUITE)
    with private_apt(dest, (Source(uri=mirror, suite="trixie"),), architecture="amd64", components=("main",)) as apt:
        apt.download("apt-get", "download", "-q", _PACKAGE)
        [package] = apt.archives.glob("*.deb")
        run(["dpkg-deb", "--extract", str(package), str(dest / "root")])


KUBECTL = Artifact(name="kubectl", recipe=(Path(__file__),), build=_build)
"""`root/usr/bin/kubectl`."""


def kustomize(kubectl: Path, directory: Path) -> bytes:
    """Return what `kubectl kustomize` makes of a directory."""
    return run([str(kubectl), "kustomize", str(directory)]).encode()
