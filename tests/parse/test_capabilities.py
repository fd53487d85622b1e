from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdigen.errors import ParseError
from cdigen.parse.capabilities import CapabilityAccess, parse_capability_access, parse_capability_minors

MINORS = st.integers(0, (1 << 20) - 1)


def refusal(data: bytes) -> str:
    with pytest.raises(ParseError) as caught:
        parse_capability_access(data)
    return str(caught.value)


def test_an_access_file_is_read_with_its_decimal_mode() -> None:
    # canonical/snapd#14893, of mig/monitor
    data = b"DeviceFileMinor: 2\nDeviceFileMode: 292\nDeviceFileModify: 1\n"
    assert parse_capability_access(data) == CapabilityAccess(minor=2, mode=0o444, modify=True)


def test_an_access_file_of_two_lines_may_be_modified() -> None:
    data = b"DeviceFileMinor: 1\nDeviceFileMode: 256\n"
    assert parse_capability_access(data) == CapabilityAccess(minor=1, mode=0o400, modify=True)


@given(minor=MINORS, mode=st.integers(0, 0o777), modify=st.booleans())
def test_what_the_driver_prints_is_read(minor: int, mode: int, modify: bool) -> None:
    data = f"DeviceFileMinor: {minor}\nDeviceFileMode: {mode}\nDeviceFileModify: {int(modify)}\n".encode()
    assert parse_capability_access(data) == CapabilityAccess(minor=minor, mode=mode, modify=modify)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b" \n", "empty file"),
        (b"nothing of the kind", "no line DeviceFileMinor"),
        (b"DeviceFileMinor: 1\n", "no line DeviceFileMode"),
        (b"DeviceFileMinor: x\nDeviceFileMode: 292\n", "DeviceFileMinor is not a number: 'x'"),
        (b"DeviceFileMinor: 1\nDeviceFileMode: 0444\n\n", None),
        (b"DeviceFileMinor: 1\nDeviceFileMode: 512\n", "DeviceFileMode 512 is not a file mode"),
        (b"DeviceFileMinor: 12345678\nDeviceFileMode: 292\n", "DeviceFileMinor is not a number: '12345678'"),
        (b"DeviceFileMinor: 1\nDeviceFileMode: 292\nDeviceFileModify: yes", "DeviceFileModify is not a number: 'yes'"),
        (b"x" * 65537, "65537 bytes, more than 65536"),
    ],
)
def test_an_access_file_that_is_none_is_refused_with_the_reason(data: bytes, reason: str | None) -> None:
    if reason is None:
        assert parse_capability_access(data).mode == 444
    else:
        assert refusal(data) == reason


def test_the_table_of_minors_is_read_in_its_order() -> None:
    # MIG user guide
    data = b"config 1\nmonitor 2\ngpu0/gi0/access 3\ngpu0/gi0/ci0/access 4\ngpu31/gi14/ci7/access 4322\n"
    assert list(parse_capability_minors(data).items()) == [
        ("config", 1),
        ("monitor", 2),
        ("gpu0/gi0/access", 3),
        ("gpu0/gi0/ci0/access", 4),
        ("gpu31/gi14/ci7/access", 4322),
    ]
    assert parse_capability_minors(b"fabric-imex-mgmt 4323\n") == {"fabric-imex-mgmt": 4323}


@given(table=st.dictionaries(st.from_regex(r"[a-z0-9/-]{1,30}", fullmatch=True), MINORS, min_size=1, max_size=20))
def test_any_table_is_read(table: dict[str, int]) -> None:
    data = "".join(f"{name} {minor}\n" for name, minor in table.items()).encode()
    assert parse_capability_minors(data) == table


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"config\n", "not a capability and its minor: 'config'"),
        (b"a b 1\n", "not a capability and its minor: 'a b 1'"),
        (b"config one\n", "not a capability and its minor: 'config one'"),
        (b"x" * ((1 << 20) + 1), "1048577 bytes, more than 1048576"),
    ],
)
def test_a_table_that_is_none_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_capability_minors(data)
    assert str(caught.value) == reason


@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_parse_error(data: bytes) -> None:
    for parse in (parse_capability_access, parse_capability_minors):
        try:
            parse(data)
        except ParseError as error:
            message = str(error)
        else:
            message = ""
        assert message == "" or message.isprintable()
