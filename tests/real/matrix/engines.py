"""The engines of the matrix, each behind one function: start a container of a kind with devices, return what it said.

Those of bookworm are this machine's; those of newer releases run in the release's root (`releases.py`), in a mount
namespace of their own. None has a network, and none asks a registry: they start from a root directory, or from an
image that was imported from an archive of it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from tests.real.bundle import inject, make_bundle, run_bundle, write_config
from tests.real.cache import cache_dir
from tests.real.engines import ENGINES, require_engine, run_in_container
from tests.real.engines import Engine as Runtime
from tests.real.make_driver import make_host
from tests.real.matrix.cri import Cri, CriError, Wanted
from tests.real.matrix.images import reference
from tests.real.matrix.releases import IN_RELEASE, RELEASE_13, RELEASE_TESTING
from tests.real.matrix.rootless import AS_USER, ROOTLESS_ROOTS, ROOTS_INSIDE, TREE, hold_namespaces
from tests.real.process import CommandError, UnavailableError, command_environment, require_root, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.real.matrix.images import Images, Kind
    from tests.real.matrix.releases import Release

_SECONDS = 120
_DAEMON_SECONDS = 60

_DOCKER_SETTINGS = {
    "features": {"cdi": True},
    "storage-driver": "overlay2",
    "bridge": "none",
    "iptables": False,
    "ip6tables": False,
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
}
_SANDBOX_ROOT = "merged-usr"
_CONTAINERD_SETTINGS = f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{reference(_SANDBOX_ROOT)}"
enable_cdi = true
cdi_spec_dirs = ["/etc/cdi"]
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = "/run/cni"
"""
_IMPORT = ("ctr", "--namespace=k8s.io", "images", "import")
_REFUSED = 125  # our own word for it: CRI has messages, no status
_SECONDS_TO_NOTICE = 10
"""How long containerd 2 may take until its CRI plugin has heard of an image that ctr has imported."""

_GVISOR_STARTS = 10
"""How often it is tried: in one of five sandboxes, a process that forks ends with status 2, also without devices."""
_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")  # a machine that is a container cannot raise them

Done = subprocess.CompletedProcess[str]
"""How a command ended, and what it wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One container: of which kind, with which devices, running what.

    Attributes:
        kind: the kind of image.
        devices: CDI names, such as `nvidia.com/gpu=all`.
        argv: the command in the container.
    """

    kind: Kind
    devices: tuple[str, ...]
    argv: tuple[str, ...]


class Engine(Protocol):
    """An engine that is ready, with the images and the spec that it was opened for."""

    def run(self, start: Start) -> Done:
        """Start a container and return how it ended; a refusal is a status and stderr, no exception."""


def _container_options(kind: Kind) -> list[str]:
    """Return the options that podman and docker share.

    MKNOD is there for `look`, which makes nodes to ask the device cgroup; docker's default set has it anyway.
    """
    options = ["--cap-add=MKNOD", *(f"--env={entry}" for entry in kind.env)]
    if kind.user:
        options.append(f"--user={kind.user}:{kind.user}")
    if kind.read_only:
        options.append("--read-only")
    return options


