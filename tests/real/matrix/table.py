"""The matrix as a page of the documentation, made of the cells that a run of the tests has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.real.matrix.engines import Row
    from tests.real.matrix.expected import Failure
    from tests.real.matrix.images import Kind

_HEAD = """\
# Engines and kinds of image

Written by a run of `tests/real/matrix` (`pytest tests/real/matrix --update-golden`, as root); a run that sees anything
else fails. Do not edit.

Each cell stands for containers that were started with the spec of a real driver on a host with eight GPUs: with
`--device nvidia.com/gpu=all`, `=0`, two single GPUs, and one by UUID. It says "yes" if in all of them

* every injected library whose own needs the image can meet is loaded by its name, and it is the host's file; the
  others fail for want of what the image lacks, by name; cuInit and nvmlInit run;
* the device nodes of the GPUs that were asked for are there, with the host's numbers, and can be opened to read and
  write by those to whom they are open (see below); those of other GPUs are not there, and a container that makes its
  own is denied them by the device cgroup (rootless: cannot make any);
* the variables of the spec are set, and the image's own `LD_LIBRARY_PATH` is as it was;
* nothing but the spec's files is mounted from the driver; the C library is the image's.

"""

_NOTES = (
    "* buildah 1.39 (Debian 13) resolves CDI names, but with runc, and on cgroup v1, it starts no container with a",
    "  device node of any spec (measured with `/dev/null`): it adds a rule to the device cgroup that names no access.",
    "  With crun on cgroup v2 it does: measured with 1.43 and 1.45 on another machine, as this run has no cgroup v2.",
    "* The DRM nodes are 0660 root:video, on the host and in the container; see below who may open them.",
    "* Debian testing moves. This was podman 5.8.6, docker 28.5.2, containerd 2.1.9, runc 1.3.6, crun 1.28.",
)
"""What the tests of the matrix assert beside the cells."""


def render_table(rows: Sequence[Row], kinds: Sequence[Kind], cells: Mapping[tuple[str, str], Failure | None]) -> str:
    """Return the page, but for the part about groups.

    Args:
        rows: the engines, which are the columns.
        kinds: the kinds of image, which are the lines.
        cells: what was seen, by the names of engine and kind: None for a cell that works. Complete.
    """
    failures_seen = (cells[row.name, kind.name] for kind in kinds for row in rows)
    notes = list(dict.fromkeys(failure.reason for failure in failures_seen if failure is not None))
    lines = [
        "| image | " + " | ".join(row.name for row in rows) + " |",
        "| --- |" + " --- |" * len(rows),
        "| *from* | " + " | ".join(f"*{row.about}*" for row in rows) + " |",
    ]
    for kind in kinds:
        failures = [cells[row.name, kind.name] for row in rows]
        marks = ["yes" if failure is None else f"no ({notes.index(failure.reason) + 1})" for failure in failures]
        lines.append(f"| {kind.name} | " + " | ".join(marks) + " |")
    lines += ["", *_NOTES, "", *(f"{number}. {note}" for number, note in enumerate(notes, start=1)), ""]
    lines += ["| image | what it is |", "| --- | --- |"]
    lines += [f"| {kind.name} | {kind.about} |" for kind in kinds]
    return _HEAD + "\n".join(lines) + "\n"
