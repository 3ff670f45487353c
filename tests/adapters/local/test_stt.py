"""The recogniser keeps the port's promises, with people's voices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from aywa.adapters.local.engine import LocalEngine
from aywa.adapters.local.stt import LocalSttStream
from aywa.ports.errors import ProviderError
from aywa.ports.stt import SttOptions, SttResult
from tests.adapters.local.speech import noise, prompt, silence, words

FRAME = 320
IN_TIME_S = 10.0


class Listener:
    """Feeds a stream and waits for its results."""

    def __init__(self, stream: LocalSttStream, rate_hz: int) -> None:
        self.stream = stream
        self.rate_hz = rate_hz
        self.results: AsyncIterator[SttResult] = aiter(stream.results())

    def feed(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), FRAME):
            self.stream.feed(pcm[at : at + FRAME])

    def say(self, name: str) -> None:
        """A person speaks; the detector marks it."""
        self.stream.voice(True)
        self.feed(prompt(name, self.rate_hz))
        self.stream.voice(False)
        self.feed(silence(0.15, self.rate_hz))

    async def next(self) -> SttResult:
        async with asyncio.timeout(IN_TIME_S):
            return await anext(self.results)

    async def confirmed(self) -> SttResult:
        """The answer to finalize."""
        self.stream.finalize()
        while not (result := await self.next()).from_finalize:
            pass
        return result


@pytest.fixture(params=[8000, 16000])
async def caller(ears: LocalEngine, request: pytest.FixtureRequest) -> AsyncIterator[Listener]:
    stream = await ears.stt.open(SttOptions(request.param))
    yield Listener(stream, request.param)
    await stream.close()


async def test_finalize_gives_the_whole_turn(caller: Listener) -> None:
    caller.feed(silence(1, caller.rate_hz))
    caller.say("conf-onlyperson")
    result = await caller.confirmed()
    assert words(result.text) == words("You are currently the only person in this conference")
    assert not result.is_final


async def test_the_text_is_made_when_voice_ends(caller: Listener) -> None:
    caller.say("conf-getpin")
    result = await caller.next()
    while "number" not in result.text.lower():
        result = await caller.next()
    assert not result.from_finalize
    caller.stream.finalize()
    again = await caller.next()
    assert again.from_finalize
    assert again.text == result.text


async def test_interims_come_while_the_caller_speaks(caller: Listener) -> None:
    caller.stream.voice(True)
    caller.feed(prompt("conf-onlyperson", caller.rate_hz))
    result = await caller.next()
    assert not result.is_final
    assert not result.from_finalize
    assert "you" in words(result.text)


async def test_a_turn_grows_until_it_is_committed(caller: Listener) -> None:
    caller.say("conf-onlyperson")
    first = await caller.confirmed()
    caller.feed(silence(0.5, caller.rate_hz))
    caller.say("auth-thankyou")
    both = await caller.confirmed()
    assert "conference" in first.text.lower()
    assert "conference" in both.text.lower()
    assert "thank you" in both.text.lower()
    caller.stream.commit()
    caller.say("vm-sorry")
    fresh = await caller.confirmed()
    assert words(fresh.text) == words("I'm sorry I did not understand your response")


async def test_commit_answers_nothing(caller: Listener) -> None:
    caller.say("auth-thankyou")
    await caller.confirmed()
    caller.stream.commit()
    result = await caller.confirmed()
    assert (result.text, result.audio_s) == ("", 0.0)


async def test_speech_that_began_before_the_commit_is_kept(caller: Listener) -> None:
    caller.say("auth-thankyou")
    await caller.confirmed()
    caller.stream.voice(True)
    caller.feed(prompt("vm-sorry", caller.rate_hz))
    caller.stream.commit()
    caller.stream.voice(False)
    result = await caller.confirmed()
    assert "understand" in result.text
    assert "thank" not in result.text.lower()


@pytest.mark.parametrize("sound", [silence, noise])
async def test_without_voice_there_is_no_text(caller: Listener, sound: object) -> None:
    made = silence(3, caller.rate_hz) if sound is silence else noise(3, caller.rate_hz)
    caller.feed(made)
    result = await caller.confirmed()
    assert result == SttResult("", is_final=False, from_finalize=True)


async def test_finalize_while_the_caller_speaks(caller: Listener) -> None:
    caller.stream.voice(True)
    caller.feed(prompt("conf-onlyperson", caller.rate_hz))
    assert "conference" in (await caller.confirmed()).text
    caller.feed(prompt("auth-thankyou", caller.rate_hz))
    caller.stream.voice(False)
    assert "thank you" in (await caller.confirmed()).text.lower()


async def test_a_long_turn_is_settled_at_a_pause(caller: Listener) -> None:
    caller.stream.voice(True)
    caller.feed(prompt("queue-periodic-announce", caller.rate_hz) + prompt("conf-invalid", caller.rate_hz))
    caller.feed(silence(1, caller.rate_hz))
    caller.stream.voice(False)
    results = [await caller.next()]
    while not results[-1].is_final:
        results.append(await caller.next())
    assert "try again" in results[-1].text
    caller.feed(silence(0.5, caller.rate_hz))
    caller.say("auth-thankyou")
    result = await caller.confirmed()
    assert words(result.text) == ["thank", "you"]


async def test_a_turn_without_a_pause_is_cut(caller: Listener) -> None:
    caller.stream.voice(True)
    for name in ("queue-periodic-announce", "conf-invalid", "agent-alreadyon", "conf-onlyperson"):
        caller.feed(prompt(name, caller.rate_hz))
    caller.stream.voice(False)
    first = await caller.next()
    while not first.is_final:
        first = await caller.next()
    rest = await caller.confirmed()
    together = words(f"{first.text} {rest.text}")
    assert together[:3] == ["all", "of", "our"]
    assert together[-2:] == ["this", "conference"]


async def test_close_ends_the_results(ears: LocalEngine) -> None:
    stream = await ears.stt.open(SttOptions(16000))
    stream.voice(True)
    stream.feed(prompt("conf-onlyperson", 16000))
    stream.voice(False)
    stream.finalize()
    await stream.close()
    async with asyncio.timeout(1):
        assert [result async for result in stream.results()] == []
    await stream.close()
    stream.feed(silence(1))
    stream.finalize()


async def test_an_unknown_rate_is_refused(ears: LocalEngine) -> None:
    with pytest.raises(ProviderError) as failure:
        await ears.stt.open(SttOptions(44100))
    assert failure.value.code == "bad_request"


async def test_a_role_that_was_not_loaded_says_so(voice: LocalEngine) -> None:
    with pytest.raises(ProviderError) as failure:
        await voice.stt.open(SttOptions(16000))
    assert failure.value.code == "not_loaded"
