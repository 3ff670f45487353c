"""Two legs of the plane joined, on a clock that jumps: sound both ways over formats and rates, keys, hold, whisper, recording,
and what the brain has of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from aywa.core.audio import g711
from aywa.core.audio.frame import FRAME_S, shorts
from aywa.core.events import DtmfReceived, LegEnded, VoiceStarted
from aywa.ports.media import (
    AudioFormat,
    CloseLeg,
    Finish,
    HandOver,
    Hold,
    Join,
    Part,
    Play,
    Retrieve,
    SendDtmf,
)
from tests.media.rig import Call, Rig, rig, square

pytestmark = pytest.mark.virtual_time


def pair(at: Rig, recording: Path | None = None) -> tuple[Call, Call]:
    """A G.711 leg and a wide one, joined."""
    one = at.call("one", AudioFormat.MULAW, 8000, recording=recording)
    two = at.call("two", AudioFormat.PCM16, 16000)
    one.far.has_keys = two.far.has_keys = True
    at.plane.send(Join("one", "two"))
    return one, two


def pcm_of(call: Call, from_s: float = 0.0, to_s: float = 1e9) -> list[bytes]:
    decode = g711.mulaw_to_pcm if call.plan.format is AudioFormat.MULAW else bytes
    return [decode(frame) for sent_s, frame in call.far.frames if from_s <= sent_s < to_s]


def loudness(frames: list[bytes]) -> float:
    return float(np.abs(shorts(b"".join(frames)).astype(float)).mean()) if frames else 0.0


async def test_they_hear_each_other_and_nothing_else() -> None:
    async with rig() as at:
        one, two = pair(at)
        await one.speak(1.0)
        assert loudness(pcm_of(two)[10:]) > 5000
        assert loudness(pcm_of(one)) < 10
        middle = at.loop.time() + 0.2
        await asyncio.sleep(0.2)
        await two.speak(1.0)
        assert loudness(pcm_of(one, middle + 0.2)) > 5000
        assert loudness(pcm_of(two, middle)) < 10
        # The brain of neither heard a voice.
        assert not one.of(VoiceStarted)
        assert not two.of(VoiceStarted)


async def test_every_beat_has_a_frame() -> None:
    async with rig() as at:
        one, two = pair(at)
        await one.speak(2.0)
        for call in (one, two):
            assert len(call.far.frames) in (100, 101)
            gaps = np.diff(call.far.times)
            assert gaps.min() > 0.01
            assert gaps.max() < 0.03


async def test_a_loop_that_was_held_up_makes_up_for_nothing() -> None:
    async with rig() as at:
        one, _ = pair(at)
        await asyncio.sleep(0.1)
        side = one.leg.side()
        side._next_s -= 1.0
        before = len(one.far.frames)
        await asyncio.sleep(0.1)
        assert len(one.far.frames) - before <= 7


async def test_keys_go_to_the_other_party() -> None:
    async with rig() as at:
        one, two = pair(at)
        one.leg.dtmf_received("5")
        assert two.far.keys == "5"
        assert not one.of(DtmfReceived)
        at.plane.send(Hold("one", b"", 8000))
        one.leg.dtmf_received("6")
        at.plane.send(Part("one"))
        one.leg.dtmf_received("7")
        assert two.far.keys == "5"
        assert [event.digit for event in one.of(DtmfReceived)] == ["6", "7"]
        at.plane.send(SendDtmf("two", "8"))
        assert two.far.keys == "58"


async def test_while_keys_are_sent_there_is_no_audio() -> None:
    async with rig() as at:
        one, two = pair(at)
        await one.speak(0.4)
        two.leg.dtmf_received("1")
        two.leg.dtmf_received("w")
        since = at.loop.time()
        await two.speak(1.5)
        gap = next(sent_s for sent_s, _ in one.far.frames if sent_s > since) - since
        assert 0.74 <= gap <= 0.78
        assert one.far.quieted == 2
        assert len(pcm_of(two, since)) >= 74


async def test_a_connection_that_fails_while_joined_ends_its_leg() -> None:
    async with rig() as at:
        one, two = pair(at)
        await one.speak(0.1)
        one.far.fail = True
        at.plane.send(Part("one"))
        await asyncio.sleep(0.1)
        assert [end.cause for end in one.of(LegEnded)] == ["lost"]
        assert not two.of(LegEnded)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
async def test_music_on_hold_is_for_one_side_and_goes_round(rate_hz: int) -> None:
    async with rig() as at:
        one, two = pair(at)
        await one.speak(0.3)
        # 50 ms: it begins again in the middle of a frame.
        at.plane.send(Hold("one", square(5000, rate_hz // 20), rate_hz))
        since = at.loop.time() + 0.2
        await one.speak(1.0, 9000)
        assert loudness(pcm_of(one, since)) > 3000
        assert loudness(pcm_of(two, since)) < 10
        at.plane.send(Retrieve("one"))
        since = at.loop.time() + 0.2
        await one.speak(1.0, 9000)
        assert loudness(pcm_of(one, since)) < 10
        assert loudness(pcm_of(two, since)) > 5000


async def test_hold_without_music_and_without_anybody_else() -> None:
    async with rig() as at:
        one = at.call("one")
        at.plane.send(Hold("one", b"", 16000))
        await one.speak(0.5)
        assert not one.of(VoiceStarted)
        assert len(one.far.frames) >= 24
        assert loudness(pcm_of(one)) == 0
        at.plane.send(Part("one"))
        frames = len(one.far.frames)
        await one.speak(0.5)
        # The brain has it back.
        assert one.of(VoiceStarted)
        assert len(one.far.frames) == frames
        assert one.far.quieted == 1


async def test_what_a_brain_plays_is_whispered_to_its_own_party() -> None:
    async with rig() as at:
        one, two = pair(at)
        at.plane.send(Play("one", 1, square(6000, 4000)))
        at.plane.send(Finish("one", 1))
        await asyncio.sleep(0.8)
        assert sum(loudness([frame]) > 3000 for frame in pcm_of(one)) in (25, 26)
        assert loudness(pcm_of(two)) < 10
        assert "PlayoutFinished" in one.names()


async def test_a_whisper_lies_over_the_other_party() -> None:
    async with rig() as at:
        one, two = pair(at)
        speaking = asyncio.create_task(two.speak(1.5, 4000))
        await asyncio.sleep(0.7)
        at.plane.send(Play("one", 1, square(4000, 2400)))
        at.plane.send(Finish("one", 1))
        since = at.loop.time()
        await speaking
        loud = [loudness([frame]) for frame in pcm_of(one, since - 0.3)]
        assert min(loud) > 2000
        assert np.abs(shorts(b"".join(pcm_of(one, since + 0.05, since + 0.25)))).max() > 7000


async def test_a_new_partner_replaces_the_old_one() -> None:
    async with rig() as at:
        _, two = pair(at)
        three = at.call("three")
        at.plane.send(Join("two", "three"))
        at.plane.send(Join("two", "three"))
        one = at.plane._legs["one"]
        since = at.loop.time() + 0.1
        await three.speak(0.6)
        assert loudness(pcm_of(two, since)) > 5000
        assert one.side().other is None
        # Nobody is joined with a leg that is not there, or with itself.
        at.plane.send(Join("two", "nobody"))
        at.plane.send(Join("nobody", "two"))
        at.plane.send(Join("one", "one"))
        assert one.side().other is None


async def test_the_end_of_one_leaves_the_other_in_silence() -> None:
    async with rig() as at:
        one, two = pair(at)
        await two.speak(0.4)
        two.leg.disconnected("closed")
        since = at.loop.time() + 0.1
        await asyncio.sleep(0.4)
        assert len(pcm_of(one, since)) >= 14
        assert loudness(pcm_of(one, since)) == 0
        one.leg.dtmf_received("1")
        assert one.of(DtmfReceived)


async def test_a_leg_that_was_handed_over_has_no_brain() -> None:
    async with rig() as at:
        one, two = pair(at)
        at.plane.send(HandOver("one", "two"))
        assert not one.of(LegEnded)
        at.plane.send(HandOver("one", "one*"))
        assert [end.cause for end in one.of(LegEnded)] == ["forwarded"]
        seen = len(one.events)
        # What its brain still says reaches nobody.
        at.plane.send(CloseLeg("one", "over"))
        at.plane.send(Play("one", 1, square(6000, 1600)))
        at.plane.listen("one", lambda pcm: pytest.fail("heard"), 8000)
        at.plane.send(HandOver("one*", "one**"))
        await one.speak(0.6)
        assert loudness(pcm_of(two)[10:]) > 5000
        assert loudness(pcm_of(one)) < 10
        assert len(one.events) == seen
        assert not at.plane.has_leg("one")
        assert at.plane.has_leg("one**")
        at.plane.send(CloseLeg("one**", "over"))
        await asyncio.sleep(0.5)
        assert [end.cause for end in one.of(LegEnded)] == ["forwarded", "local"]
        assert at.plane.leg_count == 1


async def test_both_are_on_the_recording_of_either(tmp_path: Path) -> None:
    async with rig() as at:
        one, two = pair(at, tmp_path / "call.wav")
        at.plane.send(HandOver("one", "one*"))
        await one.speak(0.5)
        await two.speak(0.5)
        one.leg.disconnected("closed")
        recording = await at.plane.recorded("one")
    assert recording is not None
    assert not recording.lost
    sound = np.frombuffer((tmp_path / "call.wav").read_bytes()[44:], "<i2")
    left, right = np.abs(sound.reshape(-1, 2).astype(float)).T
    half = len(left) // 2
    assert left[:half].mean() > 5000
    assert left[half + 800 :].mean() < 100
    assert right[: half - 400].mean() < 100
    assert right[half + 1200 :].mean() > 5000


async def test_the_brain_s_recogniser_is_given_silence() -> None:
    heard: list[bytes] = []
    async with rig() as at:
        one, _ = pair(at)
        at.plane.listen("one", heard.append, 8000)
        await one.speak(0.2)
    assert len(heard) == round(0.2 / FRAME_S)
    assert not any(b"".join(heard))
