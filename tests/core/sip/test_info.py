"""Digits in the bodies of INFO."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.sip import info
from tests.core.feed import examples


@pytest.mark.parametrize(
    ("content_type", "body", "found"),
    [
        (info.RELAY, b"Signal=5\r\nDuration=250\r\n", ("5", 250)),
        (info.RELAY, b"signal = *\nduration = 0\n", ("*", info.DURATION_MS)),
        (info.RELAY, b"Signal=11", ("#", info.DURATION_MS)),
        (info.RELAY, b"Signal=d\r\nDuration=99999\r\n", ("D", info.DURATION_MS)),
        (info.RELAY, b"Signal=x", None),
        (info.RELAY, b"", None),
        (info.PLAIN, b" 7\r\n", ("7", info.DURATION_MS)),
        (info.PLAIN, b"77", None),
        ("text/plain", b"7", None),
    ],
)
def test_what_is_read(content_type: str, body: bytes, found: tuple[str, int] | None) -> None:
    assert info.read(content_type, body) == found


@examples(100)
@given(st.sampled_from(sorted(info.DIGITS)), st.integers(1, info.DURATION_MAX_MS))
def test_what_is_written_is_read(digit: str, duration_ms: int) -> None:
    assert info.read(info.RELAY, info.write(digit, duration_ms)) == (digit, duration_ms)


@examples(200)
@given(st.sampled_from((info.RELAY, info.PLAIN)), st.binary(max_size=300))
def test_nonsense_is_no_digit_and_no_error(content_type: str, body: bytes) -> None:
    found = info.read(content_type, body)
    assert found is None or (found[0] in info.DIGITS and 0 < found[1] <= info.DURATION_MAX_MS)
