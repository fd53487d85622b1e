"""The real bindings (nvidia-ml-py) ask a library that the tests compile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cdigen.host import NvmlError
from cdigen.host.nvml import ask_nvml
from cdigen.parse.nvml import MAX_GPUS, NvmlFacts, NvmlGpu, NvmlMig
from tests.nvml.stub import (
    ABORT,
    ATS,
    CRASH,
    EXIT_0,
    HANG,
    HMM,
    NONE,
    START_A_PROCESS_AND_HANG,
    Card,
    Mig,
    bus_id,
    card_uuid,
    compile_stub,
    mig_uuid,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
TIMEOUT = 20.0  # far more than any answer takes here


def mig(number: int, gpu_instance: int, compute_instance: int, name: str) -> Mig:
    return Mig(gpu_instance=gpu_instance, compute_instance=compute_instance, uuid=mig_uuid(number), name=name)


def told(number: int, index: int, gpu_instance: int, compute_instance: int, profile: str | None) -> NvmlMig:
    return NvmlMig(
        index=index,
        uuid=mig_uuid(number),
        gpu_instance=gpu_instance,
        compute_instance=compute_instance,
        profile=profile,
    )


def plain(number: int, **fields: object) -> NvmlGpu:
    """Return what is to be told of `card(number)`, but for `fields`."""
    values: dict[str, object] = {
        "bdf": f"0000:{number:02x}:00.0",
        "minor": number,
        "uuid": card_uuid(number),
        "model": "NVIDIA Fictional 9000",
        "mig_enabled": None,
        "mig": (),
        "coherent": False,
        **fields,
    }
    return NvmlGpu(**values)  # type: ignore[arg-type]


def card(number: int, **fields: object) -> Card:
    values: dict[str, object] = {"bus_id": bus_id(number), "minor": number, "uuid": card_uuid(number), **fields}
    return Card(**values)  # type: ignore[arg-type]


def ask(place: Path, cards: Iterable[Card], timeout: float = TIMEOUT, **how: object) -> NvmlFacts:
    return ask_nvml(str(compile_stub(place, cards, **how)), timeout)  # type: ignore[arg-type]


def refusal(place: Path, timeout: float = TIMEOUT, **how: object) -> str:
    with pytest.raises(NvmlError) as caught:
        ask(place, [card(1), card(2)], timeout, **how)
    assert caught.value.exit_code == 5
    assert caught.value.reason == str(caught.value)
    return caught.value.reason


def test_eight_gpus_are_told_with_their_mig_devices_in_the_order_of_nvml(tmp_path: Path) -> None:
    facts = ask(
        tmp_path,
        [
            card(0x0A),
            card(0x0B, mig_mode=False, addressing_mode=NONE),
            # Holes in the indices, and an order that is not that of the instances.
            card(
                0x0C,
                mig_mode=True,
                mig={
                    1: mig(1, 9, 0, "NVIDIA A100-SXM4-40GB MIG 1g.5gb"),
                    4: mig(2, 5, 1, "NVIDIA A100-SXM4-40GB MIG 1c.2g.10gb"),
                    5: mig(3, 5, 0, "NVIDIA A100-SXM4-40GB MIG 1c.2g.10gb"),
                },
            ),
            card(
                0x0D,
                mig_mode=True,
                mig={
                    0: mig(4, 3, 0, "MIG 1g.24gb+gfx"),
                    1: mig(5, 4, 0, "NVIDIA RTX PRO 6000 MIG 1g.24gb+me.all"),
                    2: mig(6, 6, 0, "NVIDIA RTX PRO 6000 MIG 2g.48gb-me"),
                },
                max_mig=4,
            ),
            card(0x0E, mig_mode=True),  # no instance was made
            card(0x0F, addressing_mode=ATS, memory=(95830 << 20) + 1, compute=(12, 1)),
            card(0x10, bus_id="00010000:1F:02.1", uuid=card_uuid(0x10).upper(), addressing_mode=HMM),
            card(0xFF, bus_id="00000008:06:00.0", minor=253),
        ],
    )
    assert facts == NvmlFacts(
        driver_version="999.88.77",
        gpus=(
            plain(0x0A),
            plain(0x0B, mig_enabled=False),
            plain(
                0x0C,
                mig_enabled=True,
                mig=(told(1, 1, 9, 0, "1g.5gb"), told(2, 4, 5, 1, "1c.2g.10gb"), told(3, 5, 5, 0, "1c.2g.10gb")),
            ),
            plain(
                0x0D,
                mig_enabled=True,
                mig=(
                    told(4, 0, 3, 0, "1g.24gb+gfx"),
                    told(5, 1, 4, 0, "1g.24gb+me.all"),
                    told(6, 2, 6, 0, "2g.48gb-me"),
                ),
            ),
            plain(0x0E, mig_enabled=True),
            plain(0x0F, coherent=True, memory=95830, compute="12.1"),
            plain(0x10, bdf="10000:1f:02.1"),
            plain(0xFF, bdf="0008:06:00.0", minor=253),
        ),
        problems=(),
    )


def test_a_host_without_gpus_has_none(tmp_path: Path) -> None:
    assert ask(tmp_path, []) == NvmlFacts(driver_version="999.88.77", gpus=(), problems=())


def test_uuids_of_drivers_before_r470_are_taken_as_they_are(tmp_path: Path) -> None:
    old = f"MIG-{card_uuid(1)}/7/0"
    device = Mig(gpu_instance=7, compute_instance=0, uuid=old, name="A100 MIG 1g.5gb")
    (gpu,) = ask(tmp_path, [card(1, mig_mode=True, mig={0: device})]).gpus
    assert [mig.uuid for mig in gpu.mig] == [old]


def test_a_lost_gpu_does_not_spoil_the_others(tmp_path: Path) -> None:
    cards = [card(1), card(2), card(3)]
    facts = ask(tmp_path, cards, faults=[("nvmlDeviceGetHandleByIndex_v2", bus_id(2), 15)])
    assert facts == NvmlFacts(
        driver_version="999.88.77",
        gpus=(plain(1), plain(3)),
        problems=("GPU 1 of NVML: nvmlDeviceGetHandleByIndex: GPU is lost (15)",),
    )


def test_what_a_single_call_does_not_tell_is_missing_and_said(tmp_path: Path) -> None:
    devices = {number: mig(number, number, 0, "MIG 1g.5gb") for number in range(6)}
    facts = ask(
        tmp_path,
        [
            card(1, mig_mode=True, mig=devices),
            card(2, mig_mode=True, mig=devices),
            card(3, mig_mode=True),
            card(4),
            card(5),
        ],
        faults=[
            ("nvmlSystemGetDriverVersion", None, 999),
            ("nvmlDeviceGetUUID", bus_id(1), 15),
            ("nvmlDeviceGetName", bus_id(1), 4),
            ("nvmlDeviceGetMinorNumber", bus_id(1), 3),
            ("nvmlDeviceGetAddressingMode", bus_id(1), 17),
            ("nvmlDeviceGetMigDeviceHandleByIndex", mig_uuid(0), 999),
            ("nvmlDeviceGetGpuInstanceId", mig_uuid(1), 15),
            ("nvmlDeviceGetComputeInstanceId", mig_uuid(2), 15),
            ("nvmlDeviceGetUUID", mig_uuid(3), 3),
            ("nvmlDeviceGetName", mig_uuid(4), 3),
            ("nvmlDeviceGetMaxMigDeviceCount", bus_id(2), 3),
            ("nvmlDeviceGetMigMode", bus_id(3), 15),
            ("nvmlDeviceGetPciInfo_v3", bus_id(4), 15),
            ("nvmlDeviceGetAddressingMode", bus_id(5), 13),
        ],
    )
    bare = {"uuid": None, "model": None, "minor": None, "coherent": None}
    without_uuid = NvmlMig(index=3, uuid=None, gpu_instance=3, compute_instance=0, profile="1g.5gb")
    assert facts == NvmlFacts(
        driver_version=None,
        gpus=(
            plain(1, **bare, mig_enabled=True, mig=(without_uuid, told(4, 4, 4, 0, None), told(5, 5, 5, 0, "1g.5gb"))),
            plain(2, mig_enabled=True),
            plain(3),
            plain(5, coherent=None),
        ),
        problems=(
            "NVML: nvmlSystemGetDriverVersion: Unknown Error (999)",
            "GPU 0000:01:00.0: nvmlDeviceGetMinorNumber: Not Supported (3)",
            "GPU 0000:01:00.0: nvmlDeviceGetUUID: GPU is lost (15)",
            "GPU 0000:01:00.0: nvmlDeviceGetName: Insufficient Permissions (4)",
            "GPU 0000:01:00.0, MIG device 0: nvmlDeviceGetMigDeviceHandleByIndex: Unknown Error (999)",
            "GPU 0000:01:00.0, MIG device 1: nvmlDeviceGetGpuInstanceId: GPU is lost (15)",
            "GPU 0000:01:00.0, MIG device 2: nvmlDeviceGetComputeInstanceId: GPU is lost (15)",
            "GPU 0000:01:00.0, MIG device 3: nvmlDeviceGetUUID: Not Supported (3)",
            "GPU 0000:01:00.0, MIG device 4: nvmlDeviceGetName: Not Supported (3)",
            "GPU 0000:01:00.0: nvmlDeviceGetAddressingMode: The operating system has blocked the request. (17)",
            "GPU 0000:02:00.0: nvmlDeviceGetMaxMigDeviceCount: Not Supported (3)",
            "GPU 0000:03:00.0: nvmlDeviceGetMigMode: GPU is lost (15)",
            "GPU 3 of NVML: nvmlDeviceGetPciInfo: GPU is lost (15)",
        ),
    )


def test_a_library_that_is_too_old_for_a_question_leaves_it_open(tmp_path: Path) -> None:
    without = ("nvmlDeviceGetAddressingMode", "nvmlDeviceGetMigMode", "nvmlErrorString")
    facts = ask(tmp_path, [card(1, mig_mode=True, addressing_mode=ATS)], without=without)
    assert facts == NvmlFacts(driver_version="999.88.77", gpus=(plain(1, coherent=None),), problems=())


def test_a_library_without_what_every_one_has_is_said_to_lack_it(tmp_path: Path) -> None:
    facts = ask(tmp_path, [card(1)], without=["nvmlDeviceGetUUID", "nvmlErrorString"])
    assert facts.gpus == (plain(1, uuid=None),)
    assert facts.problems == ("GPU 0000:01:00.0: nvmlDeviceGetUUID: Function Not Found (13)",)


def test_strings_that_are_not_what_they_should_be_are_not_taken(tmp_path: Path) -> None:
    devices = {
        0: Mig(gpu_instance=1, compute_instance=0, uuid="MIG-../../etc", name="MIG 1g.5gb"),
        1: mig(1, 2, 0, "MIG 1g.5gb; rm"),
        2: mig(2, 3, 0, "NVIDIA A100"),
        3: mig(3, 1, 0, "MIG 1g.5gb"),
    }
    facts = ask(
        tmp_path,
        [
            card(1, uuid="GPU-????????-????-????-????-????????????", name="two\nlines"),
            card(2, uuid=card_uuid(2) + "\n", name="\udcff\udcfe", minor=1 << 20),
            card(3, uuid="", name="", mig_mode=True, mig=devices),
            card(4, bus_id="0:1.0"),
            card(5),
            card(6, bus_id=bus_id(5)),
        ],
        version="999.88\x1b[2J",
    )
    first = NvmlMig(index=0, uuid=None, gpu_instance=1, compute_instance=0, profile="1g.5gb")
    assert facts == NvmlFacts(
        driver_version=None,
        gpus=(
            plain(1, uuid=None, model=None),
            plain(2, uuid=None, model=None, minor=None),
            plain(
                3, uuid=None, model=None, mig_enabled=True, mig=(first, told(1, 1, 2, 0, None), told(2, 2, 3, 0, None))
            ),
            plain(5),
        ),
        problems=(
            r"NVML: nvmlSystemGetDriverVersion: not a printable text: '999.88\x1b[2J'",
            "GPU 0000:01:00.0: nvmlDeviceGetUUID: not the UUID of a GPU: 'GPU-????????-????-????-????-????????????'",
            r"GPU 0000:01:00.0: nvmlDeviceGetName: not a printable text: 'two\nlines'",
            "GPU 0000:02:00.0: nvmlDeviceGetMinorNumber: not a number from 0 to 1048575: 1048576",
            rf"GPU 0000:02:00.0: nvmlDeviceGetUUID: not the UUID of a GPU: '{card_uuid(2)}\n'",
            (
                "GPU 0000:02:00.0: nvmlDeviceGetName: UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in"
                " position 0: invalid start byte"
            ),
            "GPU 0000:03:00.0: nvmlDeviceGetUUID: not the UUID of a GPU: ''",
            "GPU 0000:03:00.0: nvmlDeviceGetName: not a printable text: ''",
            "GPU 0000:03:00.0, MIG device 0: nvmlDeviceGetUUID: not the UUID of a MIG device: 'MIG-../../etc'",
            "GPU 0000:03:00.0, MIG device 1: nvmlDeviceGetName: not a MIG profile: '1g.5gb; rm'",
            "GPU 0000:03:00.0, MIG device 2: nvmlDeviceGetName: not the name of a MIG device: 'NVIDIA A100'",
            "GPU 0000:03:00.0, MIG device 3: NVML has the instance 1/0 twice; the first is taken",
            "GPU 3 of NVML: nvmlDeviceGetPciInfo: not a PCI address: '0:1.0'",
            "GPU 0000:05:00.0: NVML has it twice; the first is taken",
        ),
    )


def test_more_gpus_mig_devices_and_problems_than_can_be_are_cut_and_counted(tmp_path: Path) -> None:
    many = [card(number % 256, bus_id=f"{number:08X}:01:00.0", uuid=None) for number in range(MAX_GPUS + 2)]
    facts = ask(tmp_path, [card(0, mig_mode=True, mig={0: mig(1, 1, 0, "MIG 1g.5gb")}, max_mig=121), *many[1:]])
    assert len(facts.gpus) == MAX_GPUS
    assert len(facts.problems) == 64
    assert facts.problems[:3] == (
        f"NVML: {MAX_GPUS + 2} GPUs, of which 254 are looked at",
        "GPU 0000:00:00.0: 121 MIG devices, of which 120 are looked at",
        "GPU 0001:01:00.0: nvmlDeviceGetUUID: Not Supported (3)",
    )
    assert facts.problems[-1] == "NVML: and 192 more problems"


@pytest.mark.parametrize(
    ("function", "code", "reason"),
    [
        ("nvmlInitWithFlags", 9, "nvmlInit: Driver Not Loaded (9)"),
        ("nvmlInitWithFlags", 18, "nvmlInit: Driver/library version mismatch (18)"),
        ("nvmlInitWithFlags", 4711, "nvmlInit: an error without a name (4711)"),
        ("nvmlDeviceGetCount_v2", 15, "nvmlDeviceGetCount: GPU is lost (15)"),
        ("nvmlInitWithFlags", CRASH, "ended by signal SIGSEGV"),
        ("nvmlDeviceGetUUID", CRASH, "ended by signal SIGSEGV"),
        ("nvmlDeviceGetUUID", ABORT, "ended by signal SIGABRT"),
        ("nvmlDeviceGetUUID", EXIT_0, "ended with exit code 0 and no answer"),
    ],
)
def test_nvml_that_fails_altogether_is_an_error_with_its_own_words(
    tmp_path: Path, function: str, code: int, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert refusal(tmp_path, faults=[(function, None, code)]) == reason
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("code", [HANG, START_A_PROCESS_AND_HANG])
def test_nvml_that_hangs_is_killed_with_what_it_has_started(tmp_path: Path, code: int) -> None:
    start = time.monotonic()
    assert refusal(tmp_path, 0.5, faults=[("nvmlDeviceGetName", bus_id(2), code)]) == "no answer within 0.5 s"
    assert 0.5 <= time.monotonic() - start < 5
    assert processes_with(tmp_path) == []


def processes_with(directory: Path) -> list[int]:
    """Return the processes that have a file of `directory` mapped."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            maps = (process / "maps").read_text()
        except OSError:
            continue  # it has just ended, or is not ours
        if str(directory) in maps:
            found.append(int(process.name))
    return found


