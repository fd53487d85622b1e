"""Which spec a device's name leads to, among directories of them."""

from __future__ import annotations

import json
import os
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdigen.cdi.registry import SourcedEdits
from cdigen.cdi.spec_dirs import MAX_FILES
from cdigen.errors import CdigenError, DocumentError, FileError
from cdigen.specs.on_disk import read_registry
from tests.work import calls_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdigen.cdi.registry import Registry

SEE = "see what is there with: cdigen list --all --spec-dir low --spec-dir high"


def spec(*names: str, kind: str = "example.com/gpu", **more: object) -> dict[str, object]:
    """Return a spec whose devices set a variable to their names."""
    devices = [{"name": name, "containerEdits": {"env": [f"D={name}"]}} for name in names]
    return {"cdiVersion": "0.6.0", "kind": kind, "devices": devices, **more}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Work in an empty directory, so that messages have short paths."""
    with chdir(tmp_path):
        yield tmp_path


def make(*files: tuple[str, object]) -> Registry:
    """Write specs (text as it is) and return the registry of their directories `low` and `high`."""
    for name, content in files:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
    return read_registry(("low", "high"))


def sources(registry: Registry, *names: str) -> list[str]:
    return [edits.source for edits in registry.resolve(names)]


def failure(registry: Registry, *names: str) -> tuple[str, list[str]]:
    """Return the message and the remarks with which a name does not resolve."""
    with pytest.raises(DocumentError) as caught:
        registry.resolve(names)
    assert {finding.level for finding in caught.value.findings} <= {"error"}
    return str(caught.value), [finding.message for finding in caught.value.findings]


def test_edits_are_the_spec_s_once_and_then_each_device_s_in_the_order_asked_for(place: Path) -> None:
    registry = make(
        ("low/a.json", spec("one", "two", containerEdits={"env": ["S=a"]})),
        ("low/b.yaml", spec("net", kind="example.com/nic")),
    )

    found = registry.resolve(["example.com/gpu=two", "example.com/nic=net", "example.com/gpu=one"])

    assert found == (
        SourcedEdits(source="low/a.json", edits={"env": ["S=a"]}),
        SourcedEdits(source="example.com/gpu=two", edits={"env": ["D=two"]}),
        SourcedEdits(source="low/b.yaml", edits={}),
        SourcedEdits(source="example.com/nic=net", edits={"env": ["D=net"]}),
        SourcedEdits(source="example.com/gpu=one", edits={"env": ["D=one"]}),
    )


def test_a_device_that_is_asked_for_twice_is_given_once(place: Path) -> None:
    registry = make(("low/a.json", spec("one")))

    assert sources(registry, "example.com/gpu=one", "example.com/gpu=one") == ["low/a.json", "example.com/gpu=one"]


def test_the_later_directory_counts_device_by_device(place: Path) -> None:
    registry = make(("low/z.json", spec("one", "two")), ("high/a.json", spec("one")))

    assert sources(registry, "example.com/gpu=one") == ["high/a.json", "example.com/gpu=one"]
    assert sources(registry, "example.com/gpu=two") == ["low/z.json", "example.com/gpu=two"]
    assert [file.path for file in registry.providers("example.com/gpu=one")] == ["low/z.json", "high/a.json"]
    assert registry.devices() == ("example.com/gpu=one", "example.com/gpu=two")


def test_a_directory_that_is_given_twice_does_not_dispute_with_itself(place: Path) -> None:
    make(("low/a.json", spec("one")))

    assert sources(read_registry(("low", "low")), "example.com/gpu=one") == ["low/a.json", "example.com/gpu=one"]


def test_a_device_in_two_files_of_one_directory_is_not_resolved_and_the_others_are(place: Path) -> None:
    registry = make(("low/b.json", spec("one", "two")), ("low/a.yaml", spec("one")))

    assert failure(registry, "example.com/gpu=one") == (
        "example.com/gpu=one is in low/a.yaml and low/b.json, which count the same; remove it from all but one of them",
        [],
    )
    assert sources(registry, "example.com/gpu=two") == ["low/b.json", "example.com/gpu=two"]


def test_a_dispute_in_an_earlier_directory_spoils_a_later_one_too(place: Path) -> None:
    registry = make(
        ("low/a.json", spec("one")), ("low/b.json", spec("one", "two")), ("high/c.json", spec("one", "two"))
    )

    assert failure(registry, "example.com/gpu=one") == (
        "example.com/gpu=one is in low/a.json and low/b.json, which count the same; remove it from all but one of them",
        [],
    )
    assert [file.path for file in registry.disputing("example.com/gpu=one")] == ["low/a.json", "low/b.json"]
    assert registry.winner("example.com/gpu=one") is None
    assert registry.disputing("example.com/gpu=two") == ()
    assert sources(registry, "example.com/gpu=two") == ["high/c.json", "example.com/gpu=two"]
    winner = registry.winner("example.com/gpu=two")
    assert winner is not None
    assert winner.path == "high/c.json"
    assert registry.winner("example.com/gpu=three") is None


def test_the_same_name_of_another_kind_is_another_device(place: Path) -> None:
    registry = make(("low/a.json", spec("one")), ("low/b.json", spec("one", kind="example.com/nic")))

    assert sources(registry, "example.com/nic=one") == ["low/b.json", "example.com/nic=one"]


def test_only_files_right_in_the_directory_with_an_engine_s_suffix_are_read(place: Path) -> None:
    for name in ("low/a.yml", "low/b.JSON", "low/c.json.tmp", "low/.d.yaml.0123.tmp", "low/noted"):
        make((name, "{"))
    Path("low/dir.yaml").mkdir()
    make(("low/dir.yaml/inner.json", spec("inner")), ("low/.hidden.json", spec("one")))

    registry = read_registry(("low",))

    assert [(file.path, file.problems) for file in registry.files] == [("low/.hidden.json", ())]
    assert registry.devices() == ("example.com/gpu=one",)


def test_a_link_is_read_whatever_it_is_a_link_to(place: Path) -> None:
    make(("specs/a.json", spec("one")))
    Path("low").symlink_to("specs")
    Path("specs/gone.json").symlink_to("nowhere")
    Path("specs/dir.json").symlink_to("..")
    os.mkfifo("specs/pipe.json")

    registry = read_registry(("low",))

    assert [(file.path, file.problems) for file in registry.files] == [
        ("low/a.json", ()),
        ("low/dir.json", ("low/dir.json is not a regular file",)),
        ("low/gone.json", ("cannot read low/gone.json: No such file or directory; check the path",)),
        ("low/pipe.json", ("low/pipe.json is not a regular file",)),
    ]


def test_an_unknown_device_is_named_with_the_near_ones(place: Path) -> None:
    registry = make(
        ("low/a.json", spec("0", "1", "2", "10", "all")), ("high/b.json", spec("all", kind="other.org/nic"))
    )

    assert failure(registry, "example.com/gpu=al") == (
        (
            "no valid spec in low and high has example.com/gpu=al; did you mean example.com/gpu=all or"
            " example.com/gpu=0 or example.com/gpu=1?"
        ),
        [],
    )
    assert failure(registry, "exmaple.com/gpu=10")[0] == (
        "no valid spec in low and high has exmaple.com/gpu=10; did you mean example.com/gpu=10 or example.com/gpu=0 or"
        " example.com/gpu=1?"
    )
    assert failure(registry, "storage.net/disk=x")[0] == (
        f"no valid spec in low and high has storage.net/disk=x; {SEE}"
    )
    assert failure(registry, "zz/yy=" + "x" * 5000)[0] == (
        f"no valid spec in low and high has zz/yy={'x' * 5000}; {SEE}"
    )


def test_a_near_name_is_of_the_same_vendor_or_of_one_that_is_spelt_almost_like_it(place: Path) -> None:
    registry = make(("low/a.json", spec("0", "all", kind="nvidia.com/gpu")))
    for vendor in ("amd.com", "intel.com", "nvidia.org.example"):
        assert failure(registry, f"{vendor}/gpu=0")[0] == f"no valid spec in low and high has {vendor}/gpu=0; {SEE}"
    for vendor in ("nvida.com", "nvidia.org"):
        assert failure(registry, f"{vendor}/gpu=0")[0].endswith(
            "; did you mean nvidia.com/gpu=0 or nvidia.com/gpu=all?"
        )


def test_near_names_cost_a_bounded_number_of_steps_whatever_the_names_are(place: Path) -> None:
    registry = make(("low/a.json", spec(*("ab" * 100 + str(number) for number in range(3000)))))

    def ask(name: str) -> int:
        return calls_of(lambda: failure(registry, f"example.com/gpu={name}"))

    assert ask("ba" * 56) < 15_000_000
    assert ask("ba" * 50_000) < 1000


def test_every_device_that_cannot_be_had_is_named(place: Path) -> None:
    registry = make(("low/a.json", spec("one")), ("low/b.json", spec("one")))

    assert failure(registry, "qq/qq=q", "example.com/gpu=one", "q\n/qq=z")[0] == (
        "no valid spec in low and high has qq/qq=q; example.com/gpu=one is in low/a.json and low/b.json, which count"
        f" the same; no valid spec in low and high has q\\n/qq=z; remove it from all but one of them; {SEE}"
    )


def test_no_directory_at_all_has_no_device(place: Path) -> None:
    registry = read_registry(("low", "high"))

    assert (registry.files, registry.devices()) == ((), ())


def test_a_spec_that_is_not_valid_is_passed_over(place: Path) -> None:
    registry = make(("low/a.json", spec("one")), ("high/b.json", spec("one") | {"extra": 1}))

    assert sources(registry, "example.com/gpu=one") == ["low/a.json", "example.com/gpu=one"]


def test_files_that_could_have_had_the_device_are_named_with_all_that_is_wrong(place: Path) -> None:
    registry = make(
        ("low/other.json", spec("one", kind="example.com/nic") | {"extra": 1}),
        ("low/same.json", spec("one") | {"extra": 1, "cdiVersion": "9"}),
        ("low/text.yaml", "a: 1\na: 2\n"),
        ("low/unsure.json", spec("one", kind="gpu")),
        ("low/good.json", spec("two")),
    )
    same = [
        (
            "low/same.json::$.cdiVersion: '9' is not one of '0.3.0', '0.4.0', '0.5.0', '0.6.0', '0.7.0', '0.8.0',"
            " '1.0.0', '1.1.0'"
        ),
        "low/same.json::$.extra: unknown key",
    ]
    always = [
        "low/text.yaml::$: line 2, column 1: duplicate key 'a'",
        (
            "low/unsure.json::$.kind: 'gpu' is not a kind: vendor/class, each of two or more letters, digits, '_', '.'"
            " and '-', starting with a letter and ending with a letter or digit"
        ),
    ]

    message, remarks = failure(registry, "example.com/gpu=one")
    assert message == (
        "no valid spec in low and high has example.com/gpu=one; if low/same.json and low/text.yaml and"
        " low/unsure.json should have it, correct that, or use example.com/gpu=two"
    )
    assert remarks == same + always
    assert failure(registry, "other.org/disk=9")[1] == always


def test_the_problems_of_one_file_are_bounded(place: Path) -> None:
    registry = make(("low/a.json", {str(number): 0 for number in range(1500)}))

    problems = registry.files[0].problems
    assert (len(problems), problems[-1]) == (201, "low/a.json::$: and more than these 200, which were not looked for")


def test_a_directory_that_cannot_be_read_is_an_error(place: Path) -> None:
    Path("file").write_text("")
    for directory, reason in (("file", "Not a directory"), ("a\0b", "a NUL character in the path")):
        with pytest.raises(FileError) as caught:
            read_registry((directory,))
        shown = directory.replace("\0", "\\x00")
        assert str(caught.value) == (
            f"cannot read the spec directory {shown}: {reason}; name a directory that you may read"
        )


def test_a_directory_of_very_many_specs_is_refused(place: Path) -> None:
    Path("low").mkdir()
    for number in range(MAX_FILES + 1):
        os.symlink("x", f"low/{number}.json")

    with pytest.raises(FileError) as caught:
        read_registry(("low",))
    assert str(caught.value) == "low has 4097 specs, more than 4096; remove what is not needed"


def test_an_error_of_the_reader_s_own_is_not_hidden(place: Path) -> None:
    make(("low/a.json", spec("one")))

    def fail(path: str) -> bytes:
        raise CdigenError(path)

    with pytest.raises(CdigenError):
        read_registry(("low",), read=fail)
