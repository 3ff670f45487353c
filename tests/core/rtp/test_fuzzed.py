"""What comes from the network, guided by coverage: bytes into the parsers, and whole streams into the machines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aywa.core.rtp.clock import Timeline
from aywa.core.rtp.comfort_noise import ComfortNoise
from aywa.core.rtp.dtmf import KeyReceiver, KeySender
from aywa.core.rtp.jitter import MOST_PACKETS, Fate, JitterBuffer
from aywa.core.rtp.packet import Sender, build
from aywa.core.rtp.packet import parse as parse_packet
from aywa.core.rtp.reorder import Reorder
from aywa.core.rtp.rtcp import Block, Report, Reports, Sent
from aywa.core.rtp.rtcp import build as build_report
from aywa.core.rtp.rtcp import parse as parse_reports
from aywa.core.rtp.source import REFUSED, Inbound
from aywa.core.rtp.srtp_keys import KeyRefused, SrtpSuite, read_inline
from aywa.testing.fuzz import fuzz

WATCHED = ["aywa/core/rtp/"]
PACKETS = [
    build(0, True, 65534, 160, 7, bytes(20)),
    bytes.fromhex("b1 00 0001 00000000 00000001  0000000a bede 0001 01020304 aabb 000003"),
]
REPORTS = [
    build_report(
        Report(1, Sent(1 << 40, 160, 50, 8000), (Block(5, 0.25, 7, 9, 80, 1, 2),)), "aywa", goodbye=True
    ),
    bytes.fromhex("a0c90002 00000001 00000004"),
]


def pieces(data: bytes) -> Iterator[bytes]:
    """A stream of packets out of one input: a byte says how long the next is."""
    at = 0
    while at < len(data):
        size = data[at]
        yield data[at + 1 : at + 1 + size]
        at += 1 + size


def stream(*packets: bytes) -> bytes:
    return b"".join(bytes([len(packet)]) + packet for packet in packets)


def test_packets() -> None:
    def target(data: bytes) -> None:
        packet = parse_packet(data)
        assert packet is None or (0 <= packet[0] < 128 and len(packet[5]) <= len(data) - 12)

    assert fuzz(target, PACKETS, WATCHED, runs=4000).edges > 15


def test_reports() -> None:
    def target(data: bytes) -> None:
        sender, inbound = Sender(5, 0, 0), Inbound(8000)
        sender.packet(0, b"", 0)
        reports = Reports(sender, inbound, 8000, "aywa", lambda: 0.5, 0.0)
        reports.wake(2.5, 0)
        for number, piece in enumerate(pieces(data)):
            assert reports.receive(piece, 3.0 + number) == bool(parse_reports(piece))
        remote = reports.remote
        assert 0 <= remote.lost_share < 1
        assert remote.round_trip_s is None or remote.round_trip_s >= 0
        assert parse_reports(reports.goodbye(9.0, 0)) is not None

    assert fuzz(target, [stream(*REPORTS), *REPORTS], WATCHED, runs=1500).edges > 60


def test_a_whole_stream() -> None:
    def target(data: bytes) -> None:
        inbound, timeline, noise, keys = Inbound(8000), Timeline(8000), ComfortNoise(), KeyReceiver()
        reorder: Reorder[bytes] = Reorder(least=1, most=4)
        buffer = JitterBuffer(8000, 160)
        for slot, piece in enumerate(pieces(data)):
            now = slot * 0.02
            packet = parse_packet(piece)
            keys.wake(now)
            fate, payload = buffer.pull(now, quiet=slot % 3 == 0)
            assert fate is Fate.PLAY or not payload
            if packet is None:
                continue
            payload_type, marker, sequence, timestamp, ssrc, payload = packet
            if payload_type == 101:
                keys.receive(payload, timestamp, now, marker)
            elif payload_type == 13:
                noise.receive(payload)
                assert len(noise.make(160)) == 320
            number = inbound.take(ssrc, sequence, timestamp, now, timed=payload_type != 101)
            if number == REFUSED:
                continue
            assert abs(timeline.place(timestamp, now) - now) < 1.1
            buffer.push(number, timestamp, payload, now)
            passed = reorder.next
            due = reorder.put(number, b"")
            # Every number is passed on, or told to be lost, or another place in the stream.
            counted = sum(1 if isinstance(each, bytes) else each for each in due)
            assert reorder.next - passed >= counted or passed < 0
            assert len(reorder.waiting) <= reorder.window <= 4
            assert buffer.waiting <= MOST_PACKETS

    sender, dialling = Sender(7, 65530, 0xFFFFFF00), KeySender(160)
    dialling.dial("5")
    talk = [sender.packet(0, b"\x01", number * 160) for number in range(8)]
    press = [sender.packet(101, b"\x05\x0a\0\xa0", 1280, True), sender.packet(101, b"\x05\x8a\1\x40", 1280)]
    noise = sender.packet(13, b"\x40\x80\x90", 1600)
    other = [Sender(9, 5, 0).packet(0, b"\x02", 0)]
    seeds = [stream(*talk), stream(*talk, *press, noise), stream(talk[0], talk[2], talk[1], *other, talk[7])]
    assert fuzz(target, seeds, WATCHED, runs=1200).edges > 150


@pytest.mark.parametrize("suite", [SrtpSuite.AEAD_AES_128_GCM, SrtpSuite.AES_CM_128_HMAC_SHA1_80])
def test_key_parameters(suite: SrtpSuite) -> None:
    def target(data: bytes) -> None:
        try:
            keys = read_inline(suite, data.decode("latin-1"))
        except KeyRefused:
            return
        assert len(keys.master) == suite.master_bytes

    seed = b"inline:" + b"A" * (suite.master_bytes * 4 // 3) + b"|2^31|1:4"
    assert fuzz(target, [seed], WATCHED, runs=3000).edges > 20
