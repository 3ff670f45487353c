"""Playout on a clock moved by hand: what leaves when, and that positions are exact whatever is done to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aywa.core.events import MediaEvent, PlayoutFinished
from aywa.media.playout import Pace, Playout
from tests.media.rig import numbers, ramp

RATE = 8000
FRAME = 160
PACE = Pace(RATE, 2, b"\0\0", lead_s=0.06, advance_s=0.5, queue_s=60, rewind_s=30)


@dataclass
class Desk:
    """A playout, its clock, and what came out."""

    pace: Pace = PACE
    now: float = 100.0
    frames: list[tuple[float, bytes]] = field(default_factory=list)
    heard_from: list[float] = field(default_factory=list)
    events: list[MediaEvent] = field(default_factory=list)
    messages: int = 0

    def __post_init__(self) -> None:
        self.playout = Playout("leg", self.pace, self.take, self.events.append, epoch_s=100.0)

    def take(self, frame: bytes, heard_from_s: float) -> None:
        # Several that leave together are still frames of 20 ms, played one after the other.
        size = FRAME * self.pace.width
        self.messages += 1
        for nth, at in enumerate(range(0, len(frame), size)):
            self.frames.append((round(self.now - 100, 6), frame[at : at + size]))
            self.heard_from.append(round(heard_from_s + nth * 0.02 - 100, 6))

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.playout.due_s is not None and self.playout.due_s <= until:
            self.now = max(self.now, self.playout.due_s)
            self.playout.tick(self.now)
        self.now = until

    def play(self, samples: int, reply_id: int = 1, start: int = 0) -> None:
        self.playout.play(reply_id, ramp(samples, start), self.now)

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.frames]

    @property
    def sent(self) -> list[int]:
        return numbers(b"".join(frame for _, frame in self.frames))

    def said(self) -> list[tuple[str, int]]:
        return [(type(e).__name__, getattr(e, "position", -1)) for e in self.events]


def test_the_first_frame_and_the_lead_leave_at_once_then_one_every_20_ms() -> None:
    desk = Desk()
    desk.play(8 * FRAME)
    desk.wait(1)
    assert desk.times == [0, 0, 0, 0, 0.02, 0.04, 0.06, 0.08]
    assert desk.heard_from == [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14]
    assert desk.sent == numbers(ramp(8 * FRAME))


def test_frames_leave_in_pairs_the_second_with_less_of_a_lead() -> None:
    desk = Desk(replace(PACE, batch=2))
    desk.play(9 * FRAME)
    desk.wait(1)
    assert desk.times == [0, 0, 0, 0, 0.04, 0.04, 0.08, 0.08, 0.12]
    assert desk.messages == 4
    assert desk.heard_from == [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16]
    assert desk.sent == numbers(ramp(9 * FRAME))


def test_without_a_lead_frames_leave_when_they_are_heard() -> None:
    desk = Desk(replace(PACE, lead_s=0))
    desk.play(3 * FRAME)
    desk.wait(1)
    assert desk.times == [0, 0.02, 0.04]


def test_the_beginning_the_progress_and_the_end_are_told_once_each() -> None:
    desk = Desk()
    desk.play(60 * FRAME)
    desk.playout.finish(1, desk.now)
    desk.wait(5)
    assert desk.said() == [
        ("PlayoutStarted", -1),
        ("PlayoutAdvanced", 25 * FRAME),
        ("PlayoutAdvanced", 50 * FRAME),
        ("PlayoutFinished", 60 * FRAME),
    ]
    assert desk.events[-1] == replace(desk.events[-1], at_s=pytest.approx(56 * 0.02))  # type: ignore[arg-type]


def test_the_last_frame_is_padded_and_only_its_samples_count() -> None:
    desk = Desk(replace(PACE, silence=b"\7\0"))
    desk.play(FRAME + 10)
    desk.playout.finish(1, desk.now)
    assert desk.said()[-1] == ("PlayoutFinished", FRAME + 10)
    assert desk.sent[FRAME:] == numbers(ramp(10, FRAME)) + [7] * (FRAME - 10)


def test_a_piece_that_fills_no_frame_waits_for_more_while_the_far_side_still_hears() -> None:
    desk = Desk()
    desk.play(FRAME + 10)
    desk.wait(0.01)
    desk.play(FRAME - 10, start=FRAME + 10)
    assert desk.sent == numbers(ramp(2 * FRAME))
    assert desk.said() == [("PlayoutStarted", -1)]


def test_it_starves_when_the_far_side_has_heard_all_and_goes_on_at_once_when_there_is_more() -> None:
    desk = Desk()
    desk.play(FRAME + 10)
    desk.wait(1)
    assert desk.said() == [("PlayoutStarted", -1), ("PlayoutStarved", FRAME + 10)]
    assert desk.events[-1] == replace(desk.events[-1], at_s=pytest.approx(0.02))  # type: ignore[arg-type]
    assert desk.playout.playing
    desk.play(FRAME, start=FRAME + 10)
    assert desk.times[-1] == 1
    assert desk.playout.position == 2 * FRAME + 10
    # Whoever dates the words must know that these are later.
    assert desk.said()[2:] == [("PlayoutResumed", FRAME + 10)]
    assert desk.events[-1] == replace(desk.events[-1], at_s=pytest.approx(1))  # type: ignore[arg-type]


def test_a_reply_that_ends_while_starved_is_finished() -> None:
    desk = Desk()
    desk.play(FRAME)
    desk.wait(1)
    desk.playout.finish(1, desk.now)
    assert desk.said()[-1] == ("PlayoutFinished", FRAME)
    assert not desk.playout.playing


def test_a_reply_without_audio_is_finished_at_once() -> None:
    desk = Desk()
    desk.playout.finish(1, desk.now)
    assert desk.said() == [("PlayoutFinished", 0)]


def test_a_reply_whose_end_is_announced_while_its_last_piece_waits() -> None:
    desk = Desk()
    desk.play(FRAME + 10)
    assert desk.playout.position == FRAME
    desk.playout.finish(1, desk.now)
    assert desk.said() == [("PlayoutStarted", -1), ("PlayoutFinished", FRAME + 10)]


def test_pause_stops_at_once_and_resume_goes_on_at_that_sample() -> None:
    desk = Desk()
    desk.play(20 * FRAME)
    desk.wait(0.05)
    desk.playout.pause(desk.now)
    desk.wait(1)
    assert desk.playout.position == 6 * FRAME
    desk.play(FRAME, start=20 * FRAME)
    desk.playout.finish(1, desk.now)
    assert len(desk.frames) == 6
    desk.playout.resume(6 * FRAME, desk.now)
    desk.wait(2)
    assert desk.sent == numbers(ramp(21 * FRAME))
    assert [name for name, _ in desk.said()] == [
        "PlayoutStarted", "PlayoutPaused", "PlayoutResumed", "PlayoutFinished"
    ]  # fmt: skip
    assert desk.times[6:10] == [1.05, 1.05, 1.05, 1.05]


def test_resume_may_go_back_to_a_word() -> None:
    desk = Desk()
    desk.play(20 * FRAME)
    desk.wait(0.05)
    desk.playout.pause(desk.now)
    desk.playout.resume(37, desk.now)
    assert desk.said()[-1] == ("PlayoutResumed", 37)
    desk.wait(1)
    assert desk.sent[6 * FRAME :][:3] == [38, 39, 40]


def test_resume_beyond_what_there_is_goes_on_at_its_end() -> None:
    desk = Desk()
    desk.play(2 * FRAME)
    desk.playout.pause(desk.now)
    desk.playout.resume(10**9, desk.now)
    assert desk.said()[-1] == ("PlayoutResumed", 2 * FRAME)
    desk.wait(1)
    assert desk.said()[-1] == ("PlayoutStarved", 2 * FRAME)


def test_resume_at_the_end_of_a_finished_reply_finishes_it() -> None:
    desk = Desk()
    desk.play(FRAME)
    desk.playout.pause(desk.now)
    desk.playout.finish(1, desk.now)
    desk.playout.resume(FRAME, desk.now)
    assert [name for name, _ in desk.said()][-2:] == ["PlayoutResumed", "PlayoutFinished"]


def test_pause_and_resume_that_mean_nothing_say_nothing() -> None:
    desk = Desk()
    desk.playout.pause(desk.now)
    desk.playout.resume(0, desk.now)
    desk.playout.drop(desk.now)
    assert desk.events == []
    desk.play(20 * FRAME)
    desk.playout.pause(desk.now)
    desk.playout.pause(desk.now)
    desk.playout.tick(desk.now)
    assert [name for name, _ in desk.said()] == ["PlayoutStarted", "PlayoutPaused"]


@pytest.mark.parametrize("paused", [False, True])
def test_drop_throws_the_rest_away(paused: bool) -> None:
    desk = Desk()
    desk.play(20 * FRAME)
    if paused:
        desk.playout.pause(desk.now)
    desk.playout.drop(desk.now)
    desk.wait(1)
    assert len(desk.frames) == 4
    assert desk.said()[-1] == ("PlayoutDropped", 4 * FRAME)


def test_a_reply_that_is_over_takes_no_more() -> None:
    desk = Desk()
    desk.play(20 * FRAME)
    desk.playout.drop(desk.now)
    desk.play(FRAME)
    desk.playout.finish(1, desk.now)
    assert len(desk.frames) == 4
    assert desk.said()[-1] == ("PlayoutDropped", 4 * FRAME)


def test_a_new_reply_drops_an_unfinished_one_and_counts_from_zero() -> None:
    desk = Desk()
    desk.play(20 * FRAME)
    desk.play(FRAME, reply_id=2)
    assert desk.said() == [("PlayoutStarted", -1), ("PlayoutDropped", 4 * FRAME)]
    # Its first frame is heard after the other's last one, so it need not leave before its time.
    desk.wait(0.02)
    assert desk.said()[-1] == ("PlayoutStarted", -1)
    assert desk.playout.position == FRAME


def test_replies_in_a_row_do_not_pile_up_at_the_far_side() -> None:
    desk = Desk()
    for reply_id in range(1, 6):
        desk.play(5 * FRAME, reply_id=reply_id)
        desk.playout.finish(reply_id, desk.now)
        while desk.playout.playing:
            desk.wait(0.001)
    assert max(heard - sent for heard, sent in zip(desk.heard_from, desk.times, strict=True)) <= 0.0601
    assert desk.heard_from == [round(0.02 * i, 6) for i in range(25)]


def test_after_a_late_tick_the_beat_is_kept() -> None:
    desk = Desk()
    desk.play(50 * FRAME)
    desk.now += 0.05
    desk.playout.tick(desk.now)
    desk.wait(0.1)
    assert desk.heard_from[:8] == [round(0.02 * i, 6) for i in range(8)]


def test_after_a_stall_longer_than_the_lead_the_ear_starts_anew_without_a_burst() -> None:
    desk = Desk()
    desk.play(50 * FRAME)
    desk.now += 0.5
    desk.playout.tick(desk.now)
    assert desk.times[4:] == [0.5] * 4
    assert desk.heard_from[4:] == [0.5, 0.52, 0.54, 0.56]


def test_what_exceeds_the_queue_does_not_fit() -> None:
    desk = Desk(replace(PACE, queue_s=1))
    assert desk.playout.play(1, bytes(RATE * 2), desk.now) == 0
    assert desk.playout.play(1, bytes(RATE * 2), desk.now) == 2 * (RATE - 4 * FRAME)
    assert desk.playout.play(1, b"\0\0", desk.now) == 2


def test_audio_that_is_too_old_to_be_repeated_is_forgotten() -> None:
    desk = Desk(replace(PACE, rewind_s=0.5))
    desk.play(3 * RATE)
    desk.wait(2)
    desk.playout.pause(desk.now)
    position = desk.playout.position
    desk.playout.resume(0, desk.now)
    name, resumed_at = desk.said()[-1]
    assert name == "PlayoutResumed"
    assert position - 2 * RATE // 2 - 25 * FRAME <= resumed_at <= position - RATE // 2
    desk.wait(5)
    assert desk.sent[-3:] == numbers(ramp(3 * RATE))[-3:]


class AgainstAModel(RuleBasedStateMachine):
    """The model is a list of samples and a number. Whatever is done, what left is what it says, and positions too."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.reply = 0
        self.given: list[int] = []
        self.left: list[int] = []
        self.frames_seen = 0
        self.paused = False
        self.open = False
        self.ended = False

    def see(self) -> None:
        """Moves the model on by the frames that left: each carries the samples that follow, then padding."""
        for _, frame in self.desk.frames[self.frames_seen :]:
            samples = numbers(frame)
            real = [value for value in samples if value]
            assert samples == real + [0] * (FRAME - len(real))
            assert len(samples) == FRAME
            assert real == self.given[len(self.left) : len(self.left) + len(real)]
            self.left += real
        self.frames_seen = len(self.desk.frames)

    @precondition(lambda self: not self.ended)
    @rule(samples=st.integers(1, 700))
    def play(self, samples: int) -> None:
        if not self.open:
            self.reply += 1
            self.open, self.given, self.left = True, [], []
        start = len(self.given)
        self.given += numbers(ramp(samples, start))
        self.desk.play(samples, self.reply, start)
        self.see()

    @rule(milliseconds=st.integers(0, 200))
    def wait(self, milliseconds: int) -> None:
        self.desk.wait(milliseconds / 1000)
        self.see()

    @rule()
    def pause(self) -> None:
        self.desk.playout.pause(self.desk.now)
        self.paused = self.open

    @precondition(lambda self: self.paused)
    @rule(back=st.integers(0, 300))
    def resume(self, back: int) -> None:
        at = max(0, len(self.left) - back)
        self.left = self.left[:at]
        self.paused = False
        self.desk.playout.resume(at, self.desk.now)
        self.see()

    @rule()
    def drop(self) -> None:
        self.desk.playout.drop(self.desk.now)
        if self.open:
            assert self.desk.said()[-1] == ("PlayoutDropped", len(self.left))
        self.over()

    @precondition(lambda self: self.open and not self.ended)
    @rule()
    def finish(self) -> None:
        self.ended = True
        self.desk.playout.finish(self.reply, self.desk.now)
        self.see()

    def over(self) -> None:
        self.open = self.paused = self.ended = False

    @invariant()
    def position_is_what_left(self) -> None:
        last = self.desk.events[-1:]
        if self.ended and last and isinstance(last[0], PlayoutFinished) and last[0].reply_id == self.reply:
            assert self.left == self.given
            assert last[0].position == len(self.given)
            self.over()
        if self.open:
            assert self.desk.playout.position == len(self.left)
            assert self.desk.playout.playing == (not self.paused)

    @invariant()
    def the_far_side_never_holds_more_than_lead_and_a_frame(self) -> None:
        held = [heard - sent for heard, sent in zip(self.desk.heard_from, self.desk.times, strict=True)]
        assert all(ahead <= 0.0601 for ahead in held)
        assert np.all(np.diff(self.desk.heard_from) >= 0.0199)


AgainstAModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAgainstAModel = AgainstAModel.TestCase


def test_unless_frames_leave_in_groups_each_leaves_alone_before_anything_is_told_of_it() -> None:
    """An RTP packet is one frame, also of those that are late; and when the end is told, nothing comes after it."""
    order: list[str] = []
    desk = Desk()
    desk.playout = Playout(
        "leg", PACE, lambda frame, _: order.append(f"{len(frame)} bytes"),
        lambda event: order.append(type(event).__name__), epoch_s=100.0,
    )  # fmt: skip
    desk.play(5 * FRAME)
    desk.playout.finish(1, desk.now)
    # The loop was held up: what is left falls due at once.
    desk.now += 5 * FRAME / RATE
    desk.playout.tick(desk.now)
    frame = f"{FRAME * PACE.width} bytes"
    assert [each for each in order if each != "PlayoutStarted"] == [frame] * 5 + ["PlayoutFinished"]


# --- what leaves by itself -----------------------------------------------------------------------------------------


@dataclass
class SelfSender:
    """playout.Ahead: sends by itself, and on one day in three it does not want to."""

    desk: Desk
    willing: list[bool]
    frames: list[bytes] = field(default_factory=list)
    due_s: float = 0.0
    gone: int = 0
    given: int = 0
    heard_from: list[tuple[float, int]] = field(default_factory=list)

    def begin(self, frames: Sequence[bytes], due_s: float) -> bool:
        assert not self.frames
        self.willing.append(self.willing.pop(0))
        if not self.willing[-1]:
            return False
        self.frames, self.due_s, self.gone = list(frames), due_s, 0
        self.given += 1
        return True

    def left(self) -> int:
        return self.gone

    def halt(self) -> int:
        self.frames = []
        return self.gone

    def kept(self, frames: bytes, heard_from_s: float) -> None:
        size = FRAME * self.desk.pace.width
        self.desk.heard_from += [
            round(heard_from_s + nth * 0.02 - 100, 6) for nth in range(len(frames) // size)
        ]

    def send(self, now: float) -> None:
        self.desk.frames.append((round(now - 100, 6), self.frames.pop(0)))
        self.gone += 1
        self.due_s += 0.02
        if not self.frames:
            self.desk.playout.stretch_over(now)


class AheadDesk(Desk):
    """The same, with somebody who sends by himself."""

    def __init__(self, pace: Pace, willing: list[bool]) -> None:
        self.ahead = SelfSender(self, willing)
        super().__init__(pace)

    def __post_init__(self) -> None:
        self.playout = Playout(
            "leg", self.pace, self.take, self.events.append, epoch_s=100.0, ahead=self.ahead
        )

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while True:
            own = self.playout.due_s if self.playout.due_s is not None else float("inf")
            others = self.ahead.due_s if self.ahead.frames else float("inf")
            if min(own, others) > until:
                break
            self.now = max(self.now, min(own, others))
            if others < own:
                self.ahead.send(self.now)
            else:
                self.playout.tick(self.now)
        self.now = until


AHEAD_PACE = replace(PACE, width=1, silence=b"\0", lead_s=0.005)


def told(desk: Desk) -> list[tuple[str, int, float]]:
    return [
        (type(e).__name__, getattr(e, "position", -1), round(getattr(e, "at_s", 0.0), 6)) for e in desk.events
    ]


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("play"), st.integers(1, 40 * FRAME)),
        st.tuples(st.just("finish"), st.just(0)),
        st.tuples(st.just("pause"), st.just(0)),
        st.tuples(st.just("resume"), st.integers(0, 20 * FRAME)),
        st.tuples(st.just("drop"), st.just(0)),
        st.tuples(st.just("next"), st.just(0)),
        st.tuples(st.just("hand"), st.just(0)),
        st.tuples(st.just("settle"), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 900)),
    ),
    min_size=3,
    max_size=30,
)


