"""What the vendor's words for platforms are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost


@pytest.mark.parametrize(
    ("mode", "answer"),
    [
        ("wsl", "'wsl' is no mode: that a host is WSL2 is found out. Leave it out, or use --platform wsl."),
        ("csv", "'csv' is no mode: that a host is a Jetson is found out. Leave it out, or use --platform tegra."),
    ],
)
def test_the_vendors_word_for_a_platform_is_answered(mode: str, answer: str, cdigen: Cdigen) -> None:
    run = cdigen("generate", "--mode", mode)

    assert (run.code, run.out) == (2, "")
    assert run.err == f"cdigen: error: Invalid value for '--mode': {answer} Try 'cdigen generate --help'.\n"


def test_the_vendors_word_for_the_usual_platform_is_the_mode_of_the_gpus(
    make_host: MakeHost, tmp_path: Path, cdigen: Cdigen
) -> None:
    root = make_host()
    for mode in ("gpu", "nvml"):
        run = cdigen("generate", "--mode", mode, "--host-root", root, "-o", tmp_path / mode)
        assert run.code == 0
    assert (tmp_path / "gpu").read_bytes() == (tmp_path / "nvml").read_bytes()