def test_nothing_of_the_library_is_in_this_process_afterwards(tmp_path: Path) -> None:
    environment = dict(os.environ)
    ask(tmp_path, [card(1)])
    assert processes_with(tmp_path) == []
    assert dict(os.environ) == environment


def test_a_file_that_is_no_library_is_said_to_be_none(tmp_path: Path) -> None:
    library = tmp_path / "libnvidia-ml.so.1"
    library.write_bytes(b"\0" * 100)
    with pytest.raises(NvmlError) as caught:
        ask_nvml(str(library), TIMEOUT, name="/usr/lib/libnvidia-ml.so.1")
    assert caught.value.reason == "/usr/lib/libnvidia-ml.so.1: invalid ELF header"


def test_a_library_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(NvmlError) as caught:
        ask_nvml(str(tmp_path / "none"), TIMEOUT)
    assert caught.value.reason == f"{tmp_path}/none: cannot open shared object file: No such file or directory"


def test_a_library_of_another_soname_is_not_asked_nor_is_another_one_instead(tmp_path: Path) -> None:
    assert refusal(tmp_path, soname="libother.so.1") == (
        f"{tmp_path}/libnvidia-ml.so.999.88.77: its SONAME is not libnvidia-ml.so.1"
    )


def test_a_library_that_needs_one_which_is_not_there_is_said_to_need_it(tmp_path: Path) -> None:
    empty = tmp_path / "empty.c"
    empty.touch()
    subprocess.run(["cc", "-shared", "-o", tmp_path / "libneeded.so", empty], check=True)
    options = ("-Wl,--no-as-needed", f"-L{tmp_path}", "-lneeded")
    compile_stub(tmp_path / "x", options=options)
    (tmp_path / "libneeded.so").unlink()
    with pytest.raises(NvmlError) as caught:
        ask_nvml(str(tmp_path / "x/libnvidia-ml.so.999.88.77"), TIMEOUT)
    assert caught.value.reason == "libneeded.so: cannot open shared object file: No such file or directory"


