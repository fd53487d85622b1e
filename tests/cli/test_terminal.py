"""Nothing that a stranger wrote reaches a terminal as more than printable text on the line where it belongs."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cdigen
from cdigen.report import Coloured, emit, format_change, format_table
from tests.hosts import (
    LIBDIR,
    VERSION,
    Entries,
    bdf_of,
    information,
    library,
    link,
    linker_cache,
    minimal_entries,
    snapshot_document,
    text,
)

if TYPE_CHECKING:
    from tests.cli.conftest import Cdigen, MakeSnapshot
    from tests.cli.program import Run

EVIL = "\x1b]0;title\x07\x1b[2J\ncdigen: error: forged\r\x9b31m\u202eevil\u2028\u2029\x7f\x85\ufeff"
"""Escape sequences, line breaks of every kind, a control character of C1, and one that turns the text around."""

LIBRARY = f"{LIBDIR}/libcuda.so.{VERSION}"
INFORMATION = f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information"


def check(run: Run) -> None:
    """Check that both streams have lines of printable text, and that none of them is one of EVIL's."""
    for stream in (run.out, run.err):
        lines = stream.split("\n")
        assert [line for line in lines if not line.isprintable()] == []
        assert [line for line in lines if line.startswith("cdigen: error: forged")] == []


def elf(**facts: object) -> Entries:
    return {LIBRARY: {"kind": "file", "elf": {"bits": 64, "machine": "x86_64", "soname": "libcuda.so.1", **facts}}}


