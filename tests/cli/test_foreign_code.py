"""NVML is a library whose code runs as whoever asks: no other host's is, and root runs none that others may change.

The library of these trees leaves a mark when it is loaded, before any of its functions is called.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.host.test_live import needs_root
from tests.hosts import LIBDIR, VERSION, minimal_entries, uuid_of
from tests.nvml.stub import Card, bus_id, compile_stub

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost

LIBRARY = f"{LIBDIR}/libnvidia-ml.so.{VERSION}"
UNKNOWN = "so what procfs does not tell (UUIDs and order of MIG devices, UUIDs of idle GPUs) stays unknown"
FOREIGN = (
    f"cdigen: note: NVML is not asked, as the host's /proc is not of this machine, {UNKNOWN}; if the host is this"
    " machine, name its procfs with --procfs /proc\n"
)
VERBS = {
    "list": ("list",),
    "explain": ("explain",),
    "doctor": ("doctor",),
    "snapshot": ("snapshot", "-o", "{}/out"),
    "generate": ("generate", "-o", "{}/out"),
    "check": ("check", "--spec", "{}/spec.yaml"),
    "diff": ("diff", "--spec", "{}/spec.yaml"),
}


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


@pytest.fixture
def arm(tmp_path: Path, mark: Path) -> Callable[[Path], None]:
    """Return what puts a library in a host's tree that leaves the mark when it is loaded."""

    def do(place: Path) -> None:
        source = tmp_path / "mark.c"
        source.write_text(
            "#include <fcntl.h>\n#include <unistd.h>\n"
            "__attribute__((constructor)) static void leave_a_mark(void)\n"
            f'{{ int fd = open("{mark}", O_CREAT | O_WRONLY, 0600); if (fd >= 0) close(fd); }}\n'
        )
        card = Card(bus_id=bus_id(1), uuid=uuid_of(0))
        compile_stub(place / LIBDIR[1:], [card], options=[str(source)])
        (place / LIBDIR[1:] / "answers.h").unlink()

    return do


def verb(name: str, host: Path, cdigen: Cdigen, tmp_path: Path) -> int:
    """Run a verb on a host, NVML always wanted; of the specs that it reads there is one."""
    spec = tmp_path / "spec.yaml"
    if not spec.exists():
        assert cdigen("generate", "--host-root", host, "--nvml", "never", "-o", spec).code == 0
    arguments = [word.format(tmp_path) for word in VERBS[name]]
    return cdigen(*arguments, "--host-root", host, "--nvml", "always").code


@needs_root
@pytest.mark.parametrize("name", VERBS)
def test_no_verb_runs_the_code_of_a_host_that_is_not_this_machine(
    name: str,
    make_host: MakeHost,
    arm: Callable[[Path], None],
    mark: Path,
    cdigen: Cdigen,
    tmp_path: Path,
) -> None:
    host = make_host(minimal_entries())
    arm(host)
    verb(name, host, cdigen, tmp_path)
    assert not mark.exists()


@needs_root
@pytest.mark.parametrize("name", VERBS)
def test_every_verb_asks_the_library_of_this_machine(
    name: str,
    make_machine: MakeHost,
    arm: Callable[[Path], None],
    mark: Path,
    cdigen: Cdigen,
    tmp_path: Path,
) -> None:
    host = make_machine(minimal_entries())
    arm(host)
    verb(name, host, cdigen, tmp_path)
    assert mark.exists()


@needs_root
def test_why_it_is_not_asked_is_said_and_the_record_of_it_says_the_same(
    make_host: MakeHost,
    arm: Callable[[Path], None],
    cdigen: Cdigen,
    tmp_path: Path,
) -> None:
    host = make_host(minimal_entries())
    arm(host)
    options = ("--nvml", "always")
    live = cdigen("generate", "--host-root", host, "-o", tmp_path / "live.yaml", *options)
    assert (live.code, live.err.partition("\n")[2]) == (0, FOREIGN)
    assert cdigen("snapshot", "--host-root", host, "-o", tmp_path / "host.yaml", *options).code == 0
    assert "nvml" not in (tmp_path / "host.yaml").read_text().replace("libnvidia-ml", "")
    again = cdigen("generate", "--snapshot", tmp_path / "host.yaml", "-o", tmp_path / "again.yaml", *options)
    assert again.code == 0
    assert (tmp_path / "again.yaml").read_bytes() == (tmp_path / "live.yaml").read_bytes()


@needs_root
@pytest.mark.parametrize(
    ("path", "mode", "owner", "is_asked"),
    [
        (LIBRARY, 0o755, 0, True),
        (LIBRARY, 0o775, 0, False),
        (LIBRARY, 0o757, 0, False),
        (LIBRARY, 0o755, 65534, False),
        (LIBDIR, 0o777, 0, False),
        (LIBDIR, 0o1777, 0, True),  # nobody else may put another file in the place of root's
        ("/usr/lib", 0o755, 65534, False),
        ("/usr", 0o775, 0, False),
        ("/", 0o757, 0, False),
        ("/", 0o1755, 65534, False),
    ],
)
def test_root_runs_no_code_that_others_may_change(
    path: str,
    mode: int,
    owner: int,
    is_asked: bool,
    make_machine: MakeHost,
    arm: Callable[[Path], None],
    mark: Path,
    cdigen: Cdigen,
    tmp_path: Path,
) -> None:
    host = make_machine(minimal_entries())
    arm(host)
    os.chown(host / path[1:], owner, 0)
    (host / path[1:]).chmod(mode)
    run = cdigen("generate", "--host-root", host, "-o", tmp_path / "out.yaml", "--nvml", "always")
    (host / path[1:]).chmod(0o755)
    note = (
        f"cdigen: note: NVML is not asked, as others than root may change {path}, and root would run what is there,"
        f" {UNKNOWN}; make root its owner, and let nobody else write to it\n"
    )
    assert (run.code, run.err.partition("\n")[2], mark.exists()) == (0, "" if is_asked else note, is_asked)
