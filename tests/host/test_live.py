from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cdigen.parse.elf
import cdigen.parse.ldcache  # noqa: F401 - imported on demand, when another user may not be able to read them
from cdigen.errors import FileError
from cdigen.host import Entry, HostReadError, LinkError, View
from cdigen.host.live import LiveHost
from tests.host.calls import CallHost
from tests.hosts import LIBDIR, OWN_LIBRARIES, VERSION, inventory_of, minimal_entries, write_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ELF = Path(__file__).parents[1] / "fixtures/elf"
SECRET = "of another root"  # noqa: S105 - a text that must not be seen

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes and changes its user")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, which override permission bits; another user has none of these anyway."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty root of a host, beside which there is a file that is none of the host's."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text(SECRET)
    (tmp_path / "host").mkdir()
    return tmp_path / "host"


def host(root: Path) -> LiveHost:
    return LiveHost(str(root))


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(HostReadError) as caught:
        call()
    return str(caught.value)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("/nowhere", None, None),
            "cannot open /nowhere: No such file or directory; name a directory with --host-root",
        ),
        (("/", "/nowhere", None), "cannot open /nowhere: No such file or directory; name a directory with --procfs"),
        (("/", None, "/dev/null"), "cannot open /dev/null: Not a directory; name a directory with --sysfs"),
        (("/a\nb", None, None), "cannot open /a\\nb: No such file or directory; name a directory with --host-root"),
        (("/a\0b", None, None), "cannot open /a\\x00b: a NUL character in the path; name a directory with --host-root"),
    ],
)
def test_a_root_that_cannot_be_opened_is_named_with_its_option(
    options: tuple[str, str | None, str | None], message: str
) -> None:
    before = open_descriptors()
    with pytest.raises(FileError) as caught:
        LiveHost(options[0], procfs=options[1], sysfs=options[2])
    assert str(caught.value) == message
    assert caught.value.exit_code == 7
    assert open_descriptors() == before


def test_every_kind_of_entry_is_told_as_it_is(root: Path) -> None:
    (root / "file").write_text("x")
    (root / "file").chmod(0o640)
    (root / "dir").mkdir(0o711)
    (root / "link").symlink_to("../outside/secret")
    os.mkfifo(root / "fifo", 0o600)
    with socket.socket(socket.AF_UNIX) as listener:
        directory = os.open(root, os.O_PATH)
        listener.bind(f"/proc/self/fd/{directory}/socket")  # the path itself may be longer than a socket's can be
        os.close(directory)
        (root / "socket").chmod(0o666)
        live = host(root)
        assert {name: live.lstat(f"/{name}") for name in ("file", "dir", "link", "fifo", "socket", "none")} == {
            "file": Entry(kind="file", mode=0o640),
            "dir": Entry(kind="dir", mode=0o711),
            "link": Entry(kind="link", mode=0o777, target="../outside/secret"),
            "fifo": Entry(kind="fifo", mode=0o600),
            "socket": Entry(kind="socket", mode=0o666),
            "none": None,
        }
    assert live.lstat("/") == Entry(kind="dir")
    assert live.lstat("/file/x") is None
    assert live.lstat("/none/x") is None
    assert live.lstat("/a\0b") is None


@needs_root
def test_device_nodes_are_told_with_their_numbers(root: Path) -> None:
    os.mknod(root / "char", 0o020600, os.makedev(195, 255))
    os.mknod(root / "block", 0o060600, os.makedev(259, 300))
    assert host(root).lstat("/char") == Entry(kind="char", mode=0o600, major=195, minor=255)
    assert host(root).lstat("/block") == Entry(kind="block", mode=0o600, major=259, minor=300)


@pytest.mark.parametrize("target", ["/outside", "../outside", "../../../../../../outside"])
def test_a_link_never_leads_out_of_the_root(root: Path, target: str) -> None:
    outside = str(root.parent / "outside")
    (root / "link").symlink_to(target.replace("/outside", outside) if target.startswith("/") else target)
    (root / "file").symlink_to(f"{outside}/secret")
    view = View(host(root))
    assert view.read("/link/secret") is None
    assert view.read("/file") is None
    assert view.names("/link") == ()
    assert view.read("/../outside/secret") is None


