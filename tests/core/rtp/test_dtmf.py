"""Keys over a line that loses, doubles and delays; the sender and the receiver back to back."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.dtmf import (
    DIALLED_S,
    ENDS,
    FLASH,
    KEYS,
    LEVEL,
    LOST_END_S,
    MOST_BLOCKS,
    MOST_DIALLED,
    EventPacket,
    KeyEnded,
    KeyEvent,
    KeyReceiver,
    KeySender,
    KeyStarted,
    Pausing,
    dialling_s,
)
from tests.core.feed import examples

STEP = 160


def block(key: str, duration: int, end: bool = False, volume: int = 10) -> bytes:
    return pack("!BBH", (KEYS + FLASH).index(key), (0x80 if end else 0) | volume, duration)


def press(timestamp: int, key: str = "5") -> list[tuple[bytes, int]]:
    """Three packets while it is down, and three that say it is over."""
    down = [(block(key, duration), timestamp) for duration in (160, 320, 480)]
    return down + [(block(key, 640, end=True), timestamp)] * 3


def receive(packets: list[tuple[bytes, int]], receiver: KeyReceiver | None = None) -> list[KeyEvent]:
    receiver = receiver or KeyReceiver()
    events = []
    for number, (payload, timestamp) in enumerate(packets):
        events += receiver.wake(number * 0.02)
        events += receiver.receive(payload, timestamp, number * 0.02)
    return events


PRESSED = [KeyStarted("5", -10), KeyEnded("5", 0.08, seen=True)]


def test_a_key_is_told_when_it_goes_down_and_when_it_is_up() -> None:
    assert receive(press(1000)) == PRESSED


def test_the_same_key_twice_and_then_another() -> None:
    assert receive(press(1000) + press(3000)) == PRESSED * 2
    assert receive(press(1000) + press(3000, "#"))[2:] == [
        KeyStarted("#", -10),
        KeyEnded("#", 0.08, seen=True),
    ]


@pytest.mark.parametrize("kept", [[3], [0, 5], [1, 2, 4], [0, 1, 2, 3, 4, 5, 5]])
def test_any_packet_of_it_will_do(kept: list[int]) -> None:
    packets = press(1000)
    assert receive([packets[each] for each in kept]) == PRESSED


def test_an_end_that_is_lost_is_made_up_once() -> None:
    receiver = KeyReceiver()
    assert receiver.wake(5.0) == []
    assert receive(press(1000)[:2], receiver) == [KeyStarted("5", -10)]
    assert receiver.deadline == pytest.approx(0.02 + LOST_END_S)
    assert receiver.wake(LOST_END_S) == []
    assert receiver.wake(0.02 + LOST_END_S) == [KeyEnded("5", 0.04, seen=False)]
    assert receiver.deadline is None
    # It comes after all: nothing new.
    assert receiver.receive(block("5", 640, end=True), 1000, 1.0) == []


def test_an_end_that_is_lost_is_made_up_by_the_next_key() -> None:
    assert receive(press(1000)[:2] + press(2000, "6")) == [
        KeyStarted("5", -10), KeyEnded("5", 0.04, seen=False),
        KeyStarted("6", -10), KeyEnded("6", 0.08, seen=True),
    ]  # fmt: skip


def test_what_is_left_of_an_earlier_key_is_nothing() -> None:
    first, second = press(0xFFFFFF00), press(0x100, "6")
    assert len(receive(first[:4] + second[:2] + first[4:] + second[2:])) == 4


def test_a_marker_begins_a_key_anew() -> None:
    receiver = KeyReceiver()
    receiver.receive(block("5", 160), 1000, 0.0, marker=True)
    events = receiver.receive(block("5", 320), 1160, 0.02, marker=True)
    assert events == [KeyEnded("5", 0.02, seen=False), KeyStarted("5", -10)]


def test_a_key_that_is_held_longer_than_a_duration_counts() -> None:
    # RFC 4733 2.5.1.3: after 8.19 s a segment begins, with no marker.
    packets = [
        (block("1", 0xFFFF), 500),
        (block("1", 80), 500 + 0xFFFF),
        (block("1", 160, end=True), 500 + 0xFFFF),
    ]
    assert receive(packets) == [KeyStarted("1", -10), KeyEnded("1", (0xFFFF + 160) / 8000, seen=True)]


def test_gateways_whose_timestamps_run_on_within_a_key() -> None:
    packets = [
        (payload, timestamp + number * STEP) for number, (payload, timestamp) in enumerate(press(1000))
    ]
    assert receive(packets) == PRESSED
    assert receive(packets + press(9000)) == PRESSED * 2
    # Not grown, or too far away, or another key: pressed again.
    assert len(receive([(block("5", 160), 0), (block("5", 160), 160)])) == 3
    assert len(receive([(block("5", 160), 0), (block("5", 320), 5000)])) == 3
    assert len(receive([(block("5", 160), 0), (block("6", 320), 160)])) == 3


def test_several_keys_in_one_packet() -> None:
    # RFC 4733 2.5.1.5: each begins where the one before it ended.
    payload = block("1", 800, end=True) + block("2", 400, end=True)
    receiver = KeyReceiver()
    assert receiver.receive(payload, 0, 0.0) == [
        KeyStarted("1", -10), KeyEnded("1", 0.1, seen=True), KeyStarted("2", -10), KeyEnded("2", 0.05, seen=True),
    ]  # fmt: skip
    many = b"".join(block(KEYS[each % 10], 400, end=True) for each in range(50))
    assert len(KeyReceiver().receive(many, 0, 0.0)) == 2 * MOST_BLOCKS


def test_events_that_are_no_keys() -> None:
    assert KeyReceiver().receive(pack("!BBH", 36, 10, 160), 0, 0.0) == []
    assert KeyReceiver().receive(b"\x01\x0a\x00", 0, 0.0) == []
    assert receive([(block(FLASH, 160, end=True), 0)])[0] == KeyStarted("!", -10)


@examples(100)
@given(
    st.lists(
        st.tuples(st.binary(max_size=12), st.integers(0, 0xFFFFFFFF), st.booleans(), st.floats(0, 1)),
        max_size=40,
    )
)
def test_whatever_comes_keys_go_down_and_up_by_turns(packets: list[tuple[bytes, int, bool, float]]) -> None:
    receiver = KeyReceiver()
    events: list[KeyEvent] = []
    now = 0.0
    for payload, timestamp, marker, passed in packets:
        now += passed
        events += receiver.wake(now)
        events += receiver.receive(payload, timestamp, now, marker)
    events += receiver.wake(now + LOST_END_S + 1)
    assert receiver.deadline is None
    assert all(isinstance(each, KeyStarted) for each in events[::2])
    for down, up in zip(events[::2], events[1::2], strict=True):
        assert isinstance(up, KeyEnded)
        assert up.key == down.key
        assert up.duration_s >= 0


def dialled(keys: str, step: int = STEP) -> tuple[list[tuple[int, EventPacket]], int]:
    sender = KeySender(step)
    assert sender.dial(keys) == 0
    assert sender.busy
    packets, ticks = [], 0
    while (now := sender.step(ticks)) is not None:
        if isinstance(now, EventPacket):
            packets.append((ticks, now))
        ticks += step
    assert not sender.busy
    return packets, ticks


def test_what_a_key_looks_like_on_the_wire() -> None:
    packets, over = dialled("5")
    assert [packet.payload for _, packet in packets] == [
        *(block("5", duration, volume=LEVEL) for duration in (160, 320, 480, 640, 800)),
        *[block("5", 800, end=True, volume=LEVEL)] * ENDS,
    ]
    assert [packet.marker for _, packet in packets] == [True] + [False] * 7
    assert {packet.ticks for _, packet in packets} == {0}
    assert over == 800 + 640


def test_pauses() -> None:
    starts = {packet.ticks for _, packet in dialled("1w2W3")[0]}
    assert sorted(starts) == [0, 1440 + 4000, 2 * 1440 + 4000 + 8000]
    assert isinstance(sender_of("w").step(0), Pausing)


def sender_of(keys: str) -> KeySender:
    sender = KeySender(STEP)
    sender.dial(keys)
    return sender


def test_no_more_than_fits_and_nothing_that_is_no_key() -> None:
    sender = KeySender(STEP)
    assert sender.dial("1" * MOST_DIALLED + "22") == 2
    assert sender.dial("3") == 1
    sender.stop()
    assert not sender.busy
    assert sender.dial("x y-٣") == 0
    assert sender.step(0) is None


def test_a_key_that_began_is_sent_to_its_end() -> None:
    sender = sender_of("12")
    assert isinstance(sender.step(0), EventPacket)
    sender.stop()
    assert sender.busy
    rest = [sender.step(ticks) for ticks in range(STEP, 3000, STEP)]
    assert [each.ticks for each in rest if isinstance(each, EventPacket)] == [0] * 7
    assert rest[-1] is None


def test_a_late_slot_still_leaves_a_gap() -> None:
    sender = sender_of("12")
    sender.step(0)
    for late in (10_000, 20_000):
        assert isinstance(sender.step(late), EventPacket)
    assert isinstance(sender.step(30_000), EventPacket)
    assert isinstance(sender.step(30_000), Pausing)
    second = sender.step(30_001)
    assert isinstance(second, EventPacket)
    assert second.ticks == 30_001


@examples(100)
@given(st.text(alphabet=KEYS + "wWabcd", min_size=1, max_size=12), st.sampled_from([80, 160, 240]), st.data())
def test_what_is_dialled_arrives_though_a_third_is_lost_or_doubled(
    keys: str, step: int, data: st.DataObject
) -> None:
    packets, _ = dialled(keys, step)
    wanted = list(keys.upper().replace("W", ""))
    receiver = KeyReceiver()
    heard = []
    for number, (ticks, packet) in enumerate(packets):
        fate = data.draw(st.sampled_from(["arrives", "doubled", "lost"])) if number % 3 == 1 else "arrives"
        for _ in range({"arrives": 1, "doubled": 2, "lost": 0}[fate]):
            heard += receiver.wake(ticks / 8000)
            heard += receiver.receive(packet.payload, packet.ticks, ticks / 8000, packet.marker)
    assert [event.key for event in heard if isinstance(event, KeyStarted)] == wanted
    ended = [event for event in heard if isinstance(event, KeyEnded)]
    assert all(event.seen for event in ended)
    assert [event.duration_s for event in ended] == [0.1] * len(wanted)


def test_how_long_dialling_takes() -> None:
    assert dialling_s("12wW") == pytest.approx(2 * DIALLED_S + 1.5)
    assert dialling_s("") == 0
