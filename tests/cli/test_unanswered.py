"""NVML that does not answer any more: a spec with what it told is not replaced by one without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hosts import LIBDIR, VERSION, bdf_of, information, mig_entries, minimal_entries, uuid_of
from tests.nvml.stub import HANG, Card, bus_id, card_uuid, compile_stub, mig_uuid

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cdigen, MakeHost, MakeSnapshot
    from tests.hosts import Entries

LIBRARY = f"{LIBDIR}/libnvidia-ml.so.{VERSION}"
FAILED = {"failed": "no answer within 30 s"}
REMEDY = (
    "generate again once NVML answers, or write what is known with --allow-incomplete; see what it says: nvidia-smi -L"
)


def idle(nvml: object) -> Entries:
    """Return a host whose GPU has no UUID in procfs."""
    entries = minimal_entries()
    entries[f"/proc/driver/nvidia/gpus/{bdf_of(0)}/information"] = information(bdf=bdf_of(0), minor=0, uuid=None)
    entries[LIBRARY] = {**entries[LIBRARY], "nvml": nvml}
    return entries


def divided(nvml: object) -> Entries:
    """Return a host whose GPU is divided."""
    entries = {**minimal_entries(), **mig_entries(0, (1, 0), (2, 0))}
    entries[LIBRARY] = {**entries[LIBRARY], "nvml": nvml}
    return entries


def answer(*instances: int, **gpu: object) -> dict[str, object]:
    """Return what NVML tells of the GPU, its instances by index."""
    mig = [
        {"index": index, "gpu_instance": number, "compute_instance": 0, "uuid": mig_uuid(number)}
        for index, number in enumerate(instances)
    ]
    told = {"mig_enabled": True, "mig": mig} if mig else {}
    return {"driver_version": VERSION, "gpus": [{"bdf": bdf_of(0), "minor": 0, **told, **gpu}]}


@pytest.mark.parametrize(
    ("host", "told", "lost", "options"),
    [
        (idle, answer(uuid=uuid_of(0)), uuid_of(0), ()),
        (divided, answer(1, 2), f"{mig_uuid(1)}, {mig_uuid(2)}", ()),
        (divided, answer(2, 1), "0:0, 0:1", ("--device-name-strategy", "index")),
    ],
    ids=["UUID", "MIG UUIDs", "positions"],
)
def test_what_nvml_told_stays_where_it_does_not_answer(
    host: object,
    told: object,
    lost: str,
    options: tuple[str, ...],
    make_snapshot: MakeSnapshot,
    tmp_path: Path,
    cdigen: Cdigen,
) -> None:
    output = tmp_path / "nvidia.yaml"

    def generate(nvml: object, *more: str) -> tuple[int, list[str]]:
        run = cdigen("generate", "--snapshot", make_snapshot(host(nvml)), "-o", output, *options, *more)  # type: ignore[operator]
        return run.code, run.err.splitlines()

    assert generate(told)[0] == 0
    before = output.read_bytes()

    code, said = generate(FAILED)
    assert code == 5
    assert said[0].startswith("cdigen: warning: NVML gives no answer: no answer within 30 s; ")
    assert said[-1] == (
        f"cdigen: error: NVML did not tell which devices {lost} are, so {output} would offer less than it does;"
        f" {REMEDY}"
    )
    assert output.read_bytes() == before
    assert generate(told)[0] == 0
    assert output.read_bytes() == before

    assert generate(FAILED, "--allow-incomplete")[0] == 0
    poorer = output.read_bytes()
    assert poorer != before
    # The next answer makes it whole.
    assert generate(told)[0] == 0
    assert output.read_bytes() == before


def test_where_nothing_is_lost_it_is_written(make_snapshot: MakeSnapshot, tmp_path: Path, cdigen: Cdigen) -> None:
    output = tmp_path / "nvidia.yaml"
    for text in (None, "no: spec\n", "{", "cdiVersion: '0.3.0'\nkind: nvidia.com/gpu\ndevices: []\n"):
        if text is not None:
            output.write_text(text)
        assert cdigen("generate", "--snapshot", make_snapshot(idle(FAILED)), "-o", output).code == 0
    run = cdigen("generate", "--snapshot", make_snapshot(idle(FAILED)), "-o", output)
    assert (run.code, run.err.partition(":")[2].partition(":")[0]) == (0, " unchanged")
    # A choice of the user is none of NVML's failures.
    assert cdigen("generate", "--snapshot", make_snapshot(idle(answer(uuid=uuid_of(0)))), "-o", output).code == 0
    run = cdigen("generate", "--snapshot", make_snapshot(idle(FAILED)), "-o", output, "--nvml", "never")
    assert run.code == 0


def test_a_library_that_hangs_keeps_the_spec(make_machine: MakeHost, tmp_path: Path, cdigen: Cdigen) -> None:
    host, output = make_machine(idle(None)), tmp_path / "nvidia.yaml"
    place, card = host / LIBDIR[1:], Card(bus_id=bus_id(1), uuid=card_uuid(7))
    arguments = ("generate", "--host-root", host, "-o", output, "--nvml-timeout", "1")
    compile_stub(place, [card])
    assert cdigen(*arguments).code == 0
    before = output.read_bytes()
    assert card_uuid(7).encode() in before
    compile_stub(place, [card], faults=[("nvmlInitWithFlags", None, HANG)])
    run = cdigen(*arguments)
    assert run.code == 5
    last = run.err.splitlines()[-1]
    assert last.startswith(f"cdigen: error: NVML did not tell which devices {card_uuid(7)} are, so ")
    assert output.read_bytes() == before
