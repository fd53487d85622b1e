"""cdigen watch: the spec is written at once, and again when something changes; an error is a state, not an end."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cdigen.catalog.watched import EVENTS, WAKING, WATCHED
from cdigen.host.live import LiveHost
from cdigen.host.views import open_views
from cdigen.watch.fingerprint import look_at_host, look_at_specs
from cdigen.watch.status import Status, judge_run, read_status, write_status
from tests.cli.conftest import FIXTURES, lack
from tests.cli.program import run_program
from tests.hosts import VERSION, gpu_entries, kernel_entries, link, minimal_entries, text, without, write_tree
from tests.kubernetes.background import running, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

SPEC = "etc/cdi/nvidia.yaml"
CHECKOUT = Path(__file__).parents[2]


class Watched:
    """A host, and what `cdigen watch` has made of it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "host"
        self.status = place / "status.json"
        self.spec = self.root / SPEC

    def make(self, entries: Any = None) -> None:
        write_tree(self.root, minimal_entries() if entries is None else entries, FIXTURES)
        (self.root / "etc/cdi").mkdir(parents=True, exist_ok=True)

    def run(self, *options: str, interval: str = "1s", env: dict[str, str] | None = None) -> Any:
        arguments = ("watch", "--host-root", self.root, "--status", self.status, "--interval", interval)
        return running(self.place, *arguments, *options, env=env)

    def wait_for_state(self, state: str, code: str = "") -> None:
        def found() -> Any:
            return json.loads(self.status.read_text()) if self.status.exists() else {}

        wait_until(lambda: (found().get("state"), found().get("code")) == (state, code), lambda: str(found()))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    if os.geteuid() != 0:
        lack("making device nodes needs root")
    return Watched(tmp_path)


def test_the_spec_is_that_of_generate_and_is_written_again_when_it_is_gone(watched: Watched, tmp_path: Path) -> None:
    watched.make()
    with watched.run("--no-all", "--device-name-strategy=uuid", interval="1h") as background:
        watched.wait_for_state("true")
        data = watched.spec.read_bytes()
        watched.spec.unlink()
        wait_until(watched.spec.exists, lambda: background.said)
        assert watched.spec.read_bytes() == data
        assert background.end() == 0
    other = tmp_path / "other.yaml"
    run_program(
        *("generate", "--host-root", watched.root, "--output", other, "--no-all", "--device-name-strategy=uuid")
    )
    assert other.read_bytes() == data


def test_options_are_taken_from_the_environment_too(watched: Watched) -> None:
    watched.make()
    with watched.run(env={"CDIGEN_WATCH_NO_ALL": "1", "CDIGEN_WATCH_CAPABILITIES": "compute,utility"}) as background:
        watched.wait_for_state("true")
        assert b"# Options: --capabilities=compute,utility --no-all\n" in watched.spec.read_bytes()
        assert "variable" not in background.said


def test_a_node_without_a_driver_idles_and_gets_its_spec_when_the_driver_comes(watched: Watched) -> None:
    watched.make({"/etc/hostname": text("node\n")})
    with watched.run() as background:
        watched.wait_for_state("idle", "no-driver")
        background.wait_for("nothing to do until there is a driver")
        time.sleep(2.5)
        assert background.said.count("error") == 1
        write_tree(watched.root, minimal_entries(), FIXTURES)
        watched.wait_for_state("true")
        assert background.process.poll() is None


def test_halves_that_differ_wait_for_the_reboot_and_keep_the_spec(watched: Watched) -> None:
    watched.make()
    with watched.run() as background:
        watched.wait_for_state("true")
        data = watched.spec.read_bytes()
        write_tree(watched.root, kernel_entries("999.11.22"), FIXTURES)
        watched.wait_for_state("blocked", "version-mismatch")
        assert watched.spec.read_bytes() == data
        write_tree(watched.root, kernel_entries(VERSION), FIXTURES)
        watched.wait_for_state("true")
        assert background.said.count("cdigen: error: ") == 1
        assert background.end() == 0


@pytest.mark.parametrize(
    ("act", "is_so"),
    [
        (
            lambda root: write_tree(root, gpu_entries(1), FIXTURES),
            lambda spec: b"GPU-00000000-0000-4000-8000-000000000001" in spec,
        ),
        (lambda root: (root / "dev/nvidia-modeset").unlink(), lambda spec: b"nvidia-modeset" not in spec),
    ],
)
def test_what_comes_and_goes_is_in_the_spec(
    watched: Watched, act: Callable[[Path], None], is_so: Callable[[bytes], bool]
) -> None:
    watched.make()
    with watched.run(interval="1s") as background:
        watched.wait_for_state("true")
        assert not is_so(watched.spec.read_bytes())
        act(watched.root)
        wait_until(lambda: is_so(watched.spec.read_bytes()), lambda: background.said)


