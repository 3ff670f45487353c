"""What the frames of a call mean, on records made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aywa.testing import wire
from aywa.testing.wire import (
    FRAME_S,
    Gap,
    Kind,
    Playout,
    ReceivedFrame,
    Record,
    SentFrame,
    Spoken,
    TextEvent,
    Turn,
)

RATE = 8000
LOUD = np.full(160, 5000, "<i2").tobytes()
ZERO = bytes(320)


def near(value: Any) -> Any:
    """As pytest.approx, which no type checker lets stand inside of a record."""
    return pytest.approx(value, abs=1e-3)


class Call:
    """A record written as a timetable: `says(1.0, 2.0)`, `hears(2.5, 4.0)`."""

    def __init__(self, closed_s: float = 20.0) -> None:
        self.record = Record(RATE, 0.0, closed_s)
        self._said: list[tuple[float, float, int]] = []

    def says(self, from_s: float, until_s: float, kind: Kind = Kind.SAY, label: str = "") -> Call:
        """Voiced frames are sent at from_s, from_s + 0.02, ..., until_s."""
        self.record.spoken.append(Spoken(kind, label))
        for at_s in np.arange(round((until_s - from_s) / FRAME_S) + 1) * FRAME_S + from_s:
            frame = SentFrame(float(at_s), LOUD, True, len(self.record.spoken) - 1)
            self.record.sent.append(frame)
        return self

    def hears(self, from_s: float, until_s: float, *, lead: int = 0, pcm: bytes = LOUD) -> Call:
        """Frames arrive from from_s on; those of the lead at once, the last at until_s."""
        count = round((until_s - from_s) / FRAME_S) + 1 + lead
        for number in range(count):
            at_s = from_s + max(0, number - lead) * FRAME_S
            self.record.received.append(ReceivedFrame(at_s, pcm, wire.is_audible(pcm)))
        return self

    def event(self, at_s: float, **message: Any) -> Call:
        self.record.events.append(TextEvent(at_s, message))
        return self


# --- frames ----------------------------------------------------------------------------------------------------


def test_a_level_is_known_for_full_scale_and_for_silence() -> None:
    square = np.where(np.arange(160) % 2, 32767, -32768).astype("<i2").tobytes()
    assert wire.level_dbfs(square) == near(0)
    assert wire.level_dbfs(ZERO) == wire.level_dbfs(b"") == -np.inf


@pytest.mark.parametrize(("level", "audible"), [(0, False), (40, False), (80, True), (5000, True)])
def test_what_a_person_would_hear(level: int, audible: bool) -> None:
    assert wire.is_audible(np.full(160, level, "<i2").tobytes()) is audible


def test_voice_is_what_stands_near_the_loudest_frame() -> None:
    frames = [np.full(160, level, "<i2").tobytes() for level in (0, 100, 200, 8000, 200, 20)]
    # 8000 / 10**(35/20) = 142
    assert wire.voiced_frames(frames) == [False, False, True, True, True, False]


def test_faint_noise_alone_is_no_voice() -> None:
    assert wire.voiced_frames([np.full(160, 10, "<i2").tobytes()] * 3) == [False] * 3
    assert wire.voiced_frames([ZERO]) == [False]
    assert wire.voiced_frames([]) == []


def test_a_frame_plays_when_it_arrives_or_after_the_one_before() -> None:
    playout = Playout()
    assert [playout.place(at_s, 0.02) for at_s in (1.0, 1.0, 1.01, 2.0)] == near([1.0, 1.02, 1.04, 2.0])
    assert playout.end_s == near(2.02)


def test_utterances_are_what_was_begun() -> None:
    call = Call().says(1.0, 2.0, label="a").says(4.0, 4.5, Kind.BARGE_IN, "b")
    call.record.spoken.append(Spoken(Kind.SAY, "never begun"))
    call.record.sent.append(SentFrame(9.0, ZERO))
    first, second = wire.utterances(call.record)
    assert (first.label, first.first_voiced_s, first.last_voiced_s) == ("a", 1.0, near(2.0))
    assert (second.kind, second.label) == (Kind.BARGE_IN, "b")


def test_a_talkspurt_ends_when_nothing_is_left_to_play() -> None:
    record = Call().hears(1.0, 2.0, lead=3).hears(2.4, 3.0).hears(3.5, 3.6).record
    first, second = wire.talkspurts(record)
    # Three frames of lead play until 2.08, so that 2.4 is only .32 later, and 3.5 .48 after 3.02.
    assert (first.start_s, first.last_s, first.end_s) == near((1.0, 3.0, 3.02))
    assert second.start_s == 3.5
    assert wire.talkspurts(Call().record) == []


# --- latency ---------------------------------------------------------------------------------------------------


def test_latency_goes_from_the_last_voiced_frame_to_the_first_audible_one() -> None:
    call = Call().says(1.0, 2.0, label="a").hears(2.5, 2.6, pcm=ZERO).hears(2.62, 4.0)
    (latency,) = wire.latencies(call.record)
    assert (latency.label, latency.last_voiced_s) == ("a", near(2.0))
    assert (latency.frame_ms, latency.audible_ms) == near((500, 620))


def test_silence_alone_is_no_answer() -> None:
    (latency,) = wire.latencies(Call().says(1.0, 2.0).hears(2.5, 2.6, pcm=ZERO).record)
    assert latency.frame_ms == near(500)
    assert latency.audible_ms is None


def test_a_later_talkspurt_may_hold_the_first_audible_frame() -> None:
    (latency,) = wire.latencies(Call().says(1.0, 2.0).hears(2.5, 2.6, pcm=ZERO).hears(4.0, 5.0).record)
    assert latency.audible_ms == near(2000)


def test_every_utterance_waits_for_its_own_answer() -> None:
    call = Call().says(1.0, 2.0).says(3.0, 4.0).hears(4.7, 5.0).says(6.0, 6.2, Kind.BACKCHANNEL)
    assert [turn.audible_ms for turn in wire.latencies(call.record)] == [None, near(700)]


def test_the_tail_of_a_reply_that_is_talked_down_is_no_answer() -> None:
    call = Call().hears(0.5, 2.1).says(2.0, 2.06, Kind.BARGE_IN).hears(3.0, 4.0)
    (latency,) = wire.latencies(call.record)
    assert latency.audible_ms == near((3.0 - 2.06) * 1000)


def test_percentiles() -> None:
    assert wire.percentile([1, 2, 3], 50) == 2
    assert wire.percentile([1, 2], 95) == near(1.95)
    assert wire.percentile([], 50) is None


# --- interruptions ---------------------------------------------------------------------------------------------


def test_a_barge_in_stops_with_the_last_frame_of_the_reply() -> None:
    call = Call().hears(1.0, 2.1, lead=3).says(2.0, 3.0, Kind.BARGE_IN, "stop").hears(3.5, 4.0)
    (stop,) = wire.barge_in_stops(call.record)
    assert (stop.label, stop.at_s, stop.stop_ms) == ("stop", 2.0, near(100))


def test_a_reply_that_is_still_playing_but_sends_no_more_stopped_at_once() -> None:
    call = Call().hears(1.0, 1.99, lead=3).says(2.0, 3.0, Kind.BARGE_IN)
    assert [stop.stop_ms for stop in wire.barge_in_stops(call.record)] == [0.0]


def test_a_barge_in_into_silence_stops_nothing() -> None:
    assert wire.barge_in_stops(Call().hears(1.0, 1.5).says(3.0, 4.0, Kind.BARGE_IN).record) == []


def test_a_reply_that_begins_inside_an_utterance_cuts_it_off() -> None:
    call = Call().says(1.0, 4.0, label="long").hears(2.5, 2.7)
    (cut,) = wire.cutoffs(call.record)
    assert (cut.label, cut.at_s, cut.into_ms) == ("long", 2.5, near(1500))


@pytest.mark.parametrize(
    "call",
    [
        Call().says(1.0, 2.0).hears(2.02, 3.0),
        Call().hears(0.5, 1.5).says(1.0, 2.0, Kind.BARGE_IN),
        Call().says(1.0, 2.0).hears(1.5, 1.6, pcm=ZERO),
        Call().hears(0.5, 1.0).says(1.0, 2.0, Kind.BACKCHANNEL).hears(1.6, 2.0),
    ],
    ids=["after it", "running before", "not audible", "backchannel"],
)
def test_what_is_no_cut_off(call: Call) -> None:
    assert wire.cutoffs(call.record) == []


def test_a_reply_goes_on_after_a_backchannel() -> None:
    call = Call().hears(1.0, 2.1).says(2.0, 2.3, Kind.BACKCHANNEL, "mhm").hears(2.8, 4.0).says(6.0, 7.0)
    (outcome,) = wire.backchannels(call.record)
    assert (outcome.label, outcome.at_s, outcome.kept) == ("mhm", 2.0, True)
    assert outcome.after_ms == near(1220)


@pytest.mark.parametrize(
    "call",
    [
        Call().hears(1.0, 2.1).says(2.0, 2.3, Kind.BACKCHANNEL),
        Call().hears(1.0, 2.1).says(2.0, 2.3, Kind.BACKCHANNEL).says(3.0, 4.0).hears(5.0, 6.0),
        Call()
        .hears(1.0, 2.1)
        .says(2.0, 2.3, Kind.BACKCHANNEL)
        .event(2.5, type="user-interrupted")
        .hears(2.8, 4.0),
    ],
    ids=["silent", "silent until the caller speaks", "told so"],
)
def test_a_backchannel_may_have_taken_the_floor(call: Call) -> None:
    assert [outcome.kept for outcome in wire.backchannels(call.record)] == [False]


def test_a_backchannel_into_silence_proves_nothing() -> None:
    assert wire.backchannels(Call().says(2.0, 2.3, Kind.BACKCHANNEL).record) == []


# --- silence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (Call(closed_s=3.0), []),
        (Call(closed_s=3.1), [Gap(0.0, 3.1)]),
        (Call().hears(3.5, 4.0), [Gap(0.0, 3.5)]),
        (Call().hears(1.0, 2.0).says(9.0, 10.0).hears(12.0, 13.0), []),
        (Call().hears(1.0, 2.0).says(9.0, 10.0).hears(13.5, 14.0), [Gap(10.0, 3.5)]),
        (Call().hears(1.0, 2.0).says(9.0, 10.0), [Gap(10.0, 10.0)]),
        (Call(closed_s=12.0).hears(1.0, 2.0).says(9.0, 10.0), []),
        (Call().hears(1.0, 2.0).says(3.0, 4.0).says(9.0, 10.0).hears(11.0, 12.0), [Gap(4.0, 5.0)]),
        (Call().hears(1.0, 1.98).says(3.0, 4.0).hears(5.0, 5.98).hears(10.0, 11.0), [Gap(6.0, 4.0)]),
        (Call().hears(1.0, 4.18).says(4.0, 4.1, Kind.BARGE_IN), [Gap(4.2, 15.8)]),
        (Call().hears(1.0, 2.0).says(9.0, 10.0).hears(11.0, 11.5, pcm=ZERO).hears(14.0, 15.0), [Gap(10.0, 4.0)]),
    ],
    ids=[
        "short call", "no greeting", "late greeting", "silence is the caller's", "late answer", "no answer",
        "hung up before", "asked twice", "hole in the answer", "talked down, no answer", "silent frames",
    ],
)  # fmt: skip
def test_gaps_while_the_caller_waits(call: Call, found: list[Gap]) -> None:
    gaps = wire.gaps(call.record)
    assert [gap.at_s for gap in gaps] == near([gap.at_s for gap in found])
    assert [gap.length_s for gap in gaps] == near([gap.length_s for gap in found])


def test_nobody_waits_for_a_greeting_that_was_not_promised() -> None:
    assert wire.gaps(Call().says(5.0, 6.0).hears(7.0, 8.0).record, greeting=False) == []


def test_a_frame_that_comes_when_the_caller_ran_dry_is_an_underrun() -> None:
    call = Call().hears(1.0, 1.98, lead=2).hears(2.1, 3.0)
    (underrun,) = wire.underruns(call.record)
    assert (underrun.at_s, underrun.late_ms, underrun.held) == (2.1, near(60), False)


def test_a_reply_that_halts_at_the_callers_voice_is_held() -> None:
    call = Call().hears(1.0, 1.98).says(1.9, 2.2, Kind.BACKCHANNEL).hears(2.3, 3.0)
    assert [underrun.held for underrun in wire.underruns(call.record)] == [True]


def test_frames_in_time_are_no_underrun() -> None:
    assert wire.underruns(Call().hears(1.0, 3.0, lead=3).hears(3.5, 4.0).record) == []


# --- the whole call --------------------------------------------------------------------------------------------


def test_turns_of_a_caller_without_a_script() -> None:
    call = Call().hears(0.5, 1.0).says(2.0, 3.0).hears(3.6, 4.0).hears(4.8, 5.0).hears(5.5, 5.6, pcm=ZERO)
    call.says(7.0, 8.0).hears(8.5, 9.0)
    call.record.opened_s = 0.5
    assert wire.turns_heard(call.record) == [
        Turn(near(2500), near(3100), near(600)),
        Turn(near(7500), near(8000), near(500)),
    ]


def test_pacing_is_measured_against_one_schedule() -> None:
    record = Call().record
    assert wire.pacing_late_ms(record) == 0.0
    record.sent += [SentFrame(at_s, ZERO) for at_s in (1.0, 1.02, 1.07, 1.06)]
    assert wire.pacing_late_ms(record) == near(30)


def test_the_recording_has_the_caller_left_and_the_assistant_where_it_played() -> None:
    call = Call().says(1.0, 1.98).hears(1.5, 1.5, lead=1).hears(2.5, 2.5)
    both = wire.stereo(call.record)
    assert both.shape == (round(1.52 * RATE), 2)
    assert np.flatnonzero(both[:, 0]).tolist() == list(range(RATE))
    heard = np.flatnonzero(both[:, 1])
    assert heard.tolist() == [*range(4000, 4320), *range(12000, 12160)]


def test_a_call_without_audio_has_an_empty_recording() -> None:
    assert wire.stereo(Call().hears(1.0, 2.0).record).shape == (0, 2)
