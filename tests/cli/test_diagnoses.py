"""The report of doctor and check: what is equal is one line, the problems are last, and there is one verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.diagnosis import diagnosis, pass_on, run
from cdigen.doctor.report import diagnoses_to_json, emit_diagnoses
from cdigen.findings import Finding, Remedy

if TYPE_CHECKING:
    import pytest

    from cdigen.diagnosis import Diagnosis

CREATE = run("cdigen nodes --create")


def text_of(capsys: pytest.CaptureFixture[str], *found: Diagnosis) -> str:
    emit_diagnoses(found, good="healthy", bad="not healthy")
    return capsys.readouterr().out


def test_what_is_equal_of_many_subjects_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = [diagnosis("nodes", f"/dev/nvidia{n}", "problem", "node-missing", "missing", CREATE) for n in range(8)]

    assert text_of(capsys, *found) == (
        "problem  nodes    /dev/nvidia0, /dev/nvidia1, /dev/nvidia2 and 5 more: missing\n"
        "                  $ cdigen nodes --create\n"
        "\nnot healthy: 8 problems\n"
    )
    assert len(diagnoses_to_json(found)) == 8


def test_what_is_said_in_other_words_of_others_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        diagnosis("nodes", path, "problem", "node-missing", f"missing: {why}", CREATE)
        for path, why in (("/dev/nvidiactl", "control of all GPUs"), ("/dev/nvidia0", "a GPU"), ("/dev/nvidia1", "a"))
    ]

    assert text_of(capsys, *found) == (
        "problem  nodes    /dev/nvidiactl: missing: control of all GPUs; likewise /dev/nvidia0, /dev/nvidia1\n"
        "                  $ cdigen nodes --create\n"
        "\nnot healthy: 3 problems\n"
    )


def test_what_a_message_names_is_not_said_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding(level="warning", code="node-missing", subject="/dev/a", message="/dev/a is missing")
    found = [pass_on("driver", "/dev/a", "warning", finding), pass_on("spec", "/etc/b", "warning", finding)]

    assert text_of(capsys, *found) == (
        "warning  driver   /dev/a is missing\nwarning  spec     /etc/b: /dev/a is missing\n\nhealthy: 2 warnings\n"
    )


def test_another_code_level_remedy_or_matter_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        diagnosis("spec", "/a", "warning", "one", "same"),
        diagnosis("spec", "/b", "warning", "two", "same"),
        diagnosis("spec", "/c", "unknown", "one", "same"),
        diagnosis("spec", "/d", "warning", "one", "same", Remedy("do it")),
        diagnosis("spec", "/a", "warning", "one", "another matter"),
        diagnosis("spec", "/e", "ok", "true", "2 GPUs"),
        diagnosis("spec", "/f", "ok", "true", "3 GPUs"),
    ]

    assert text_of(capsys, *found) == (
        "ok       spec     /e: 2 GPUs\n"
        "ok       spec     /f: 3 GPUs\n"
        "unknown  spec     /c: same\n"
        "warning  spec     /a: same\n"
        "warning  spec     /b: same\n"
        "warning  spec     /d: same\n"
        "                  -> do it\n"
        "warning  spec     /a: another matter\n"
        "\nhealthy, as far as could be seen: 4 warnings, 1 unknown, 2 ok\n"
    )


def test_the_problems_are_last_and_json_keeps_the_order_of_the_chain(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        diagnosis("pci", "/p", "problem", "no-gpu", "no GPU", run("lspci -d 10de:", hint="look for it")),
        diagnosis("kernel", "nvidia", "ok", "module-loaded", "loaded"),
    ]

    assert text_of(capsys, *found) == (
        "ok       kernel   nvidia: loaded\n"
        "problem  pci      /p: no GPU\n"
        "                  -> look for it\n"
        "                  $ lspci -d 10de:\n"
        "\nnot healthy: 1 problem, 1 ok\n"
    )
    assert [one["code"] for one in diagnoses_to_json(found)] == ["no-gpu", "module-loaded"]
    assert diagnoses_to_json(found)[0]["remedy"] == {"hint": "look for it", "commands": ["lspci -d 10de:"]}
