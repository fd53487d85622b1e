"""A directory below --host-root that somebody exchanges for a link out of it while it is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.swap import exchanging

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost

TIMES = 60
SPEC = json.dumps(
    {
        "cdiVersion": "0.5.0",
        "kind": "secret.com/gpu",
        "devices": [{"name": "secret", "containerEdits": {"env": ["SECRET=1"]}}],
    }
)


@pytest.fixture
def host(make_host: MakeHost, tmp_path: Path) -> Path:
    """Make a host that has an empty spec directory, and beside it a link to one that is not the host's."""
    root = make_host()
    (root / "etc/cdi").mkdir(parents=True, exist_ok=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "nvidia.yaml").write_text(SPEC)
    (outside / "secret.yaml").write_text(SPEC)
    (root / "etc/link").symlink_to(outside)
    return root


@pytest.mark.parametrize("arguments", [("list", "--all"), ("diff",)])
def test_nothing_of_where_the_link_leads_is_shown(arguments: tuple[str, ...], host: Path, cdigen: Cdigen) -> None:
    with exchanging(host / "etc/cdi", host / "etc/link"):
        runs = [cdigen(*arguments, "--host-root", host) for _ in range(TIMES)]

    assert [run for run in runs if "secret" in (run.out + run.err).lower().replace(str(host).lower(), "")] == []
