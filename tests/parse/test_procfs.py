from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError, one_line
from cdigen.parse.procfs import (
    CharMajor,
    GpuInformation,
    KernelDriver,
    is_driver_version,
    parse_gpu_information,
    parse_module_version,
    parse_nvidia_version,
    parse_proc_devices,
)
from cdigen.records import replace

PARSERS = [parse_gpu_information, parse_module_version, parse_nvidia_version, parse_proc_devices]

# --- /proc/driver/nvidia/version ---


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            b"NVRM version: NVIDIA UNIX x86_64 Kernel Module  384.81  Wed Aug 17 22:24:07 PDT 2016",
            KernelDriver(version="384.81", open=False, machine="x86_64"),
        ),
        (
            b"NVRM version: NVIDIA UNIX x86_64 Kernel Module  595.58.03  Tue Mar 17 19:54:55 UTC 2026",
            KernelDriver(version="595.58.03", open=False, machine="x86_64"),
        ),
        (
            b"NVRM version: NVIDIA UNIX x86 Kernel Module  169.12  Thu Feb 14 17:53:07 PST 2008",
            KernelDriver(version="169.12", open=False, machine="x86"),
        ),
        (
            b"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  555.42.06  Release Build  (a@b)  Thu",
            KernelDriver(version="555.42.06", open=True, machine="x86_64"),
        ),
        (
            b"NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Debug Build  (a@b)  Tue",
            KernelDriver(version="540.4.0", open=True, machine="aarch64"),
        ),
        (
            b"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64 595.45.04 Develop Build extra (a@b) Wed",
            KernelDriver(version="595.45.04", open=True, machine="x86_64"),
        ),
        (
            b"NVRM  version:\tNVIDIA UNIX x86_64 Kernel Module\t580.00",
            KernelDriver(version="580.00", open=False, machine="x86_64"),
        ),
    ],
)
def test_the_kernel_driver_is_read_in_both_forms(line: bytes, expected: KernelDriver) -> None:
    assert parse_nvidia_version(line) == expected
    assert parse_nvidia_version(line + b"\nGCC version:  gcc version 12.2.0 (GCC) \n") == expected


def test_garbage_in_the_compiler_line_does_not_matter() -> None:
    data = (
        b"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.309.01  Mon Jan  1\n"
        b"GCC version:  collect2: error: ld returned 1 exit status   \xff\x00 \n"
    )
    assert parse_nvidia_version(data) == KernelDriver(version="535.309.01", open=False, machine="x86_64")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b" \n\n", "empty file"),
        (b"GCC version:  gcc\n", "no line 'NVRM version: ...'"),
        (b"NVRM version: \n", "no kernel module and version in the line 'NVRM version:'"),
        (
            b"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535\n",
            "no kernel module and version in the line 'NVRM version: NVIDIA UNIX x86_64 Kernel Module 535'",
        ),
        (
            b"NVRM version: NVIDIA UNIX x86 Kernel Module  535.1.2.3\n",
            "no kernel module and version in the line 'NVRM version: NVIDIA UNIX x86 Kernel Module 535.1.2.3'",
        ),
        (
            b"NVRM version: \x1b[31m\xff\n",
            "no kernel module and version in the line 'NVRM version: \\x1b[31m\ufffd'",
        ),
        (b"x" * 65537, "65537 bytes, more than 65536"),
    ],
)
def test_a_version_file_without_a_version_gives_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_nvidia_version(data)
    assert str(caught.value) == reason


# --- /sys/module/nvidia/version ---


def test_the_module_version_is_one_line() -> None:
    assert parse_module_version(b"535.309.01\n") == "535.309.01"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\n", "empty file"),
        (b"535\n", "not a driver version: '535'"),
        (b"535.1\n535.2\n", r"not a driver version: '535.1\n535.2'"),
        ("٥٣٥.١".encode(), "not a driver version: '٥٣٥.١'"),
    ],
)
def test_a_module_version_that_is_none_gives_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_module_version(data)
    assert str(caught.value) == reason


@pytest.mark.parametrize("text", ["384.81", "580.00", "540.4.0", "535.309.01", "999.88.77"])
def test_a_driver_version_has_two_or_three_numbers(text: str) -> None:
    assert is_driver_version(text)


@pytest.mark.parametrize("text", ["", "535", "1.1", "535.", ".1", "1.2.3.4", "535.1\n", "535.1a", "1.1.1 ", "1" * 9])
def test_anything_else_is_no_driver_version(text: str) -> None:
    assert is_driver_version(text) == (text == "1.1")


# --- /proc/driver/nvidia/gpus/*/information ---

INFORMATION = b"""\
Model: \t\t NVIDIA H100 80GB HBM3
IRQ:   \t\t 18
GPU UUID: \t GPU-f4f2ae6d-2bdc-4a9e-8c5c-b5b6f1a3cc17
Video BIOS: \t 96.00.74.00.01
Bus Type: \t PCIe
DMA Size: \t 52 bits
DMA Mask: \t 0xfffffffffffff
Bus Location: \t 0000:62:00.0
Device Minor: \t 5
GPU Firmware: \t 535.309.01
GPU Excluded:\t No
"""
GPU = GpuInformation(
    model="NVIDIA H100 80GB HBM3",
    uuid="GPU-f4f2ae6d-2bdc-4a9e-8c5c-b5b6f1a3cc17",
    uuid_text=None,
    minor=5,
    firmware="535.309.01",
    excluded=False,
)


