"""Documents that are handed to the program and are not what they should be: specs and snapshots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import run_program
from tests.cli.standing_spec import StandingSpec, assert_refused
from tests.hosts import link, minimal_entries, snapshot_document

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeSnapshot

MEMORY = 640 << 20  # bytes; the largest document that is taken needs a good half
LIMITED = ("prlimit", f"--as={MEMORY}", "--cpu=60")

LAUGHS = b"a0: &a0 [lol, lol]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 30)
)
DOCUMENTS = (
    ("empty", b"", "no document in it"),
    ("comment alone", b"# nothing\n", "no document in it"),
    (
        "bomb of aliases",
        LAUGHS,
        "line 5, column 10: aliases stand for 6544 of the 6586 values up to here, which is too much",
    ),
    ("bomb of depth", b"[" * 100_000, "line 1, column 65: nested more than 64 levels deep"),
    ("bomb of mappings", b"{a: " * 100_000, "line 1, column 257: nested more than 64 levels deep"),
    ("alias of itself", b"a: &a [*a]\n", "line 1, column 8: the alias 'a' stands in what it names"),
    ("duplicate key", b"kind: a/b\nkind: c/d\n", "line 2, column 1: duplicate key 'kind'"),
    (
        "duplicate key of a mount",
        b"containerEdits: {mounts: [{hostPath: /a, hostPath: /b}]}\n",
        "line 1, column 42: duplicate key 'hostPath'",
    ),
    ("NUL byte", b"kind: a\0b\n", "line 1, column 8: a NUL character"),
    ("NUL bytes alone", bytes(1000), "line 1, column 1: a NUL character"),
    ("not UTF-8", b"a: 1\nkind: \xff\xfe\n", "line 2: not UTF-8 (invalid start byte)"),
    ("UTF-16", "kind: a/b".encode("utf-16"), "line 1: not UTF-8 (invalid start byte)"),
    ("two documents", b"a: 1\n---\nb: 2\n", "line 2, column 1: a second document; only one is allowed"),
    (
        "merge key",
        b"a: &a {b: 1}\nc: {<<: *a}\n",
        "line 2, column 5: a merge key (<<), which is not supported here",
    ),
    (
        "tag that makes an object",
        b"!!python/object/apply:os.system ['true']\n",
        "line 1, column 1: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not supported here",
    ),
    ("key that is not text", b"1: a\n", "line 1, column 1: a key that is neither text nor in quotes"),
    ("infinite number", b"a: .inf\n", "line 1, column 4: .inf is not a number that a document may have"),
    (
        "number of a million digits",
        b"a: " + b"9" * 1_000_000,
        f"line 1, column 4: a number of 1000000 characters: '{'9' * 60}…'",
    ),
    ("a list", b"[]", "this array is not an object"),
    ("a text", b"hello", "'hello' is not an object"),
)


@pytest.mark.parametrize(("name", "data", "reason"), DOCUMENTS, ids=[row[0] for row in DOCUMENTS])
def test_validate_says_what_is_wrong_with_any_bytes(name: str, data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(data)

    run = run_program("validate", "bad.yaml", cwd=tmp_path, before=LIMITED)

    assert (run.code, run.out, run.err) == (1, f"bad.yaml::$: {reason}\n", "")


TOO_LARGE = "larger than 16 MiB, which no spec and no snapshot is"


def test_validate_refuses_50_mb_of_garbage_without_reading_all_of_it(tmp_path: Path) -> None:
    with (tmp_path / "big.yaml").open("wb") as file:
        file.write(b"\x93garbage\n" * (50_000_000 // 9))

    run = run_program("validate", "big.yaml", cwd=tmp_path, before=("prlimit", f"--as={200 << 20}", "--cpu=10"))

    assert (run.code, run.out, run.err) == (1, f"big.yaml::$: {TOO_LARGE}\n", "")


def test_validate_stops_reading_an_endless_file() -> None:
    run = run_program("validate", "-", before=("sh", "-c", 'exec "$@" </dev/zero', "", *LIMITED))

    assert (run.code, run.out, run.err) == (1, f"-::$: {TOO_LARGE}\n", "")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text", b"\x07garbage " * (1 << 20)),
        ("brackets", b"[]," * (5 << 20)),
        ("one long key", b"?" * (15 << 20)),
        ("many devices", b"cdiVersion: 0.3.0\nkind: a/b\ndevices:\n" + b"- {}\n" * 20_000),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_large_document_of_garbage_ends_soon_and_says_so(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(data)

    run = run_program("validate", "large.yaml", cwd=tmp_path, before=("prlimit", "--as=4294967296", "--cpu=60"))

    assert (run.code, run.err) == (1, "")
    assert run.out.startswith("large.yaml::$")


def test_a_violation_cannot_forge_another_line(tmp_path: Path) -> None:
    (tmp_path / "bad\nx.yaml").write_bytes(b'{"a\\nb.yaml::$: forged": 1, "kind": "\\u001b[2J\\u2028"}')

    run = run_program("validate", "bad\nx.yaml", cwd=tmp_path)

    assert run.code == 1
    assert [line.partition("::")[0] for line in run.out.splitlines()] == ["bad\\nx.yaml"] * 4
    assert run.out.replace("\n", "").isprintable()


@pytest.mark.parametrize("command", ["diff", "list"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"kind: a\nkind: b\n", "{0} cannot be read as a spec: line 2, column 1: duplicate key 'kind'; correct it"),
        (
            b"cdiVersion: 0.3.0\nkind: a\ndevices: []\n",
            (
                "{0} is not a valid spec: $.devices: must not be empty; $.kind: 'a' is not a kind: vendor/class, each"
                " of two or more letters, digits, '_', '.' and '-', starting with a letter and ending with a letter or"
                " digit; see all that is wrong with: cdigen validate {0}"
            ),
        ),
        (
            b"cdiVersion: 0.3.0\nkind: aa/bb\ndevices: [%s]\n" % b", ".join([b"1"] * 12),
            "{0} is not a valid spec: "
            + "; ".join(f"$.devices[{n}]: 1 is not an object" for n in range(10))
            + "; and 2 more; see all that is wrong with: cdigen validate {0}",
        ),
        (
            b"# Written by cdigen 0.1.0 for kind.\n# Do not edit.\n# Options: --no-all\nkind: a\n",
            (
                "{0} is not a valid spec: $: key 'cdiVersion' is missing or empty; $.devices: must not be empty;"
                " $.kind: 'a' is not a kind: vendor/class, each of two or more letters, digits, '_', '.' and '-',"
                " starting with a letter and ending with a letter or digit; regenerate it with: cdigen generate"
                " --output {0} --no-all"
            ),
        ),
    ],
    ids=["not YAML", "not a spec", "many violations", "ours"],
)
def test_a_spec_that_is_none_is_refused(
    command: str, data: bytes, message: str, tmp_path: Path, make_snapshot: MakeSnapshot, cdigen: Cdigen
) -> None:
    spec = tmp_path / "nvidia.yaml"
    spec.write_bytes(data)
    host = ("--snapshot", make_snapshot()) if command == "diff" else ()

    run = cdigen(command, "--spec", spec, *host)

    assert_refused(run, 1, message.format(spec))


NO_PATH = " is not an absolute path without '.', '..', '//' and a slash at the end"


def entry_of(**facts: object) -> object:
    return {"cdigen_snapshot": 1, "entries": {"/a": facts}}


SNAPSHOTS: tuple[tuple[str, object, str], ...] = (
    ("another format", {"cdigen_snapshot": 2, "entries": {}}, "$.cdigen_snapshot: 2 is not 1"),
    ("no entries", {"cdigen_snapshot": 1}, "$: key 'entries' is missing"),
    ("unknown key", {"cdigen_snapshot": 1, "entries": {}, "size": 1}, "$.size: unknown key"),
    ("a list", [], "$: this array is not an object"),
    (
        "unknown kind",
        entry_of(kind="door"),
        "$.entries['/a'].kind: 'door' is not one of 'file', 'dir', 'link', 'char', 'block', 'socket', 'fifo'",
    ),
    ("link without target", entry_of(kind="link"), "$.entries['/a']: key 'to' is missing"),
    ("device without numbers", entry_of(kind="char", mode="0666"), "$.entries['/a']: key 'rdev' is missing"),
    ("device without a mode", entry_of(kind="char", rdev="195:0"), "$.entries['/a']: key 'mode' is missing"),
    ("file with a target", entry_of(kind="file", to="b"), "$.entries['/a'].to: 'b' is not allowed here"),
    (
        "path that climbs",
        {"cdigen_snapshot": 1, "entries": {"/a/../b": {"kind": "dir"}}},
        f"$.entries['/a/../b']: '/a/../b'{NO_PATH}",
    ),
    ("relative path", {"cdigen_snapshot": 1, "entries": {"a": {"kind": "dir"}}}, f"$.entries.a: 'a'{NO_PATH}"),
)


@pytest.mark.parametrize(("name", "document", "reason"), SNAPSHOTS, ids=[row[0] for row in SNAPSHOTS])
def test_a_snapshot_that_fails_its_schema_is_refused(
    name: str, document: object, reason: str, tmp_path: Path, cdigen: Cdigen
) -> None:
    standing = StandingSpec(tmp_path / "cdi")
    snapshot = tmp_path / "snapshot.yaml"
    snapshot.write_text(json.dumps(document))

    run = cdigen("generate", "--snapshot", snapshot, "-o", standing.path)

    assert_refused(run, 1, f"{snapshot} is not a snapshot: {reason}; record it again with: cdigen snapshot")
    standing.assert_untouched()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "{}: no document in it; record it again with: cdigen snapshot"),
        (b"\xff", "{}: line 1: not UTF-8 (invalid start byte); record it again with: cdigen snapshot"),
        (
            LAUGHS,
            (
                "{}: line 5, column 10: aliases stand for 6544 of the 6586 values up to here, which is too much;"
                " record it again with: cdigen snapshot"
            ),
        ),
    ],
    ids=["empty", "not UTF-8", "bomb"],
)
def test_a_snapshot_that_is_no_document_is_refused(data: bytes, message: str, tmp_path: Path, cdigen: Cdigen) -> None:
    standing = StandingSpec(tmp_path / "cdi")
    snapshot = tmp_path / "snapshot.yaml"
    snapshot.write_bytes(data)

    run = cdigen("generate", "--snapshot", snapshot, "-o", standing.path)

    assert_refused(run, 1, message.format(snapshot))
    standing.assert_untouched()


def test_a_snapshot_that_is_not_there_is_named(tmp_path: Path, cdigen: Cdigen) -> None:
    run = cdigen("generate", "--snapshot", tmp_path / "none.yaml", "-o", "-")

    assert_refused(run, 7, f"cannot read {tmp_path}/none.yaml: No such file or directory; check the path")


def test_a_snapshot_of_a_link_cycle_is_refused_like_the_host(tmp_path: Path, cdigen: Cdigen) -> None:
    entries = {**minimal_entries(), "/dev/nvidia0": link("nvidia0")}
    snapshot = tmp_path / "snapshot.yaml"
    snapshot.write_text(json.dumps(snapshot_document(entries)))

    run = cdigen("generate", "--snapshot", snapshot, "-o", "-")

    assert_refused(run, 5, "/dev/nvidia0 leads through more than 40 symbolic links; remove the link cycle")
