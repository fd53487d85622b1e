"""Which container engines there are, and since when each can what. Data; every row has its source.

`reads` is a lower bound: the highest cdiVersion that a release is known to read, from the release named on. Marks: M
measured with Debian's packages (docs/engines.md, facts of the tests), C the change that brought it, P published by the
project.
"""

from __future__ import annotations

from typing import TypeVar

from cdigen.records import Record

T = TypeVar("T")

Version = tuple[int, int]

BOTH = ("/etc/cdi", "/var/run/cdi")
"""The directories that engines read if nothing else is configured, the one that counts more last."""

FIRST_ONLY = ("/etc/cdi",)


class EngineRow(Record):
    """An engine.

    Attributes:
        name: what it is called.
        programs: names of the program that reads specs, the most telling first.
        config: whose configuration it reads, see `cdigen.engines.config`.
        since: the first release that reads CDI specs.
        on_since: the first release that does without being told to; None if all do.
        reads: releases and the highest cdiVersion that is known to be read from each on, oldest first.
        directories: releases and the directories that are read from each on if none are configured.
        configurable_since: the first release whose directories can be configured.
        one_main_file_since: the first release that reads one containers.conf instead of all; None if none is known to.
        limits: what it can do with a device of a spec only if something else is right, a clause.
    """

    name: str
    programs: tuple[str, ...]
    config: str
    since: Version
    on_since: Version | None
    reads: tuple[tuple[Version, str], ...]
    directories: tuple[tuple[Version, tuple[str, ...]], ...] = (((0, 0), BOTH),)
    configurable_since: Version = (0, 0)
    one_main_file_since: Version | None = None
    limits: str = ""


ENGINES = (
    EngineRow(
        name="podman",
        programs=("podman",),
        config="containers",
        since=(4, 1),  # P: release notes of 4.1.0
        on_since=None,
        reads=(((4, 3), "0.5.0"), ((5, 1), "0.7.0"), ((5, 4), "0.8.0")),  # M: 4.3.1, 5.4.2; C: containers/podman#22280
        # P: containers/podman#26569, containers/common#2460: 5.5 reads the first alone
        directories=(((0, 0), BOTH), ((5, 5), FIRST_ONLY), ((5, 6), BOTH)),
        configurable_since=(5, 5),  # P: containers/podman#25691
        one_main_file_since=(6, 0),  # P: containers/podman#27657; M: 6.1.1
    ),
    EngineRow(
        name="buildah",
        programs=("buildah",),
        config="containers",
        since=(1, 36),  # C: containers/buildah#5443
        on_since=None,
        reads=(((1, 36), "0.7.0"), ((1, 39), "0.8.0")),  # C: containers/common#1944; M: 1.39
        directories=(((0, 0), FIRST_ONLY), ((1, 41), BOTH)),  # P: containers/common#2460, its library's default
        limits="containers with a device start only with crun on cgroup v2",  # M: 1.43, 1.45; not with runc, not on v1
    ),
    EngineRow(
        name="docker",
        programs=("dockerd", "docker"),
        config="docker",
        since=(25, 0),  # C: moby/moby#45134
        on_since=(28, 2),  # C: moby/moby#49963
        reads=(((25, 0), "0.6.0"), ((27, 0), "0.7.0"), ((28, 2), "1.0.0")),  # C: moby/moby#47706, #49738
    ),
    EngineRow(
        name="containerd",
        programs=("containerd",),
        config="containerd",
        since=(1, 7),  # C: containerd/containerd#6654
        on_since=(2, 0),  # C: containerd/containerd#9621
        reads=(((1, 7), "0.5.0"), ((2, 0), "0.8.0")),  # P: the library's release of the time
    ),
    EngineRow(
        name="CRI-O",
        programs=("crio",),
        config="crio",
        since=(1, 23),  # C: cri-o/cri-o#5571
        on_since=None,
        reads=(),
    ),
    EngineRow(
        name="nerdctl",
        programs=("nerdctl",),
        config="nerdctl",
        since=(2, 1),  # C: containerd/nerdctl#4170
        on_since=None,
        reads=(((2, 1), "0.8.0"),),  # P: containerd 2.0's library
    ),
    EngineRow(name="k3s", programs=("k3s",), config="k3s", since=(0, 0), on_since=None, reads=()),
    EngineRow(name="rke2", programs=("rke2",), config="rke2", since=(0, 0), on_since=None, reads=()),
)
"""In the order of the report. k3s and rke2 bring a containerd; the file that they write for it tells its generation."""

PLACES = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin", "/opt/bin", "/snap/bin")
"""Directories in which engines are."""


def at(rows: tuple[tuple[Version, T], ...], version: Version) -> T | None:
    """Return what holds for a release: the last row that is not newer."""
    return next((value for since, value in reversed(rows) if since <= version), None)
