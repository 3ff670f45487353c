"""What leaves, when, and with which numbers, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.core.rtp.packet import Packet, Sender, parse
from aywa.media.pacer import Pacer
from aywa.media.rtp.settings import RtpSettings
from aywa.media.rtp.talking import MOST_TONES_S, NOISE_S, Talking
from aywa.media.wheel import Wheel
from aywa.testing.virtual_time import VirtualTimeLoop, run_virtual

pytestmark = pytest.mark.virtual_time

FRAME = b"\x10" * 160
SILENCE = b"\xff" * 160
START = 1000
FAR = ("192.0.2.1", 4000)


@dataclass
class Stream:
    """A talking half and what it sent: when, and the packet."""

    wheel: Wheel
    talking: Talking
    sent: list[tuple[float, Packet]] = field(default_factory=list)

    @property
    def times(self) -> list[float]:
        return [round(at, 4) for at, _ in self.sent]

    @property
    def ticks(self) -> list[int]:
        return [packet[3] - START for _, packet in self.sent]

    @property
    def numbers(self) -> list[int]:
        return [packet[2] for _, packet in self.sent]

    @property
    def marked(self) -> list[int]:
        return [place for place, (_, packet) in enumerate(self.sent) if packet[1]]

    async def speak(self, frames: int, frame: bytes = FRAME) -> None:
        """Frames on the playout's beat, and the news that it has stopped."""
        for number in range(frames):
            self.talking.audio(frame)
            if number == frames - 1:
                self.talking.quiet()
            await asyncio.sleep(0.02)

    def forget(self) -> None:
        self.sent.clear()


def stream(
    encode: Callable[[bytes], bytes] | None = None, ptime_ms: int = 20, frame: bytes = SILENCE
) -> Stream:
    loop = asyncio.get_running_loop()
    wheel = Wheel(loop, 0.005)

    def sendto(data: bytes, destination: tuple[str, int]) -> None:
        assert destination == FAR
        packet = parse(data)
        assert packet is not None
        made.sent.append((loop.time(), packet))

    made = Stream(
        wheel,
        Talking(wheel, loop.time, sendto, Sender(7, 100, START), RtpSettings(), Pacer(loop, wheel, 0.005)),
    )
    made.talking.code(0, 8000, ptime_ms, frame, encode)
    return made


async def test_silence_flows_from_the_start_and_nothing_before_it() -> None:
    at = stream()
    await asyncio.sleep(0.1)
    assert at.sent == []
    at.talking.send_to(FAR)
    at.talking.send_to(FAR)
    await asyncio.sleep(0.061)
    assert at.times == [0.1, 0.12, 0.14, 0.16]
    assert all(packet[5] == SILENCE and packet[0] == 0 for _, packet in at.sent)
    assert at.numbers == [100, 101, 102, 103]
    assert [after - before for before, after in pairwise(at.ticks)] == [160] * 3
    assert at.marked == [0]


async def test_a_talkspurt_leaves_at_once_and_the_silence_waits_for_the_clock() -> None:
    at = stream()
    at.talking.send_to(FAR)
    await asyncio.sleep(0.05)
    # Silence left at 0, 20 and 40 ms; its next packet would at 60.
    await at.speak(3)
    assert at.times == [0.0, 0.02, 0.04, 0.05, 0.07, 0.09]
    await asyncio.sleep(0.041)
    assert at.times[6:] == [0.12, 0.14]
    assert at.ticks == [160 * number for number in range(8)]
    assert at.marked == [0, 3]
    assert at.numbers == list(range(100, 108))


async def test_the_clock_never_runs_away_over_many_talkspurts() -> None:
    at = stream()
    at.talking.send_to(FAR)
    for _ in range(100):
        await asyncio.sleep(0.0137)
        await at.speak(2)
    assert all(0 <= ticks / 8000 - when <= 0.0201 for when, ticks in zip(at.times, at.ticks, strict=True))
    assert at.ticks == sorted(set(at.ticks))


async def test_a_pause_of_the_process_is_not_made_up_for() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    at = stream()
    at.talking.send_to(FAR)
    await asyncio.sleep(0.001)
    loop.hold_up(1.0)
    await asyncio.sleep(0.01)
    assert len(at.sent) == 2
    assert at.ticks[1] == pytest.approx(8000, abs=80)
    await at.speak(1)
    assert at.numbers == [100, 101, 102]


