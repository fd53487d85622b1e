from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError, one_line
from cdigen.parse.params import DeviceFileParameters, parse_device_file_parameters

# The form of a published host's file (open-gpu-kernel-modules, nv-procfs.c), shortened.
PARAMS = b"""\
ResmanDebugLevel: 4294967295
RmLogonRC: 1
ModifyDeviceFiles: 1
DeviceFileUID: 0
DeviceFileGID: 44
DeviceFileMode: 432
TegraGpuPgMask: 4294967295
ImexChannelCount: 2048
CreateImexChannel0: 1
RegistryDwords: ""
TemporaryFilePath: "/var/tmp"
ExcludedGpus: ""
"""


def test_params_are_read() -> None:
    assert parse_device_file_parameters(PARAMS) == DeviceFileParameters(
        mode=0o660, uid=0, gid=44, modify=True, create_imex_channel0=True
    )


def test_what_is_absent_has_the_defaults_of_nvidia_modprobe() -> None:
    parsed = parse_device_file_parameters(b"RmLogonRC: 1\n")

    assert parsed == DeviceFileParameters()
    assert parsed == DeviceFileParameters(mode=0o666, uid=0, gid=0, modify=True, create_imex_channel0=False)


def test_the_permissions_of_nvswitch_are_one_line() -> None:
    assert parse_device_file_parameters(b"DeviceFileMode: 438\n") == DeviceFileParameters(mode=0o666)


@pytest.mark.parametrize(
    ("line", "modify"),
    [
        (b"ModifyDeviceFiles: 0", False),
        (b"ModifyDeviceFiles: 1", True),
        (b"ModifyDeviceFiles: 2", False),  # nvidia-modprobe takes 1 alone for yes
        (b"DeviceFileModify: 0", False),
        (b"DeviceFileModify: 0\nModifyDeviceFiles: 1", True),
    ],
)
def test_who_manages_the_nodes(line: bytes, modify: bool) -> None:
    assert parse_device_file_parameters(line).modify is modify


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"\n \n", "empty file"),
        (b"DeviceFileMode: 0x1b6\n", "DeviceFileMode is not a number: '0x1b6'"),
        (b"DeviceFileMode:\n", "DeviceFileMode is not a number: ''"),
        (b"DeviceFileUID: -1\n", "DeviceFileUID is not a number: '-1'"),
        (b"DeviceFileGID: 4294967296\n", "DeviceFileGID is not a number: '4294967296'"),
        (
            "DeviceFileGID: \N{SUPERSCRIPT TWO}\n".encode(),
            "DeviceFileGID is not a number: '\N{SUPERSCRIPT TWO}'",
        ),
        (b"DeviceFileMode: 666\n", "DeviceFileMode 666 is not a file mode; it is decimal, so that 0666 is 438"),
        (b"CreateImexChannel0: yes\n", "CreateImexChannel0 is not a number: 'yes'"),
    ],
)
def test_a_value_that_cannot_be_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_device_file_parameters(data)
    assert str(caught.value) == reason


@given(
    mode=st.integers(0, 0o777),
    uid=st.integers(0, 2**32 - 1),
    gid=st.integers(0, 2**32 - 1),
    modify=st.booleans(),
    channel0=st.booleans(),
    count=st.none() | st.integers(0, 1 << 20),
    others=st.lists(st.text("AZaz09 _\"'/\t", max_size=9).filter(lambda name: "DeviceFile" not in name)),
)
def test_what_was_printed_is_read(
    mode: int, uid: int, gid: int, modify: bool, channel0: bool, count: int | None, others: list[str]
) -> None:
    lines = [
        f"DeviceFileMode: {mode}",
        f"DeviceFileUID: {uid}",
        f"DeviceFileGID: {gid}",
        f"ModifyDeviceFiles: {modify:d}",
        f"CreateImexChannel0: {channel0:d}",
        *([] if count is None else [f"ImexChannelCount: {count}"]),
        *(f"{name}: {name}" for name in others),
    ]
    expected = DeviceFileParameters(mode=mode, uid=uid, gid=gid, modify=modify, create_imex_channel0=channel0)
    for order in (lines, lines[::-1]):
        assert parse_device_file_parameters("\n".join(order).encode()) == expected


@given(st.binary(max_size=200) | st.sampled_from(PARAMS.splitlines()).map(lambda line: line[:-1] + b"\xff:\x00"))
def test_any_bytes_are_parameters_or_one_line_of_reason(data: bytes) -> None:
    try:
        parsed = parse_device_file_parameters(data)
    except ParseError as error:
        assert str(error) == one_line(str(error))  # noqa: PT017 - both ends are right
    else:
        assert 0 <= parsed.mode <= 0o777
