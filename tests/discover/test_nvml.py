"""How discovery finds the library, and what it says about the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.discover.nvml import find_nvml
from cdigen.findings import Finding, Remedy
from cdigen.host import Host, NvmlError
from cdigen.host.host import NVML_NOT_INSTALLED
from cdigen.host.live import LiveHost
from cdigen.host.snapshot import SnapshotHost
from cdigen.host.views import open_views
from cdigen.notes import Notes
from cdigen.parse.nvml import NvmlFacts, NvmlGpu
from tests.hosts import LIBDIR, OTHER_VERSION, VERSION, damaged, host_of, library, link, moved, unreadable
from tests.nvml.stub import Card, bus_id, card_uuid, compile_stub

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hosts import Entries

NAME = f"libnvidia-ml.so.{VERSION}"
LIBRARY = f"{LIBDIR}/{NAME}"
SONAME = f"{LIBDIR}/libnvidia-ml.so.1"
ANSWER = {"driver_version": VERSION, "gpus": []}
FACTS = NvmlFacts(driver_version=VERSION, gpus=(), problems=())
UNKNOWN = "what procfs does not tell (UUIDs and order of MIG devices, UUIDs of idle GPUs) stays unknown"


def answering(nvml: object = ANSWER, soname: str = "libnvidia-ml.so.1", machine: str = "x86_64") -> dict[str, object]:
    """Return the library with what NVML says through it."""
    return {**library(soname, machine), "nvml": nvml}


def find(
    host: Entries | Host, *directories: str, driver_root: str = "/"
) -> tuple[NvmlFacts | None, tuple[Finding, ...]]:
    views = open_views(host if isinstance(host, Host) else host_of(host), driver_root=driver_root, dev_root=None)
    notes = Notes()
    facts = find_nvml(views, notes, version=VERSION, directories=directories or (LIBDIR,))
    return facts, notes.findings


def warning(subject: str, message: str) -> tuple[None, tuple[Finding]]:
    said, _, remedy = message.rpartition("; ")
    hint, _, command = remedy.partition(": ")
    commands = (command,) if command else ()
    return None, (Finding(level="warning", code="nvml", subject=subject, message=said, remedy=Remedy(hint, commands)),)


def test_the_library_is_asked_that_the_soname_leads_to() -> None:
    assert find({SONAME: link(NAME), LIBRARY: answering()}) == (FACTS, ())


def test_the_library_is_asked_by_its_own_name_where_there_is_no_link() -> None:
    assert find({LIBRARY: answering()}) == (FACTS, ())


def test_links_lead_through_alternatives_to_the_library() -> None:
    entries: Entries = {
        SONAME: link("/etc/alternatives/ml"),
        "/etc/alternatives/ml": link(f"/usr/lib/nvidia/{NAME}"),
        f"/usr/lib/nvidia/{NAME}": answering(),
    }
    assert find(entries) == (FACTS, ())


def test_the_library_below_the_driver_root_is_asked() -> None:
    entries = moved({SONAME: link(LIBRARY), LIBRARY: answering()}, "/run/driver", "/usr")
    assert find(entries, driver_root="/run/driver") == (FACTS, ())


def test_the_first_directory_with_a_library_of_this_version_and_word_size_counts() -> None:
    entries: Entries = {
        "/a/libnvidia-ml.so.1": link(f"libnvidia-ml.so.{OTHER_VERSION}"),
        f"/a/libnvidia-ml.so.{OTHER_VERSION}": answering({"failed": "another driver"}),
        f"/b/{NAME}": answering({"failed": "32-bit"}, machine="i386"),
        f"/c/{NAME}": answering(),
        f"/d/{NAME}": answering({"failed": "too late"}),
    }
    assert find(entries, "/none", "/a", "/b", "/c", "/d") == (FACTS, ())


def test_without_a_library_nobody_is_asked() -> None:
    assert find({SONAME: link("none")}) == warning(
        NAME, f"NVML is not asked: there is no {NAME} below /; {UNKNOWN}; install the user-space driver {VERSION}"
    )


def test_libraries_that_cannot_be_used_are_named_with_the_reason() -> None:
    entries: Entries = {
        LIBRARY: damaged(),
        "/b/libnvidia-ml.so.1": link("libnvidia-ml.so.1"),
        f"/c/{NAME}": unreadable("EACCES"),
    }
    assert find(entries, LIBDIR, "/b", "/c") == warning(
        NAME,
        f"NVML is not asked: there is no {NAME} that can be used ({LIBRARY}: empty file; /b/libnvidia-ml.so.1: leads"
        " through more than 40 symbolic links;"
        f" /c/{NAME}: Permission denied); {UNKNOWN}; install the user-space driver {VERSION}",
    )


def test_nvml_that_fails_is_a_warning_with_its_words() -> None:
    assert find({LIBRARY: answering({"failed": "nvmlInit: Driver Not Loaded (9)"})}) == warning(
        LIBRARY,
        f"NVML gives no answer: nvmlInit: Driver Not Loaded (9); {UNKNOWN}; see what it says to: nvidia-smi -L",
    )


def test_bindings_that_are_not_installed_are_a_note() -> None:
    class WithoutBindings(SnapshotHost):
        def nvml(self, path: str) -> NvmlFacts:
            hint = "install nvidia-ml-py into cdigen's environment"
            raise NvmlError("nvidia-ml-py is not installed", hint=hint, code=NVML_NOT_INSTALLED)

    finding = Finding(
        level="note",
        code="nvml-not-installed",
        subject=LIBRARY,
        message=f"NVML is not asked, as nvidia-ml-py is not installed, so {UNKNOWN}",
        remedy=Remedy("install nvidia-ml-py into cdigen's environment"),
    )
    assert find(WithoutBindings({LIBRARY: answering()})) == (None, (finding,))


def test_a_snapshot_without_an_answer_is_silence() -> None:
    assert find({LIBRARY: library("libnvidia-ml.so.1")}) == (None, ())


def test_an_answer_of_another_driver_is_not_used() -> None:
    assert find({LIBRARY: answering({"driver_version": OTHER_VERSION, "gpus": []})}) == warning(
        LIBRARY,
        f"NVML answers for driver {OTHER_VERSION}, not {VERSION}; its answer is not used and {UNKNOWN}; ask on the"
        " host itself, or name its driver with --driver-root",
    )


def test_an_answer_without_a_version_is_used() -> None:
    facts = NvmlFacts(driver_version=None, gpus=(), problems=())
    assert find({LIBRARY: answering({"gpus": []})}) == (facts, ())


def test_what_an_answer_lacks_is_a_warning_each() -> None:
    problems = ["GPU 0000:01:00.0: nvmlDeviceGetUUID: GPU is lost (15)", "NVML: and 9 more problems"]
    facts, findings = find({LIBRARY: answering({**ANSWER, "problems": problems})})
    assert facts == NvmlFacts(driver_version=VERSION, gpus=(), problems=tuple(problems))
    assert findings == tuple(
        Finding(
            level="warning",
            code="nvml",
            subject=LIBRARY,
            message=f"NVML does not tell everything: {problem}; procfs alone counts there",
            remedy=Remedy("see", ("nvidia-smi -q",)),
        )
        for problem in problems
    )


def test_a_live_library_below_a_driver_root_is_asked(tmp_path: Path) -> None:
    place = tmp_path / "run/driver" / LIBDIR[1:]
    compile_stub(place, [Card(bus_id=bus_id(7), uuid=card_uuid(7))])
    (place / "libnvidia-ml.so.1").symlink_to(LIBRARY)
    gpu = NvmlGpu(
        bdf="0000:07:00.0",
        minor=0,
        uuid=card_uuid(7),
        model="NVIDIA Fictional 9000",
        mig_enabled=None,
        mig=(),
        coherent=False,
    )
    assert find(LiveHost(str(tmp_path), procfs="/proc"), driver_root="/run/driver") == (
        NvmlFacts(driver_version=VERSION, gpus=(gpu,), problems=()),
        (),
    )