async def test_who_holds_us_gets_nothing_and_the_clock_goes_on() -> None:
    at = stream()
    at.talking.send_to(FAR)
    await asyncio.sleep(0.03)
    at.talking.send_to(None)
    at.forget()
    await at.speak(5)
    await asyncio.sleep(1)
    assert at.sent == []
    at.talking.send_to(FAR)
    await asyncio.sleep(0.001)
    [(when, packet)] = at.sent
    assert packet[1]
    assert packet[2] == 102
    assert packet[3] - START == round(when * 8000)


async def test_resuming_in_the_middle_of_a_reply_is_marked() -> None:
    at = stream()
    at.talking.audio(FRAME)
    at.talking.send_to(FAR)
    at.talking.audio(FRAME)
    assert at.marked == [0]
    assert len(at.sent) == 1


@pytest.mark.parametrize(
    ("ptime_ms", "sizes", "last"),
    [(10, [80] * 6, FRAME[:80]), (30, [240, 240], FRAME), (40, [320, 320], FRAME)],
)
async def test_packets_of_another_length(ptime_ms: int, sizes: list[int], last: bytes) -> None:
    at = stream(ptime_ms=ptime_ms)
    at.talking.send_to(FAR)
    await asyncio.sleep(0)
    await at.speak(3)
    spoken = [packet for _, packet in at.sent if packet[5][:1] == FRAME[:1]]
    assert [len(packet[5]) for packet in spoken] == sizes
    # The reply's end is filled up with silence.
    assert b"".join(packet[5] for packet in spoken).rstrip(b"\xff") == FRAME * 3
    assert {after - before for before, after in pairwise(at.ticks)} == {8 * ptime_ms}
    at.forget()
    await asyncio.sleep(0.5)
    assert {len(packet[5]) for _, packet in at.sent} == {8 * ptime_ms}


async def test_what_is_encoded_is_the_legs_frame() -> None:
    at = stream(encode=lambda frame: frame[:4], frame=bytes(640))
    at.talking.send_to(FAR)
    await at.speak(1, b"\x01" * 640)
    assert [packet[5] for _, packet in at.sent] == [b"\x01" * 4, bytes(4)]


async def test_another_codec_goes_on_with_the_same_numbers_on_its_own_clock() -> None:
    at = stream()
    at.talking.send_to(FAR)
    await asyncio.sleep(0.99)
    at.talking.code(111, 48_000, 20, bytes(640), lambda frame: b"opus")
    await asyncio.sleep(0.02)
    before, after = at.sent[-2][1], at.sent[-1][1]
    assert (after[0], after[5]) == (111, b"opus")
    assert after[2] == before[2] + 1
    assert after[3] - START == 48_000


async def test_keys_take_their_place_and_the_silence_stands_back() -> None:
    at = stream()
    assert not at.talking.dial("1")
    at.talking.dial_as(101, 8000)
    assert not at.talking.dial("1")
    at.talking.send_to(FAR)
    await asyncio.sleep(0.05)
    at.forget()
    assert at.talking.dial("12")
    assert at.talking.dial("w")
    await asyncio.sleep(0.45)
    keys = [packet for _, packet in at.sent if packet[0] == 101]
    assert at.numbers == list(range(103, 103 + len(at.sent)))
    assert sorted({packet[5][0] for packet in keys}) == [1, 2]
    assert [packet[5][0] for packet in keys if packet[1]] == [1, 2]
    assert sum(1 for packet in keys if packet[5][1] & 0x80) == 6
    assert len({packet[3] for packet in keys}) == 2
    first = keys[0][3] - START
    assert first == pytest.approx(0.05 * 8000, abs=1)
    assert len(keys) == len(at.sent)
    await asyncio.sleep(1)
    assert at.sent[-1][1][0] == 0


