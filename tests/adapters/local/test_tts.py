"""The voice says what it is given, at any rate, and knows when each word is said."""

from __future__ import annotations

import asyncio
import contextlib

import numpy as np
import pytest

from aywa.adapters.local.engine import LocalEngine
from aywa.adapters.local.hibari import owners_of
from aywa.adapters.local.moonshine import Moonshine
from aywa.adapters.local.resample import from_pcm16, resample
from aywa.ports.stt import Word
from aywa.ports.tts import Tts, TtsChunk, TtsOptions
from tests.adapters.local.speech import words
from tests.contracts.tts import VoiceContract

TEXT = "Thank you for calling. Your appointment is on Tuesday."


class TestContract(VoiceContract):
    voice = ""

    @pytest.fixture
    def tts(self, voice: LocalEngine) -> Tts:
        return voice.tts


async def speak(engine: LocalEngine, text: str, options: TtsOptions) -> list[TtsChunk]:
    async with asyncio.timeout(10):
        return [chunk async for chunk in engine.tts.synthesize(text, options)]


def joined(chunks: list[TtsChunk]) -> tuple[bytes, list[Word]]:
    return b"".join(chunk.pcm for chunk in chunks), [word for chunk in chunks for word in chunk.words]


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
async def test_it_can_be_understood(voice: LocalEngine, rate_hz: int) -> None:
    chunks = await speak(voice, TEXT, TtsOptions(rate_hz))
    assert all(chunk.rate_hz == rate_hz for chunk in chunks)
    from aywa.adapters.models.cache import models_dir

    pcm, _ = joined(chunks)
    heard = Moonshine(models_dir() / "moonshine").transcribe(resample(from_pcm16(pcm), rate_hz, 16000))
    assert words(heard) == words(TEXT)


async def test_each_sentence_is_a_chunk(voice: LocalEngine) -> None:
    chunks = await speak(voice, TEXT, TtsOptions(16000))
    assert [[word.text for word in chunk.words] for chunk in chunks] == [
        ["Thank", "you", "for", "calling."],
        ["Your", "appointment", "is", "on", "Tuesday."],
    ]


async def test_words_lie_in_order_inside_the_audio(voice: LocalEngine) -> None:
    pcm, said = joined(await speak(voice, TEXT, TtsOptions(16000)))
    edges = [edge for word in said for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= len(pcm) / 2 / 16000 + 0.001


async def test_words_are_where_the_sound_is(voice: LocalEngine) -> None:
    pcm, said = joined(await speak(voice, "Yes, we can do that.", TtsOptions(16000)))
    audio = from_pcm16(pcm)
    for word in said:
        part = audio[int(word.start_s * 16000) : int(word.end_s * 16000)]
        assert np.sqrt((part**2).mean()) > 0.02, word


async def test_silence_at_the_ends_is_trimmed(voice: LocalEngine) -> None:
    pcm, _ = joined(await speak(voice, "I can help you with that", TtsOptions(16000)))
    loud = np.flatnonzero(np.abs(from_pcm16(pcm)) > 0.01)
    assert loud[0] < 0.06 * 16000
    assert len(pcm) / 2 - loud[-1] < 0.06 * 16000
    pcm, _ = joined(await speak(voice, "I can help you with that.", TtsOptions(16000)))
    loud = np.flatnonzero(np.abs(from_pcm16(pcm)) > 0.01)
    assert 0.1 * 16000 < len(pcm) / 2 - loud[-1] < 0.2 * 16000


async def test_the_same_text_sounds_the_same(voice: LocalEngine) -> None:
    first = await speak(voice, TEXT, TtsOptions(16000))
    assert first == await speak(voice, TEXT, TtsOptions(16000))


async def test_speed(voice: LocalEngine) -> None:
    slow, _ = joined(await speak(voice, TEXT, TtsOptions(16000, speed=0.8)))
    fast, _ = joined(await speak(voice, TEXT, TtsOptions(16000, speed=1.5)))
    assert len(slow) > 1.4 * len(fast)


@pytest.mark.parametrize("text", ["", "...", "\n\n", "?!"])
async def test_nothing_to_say_is_nothing(voice: LocalEngine, text: str) -> None:
    assert joined(await speak(voice, text, TtsOptions(16000))) == (b"", [])


async def test_numbers_belong_to_the_word_as_written(voice: LocalEngine) -> None:
    text = "It costs $40.50 on 3/3/2024, call 555-1234."
    _, said = joined(await speak(voice, text, TtsOptions(16000)))
    assert [word.text for word in said] == text.split()
    price = said[2]
    assert price.end_s - price.start_s > 1.0


async def test_a_very_long_sentence(voice: LocalEngine) -> None:
    text = " ".join(["and then we went to the market to buy some apples"] * 15)
    chunks = await speak(voice, text, TtsOptions(8000))
    assert len(chunks) > 1
    assert [word.text for word in joined(chunks)[1]] == text.split()


async def test_closing_the_iterator_cancels(voice: LocalEngine) -> None:
    text = "One sentence. " * 60
    async with contextlib.aclosing(voice.tts.synthesize(text, TtsOptions(16000))) as chunks:
        await anext(chunks)
    # the voice is free for the next one, long before sixty sentences are done
    async with asyncio.timeout(0.5):
        await anext(voice.tts.synthesize("Hello.", TtsOptions(16000)))


@pytest.mark.parametrize(
    ("written", "said", "owners"),
    [
        (["a", "b"], ["a", "b"], [0, 1]),
        (["on", "3/3", "call"], ["on", "March", "third,", "call"], [0, 1, 1, 2]),
        (["\u2013", "hi"], ["hi"], [1]),
        (["a", "b", "c"], ["abc"], [0]),
        (["1.", "hi"], ["one", "hi", "there"], [0, 1, 1]),
    ],
)
def test_spoken_words_find_their_owners(written: list[str], said: list[str], owners: list[int]) -> None:
    assert owners_of(written, said) == owners
