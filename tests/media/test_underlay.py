"""What sounds under the agent: in the playout's time, under every frame, and out of everybody's way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from aywa.core.audio import g711
from aywa.core.audio.frame import shorts
from aywa.core.events import PlayoutPaused
from aywa.media.playout import SOUND_ON_LEAD_S
from aywa.media.underlay import SECONDS_MOST, Underlay
from aywa.media.wire import wire
from aywa.ports import media
from aywa.ports.media import AudioFormat
from tests.media.rig import numbers, ramp, rig
from tests.media.test_playout import FRAME, PACE, RATE, AgainstAModel, Desk

PCM16 = wire(AudioFormat.PCM16, RATE)


def constant(value: int, samples: int = 4000) -> bytes:
    return np.full(samples, value, "<i2").tobytes()


# --- in the playout's time -----------------------------------------------------------------------------------------


class Room(Desk):
    """A desk with something that sounds on from the beginning."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.dry = 0
        self.playout.sound_on(self.now, self.ran_dry)

    def ran_dry(self) -> None:
        self.dry += 1


def test_a_frame_leaves_every_20_ms_just_ahead_of_the_ear() -> None:
    room = Room()
    room.wait(0.1)
    assert room.times == [0, 0, 0.02, 0.04, 0.06, 0.08, 0.1]
    assert room.heard_from == [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12]
    assert set(room.sent) == {0}
    assert room.events == []
    assert room.messages == 7


def test_frames_leave_in_pairs_where_they_do() -> None:
    room = Room(replace(PACE, batch=2))
    room.wait(0.1)
    assert room.times == [0, 0, 0, 0.04, 0.04, 0.08, 0.08]


def test_a_reply_is_late_by_the_lead_at_most_and_is_followed_without_a_gap() -> None:
    room = Room()
    room.wait(0.095)
    before = len(room.frames)
    room.play(5 * FRAME)
    room.playout.finish(1, room.now)
    begins = room.heard_from[before]
    assert 0.095 <= begins <= 0.095 + SOUND_ON_LEAD_S + 0.02
    room.wait(0.4)
    assert room.sent[before * FRAME : (before + 5) * FRAME] == numbers(ramp(5 * FRAME))
    gaps = np.diff(room.heard_from)
    assert np.allclose(gaps, 0.02)
    assert [name for name, _ in room.said()] == ["PlayoutStarted", "PlayoutFinished"]
    assert room.dry == 1


def test_it_goes_on_while_a_reply_is_paused_starved_or_dropped() -> None:
    room = Room()
    room.play(20 * FRAME)
    room.wait(0.1)
    room.playout.pause(room.now)
    room.wait(0.3)
    room.playout.resume(room.playout.position, room.now)
    room.wait(1.0)
    room.playout.drop(room.now)
    room.wait(0.2)
    assert np.allclose(np.diff(room.heard_from), 0.02)
    assert [each for each in room.sent if each] == numbers(ramp(20 * FRAME))


def test_after_a_stall_the_stream_begins_anew() -> None:
    room = Room()
    room.wait(0.1)
    room.now += 0.5
    room.playout.tick(room.now)
    assert room.dry == 2
    # No burst: what was missed is not made up for.
    assert len([at for at in room.times if at == 0.6]) == 2


def test_it_ends_when_it_is_told_to() -> None:
    room = Room()
    room.wait(0.1)
    room.playout.sound_on(room.now, None)
    before = len(room.frames)
    room.wait(1)
    assert len(room.frames) == before
    room.play(3 * FRAME)
    room.playout.sound_on(room.now, None)
    room.wait(1)
    assert [each for each in room.sent if each] == numbers(ramp(3 * FRAME))


class SoundingOn(AgainstAModel):
    """Whatever is done, what left is what the model says, and the far side always has something to play."""

    def __init__(self) -> None:
        super().__init__()
        self.desk.playout.sound_on(self.desk.now, lambda: None)

    @rule(on=st.booleans())
    def again(self, on: bool) -> None:
        if not on:
            self.desk.playout.sound_on(self.desk.now, None)
        self.desk.playout.sound_on(self.desk.now, lambda: None)
        self.see()

    @invariant()
    def the_far_side_has_something_to_play(self) -> None:
        assert self.desk.playout.heard_until_s >= self.desk.now - 1e-6
        assert self.desk.playout.due_s is not None


TestSoundingOn = SoundingOn.TestCase
TestSoundingOn.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)


# --- under every frame ---------------------------------------------------------------------------------------------


