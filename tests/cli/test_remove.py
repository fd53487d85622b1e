"""`cdigen remove`: what cdigen wrote goes, whatever else is there stays."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from cdigen.schema import find_schema_violations
from tests.classes import gds_entries, imex_entries
from tests.cli.program import bound_to_permissions, run_program
from tests.hosts import minimal_entries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeSnapshot
    from tests.cli.program import Run

    Mount = Callable[..., None]

OURS = b"# Written by cdigen 0.0.1 for NVIDIA driver 999.88.77.\ncdiVersion: 0.3.0\n"
FOREIGN = b"cdiVersion: 0.3.0\nkind: nvidia.com/gpu\n"
JSON = b'{\n  "cdiVersion": "0.3.0",\n  "kind": "nvidia.com/gpu"\n}\n'
HINT = "remove it with rm if it is not needed"
NOTHING: dict[str, None] = {"remedy": None}
NO_HEADER = "JSON has no header that says who wrote it"
PART = ".nvidia.yaml.0123456789abcdef.tmp"

# The directories that are looked in without options, in a mount namespace of the program's own.
ON_A_HOST = (
    'for name in etc run var/lib; do mount --bind "$0/$name" "/$name"; done;'
    ' [ "$(realpath /var/run)" = /run ] || mount --bind "$0/run" /var/run; exec "$@"'
)


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    directory = tmp_path / "cdi"
    directory.mkdir()
    return directory


def fill(directory: Path, files: dict[str, bytes]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def lines(*messages: str) -> str:
    return "".join(f"cdigen: {message}\n" for message in messages)


def report_of(run: Run) -> list[dict[str, str]]:
    report = json.loads(run.out)
    assert find_schema_violations(report, "report") == ()
    assert report["report"] == "remove"
    files: list[dict[str, str]] = report["files"]
    return files


# everything of ours


@pytest.fixture
def host(tmp_path: Path, root: None) -> Path:
    """Return what is bound over /etc, /run and /var/lib."""
    place = tmp_path / "host"
    for name in ("etc", "run", "var/lib"):
        (place / name).mkdir(parents=True)
    return place


def remove_on(host: Path, *arguments: str) -> Run:
    return run_program("remove", *arguments, before=("unshare", "--mount", "sh", "-c", ON_A_HOST, str(host)))


def fill_host(host: Path) -> None:
    others = {
        "amd.yaml": b"kind: amd.com/gpu\n",
        "k8s.gpu.nvidia.com-claim_1.json": b'{"kind": "k8s.gpu.nvidia.com/claim"}',
    }
    fill(host / "etc/cdi", {"nvidia.yaml": OURS, "nvidia-gds.yaml": OURS, PART: OURS[:30], **others})
    fill(host / "run/cdi", {"nvidia.yaml": OURS, "nvidia.yml": OURS, "mine.yaml": FOREIGN})
    fill(host / "var/lib/cdigen", {"nvidia.snapshot.yaml": OURS})


def test_all_of_ours_goes_and_nothing_else(host: Path) -> None:
    fill_host(host)

    run = remove_on(host)

    assert (run.code, run.out) == (0, "")
    assert run.err == lines(
        f"removed /etc/cdi/{PART}",
        "removed /etc/cdi/nvidia-gds.yaml",
        "removed /etc/cdi/nvidia.yaml",
        "removed /var/run/cdi/nvidia.yaml",
        "removed /var/lib/cdigen/nvidia.snapshot.yaml",
        "removed /var/lib/cdigen",
    )
    assert names(host / "etc/cdi") == ["amd.yaml", "k8s.gpu.nvidia.com-claim_1.json"]
    assert names(host / "run/cdi") == ["mine.yaml", "nvidia.yml"]  # no engine reads a .yml
    assert names(host / "var/lib") == []

    again = remove_on(host)

    nothing = "nothing to remove: found no file written by cdigen in /etc/cdi, /var/run/cdi and /var/lib/cdigen"
    assert (again.code, again.out, again.err) == (0, "", lines(nothing))


def test_a_dry_run_says_the_same_and_changes_nothing(host: Path) -> None:
    fill_host(host)

    dry = remove_on(host, "--dry-run")

    assert names(host / "etc/cdi") == [
        PART,
        "amd.yaml",
        "k8s.gpu.nvidia.com-claim_1.json",
        "nvidia-gds.yaml",
        "nvidia.yaml",
    ]
    assert names(host / "var/lib/cdigen") == ["nvidia.snapshot.yaml"]
    run = remove_on(host)
    assert (dry.code, dry.out) == (0, "")
    assert dry.err == run.err.replace(" removed ", " would remove ")


@pytest.mark.parametrize("is_link", [False, True])
def test_a_record_directory_with_something_else_in_it_stays(is_link: bool, host: Path) -> None:
    fill(host / "etc/cdi", {"nvidia.yaml": OURS})
    fill(host / "var/lib/cdigen", {"nvidia.snapshot.yaml": OURS} | ({} if is_link else {"nvidia.yaml": FOREIGN}))
    said = []
    if is_link:
        (host / "var/lib/cdigen/nvidia.yaml").symlink_to("x")
        link = "left /var/lib/cdigen/nvidia.yaml: a symbolic link to x, which is not followed"
        said = [f"warning: {link}; {HINT}"]

    dry, run = remove_on(host, "--dry-run"), remove_on(host)

    assert (run.code, run.out) == (0, "")
    assert run.err == lines("removed /etc/cdi/nvidia.yaml", "removed /var/lib/cdigen/nvidia.snapshot.yaml", *said)
    assert dry.err == run.err.replace(" removed ", " would remove ")
    assert names(host / "var/lib/cdigen") == ["nvidia.yaml"]


def test_a_host_that_never_had_cdigen_is_fine(host: Path) -> None:
    run = remove_on(host, "--json")

    assert (run.code, run.err, report_of(run)) == (0, "", [])


def test_what_generate_writes_is_what_remove_takes(specs: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen) -> None:
    snapshot = make_snapshot({**minimal_entries(), **imex_entries(0), **gds_entries(1)})
    generate = ("generate", "--snapshot", snapshot, "--all-modes", "-o", specs / "nvidia.yaml")
    assert cdigen(*generate).code == 0
    written = names(specs)
    assert written == ["nvidia-gds.yaml", "nvidia-imex.yaml", "nvidia-management.yaml", "nvidia.yaml"]

    run = cdigen("remove", "--spec-dir", specs)

    assert (run.code, run.out) == (0, "")
    assert run.err == lines(*(f"removed {specs}/{name}" for name in written))
    assert names(specs) == []


def test_a_directory_that_has_two_names_is_looked_through_once(specs: Path, tmp_path: Path, cdigen: Cdigen) -> None:
    fill(specs, {"nvidia.yaml": OURS, "nvidia.json": JSON})
    (tmp_path / "link").symlink_to("cdi")

    run = cdigen("remove", "--spec-dir", specs, "--spec-dir", tmp_path / "link", "--spec-dir", tmp_path / "none")

    assert (run.code, run.out) == (0, "")
    assert run.err == lines(f"note: left {specs}/nvidia.json: {NO_HEADER}; {HINT}", f"removed {specs}/nvidia.yaml")


# what may be ours, and what is not


def test_json_of_our_kind_and_links_are_left_and_said(specs: Path, tmp_path: Path, cdigen: Cdigen) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_bytes(OURS)
    kinds = {
        "a": "nvidia.com/gpu",
        "b": "management.nvidia.com/gpu",
        "c": "k8s.gpu.nvidia.com/claim",
        "d": "amd.com/gpu",
    }
    fill(specs, {f"{name}.json": b'{"kind":"%s"}' % kind.encode() for name, kind in kinds.items()})
    fill(specs, {"late.json": b" " * 1000 + JSON, ".a.json.0123456789abcdef.tmp": JSON})
    (specs / "link.yaml").symlink_to(elsewhere)
    (specs / "broken.yaml").symlink_to("nowhere")
    (specs / "link.json").symlink_to("a.json")
    (specs / PART).symlink_to(elsewhere)
    before = names(specs)

    run = cdigen("remove", "--spec-dir", specs)

    assert (run.code, run.out) == (0, "")
    assert run.err == lines(
        f"note: left {specs}/a.json: {NO_HEADER}; {HINT}",
        f"note: left {specs}/b.json: {NO_HEADER}; {HINT}",
        f"warning: left {specs}/broken.yaml: a symbolic link to nowhere, which is not followed; {HINT}",
        f"warning: left {specs}/link.yaml: a symbolic link to {elsewhere}, which is not followed; {HINT}",
        f"nothing to remove: found no file written by cdigen in {specs}",
    )
    assert names(specs) == before
    assert elsewhere.read_bytes() == OURS


def test_what_is_no_regular_file_or_anothers_is_passed_over(specs: Path, cdigen: Cdigen) -> None:
    (specs / "directory.yaml").mkdir()
    os.mkfifo(specs / "pipe.yaml")
    os.mkfifo(specs / PART)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(specs / "socket.yaml"))
    fill(specs, {"empty.yaml": b"", "short.yaml": OURS[:10], "lower.yaml": OURS.lower(), "late.yaml": b"\n" + OURS})
    fill(specs, {".x.yaml.0123456789abcdef.tmp": FOREIGN, ".x.yaml.0123456789ABCDEF.tmp": OURS, ".x.yaml.tmp": OURS})
    before = names(specs)

    run = cdigen("remove", "--spec-dir", specs)

    assert run.err == lines(f"nothing to remove: found no file written by cdigen in {specs}")
    assert (run.code, run.out, names(specs)) == (0, "", before)


def test_a_link_to_what_is_anothers_is_not_mentioned(specs: Path, tmp_path: Path, cdigen: Cdigen) -> None:
    fill(tmp_path, {"theirs": FOREIGN})
    os.mkfifo(tmp_path / "pipe")
    for name in ("theirs", "pipe", "."):
        (specs / f"{name}x.yaml").symlink_to(tmp_path / name)

    run = cdigen("remove", "--spec-dir", specs)

    nothing = f"nothing to remove: found no file written by cdigen in {specs}"
    assert (run.code, run.out, run.err) == (0, "", lines(nothing))
    assert len(names(specs)) == 3


@pytest.mark.parametrize("content", [b"", OURS[:5], OURS[:60], OURS], ids=["nothing", "header", "half", "all"])
def test_what_a_killed_writer_left_goes(content: bytes, specs: Path, cdigen: Cdigen) -> None:
    fill(specs, {PART: content})

    run = cdigen("remove", "--spec-dir", specs)

    assert (run.code, run.out, run.err, names(specs)) == (0, "", lines(f"removed {specs}/{PART}"), [])


def test_an_odd_name_forges_no_line(specs: Path, cdigen: Cdigen) -> None:
    odd = "a\ncdigen: removed everything\x1b[2J.yaml"
    fill(specs, {odd: OURS, "-rf.yaml": OURS})
    (specs / "b\n.yaml").symlink_to("c\nd")

    reported = report_of(cdigen("remove", "--spec-dir", specs, "--dry-run", "--json"))
    run = cdigen("remove", "--spec-dir", specs)

    shown = f"{specs}/a\\ncdigen: removed everything\\x1b[2J.yaml"
    left = f"left {specs}/b\\n.yaml: a symbolic link to c\\nd, which is not followed"
    assert run.err == lines(f"removed {specs}/-rf.yaml", f"removed {shown}", f"warning: {left}; {HINT}")
    assert names(specs) == ["b\n.yaml"]
    assert reported == [
        {"path": f"{specs}/-rf.yaml", "state": "would-remove", "message": f"would remove {specs}/-rf.yaml", **NOTHING},
        {"path": f"{specs}/{odd}", "state": "would-remove", "message": f"would remove {shown}", **NOTHING},
        {
            "path": f"{specs}/b\n.yaml",
            "state": "left",
            "message": left,
            "remedy": {"hint": HINT, "commands": []},
        },
    ]


def test_of_many_that_are_left_the_first_are_named(specs: Path, cdigen: Cdigen) -> None:
    for number in range(15):
        (specs / f"link{number:02}.yaml").symlink_to("x")

    run = cdigen("remove", "--spec-dir", specs)

    *named, rest, _ = run.err.splitlines(keepends=True)
    assert [line.split()[3] for line in named] == [f"{specs}/link{number:02}.yaml:" for number in range(10)]
    assert rest == lines(f"warning: 5 more like these in {specs}; --json lists them all")
    assert len(report_of(cdigen("remove", "--spec-dir", specs, "--json"))) == 15


def test_a_directory_of_a_hundred_thousand_names_is_no_trouble(specs: Path, mount: Mount) -> None:
    mount(specs, "-t", "tmpfs", "tmpfs")  # gone quickly
    directory_fd = os.open(specs, os.O_RDONLY)
    for number in range(50_000):
        os.mkdir(f"{number}.yaml", dir_fd=directory_fd)
        os.mknod(f"k8s.gpu.nvidia.com-claim_{number}.json", dir_fd=directory_fd)
    os.close(directory_fd)
    fill(specs, {"nvidia.yaml": OURS})
    start = time.monotonic()

    run = run_program("remove", "--spec-dir", specs)

    assert (run.code, run.out, run.err) == (0, "", lines(f"removed {specs}/nvidia.yaml"))
    assert time.monotonic() - start < 30


# files that are named


def test_a_file_that_is_named_goes_alone(specs: Path, cdigen: Cdigen) -> None:
    fill(specs, {"a.yaml": OURS, "b.yaml": OURS, "c.txt": OURS, "d.json": OURS})

    run = cdigen("remove", specs / "a.yaml", specs / "c.txt", specs / "d.json", specs / "e.yaml", specs / "a.yaml")

    assert (run.code, run.out) == (0, "")
    assert run.err == lines(
        f"removed {specs}/a.yaml", f"removed {specs}/c.txt", f"removed {specs}/d.json", f"no such file: {specs}/e.yaml"
    )
    assert names(specs) == ["b.yaml"]


def test_a_file_that_is_named_and_not_ours_is_refused_and_keeps_no_other_from_its_turn(
    specs: Path, cdigen: Cdigen
) -> None:
    fill(specs, {"mine.yaml": FOREIGN, "nvidia.json": JSON, "ours.yaml": OURS, "z.yaml": OURS})
    (specs / "link.yaml").symlink_to("z.yaml")
    (specs / "directory").mkdir()
    os.mkfifo(specs / "pipe.yaml")
    arguments = [
        specs / name for name in ("mine.yaml", "nvidia.json", "link.yaml", "directory", "pipe.yaml", "ours.yaml")
    ]
    left = [
        (f"left {specs}/mine.yaml: not written by cdigen", None),
        (f"left {specs}/nvidia.json: {NO_HEADER}", HINT),
        (f"left {specs}/link.yaml: a symbolic link to z.yaml", "name that file, or remove the link with rm"),
        (f"left {specs}/directory: a directory", "name a file in it, or use --spec-dir"),
        (f"left {specs}/pipe.yaml: not a regular file, so cdigen did not write it", None),
    ]

    dry = cdigen("remove", *arguments, "--dry-run", "--json")
    run = cdigen("remove", *arguments)

    assert (dry.code, dry.err) == (1, "")
    assert [(one["state"], one["message"], one["remedy"]) for one in report_of(dry)] == [
        *(("left", message, hint and {"hint": hint, "commands": []}) for message, hint in left),
        ("would-remove", f"would remove {specs}/ours.yaml", None),
    ]
    assert [one["path"] for one in report_of(dry)] == [str(path) for path in arguments]
    assert (run.code, run.out) == (1, "")
    assert run.err == lines(
        *("error: " + "; ".join(filter(None, parts)) for parts in left), f"removed {specs}/ours.yaml"
    )
    assert names(specs) == ["directory", "link.yaml", "mine.yaml", "nvidia.json", "pipe.yaml", "z.yaml"]


def test_nothing_is_removed_through_a_strangers_link_in_a_directory_for_all(
    specs: Path, tmp_path: Path, root: None, cdigen: Cdigen
) -> None:
    fill(specs, {"a.yaml": OURS})
    public = tmp_path / "public"
    public.mkdir()
    public.chmod(0o1777)
    (public / "cdi").symlink_to(specs)
    os.chown(public / "cdi", 65534, 65534, follow_symlinks=False)
    what = f"{public}/cdi is a symbolic link of user 65534 in a directory that all may write to"
    hint = "remove the link, or name where it leads"

    named = cdigen("remove", public / "cdi/a.yaml")
    listed = cdigen("remove", "--spec-dir", public / "cdi")

    assert (named.code, named.err) == (7, lines(f"error: cannot read {public}/cdi/a.yaml: {what}; {hint}"))
    assert (listed.code, listed.err) == (7, lines(f"error: cannot list {public}/cdi: {what}; {hint}"))
    assert names(specs) == ["a.yaml"]


def test_files_and_directories_together_have_no_meaning(specs: Path, cdigen: Cdigen) -> None:
    fill(specs, {"a.yaml": OURS})

    run = cdigen("remove", "--spec-dir", specs, specs / "a.yaml")

    message = "error: FILE and --spec-dir both say what to remove; use one of them"
    assert (run.code, run.out, run.err, names(specs)) == (2, "", lines(message), ["a.yaml"])


# what cannot be done


def test_a_full_disk_keeps_nothing_from_being_removed(specs: Path, mount: Mount, cdigen: Cdigen) -> None:
    mount(specs, "-t", "tmpfs", "-o", "size=8k", "tmpfs")
    fill(specs, {"nvidia.yaml": OURS, PART: OURS})
    with pytest.raises(OSError, match="No space left"):
        (specs / "more").write_bytes(b"x" * 4097)
    (specs / "more").unlink()

    run = cdigen("remove", "--spec-dir", specs)

    assert (run.code, run.err) == (0, lines(f"removed {specs}/{PART}", f"removed {specs}/nvidia.yaml"))
    assert names(specs) == []


def test_a_read_only_directory_is_an_error_and_the_others_have_their_turn(
    specs: Path, tmp_path: Path, mount: Mount, cdigen: Cdigen
) -> None:
    fill(specs, {"a.yaml": OURS, "b.yaml": OURS})
    fill(tmp_path / "run", {"c.yaml": OURS})
    mount(specs, "-o", "bind,ro", str(specs))

    run = cdigen("remove", "--spec-dir", specs, "--spec-dir", tmp_path / "run")
    named = cdigen("remove", specs / "a.yaml", tmp_path / "run/c.yaml")

    why = "Read-only file system; make its file system writable"
    assert (run.code, run.out) == (7, "")
    assert run.err == lines(
        f"error: cannot remove {specs}/a.yaml: {why}",
        f"error: cannot remove {specs}/b.yaml: {why}",
        f"removed {tmp_path}/run/c.yaml",
    )
    assert (named.code, named.err) == (
        7,
        lines(f"error: cannot remove {specs}/a.yaml: {why}", f"no such file: {tmp_path}/run/c.yaml"),
    )
    assert names(specs) == ["a.yaml", "b.yaml"]


def test_a_user_without_the_right_is_told_so(specs: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    fill(specs, {"a.yaml": OURS, "b.yaml": FOREIGN, "c.yaml": OURS, "d.json": JSON})
    fill(secret, {"a.yaml": OURS})
    (specs / "c.yaml").chmod(0)
    (specs / "d.json").chmod(0)
    specs.chmod(0o555)
    secret.chmod(0)

    run = run_program("remove", "--spec-dir", specs, "--spec-dir", secret, before=bound_to_permissions())
    named = run_program("remove", secret / "a.yaml", specs / "c.yaml", "--json", before=bound_to_permissions())

    specs.chmod(0o755)
    secret.chmod(0o755)
    assert (run.code, run.out) == (7, "")
    assert run.err == lines(
        f"error: cannot remove {specs}/a.yaml: Permission denied; run as root",
        f"error: cannot read {specs}/c.yaml, which may have been written by cdigen: Permission denied; run as root",
        f"error: cannot list {secret}: Permission denied; run as root",
    )
    assert (named.code, named.err) == (7, "")
    assert [(one["state"], one["message"]) for one in report_of(named)] == [
        ("failed", f"cannot read {secret}/a.yaml: Permission denied"),
        ("failed", f"cannot remove {specs}/c.yaml: Permission denied"),
    ]
    assert names(specs) == ["a.yaml", "b.yaml", "c.yaml", "d.json"]


@pytest.mark.parametrize("name", ["file", "loop"])
def test_a_directory_that_is_none_is_an_error(name: str, specs: Path, cdigen: Cdigen) -> None:
    fill(specs, {"file": OURS})
    (specs / "loop").symlink_to("loop")

    run = cdigen("remove", "--spec-dir", specs / name)

    reason = {"file": "Not a directory", "loop": "Too many levels of symbolic links"}[name]
    message = f"error: cannot list {specs}/{name}: {reason}; see what is there: ls -ld {specs}/{name}"
    assert (run.code, run.out, run.err) == (7, "", lines(message))