def changed(name: bytes, value: bytes | None) -> bytes:
    """INFORMATION with one line changed, or without it."""
    lines = [line for line in INFORMATION.splitlines() if not line.startswith(name + b":")]
    return b"\n".join(lines if value is None else [*lines, name + b": \t " + value]) + b"\n"


def test_all_facts_of_a_gpu_are_read() -> None:
    assert parse_gpu_information(INFORMATION) == GPU


def test_single_blanks_and_carriage_returns_change_nothing() -> None:
    assert parse_gpu_information(b"\r\n".join(b" ".join(x.split()) for x in INFORMATION.splitlines())) == GPU


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"GPU UUID", None, replace(GPU, uuid=None)),  # from 590
        (
            b"GPU UUID",
            b"GPU-????????-????-????-????-????????????",  # up to 580
            replace(GPU, uuid=None, uuid_text="GPU-????????-????-????-????-????????????"),
        ),
        (b"GPU UUID", b"../../etc", replace(GPU, uuid=None, uuid_text="../../etc")),
        (b"GPU UUID", b"", replace(GPU, uuid=None, uuid_text="")),
        (b"GPU UUID", b"GPU-F4F2AE6D-2BDC-4A9E-8C5C-B5B6F1A3CC17", GPU),
        (
            b"GPU UUID",
            b"GPU-f4f2ae6d-2bdc-4a9e-8c5c-b5b6f1a3cc17,x",
            replace(GPU, uuid=None, uuid_text="GPU-f4f2ae6d-2bdc-4a9e-8c5c-b5b6f1a3cc17,x"),
        ),
        (b"GPU Firmware", None, replace(GPU, firmware=None)),
        (b"GPU Firmware", b"N/A", replace(GPU, firmware=None)),
        (b"GPU Excluded", b"Yes", replace(GPU, excluded=True)),
        (b"GPU Excluded", None, GPU),
        (b"Device Minor", None, replace(GPU, minor=None)),
        (b"Device Minor", b"1048575", replace(GPU, minor=1048575)),
        (b"Model", b"NVIDIA \xff: \xc3\xa4", replace(GPU, model="NVIDIA \ufffd: ä")),
        (b"Model", b"", replace(GPU, model=None)),
        (b"Video BIOS", b"??.??.??.??.??", GPU),
    ],
)
def test_every_variant_of_a_line_is_understood(name: bytes, value: bytes | None, expected: GpuInformation) -> None:
    assert parse_gpu_information(changed(name, value)) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"hello\n", "no line of a GPU's information"),
        (changed(b"Device Minor", b"-1"), "Device Minor is not a number: '-1'"),
        (changed(b"Device Minor", b"9" * 5000), f"Device Minor is not a number: '{'9' * 120}'"),
        (changed(b"GPU Excluded", b"maybe"), "GPU Excluded is neither Yes nor No: 'maybe'"),
    ],
)
def test_information_that_cannot_be_gives_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_gpu_information(data)
    assert str(caught.value) == reason


# --- /proc/devices ---

DEVICES = b"""\
Character devices:
  1 mem
  4 /dev/vc/0
195 nvidia
195 nvidiactl
195 nvidia-modeset
234 nvidia-caps-imex-channels
511 nvidia-caps

Block devices:
  7 loop
259 blkext
"""


def test_character_devices_keep_their_order_and_repeated_majors() -> None:
    assert parse_proc_devices(DEVICES) == (
        CharMajor(name="mem", major=1),
        CharMajor(name="/dev/vc/0", major=4),
        CharMajor(name="nvidia", major=195),
        CharMajor(name="nvidiactl", major=195),
        CharMajor(name="nvidia-modeset", major=195),
        CharMajor(name="nvidia-caps-imex-channels", major=234),
        CharMajor(name="nvidia-caps", major=511),
    )


def test_an_empty_list_of_character_devices_is_a_value() -> None:
    assert parse_proc_devices(b"Character devices:\nBlock devices:\n  7 loop\n") == ()


def test_a_list_without_block_devices_behind_it_is_whole() -> None:
    assert parse_proc_devices(b"Character devices:\n195 nvidia") == (CharMajor(name="nvidia", major=195),)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"Block devices:\n  7 loop\n", "no list of character devices"),
        (b"Character devices:\nnvidia 195\n", "not a major number and a name: 'nvidia 195'"),
        (b"Character devices:\n195\n", "not a major number and a name: '195'"),
    ],
)
def test_a_device_list_that_is_none_gives_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_proc_devices(data)
    assert str(caught.value) == reason


# --- all of them ---


@given(st.sampled_from(PARSERS), st.one_of(st.binary(max_size=500), st.text(max_size=500).map(str.encode)))
def test_any_bytes_give_a_value_or_a_reason(parse: object, data: bytes) -> None:
    check(parse, data)


@given(
    st.sampled_from(PARSERS),
    st.sampled_from([INFORMATION, DEVICES, b"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.309.01  Mon\n"]),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=5),
)
def test_mutated_bytes_give_a_value_or_a_reason(parse: object, good: bytes, changes: list[tuple[int, bytes]]) -> None:
    for at, part in changes:
        good = good[:at] + part + good[at + 1 :]
    check(parse, good)


def check(parse: object, data: bytes) -> None:
    assert callable(parse)
    try:
        parse(data)
    except ParseError as error:
        reason = str(error)
    else:
        reason = "none"
    assert reason
    assert one_line(reason) == reason
