"""Many legs: what came in waits for a slot and is taken leg after leg; nobody can tell but by a few milliseconds."""

from __future__ import annotations

import asyncio
import wave
from itertools import pairwise
from pathlib import Path

import pytest

from aywa.core.events import DtmfReceived, LegEnded, MediaWarned, VoiceScored, VoiceStarted, VoiceStopped
from aywa.media.intake import LEGS, Intake
from aywa.media.wheel import Wheel
from aywa.ports.media import AudioFormat
from tests.media.rig import Call, Rig, rig

pytestmark = pytest.mark.virtual_time


def crowd(at: Rig, legs: int) -> None:
    """So many legs more, on which nothing comes in."""
    for number in range(legs):
        at.call(f"quiet {number}")


async def a_call(at: Rig, recording: Path) -> tuple[Call, bytes]:
    """A caller who is silent, speaks, is silent and goes; and what the brain heard. Of a slot always the same part is over
    when they go: what waits for the detector then is not scored."""
    await asyncio.sleep(-asyncio.get_running_loop().time() % 0.02)
    call = at.call("speaks", AudioFormat.MULAW, 8000, recording)
    heard = bytearray()
    at.plane.listen("speaks", heard.extend, 8000)
    await call.speak(0.5, 0)
    await call.speak(1.0)
    await call.speak(0.7, 0)
    call.leg.disconnected("closed")
    await at.plane.recorded("speaks")
    return call, bytes(heard)


@pytest.mark.parametrize("legs", LEGS)
async def test_a_call_among_many_is_the_same_call(legs: int, tmp_path: Path) -> None:
    async with rig() as at:
        alone, heard_alone = await a_call(at, tmp_path / "alone.wav")
    async with rig() as at:
        crowd(at, legs)
        among, heard_among = await a_call(at, tmp_path / "among.wav")
    assert heard_among == heard_alone
    assert among.names() == alone.names()
    offset_s = among.plan.epoch_s - alone.plan.epoch_s
    assert [round(event.at_s, 6) for event in among.of(VoiceStarted)] == [
        round(event.at_s, 6) for event in alone.of(VoiceStarted)
    ]
    assert [round(event.at_s, 6) for event in among.of(VoiceStopped)] == [
        round(event.at_s, 6) for event in alone.of(VoiceStopped)
    ]
    assert b"".join(event.probabilities for event in among.of(VoiceScored)) == b"".join(
        event.probabilities for event in alone.of(VoiceScored)
    )
    late_s = [at_s - offset_s - before_s for at_s, before_s in zip(among.times, alone.times, strict=True)]
    assert max(late_s) <= 0.0255
    with wave.open(str(tmp_path / "alone.wav")) as one, wave.open(str(tmp_path / "among.wav")) as other:
        assert other.readframes(-1) == one.readframes(-1)


async def test_frames_of_many_legs_are_taken_in_one_slot_and_scored_behind_it() -> None:
    async with rig() as at:
        calls = [at.call(f"leg {number}") for number in range(LEGS[0] + 1)]
        for call in calls:
            call.leg.audio_received(call.frame(8000) * 2)
            await asyncio.sleep(0.0004)
        assert all(call.leg.last_audio_s is None for call in calls)
        await asyncio.sleep(0.01)
        assert len(at.vads[16000].runs) == 1
        assert len(at.vads[16000].runs[0]) == len(calls)
        # Each is dated by when it came, not by when it was taken.
        arrived = [(call.leg.last_audio_s or 0.0) + call.plan.epoch_s for call in calls]
        assert [round(b - a, 6) for a, b in pairwise(arrived)] == [0.0004] * LEGS[0]


async def test_what_comes_behind_audio_stays_behind_it() -> None:
    async with rig() as at:
        crowd(at, LEGS[0])
        call = at.call()
        heard: list[bytes] = []
        at.plane.listen("leg", heard.append, 16000)
        call.leg.audio_received(call.frame(8000))
        call.leg.dtmf_received("5")
        assert len(heard) == 1
        call.leg.audio_received(call.frame(8000))
        call.leg.text_received("{}")
        assert len(heard) == 2
        call.leg.audio_received(call.frame(8000))
        assert len(at.plane.recent_audio("leg", 1.0)) == 3 * 640
        call.leg.audio_received(call.frame(8000))
        call.leg.disconnected("closed")
        assert len(heard) == 4
        assert call.names()[1:] == ["DtmfReceived", "ClientMessageReceived", "LegEnded"]
        assert len(call.of(DtmfReceived)) == len(call.of(LegEnded)) == 1


async def test_a_flood_within_a_slot_is_taken_at_once() -> None:
    async with rig() as at:
        crowd(at, LEGS[0])
        call = at.call()
        for _ in range(600):
            call.leg.audio_received(call.frame())
        assert [warning.code for warning in call.of(MediaWarned)] == ["audio_ahead"]
        assert [end.cause for end in call.of(LegEnded)] == ["flooded"]


async def test_a_leg_that_ended_meanwhile_is_let_be() -> None:
    async with rig() as at:
        crowd(at, LEGS[0])
        call = at.call()
        call.leg.audio_received(call.frame(8000))
        call.leg.shut(1000, "over")
        before = len(call.events)
        await asyncio.sleep(0.1)
        assert len(call.events) == before


async def test_with_few_legs_nothing_waits() -> None:
    loop = asyncio.get_running_loop()
    intake = Intake(loop, Wheel(loop, 0.005), (0.005, 0.01, 0.02))
    for _ in range(LEGS[0]):
        intake.opened()
    assert (intake.keeps, intake.batch_slot_s) == (False, 0.005)
    intake.opened()
    assert (intake.keeps, intake.batch_slot_s) == (True, 0.0)
    intake.closed()
    assert (intake.keeps, intake.batch_slot_s) == (False, 0.005)


async def test_a_client_among_many_that_is_far_ahead_of_its_clock_loses_the_excess_and_then_its_leg() -> None:
    async with rig() as at:
        crowd(at, LEGS[0])
        call = at.call("floods")
        frame = call.frame(8000)
        heard = bytearray()
        at.plane.listen("floods", heard.extend, 16000)
        for _ in range(20):
            for _ in range(50):
                call.leg.audio_received(frame)
            await asyncio.sleep(0.02)
        # 2 s may be ahead, and a portion more before it was noticed.
        assert len(heard) / 32000 <= 0.4 + 2 + 0.24 + 0.02
        assert [event.code for event in call.of(MediaWarned)][:1] == ["audio_ahead"]
        assert [event.cause for event in call.of(LegEnded)] == ["flooded"]