@settings(deadline=None, max_examples=300)
@example(steps=[("play", 1), ("next", 0), ("play", 480), ("wait", 15)], willing=[True])
@given(steps=_STEPS, willing=st.lists(st.booleans(), min_size=1, max_size=5))
def test_what_leaves_by_itself_leaves_as_it_would_one_by_one(
    steps: list[tuple[str, int]], willing: list[bool]
) -> None:
    plain, ahead = Desk(AHEAD_PACE), AheadDesk(AHEAD_PACE, willing)
    reply = 1
    audio = bytes(range(256)) * 40
    for step, number in steps:
        reply += step == "next"
        for desk in (plain, ahead):
            playout = desk.playout
            match step:
                case "play":
                    playout.play(reply, (audio * 4)[:number], desk.now)
                case "finish":
                    playout.finish(reply, desk.now)
                case "pause":
                    playout.pause(desk.now)
                case "resume":
                    playout.resume(number, desk.now)
                case "drop":
                    playout.drop(desk.now)
                case "hand":
                    playout.by_hand(desk.now)
                case "settle":
                    playout.settle()
                case _:
                    desk.wait(number / 1000)
        assert ahead.playout.position == plain.playout.position
        assert ahead.frames == plain.frames
        assert told(ahead) == told(plain)
    ahead.playout.settle()
    assert ahead.heard_from == plain.heard_from
    assert ahead.playout.heard_until_s == pytest.approx(plain.playout.heard_until_s)


def test_a_whole_reply_is_given_in_a_few_stretches() -> None:
    desk = AheadDesk(AHEAD_PACE, [True])
    desk.playout.play(1, bytes(100 * FRAME), desk.now)
    desk.playout.finish(1, desk.now)
    desk.wait(3)
    assert len(desk.frames) == 100
    assert desk.ahead.given <= 5
    assert desk.said()[-1] == ("PlayoutFinished", 100 * FRAME)