def test_what_cannot_be_written_is_tried_again(watched: Watched) -> None:
    """Nothing that is looked at tells that a directory can be written to again: the clock does."""
    watched.make()
    blocked = watched.place / "blocked"
    blocked.write_text("a file in the place of a directory")
    with watched.run("--output", str(blocked / "nvidia.yaml"), "--create-dirs") as background:
        watched.wait_for_state("blocked", "cannot-write")
        blocked.unlink()
        watched.wait_for_state("true")
        assert (blocked / "nvidia.yaml").exists()
        assert background.said.count("cdigen: error: ") == 1


def test_the_same_trouble_is_said_once(watched: Watched) -> None:
    watched.make(without(minimal_entries(), "/dev/nvidiactl"))
    with watched.run() as background:
        watched.wait_for_state("blocked", "missing-node")
        time.sleep(4)
        assert background.said.count("/dev/nvidiactl is missing") == 1


def test_labels_are_kept_beside_the_spec(watched: Watched) -> None:
    watched.make()
    labels = watched.place / "features.d" / "cdigen"
    labels.parent.mkdir()
    with watched.run("--labels", str(labels), "--mig-strategy", "mixed"):
        watched.wait_for_state("true")
        wait_until(labels.exists, lambda: "no labels")
        assert "nvidia.com/mig.strategy=mixed\n" in labels.read_text()
        for path in (watched.root / "usr/lib/x86_64-linux-gnu", watched.root / "proc/driver/nvidia"):
            path.rename(watched.place / path.name)
        watched.wait_for_state("idle", "no-driver")
        wait_until(lambda: labels.read_text() == "", labels.read_text)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_at_once_also_in_the_middle_of_a_run(watched: Watched, number: int) -> None:
    watched.make()
    with watched.run("--wait", "10min") as background:
        (watched.root / "dev/nvidiactl").unlink()
        wait_until(lambda: len(run_ids(str(watched.root))) == 2, lambda: background.said)
        time.sleep(0.5)
        began = time.monotonic()
        assert background.end(number) == 0
        assert time.monotonic() - began < 6
        assert "Traceback" not in background.said
        assert run_ids(str(watched.root)) == []


def test_what_nohup_ignores_does_not_end_it(watched: Watched) -> None:
    watched.make()
    arguments = ("watch", "--host-root", watched.root, "--status", watched.status)
    with running(watched.place, *arguments, before=("nohup",)) as background:
        watched.wait_for_state("true")
        background.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert background.process.poll() is None
        assert background.end() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--output", "-"),
            "watch keeps the spec of a live host in a file, so --output - has no meaning; leave it out",
        ),
        (
            ("--snapshot", "x"),
            "watch keeps the spec of a live host in a file, so --snapshot has no meaning; leave it out",
        ),
        (("--interval", "500ms"), "--interval: less than a second; use one such as 1min"),
        (("--vendor", "-"), "--vendor -: not a vendor name; use two or more letters"),
    ],
)
def test_what_has_no_meaning_is_refused(options: tuple[str, ...], message: str) -> None:
    run = run_program("watch", *options)

    assert (run.code, run.out) == (2, "")
    assert run.err.startswith(f"cdigen: error: {message}")


