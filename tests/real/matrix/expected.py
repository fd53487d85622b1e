"""The cells of the matrix that cannot work: what the engine answers, and why.

Whatever is not here works. A test asserts the answer, so that an engine that mends itself is noticed too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.real.matrix.images import KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a cell fails.

    Attributes:
        status: the engine's exit status.
        message: all of its stderr; `{device}` stands for the first device that is asked for.
        reason: why, and what a user can do; a note below the table.
    """

    status: int
    message: str
    reason: str


_CRUN_FOLLOWS_NO_DANGLING_LINK = Failure(
    status=127,
    message=(
        "Error: crun: openat2 `usr/lib/x86_64-linux-gnu/libcuda.so.1`: No such file or directory:"
        " OCI runtime attempted to invoke a command that was not found\n"
    ),
    reason=(
        "crun mounts on nothing where the image has a link to nothing; runc makes the file that the link names."
        " Remove the link from the image: something injected a driver while it was built."
    ),
)

_CRUN_ALONE_FOLLOWS_NONE_EITHER = replace(
    _CRUN_FOLLOWS_NO_DANGLING_LINK,
    status=1,
    message="openat2 `usr/lib/x86_64-linux-gnu/libcuda.so.1`: No such file or directory\n",
)

_BUILDAH_HAS_NO_CDI = Failure(
    status=125,
    message="Error: getting info of source device {device}: stat {device}: no such file or directory\n",
    reason="buildah 1.28 takes paths of device nodes only, no CDI names. Run with podman.",
)

FAILURES: dict[tuple[str, str], Failure] = {
    ("podman 4.3, crun", "dangling-link"): _CRUN_FOLLOWS_NO_DANGLING_LINK,
    ("crun 1.8, cdigen inject", "dangling-link"): _CRUN_ALONE_FOLLOWS_NONE_EITHER,
    ("rootless podman 4.3, crun", "dangling-link"): _CRUN_FOLLOWS_NO_DANGLING_LINK,
    ("podman 5.4, crun", "dangling-link"): _CRUN_FOLLOWS_NO_DANGLING_LINK,
    ("podman 5.8, crun", "dangling-link"): _CRUN_FOLLOWS_NO_DANGLING_LINK,
    **{("buildah 1.28", kind.name): _BUILDAH_HAS_NO_CDI for kind in KINDS},
}
"""By the engine's and the kind's name."""