async def test_keys_wait_for_the_end_of_a_reply() -> None:
    at = stream()
    at.talking.dial_as(101, 8000)
    at.talking.send_to(FAR)
    speaking = asyncio.create_task(at.speak(10))
    await asyncio.sleep(0.05)
    at.talking.dial("5")
    await speaking
    await asyncio.sleep(0.1)
    first = [packet[0] for _, packet in at.sent].index(101)
    assert at.sent[first - 1][0] == pytest.approx(0.18)
    assert at.sent[first][0] < 0.21


async def test_keys_count_by_their_own_clock() -> None:
    at = stream()
    at.talking.code(111, 48_000, 20, bytes(640), lambda frame: b"opus")
    at.talking.dial_as(101, 8000)
    at.talking.send_to(FAR)
    await asyncio.sleep(0.02)
    at.talking.dial("5")
    at.talking.dial_as(101, 8000)
    await asyncio.sleep(0.15)
    keys = [packet for _, packet in at.sent if packet[0] == 101]
    assert {packet[3] - START for packet in keys} == {960}
    assert int.from_bytes(keys[-1][5][2:]) == 800


async def test_nothing_leaves_after_the_end() -> None:
    at = stream()
    at.talking.dial_as(101, 8000)
    at.talking.send_to(FAR)
    at.talking.dial("1")
    at.talking.close()
    at.forget()
    await asyncio.sleep(1)
    assert at.sent == []
    at.talking.dial_as(None, 8000)
    assert not at.talking.dial("1")


async def test_losing_the_keys_stops_what_was_dialled() -> None:
    at = stream()
    at.talking.dial_as(101, 8000)
    at.talking.send_to(FAR)
    at.talking.dial("12345")
    at.talking.dial_as(None, 8000)
    at.forget()
    await asyncio.sleep(1)
    assert all(packet[0] == 0 for _, packet in at.sent)
    assert len(at.sent) >= 48


async def test_another_process_goes_on_with_the_numbers_and_the_clock() -> None:
    at, other = stream(), stream()
    at.talking.send_to(FAR)
    await asyncio.sleep(0.105)
    values = at.talking.to_dict(0.105)
    at.talking.close()
    await asyncio.sleep(0.5)
    values["ahead_s"] -= 0.5
    other.talking.take_up(values)
    other.talking.send_to(FAR)
    await asyncio.sleep(0)
    await other.speak(1)
    packet = other.sent[0][1]
    assert packet[2] == at.numbers[-1] + 1
    assert packet[4] == 7
    assert packet[3] - START == pytest.approx(0.605 * 8000, abs=2)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("speak"), st.integers(1, 8)),
            st.tuples(st.just("wait"), st.integers(1, 150)),
            st.tuples(st.just("hold"), st.integers(0, 1)),
            st.tuples(st.just("dial"), st.integers(0, 99)),
        ),
        max_size=25,
    )
)
def test_numbers_have_no_hole_and_timestamps_never_go_back(acts: list[tuple[str, int]]) -> None:
    async def run() -> Stream:
        at = stream()
        at.talking.dial_as(101, 8000)
        at.talking.send_to(FAR)
        for act, amount in acts:
            if act == "speak":
                await at.speak(amount)
            elif act == "wait":
                await asyncio.sleep(amount / 1000)
            elif act == "hold":
                at.talking.send_to(None if amount else FAR)
            else:
                at.talking.dial(str(amount))
        at.talking.close()
        at.wheel.close()
        return at

    at = run_virtual(run())
    assert at.numbers == list(range(100, 100 + len(at.sent)))
    audio = [packet[3] for _, packet in at.sent if packet[0] == 0]
    assert audio == sorted(set(audio))
    assert all(after - before >= 160 for before, after in pairwise(audio))
    assert all(
        -0.006 <= ticks / 8000 - when <= 0.0201
        for when, ticks, packet in zip(at.times, at.ticks, [p for _, p in at.sent], strict=True)
        if packet[0] == 0
    )


# --- keys as tones ---------------------------------------------------------------------------------------------


def sounding(key: str) -> bytes:
    """Five packets of a key, told from every other; two of a pause; nothing for what is no key."""
    return {"w": SILENCE * 2}.get(key, key.encode() * 160 * 5 if key.isdigit() else b"")


def heard_tones(at: Stream) -> list[str]:
    return [chr(packet[5][0]) for _, packet in at.sent if packet[5] != SILENCE]