def run_ids(word: str) -> list[int]:
    """Return the processes that have a word in their command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word.encode() in place.read_bytes():
                found.append(int(place.parent.name))
    return found


# --- what is looked at ---


def facts_of(root: Path) -> dict[str, object]:
    return dict(look_at_host(open_views(LiveHost(str(root)), driver_root="/", dev_root=None), str(root)))


@pytest.mark.parametrize(
    "entries",
    [
        {"/etc/ld.so.cache": text("x")},
        {"/etc/alternatives/nvidia": link("x")},
        {"/run/opengl-driver": link("/nix/store/a")},
        {"/run/nvidia/validations/driver-ready": text("")},
        {"/sys/module/nvidia_uvm/refcnt": text("0")},
        {"/sys/module/nvidia/initstate": text("live")},
        {"/proc/driver/nvidia/version": text("NVRM version: x")},
        {"/proc/driver/nvidia/gpus/0000:09:00.0/information": text("x")},
        {"/proc/driver/nvidia/capabilities/gpu0/mig/gi1/access": text("x")},
        {"/dev/nvidia9": text("")},
        {"/dev/nvidia-caps/nvidia-cap1": text("")},
        {"/usr/lib/wsl/drivers/nv.inf": text("")},
        {"/etc/nvidia-container-runtime/host-files-for-container.d/l4t.csv": text("")},
    ],
    ids=lambda entries: next(iter(entries)),
)
def test_a_change_is_seen(watched: Watched, entries: dict[str, Any]) -> None:
    watched.make(without(minimal_entries(), "/proc/driver/nvidia/version"))
    before = facts_of(watched.root)
    assert facts_of(watched.root) == before

    write_tree(watched.root, entries, FIXTURES)

    assert facts_of(watched.root) != before


def test_what_does_not_matter_is_not_seen(watched: Watched) -> None:
    watched.make()
    before = facts_of(watched.root)

    write_tree(watched.root, {"/dev/tty9": text(""), "/etc/motd": text("x"), "/sys/module/ext4/x": text("")}, FIXTURES)

    assert facts_of(watched.root) == before


def test_specs_of_others_are_seen_and_no_link_leads_out_of_the_root(watched: Watched) -> None:
    watched.make()
    outside = watched.place / "outside"
    outside.mkdir()
    (watched.root / "var").mkdir()
    (watched.root / "var/run").symlink_to("/run")
    (watched.root / "run").mkdir()
    (watched.root / "run/cdi").symlink_to(outside)
    before = look_at_specs(str(watched.root))

    (outside / "a.yaml").write_text("x")
    assert look_at_specs(str(watched.root)) == before
    (watched.root / "etc/cdi/vendors.yaml").write_text("x")
    assert look_at_specs(str(watched.root)) != before


def test_the_units_and_watch_look_at_the_same() -> None:
    """What the path unit names is a row, and its directory one that wakes; the udev rule's subsystems are events."""
    unit = (CHECKOUT / "systemd/cdigen.path").read_text().splitlines()
    paths = [line.partition("=")[2] for line in unit if line.startswith("PathChanged=")]
    own = ["/etc/cdigen/cdigen.env"]  # the settings of the unit itself
    assert [path for path in paths if path not in own] == [row.path for row in WATCHED][: len(paths) - len(own)]
    assert {os.path.dirname(row.path) for row in WATCHED[: len(paths) - len(own)]} <= {*WAKING}
    rules = (CHECKOUT / "systemd/72-cdigen.rules").read_text()
    for event in (b"SUBSYSTEM=module", b"SUBSYSTEM=pci"):
        name = event.decode().partition("=")[2]
        assert event in EVENTS
        assert f'SUBSYSTEM=="{name}"' in rules


# --- the status ---


@pytest.mark.parametrize(
    ("exit_code", "report", "expected"),
    [
        (0, {"report": "generate"}, Status(state="true")),
        (
            3,
            {"error": {"code": "no-driver", "message": "no driver\n"}},
            Status(state="idle", code="no-driver", message="no driver\\n"),
        ),
        (
            4,
            {"error": {"code": "version-mismatch", "message": "differ"}},
            Status(state="blocked", code="version-mismatch", message="differ"),
        ),
        (
            137,
            {},
            Status(state="blocked", code="failed", message="cdigen generate ended with exit code 137"),
        ),
        (
            1,
            {"report": "generate"},
            Status(state="blocked", code="failed", message="cdigen generate ended with exit code 1"),
        ),
        (7, {"error": "x"}, Status(state="blocked", code="failed", message="cdigen generate ended with exit code 7")),
    ],
)
def test_what_a_run_came_to(exit_code: int, report: dict[str, object], expected: Status) -> None:
    assert judge_run(exit_code, report) == expected


def test_what_is_written_is_read_and_anything_else_is_blocked(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    status = Status(state="idle", code="no-driver", message="none")
    write_status(str(path), status)
    assert read_status(str(path)) == status
    for content in ("", "{}", "[]", '{"state": []}', '{"state": "well"}', "\0"):
        path.write_text(content)
        found = read_status(str(path))
        assert (found.state, found.code) == ("blocked", "no-status")
        assert found.message.startswith(f"{path} does not tell: ")
    path.unlink()
    assert read_status(str(path)).code == "no-status"
