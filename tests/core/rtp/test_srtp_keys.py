from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.srtp_keys import MOST_PACKETS, KeyRefused, SrtpKeys, SrtpSuite, new_keys, read_inline
from tests.core.feed import examples

SUITE = SrtpSuite.AES_CM_128_HMAC_SHA1_80
MASTER = bytes(range(30))
KEY = b64encode(MASTER).decode()


@pytest.mark.parametrize("suite", SrtpSuite)
def test_fresh_keys_there_and_back(suite: SrtpSuite) -> None:
    keys = new_keys(suite, lambda count: bytes(range(count)))
    assert len(keys.master) == suite.master_bytes
    assert read_inline(suite, keys.inline) == keys


def test_sizes_of_the_suites() -> None:
    # RFC 4568 6.2 (128 and 112 bits), RFC 7714 12 (256 or 128, and 96).
    assert [suite.master_bytes for suite in SrtpSuite] == [44, 28, 30, 30]


@pytest.mark.parametrize(
    ("options", "lifetime", "identifier"),
    [
        ("", MOST_PACKETS, b""),
        ("|2^20", 2**20, b""),
        ("|1048576", 1048576, b""),
        ("|2^31|1:1", 2**31, b"\x01"),
        ("|1:4", MOST_PACKETS, b"\0\0\0\x01"),
        ("|2^300", MOST_PACKETS, b""),
        ("|" + "9" * 30, MOST_PACKETS, b""),
    ],
)
def test_lifetimes_and_identifiers(options: str, lifetime: int, identifier: bytes) -> None:
    assert read_inline(SUITE, f"inline:{KEY}{options}") == SrtpKeys(SUITE, MASTER, lifetime, identifier)


def test_padding_may_be_left_out() -> None:
    suite = SrtpSuite.AEAD_AES_128_GCM
    key = b64encode(bytes(28)).decode()
    assert key.endswith("=")
    assert read_inline(suite, f"INLINE:{key.rstrip('=')}").master == bytes(28)


@pytest.mark.parametrize(
    "parameter",
    [
        "", "inline", "uri:" + KEY, "inline:", "inline:???", "inline:" + KEY[:-4], "inline:" + KEY + "AAAA",
        f"inline:{KEY};inline:{KEY}", f"inline:{KEY}|2^20|2^20", f"inline:{KEY}|3^20", f"inline:{KEY}|2^x",
        f"inline:{KEY}|0", f"inline:{KEY}|2^²", f"inline:{KEY}|{'9' * 41}", f"inline:{KEY}|1:0", f"inline:{KEY}|256:1",
        f"inline:{KEY}|1:17", f"inline:{KEY}|x:1", f"inline:{KEY}|1:", f"inline:{KEY}|1:1|2^20", "inline:ä" + KEY,
    ],
)  # fmt: skip
def test_what_is_refused(parameter: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        read_inline(SUITE, parameter)
    assert KEY not in str(refused.value)


@examples(100)
@given(st.text(max_size=80))
def test_any_text_is_keys_or_refused(text: str) -> None:
    for parameter in (text, "inline:" + text, f"inline:{KEY}|{text}"):
        try:
            keys = read_inline(SUITE, parameter)
        except KeyRefused:
            continue
        assert len(keys.master) == SUITE.master_bytes
        assert 0 < keys.lifetime_packets <= MOST_PACKETS


def test_a_key_is_not_shown() -> None:
    assert repr(SrtpKeys(SUITE, MASTER)) == (
        "SrtpKeys(suite=<SrtpSuite.AES_CM_128_HMAC_SHA1_80: 'AES_CM_128_HMAC_SHA1_80'>, "
        f"lifetime_packets={MOST_PACKETS}, identifier=b'')"
    )
