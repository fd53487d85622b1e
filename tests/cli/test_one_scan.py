"""How often a run opens its host and looks at the driver: once, whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdigen.discover import scan
from cdigen.host.live import LiveHost
from cdigen.parse import elf
from cdigen.session import session
from tests.hosts import minimal_entries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Return how often a host was opened, scanned, and an ELF file read, from now on."""
    found = dict.fromkeys(("opened", "scanned", "elf"), 0)

    def counted(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def do(*args: object, **kwargs: object) -> object:
            found[name] += 1
            return function(*args, **kwargs)

        return do

    monkeypatch.setattr(LiveHost, "__init__", counted("opened", LiveHost.__init__))
    monkeypatch.setattr(session, "find_inventory", counted("scanned", scan.find_inventory))
    monkeypatch.setattr(elf, "parse_elf", counted("elf", elf.parse_elf))
    return found


@pytest.mark.parametrize("verb", ["doctor", "check"])
def test_a_host_is_opened_and_scanned_once(
    make_host: MakeHost, cdigen: Cdigen, counts: dict[str, int], verb: str
) -> None:
    root = make_host()
    cdigen("generate", "--host-root", root)
    generated = dict(counts)
    counts.update(dict.fromkeys(counts, 0))

    cdigen(verb, "--host-root", root)

    assert counts == {"opened": 1, "scanned": 1, "elf": generated["elf"]}


@pytest.mark.parametrize("options", [(), ("--all-modes",)])
def test_generate_opens_a_root_once_for_its_output_and_once_for_the_host(
    make_host: MakeHost, cdigen: Cdigen, counts: dict[str, int], tmp_path: Path, options: tuple[str, ...]
) -> None:
    root = make_host()

    cdigen("generate", "--host-root", root, *options)
    below_root = counts["opened"]
    cdigen("generate", "--host-root", root, *options, "-o", tmp_path / "nvidia.yaml")

    assert (below_root, counts["opened"], counts["scanned"]) == (2, 3, 2)


def test_no_elf_file_is_read_twice(make_host: MakeHost, cdigen: Cdigen, counts: dict[str, int]) -> None:
    cdigen("generate", "--host-root", make_host())

    assert counts["scanned"] == 1
    assert counts["elf"] == sum("elf" in entry for entry in minimal_entries().values())
