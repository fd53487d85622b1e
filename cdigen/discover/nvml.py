"""What NVML says, asked through the driver's own library, and what became of the question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import one_line
from cdigen.host import UNREADABLE, HostReadError, NvmlError
from cdigen.host.host import NVML_NO_ANSWER, NVML_NOT_ASKED, NVML_NOT_RECORDED
from cdigen.notes import is_safe_path, reason_of

if TYPE_CHECKING:
    from cdigen.host.views import Views
    from cdigen.notes import Notes
    from cdigen.parse.nvml import NvmlFacts

_STEM = "libnvidia-ml.so"
_CONSEQUENCE = "what procfs does not tell (UUIDs and order of MIG devices, UUIDs of idle GPUs) stays unknown"


def find_nvml(views: Views, notes: Notes, *, version: str, directories: tuple[str, ...]) -> NvmlFacts | None:
    """Ask NVML what it knows of the GPUs.

    Args:
        views: the host.
        notes: gets why there is no answer, what is missing in it, and that it is of another driver.
        version: the driver's; only libnvidia-ml of this version is asked, and only of it an answer is taken.
        directories: see `find_library_directories`.

    Returns:
        The answer; None if there is none that can be used, for which there is a finding.
    """
    path = _find_library(views, notes, version, directories)
    return None if path is None else ask_nvml(views, notes, path, version=version, consequence=_CONSEQUENCE)


def ask_nvml(views: Views, notes: Notes, path: str, *, version: str | None, consequence: str) -> NvmlFacts | None:
    """Ask a libnvidia-ml; see `find_nvml`.

    Args:
        views: the host.
        notes: see `find_nvml`.
        path: the library's host path.
        version: the driver's, of which alone an answer is taken; None takes any.
        consequence: what stays unknown without an answer, a clause.
    """
    try:
        facts = views.driver.host.nvml(path)
    except HostReadError as error:
        notes.damaged(path, error, f"NVML is not asked and {consequence}")
        return None
    except NvmlError as error:
        if error.code == NVML_NOT_RECORDED:
            return None  # whoever wants the answer says what it leaves unknown
        if error.code in NVML_NOT_ASKED:
            notes.add(
                "note",
                error.code,
                path,
                f"NVML is not asked, as {error.reason}, so {consequence}",
                hint=error.remedy.hint,
            )
        else:
            notes.add(
                "warning",
                NVML_NO_ANSWER,
                path,
                f"NVML gives no answer: {error.reason}; {consequence}",
                hint="see what it says to",
                commands=("nvidia-smi -L",),
            )
        return None
    if version is not None and facts.driver_version not in (None, version):
        notes.add(
            "warning",
            NVML_NO_ANSWER,
            path,
            f"NVML answers for driver {facts.driver_version}, not {version}; its answer is not used and {consequence}",
            hint="ask on the host itself, or name its driver with --driver-root",
        )
        return None
    for problem in facts.problems:
        notes.add(
            "warning",
            NVML_NO_ANSWER,
            path,
            f"NVML does not tell everything: {problem}; procfs alone counts there",
            hint="see",
            commands=("nvidia-smi -q",),
        )
    return facts


def _find_library(views: Views, notes: Notes, version: str, directories: tuple[str, ...]) -> str | None:
    """Return the host path of the first 64-bit libnvidia-ml of the version in the directories."""
    view = views.driver
    name = f"{_STEM}.{version}"
    reasons: dict[str, None] = {}
    for path in (f"{directory}/{file}" for directory in directories for file in (f"{_STEM}.1", name)):
        try:
            place = view.find(path)
            if place is None or place[1].kind != "file" or place[0].rpartition("/")[2] != name:
                continue
            host_path = view.host_path(place[0])
            bits = view.host.elf(host_path).bits if is_safe_path(host_path) else 0
        except UNREADABLE as error:
            notes.note_failure(error)
            reasons[f"{one_line(view.host_path(path))}: {reason_of(error)}"] = None
            continue
        if bits == 64:
            return host_path
    why = f" that can be used ({'; '.join(reasons)})" if reasons else f" below {one_line(view.host_path('/'))}"
    notes.add(
        "warning",
        NVML_NO_ANSWER,
        name,
        f"NVML is not asked: there is no {name}{why}; {_CONSEQUENCE}",
        hint=f"install the user-space driver {version}",
    )
    return None
