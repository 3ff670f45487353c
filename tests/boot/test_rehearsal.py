from __future__ import annotations

import asyncio

import numpy as np
import pytest

from aywa.boot.rehearsal import LEG, Rehearsal, Utterance
from aywa.ports.stt import Word
from aywa.testing.labelled_media import sound_of
from aywa.testing.scripted_media import ScriptedMedia
from aywa.testing.simulated_stt import SimulatedStt
from tests.media.rig import LoudVad, square

pytestmark = pytest.mark.virtual_time

WAITS = {"firstMessageMode": "assistant-waits-for-user"}


async def test_a_call_over_labelled_audio_with_simulated_words() -> None:
    quiet, loud = bytes(2 * 16000), square(9000, 16000)
    samples = np.frombuffer(quiet + loud + quiet, "<i2").astype(np.float32) / np.float32(32768)
    stt = SimulatedStt(
        [Word("what", 1.0, 1.3), Word("time", 1.35, 1.6), Word("is", 1.6, 1.7), Word("it", 1.7, 1.95)]
    )
    call = Rehearsal(WAITS, recogniser=stt, turn_score=lambda at_s: 0.9)
    await call.run_labelled(sound_of(samples, LoudVad(16000)), 10.0)
    assert call.messages == [("user", "what time is it"), ("bot", "Certainly. That is done.")]
    assert ("turn_taken", "sounds_complete") in call.journal.decisions()
    (turn,) = call.journal.of("RecordTurn")
    assert 500 < turn.data["latency_ms"] < 800


async def test_a_turn_model_that_never_answers_costs_nothing_but_its_word() -> None:
    call = Rehearsal(WAITS, turn_score=lambda at_s: None)
    await call.run([Utterance(1.0, "what time is it".split())], 8.0)
    assert call.messages[-1] == ("bot", "Certainly. That is done.")
    assert ("turn_taken", "settled_text") in call.journal.decisions()


async def test_a_caller_may_do_as_it_likes() -> None:
    call, media = Rehearsal(WAITS), ScriptedMedia()

    async def caller() -> None:
        await asyncio.sleep(1.0)
        media.voice_started(LEG)
        call.stt.stream.say("hello to you there")
        await asyncio.sleep(0.5)
        media.voice_stopped(LEG)

    await call.perform(media, caller, 6.0)
    assert [role for role, _ in call.messages] == ["user", "bot"]
    assert call.ended_reason == "customer-ended-call"


async def test_a_caller_that_fails_fails_the_rehearsal() -> None:
    async def caller() -> None:
        raise LookupError("the script is wrong")

    with pytest.raises(LookupError, match="the script is wrong"):
        await Rehearsal(WAITS).perform(ScriptedMedia(), caller, 6.0)
