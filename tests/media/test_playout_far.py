"""Playout to a far side with an ear and a clock of its own, which throws away what it holds: what counts as heard is what was."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aywa.core.equipment.marks import Marks
from aywa.core.events import (
    MediaEvent,
    PlayoutAdvanced,
    PlayoutDropped,
    PlayoutFinished,
    PlayoutPaused,
    PlayoutResumed,
    PlayoutStarved,
)
from aywa.media.playout import Pace, Playout
from tests.media.rig import ramp

E = TypeVar("E")
RATE = 8000
PACE = Pace(RATE, 2, b"\0\0", lead_s=0.2, advance_s=0.5, queue_s=60, rewind_s=30)
STEP_S = 0.001


@dataclass
class Ear:
    """The far side: what it holds, how much of it was played, by its own clock. fast: its clock runs by so much quicker."""

    fast: float = 0.0
    held: deque[int | str] = field(default_factory=deque)
    played: int = 0
    credit: float = 0.0

    def listen(self, seconds: float) -> list[str]:
        """Plays on; the marks that it passed."""
        passed: list[str] = []
        self.credit += seconds * RATE * (1 + self.fast)
        while self.held:
            first = self.held[0]
            if isinstance(first, str):
                passed.append(first)
                self.held.popleft()
            elif self.credit >= 1:
                taken = min(first, int(self.credit))
                self.played += taken
                self.credit -= taken
                self.held[0] = first - taken
                if not self.held[0]:
                    self.held.popleft()
            else:
                break
        if not self.held:
            self.credit = 0.0
        return passed

    def clear(self) -> list[str]:
        """Throws all away; the marks in it come back at once."""
        marks = [each for each in self.held if isinstance(each, str)]
        self.held.clear()
        self.credit = 0.0
        return marks


@dataclass
class Line:
    """A playout, the way to an ear and back, and the clock of both. jitter(): how much later an echo comes."""

    way_s: float = 0.0
    ear: Ear = field(default_factory=Ear)
    jitter: Callable[[], float] = lambda: 0.0
    knows_way: bool = True
    now: float = 100.0
    events: list[MediaEvent] = field(default_factory=list)
    clears: int = 0
    unheard: list[float] = field(default_factory=list)
    silent: bool = False

    def __post_init__(self) -> None:
        self.marks = Marks()
        self.there: deque[tuple[float, int | str | None]] = deque()
        self.back: list[tuple[float, str]] = []
        self.playout = Playout("leg", PACE, self.take, self.events.append, 100.0, self, self.unheard.append)

    @property
    def transit_s(self) -> float:
        return self.way_s if self.knows_way else 0.0

    def take(self, frame: bytes, heard_from_s: float) -> None:
        self.there.append((self.now + self.way_s, len(frame) // 2))
        if self.marks.sent(len(frame) / 2 / RATE, self.now):
            self.there.append((self.now + self.way_s, self.marks.put(self.now)))

    def clear(self) -> None:
        self.clears += 1
        self.marks.cleared(self.now)
        self.there.append((self.now + self.way_s, None))

    def run(self, seconds: float, each: Callable[[], None] = lambda: None) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            echoes = self.ear.listen(STEP_S)
            while self.there and self.there[0][0] <= self.now:
                what = self.there.popleft()[1]
                if what is None:
                    echoes += self.ear.clear()
                else:
                    self.ear.held.append(what)
            if not self.silent:
                self.back += [(self.now + self.way_s + self.jitter(), name) for name in echoes]
            for at_s, name in sorted(self.back):
                if at_s <= self.now:
                    self.back.remove((at_s, name))
                    told = self.marks.came(name, self.now)
                    if told is not None:
                        self.playout.played(told[0], self.now - self.transit_s)
            if self.playout.due_s is not None and self.playout.due_s <= self.now:
                self.playout.tick(self.now)
            each()

    def play(self, seconds: float, reply_id: int = 1) -> None:
        self.playout.play(reply_id, ramp(round(seconds * RATE)), self.now)

    def off_s(self) -> float:
        """By how much what counts as heard is off."""
        return (self.playout.heard(self.now) - self.ear.played) / RATE

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


def test_heard_is_what_was_played_and_not_what_has_left() -> None:
    line = Line()
    line.play(2)
    line.run(0.5)
    assert line.playout.position / RATE == pytest.approx(0.7, abs=0.03)
    assert line.off_s() == pytest.approx(0, abs=0.003)
    advanced = line.of(PlayoutAdvanced)
    assert [event.position / RATE for event in advanced] == [
        pytest.approx(event.at_s, abs=0.01) for event in advanced
    ]


def test_a_reply_is_finished_when_its_last_sample_was_played() -> None:
    line = Line(way_s=0.03)
    line.play(1)
    line.playout.finish(1, line.now)
    line.run(0.95)
    assert not line.of(PlayoutFinished)
    line.run(0.1)
    (finished,) = line.of(PlayoutFinished)
    assert finished.position == RATE
    assert finished.at_s == pytest.approx(1.03, abs=0.005)
    assert line.clears == 0


@pytest.mark.parametrize("way_s", [0.0, 0.02, 0.08])
def test_a_pause_takes_back_what_was_not_played_and_tells_how_much_was(way_s: float) -> None:
    line = Line(way_s=way_s)
    line.play(3)
    line.run(0.73)
    line.playout.pause(line.now)
    told = line.of(PlayoutPaused)[0].position
    line.run(0.5)
    assert line.clears == 1
    assert told / RATE == pytest.approx(line.ear.played / RATE, abs=0.005)
    assert not line.ear.held
    assert line.unheard == [pytest.approx(100 + 0.73 + way_s)]


def test_after_a_pause_it_goes_on_from_the_very_sample() -> None:
    line = Line(way_s=0.02)
    line.play(2)
    line.playout.finish(1, line.now)
    line.run(0.5)
    line.playout.pause(line.now)
    paused = line.of(PlayoutPaused)[0].position
    line.run(1)
    line.playout.resume(paused, line.now)
    assert line.of(PlayoutResumed)[0].position == paused
    line.run(3)
    assert line.of(PlayoutFinished)[0].position == 2 * RATE
    assert line.ear.played == pytest.approx(2 * RATE, abs=RATE // 100)


def test_a_pause_in_the_last_moments_still_takes_back() -> None:
    line = Line()
    line.play(1)
    line.playout.finish(1, line.now)
    line.run(0.9)
    assert line.playout.position == RATE
    assert line.playout.playing
    line.playout.pause(line.now)
    assert line.of(PlayoutPaused)[0].position / RATE == pytest.approx(0.9, abs=0.005)


def test_a_drop_takes_back_once_and_a_drop_of_what_is_paused_takes_back_nothing_more() -> None:
    line = Line()
    line.play(1)
    line.run(0.4)
    line.playout.drop(line.now)
    assert line.of(PlayoutDropped)[0].position / RATE == pytest.approx(0.4, abs=0.005)
    assert line.clears == 1
    line.play(1, reply_id=2)
    line.run(0.3)
    line.playout.pause(line.now)
    line.run(0.1)
    line.playout.drop(line.now)
    assert line.clears == 2
    assert line.of(PlayoutDropped)[1].position == line.of(PlayoutPaused)[0].position


def test_nothing_is_cleared_where_nothing_is_held() -> None:
    line = Line()
    line.play(0.1)
    line.run(1)
    assert len(line.of(PlayoutStarved)) == 1
    line.playout.pause(line.now)
    assert line.clears == 0


def test_a_far_side_that_stalls_is_believed_and_gets_less_until_it_has_played_on() -> None:
    line = Line()
    line.play(10)
    line.run(1)
    listen = line.ear.listen
    line.ear.listen = lambda seconds: []  # type: ignore[method-assign]
    line.run(0.5)
    line.ear.listen = listen  # type: ignore[method-assign]
    line.run(1.2)
    assert abs(line.off_s()) <= 0.02
    # It holds its lead again, no more.
    assert sum(each for each in line.ear.held if isinstance(each, int)) / RATE <= 0.25


def test_without_a_single_echo_the_clock_stands_in() -> None:
    line = Line(silent=True)
    line.play(3)
    line.run(2)
    assert abs(line.off_s()) <= 0.005


def test_a_mark_before_any_audio_says_nothing() -> None:
    line = Line()
    line.playout.played(0.0, line.now)
    line.play(0.5)
    line.run(0.2)
    assert abs(line.off_s()) <= 0.003


def test_an_echo_of_audio_before_the_last_silence_says_nothing_of_what_plays_now() -> None:
    line = Line()
    line.play(0.2)
    line.run(0.15)
    late, line.back = line.back, []
    line.run(1)
    line.play(2)
    line.run(0.3)
    before = line.playout.heard_until_s
    assert not late or all(line.marks.came(name, line.now) is None for _, name in late)
    line.playout.played(5.0, line.now)
    assert line.playout.heard_until_s == before


@settings(max_examples=60, deadline=None)
@given(
    way_s=st.floats(0, 0.15),
    fast=st.floats(-0.0005, 0.0005),
    jitters=st.lists(st.floats(0, 0.3), min_size=1, max_size=7),
    pause_s=st.floats(0.3, 4),
)
def test_what_counts_as_heard_is_within_20_ms_of_the_truth(
    way_s: float, fast: float, jitters: list[float], pause_s: float
) -> None:
    """Whatever the way, its clock, and how late its echoes come: one in five comes in time."""
    turn = iter(range(10**6))

    def jitter() -> float:
        number = next(turn)
        return 0.0 if number % 3 == 0 else jitters[number % len(jitters)]

    line = Line(way_s=way_s, ear=Ear(fast), jitter=jitter)
    offs: list[float] = []
    line.play(8)
    line.run(pause_s, lambda: offs.append(abs(line.off_s())))
    assert max(offs) <= 0.02
    line.playout.pause(line.now)
    told = line.of(PlayoutPaused)[0].position
    line.run(0.4)
    assert abs(told - line.ear.played) / RATE <= 0.02