def test_a_link_is_never_followed_by_the_kernel(root: Path) -> None:
    (root / "dir").symlink_to(root.parent / "outside")
    (root / "file").symlink_to(root.parent / "outside/secret")
    live = host(root)
    assert live.lstat("/dir/secret") is None
    assert live.names("/dir", ("",)) == ()
    assert refusal(lambda: live.read("/dir/secret")) == (
        "cannot read /dir/secret: Not a directory; see what it is with: ls -ld /dir/secret"
    )
    assert (
        refusal(lambda: live.read("/file"))
        == "cannot read /file: not a regular file; see what it is with: ls -ld /file"
    )
    assert (
        refusal(lambda: live.elf("/file")) == "cannot read /file: not a regular file; see what it is with: ls -ld /file"
    )


def test_a_directory_that_becomes_a_link_between_two_questions_is_not_followed(root: Path) -> None:
    (root / "a").mkdir()
    (root / "a/secret").write_text("of this root")
    live = host(root)
    view = View(live)
    assert view.find("/a") is not None
    assert view.resolve("/a/secret") == "/a/secret"
    (root / "a").rename(root / "b")
    (root / "a").symlink_to(root.parent / "outside")
    assert live.read("/a/secret") == b"of this root"  # the directory that was looked at, under its new name
    fresh = host(root)
    assert fresh.lstat("/a/secret") is None
    assert refusal(lambda: fresh.read("/a/secret")) == (
        "cannot read /a/secret: Not a directory; see what it is with: ls -ld /a/secret"
    )


def test_a_fifo_is_never_waited_for(root: Path) -> None:
    os.mkfifo(root / "fifo")
    live = host(root)
    for call in (live.read, live.elf, lambda path: live.linker_cache(path, ("lib",))):
        assert refusal(lambda call=call: call("/fifo")) == (  # type: ignore[misc]
            "cannot read /fifo: not a regular file; see what it is with: ls -ld /fifo"
        )
    assert live.names("/fifo", ("",)) == ()


@needs_root
def test_a_device_node_is_never_opened(root: Path) -> None:
    os.mknod(root / "node", 0o020666, os.makedev(4000, 9))  # opening it would say: No such device or address
    live = host(root)
    for call in (live.read, live.elf, lambda path: live.linker_cache(path, ("lib",))):
        assert refusal(lambda call=call: call("/node")) == (  # type: ignore[misc]
            "cannot read /node: not a regular file; see what it is with: ls -ld /node"
        )


def test_a_host_full_of_fifos_in_place_of_files_does_not_hang(root: Path) -> None:
    write_tree(root, minimal_entries(), ELF)
    for path in [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]:
        path.unlink()
        os.mkfifo(path)
    with pytest.raises(FileError) as caught:
        View(host(root)).read("/proc/driver/nvidia/version")
    assert str(caught.value) == (
        "cannot read /proc/driver/nvidia/version: not a regular file;"
        " see what it is with: ls -ld /proc/driver/nvidia/version"
    )


def test_what_may_not_be_read_is_an_error_that_says_so(root: Path) -> None:
    (root / "file").write_text("x")
    (root / "file").chmod(0)
    (root / "dir").mkdir()
    (root / "dir/file").write_text("x")
    (root / "dir").chmod(0)
    live = host(root)
    with as_nobody():
        denied = [
            refusal(lambda: live.read("/file")),
            refusal(lambda: live.elf("/file")),
            refusal(lambda: live.linker_cache("/file", ("lib",))),
            refusal(lambda: live.names("/dir", ("",))),
            refusal(lambda: live.lstat("/dir/file")),
            refusal(lambda: live.read("/dir/file")),
        ]
    (root / "dir").chmod(0o700)
    assert denied == [
        f"cannot read {path}: Permission denied; run as a user who may read it"
        for path in ("/file", "/file", "/file", "/dir", "/dir/file", "/dir/file")
    ]


def test_a_small_file_has_at_most_a_mebibyte(root: Path) -> None:
    (root / "most").write_bytes(bytes(1 << 20))
    (root / "more").write_bytes(bytes((1 << 20) + 1))
    assert len(host(root).read("/most")) == 1 << 20
    assert refusal(lambda: host(root).read("/more")) == (
        "cannot read /more: larger than 1048576 bytes; see what it is with: ls -ld /more"
    )