SNAPSHOTS: dict[str, Entries] = {
    "soname": elf(soname=EVIL),
    "needed": elf(needed=[EVIL]),
    "file of versions": elf(needed=[], versions={EVIL: ["GLIBC_2.2.5"]}),
    "version": elf(needed=[], versions={"libc.so.6": [EVIL]}),
    "runpath": elf(needed=[], runpath=[EVIL]),
    "machine": elf(machine=EVIL),
    "damaged": {LIBRARY: {"kind": "file", "damaged": EVIL}},
    "unreadable": {LIBRARY: {"kind": "file", "unreadable": EVIL}},
    "link": {f"{LIBDIR}/libcuda.so.1": link(EVIL)},
    "path": {f"{LIBDIR}/libnvidia-{EVIL}.so.{VERSION}": library("libnvidia-evil.so.1")},
    "path of a library that cannot be read": {
        f"{LIBDIR}/libnvidia-{EVIL}.so.{VERSION}": {"kind": "file", "unreadable": "x", "errno": "EIO"}
    },
    "path of a GPU": {f"/proc/driver/nvidia/gpus/{EVIL}": {"kind": "dir"}},
    "node": {f"/dev/nvidia0{EVIL}": minimal_entries()["/dev/nvidia0"]},
    "name in the cache": {"/etc/ld.so.cache": {"kind": "file", "linker_cache": [[EVIL, 1, "/a"]]}},
    "path in the cache": {"/etc/ld.so.cache": linker_cache(f"/{EVIL}/libcuda.so.1")},
    "kernel": {"/proc/driver/nvidia/version": text(EVIL)},
    "version of the kernel": {
        "/proc/driver/nvidia/version": text(f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {EVIL}  x\n")
    },
    "model": {INFORMATION: text(f"Model: \t\t {EVIL}\n{information(bdf=bdf_of(0), minor=0, uuid=None)['text']}")},
    "uuid": {INFORMATION: information(bdf=bdf_of(0), minor=0, uuid=f"GPU-{EVIL}")},
    "manifest": {"/usr/share/vulkan/icd.d/nvidia_icd.json": text(json.dumps({"ICD": {"library_path": EVIL}}))},
    "NVML, failed": {LIBRARY.replace("cuda", "nvidia-ml"): {"kind": "file", "nvml": {"failed": EVIL}}},
    "NVML, model": {
        LIBRARY.replace("cuda", "nvidia-ml"): {
            "kind": "file",
            "nvml": {"gpus": [{"bdf": bdf_of(0), "model": EVIL}], "problems": [EVIL]},
        }
    },
    "base64": {INFORMATION: {"kind": "file", "base64": EVIL}},
}


@pytest.mark.parametrize("what", SNAPSHOTS)
def test_nothing_in_a_snapshot_is_more_than_text(
    what: str, tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    plain = tmp_path / "plain.yaml"
    plain.write_text(json.dumps(snapshot_document(minimal_entries())), encoding="utf-8")
    snapshot = make_snapshot({**minimal_entries(), **SNAPSHOTS[what]}, driver_root="/")

    for command in ("explain", "list", "nodes", "generate", "snapshot"):
        options = ("-o", "-") if command in ("generate", "snapshot") else ()
        check(cdigen(command, "--snapshot", snapshot, *options))
    check(cdigen("explain", "--snapshot", snapshot, "--json"))
    check(cdigen("diff", "--facts", snapshot, "--snapshot", plain))
    check(cdigen("diff", "--facts", plain, "--snapshot", snapshot))
    check(cdigen("lint-image", "--snapshot", snapshot, tmp_path))


@pytest.mark.parametrize("key", ["note", "driver_root", "dev_root", EVIL])
def test_nothing_around_the_entries_of_a_snapshot_is(key: str, tmp_path: Path, cdigen: Cdigen) -> None:
    snapshot = tmp_path / f"{EVIL.replace('/', '')}.yaml"
    document = {**snapshot_document(minimal_entries()), key: f"/{EVIL}"}
    snapshot.write_text(json.dumps(document), encoding="utf-8")

    for arguments in (("explain", "--snapshot", snapshot), ("diff", "--facts", snapshot, "--snapshot", snapshot)):
        check(cdigen(*arguments))


def edits(**values: object) -> dict[str, object]:
    device = {"name": "a", "containerEdits": {"env": ["A=b"], **values}}
    return {"cdiVersion": "0.7.0", "kind": "aa.com/bb", "devices": [device]}


SPECS: dict[str, object] = {
    "version": {**edits(), "cdiVersion": EVIL},
    "kind": {**edits(), "kind": EVIL},
    "key": {**edits(), EVIL: 1},
    "annotation": {**edits(), "annotations": {"a": EVIL}},
    "key of an annotation": {**edits(), "annotations": {EVIL: "a"}},
    "name": {**edits(), "devices": [{"name": EVIL, "containerEdits": {"env": ["A=b"]}}]},
    "variable": edits(env=[f"A={EVIL}", f"{EVIL}=b"]),
    "path": edits(mounts=[{"hostPath": f"/{EVIL}", "containerPath": f"/{EVIL}"}]),
    "word": edits(mounts=[{"hostPath": "/a", "containerPath": "/b", "type": EVIL, "options": [EVIL]}]),
    "node": edits(deviceNodes=[{"path": f"/dev/{EVIL}", "permissions": EVIL, "type": EVIL}]),
    "hook": edits(hooks=[{"hookName": EVIL, "path": f"/{EVIL}", "args": [EVIL]}]),
    "text": EVIL,
}


@pytest.mark.parametrize("what", SPECS)
def test_nothing_in_a_spec_is(what: str, tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    directory = tmp_path / f"specs{EVIL.replace('/', '')}"
    directory.mkdir()
    spec = directory / "a.yaml"
    spec.write_text(json.dumps(SPECS[what]), encoding="utf-8")
    config = tmp_path / "config.json"
    config.write_text('{"ociVersion": "1.0.0", "process": {"env": []}}')
    snapshot = make_snapshot()

    for arguments in (
        ("validate", spec),
        ("validate", "--json", spec),
        ("list", spec),
        ("list", "--all", "--spec-dir", directory),
        ("diff", "--spec", spec, "--snapshot", snapshot),
        ("check", "--spec", spec, "--host-root", tmp_path),
        ("doctor", "--spec", spec, "--host-root", tmp_path),
        ("inject", "--device", "aa.com/bb=a", "--spec-dir", directory, config, "-o", "-"),
        ("remove", "--dry-run", "--host-root", tmp_path),
    ):
        check(cdigen(*arguments))


@pytest.mark.parametrize("name", [EVIL.replace("/", ""), f"libcuda.so.{EVIL}"])
def test_nothing_in_an_image_is(name: str, tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    image = tmp_path / f"image{EVIL.replace('/', '')}"
    library = image / "usr" / "lib" / f"{name}.so.1"
    library.parent.mkdir(parents=True)
    (image / "usr" / "lib" / f"libcuda.so.{VERSION}{name}").write_text(EVIL)
    library.symlink_to(EVIL)

    check(cdigen("lint-image", "--snapshot", make_snapshot(), image))
    check(cdigen("lint-image", "--snapshot", make_snapshot(), "--json", image))
    check(cdigen("lint-image", "--driver-version", EVIL, image))


@pytest.mark.parametrize(
    "arguments",
    [
        (EVIL,),
        (f"--{EVIL}",),
        ("explain", f"--{EVIL}"),
        ("generate", "--snapshot", EVIL),
        ("validate", EVIL),
        ("generate", "--mode", EVIL),
        ("generate", "--device-name-strategy", EVIL),
        ("inject", "--device", EVIL, "x"),
        ("lint-image", EVIL),
        ("diff", "--facts", EVIL),
    ],
)
def test_nothing_on_the_command_line_is(arguments: tuple[str, ...], cdigen: Cdigen) -> None:
    check(cdigen(*arguments))


def test_a_note_that_no_snapshot_may_have_is_refused(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    arguments = ("snapshot", "--snapshot", make_snapshot(), "-o", "-", "--note")

    run = cdigen(*arguments, "\x1b[2J")

    reason = r"--note \x1b[2J: has characters that are not printable; leave them out"
    assert (run.code, run.out, run.err) == (2, "", f"cdigen: error: {reason}\n")
    assert cdigen(*arguments, "two\nlines").code == 0


def test_a_pattern_that_matches_nothing_is_text(make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    check(cdigen("explain", "--snapshot", make_snapshot(), EVIL))


@pytest.mark.parametrize(
    "lines",
    [
        [EVIL],
        ["a", EVIL, ""],
        [Coloured(31, EVIL, EVIL)],
        [format_change(EVIL, EVIL, EVIL), format_change(EVIL, None, EVIL), format_change(EVIL, EVIL, None)],
        format_table(("A", "B"), [(EVIL, EVIL), ("a", "b")]),
    ],
)
def test_a_line_is_a_line(lines: list[str | Coloured], capfd: pytest.CaptureFixture[str]) -> None:
    emit(*lines)
    out = capfd.readouterr().out
    assert out.count("\n") == len(lines)
    assert out.replace("\n", "").isprintable()


def test_a_colour_is_all_that_a_terminal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)

    emit(Coloured(31, "\x1b[2J", "\nx"))

    assert terminal.getvalue() == "\x1b[31m\\x1b[2J\x1b[0m\\nx\n"


def _calls(tree: ast.AST) -> list[str]:
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_no_other_module_writes_to_a_stream() -> None:
    root = Path(cdigen.__file__).parent
    doors = (
        "print",
        "echo",
        "sys.stdout.write",
        "sys.stderr.write",
        "sys.stdout.buffer.write",
        "sys.stderr.buffer.write",
    )
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for call in _calls(ast.parse(path.read_text(encoding="utf-8")))
        if call in doors or call.endswith((".echo", ".secho", "os.write", ".writelines"))
    }
    # main.py says what cannot be loaded; the last two write to pipes and files of their own.
    assert found <= {"report.py", "main.py", "host/child.py", "write.py"}