def test_the_environment_names_no_other_library(tmp_path: Path) -> None:
    right = compile_stub(tmp_path / "right", [card(1)])
    wrong = compile_stub(tmp_path / "wrong", [card(2)])
    (wrong.parent / "libnvidia-ml.so.1").symlink_to(wrong.name)
    code = f"from cdigen.host.nvml import ask_nvml; print(ask_nvml({str(right)!r}, 20).gpus[0].bdf)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LD_LIBRARY_PATH": str(wrong.parent)},
    )
    assert done.stdout == "0000:01:00.0\n"


def asked_without_packages(library: str, *directories: Path) -> str:
    """Return the reason that an interpreter gives which has no packages but those in `directories`."""
    code = (
        f"import sys; sys.path[:0] = {[str(path) for path in (ROOT, *directories)]!r}\n"
        "from cdigen.host.nvml import ask_nvml\n"
        "from cdigen.host import NvmlError\n"
        f"try:\n    ask_nvml({library!r}, 20)\nexcept NvmlError as error:\n    print(error.reason)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


def test_where_the_extra_is_not_installed_it_is_said() -> None:
    assert asked_without_packages("/none") == "nvidia-ml-py is not installed"


def test_bindings_that_cannot_be_imported_are_told_from_missing_ones(tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("import no_such_module")
    assert asked_without_packages("/none", tmp_path) == (
        "the module pynvml cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
    )


def test_bindings_without_a_function_are_said_to_lack_it(tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("class NVMLError(Exception): ...")
    library = compile_stub(tmp_path / "x")
    assert asked_without_packages(str(library), tmp_path) == "nvmlInit: not in the module pynvml"