def test_it_is_mixed_under_a_frame_and_begins_again_at_its_end() -> None:
    sound = np.arange(200, dtype="<i2").tobytes()
    laid = Underlay(sound, RATE, PCM16, RATE)
    assert laid.any
    first = shorts(laid.under(constant(1000, FRAME)))
    assert list(first) == [1000 + n for n in range(160)]
    second = shorts(laid.under(constant(0, FRAME)))
    assert list(second) == [*range(160, 200), *range(120)]


def test_what_is_too_loud_is_cut_and_does_not_turn_over() -> None:
    laid = Underlay(constant(30000), RATE, PCM16, RATE)
    assert set(shorts(laid.under(constant(30000, FRAME)))) == {32767}


def test_it_speaks_the_wire_s_format_and_rate() -> None:
    laid = Underlay(constant(1000, 16000), 16000, wire(AudioFormat.MULAW, RATE), RATE)
    frame = laid.under(g711.MULAW_SILENCE * FRAME)
    assert len(frame) == FRAME
    later = shorts(g711.mulaw_to_pcm(laid.under(g711.MULAW_SILENCE * FRAME)))
    assert np.abs(later - 1000).max() < 100


@pytest.mark.parametrize("pcm", [b"", b"\1", b"\1\0" * 100])
def test_too_little_is_nothing(pcm: bytes) -> None:
    assert not Underlay(pcm, RATE, PCM16, RATE).any


def test_of_a_long_sound_only_so_much_is_used() -> None:
    laid = Underlay(constant(1, RATE * 100), RATE, PCM16, RATE)
    assert len(laid._sound) == RATE * SECONDS_MOST


# --- in a leg ------------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_the_party_hears_it_between_replies_and_under_them() -> None:
    async with rig() as at:
        call = at.call(rate_hz=16000)
        await call.speak(0.2, 0)
        assert call.far.frames == []
        at.plane.send(media.Underlay("leg", constant(100), 16000))
        await call.speak(1.0, 0)
        at.plane.send(media.Play("leg", 1, constant(1000, 1600)))
        at.plane.send(media.Finish("leg", 1))
        await call.speak(1.0, 0)
        heard = shorts(call.far.audio)
        assert set(heard) == {100, 1100}
        assert int((heard == 1100).sum()) == 1600
        # 2 s, and what is ahead of the ear.
        assert 2.0 <= len(heard) / 16000 <= 2.1
        assert [name for name in call.names() if name.startswith("Playout")] == [
            "PlayoutStarted",
            "PlayoutFinished",
        ]
        at.plane.send(media.Underlay("leg", b"", 16000))
        before = len(call.far.frames)
        await call.speak(0.5, 0)
        assert len(call.far.frames) == before


@pytest.mark.virtual_time
async def test_whoever_is_joined_with_a_person_hears_that_person_s_room() -> None:
    async with rig() as at:
        call, other = at.call(rate_hz=16000), at.call("other", rate_hz=16000)
        at.plane.send(media.Underlay("leg", constant(100), 16000))
        await call.speak(0.5, 0)
        at.plane.send(media.Join("leg", "other"))
        before = len(call.far.audio)
        _ = await asyncio.gather(call.speak(0.5, 0), other.speak(0.5, 0))
        assert 100 not in shorts(call.far.audio[before:])
        at.plane.send(media.Part("leg"))
        before = len(call.far.audio)
        await call.speak(0.5, 0)
        assert set(shorts(call.far.audio[before:])) == {100}


@pytest.mark.virtual_time
@pytest.mark.parametrize("end", [media.CloseLeg("leg", "done"), media.HandOver("leg", "given")])
async def test_it_ends_with_the_brain_s_part_in_the_leg(end: media.MediaMessage) -> None:
    async with rig() as at:
        call = at.call(rate_hz=16000)
        at.plane.send(media.Underlay("leg", constant(100), 16000))
        await call.speak(0.5, 0)
        at.plane.send(end)
        await call.speak(0.1, 0)
        before = len(call.far.frames)
        await call.speak(0.5, 0)
        assert len(call.far.frames) == before


@pytest.mark.virtual_time
async def test_a_barge_in_is_found_over_it_and_it_goes_on() -> None:
    async with rig() as at:
        call = at.call(rate_hz=16000)
        at.plane.send(media.Underlay("leg", constant(100), 16000))
        at.plane.send(media.Play("leg", 1, constant(1000, 48000)))
        at.plane.send(media.Arm("leg", True, 0.064))
        await call.speak(0.5, 0)
        await call.speak(0.5)
        [paused] = call.of(PlayoutPaused)
        assert 0.5 < paused.at_s < 0.7
        # What was ahead of the ear is still heard, and then the room alone.
        assert set(shorts(call.far.audio)[-3200:]) == {100}
