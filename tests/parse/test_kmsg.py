"""Records of the kernel's log, and the Xids in them, as published hosts have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError
from cdigen.parse.kmsg import KernelMessage, Xid, parse_kernel_message, parse_xid, says_module_loaded


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"6,339,5140900,-;NVRM: hello\n", KernelMessage(is_kernels=True, text="NVRM: hello")),
        (
            b"3,340,5140901,-,caller=T1;a;b\n SUBSYSTEM=pci\n DEVICE=+pci:0000:3b:00.0\n",
            KernelMessage(is_kernels=True, text="a;b"),
        ),
        (b"12,341,5140902,-;NVRM: Xid\n", KernelMessage(is_kernels=False, text="NVRM: Xid")),  # written by a program
        (b"30,1,2,c;\xff", KernelMessage(is_kernels=False, text="\ufffd")),
        (b"0,0,0,-;", KernelMessage(is_kernels=True, text="")),
    ],
)
def test_a_record_is_read(data: bytes, expected: KernelMessage) -> None:
    assert parse_kernel_message(data) == expected


@pytest.mark.parametrize("data", [b"", b"hello", b"6,1,2;x", b"6,1,2,-", b"-6,1,2,-;x", b"6,1,2,\n;x"])
def test_what_is_no_record_is_an_error(data: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        parse_kernel_message(data)

    assert str(caught.value) == f"no record of the kernel's log: {data[:120]!r}"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_refused(data: bytes) -> None:
    try:
        message = parse_kernel_message(b"6,1,2,-;" + data)
    except ParseError:
        raise AssertionError from None
    assert "\n" not in message.text
    parse_xid(message.text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "NVRM: Xid (PCI:0000:03:00): 79, pid=1194, GPU has fallen off the bus.",
            Xid(device="0000:03:00", number=79, recovery=None),
        ),
        ("NVRM: Xid (PCI:0000:65:00): 119, pid='N/A', Timeout", Xid(device="0000:65:00", number=119, recovery=None)),
        ("NVRM: Xid (PCI:00000008:01:00): 13", Xid(device="0008:01:00", number=13, recovery=None)),
        ("NVRM: Xid (PCI:0000:41:00.0): 31, Ch 8", Xid(device="0000:41:00", number=31, recovery=None)),
        (
            "NVRM: Xid (PCI:0008:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)",
            Xid(device="0008:01:00", number=154, recovery="GPU Reset Required"),
        ),
        (
            "NVRM: Xid (PCI:0008:01:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)",
            Xid(device="0008:01:00", number=154, recovery=""),
        ),
        ("NVRM: Xid (PCI:0008:01:00): 154, something else", Xid(device="0008:01:00", number=154, recovery=None)),
        ("NVRM: Xid (PCI:0000:03:00): 790000, x", None),
        ("NVRM: Xid (PCI:0000:03:00): seven", None),
        ("NVRM: Xid (0000:03:00): 79, x", None),
        ("x NVRM: Xid (PCI:0000:03:00): 79, x", None),
        ("NVRM: GPU at PCI:0000:03:00: GPU-00000000-0000-4000-8000-000000000000", None),
    ],
)
def test_an_xid_is_read(text: str, expected: Xid | None) -> None:
    assert parse_xid(text) == expected


def test_the_start_of_the_module_is_told() -> None:
    assert says_module_loaded(
        "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.309.01  Mon Jan  1 00:00:00 UTC 2024"
    )
    assert says_module_loaded("NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.95.05")
    assert not says_module_loaded("nvidia: loading out-of-tree module taints kernel.")
