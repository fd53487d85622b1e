from __future__ import annotations

import sys

import pytest

from tests.work import TooMuchWorkError, calls_of, peak_of


def test_calls_are_counted_whoever_wrote_the_function() -> None:
    def twice() -> None:
        len("")
        len("")

    assert calls_of(twice) - calls_of(lambda: None) == 2
    assert sys.getprofile() is None


def test_what_does_not_end_is_stopped() -> None:
    def endless() -> None:
        while True:
            len("")

    with pytest.raises(TooMuchWorkError, match=r"^more than 1000 calls$"):
        calls_of(endless, most=1000)
    assert sys.getprofile() is None


def test_the_peak_is_what_was_held_at_once() -> None:
    assert 1 << 20 <= peak_of(lambda: bytes(1 << 20)) < 2 << 20
