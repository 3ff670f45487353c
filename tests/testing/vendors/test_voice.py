"""What simulated voices say."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aywa.adapters.tts.cartesia import CartesiaTts
from aywa.adapters.tts.elevenlabs import ElevenLabsTts
from aywa.adapters.tts.openai import OpenAiTts
from aywa.ports.tts import Tts, TtsOptions
from aywa.testing.scripted_providers import ScriptedTts
from aywa.testing.vendors.server import SimulatedVendors
from aywa.testing.vendors.voice import pieces, speak, spoken

TEXT = "Good morning, this is the clinic."


@pytest.mark.parametrize("rate_hz", [8000, 22050, 24000])
def test_a_word_is_a_tone_and_its_place_is_exact(rate_hz: int) -> None:
    pcm, words = spoken(TEXT, rate_hz)
    assert [word.text for word in words] == TEXT.split()
    samples = memoryview(pcm).cast("h")
    loud = {n for n, sample in enumerate(samples) if abs(sample) > 500}
    for word in words:
        first, last = round(word.start_s * rate_hz), round(word.end_s * rate_hz)
        assert loud & set(range(first, last))
        loud -= set(range(first, last))
    assert not loud


def test_words_differ_and_the_same_text_sounds_the_same() -> None:
    assert spoken("one", 8000) == spoken("one", 8000)
    assert spoken("one", 8000)[0] != spoken("two", 8000)[0]


def test_texts_one_after_the_other_are_the_audio_of_both() -> None:
    one, two = spoken("Good morning,", 8000)[0], spoken("this is the clinic.", 8000)[0]
    assert spoken(TEXT, 8000)[0] == one + two


def test_speed() -> None:
    assert len(spoken(TEXT, 8000, 2.0)[0]) == pytest.approx(len(spoken(TEXT, 8000)[0]) / 2, rel=0.01)


def test_pieces_are_the_whole() -> None:
    pcm, words = spoken(TEXT, 8000)
    cut = pieces(TEXT, 8000)
    assert b"".join(piece.pcm for piece in cut) == pcm
    assert tuple(word for piece in cut for word in piece.words) == words
    assert [len(piece.audio) for piece in pieces(TEXT, 8000, mulaw=True)] == [
        len(piece.pcm) // 2 for piece in cut
    ]


@pytest.fixture
async def vendors() -> AsyncIterator[SimulatedVendors]:
    async with SimulatedVendors(tts=ScriptedTts()) as vendors:
        yield vendors


async def test_a_real_voice_speaks_through_every_simulator(vendors: SimulatedVendors) -> None:
    voices: list[Tts] = [
        CartesiaTts("sim-key", vendors.url, voice="sim-voice"),
        ElevenLabsTts("sim-key", vendors.url, voice="sim-voice"),
        OpenAiTts("sim-key", f"{vendors.url}/v1"),
    ]
    for tts in voices:
        chunks = [chunk async for chunk in tts.synthesize(TEXT, TtsOptions(16000))]
        await tts.close()
        rate_hz = chunks[0].rate_hz
        expected = [piece async for piece in speak(ScriptedTts(), TEXT, rate_hz)]
        assert b"".join(chunk.pcm for chunk in chunks) == b"".join(piece.pcm for piece in expected)
        if tts.capabilities.word_times:
            said = [word for chunk in chunks for word in chunk.words]
            there = [word for piece in expected for word in piece.words]
            assert [word.text for word in said] == [word.text for word in there]
            assert [word.start_s for word in said] == pytest.approx([w.start_s for w in there], abs=0.01)
