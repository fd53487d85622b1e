"""The modes on the command line, ours and what is said to the words of the vendor's generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from typing import Any

MODES = ("auto", "gpu", "management", "imex", "nvswitch", "gds", "gdrcopy", "mofed", "coherent", "noncoherent")

_UNSUPPORTED = {"wsl": "WSL2", "csv": "Jetson"}
"""Words of `nvidia-ctk cdi generate --mode`, and the platform that each is for."""


class ModeChoice(click.Choice[str]):
    """One of `MODES`, or the vendor's word for one of them: nvml is gpu."""

    def __init__(self) -> None:
        super().__init__(MODES)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the mode; raises click.BadParameter for one that is none, or that cdigen does not support yet."""
        if value in _UNSUPPORTED:
            self.fail(f"'{value}' is for {_UNSUPPORTED[value]}, which cdigen does not support yet.", param, ctx)
        return super().convert("gpu" if value == "nvml" else value, param, ctx)
