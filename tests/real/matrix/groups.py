"""Who may open device nodes that are open to all, and such as are open to a group, in which engine.

A cell is what a process of the container gets when it opens a node of either mode to read and write: one that started
as root and gave that up but kept its groups, and one that was started as a user. `ENXIO`, the kernel's answer where no
driver has the number, is "yes", `EACCES` is "no".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tests.real.hardware import GPUS
from tests.real.matrix.engines import ROWS, Row, Start, open_release_podman
from tests.real.matrix.images import KINDS
from tests.real.matrix.releases import RELEASE_TESTING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.real.matrix.engines import Done, Engine

USER = 1000

OPEN, CLOSED = f"/dev/nvidia{GPUS[0].minor}", f"/dev/dri/card{GPUS[0].drm}"
"""Nodes of 0666 root:root and 0660 root:video, of the device 0."""

WHO = ("root that drops to a user", "a user")

_OPEN = f"for node in {OPEN} {CLOSED}; do (: <>$node) 2>&1 | sed 's/.*: //'; done"
_DROP = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--keep-groups")
_ANSWERS = {"No such device or address": "yes", "Permission denied": "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of an engine with one spec.

    Attributes:
        answers: for each of `WHO`, of the node that is open to all and of the other one; () if nothing started.
        refusal: the engine's status and message then.
    """

    answers: tuple[tuple[str, str], ...] = ()
    refusal: str = ""


GVISOR = Row(name="podman 5.8, gVisor", about="testing", open=partial(open_release_podman, RELEASE_TESTING, "runsc"))
"""No row of the table of images: a sandbox has another kernel, so `look` sees other things."""

_LEFT_OUT = (
    "podman 4.3, runc",
    "crun 1.8, cdigen inject",
    "rootless podman 4.3, runc",
    "podman 5.4, runc",
    "podman 5.8, runc",
)
"""The other runtime of an engine answers the same, and every container takes its time."""

ENGINES = (*(row for row in ROWS if not row.name.startswith("buildah") and row.name not in _LEFT_OUT), GVISOR)
"""Engines that take CDI names, each with one runtime, in the order of the table."""

_HEAD = f"""\
## Who may open the device nodes

A spec has the mode and the group of every node, as they are on the host. Each cell is whether a process of the
container can open a node of 0666, and one of 0660 of the group `video`: a process that started as root and became
a user without leaving its groups, and one that was started as a user (`--user {USER}`); with `--additional-gids never`
and `always`, with which the spec has cdiVersion 0.7.0.
"""

_NOTES = """\
* Where an engine makes the container's user the owner of a node, the user may open it without the group. That is why
  cdigen writes no owner.
* docker chooses the process's user and groups after it has applied the spec, so neither the owner nor additionalGids
  come of it. Name the group: `docker run --group-add 44`, with the number that the node has on the host.
* A rootless engine binds the host's own node, whose group has no number in the container. Put the user into the group
  on the host and run podman with `--group-add keep-groups`, which crun alone knows, or open the node to all by udev.
* An engine that refuses `always` does not know cdiVersion 0.7.0. `auto`, the default, is `never` where one of them is
  installed.
* gVisor ran by podman with `--network=none` and `--ignore-cgroups`. It crashes on a node without a mode
  (google/gvisor#13621), and needs `--nvproxy` to reach a GPU.
"""

_REFUSED = "status 126: Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=0\n"


def expected(row: Row, *, with_groups: bool) -> Seen:
    """Return what has to be seen of an engine with a spec that has additionalGids, or with one that has none."""
    if row.name.startswith("podman 4.3") and with_groups:
        return Seen(refusal=_REFUSED)
    if row.rootless:  # the host's own nodes, and the host's groups have no number in there
        return Seen(answers=(("yes", "no"), ("yes", "no")))
    if not row.knows_user:
        return Seen(answers=(("yes", "no"), ("yes", "no")))
    return Seen(answers=(("yes", "yes" if with_groups else "no"), ("yes", "yes")))


def render_groups(seen: Mapping[tuple[str, bool], Seen]) -> str:
    """Return the part of the page about nodes and groups, of what was seen by engine and whether there were groups."""
    lines = [
        "| engine | " + " | ".join(f"{who}, {option}" for option in ("never", "always") for who in WHO) + " |",
        "| --- |" + " --- |" * (2 * len(WHO)),
    ]
    for row in ENGINES:
        cells = [
            ", ".join(answers)
            for with_groups in (False, True)
            for answers in seen[row.name, with_groups].answers or (("refused",),) * len(WHO)
        ]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join((_HEAD, *lines, "", _NOTES))


def ask(engine: Engine) -> Seen:
    """Start a container for each of `WHO` and return what it may open."""
    kind = next(kind for kind in KINDS if kind.name == "bookworm")
    device = ("nvidia.com/gpu=0",)
    done = [
        engine.run(Start(kind=kind, devices=device, argv=(*_DROP, "sh", "-c", _OPEN))),
        engine.run(Start(kind=replace(kind, name="user", user=USER), devices=device, argv=("sh", "-c", _OPEN))),
    ]
    failed = [one for one in done if one.returncode]
    if failed:
        return Seen(refusal=f"status {failed[0].returncode}: {failed[0].stderr or failed[0].stdout}")
    return Seen(answers=tuple(map(_read, done)))


def _read(done: Done) -> tuple[str, str]:
    first, second = (_ANSWERS.get(line, line) for line in done.stdout.splitlines())
    return first, second
