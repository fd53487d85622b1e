"""Hosts on which no spec, or not the whole spec, can be made: live trees with real ELF files and device nodes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import FIXTURES
from tests.cli.program import bound_to_permissions, run_program
from tests.cli.standing_spec import StandingSpec, assert_refused
from tests.hosts import (
    LIBDIR,
    OTHER_VERSION,
    VERSION,
    link,
    minimal_entries,
    user_space_entries,
    without,
    write_tree,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost
    from tests.hosts import Entries

LIBCUDA = f"{LIBDIR}/libcuda.so.{VERSION}"
PROC_VERSION = "/proc/driver/nvidia/version"
REINSTALL = f"reinstall the user-space driver {VERSION}"
NO_KERNEL = without(minimal_entries(), PROC_VERSION)


def nothing(root: Path) -> None:
    """Leave the tree as the entries say."""


def libcuda_is(fixture: str) -> Callable[[Path], None]:
    """Return what makes libcuda a copy of one of the ELF fixtures."""

    def do(root: Path) -> None:
        (root / LIBCUDA[1:]).write_bytes((FIXTURES / fixture).read_bytes())

    return do


def linked(path: str, target: str) -> Callable[[Path], None]:
    """Return what puts a symbolic link in the place of `path`."""

    def do(root: Path) -> None:
        (root / path[1:]).parent.mkdir(exist_ok=True)
        (root / path[1:]).unlink(missing_ok=True)
        (root / path[1:]).symlink_to(target)

    return do


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A host that is refused.

    Attributes:
        name: what is wrong.
        entries: the host.
        spoil: what entries cannot say, done to the tree.
        code: the exit code.
        message: the error, whole.
        warnings: what is said before it.
    """

    name: str
    code: int
    message: str
    entries: Entries = field(default_factory=minimal_entries)
    spoil: Callable[[Path], None] = nothing
    warnings: tuple[str, ...] = ()


