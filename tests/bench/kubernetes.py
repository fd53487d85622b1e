"""Measures Kubernetes' side of cdigen: memory, waking, the first list, and Allocate with 16 GPUs of 7 MIG devices.

make bench-kubernetes
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.cli.program import COMMAND, environment
from tests.hosts import capability_minor, mig_entries, minimal_entries, text, write_tree
from tests.kubernetes.kubelet import Kubelet

_FIXTURES = Path(__file__).parents[1] / "fixtures" / "elf"
_GPUS, _MIG = 16, 7
_CALLS = 2000
_REST_SECONDS = 60
_STARTS = 10
_MIXED = "nvidia.com/mig-1g.10gb"


def main() -> None:
    """Print the figures."""
    place = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        _measure(place)
    finally:
        shutil.rmtree(place)


def _measure(place: Path) -> None:
    host = place / "host"
    entries = minimal_entries(gpus=_GPUS)
    for gpu in range(_GPUS):
        entries |= mig_entries(gpu, *((gi, 0) for gi in range(1, _MIG + 1)))
    entries["/proc/devices"] = text(
        "Character devices:\n195 nvidia\n508 nvidia-caps\n511 nvidia-uvm\n\nBlock devices:\n"
    )
    write_tree(host, entries, _FIXTURES)
    (host / "etc/cdi").mkdir(parents=True)
    bare = min(_seconds([sys.executable, "-c", ""]) for _ in range(_STARTS))
    print(f"a bare interpreter: {bare * 1000:.0f} ms")

    status = place / "watch.json"
    watch = ("watch", "--host-root", str(host), "--status", str(status), "--nvml=never")
    began = time.monotonic()
    with _Process(*watch) as process:
        _wait(lambda: status.exists() and '"true"' in status.read_text())
        print(f"watch: spec and status after {time.monotonic() - began:.2f} s; {process.memory()} MB resident")
        _print_rest("watch", process)

    (host / "etc/cdi/nvidia.yaml").write_text(json.dumps(_spec()))
    plugin = ("device-plugin", "--host-root", str(host), "--no-xids", "--mig-strategy=mixed")
    kubelet = Kubelet(place / "k")
    times = []
    for _ in range(_STARTS):
        kubelet = Kubelet(place / "k")
        kubelet.start()
        began = time.monotonic()
        with _Process(*plugin, "--plugin-dir", str(kubelet.directory)):
            kubelet.plugin(_MIXED).wait(lambda found: len(found) == _GPUS * _MIG)
            times.append(time.monotonic() - began)
        kubelet.stop()
    print(f"device-plugin: {_GPUS * _MIG} devices listed {statistics.median(times):.2f} s after its start", end="")
    print(f" ({statistics.median(times) / bare:.0f} bare interpreters)")

    kubelet = Kubelet(place / "k")
    kubelet.start()
    with _Process(*plugin, "--plugin-dir", str(kubelet.directory)) as process:
        registered = kubelet.plugin(_MIXED)
        ids = [name for name, _, _ in registered.wait(lambda found: len(found) == _GPUS * _MIG)]
        print(f"device-plugin: {process.memory()} MB resident")
        for name, call in (
            ("Allocate of one", lambda n: registered.allocate([ids[n % len(ids)]])),
            ("Allocate of seven", lambda n: registered.allocate([ids[(n + k) % len(ids)] for k in range(_MIG)])),
            ("GetPreferredAllocation of seven of all", lambda _: registered.prefer(ids, _MIG)),
        ):
            found = sorted(_timed(lambda call=call, n=n: call(n)) for n in range(_CALLS))
            print(f"{name}: p50 {found[_CALLS // 2] * 1e3:.2f} ms, p99 {found[_CALLS * 99 // 100] * 1e3:.2f} ms")
        _print_rest("device-plugin", process)
    kubelet.stop()


def _spec() -> dict[str, object]:
    devices = [
        {
            "name": f"MIG-{gpu:02}-{gi}",
            "annotations": {"cdigen/mig-profile": "1g.10gb"},
            "containerEdits": {
                "deviceNodes": [
                    {"path": path}
                    for path in (
                        f"/dev/nvidia{gpu}",
                        f"/dev/nvidia-caps/nvidia-cap{capability_minor(gpu, gi)}",
                        f"/dev/nvidia-caps/nvidia-cap{capability_minor(gpu, gi, 0)}",
                    )
                ]
            },
        }
        for gpu in range(_GPUS)
        for gi in range(1, _MIG + 1)
    ]
    return {"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": devices}


class _Process:
    """A verb that runs until the block ends."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.DEVNULL, env=environment())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def memory(self) -> int:
        """Return its resident memory in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return round(int(status.split("VmRSS:")[1].split()[0]) / 1024)

    def switches(self) -> int:
        """Return how often its threads have been woken or interrupted so far."""
        tasks = Path(f"/proc/{self._process.pid}/task")
        return sum(
            int(line.split()[1])
            for task in tasks.iterdir()
            for line in (task / "status").read_text().splitlines()
            if line.startswith("voluntary_ctxt_switches")
        )

    def seconds(self) -> float:
        """Return the processor time that it has taken so far."""
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _print_rest(name: str, process: _Process) -> None:
    time.sleep(2)
    switches, seconds = process.switches(), process.seconds()
    time.sleep(_REST_SECONDS)
    woken = (process.switches() - switches) / _REST_SECONDS
    share = (process.seconds() - seconds) / _REST_SECONDS * 100
    print(f"{name} at rest: woken {woken:.1f} times a second, {share:.2f} % of a core")


def _seconds(argv: list[str]) -> float:
    return _timed(lambda: subprocess.run(argv, check=True))


def _timed(call: object) -> float:
    began = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - began


def _wait(is_so: object) -> None:
    while not is_so():  # type: ignore[operator]
        time.sleep(0.01)


if __name__ == "__main__":
    main()
