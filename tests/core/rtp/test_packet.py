"""Packets by hand from RFC 3550 5.1, and any bytes at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.packet import HEADER_BYTES, MOST_BYTES, Sender, build, is_rtcp, parse
from tests.core.feed import examples

PLAIN = bytes.fromhex("80 80 1234 00000140 deadbeef") + b"audio"


def test_a_plain_packet_there_and_back() -> None:
    assert parse(PLAIN) == (0, True, 0x1234, 320, 0xDEADBEEF, b"audio")
    assert build(0, True, 0x1234, 320, 0xDEADBEEF, b"audio") == PLAIN


@examples(100)
@given(
    st.integers(0, 127), st.booleans(), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF), st.binary(max_size=400),
)  # fmt: skip
def test_what_is_built_is_parsed(
    payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes
) -> None:
    packet = build(payload_type, marker, sequence, timestamp, ssrc, payload)
    assert parse(packet) == (payload_type, marker, sequence, timestamp, ssrc, payload)


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        ("82 00 0001 00000000 00000001  0000000a 0000000b  aabb", "aabb"),
        ("90 00 0001 00000000 00000001  bede 0001 01020304  aabb", "aabb"),
        ("90 00 0001 00000000 00000001  bede 0000", ""),
        ("a0 00 0001 00000000 00000001  aabb 0002", "aabb"),
        ("a0 00 0001 00000000 00000001  01", ""),
        ("b1 00 0001 00000000 00000001  0000000a bede 0001 01020304 aabb 000003", "aabb"),
        ("80 00 0001 00000000 00000001", ""),
    ],
    ids=["sources", "extension", "empty extension", "padding", "only padding", "everything", "empty"],
)
def test_what_a_header_may_hold(data: str, payload: str) -> None:
    packet = parse(bytes.fromhex(data))
    assert packet is not None
    assert packet[5] == bytes.fromhex(payload)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "80 00 0001 00000000 000000",
        "40 00 0001 00000000 00000001 aabb",
        "c0 00 0001 00000000 00000001 aabb",
        "82 00 0001 00000000 00000001 0000000a",
        "90 00 0001 00000000 00000001 bede00",
        "90 00 0001 00000000 00000001 bede0002 01020304",
        "a0 00 0001 00000000 00000001 aa00",
        "a0 00 0001 00000000 00000001 aa03",
    ],
    ids=[
        "nothing", "short", "version 1", "version 3", "sources cut", "extension cut", "extension short", "padding of 0",
        "padding too long",
    ],
)  # fmt: skip
def test_what_is_no_packet(data: str) -> None:
    assert parse(bytes.fromhex(data)) is None


def test_what_is_too_long_is_no_packet() -> None:
    assert parse(PLAIN[:12] + bytes(MOST_BYTES - 12)) is not None
    assert parse(PLAIN[:12] + bytes(MOST_BYTES - 11)) is None


@examples(100)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_packet_or_none_and_no_payload_is_longer_than_they(data: bytes) -> None:
    packet = parse(data)
    assert packet is None or len(packet[5]) <= len(data) - HEADER_BYTES


@examples(100)
@given(st.sampled_from([0x80, 0x90, 0xA0, 0xB3]), st.binary(min_size=11, max_size=60))
def test_any_bytes_behind_a_good_first_one(first: int, rest: bytes) -> None:
    packet = parse(bytes([first]) + rest)
    assert packet is None or packet[5] in rest


def test_reports_on_a_shared_port() -> None:
    assert is_rtcp(bytes.fromhex("80c8"))
    assert is_rtcp(bytes.fromhex("80cc"))
    assert not is_rtcp(bytes.fromhex("8000"))
    # Opus with the marker, the highest dynamic type.
    assert not is_rtcp(bytes.fromhex("80ff"))
    assert not is_rtcp(b"\x80")


def test_a_sender_counts_and_wraps_and_goes_on_elsewhere() -> None:
    sender = Sender(7, 0xFFFF, 0xFFFFFF00)
    assert parse(sender.packet(8, b"one", 0, marker=True)) == (8, True, 0xFFFF, 0xFFFFFF00, 7, b"one")
    sender = Sender.from_dict(json.loads(json.dumps(sender.to_dict())))
    assert parse(sender.packet(8, b"three", 320)) == (8, False, 0, 64, 7, b"three")
    assert (sender.packets, sender.octets, sender.timestamp) == (2, 8, 64)


@given(
    sequence=st.integers(0, 0xFFFF),
    offset=st.integers(0, 0xFFFFFFFF),
    ticks=st.integers(0, 1 << 34),
    packets=st.integers(1, 40),
    left=st.integers(0, 40),
)
def test_packets_made_ahead_are_those_made_one_by_one(
    sequence: int, offset: int, ticks: int, packets: int, left: int
) -> None:
    left = min(left, packets)
    payloads = [bytes([number]) * 160 for number in range(packets)]
    ahead, one_by_one = Sender(7, sequence, offset), Sender(7, sequence, offset)
    made = list(ahead.ahead(0, payloads, ticks, 160))
    # Nothing has left yet.
    assert ahead.to_dict() == Sender(7, sequence, offset).to_dict()
    assert made[:left] == [
        one_by_one.packet(0, payload, ticks + 160 * number) for number, payload in enumerate(payloads[:left])
    ]
    if left:
        ahead.count(left, 160, ticks + 160 * (left - 1))
    assert ahead.to_dict() == one_by_one.to_dict()