REFUSALS = (
    Refusal(
        name="no driver",
        entries={"/usr/lib": {"kind": "dir"}},
        code=3,
        message=(
            f"no NVIDIA driver: neither {PROC_VERSION} nor a libcuda.so.<version> below /;"
            " install the driver, or name its directory with --driver-root"
        ),
    ),
    Refusal(
        name="driver installed but not loaded",
        entries=without(NO_KERNEL, "/dev", "/proc", "/sys"),
        code=3,
        message=(
            f"the user-space driver {VERSION} is installed but the kernel module is not loaded: no {PROC_VERSION},"
            " no /sys/module/nvidia/version and no /dev/nvidia<N>; load it with: modprobe nvidia"
        ),
    ),
    Refusal(
        name="versions differ",
        entries={
            **without(minimal_entries(), *user_space_entries(VERSION, LIBDIR)),
            **user_space_entries(OTHER_VERSION, LIBDIR),
        },
        code=4,
        message=(
            f"the kernel module is {VERSION} ({PROC_VERSION}) but the user-space driver is {OTHER_VERSION}"
            f" ({LIBDIR}/libcuda.so.{OTHER_VERSION}); reboot to load the module that was installed with it,"
            f" or install the user-space driver {VERSION}"
        ),
    ),
    Refusal(
        name="two user-space versions and no kernel module",
        entries={**user_space_entries(OTHER_VERSION, LIBDIR), **NO_KERNEL},
        code=4,
        message=(
            f"several user-space drivers ({LIBDIR}/libcuda.so.{OTHER_VERSION} and {LIBCUDA}) and no kernel module that"
            " tells which one runs; remove the drivers that are not in use, or load the module with: modprobe nvidia"
        ),
    ),
    Refusal(
        name="kernel module without user space",
        entries=without(minimal_entries(), "/usr/lib/x86_64-linux-gnu"),
        code=5,
        message=(
            f"the kernel module {VERSION} is loaded ({PROC_VERSION}) but there is no libcuda.so.{VERSION} below /;"
            f" install the user-space driver {VERSION}, or name its directory with --driver-root"
        ),
    ),
    Refusal(
        name="no nvidiactl",
        entries=without(minimal_entries(), "/dev/nvidiactl"),
        code=5,
        message="/dev/nvidiactl is missing; create with: cdigen nodes --create",
    ),
    Refusal(
        name="no nvidia-uvm",
        entries=without(minimal_entries(), "/dev/nvidia-uvm"),
        code=5,
        message="/dev/nvidia-uvm is missing; create with: cdigen nodes --create",
    ),
    Refusal(
        name="no device nodes",
        entries=without(minimal_entries(), "/dev"),
        code=5,
        message=(
            "/dev/nvidiactl, /dev/nvidia-uvm, /dev/nvidia0 (GPU 0000:01:00.0) are missing; create with: cdigen nodes"
            " --create"
        ),
        warnings=(
            (
                "/dev/nvidia-uvm-tools is missing: unified memory events, for profilers; create it with:"
                " nvidia-modprobe -u -c 0"
            ),
            "/dev/nvidia-modeset is missing: mode setting, for Vulkan and displays; create it with: nvidia-modprobe -m",
            (
                "/dev/dri/card0 of GPU 0000:01:00.0 is missing; graphics programs will not find it; let udev"
                " create it: udevadm trigger --subsystem-match=drm"
            ),
            (
                "/dev/dri/renderD128 of GPU 0000:01:00.0 is missing; graphics programs will not find it; let udev"
                " create it: udevadm trigger --subsystem-match=drm"
            ),
        ),
    ),
    Refusal(
        name="nvidiactl is a file",
        entries={**minimal_entries(), "/dev/nvidiactl": {"kind": "file"}},
        code=5,
        message=("/dev/nvidiactl is not a character device; create with: cdigen nodes --create"),
    ),
    Refusal(
        name="no GPU",
        entries=minimal_entries(gpus=0),
        code=5,
        message=(
            "/proc/driver/nvidia/gpus lists no GPU that can be used; see what the driver says in the kernel"
            " log: dmesg | grep -i nvrm"
        ),
    ),
    *(
        Refusal(
            name=f"libcuda is {name}",
            spoil=libcuda_is(fixture),
            code=5,
            message=f"no libcuda.so.{VERSION} can be used ({LIBCUDA}: {reason}); {REINSTALL}",
        )
        for name, fixture, reason in (
            ("empty", "damaged/empty.so", "empty file"),
            (
                "truncated in its header",
                "damaged/cut-in-header.so",
                "truncated: the ELF header ends at byte 64, the file at byte 40",
            ),
            (
                "truncated in the middle",
                "damaged/cut-in-half.so",
                "truncated: the segments end at byte 1256, the file at byte 1136",
            ),
            ("a text", "damaged/text.so", "not an ELF file (starts with the bytes 2f 2a 20 47)"),
            ("zeros", "damaged/zeros.so", "not an ELF file (starts with the bytes 00 00 00 00)"),
            (
                "for the other machine",
                "aarch64/libneeds.so.1",
                "for aarch64, the kernel module is for x86_64",
            ),
            ("for an unknown machine", "s390x/libplain.so.1", "for 64-bit em22, which is not supported"),
            ("32-bit", "i386/libneeds.so.1", "32-bit"),
            ("a program", "x86_64/program-fixed", "not a shared object"),
        )
    ),
    Refusal(
        name="libcuda is a link to itself",
        spoil=linked(LIBCUDA, f"libcuda.so.{VERSION}"),
        code=5,
        message=(
            f"the kernel module {VERSION} is loaded ({PROC_VERSION}) but there is no libcuda.so.{VERSION} below /;"
            f" install the user-space driver {VERSION}, or name its directory with --driver-root"
        ),
        warnings=tuple(
            f"{LIBDIR}/{name}: leads through more than 40 symbolic links; it is not injected; remove the link cycle"
            for name in ("libcuda.so", "libcuda.so.1", f"libcuda.so.{VERSION}")
        ),
    ),
    Refusal(
        name="nvidiactl is a link cycle",
        entries={**minimal_entries(), "/dev/nvidiactl": link("a"), "/dev/a": link("nvidiactl")},
        code=5,
        message=(
            "/dev/nvidiactl cannot be looked at (leads through more than 40 symbolic links);"
            " create with: cdigen nodes --create"
        ),
    ),
    Refusal(
        name="libcuda climbs out of the root",
        # `outside` stands beside the root and has a good libcuda, which must not be seen.
        spoil=linked(LIBCUDA, f"../../../../../../outside/libcuda.so.{VERSION}"),
        code=5,
        message=(
            f"the kernel module {VERSION} is loaded ({PROC_VERSION}) but there is no libcuda.so.{VERSION} below /;"
            f" install the user-space driver {VERSION}, or name its directory with --driver-root"
        ),
    ),
    Refusal(
        name="nvidiactl climbs out of the root",
        entries={**minimal_entries(), "/dev/nvidiactl": link("../../outside/nvidiactl")},
        code=5,
        message="/dev/nvidiactl is missing; create with: cdigen nodes --create",
    ),
)


