"""Stock phrases are made one after the other, by the assistant's voice if it can and by the runtime's until then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aywa.call.phrases import PhraseMaker
from aywa.call.replies import PhraseCache, ReplyRoutes
from aywa.core import events as ev
from aywa.core.commands import PreparePhrase
from aywa.ports.tts import TtsChunk, TtsOptions
from aywa.testing.scripted_providers import ScriptedLlm, ScriptedTts, broken

pytestmark = pytest.mark.virtual_time

RATE_HZ = 8000
ONE = PreparePhrase(0, "One moment, please.")
TWO = PreparePhrase(1, "Goodbye.")
STOCK = {ONE.text: b"\x01\x02" * 1600, TWO.text: b"\x03\x04" * 800}


@dataclass
class Made:
    """A maker and what it posted."""

    tts: Any = field(default_factory=ScriptedTts)
    stock: dict[str, bytes] = field(default_factory=dict)
    rate_hz: int = RATE_HZ
    phrases: PhraseCache = field(default_factory=PhraseCache)

    def __post_init__(self) -> None:
        self.posted: list[ev.Event] = []
        options = TtsOptions(self.rate_hz)
        routes = ReplyRoutes(ScriptedLlm(), self.tts, options, stock=self.stock, stock_rate_hz=RATE_HZ)
        self.maker = PhraseMaker(replace(routes, phrases=self.phrases), self.posted.append)

    async def make(self, *wanted: PreparePhrase) -> None:
        run = [self.maker.want(each) for each in wanted]
        assert run == [True] + [False] * (len(wanted) - 1)
        await self.maker.run()

    @property
    def told(self) -> list[tuple[str, str]]:
        assert all(isinstance(event, ev.PhrasePrepared) for event in self.posted)
        return [(e.text, e.source) for e in self.posted if isinstance(e, ev.PhrasePrepared)]


async def test_each_is_made_by_the_assistants_voice_with_its_words() -> None:
    made = Made()
    await made.make(ONE, TWO)
    assert made.told == [(ONE.text, "voice"), (TWO.text, "voice")]
    [first, second] = [e for e in made.posted if isinstance(e, ev.PhrasePrepared)]
    assert (first.phrase_id, second.phrase_id) == (0, 1)
    assert [word.text for word in first.words] == ONE.text.split()
    assert first.samples == len(made.maker.audio[0, "voice"]) // 2 == round(0.9 * RATE_HZ)


async def test_they_are_made_one_after_the_other() -> None:
    most = now_running = 0

    class Tts(ScriptedTts):
        async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
            nonlocal most, now_running
            now_running += 1
            most = max(most, now_running)
            async for chunk in ScriptedTts.synthesize(self, text, options):
                yield chunk
            now_running -= 1

    made = Made(Tts(first_audio_s=0.5))
    await made.make(ONE, TWO)
    assert most == 1
    assert asyncio.get_running_loop().time() == pytest.approx(1.0)


async def test_the_runtimes_voice_stands_in_until_the_assistants_has_made_it() -> None:
    made = Made(ScriptedTts(first_audio_s=2.0), STOCK)
    making = asyncio.create_task(made.make(ONE, TWO))
    await asyncio.sleep(0)
    assert made.told == [(ONE.text, "stock"), (TWO.text, "stock")]
    await making
    assert made.told[2:] == [(ONE.text, "voice"), (TWO.text, "voice")]
    # Both are kept: one may be on its way to the caller while the other comes.
    assert set(made.maker.audio) == {(0, "stock"), (0, "voice"), (1, "stock"), (1, "voice")}


async def test_the_runtimes_voice_is_heard_at_the_calls_rate() -> None:
    made = Made(stock=STOCK, rate_hz=16000)
    made.maker.want(ONE)
    assert len(made.maker.audio[0, "stock"]) == pytest.approx(2 * len(STOCK[ONE.text]), abs=4)


DEATHS: list[Callable[[], BaseException]] = [
    lambda: broken("tts"),
    lambda: RuntimeError("boom"),
    lambda: TimeoutError(),
    lambda: ExceptionGroup("many", [ValueError()]),
    lambda: asyncio.CancelledError(),
]


@pytest.mark.parametrize("death", DEATHS, ids=["provider", "error", "timeout", "group", "cancelled"])
@pytest.mark.parametrize("stock", [{}, STOCK], ids=["bare", "stocked"])
async def test_a_voice_that_breaks_costs_its_own_phrase_only(
    death: Callable[[], BaseException], stock: dict[str, bytes]
) -> None:
    class Tts(ScriptedTts):
        async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
            if text == ONE.text:
                raise death()
            async for chunk in ScriptedTts.synthesize(self, text, options):
                yield chunk

    made = Made(Tts(), stock)
    await made.make(ONE, TWO)
    by_stock = [(each.text, "stock") for each in (ONE, TWO) if stock]
    assert made.told == [*by_stock, (TWO.text, "voice")]


async def test_a_voice_that_never_answers_is_not_awaited_for_ever() -> None:
    made = Made(ScriptedTts(first_audio_s=1000.0))
    await made.make(ONE, TWO)
    assert made.told == []
    assert asyncio.get_running_loop().time() == pytest.approx(2 * 3.0)


async def test_a_phrase_without_a_sample_is_not_there() -> None:
    class Tts(ScriptedTts):
        async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
            yield TtsChunk(b"", options.rate_hz)

    made = Made(Tts())
    await made.make(ONE)
    assert (made.told, made.maker.audio) == ([], {})


async def test_a_phrase_of_which_only_the_first_words_were_made_is_not_there() -> None:
    asked: list[str] = []

    class Tts(ScriptedTts):
        async def synthesize(self, text: str, options: TtsOptions) -> AsyncIterator[TtsChunk]:
            asked.append(text)
            if len(asked) > 1:
                return
            async for chunk in ScriptedTts.synthesize(self, text, options):
                yield chunk
            # Whether the last word is whole is not known.
            await asyncio.sleep(0.1)
            raise broken("tts")

    made = Made(Tts(), STOCK)
    await made.make(ONE)
    assert set(asked) == {ONE.text, "please."}
    assert made.told == [(ONE.text, "stock")]


async def test_whoever_ends_the_call_ends_this_too() -> None:
    made = Made(ScriptedTts(first_audio_s=2.0))
    making = asyncio.create_task(made.make(ONE))
    await asyncio.sleep(0.5)
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
    assert making.cancelled()
    assert made.told == []


async def test_what_is_wanted_later_is_made_too() -> None:
    made = Made()
    await made.make(ONE)
    await made.make(TWO)
    assert made.told == [(ONE.text, "voice"), (TWO.text, "voice")]


async def test_calls_with_the_same_voice_share_what_was_made() -> None:
    phrases, tts = PhraseCache(most=2), ScriptedTts()
    for _ in range(2):
        await Made(tts, phrases=phrases).make(ONE, TWO)
    assert tts.spoken == [ONE.text, TWO.text]
    await Made(tts, rate_hz=16000, phrases=phrases).make(ONE)
    assert tts.spoken[-1] == ONE.text