async def test_keys_sound_in_the_place_of_the_silence() -> None:
    at = stream()
    at.talking.sound_as(sounding)
    at.talking.send_to(FAR)
    await asyncio.sleep(0.05)
    assert at.talking.dial("1w2x")
    await asyncio.sleep(0.4)
    assert heard_tones(at) == ["1"] * 5 + ["2"] * 5
    # On the silence's beat, in its numbering.
    assert at.ticks == [160 * number for number in range(len(at.sent))]
    assert at.times == [round(0.02 * number, 4) for number in range(len(at.sent))]


async def test_tones_wait_for_the_end_of_a_reply() -> None:
    at = stream()
    at.talking.sound_as(sounding)
    at.talking.send_to(FAR)
    at.talking.audio(FRAME)
    assert at.talking.dial("1")
    await at.speak(3)
    await asyncio.sleep(0.2)
    assert heard_tones(at) == ["\x10"] * 4 + ["1"] * 5


async def test_packets_of_another_length_hold_the_same_tones() -> None:
    at = stream(ptime_ms=30)
    at.talking.sound_as(sounding)
    at.talking.send_to(FAR)
    assert at.talking.dial("1")
    await asyncio.sleep(0.2)
    sound = b"".join(packet[5] for _, packet in at.sent)
    assert sound.count(b"1") == 800
    assert {len(packet[5]) for _, packet in at.sent} == {240}


async def test_no_more_tones_are_kept_than_anybody_dials() -> None:
    at = stream()
    at.talking.sound_as(sounding)
    at.talking.send_to(FAR)
    assert at.talking.dial("1" * 10_000)
    await asyncio.sleep(MOST_TONES_S + 1)
    assert len(heard_tones(at)) == pytest.approx(MOST_TONES_S / 0.02, abs=2)


async def test_without_tones_or_events_there_are_no_keys() -> None:
    at = stream()
    at.talking.send_to(FAR)
    at.talking.sound_as(sounding)
    assert at.talking.dial("1")
    at.talking.sound_as(None)
    assert not at.talking.dial("1")
    await asyncio.sleep(0.1)
    assert heard_tones(at) == []
    at.talking.sound_as(sounding)
    at.talking.send_to(None)
    assert not at.talking.dial("1")


# --- comfort noise ---------------------------------------------------------------------------------------------


async def test_comfort_noise_stands_for_the_silence_and_the_clock_goes_on() -> None:
    at = stream()
    at.talking.rest_as(13, b"\x41")
    at.talking.send_to(FAR)
    await asyncio.sleep(1.0)
    assert [(packet[0], packet[5]) for _, packet in at.sent] == [(13, b"\x41")] * 3
    assert at.times == [0.0, NOISE_S, 2 * NOISE_S]
    assert at.ticks == [0, round(8000 * NOISE_S), round(16_000 * NOISE_S)]
    at.forget()
    # A talkspurt starts at once, at the clock's own time.
    await at.speak(3)
    assert at.times[:3] == [1.0, 1.02, 1.04]
    assert at.ticks[:3] == [8000, 8160, 8320]
    assert at.marked == [0]
    await asyncio.sleep(0.1)
    assert [packet[0] for _, packet in at.sent[3:]] == [13]
    assert at.numbers == list(range(103, 107))


async def test_keys_need_not_wait_for_the_next_comfort_noise() -> None:
    at = stream()
    at.talking.rest_as(13, b"\x41")
    at.talking.sound_as(sounding)
    at.talking.send_to(FAR)
    await asyncio.sleep(0.1)
    assert at.talking.dial("1")
    await asyncio.sleep(0.15)
    assert [packet[0] for _, packet in at.sent] == [13, *[0] * 5, 13]
    assert at.times[1] == 0.1


async def test_events_and_comfort_noise_share_the_pause() -> None:
    at = stream()
    at.talking.rest_as(13, b"\x41")
    at.talking.dial_as(101, 8000)
    at.talking.send_to(FAR)
    await asyncio.sleep(0.05)
    assert at.talking.dial("1")
    await asyncio.sleep(1.0)
    kinds = [packet[0] for _, packet in at.sent]
    assert kinds.count(101) >= 5
    assert 0 not in kinds
    assert kinds[-1] == 13
