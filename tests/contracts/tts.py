"""What every voice must do, whatever its wire, through a line that breaks. A test file makes a class of TtsContract, says
how the route is made and named, and inherits the tests."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, ClassVar, Protocol

import pytest

from aywa.adapters.wire.reserve import SPARE_LEAST
from aywa.core.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from aywa.ports.errors import CODES, Fault, ProviderError
from aywa.ports.stt import Word
from aywa.ports.tts import Tts, TtsChunk, TtsOptions
from aywa.testing.fault_proxy import Deed, FaultProxy, NetworkFault
from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors
from aywa.testing.vendors.voice import spoken
from aywa.testing.vendors.world import Asked

KEY = "sim-kept-0123456789"
WRONG_KEY = "wrong-kept-0123456789"
TEXT = "Good morning, this is the clinic. How may I help you today?"
OTHER = "Please hold the line."
VOICE = "sim-voice"
PATIENCE_S = 5.0
AT_ONCE_S = 1.0


class Dialling(Tts, Protocol):
    """One that counts its connections, and how many texts waited for one."""

    @property
    def connections(self) -> int: ...

    @property
    def waited(self) -> int: ...


class VoiceContract:
    """What holds for a voice without a wire, too. Fixture: tts."""

    rates_hz: ClassVar[tuple[int, ...]] = (8000, 16000, 24000)
    voice: ClassVar[str] = VOICE

    def options(self, rate_hz: int | None = None, **more: Any) -> TtsOptions:
        return TtsOptions(rate_hz or self.rates_hz[0], voice=self.voice, **more)

    async def say(self, tts: Tts, text: str = TEXT, options: TtsOptions | None = None) -> list[TtsChunk]:
        async with asyncio.timeout(PATIENCE_S):
            return [chunk async for chunk in tts.synthesize(text, options or self.options())]

    async def test_its_audio_is_whole_samples_with_its_words_in_order(self, tts: Tts) -> None:
        for rate_hz in self.rates_hz:
            chunks = await self.say(tts, options=self.options(rate_hz))
            assert {chunk.rate_hz for chunk in chunks} == {rate_hz}
            assert all(len(chunk.pcm) % 2 == 0 for chunk in chunks)
            words = [word for chunk in chunks for word in chunk.words]
            in_order(words, len(sound(chunks)) / 2 / rate_hz)
            assert [word.text for word in words] == (TEXT.split() if tts.capabilities.word_times else [])

    async def test_after_a_text_that_was_left_the_next_is_whole(self, tts: Tts) -> None:
        whole = sound(await self.say(tts, OTHER))
        chunks = tts.synthesize(TEXT, self.options())
        await anext(chunks)
        await chunks.aclose()  # type: ignore[attr-defined]
        assert len(sound(await self.say(tts, OTHER))) == len(whole)

    async def test_texts_at_once_are_each_as_alone(self, tts: Tts) -> None:
        alone = [len(sound(await self.say(tts, text))) for text in (TEXT, OTHER)]
        at_once = await asyncio.gather(self.say(tts, TEXT), self.say(tts, OTHER))
        assert [len(sound(chunks)) for chunks in at_once] == alone

    async def test_warming_it_never_fails(self, tts: Tts) -> None:
        await tts.warm(self.options())


class TtsContract(VoiceContract):
    """route: the simulator's name of a text's plan. wrong_key_code: what a wrong key gives."""

    route: ClassVar[str]
    mulaw: ClassVar[bool] = True
    """At 8 kHz the vendor gives mu-law."""
    framed: ClassVar[bool] = True
    """The audio comes in messages, so that what is none can be told; raw bytes can be anything."""
    shared: ClassVar[bool] = True
    """Many texts share a connection, also one that was left."""
    knows_models: ClassVar[bool] = True
    quota_code: ClassVar[str] = "quota_exceeded"

    def make(self, url: str, key: str = KEY, **settings: Any) -> Dialling:
        """The route to a simulator."""
        raise NotImplementedError

    def stopped(self, asked: Asked) -> bool:
        """The far side was told that nobody wants the text any more."""
        return asked.ended == "left"

    # --- what is tested ------------------------------------------------------------------------------------------

    @pytest.fixture
    async def vendors(self) -> AsyncIterator[SimulatedVendors]:
        async with SimulatedVendors() as vendors:
            yield vendors

    @pytest.fixture
    async def proxy(self, vendors: SimulatedVendors) -> AsyncIterator[FaultProxy]:
        async with FaultProxy(vendors.url) as proxy:
            yield proxy

    @pytest.fixture
    async def tts(self, proxy: FaultProxy) -> AsyncIterator[Dialling]:
        tts = self.make(proxy.url)
        yield tts
        await tts.close()

    def made(self, text: str, rate_hz: int | None = None) -> bytes:
        """What the simulator made of it, as it must arrive."""
        rate_hz = rate_hz or self.rates_hz[0]
        pcm, _ = spoken(text, rate_hz)
        return mulaw_to_pcm(pcm_to_mulaw(pcm)) if self.mulaw and rate_hz == 8000 else pcm

    async def fails(self, tts: Tts, text: str = TEXT, options: TtsOptions | None = None) -> ProviderError:
        """The error it must end with; nothing in it may be secret."""
        with pytest.raises(ProviderError) as caught:
            await self.say(tts, text, options)
        error = caught.value
        told = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__)
        assert KEY not in told
        assert WRONG_KEY not in told
        assert text not in told
        assert str(error).startswith(f"{tts.name}: ")
        assert error.code in CODES
        return error

    # --- sound ---------------------------------------------------------------------------------------------------

    async def test_its_audio_is_what_was_made_at_every_rate(self, tts: Tts) -> None:
        for rate_hz in self.rates_hz:
            chunks = await self.say(tts, options=self.options(rate_hz))
            assert sound(chunks) == self.made(TEXT, rate_hz)

    async def test_its_words_are_where_they_were_spoken(self, tts: Tts) -> None:
        for rate_hz in self.rates_hz:
            options = self.options(rate_hz, context=f"reply {rate_hz}", more=True)
            for text in (TEXT, OTHER):
                chunks = await self.say(tts, text, options)
                words = [word for chunk in chunks for word in chunk.words]
                if not tts.capabilities.word_times:
                    assert words == []
                    continue
                pcm, expected = spoken(text, rate_hz)
                assert [word.text for word in words] == text.split()
                for word, there in zip(words, expected, strict=True):
                    assert word.start_s == pytest.approx(there.start_s, abs=0.002)
                    assert word.end_s == pytest.approx(there.end_s, abs=0.002)
                in_order(words, len(pcm) / 2 / rate_hz)

    async def test_words_come_with_the_audio_that_they_begin_in(self, tts: Tts) -> None:
        at_s = 0.0
        for chunk in await self.say(tts):
            until_s = at_s + len(chunk.pcm) / 2 / chunk.rate_hz
            for word in chunk.words:
                # A word that is spelled across two pieces is known with the second.
                assert at_s - 0.5 <= word.start_s <= until_s + 0.002
            at_s = until_s

    async def test_audio_is_given_as_it_comes(self, vendors: SimulatedVendors, tts: Tts) -> None:
        vendors.plans.next(self.route, Plan(first_s=0.02, realtime=1.0))
        async with asyncio.timeout(AT_ONCE_S), aclosing(tts.synthesize(TEXT, self.options())) as chunks:  # type: ignore[type-var]
            chunk = await anext(chunks)
            assert 0 < len(chunk.pcm) / 2 / chunk.rate_hz < 0.5

    async def test_a_text_without_words_needs_nobody(self, vendors: SimulatedVendors, tts: Tts) -> None:
        for text in ("  ", "...", " - "):
            assert await self.say(tts, text) == []
        assert vendors.world.asked(self.route) == []

    # --- several texts -------------------------------------------------------------------------------------------

    async def test_texts_of_a_reply_follow_each_other(self, tts: Tts) -> None:
        first = await self.say(tts, TEXT, self.options(context="reply", more=True))
        second = await self.say(tts, OTHER, self.options(context="reply", more=False))
        assert sound(first) == self.made(TEXT)
        assert sound(second) == self.made(OTHER)

    async def test_texts_of_a_reply_that_are_asked_for_at_once_do_not_mix(
        self, vendors: SimulatedVendors, tts: Tts
    ) -> None:
        vendors.plans.set(self.route, Plan(first_s=0.01, realtime=20.0))
        texts = [TEXT, OTHER, "And a third one."]
        said = await asyncio.gather(
            *(self.say(tts, text, self.options(context="reply", more=True)) for text in texts)
        )
        for text, chunks in zip(texts, said, strict=True):
            assert sound(chunks) == self.made(text)
            if tts.capabilities.word_times:
                assert [word.text for chunk in chunks for word in chunk.words] == text.split()
                in_order([word for chunk in chunks for word in chunk.words], len(sound(chunks)) / 2 / 8000)

    async def test_many_calls_at_once_do_not_mix(self, vendors: SimulatedVendors, tts: Tts) -> None:
        vendors.plans.set(self.route, Plan(first_s=0.01, realtime=20.0, jitter=0.5))
        texts = [f"{TEXT} This is call number {number}." for number in range(12)]
        said = await asyncio.gather(
            *(self.say(tts, text, self.options(context=f"call {text}")) for text in texts)
        )
        for text, chunks in zip(texts, said, strict=True):
            assert sound(chunks) == self.made(text)

    # --- connections ---------------------------------------------------------------------------------------------

    async def test_only_the_first_text_waits_for_a_connection(
        self, vendors: SimulatedVendors, tts: Dialling
    ) -> None:
        for number in range(4):
            await self.say(tts, OTHER, self.options(context=f"reply {number}"))
        assert (tts.waited, tts.connections) == (1, 1 if self.shared else 1 + SPARE_LEAST)
        await comes_true(lambda: vendors.connections == tts.connections)

    async def test_a_warm_route_needs_no_handshake(self, proxy: FaultProxy, tts: Dialling) -> None:
        await tts.warm(self.options())
        await tts.warm(self.options())
        assert proxy.connections == tts.connections == (1 if self.shared else SPARE_LEAST)
        proxy.hold()
        await self.say(tts, OTHER)
        assert tts.waited == 0

    async def test_more_and_more_at_once_wait_for_no_handshake_and_nor_do_those_after_one_that_was_left(
        self, vendors: SimulatedVendors, proxy: FaultProxy, tts: Dialling
    ) -> None:
        vendors.plans.set(self.route, Plan(first_s=0.02, realtime=50.0))
        await tts.warm(self.options())
        for most in range(SPARE_LEAST, 5 * SPARE_LEAST, SPARE_LEAST):
            # Whoever needed a new connection now would not be heard.
            proxy.hold()
            asked = len(vendors.world.asked(self.route)) + most
            said = [asyncio.create_task(self.say(tts, OTHER)) for _ in range(most)]
            await comes_true(lambda asked=asked: len(vendors.world.asked(self.route)) == asked)  # type: ignore[misc]
            said[0].cancel()
            _, *heard = await asyncio.gather(*said, return_exceptions=True)
            assert [sound(chunks) for chunks in heard] == [self.made(OTHER)] * (most - 1)  # type: ignore[arg-type]
            proxy.release()
            await tts.warm(self.options())
            await comes_true(lambda: vendors.connections == tts.connections)
        assert tts.waited == 0
        # Those that were used at once, those that were left, and the spare ones: not one for each text.
        assert tts.connections <= (3 if self.shared else most + SPARE_LEAST + 4)

    async def test_a_connection_that_died_meanwhile_is_replaced_at_once(
        self, proxy: FaultProxy, tts: Tts
    ) -> None:
        for deed in (Deed.CUT, Deed.RESET):
            await self.say(tts, OTHER)
            proxy.do(deed)
            assert sound(await self.say(tts)) == self.made(TEXT)

    async def test_warming_a_route_that_is_not_there_says_nothing(self, proxy: FaultProxy, tts: Tts) -> None:
        proxy.fault = NetworkFault(refuse=True)
        await tts.warm(self.options())

    # --- leaving -------------------------------------------------------------------------------------------------

    async def test_an_abandoned_text_is_stopped_at_once_and_the_next_is_whole(
        self, vendors: SimulatedVendors, tts: Dialling
    ) -> None:
        vendors.plans.next(self.route, Plan(realtime=2.0))
        chunks = tts.synthesize(TEXT, self.options(context="reply", more=True))
        await anext(chunks)
        await chunks.aclose()  # type: ignore[attr-defined]
        asked = vendors.world.asked(self.route)[-1]
        await comes_true(lambda: self.stopped(asked))
        assert sound(await self.say(tts, OTHER, self.options(context="reply"))) == self.made(OTHER)
        # Only the first text did.
        assert tts.waited == 1

    async def test_a_text_that_is_abandoned_before_its_first_audio_is_stopped_too(
        self, vendors: SimulatedVendors, tts: Tts
    ) -> None:
        vendors.plans.next(self.route, Plan(trouble=Trouble(Break.STALL)))
        task = asyncio.create_task(self.say(tts))
        await comes_true(lambda: bool(vendors.world.asked(self.route)))
        task.cancel()
        await asyncio.wait([task])
        asked = vendors.world.asked(self.route)[-1]
        await comes_true(lambda: self.stopped(asked))
        assert sound(await self.say(tts, OTHER)) == self.made(OTHER)

    async def test_closing_ends_what_is_being_spoken(self, vendors: SimulatedVendors, tts: Tts) -> None:
        vendors.plans.next(self.route, Plan(realtime=1.0))
        chunks = tts.synthesize(TEXT, self.options())
        await anext(chunks)
        async with asyncio.timeout(AT_ONCE_S):
            await tts.close()
        with pytest.raises(ProviderError) as caught:
            await rest(chunks)
        assert not caught.value.retryable
        assert (await self.fails(tts)).fault is Fault.RUNTIME

    async def test_closing_ends_who_waits_for_a_connection(self, proxy: FaultProxy, tts: Tts) -> None:
        proxy.fault = NetworkFault(half_open=True)
        waiting = [asyncio.create_task(self.say(tts)) for _ in range(3)]
        await comes_true(lambda: proxy.connections > 0)
        async with asyncio.timeout(AT_ONCE_S):
            await tts.close()
            ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [getattr(error, "code", error) for error in ended] == ["closed"] * 3

    async def test_who_stops_waiting_for_a_connection_leaves_it_to_the_others(
        self, vendors: SimulatedVendors, proxy: FaultProxy, tts: Tts
    ) -> None:
        first, second = (asyncio.create_task(self.say(tts, text)) for text in (TEXT, OTHER))
        await comes_true(lambda: proxy.connections > 0)
        first.cancel()
        assert sound(await second) == self.made(OTHER)
        await asyncio.wait([first])

    async def test_closing_waits_for_nobody(
        self, vendors: SimulatedVendors, proxy: FaultProxy, tts: Tts
    ) -> None:
        await self.say(tts, OTHER)
        proxy.do(Deed.STALL)
        async with asyncio.timeout(AT_ONCE_S):
            await tts.close()

    # --- lines that break ----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("deed", [Deed.CUT, Deed.RESET])
    async def test_a_line_that_breaks_in_the_middle_may_be_tried_again(
        self, deed: Deed, vendors: SimulatedVendors, proxy: FaultProxy, tts: Tts
    ) -> None:
        vendors.plans.next(self.route, Plan(realtime=2.0))
        chunks = tts.synthesize(TEXT, self.options())
        heard = (await anext(chunks)).pcm
        proxy.do(deed)
        with pytest.raises(ProviderError) as caught:
            heard += sound(await rest(chunks))
        assert (caught.value.code, caught.value.retryable) == ("cut_short", True)
        assert self.made(TEXT).startswith(heard)
        assert sound(await self.say(tts, OTHER)) == self.made(OTHER)

    async def test_a_vendor_that_hangs_up_in_the_middle_may_be_tried_again(
        self, vendors: SimulatedVendors, tts: Tts
    ) -> None:
        vendors.plans.next(self.route, Plan(realtime=20.0, trouble=Trouble(Break.CUT, after=3)))
        error = await self.fails(tts)
        assert error.retryable
        assert len(vendors.world.asked(self.route)) == 1

    async def test_nobody_there(self, proxy: FaultProxy, tts: Tts) -> None:
        proxy.fault = NetworkFault(refuse=True)
        error = await self.fails(tts)
        assert (error.fault, error.retryable) == (Fault.NETWORK, True)

    async def test_a_line_slower_than_speech_gives_all_of_it(self, proxy: FaultProxy, tts: Tts) -> None:
        proxy.fault = NetworkFault(down_bytes_s=60_000)
        assert sound(await self.say(tts, OTHER)) == self.made(OTHER)

    # --- errors --------------------------------------------------------------------------------------------------

    async def test_a_wrong_key_is_named_and_never_shown(
        self, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(0)
        tts = self.make(proxy.url, WRONG_KEY)
        try:
            await tts.warm(self.options())
            error = await self.fails(tts)
            assert (error.code, error.fault, error.retryable) == ("unauthorized", Fault.CONFIG, False)
            assert error.mend
            assert WRONG_KEY not in repr(tts)
        finally:
            await tts.close()
        assert WRONG_KEY not in caplog.text

    async def test_a_key_with_a_line_end_is_not_sent(self, proxy: FaultProxy) -> None:
        tts = self.make(proxy.url, "sim-a\r\nb: c")
        try:
            error = await self.fails(tts)
            assert (error.code, error.retryable) == ("bad_key", False)
            assert proxy.connections == 0
        finally:
            await tts.close()

    @pytest.mark.parametrize("url", ["nonsense://x", "http://", "http://127.0.0.1:1 2/"])
    async def test_an_address_that_is_none(self, url: str) -> None:
        tts = self.make(url)
        try:
            error = await self.fails(tts)
            assert (error.code, error.retryable) == ("bad_url", False)
            assert "check" in error.mend
        finally:
            await tts.close()

    async def test_an_unknown_voice(self, tts: Tts) -> None:
        if not self.voice:
            return
        error = await self.fails(tts, options=replace(self.options(), voice="unknown-voice"))
        assert (error.code, error.fault, error.retryable) == ("unknown_voice", Fault.CONFIG, False)
        assert "voiceId" in error.mend

    async def test_an_unknown_model(self, tts: Tts) -> None:
        if not self.knows_models:
            return
        error = await self.fails(tts, options=self.options(extra={"model": "unknown-model"}))
        assert (error.code, error.fault, error.retryable) == ("unknown_model", Fault.CONFIG, False)
        assert "model" in error.mend

    async def test_a_used_up_quota(self, vendors: SimulatedVendors, tts: Tts) -> None:
        vendors.plans.next(self.route, Plan(trouble=Trouble(Break.REFUSE, status=402, code=self.quota_code)))
        error = await self.fails(tts)
        assert (error.code, error.fault, error.retryable) == ("quota", Fault.CONFIG, False)
        assert error.mend

    async def test_too_many_requests_may_be_tried_again(self, vendors: SimulatedVendors, tts: Tts) -> None:
        vendors.plans.next(self.route, Plan(trouble=Trouble(Break.REFUSE, status=429)))
        error = await self.fails(tts)
        assert (error.code, error.retryable) == ("rate_limited", True)

    async def test_a_vendor_in_trouble_may_be_tried_again(self, vendors: SimulatedVendors, tts: Tts) -> None:
        vendors.plans.next(self.route, Plan(trouble=Trouble(Break.REFUSE, status=503)))
        error = await self.fails(tts)
        assert (error.fault, error.retryable) == (Fault.PROVIDER, True)
        assert sound(await self.say(tts, OTHER)) == self.made(OTHER)

    async def test_a_page_in_place_of_audio(self, vendors: SimulatedVendors, tts: Tts) -> None:
        vendors.plans.next(self.route, Plan(trouble=Trouble(Break.HTML)))
        error = await self.fails(tts)
        assert error.code in ("malformed", "not_a_stream")

    @pytest.mark.parametrize("kind", [Break.GARBAGE, Break.NON_UTF8, Break.ENDLESS])
    @pytest.mark.parametrize("after", [None, 2])
    async def test_what_is_no_message(
        self, kind: Break, after: int | None, vendors: SimulatedVendors, tts: Tts
    ) -> None:
        if not self.framed:
            return
        vendors.plans.next(self.route, Plan(trouble=Trouble(kind, after=after)))
        error = await self.fails(tts)
        assert error.code in ("malformed", "overlong")
        assert error.fault is Fault.PROVIDER
        assert sound(await self.say(tts, OTHER)) == self.made(OTHER)

    async def test_audio_without_an_end_is_not_taken_for_ever(
        self, vendors: SimulatedVendors, tts: Tts
    ) -> None:
        if self.framed:
            return
        vendors.plans.next(self.route, Plan(trouble=Trouble(Break.ENDLESS)))
        error = await self.fails(tts)
        assert error.code == "overlong"


async def comes_true(condition: Callable[[], bool]) -> None:
    """Within AT_ONCE_S."""
    async with asyncio.timeout(AT_ONCE_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


async def rest(chunks: AsyncIterator[TtsChunk]) -> list[TtsChunk]:
    """What still comes, within PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        return [chunk async for chunk in chunks]


def sound(chunks: list[TtsChunk]) -> bytes:
    return b"".join(chunk.pcm for chunk in chunks)


def in_order(words: list[Word], length_s: float) -> None:
    at_s = 0.0
    for word in words:
        assert at_s <= word.start_s <= word.end_s <= length_s + 0.002
        at_s = word.start_s
