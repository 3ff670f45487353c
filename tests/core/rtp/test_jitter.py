"""The buffer between a sender and a puller, with a network in between that is made up: every figure is in virtual time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aywa.core.rtp.jitter import MOST_PACKETS, Fate, JitterBuffer, JitterSettings
from tests.core.feed import examples

FRAME_S = 0.02
TICKS = 160


@dataclass
class Run:
    """What was heard: number and delay of each packet, and the fate of each slot."""

    buffer: JitterBuffer
    fates: Counter[Fate] = field(default_factory=Counter)
    heard: list[tuple[int, float]] = field(default_factory=list)

    def delays(self, after: int) -> list[float]:
        return [delay for number, delay in self.heard if number >= after]


def run(
    count: int,
    way: Callable[[int], float | None],
    *,
    ppm: float = 0.0,
    phase_s: float = 0.007,
    quiet: Callable[[int], bool] = lambda _: False,
    sent: Callable[[int], bool] = lambda _: True,
    settings: JitterSettings | None = None,
) -> Run:
    """way(number): how long the packet takes, None: lost. sent(number): whether the sender speaks in that slot."""
    result = Run(JitterBuffer(8000, TICKS, settings))
    arrivals = []
    sequence = 100
    sent_s: dict[bytes, float] = {}
    for number in range(count):
        if not sent(number):
            continue
        at_s = number * FRAME_S * (1 + ppm / 1e6)
        took = way(number)
        payload = number.to_bytes(4)
        sent_s[payload] = at_s
        if took is not None:
            arrivals.append((at_s + took, sequence, number * TICKS & 0xFFFFFFFF, payload))
        sequence += 1
    arrivals.sort()
    arrivals.reverse()
    for slot in range(count):
        now = slot * FRAME_S + phase_s
        while arrivals and arrivals[-1][0] <= now:
            at_s, number, timestamp, payload = arrivals.pop()
            result.buffer.push(number, timestamp, payload, at_s)
        fate, payload = result.buffer.pull(now, quiet(slot))
        result.fates[fate] += 1
        if fate is Fate.PLAY:
            result.heard.append((int.from_bytes(payload), now - sent_s[payload]))
    return result


def test_a_good_line_adds_no_more_than_a_slot() -> None:
    result = run(1000, lambda _: 0.005, quiet=lambda slot: slot % 25 == 0)
    assert result.fates[Fate.LOST] == 0
    assert result.fates[Fate.PLAY] + result.buffer.shed >= 995
    assert max(result.delays(400)) <= 0.005 + FRAME_S + 0.008


def test_jitter_of_60_ms_with_loss_reordering_and_duplicates() -> None:
    chance = random.Random(1)
    lost = {number for number in range(5000) if chance.random() < 0.05}
    result = run(
        5000,
        lambda number: None if number in lost else 0.02 + chance.uniform(0, 0.06),
        quiet=lambda slot: slot % 50 < 15,
    )
    heard = [number for number, _ in result.heard]
    assert heard == sorted(set(heard))
    # Of those that came at all, nearly all were heard; and the delay is the jitter, and at most two slots.
    assert result.buffer.late < 0.03 * 5000
    assert len(heard) > 0.92 * 5000
    delays = sorted(result.delays(500))
    assert delays[len(delays) // 2] < 0.02 + 0.06 + 2 * FRAME_S
    assert max(delays) < 0.02 + 0.06 + 3 * FRAME_S
    assert abs(result.buffer.lost - len(lost)) < 0.03 * 5000


@pytest.mark.parametrize("ppm", [200, -200])
def test_an_hour_at_200_ppm_neither_grows_nor_starves(ppm: int) -> None:
    chance = random.Random(ppm)
    count = 30_000
    result = run(
        count, lambda _: 0.02 + chance.uniform(0, 0.01), ppm=6 * ppm, quiet=lambda slot: slot % 50 < 15
    )
    # The drift of an hour in ten minutes: 36 packets of it.
    assert max(result.delays(500)) - min(result.delays(500)) < 3 * FRAME_S
    assert result.buffer.shed + result.buffer.stretched < 36 + 20
    assert result.buffer.late < 10
    assert result.fates[Fate.PLAY] > count - 36 - 30


def test_the_delay_grows_for_a_line_that_becomes_bad_and_shrinks_again() -> None:
    chance = random.Random(2)

    def way(number: int) -> float:
        return 0.02 + (chance.uniform(0, 0.12) if 1000 <= number < 2000 else 0.0)

    result = run(6000, way, quiet=lambda slot: slot % 50 < 10)
    by_number = dict(result.heard)
    bad = [by_number[number] for number in range(1500, 2000) if number in by_number]
    assert len(bad) > 470
    assert min(bad) > 0.08
    good = [by_number[number] for number in range(5500, 5900) if number in by_number]
    assert len(good) >= 395
    assert max(good) < 0.02 + 2.5 * FRAME_S


def test_a_surplus_goes_in_speech_too_though_slowly() -> None:
    def way(number: int) -> float:
        return 0.2 if number == 300 else 0.02

    result = run(
        1500, lambda number: max(way(number), 0.2 - (number - 300) * FRAME_S if 300 <= number < 310 else 0.02)
    )
    assert result.buffer.shed > 0
    assert max(result.delays(1200)) < 0.02 + 0.04 + 4.5 * FRAME_S
    assert result.buffer.late <= 2


@pytest.mark.parametrize("pauses", [0, 10])
def test_every_second_packet_takes_a_longer_way(pauses: int) -> None:
    result = run(1500, lambda number: 0.11 if number % 2 else 0.02, quiet=lambda slot: slot % 50 < pauses)
    late = [number for number in range(500, 1400) if number not in dict(result.heard)]
    assert late == []
    assert 0.1 < max(result.delays(500)) < 0.11 + 2 * FRAME_S


def test_a_sender_that_is_silent_in_between() -> None:
    result = run(600, lambda _: 0.02, sent=lambda number: number % 100 < 50)
    assert [number for number, _ in result.heard] == [number for number in range(590) if number % 100 < 50]
    assert result.buffer.lost == 0
    assert result.fates[Fate.STRETCH] <= 6 * 3
    assert result.fates[Fate.EMPTY] > 200


def test_silence_that_is_told_by_timestamps_before_the_buffer_is_empty() -> None:
    buffer = JitterBuffer(8000, TICKS, JitterSettings(start_s=0.0, least_s=0.0))
    buffer.push(1, 0, b"a", 0.0)
    assert buffer.pull(0.01) == (Fate.PLAY, b"a")
    buffer.push(2, 800, b"b", 0.1)
    assert buffer.pull(0.1)[0] is Fate.EMPTY
    assert buffer.pull(0.12) == (Fate.PLAY, b"b")


def test_a_way_that_is_cut_off_and_comes_back() -> None:
    result = run(600, lambda number: None if 200 <= number < 300 else 0.02)
    assert [number for number, _ in result.heard] == [*range(200), *range(300, 599)]
    assert result.fates[Fate.STRETCH] == 3
    assert result.fates[Fate.LOST] == 0


def test_a_packet_that_is_lost_and_one_that_is_late() -> None:
    buffer = JitterBuffer(8000, TICKS, JitterSettings(start_s=0.0, most_s=0.0))
    for number in (1, 3, 5, 6):
        buffer.push(number, number * TICKS, bytes([number]), number * FRAME_S)
    heard = [buffer.pull(0.021 + slot * FRAME_S) for slot in range(6)]
    assert heard == [
        (Fate.PLAY, b"\1"), (Fate.LOST, b""), (Fate.PLAY, b"\3"), (Fate.LOST, b""), (Fate.PLAY, b"\5"), (Fate.PLAY, b"\6"),
    ]  # fmt: skip
    buffer.push(2, 2 * TICKS, b"\2", 0.13)
    assert (buffer.lost, buffer.late, buffer.waiting) == (2, 1, 0)
    # Waited for in vain: the slot that was stretched stands for it.
    assert buffer.pull(0.141)[0] is Fate.STRETCH
    buffer.push(8, 8 * TICKS, b"\x08", 0.165)
    assert buffer.pull(0.181) == (Fate.PLAY, b"\x08")
    assert buffer.lost == 3
    # Two missing, one stretched: one slot more.
    assert buffer.pull(0.201)[0] is Fate.STRETCH
    buffer.push(11, 11 * TICKS, b"\x0b", 0.22)
    assert buffer.pull(0.221)[0] is Fate.LOST
    assert buffer.pull(0.241) == (Fate.PLAY, b"\x0b")
    assert buffer.lost == 5


def test_what_comes_after_silence_and_belongs_before_it() -> None:
    buffer = JitterBuffer(8000, TICKS, JitterSettings(start_s=0.0, most_s=0.0))
    buffer.push(5, 5 * TICKS, b"e", 0.0)
    assert buffer.pull(0.01)[0] is Fate.PLAY
    assert [buffer.pull(0.03 + slot * FRAME_S)[0] for slot in range(5)] == [Fate.STRETCH] * 3 + [
        Fate.EMPTY
    ] * 2
    buffer.push(4, 4 * TICKS, b"d", 0.2)
    assert buffer.pull(0.21)[0] is Fate.EMPTY
    assert buffer.late == 1


def test_new_numbers_and_new_timestamps_are_no_loss() -> None:
    buffer = JitterBuffer(8000, TICKS, JitterSettings(start_s=0.0, most_s=0.0))
    buffer.push(1, 0, b"a", 0.0)
    assert buffer.pull(0.01)[0] is Fate.PLAY
    buffer.push(100_000, TICKS, b"b", 0.02)
    assert buffer.pull(0.03) == (Fate.PLAY, b"b")
    buffer.push(100_001, 900_000, b"c", 0.04)
    assert buffer.pull(0.05) == (Fate.PLAY, b"c")
    assert buffer.lost == 0


def test_a_flood_is_bounded_and_what_is_kept_is_the_newest() -> None:
    buffer = JitterBuffer(8000, TICKS)
    for number in range(500):
        buffer.push(number, number, number.to_bytes(2), 1.0)
    assert buffer.waiting == MOST_PACKETS
    assert buffer.pull(2.0) == (Fate.PLAY, (401).to_bytes(2))
    for number in range(500, 1000):
        buffer.push(number, number, number.to_bytes(2), 1.0)
    assert buffer.waiting == MOST_PACKETS
    assert buffer.pull(2.0) == (Fate.PLAY, (900).to_bytes(2))
    assert buffer.shed == 401 + 498


def test_packets_of_another_length() -> None:
    buffer = JitterBuffer(8000, TICKS)
    for number in range(3):
        buffer.push(number, number * 240, b"", number * 0.03)
    assert buffer.packet_s == pytest.approx(0.03)
    # A pause, and numbers that skip, say nothing about it.
    for number, timestamp in ((3, 2000), (4, 2240), (6, 2720), (7, 3200)):
        buffer.push(number, timestamp, b"", 0.4)
    assert buffer.packet_s == pytest.approx(0.03)


@examples(60)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(0, 400), st.integers(0, 0xFFFFFFFF)),
            st.tuples(st.just("in order"), st.integers(0, 400), st.just(0)),
            st.tuples(st.sampled_from(["pull", "quiet"]), st.just(0), st.just(0)),
        ),
        max_size=120,
    )
)
def test_whatever_comes_nothing_is_heard_twice_or_before_its_turn(steps: list[tuple[str, int, int]]) -> None:
    buffer = JitterBuffer(8000, TICKS)
    heard: list[int] = []
    for slot, (what, number, timestamp) in enumerate(steps):
        now = slot * FRAME_S / 2
        if what in ("pull", "quiet"):
            fate, payload = buffer.pull(now, what == "quiet")
            assert (fate is Fate.PLAY) == bool(payload)
            if payload:
                heard.append(int.from_bytes(payload))
        else:
            buffer.push(number, timestamp or number * TICKS, number.to_bytes(2), now)
        assert buffer.waiting <= MOST_PACKETS
        assert buffer.settings.least_s <= buffer.target_s <= buffer.settings.most_s
    assert heard == sorted(set(heard))
