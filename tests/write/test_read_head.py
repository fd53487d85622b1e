"""The beginning of what stands at a path, whatever that is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cdigen.write import read_head

if TYPE_CHECKING:
    from pathlib import Path


def test_as_much_of_a_file_is_read_as_was_asked_for(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"content")
    link.symlink_to("file")

    assert read_head(str(file), 4) == b"cont"
    assert read_head(str(file), 100) == b"content"
    assert read_head(str(link), 4) == b"cont"


@pytest.mark.parametrize("name", ["pipe", "directory", "dangling", "missing", "a\0b"])
def test_what_is_no_file_has_no_beginning_and_nobody_waits_for_it(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    (tmp_path / "dangling").symlink_to("missing")

    assert read_head(f"{tmp_path}/{name}", 4) is None


def test_a_device_is_not_opened() -> None:
    assert read_head("/dev/zero", 4) is None