def _run(argv: Sequence[str]) -> Done:
    return subprocess.run(
        argv,
        capture_output=True,
        check=False,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        env=command_environment({"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _BookwormPodman:
    runtime: Runtime
    images: Images
    spec: Path

    def run(self, start: Start) -> Done:
        options = _container_options(start.kind)
        root = self.images.root(start.kind)
        return run_in_container(self.runtime, root, self.spec, start.devices, start.argv, options=options)


@dataclass(frozen=True, slots=True, kw_only=True)
class _RootlessPodman:
    prefix: tuple[str, ...]
    runtime: Runtime

    def run(self, start: Start) -> Done:
        return _run(
            [
                *(*self.prefix, *AS_USER, "podman", "--cgroup-manager=cgroupfs", "--events-backend=none"),
                *(f"--runtime={self.runtime}", "run", "--rm", "--network=none"),
                *(("--cgroups=disabled",) if self.runtime == "crun" else ()),  # crun asks systemd otherwise
                *(*_LIMITS, *_container_options(start.kind)),
                *(f"--device={device}" for device in start.devices),
                *("--rootfs", f"{ROOTS_INSIDE}/{start.kind.root}:O", *start.argv),
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Buildah:
    """Buildah, which names a container's devices when it makes it."""

    before: tuple[str, ...]
    images: Images

    def run(self, start: Start) -> Done:
        devices = [f"--device={device}" for device in start.devices]
        return _run([*self.before, "buildah", "--storage-driver=vfs", "from", *devices, "scratch"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Root:
    """The root of a release, ready to be entered: the prefix of a command that runs there, and where state is kept."""

    before: tuple[str, ...]
    state: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Docker:
    beside: tuple[str, ...]
    images: Images
    imported: set[str]

    def run(self, start: Start) -> Done:
        name = start.kind.root
        if name not in self.imported:
            run([*self.beside, "docker", "load", f"--input={self.images.archive(start.kind)}"])
            self.imported.add(name)
        return _run(
            [
                *(*self.beside, "docker", "run", "--rm", "--network=none", *_LIMITS, *_container_options(start.kind)),
                *(f"--device={device}" for device in start.devices),
                *(reference(name), *start.argv),
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Containerd:
    beside: tuple[str, ...]
    images: Images
    cri: Cri
    sandbox: str
    imported: set[str]

    def run(self, start: Start) -> Done:
        kind = start.kind
        if kind.root not in self.imported:
            run([*self.beside, *_IMPORT, str(self.images.archive(kind))])
            self.imported.add(kind.root)
        wanted = Wanted(
            name=f"{kind.name}-{start.devices[0].rpartition('=')[2].lower()}",
            image=reference(kind.root),
            argv=start.argv,
            devices=start.devices,
            env=kind.env,
            user=kind.user,
            read_only=kind.read_only,
        )
        deadline = time.monotonic() + _SECONDS_TO_NOTICE
        while True:
            try:
                status, stdout, stderr = self.cri.run(self.sandbox, wanted)
            except CriError as error:
                if "failed to resolve image" in str(error) and time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                status, stdout, stderr = _REFUSED, "", f"{error}\n"
            return Done(args=start.argv, returncode=status, stdout=stdout, stderr=stderr)


# $1 is the archive of an image, $2 the image's name, $3 the options of the container; the rest is the command.
_BUILDAH_RUN = """\
set -eu
archive=$1 image=$2 options=$3
shift 3
export TMPDIR=/tmp
buildah --storage-driver=overlay pull --quiet "docker-archive:$archive" > /dev/null
container=$(buildah --storage-driver=overlay from --pull-never $options "$image")
exec buildah --storage-driver=overlay run --isolation=oci --runtime=runc --network=none "$container" -- "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReleaseBuildah:
    before: tuple[str, ...]
    images: Images

    def run(self, start: Start) -> Done:
        options = " ".join([*_LIMITS, *(f"--device={device}" for device in start.devices)])
        archive, image = str(self.images.archive(start.kind)), reference(start.kind.root)
        return _run([*self.before, "sh", "-c", _BUILDAH_RUN, "sh", archive, image, options, *start.argv])


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReleasePodman:
    beside: tuple[str, ...]
    runtime: Runtime | Literal["runsc"]
    images: Images

    def run(self, start: Start) -> Done:
        # Here, gVisor can neither take over a network nor make cgroups.
        flags = () if self.runtime in ENGINES else ("--runtime-flag=network=none", "--runtime-flag=ignore-cgroups")
        argv = [
            *(*self.beside, "podman", "--storage-driver=vfs", "--cgroup-manager=cgroupfs", *flags),
            *("--events-backend=none", f"--runtime={self.runtime}", "--hooks-dir=/mnt"),
            *("run", "--rm", "--network=none", *_LIMITS, *_container_options(start.kind)),
            *(f"--device={device}" for device in start.devices),
            *("--rootfs", f"{self.images.root(start.kind)}:O", *start.argv),
        ]
        done = _run(argv)
        for _ in range(_GVISOR_STARTS - 1):
            if self.runtime != "runsc" or done.returncode != 2:
                break
            done = _run(argv)
        return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Injected:
    """A plain runtime, which knows nothing of CDI, on a bundle that `cdigen inject` edited."""

    runtime: Runtime
    images: Images
    specs: Path

    def run(self, start: Start) -> Done:
        kind = start.kind
        with tempfile.TemporaryDirectory(prefix="bundle-") as name:
            bundle = make_bundle(Path(name) / "bundle")
            capabilities = ["CAP_MKNOD", "CAP_SETGID", "CAP_SETUID"]
            sets = ("bounding", "effective", "permitted", "inheritable", "ambient")
            write_config(
                bundle,
                start.argv,
                is_read_only=kind.read_only,
                env=["PATH=/usr/sbin:/usr/bin:/sbin:/bin", *kind.env],
                user={"uid": kind.user or 0, "gid": kind.user or 0},
                capabilities=dict.fromkeys(sets, capabilities),
            )
            inject(bundle, self.specs, *(device.rpartition("=")[2] for device in start.devices))
            return run_bundle(self.runtime, bundle, self.images.root(kind))


def _require(*tools: str) -> None:
    require_root()
    path = command_environment()["PATH"]
    missing = [tool for tool in tools if shutil.which(tool, path=path) is None]
    if missing:
        raise UnavailableError(
            f"{', '.join(missing)} not installed: apt-get install what tests/real/packages.txt lists"
        )


@contextmanager
def _bookworm_podman(runtime: Runtime, images: Images, spec: Path) -> Iterator[Engine]:
    require_engine(runtime)
    yield _BookwormPodman(runtime=runtime, images=images, spec=spec)


@contextmanager
def _bookworm_injected(runtime: Runtime, images: Images, spec: Path) -> Iterator[Engine]:
    _require(runtime, "unshare")
    with tempfile.TemporaryDirectory(prefix="specs-") as name:
        shutil.copy(spec, name)
        yield _Injected(runtime=runtime, images=images, specs=Path(name))


@contextmanager
def _bookworm_rootless(runtime: Runtime, _images: Images, spec: Path) -> Iterator[Engine]:
    require_engine(runtime)
    _require("newuidmap", "fuse-overlayfs", "nsenter", "setpriv")
    cache = cache_dir()
    tree = make_host("debian", cache).root
    roots = ROOTLESS_ROOTS.make(cache)
    with tempfile.TemporaryDirectory(prefix=f"engine-rootless-{runtime}-", dir=cache) as name:
        state = Path(name)
        ready = state / "ready"
        argv = hold_namespaces(tree, roots, state, ready)
        with _beside(argv, state, ("test", "-e", str(ready))) as prefix:
            roots_of_host = ("--driver-root", TREE, "--dev-root", "/")
            shown = ("--procfs", f"{TREE}/proc", "--sysfs", f"{TREE}/sys", "--output", f"/etc/cdi/{spec.name}")
            run([*prefix, sys.executable, "-m", "cdigen", "generate", *roots_of_host, *shown])
            yield _RootlessPodman(prefix=prefix, runtime=runtime)


@contextmanager
def _bookworm_buildah(images: Images, _spec: Path) -> Iterator[Engine]:
    _require("buildah")
    with tempfile.TemporaryDirectory(prefix="buildah-") as state:
        yield _Buildah(before=("env", f"XDG_RUNTIME_DIR={state}", f"HOME={state}"), images=images)


@contextmanager
def _in_release(release: Release, spec: Path, name: str) -> Iterator[_Root]:
    """Give the root of a release with an empty state and `spec` in /etc/cdi."""
    _require("unshare", "pivot_root", "nsenter")
    cache = cache_dir()
    root = release.engines.make(cache) / "root"
    with tempfile.TemporaryDirectory(prefix=f"engine-{release.name}-{name}-", dir=cache) as state:
        specs = Path(state) / "specs"
        specs.mkdir()
        shutil.copy(spec, specs)
        # A process namespace too: what an engine leaves running ends with the command.
        enter = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", IN_RELEASE, "sh")
        yield _Root(state=Path(state), before=(*enter, str(root), str(specs), state, str(cache)))


@contextmanager
def _beside(argv: Sequence[str], state: Path, ready: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Run `argv`, which makes namespaces, and give the prefix of commands in them, once `ready` succeeds there.

    In the end nothing runs in them any more and `state`, which is in use there, is empty.
    """
    log = state / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=command_environment()
        )
    try:
        end = time.monotonic() + _DAEMON_SECONDS
        while True:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            prefix = ("nsenter", f"--target={children[0]}", "--mount", "--pid", "--") if children else ()
            if prefix and _run([*prefix, *ready]).returncode == 0:
                break
            if process.poll() is not None or time.monotonic() > end:
                tail = " / ".join(log.read_text(errors="replace").splitlines()[-5:])
                raise CommandError(f"{' '.join(argv)[-200:]}: not ready: {tail}")
            time.sleep(0.1)
        yield prefix
    finally:
        process.kill()  # the first process of its namespace dies with it, and with that all the others
        process.wait()
        _wait_until_gone(state)


def _wait_until_gone(directory: Path) -> None:
    """Wait until no process keeps anything below `directory` mounted; the kernel ends a namespace in its own time."""
    end = time.monotonic() + _DAEMON_SECONDS
    while time.monotonic() < end:
        try:
            shutil.rmtree(directory)
        except OSError:
            time.sleep(0.1)
        else:
            break
    directory.mkdir(exist_ok=True)  # its owner removes it


@contextmanager
def open_release_podman(
    release: Release, runtime: Runtime | Literal["runsc"], images: Images, spec: Path
) -> Iterator[Engine]:
    # All in one namespace: podman takes a new /run for a machine that was booted anew, and so loses what runs beside.
    with _in_release(release, spec, f"podman-{runtime}") as root:
        argv = ("sh", "-c", ": > /run/ready && exec sleep infinity")
        with _beside([*root.before, *argv], root.state, ("test", "-e", "/run/ready")) as beside:
            yield _ReleasePodman(beside=beside, runtime=runtime, images=images)


@contextmanager
def open_trixie_buildah(images: Images, spec: Path) -> Iterator[Engine]:
    """Make trixie's buildah ready. It is no row of the table: see the test that uses it."""
    with _in_release(RELEASE_13, spec, "buildah") as root:
        yield _ReleaseBuildah(before=root.before, images=images)


@contextmanager
def _release_docker(release: Release, images: Images, spec: Path) -> Iterator[Engine]:
    with _in_release(release, spec, "docker") as root:
        settings = root.state / "daemon.json"
        settings.write_text(json.dumps(_DOCKER_SETTINGS))
        argv = ("dockerd", f"--config-file={settings}", "--log-level=warn")
        with _beside([*root.before, *argv], root.state, ("docker", "version")) as beside:
            yield _Docker(beside=beside, images=images, imported=set())


@contextmanager
def _release_containerd(release: Release, images: Images, spec: Path) -> Iterator[Engine]:
    _require("curl")
    with _in_release(release, spec, "containerd") as root:
        settings = root.state / "config.toml"
        settings.write_text(_CONTAINERD_SETTINGS)
        logs = root.state / "logs"
        logs.mkdir()
        argv = ("containerd", f"--config={settings}", "--log-level=warn")
        with _beside([*root.before, *argv], root.state, ("ctr", "version")) as beside:
            process = beside[1].partition("=")[2]
            cri = Cri(socket=Path(f"/proc/{process}/root/run/containerd/containerd.sock"), logs=logs)
            run([*beside, *_IMPORT, str(images.archives / f"{_SANDBOX_ROOT}.tar")])
            sandbox = cri.start_sandbox()
            yield _Containerd(beside=beside, images=images, cri=cri, sandbox=sandbox, imported={_SANDBOX_ROOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An engine of the table.

    Attributes:
        name: what tests and the table call it.
        about: where it comes from.
        open: makes it ready for images and a spec, as a context.
        knows_user: whether it applies specs knowing the container's user, who is then the owner of the device nodes,
            and keeps the groups that a spec adds. Otherwise the DRM nodes are closed to whoever is not root.
        rootless: whether an unprivileged user runs it. It makes no device nodes, and those of the host are as they
            are there: the DRM nodes are closed to who is not in the group video.
    """

    name: str
    about: str
    open: Callable[[Images, Path], AbstractContextManager[Engine]]
    knows_user: bool = True
    rootless: bool = False


ROWS = (
    Row(name="podman 4.3, runc", about="Debian 12", open=partial(_bookworm_podman, "runc")),
    Row(name="podman 4.3, crun", about="Debian 12", open=partial(_bookworm_podman, "crun")),
    Row(name="buildah 1.28", about="Debian 12", open=_bookworm_buildah),
    Row(name="runc 1.1, cdigen inject", about="Debian 12", open=partial(_bookworm_injected, "runc")),
    Row(name="crun 1.8, cdigen inject", about="Debian 12", open=partial(_bookworm_injected, "crun")),
    Row(name="rootless podman 4.3, runc", about="Debian 12", open=partial(_bookworm_rootless, "runc"), rootless=True),
    Row(name="rootless podman 4.3, crun", about="Debian 12", open=partial(_bookworm_rootless, "crun"), rootless=True),
    Row(name="podman 5.4, runc", about="Debian 13", open=partial(open_release_podman, RELEASE_13, "runc")),
    Row(name="podman 5.4, crun", about="Debian 13", open=partial(open_release_podman, RELEASE_13, "crun")),
    Row(name="docker 26, runc", about="Debian 13", open=partial(_release_docker, RELEASE_13), knows_user=False),
    Row(name="containerd 1.7 by CRI, runc", about="Debian 13", open=partial(_release_containerd, RELEASE_13)),
    Row(name="podman 5.8, runc", about="testing", open=partial(open_release_podman, RELEASE_TESTING, "runc")),
    Row(name="podman 5.8, crun", about="testing", open=partial(open_release_podman, RELEASE_TESTING, "crun")),
    Row(name="docker 28, runc", about="testing", open=partial(_release_docker, RELEASE_TESTING), knows_user=False),
    Row(name="containerd 2.1 by CRI, runc", about="testing", open=partial(_release_containerd, RELEASE_TESTING)),
)
"""Every engine, in the order of the table."""