@pytest.fixture
def standing(tmp_path: Path) -> StandingSpec:
    return StandingSpec(tmp_path / "cdi")


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_a_host_for_which_the_spec_would_be_wrong_is_refused(
    case: Refusal, tmp_path: Path, make_host: MakeHost, cdigen: Cdigen, standing: StandingSpec
) -> None:
    root = make_host(case.entries)
    good = {f"/libcuda.so.{VERSION}": minimal_entries()[LIBCUDA], "/nvidiactl": minimal_entries()["/dev/nvidiactl"]}
    write_tree(tmp_path / "outside", good, FIXTURES)
    case.spoil(root)

    run = cdigen("generate", "--host-root", root, "-o", standing.path)

    assert_refused(run, case.code, case.message, case.warnings)
    standing.assert_untouched()


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """A host that is odd but has its spec, the same as without the oddity.

    Attributes:
        name: what is odd.
        spoil: makes it so.
        warnings: what is said of it.
    """

    name: str
    spoil: Callable[[Path], None]
    warnings: tuple[str, ...] = ()


def cache_is(data: bytes) -> Callable[[Path], None]:
    """Return what writes the linker cache."""

    def do(root: Path) -> None:
        (root / "etc").mkdir()
        (root / "etc" / "ld.so.cache").write_bytes(data)

    return do


def crowded(root: Path) -> None:
    """Put 20,000 files that are not the driver's beside its libraries."""
    for number in range(20_000):
        (root / LIBDIR[1:] / f"libunrelated{number}.so.{number % 7}").touch()


CACHE = "/etc/ld.so.cache: {}; the usual directories are searched instead; rebuild it with: ldconfig"
ODDITIES = (
    Oddity(
        name="garbage as linker cache",
        spoil=cache_is(b"garbage" * 99),
        warnings=(CACHE.format("not a cache of the dynamic loader"),),
    ),
    Oddity(name="empty linker cache", spoil=cache_is(b""), warnings=(CACHE.format("empty file"),)),
    Oddity(
        name="truncated linker cache",
        spoil=cache_is(b"glibc-ld.so.cache1.1" + (1000).to_bytes(4, "little") + bytes(40)),
        warnings=(CACHE.format("truncated: the table and its strings end at byte 24048, the file at byte 64"),),
    ),
    Oddity(
        name="linker cache is a link cycle",
        spoil=linked("/etc/ld.so.cache", "ld.so.cache"),
        warnings=(CACHE.format("leads through more than 40 symbolic links"),),
    ),
    Oddity(
        name="a library is a link cycle",
        spoil=linked(f"{LIBDIR}/libnvidia-encode.so.{VERSION}", f"libnvidia-encode.so.{VERSION}"),
        warnings=(
            (
                f"{LIBDIR}/libnvidia-encode.so.{VERSION}: leads through more than 40 symbolic links; it is not"
                " injected; remove the link cycle"
            ),
        ),
    ),
    Oddity(
        name="a library climbs out of the root",
        spoil=linked(f"{LIBDIR}/libnvidia-encode.so.{VERSION}", f"../../../../../outside/libcuda.so.{VERSION}"),
    ),
    Oddity(name="a dangling link", spoil=linked(f"{LIBDIR}/libnvidia-encode.so.1", "nowhere")),
    Oddity(name="20,000 unrelated files", spoil=crowded),
)


