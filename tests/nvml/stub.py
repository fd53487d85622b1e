"""Compiles a libnvidia-ml that answers what a test wants (tests/fixtures/nvml/stub.c)."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SOURCE = Path(__file__).parents[1] / "fixtures/nvml/stub.c"

HANG, CRASH, EXIT_0, ABORT, START_A_PROCESS_AND_HANG = -1, -2, -3, -4, -5
"""What a call can do beside returning a code of nvml.h."""

NONE, HMM, ATS = 0, 1, 2
"""Addressing modes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mig:
    """A MIG device of the stub."""

    gpu_instance: int
    compute_instance: int
    uuid: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A GPU of the stub. Modes are None where they are not supported."""

    bus_id: str
    minor: int = 0
    uuid: str | None = None
    name: str | None = "NVIDIA Fictional 9000"
    mig_mode: bool | None = None
    addressing_mode: int | None = None
    memory: int = 0  # bytes
    compute: tuple[int, int] = (0, 0)
    mig: Mapping[int, Mig] = field(default_factory=dict)  # by index; others are holes
    max_mig: int = 7


def card_uuid(number: int) -> str:
    return f"GPU-00000000-0000-4000-8000-{number:012x}"


def mig_uuid(number: int) -> str:
    return f"MIG-00000000-0000-5000-8000-{number:012x}"


def bus_id(number: int) -> str:
    return f"00000000:{number:02X}:00.0"


def compile_stub(
    place: Path,
    cards: Iterable[Card] = (),
    *,
    faults: Iterable[tuple[str, str | None, int]] = (),
    version: str = "999.88.77",
    without: Iterable[str] = (),
    soname: str = "libnvidia-ml.so.1",
    options: Iterable[str] = (),
) -> Path:
    """Compile the library into the directory `place` and return its path.

    Args:
        place: a directory; made if it is not there.
        cards: the GPUs.
        faults: function, bus ID or UUID of a MIG device (None for every call), code.
        version: what it says of the driver's version, and the end of its file name.
        without: functions that it does not have.
        soname: its SONAME.
        options: of the compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        reason = "there is no C compiler (package gcc)"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and under CI nothing is skipped")
        pytest.skip(reason)
    place.mkdir(parents=True, exist_ok=True)
    lines = [
        f"#define DRIVER_VERSION {_quoted(version)}",
        f"#define GPUS {', '.join(map(_device, cards))}",
        f"#define FAULTS {', '.join(f'{{{_quoted(name)}, {_quoted(which)}, {code}}}' for name, which, code in faults)}",
        *(f"#define WITHOUT_{name}" for name in without),
    ]
    (place / "answers.h").write_text("\n".join(lines) + "\n")
    library = place / f"libnvidia-ml.so.{version if version.isascii() and version.isprintable() else '1'}"
    warnings = ["-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Wno-type-limits"]
    flags = ["-shared", "-fPIC", *warnings, f"-Wl,-soname,{soname}", "-include", str(place / "answers.h")]
    subprocess.run([compiler, *flags, "-o", library, SOURCE, *options], check=True)
    return library


def _device(card: Card) -> str:
    size = card.max_mig if card.mig_mode else 0
    rows = [f"[{index}] = {{{_mig(mig)}}}" for index, mig in card.mig.items()]
    array = f"(struct device[{size}]){{{', '.join(rows)}}}" if rows else "NULL"
    return (
        f"{{.bus_id = {_quoted(card.bus_id)}, .minor = {card.minor}u, .uuid = {_quoted(card.uuid)},"
        f" .name = {_quoted(card.name)}, .mig_mode = {_mode(card.mig_mode)},"
        f" .addressing_mode = {_mode(card.addressing_mode)}, .memory = {card.memory}ull,"
        f" .compute = {{{card.compute[0]}, {card.compute[1]}}}, .mig_devices = {size if rows else 0}, .mig = {array}}}"
    )


def _mig(mig: Mig) -> str:
    return (
        f".uuid = {_quoted(mig.uuid)}, .name = {_quoted(mig.name)}, .gpu_instance = {mig.gpu_instance}u,"
        f" .compute_instance = {mig.compute_instance}u"
    )


def _mode(mode: int | None) -> int:
    return -1 if mode is None else int(mode)


def _quoted(text: str | None) -> str:
    """Return a C string; surrogates stand for bytes, as in file names."""
    if text is None:
        return "NULL"
    return '"' + "".join(f"\\{byte:03o}" for byte in text.encode(errors="surrogateescape")) + '"'