def test_twenty_thousand_unrelated_files_are_listed_and_not_looked_at(root: Path) -> None:
    write_tree(root, minimal_entries(), ELF)
    alone = CallHost(host(root))
    expected = inventory_of(alone) if os.geteuid() == 0 else None
    for number in range(20_000):
        os.close(os.open(root / LIBDIR.lstrip("/") / f"libother{number}.so.1", os.O_CREAT | os.O_WRONLY))
    crowded = CallHost(host(root))
    if expected is not None:
        assert inventory_of(crowded) == expected
        assert len(crowded.calls) == len(alone.calls)
    assert crowded.names(LIBDIR, ("libcuda.so",), f".so.{VERSION}") == ("libcuda.so", "libcuda.so.1", *OWN_LIBRARIES)


def test_names_that_are_not_utf8_are_names(root: Path) -> None:
    (root / os.fsdecode(b"lib\xff.so.1")).write_text("x")
    live = host(root)
    (name,) = live.names("/", ("lib",))
    assert os.fsencode(name) == b"lib\xff.so.1"
    assert live.read(f"/{name}") == b"x"
    assert refusal(lambda: live.read(f"/{name}x")) == (
        "cannot read /lib\\udcff.so.1x: No such file or directory; see what it is with: ls -ld '/lib\\udcff.so.1x'"
    )


def test_procfs_and_sysfs_can_be_elsewhere_and_hide_those_of_the_root(root: Path) -> None:
    for place, content in ((root / "proc", "in the root"), (root.parent / "procfs", "elsewhere")):
        place.mkdir()
        (place / "version").write_text(content)
    (root.parent / "sysfs/class").mkdir(parents=True)
    (root.parent / "sysfs/class/link").symlink_to("/etc/name")  # absolute: it restarts at the host's root
    (root.parent / "sysfs/climbs").symlink_to("../../../outside/secret")
    (root / "etc").mkdir()
    (root / "etc/name").write_text("of the host")
    live = LiveHost(str(root), procfs=str(root.parent / "procfs"), sysfs=str(root.parent / "sysfs"))
    view = View(live)
    assert view.read("/proc/version") == b"elsewhere"
    assert view.read("/sys/class/link") == b"of the host"
    assert view.read("/sys/climbs") is None
    assert live.lstat("/sys") == Entry(kind="dir")
    assert live.names("/proc", ("v",)) == ("version",)
    assert View(host(root)).read("/proc/version") == b"in the root"


def test_a_host_keeps_a_bounded_number_of_directories_open_and_closes_them(root: Path) -> None:
    for number in range(300):
        (root / f"d{number:03}").mkdir()
        (root / f"d{number:03}/file").write_text(str(number))
    before = open_descriptors()
    live = host(root)
    for _ in range(2):  # the second time, those of the first are gone
        read = [live.read(f"/d{number:03}/file") for number in range(300)]
        assert read == [str(number).encode() for number in range(300)]
    assert open_descriptors() == before + 1 + 128
    live.close()
    assert open_descriptors() == before


def test_a_host_that_is_dropped_leaves_no_descriptor_open(root: Path) -> None:
    write_tree(root, minimal_entries(), ELF)
    before = open_descriptors()
    live = host(root)
    View(live).find(f"{LIBDIR}/libcuda.so")
    live.elf(f"{LIBDIR}/libcuda.so.{VERSION}")
    for path in ("/nowhere", "/usr/lib"):
        with pytest.raises(HostReadError):
            live.elf(path)
    del live
    assert open_descriptors() == before


def test_a_directory_deeper_than_any_stack_can_be_walked(root: Path) -> None:
    depth = 1500
    directory = os.open(root, os.O_PATH)
    for _ in range(depth):
        os.mkdir("d", dir_fd=directory)
        below = os.open("d", os.O_PATH, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)
    view = View(host(root))
    try:
        assert view.resolve("/d" * depth) == "/d" * depth
        assert view.resolve("/d" * (depth - 300) + "/none") is None
    finally:  # shutil cannot remove it
        while (root / "d").exists():
            (root / "d").rename(root / "old")
            if (root / "old/d").exists():
                (root / "old/d").rename(root / "d")
            (root / "old").rmdir()


def test_a_cycle_of_links_is_an_error_and_not_a_loop(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(LinkError) as caught:
        View(host(root)).find("/a")
    assert str(caught.value) == "/a leads through more than 40 symbolic links; remove the link cycle"