@pytest.mark.parametrize("case", ODDITIES, ids=lambda case: case.name)
def test_an_odd_host_has_the_same_spec_and_a_warning(
    case: Oddity, tmp_path: Path, make_host: MakeHost, cdigen: Cdigen
) -> None:
    root = make_host()
    write_tree(tmp_path / "outside", {f"/libcuda.so.{VERSION}": minimal_entries()[LIBCUDA]}, FIXTURES)
    plain = cdigen("generate", "--host-root", root, "-o", "-")
    case.spoil(root)

    run = cdigen("generate", "--host-root", root, "-o", "-")

    assert run.err == "".join(f"cdigen: warning: {warning}\n" for warning in case.warnings)
    assert (run.code, run.out) == (0, plain.out)


UNREADABLE = (
    (
        "libcuda",
        LIBCUDA,
        7,
        f"cannot read {LIBCUDA}: Permission denied; run as a user who may read it",
        (),
    ),
    (
        "GPU node's directory",
        "/dev",
        7,
        "cannot read /dev/dxg: Permission denied; run as a user who may read it",
        (),
    ),
    (
        "list of GPUs",
        "/proc/driver/nvidia/gpus",
        7,
        "cannot read /proc/driver/nvidia/gpus: Permission denied; run as a user who may read it",
        (),
    ),
    (
        "library directory",
        LIBDIR,
        7,
        f"cannot read {LIBDIR}/nvidia: Permission denied; run as a user who may read it",
        tuple(
            f"{directory}: Permission denied; its libraries are not looked at; run as a user who may read it"
            for directory in (LIBDIR, "/lib/x86_64-linux-gnu")
        ),
    ),
)


@pytest.mark.parametrize(
    ("name", "path", "code", "message", "warnings"), UNREADABLE, ids=[row[0] for row in UNREADABLE]
)
def test_what_may_not_be_read_is_named(
    name: str,
    path: str,
    code: int,
    message: str,
    warnings: tuple[str, ...],
    make_host: MakeHost,
    standing: StandingSpec,
) -> None:
    root = make_host()
    place = root / path[1:]
    mode = place.stat().st_mode
    place.chmod(0)
    try:
        run = run_program("generate", "--host-root", root, "-o", standing.path, before=bound_to_permissions())
    finally:
        place.chmod(mode)  # so that it can be removed

    assert_refused(run, code, message, warnings)
    standing.assert_untouched()


def test_a_program_that_may_not_be_read_is_left_out_only_where_that_is_allowed(make_host: MakeHost) -> None:
    root = make_host()
    (root / "usr" / "bin" / "nvidia-smi").chmod(0)
    advice = "; run as a user who may read it\n"
    warning = f"cdigen: warning: /usr/bin/nvidia-smi: Permission denied; it is not injected{advice}"

    arguments = ("generate", "--host-root", root, "-o", "-")
    run = run_program(*arguments, before=bound_to_permissions())
    assert (run.code, run.out, run.err) == (
        7,
        "",
        f"{warning}cdigen: error: cannot read /usr/bin/nvidia-smi: Permission denied; run as a user who may read it\n",
    )

    run = run_program(*arguments, "--allow-incomplete", before=bound_to_permissions())
    assert (run.code, run.err) == (0, warning)
    assert "nvidia-smi" not in run.out


@pytest.mark.parametrize("option", ["--host-root", "--procfs", "--sysfs"])
def test_a_root_that_is_not_there_is_named_with_its_option(
    option: str, tmp_path: Path, cdigen: Cdigen, standing: StandingSpec
) -> None:
    missing = tmp_path / "no\nsuch"

    run = cdigen("generate", option, missing, "-o", standing.path)

    assert_refused(
        run, 7, f"cannot open {tmp_path}/no\\nsuch: No such file or directory; name a directory with {option}"
    )
    standing.assert_untouched()


def test_the_host_is_only_read(make_host: MakeHost, tmp_path: Path, cdigen: Cdigen) -> None:
    root = make_host()
    shutil.copytree(root, tmp_path / "copy", symlinks=True, ignore=lambda *_: ["dev"])
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in root.rglob("*"))

    for command in ("generate", "list", "diff", "explain", "snapshot"):
        cdigen(command, "--host-root", root, *(["-o", "-"] if command == "generate" else []))

    assert sorted((str(path), path.lstat().st_mtime_ns) for path in root.rglob("*")) == before
