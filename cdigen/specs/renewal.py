"""What to do about a spec that is not right: one advice for each, whatever is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.catalog.modes import MODES
from cdigen.diagnosis import run
from cdigen.errors import shell_word
from cdigen.findings import Remedy
from cdigen.specs.found import VENDORS_GENERATOR
from cdigen.specs.header import options_of

if TYPE_CHECKING:
    from cdigen.specs.found import FoundSpec

GENERATE = "cdigen generate"

VENDORS_UNITS = ("nvidia-cdi-refresh.service", "nvidia-cdi-refresh.path")
VENDORS_SPEC = "/var/run/cdi/nvidia.yaml"
DISABLE_VENDORS = run(
    f"systemctl disable --now {' '.join(reversed(VENDORS_UNITS))}",
    f"rm -f {VENDORS_SPEC}",
    hint="disable the vendor's service and remove its spec",
)
"""Where its spec hides ours. The file may be gone by the second command, as after a boot."""


def how_to_renew(spec: FoundSpec) -> Remedy:
    """Return how a spec is written again, by whom it was written; where it hides one of ours, how it is taken away."""
    path = spec.file.path
    if spec.hides_ours:
        return how_to_reveal_ours(path)
    if spec.author == "cdigen":
        return run(generate_command(spec))
    if spec.author == VENDORS_GENERATOR:
        return run(f"nvidia-ctk cdi generate --output={shell_word(path)}")
    return Remedy("regenerate it with the program that wrote it")


def how_to_replace(spec: FoundSpec, *, is_file: bool = True) -> Remedy:
    """Return how a spec that no engine can use is replaced by one of ours; see `how_to_renew`.

    Args:
        spec: the spec.
        is_file: False for a pipe or a device, which is not to be written to or removed.
    """
    if spec.hides_ours:
        return how_to_reveal_ours(spec.file.path)
    if not is_file:
        return run(GENERATE)
    return run(generate_command(spec), hint="regenerate it, or remove it")


def how_to_reveal_ours(path: str) -> Remedy:
    """Return how the spec at `path`, which hides one of ours, is taken away."""
    return DISABLE_VENDORS if path == VENDORS_SPEC else run(f"rm {shell_word(path)}", hint="remove one of the two")


def generate_command(spec: FoundSpec) -> str:
    """Return the command that writes a spec of ours; of one whose options are not known, its name tells the mode."""
    options = options_of(spec.data)
    if not options:
        name = spec.file.path.rpartition("/")[2].rpartition(".")[0]
        mode = name.removeprefix("nvidia-")
        options = f"--mode={mode}" if name != mode and mode in MODES else ""
    return f"{GENERATE} --output {shell_word(spec.file.path)}{' ' * bool(options)}{options}"
