"""A person who speaks in the agent's place: heard by the party at its rate, on a beat, and gone when they are gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from aywa.core.audio import g711
from aywa.core.audio.frame import FRAME_S, shorts
from aywa.core.events import LegEnded, PlayoutFinished, VoiceStarted
from aywa.ports.media import (
    TAP_HZ,
    AudioFormat,
    Finish,
    GiveBack,
    HandOver,
    Join,
    Part,
    Play,
    Speak,
    TakeOver,
)
from tests.media.rig import Call, Rig, rig, square

pytestmark = pytest.mark.virtual_time


async def person(at: Rig, seconds: float, leg_id: str = "leg") -> None:
    for _ in range(round(seconds / FRAME_S)):
        await asyncio.sleep(FRAME_S)
        at.plane.send(Speak(leg_id, square(8000, TAP_HZ // 50)))


def loudness(call: Call, from_s: float = 0.0) -> float:
    decode = g711.mulaw_to_pcm if call.plan.format is AudioFormat.MULAW else bytes
    heard = b"".join(decode(frame) for at_s, frame in call.far.frames if at_s >= from_s)
    return float(np.abs(shorts(heard).astype(float)).mean()) if heard else 0.0


@pytest.mark.parametrize(("audio", "rate_hz"), [(AudioFormat.PCM16, 16_000), (AudioFormat.MULAW, 8000)])
async def test_the_party_hears_the_person_and_the_brain_hears_the_party(
    audio: AudioFormat, rate_hz: int
) -> None:
    async with rig() as at:
        call = at.call("leg", audio, rate_hz)
        at.plane.send(TakeOver("leg"))
        await person(at, 0.5)
        from_s = at.loop.time()
        await person(at, 0.5)
        assert loudness(call, from_s) > 5000
        gaps = np.diff([at_s for at_s, _ in call.far.frames])
        assert gaps.max() < 0.03
        await call.speak(0.5)
        assert call.of(VoiceStarted)


async def test_without_a_takeover_nobody_is_heard() -> None:
    async with rig() as at:
        call = at.call()
        await person(at, 0.3)
        at.plane.send(GiveBack("leg"))
        assert call.far.frames == []


async def test_the_agents_last_words_are_heard_over_the_person() -> None:
    async with rig() as at:
        call = at.call()
        at.plane.send(TakeOver("leg"))
        await asyncio.sleep(0.2)
        from_s = at.loop.time()
        at.plane.send(Play("leg", 1, square(6000, TAP_HZ // 2)))
        at.plane.send(Finish("leg", 1))
        await asyncio.sleep(0.8)
        assert loudness(call, from_s) > 2000
        assert call.of(PlayoutFinished)


async def test_what_is_given_back_is_silent_and_the_line_is_told() -> None:
    async with rig() as at:
        call = at.call()
        at.plane.send(TakeOver("leg"))
        at.plane.send(TakeOver("leg"))
        await person(at, 0.3)
        at.plane.send(GiveBack("leg"))
        count = len(call.far.frames)
        await person(at, 0.3)
        assert (len(call.far.frames), call.far.quieted) == (count, 1)


@pytest.mark.parametrize("how", ["closed", "given", "joined"])
async def test_a_takeover_ends_with_the_agents_part_in_the_call(how: str) -> None:
    async with rig() as at:
        call, _ = at.call(), at.call("other")
        at.plane.send(TakeOver("leg"))
        await person(at, 0.2)
        if how == "closed":
            call.leg.disconnected("closed")
        elif how == "given":
            at.plane.send(HandOver("leg", "line"))
        else:
            at.plane.send(Join("leg", "other"))
        await asyncio.sleep(0.1)
        from_s = at.loop.time()
        await person(at, 0.3)
        assert loudness(call, from_s) < 10
        at.plane.send(TakeOver("leg"))
        await person(at, 0.3)
        assert loudness(call, from_s) < 10
        at.plane.send(Part("leg"))
        assert bool(call.of(LegEnded)) is (how != "joined")


async def test_a_loop_that_stood_still_makes_nothing_up_and_the_agents_words_are_bounded() -> None:
    async with rig() as at:
        call = at.call()
        at.plane.send(TakeOver("leg"))
        await asyncio.sleep(0.1)
        takeover = call.leg._takeover
        assert takeover is not None
        takeover.whisper(square(6000, TAP_HZ * 60))
        assert len(takeover._whisper) == TAP_HZ * 5 * 2
        takeover._next_s -= 3.0
        count = len(call.far.frames)
        await asyncio.sleep(0.2)
        assert len(call.far.frames) - count <= 11


async def test_the_person_is_in_the_recording(tmp_path: Path) -> None:
    file = tmp_path / "call.wav"
    async with rig() as at:
        call = at.call(recording=file)
        at.plane.send(TakeOver("leg"))
        await person(at, 1.0)
        call.leg.disconnected("closed")
        assert (await at.plane.recorded("leg")) is not None
    right = shorts(file.read_bytes()[44:]).reshape(-1, 2)[:, 1]
    assert np.abs(right[TAP_HZ // 2 :].astype(float)).mean() > 5000
