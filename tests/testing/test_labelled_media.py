from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from aywa.core import events as ev
from aywa.core.audio.frame import Floats, to_pcm
from aywa.ports import media as m
from aywa.ports.media import MediaPlane
from aywa.testing.labelled_media import BLOCKS, LabelledMedia, Sound, sound_of
from tests.media.rig import LoudVad, rig, square

pytestmark = pytest.mark.virtual_time

LEG = "leg"
RATE_HZ = 16000
REPLY = bytes(2 * RATE_HZ * 5)
Told = list[tuple[float, ev.MediaEvent]]
Act = tuple[float, m.MediaMessage]


def audio(*stretches: tuple[float, int]) -> Floats:
    """(seconds, amplitude), one after the other."""
    samples = [np.frombuffer(square(amplitude, round(s * RATE_HZ)), "<i2") for s, amplitude in stretches]
    return (np.concatenate(samples) / 32768).astype(np.float32)


async def over_the_wire(samples: Floats, acts: list[Act]) -> Told:
    """The real plane, fed in frames of 20 ms."""
    async with rig() as real:
        call = real.call(LEG)
        began_s = real.loop.time()
        for at_s, message in acts:
            real.loop.call_at(began_s + at_s, real.plane.send, message)
        pcm = to_pcm(samples)
        for at in range(0, len(pcm), 640):
            await asyncio.sleep(0.02)
            call.leg.audio_received(pcm[at : at + 640])
    return [(at - began_s, event) for at, event in zip(call.times, call.events, strict=True)]


async def labelled(samples: Floats, acts: list[Act]) -> Told:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    told: Told = []
    media = LabelledMedia()
    media.connect(LEG, RATE_HZ, began_s, lambda event: told.append((loop.time() - began_s, event)))
    assert media.hear(LEG, sound_of(samples, LoudVad(RATE_HZ))) == 0.0
    for at_s, message in acts:
        loop.call_at(began_s + at_s, media.send, message)
    await asyncio.sleep(len(samples) / RATE_HZ)
    await media.close()
    return told


def play(*acts: Act) -> list[Act]:
    return [(0.05, m.Play(LEG, 1, REPLY)), *acts]


@pytest.mark.parametrize(
    ("samples", "acts"),
    [
        (audio((0.5, 0), (1.0, 9000), (0.3, 0), (0.7, 9000), (1.0, 0)), []),
        (audio((0.31, 10), (0.4, 9000), (0.1, 10), (0.9, 9000), (0.6, 10)), []),
        (audio((0.5, 0), (0.5, 9000), (1.0, 0)), play((0.1, m.Arm(LEG, True, 0.064)))),
        (audio((0.5, 0), (0.5, 9000), (1.0, 0)), play((0.1, m.Arm(LEG, True, 0.2)))),
        (audio((0.5, 0), (0.5, 9000), (1.0, 0)), play((0.1, m.Arm(LEG, True, 0.032)))),
        (
            audio((0.5, 0), (0.5, 9000), (1.0, 0)),
            play((0.1, m.Arm(LEG, True, 0.1)), (0.53, m.Arm(LEG, True, 0.1))),
        ),
        (audio((0.5, 0), (0.5, 9000), (1.0, 0)), [(0.1, m.Arm(LEG, True, 0.064))]),
    ],
)
async def test_it_tells_of_voice_what_the_real_plane_tells(samples: Floats, acts: list[Act]) -> None:
    def voice(told: Told) -> list[tuple[str, float]]:
        kinds = (ev.VoiceStarted, ev.VoiceStopped)
        return [(type(e).__name__, round(e.at_s, 6)) for _, e in told if isinstance(e, kinds)]

    def times(told: Told) -> list[float]:
        kinds = (ev.VoiceStarted, ev.VoiceStopped, ev.PlayoutPaused)
        return [at_s for at_s, e in told if isinstance(e, kinds)]

    def probabilities(told: Told) -> list[bytes]:
        return [e.probabilities for _, e in told if isinstance(e, ev.VoiceScored)]

    real, simulated = await over_the_wire(samples, acts), await labelled(samples, acts)
    assert voice(simulated) == voice(real) != []
    # The wheel's slots begin anywhere, so a window may be scored one slot earlier or later.
    assert times(simulated) == pytest.approx(times(real), abs=0.0051)
    assert b"".join(probabilities(simulated)) == b"".join(probabilities(real))
    assert len(probabilities(simulated)) > 1


