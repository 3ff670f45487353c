"""Reports by hand from RFC 3550 6.4, any bytes at all, and two ends that report to each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.packet import Sender, is_rtcp
from aywa.core.rtp.packet import parse as parse_packet
from aywa.core.rtp.rtcp import (
    INTERVAL_S,
    LONGEST_ROUND_TRIP_S,
    MOST_BYTES,
    MOST_PACKETS,
    NTP_OFFSET_S,
    Block,
    Goodbye,
    Report,
    Reports,
    Sent,
    build,
    parse,
)
from aywa.core.rtp.source import Inbound
from tests.core.feed import examples

BLOCK = Block(0xAABBCCDD, 0.25, 7, 0x1FFFF, 80, 0x12345678, 65536)
SENT = Sent(0x0102030405060708, 160, 50, 8000)


@pytest.mark.parametrize(
    "report", [Report(1, SENT, (BLOCK,)), Report(1, None, (BLOCK, BLOCK)), Report(1, None, ())]
)
def test_there_and_back(report: Report) -> None:
    data = build(report, "aywa@192.0.2.1")
    assert is_rtcp(data)
    assert len(data) % 4 == 0
    assert parse(data) == [report]
    assert parse(build(report, "x", goodbye=True)) == [report, Goodbye((1,))]


@pytest.mark.parametrize("cname", ["", "a", "ab", "abc", "x" * 300])
def test_every_length_of_a_name_ends_with_a_zero_on_a_whole_word(cname: str) -> None:
    data = build(Report(1, None, ()), cname)
    assert parse(data) == [Report(1, None, ())]
    description = data[8:]
    assert description[:2] == b"\x81\xca"
    assert len(description) == 4 + 4 * int.from_bytes(description[2:4])
    assert description[8:10] == bytes([1, min(255, len(cname))])
    assert description[-1] == 0


def test_a_report_on_the_wire() -> None:
    data = build(Report(0x11223344, SENT, (BLOCK,)), "n")
    assert data[:52].hex(" ", 4) == (
        "81c8000c 11223344 01020304 05060708 000000a0 00000032 00001f40 "
        "aabbccdd 40000007 0001ffff 00000050 12345678 00010000"
    )


def test_losses_keep_their_sign_and_their_bounds() -> None:
    for lost, back in ((-3, -3), (0x7FFFFF, 0x7FFFFF), (0x900000, 0x7FFFFF), (-0x900000, -0x800000)):
        (report,) = parse(build(Report(1, None, (Block(2, 1.0, lost, 3, 1 << 40, 0, 0),)), "")) or []
        assert isinstance(report, Report)
        assert report.blocks == (Block(2, 255 / 256, back, 3, 0xFFFFFFFF, 0, 0),)


@pytest.mark.parametrize(
    ("data", "records"),
    [
        ("80c90001 00000001 81ca0002 00000001 00000000", [Report(1, None, ())]),
        ("81cb0001 00000009", [Goodbye((9,))]),
        ("82cb0001 00000009", []),
        ("81c90001 00000001", []),
        ("80c80001 00000001", []),
        ("a0c90002 00000001 00000004", [Report(1, None, ())]),
        ("80cd0002 00000001 00000000", []),
        ("80cb0000 80cb0000", [Goodbye(()), Goodbye(())]),
    ],
    ids=[
        "description", "goodbye", "goodbye short", "block short", "sender short", "padding", "feedback", "of nobody",
    ],
)  # fmt: skip
def test_what_a_compound_may_hold(data: str, records: list[Report | Goodbye]) -> None:
    assert parse(bytes.fromhex(data)) == records


@pytest.mark.parametrize(
    "data",
    [
        "", "80c90000", "40c90001 00000001", "80c90002 00000001", "80c90001 00000001 80", "a0c90001 00000000",
        "a0c90001 00000009", "80c90001 00000001 00c90000",
    ],
    ids=["nothing", "short", "version", "cut", "a rest", "padding of 0", "padding too long", "version of the second"],
)  # fmt: skip
def test_what_is_no_report(data: str) -> None:
    assert parse(bytes.fromhex(data)) is None


def test_no_more_than_is_bearable() -> None:
    one = bytes.fromhex("80c90001 00000001")
    assert len(parse(one * (MOST_PACKETS - 1)) or []) == MOST_PACKETS - 1
    assert parse(one * (MOST_PACKETS + 1)) is None
    assert parse(bytes.fromhex("80c901ff") + bytes(2044)) is not None
    assert parse(bytes.fromhex("80c90200") + bytes(MOST_BYTES)) is None


@examples(100)
@given(st.binary(max_size=120))
def test_any_bytes_are_reports_or_none(data: bytes) -> None:
    records = parse(data)
    assert records is None or len(records) <= len(data) // 4


@examples(100)
@given(
    st.sampled_from([200, 201, 202, 203, 204, 207]),
    st.integers(0, 63),
    st.integers(0, 8),
    st.binary(max_size=120),
)
def test_any_bytes_behind_a_good_header(kind: int, first: int, words: int, rest: bytes) -> None:
    records = parse(bytes([0x80 | first, kind, 0, words]) + rest)
    assert records is None or all(isinstance(each, Report | Goodbye) for each in records)


class End:
    """One end of a line that sends 50 packets a second."""

    def __init__(self, ssrc: int, now: float = 0.0) -> None:
        self.sender = Sender(ssrc, 0, 1000 * ssrc)
        self.inbound = Inbound(8000)
        self.reports = Reports(self.sender, self.inbound, 8000, f"end{ssrc}", lambda: 0.5, now, wall_s=1e9)

    def hear(self, packet: bytes, now: float) -> None:
        parsed = parse_packet(packet)
        assert parsed is not None
        self.inbound.take(parsed[4], parsed[2], parsed[3], now)


def test_two_ends_learn_loss_jitter_and_the_round_trip_of_each_other() -> None:
    left, right = End(1), End(2, now=100.0)
    # Right's clock is 100 s ahead, and the way takes 30 ms there and 30 back; every fourth packet of left's is lost.
    on_the_way: list[tuple[float, End, bytes]] = []
    for slot in range(800):
        now = slot * 0.02
        for due, end, data in [each for each in on_the_way if each[0] <= now]:
            on_the_way.remove((due, end, data))
            assert end.reports.receive(data, due + (100.0 if end is right else 0.0))
        packet = left.sender.packet(0, bytes(160), slot * 160)
        if slot % 4:
            right.hear(packet, 100.0 + now + 0.03)
        left.hear(right.sender.packet(0, bytes(160), slot * 160), now + 0.03)
        for end, other, offset in ((left, right, 0.0), (right, left, 100.0)):
            report = end.reports.wake(now + offset, slot * 160)
            if report is not None:
                on_the_way.append((now + 0.03, other, report))
    assert left.reports.remote.round_trip_s == pytest.approx(0.06, abs=0.001)
    assert right.reports.remote.round_trip_s == pytest.approx(0.06, abs=0.001)
    assert left.reports.remote.lost_share == pytest.approx(0.25, abs=0.01)
    assert left.reports.remote.lost == pytest.approx(187, abs=65)
    assert right.reports.remote.lost == 0
    assert left.reports.remote.reports == 3
    assert left.reports.remote.jitter_s == pytest.approx(0.0, abs=0.0005)


def test_when_reports_are_due() -> None:
    end = End(1)
    assert end.reports.deadline == INTERVAL_S / 2
    assert end.reports.wake(2.4, 0) is None
    assert end.reports.wake(2.5, 0) == build(Report(1, None, ()), "end1")
    assert end.reports.deadline == 2.5 + INTERVAL_S


def test_who_has_stopped_sending_becomes_a_receiver() -> None:
    end = End(1)
    end.sender.packet(0, bytes(160), 0)
    kinds = []
    for number in range(4):
        data = end.reports.wake(10.0 * (number + 1), 800)
        assert data is not None
        (report,) = parse(data) or []
        assert isinstance(report, Report)
        kinds.append(report.sent)
    assert kinds[0] == Sent(int((10 + 1e9 + NTP_OFFSET_S) * 2**32), 1800, 1, 160)
    assert [sent is None for sent in kinds] == [False, False, True, True]


def test_a_goodbye() -> None:
    end = End(1)
    end.hear(Sender(7, 5, 0).packet(0, b"", 0), 0.0)
    assert parse(end.reports.goodbye(1.0, 0)) == [
        Report(1, None, (Block(7, 0.0, 0, 5, 0, 0, 0),)), Goodbye((1,)),
    ]  # fmt: skip


def test_a_delay_is_told_only_of_the_source_that_reported() -> None:
    end = End(1)
    end.hear(Sender(7, 5, 0).packet(0, b"", 0), 0.0)
    stranger = Report(8, SENT, ())
    for ssrc, stamp, delay in ((8, 0, 0), (7, 0x03040506, 98304)):
        end.reports.receive(build(Report(ssrc, SENT, ()), ""), 1.0)
        (report, _) = parse(end.reports.goodbye(2.5, 0)) or []
        assert isinstance(report, Report)
        assert (report.blocks[0].last_report, report.blocks[0].delay) == (stamp, delay)
    assert stranger.ssrc != 7


@pytest.mark.parametrize(
    ("stamp_off", "delay_s", "at_s", "round_trip_s"),
    [
        (0, 1.0, 4.0, 0.5),
        (1, 1.0, 4.0, None),
        (0, 1.505, 4.0, 0.0),
        (0, 1.6, 4.0, None),
        (0, 0.0, 2.6 + LONGEST_ROUND_TRIP_S, None),
    ],
    ids=["well", "never sent", "rounded", "from the future", "too old"],
)
def test_a_round_trip_is_only_taken_where_it_can_be_one(
    stamp_off: int, delay_s: float, at_s: float, round_trip_s: float | None
) -> None:
    end = End(1)
    end.sender.packet(0, bytes(160), 0)
    (sent,) = parse(end.reports.wake(2.5, 0) or b"") or []
    assert isinstance(sent, Report)
    assert sent.sent is not None
    stamp = (sent.sent.ntp >> 16 & 0xFFFFFFFF) + stamp_off
    block = Block(1, 0.5, 3, 9, 160, stamp, int(delay_s * 65536))
    other = Block(99, 0.9, 3, 9, 160, 0, 0)
    assert end.reports.receive(build(Report(2, None, (other, block)), ""), at_s)
    assert end.reports.remote.round_trip_s == (
        None if round_trip_s is None else pytest.approx(round_trip_s, abs=1e-4)
    )
    assert (end.reports.remote.lost_share, end.reports.remote.lost, end.reports.remote.jitter_s) == (
        0.5,
        3,
        0.02,
    )


def test_what_is_no_report_changes_nothing() -> None:
    end = End(1)
    before = end.reports.remote
    assert not end.reports.receive(b"\x80\xc9\0\x09", 0.0)
    assert not end.reports.receive(bytes.fromhex("80cd0001 00000001"), 0.0)
    assert end.reports.receive(bytes.fromhex("81cb0001 00000001"), 0.0)
    assert end.reports.remote == before