async def test_a_sound_may_come_at_any_time_and_a_later_one_covers_it() -> None:
    loop = asyncio.get_running_loop()
    events: list[ev.MediaEvent] = []
    media = LabelledMedia()
    media.connect(LEG, RATE_HZ, loop.time(), events.append)
    await asyncio.sleep(1.0)
    loud = sound_of(audio((1.0, 9000)), LoudVad(RATE_HZ))
    quiet = sound_of(audio((1.0, 0)), LoudVad(RATE_HZ))
    began_s = media.hear(LEG, loud)
    assert 1.0 <= began_s < 1.0 + 0.032
    await asyncio.sleep(0.5)
    media.hear(LEG, quiet)
    await asyncio.sleep(2.0)
    await media.close()
    started, stopped = (e for e in events if isinstance(e, ev.VoiceStarted | ev.VoiceStopped))
    assert started.at_s == pytest.approx(began_s, abs=0.03)
    assert stopped.at_s == pytest.approx(1.5, abs=0.06)


async def test_the_turn_model_hears_the_last_seconds() -> None:
    loop = asyncio.get_running_loop()
    media: LabelledMedia = LabelledMedia()
    plane: MediaPlane = media
    media.connect(LEG, RATE_HZ, loop.time(), lambda event: None)
    samples = audio((0.64, 9000))
    await asyncio.sleep(0.33)
    media.hear(LEG, sound_of(samples, LoudVad(RATE_HZ), pcm=to_pcm(samples)))
    await asyncio.sleep(0.7)
    heard = np.frombuffer(plane.recent_audio(LEG, 0.96), "<i2")
    assert len(heard) == round(0.96 * RATE_HZ)
    assert not heard[: round(0.2 * RATE_HZ)].any()
    assert np.count_nonzero(heard) == round(0.64 * RATE_HZ)
    await media.close()


async def test_a_leg_that_is_gone_hears_nothing_more() -> None:
    events: list[ev.MediaEvent] = []
    media = LabelledMedia()
    media.connect(LEG, RATE_HZ, asyncio.get_running_loop().time(), events.append)
    await asyncio.sleep(0.5)
    media.disconnect(LEG)
    media.disconnect(LEG)
    told = len(events)
    await asyncio.sleep(5.0)
    assert [type(e) for e in events[-2:]] == [ev.VoiceScored, ev.LegEnded]
    assert len(events) == told


def test_levels_must_fit() -> None:
    with pytest.raises(ValueError, match=r"\(3, 8\) wanted, got \(3, 4\)"):
        Sound(np.zeros(3, dtype=np.float32), np.zeros((3, 4), dtype=np.float32))
    assert Sound(
        np.zeros(3, dtype=np.float32), np.zeros((3, BLOCKS), dtype=np.float32)
    ).seconds == pytest.approx(0.096)


async def test_two_legs_do_not_hear_each_other() -> None:
    told: dict[str, list[ev.MediaEvent]] = {"a": [], "b": []}
    media = LabelledMedia()
    post: Callable[[str], Callable[[ev.MediaEvent], None]] = lambda leg: told[leg].append  # noqa: E731
    for leg in told:
        media.connect(leg, RATE_HZ, asyncio.get_running_loop().time(), post(leg))
    media.hear("a", sound_of(audio((0.5, 9000), (0.2, 0)), LoudVad(RATE_HZ)))
    await asyncio.sleep(1.0)
    await media.close()
    assert [type(e) for e in told["a"] if not isinstance(e, ev.VoiceScored)] == [
        ev.LegConnected, ev.VoiceSuspected, ev.VoiceStarted, ev.VoiceStopped, ev.LegEnded
    ]  # fmt: skip
    assert [type(e) for e in told["b"] if not isinstance(e, ev.VoiceScored)] == [ev.LegConnected, ev.LegEnded]
