"""What every recogniser must do. A test file inherits HearingContract and gives `speech`, or, for one behind a wire,
SttContract and gives `wire` (fixtures).

Between a recogniser and its simulated vendor stands a proxy that breaks the line.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from aywa.ports.errors import CODES, ProviderError
from aywa.ports.stt import Stt, SttOptions, SttResult, SttStream
from aywa.testing.fault_proxy import Deed, FaultProxy, NetworkFault
from aywa.testing.vendors.plan import Break, Plan, Trouble
from aywa.testing.vendors.server import SimulatedVendors

KEY = "sim-very-secret"
WRONG_KEY = "sk-not-a-right-one"
QUICK = {"partial_s": 0.02, "lag_s": 0.05, "finalize_s": 0.01, "final_s": 0.2}
SENTENCES = ["one two three", "four five six"]
FRAME_S = 0.02
# Audio is fed so much faster than it is spoken.
FASTER = 10


@dataclass(frozen=True)
class Wire:
    """make(url, key): the recogniser. route: of its plans. refusals: status and vendor's code to ours. warms: a stream is
    opened ahead. extra: the assistant's transcriber."""

    route: str
    make: Callable[[str, str], Stt]
    refusals: dict[tuple[int, str], tuple[str, bool]]
    rate_hz: int = 8000
    warms: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> SttOptions:
        return SttOptions(self.rate_hz, extra=self.extra)


@dataclass
class Scene:
    """A recogniser, the line and the vendor behind it."""

    wire: Wire
    stt: Stt
    proxy: FaultProxy
    vendors: SimulatedVendors

    async def open(self) -> SttStream:
        async with asyncio.timeout(5):
            return await self.stt.open(self.wire.options)

    def plan(self, trouble: Trouble | None = None, **extra: Any) -> None:
        said = {"sentences": SENTENCES, **QUICK, **extra}
        self.vendors.plans.set(self.wire.route, Plan(trouble=trouble, extra=said))


@asynccontextmanager
async def scene(wire: Wire, key: str = KEY) -> AsyncIterator[Scene]:
    async with (
        asyncio.timeout(30),
        SimulatedVendors() as vendors,
        FaultProxy(vendors.url) as proxy,
    ):
        stt = wire.make(proxy.url, key)
        made = Scene(wire, stt, proxy, vendors)
        made.plan()
        try:
            yield made
        finally:
            await stt.close()


def tone(seconds: float, rate_hz: int) -> bytes:
    """A voice, for an ear that goes by the level."""
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    return (8000 * np.sin(t * 2 * np.pi * 300)).astype("<i2").tobytes()


def plain(text: str) -> list[str]:
    """The words as they are compared."""
    return "".join(c for c in text.lower() if c.isalnum() or c == " ").split()


@dataclass(frozen=True)
class Speech:
    """A recogniser, and what two sentences sound like and say."""

    stt: Stt
    options: SttOptions
    one: tuple[bytes, str]
    two: tuple[bytes, str]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        listener = Listener(await self.stt.open(self.options), self.options.rate_hz)
        try:
            yield listener
        finally:
            await listener.close()


class Listener:
    """Takes the results of a stream as they come."""

    def __init__(self, stream: SttStream, rate_hz: int) -> None:
        self.stream = stream
        self.results: list[SttResult] = []
        self.error: ProviderError | None = None
        self._rate_hz = rate_hz
        self._task = asyncio.ensure_future(self._take())

    async def _take(self) -> None:
        try:
            async for result in self.stream.results():
                self.results += [result]
        except ProviderError as error:
            self.error = error

    @property
    def finals(self) -> list[str]:
        return [r.text for r in self.results if r.is_final and r.text]

    @property
    def text(self) -> str:
        """As the turn puts it together."""
        finals, partial = [], ""
        for result in self.results:
            if result.is_final:
                finals.append(result.text)
                partial = ""
            elif result.text or result.from_finalize:
                partial = result.text or partial
        return " ".join(part for part in (*finals, partial) if part)

    async def say(self, pcm: bytes) -> None:
        """As a call feeds it, with the voice detector's word."""
        self.stream.voice(True)
        await self.feed(pcm)
        self.stream.voice(False)

    async def feed(self, pcm: bytes) -> None:
        step = round(self._rate_hz * FRAME_S) * 2
        for at in range(0, len(pcm), step):
            self.stream.feed(pcm[at : at + step])
            await asyncio.sleep(FRAME_S / FASTER)

    async def speak(self, seconds: float, *, loud: bool = True) -> None:
        size = round(self._rate_hz * seconds)
        await self.feed(tone(seconds, self._rate_hz) if loud else bytes(2 * size))

    async def ask(self) -> None:
        """For all words, where that can be asked; else until a final comes by itself."""
        before = len(self.results)
        self.stream.finalize()
        await self.until(lambda: any(r.from_finalize or r.is_final for r in self.results[before:]))

    async def until(self, met: Callable[[], bool]) -> None:
        """Feeds silence until something has come."""
        async with asyncio.timeout(10):
            while not met():
                await self.speak(FRAME_S, loud=False)

    async def over(self) -> ProviderError | None:
        async with asyncio.timeout(10):
            await self._task
        return self.error

    async def close(self) -> float:
        began_s = time.monotonic()
        await self.stream.close()
        await self._task
        return time.monotonic() - began_s


@asynccontextmanager
async def listening(at: Scene) -> AsyncIterator[Listener]:
    listener = Listener(await at.open(), at.wire.rate_hz)
    try:
        yield listener
    finally:
        await listener.close()


def check(error: ProviderError | None, at: Scene, *codes: str, retryable: bool | None = None) -> None:
    """An error says what an error must, and nothing else."""
    assert error is not None
    assert error.code in CODES
    assert error.code in codes
    assert error.route == at.stt.name
    assert str(error).startswith(f"{at.stt.name}: ")
    if retryable is not None:
        assert error.retryable is retryable
    chain: BaseException | None = error
    while chain is not None:
        for secret in (KEY, WRONG_KEY, "three"):
            assert secret not in str(chain) + repr(chain)
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)


class HearingContract:
    async def test_what_is_said_is_heard(self, speech: Speech) -> None:
        async with speech.listening() as heard:
            await heard.speak(0.4, loud=False)
            await heard.say(speech.one[0])
            await heard.speak(0.1, loud=False)
            await heard.ask()
            assert plain(heard.text) == plain(speech.one[1])

    async def test_silence_gives_no_text(self, speech: Speech) -> None:
        async with speech.listening() as heard:
            await heard.speak(2.0, loud=False)
            heard.stream.finalize()
            await heard.speak(1.0, loud=False)
            assert heard.error is None
            assert all(not r.text and not r.words for r in heard.results)
            if speech.stt.capabilities.finalize:
                assert any(r.from_finalize for r in heard.results)

    async def test_asked_again_it_tells_nothing_else(self, speech: Speech) -> None:
        async with speech.listening() as heard:
            await heard.say(speech.one[0])
            await heard.speak(0.1, loud=False)
            await heard.ask()
            if speech.stt.capabilities.finalize:
                await heard.speak(0.1, loud=False)
                await heard.ask()
            assert plain(heard.text) == plain(speech.one[1])

    async def test_after_a_turn_was_taken_the_next_is_heard_alone(self, speech: Speech) -> None:
        async with speech.listening() as heard:
            await heard.say(speech.one[0])
            await heard.speak(0.1, loud=False)
            await heard.ask()
            heard.stream.commit()
            heard.results.clear()
            await heard.speak(1.2, loud=False)
            await heard.say(speech.two[0])
            await heard.speak(0.1, loud=False)
            await heard.ask()
            assert plain(heard.text) == plain(speech.two[1])

    async def test_close_ends_the_results_in_time(self, speech: Speech) -> None:
        async with speech.listening() as heard:
            await heard.say(speech.one[0])
            assert await heard.close() < 1.0
            assert heard.error is None


class SttContract(HearingContract):
    @pytest.fixture
    async def speech(self, wire: Wire) -> AsyncIterator[Speech]:
        said = tone(1.0, wire.rate_hz)
        async with scene(wire) as at:
            yield Speech(at.stt, wire.options, (said, SENTENCES[0]), (said, SENTENCES[1]))

    # --- what is heard ---------------------------------------------------------------------------------------------

    async def test_what_is_said_is_heard_and_finals_never_change(self, wire: Wire) -> None:
        async with scene(wire) as at, listening(at) as heard:
            await heard.speak(1.0)
            await heard.until(lambda: len(heard.finals) == 1)
            assert heard.text == "one two three"
            await heard.speak(1.2, loud=False)
            assert heard.text == "one two three"
            await heard.speak(1.0)
            await heard.until(lambda: heard.text == "one two three four five six")
            await heard.speak(0.6, loud=False)
            assert heard.text == "one two three four five six"
            assert any(not r.is_final for r in heard.results)

    async def test_asked_it_tells_all_words_at_once(self, wire: Wire) -> None:
        async with scene(wire) as at:
            if not at.stt.capabilities.finalize:
                return
            at.plan(final_s=9.0, lag_s=0.1)
            async with listening(at) as heard:
                await heard.speak(1.0)
                await heard.speak(0.1, loud=False)
                heard.stream.finalize()
                await heard.until(lambda: any(r.from_finalize for r in heard.results))
                assert heard.text == "one two three"
                before = len(heard.results)
                await heard.speak(0.1, loud=False)
                heard.stream.finalize()
                await heard.until(lambda: any(r.from_finalize for r in heard.results[before:]))
                assert heard.text == "one two three"

    async def test_after_a_turn_was_taken_it_begins_afresh(self, wire: Wire) -> None:
        async with scene(wire) as at:
            at.plan(final_s=0.4, sentences=["one two three four five six seven"])
            async with listening(at) as heard:
                while "two" not in heard.text:
                    await heard.speak(0.02)
                taken = heard.text
                heard.stream.commit()
                heard.results.clear()
                await heard.speak(1.2)
                await heard.until(lambda: heard.text.endswith("seven"))
                assert f"{taken} {heard.text}" == "one two three four five six seven"

    async def test_word_times_count_from_the_first_sample(self, wire: Wire) -> None:
        async with scene(wire) as at:
            if not at.stt.capabilities.word_times:
                return
            async with listening(at) as heard:
                await heard.speak(0.5, loud=False)
                await heard.speak(1.0)
                await heard.until(lambda: bool(heard.finals))
                (final,) = [r for r in heard.results if r.is_final and r.text]
                assert [w.text for w in final.words] == ["one", "two", "three"]
                assert final.words[0].start_s == pytest.approx(0.5, abs=0.05)
                assert final.words[-1].end_s == pytest.approx(1.4, abs=0.15)

    # --- the end ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("deed", [None, Deed.STALL, Deed.SWALLOW, Deed.CUT])
    async def test_close_takes_less_than_a_second_and_the_far_side_sees_it(
        self, wire: Wire, deed: Deed | None
    ) -> None:
        async with scene(wire) as at:
            heard = Listener(await at.open(), wire.rate_hz)
            await heard.speak(0.3)
            if deed is not None:
                at.proxy.do(deed)
                heard.stream.feed(bytes(200_000))
            assert await heard.close() < 1.0
            if deed in (None, Deed.SWALLOW):
                async with asyncio.timeout(1):
                    await at.proxy.lines[0].client_left.wait()
            # Feeding goes on until whoever feeds has heard of it.
            heard.stream.feed(bytes(3200))
            heard.stream.finalize()
            heard.stream.commit()
            heard.stream.voice(True)

    async def test_a_closed_stream_is_silent(self, wire: Wire) -> None:
        async with scene(wire) as at:
            heard = Listener(await at.open(), wire.rate_hz)
            await heard.speak(0.5)
            await heard.close()
            assert heard.error is None
            told = len(heard.results)
            await asyncio.sleep(0.1)
            assert len(heard.results) == told

    @pytest.mark.parametrize("deed", [Deed.CUT, Deed.RESET])
    async def test_a_cut_may_be_tried_again(self, wire: Wire, deed: Deed) -> None:
        async with scene(wire) as at, listening(at) as heard:
            await heard.speak(0.5)
            at.proxy.do(deed)
            check(await heard.over(), at, "cut_short", "closed", retryable=True)

    async def test_a_far_side_that_does_not_read_is_bounded(self, wire: Wire) -> None:
        async with scene(wire) as at, listening(at) as heard:
            at.proxy.do(Deed.STALL, "up")
            for _ in range(2_000):
                heard.stream.feed(bytes(32_000))
                await asyncio.sleep(0)
                if heard.error is not None:
                    break
            check(await heard.over(), at, "slow", retryable=True)

    # --- refusals --------------------------------------------------------------------------------------------------

    async def test_a_wrong_key_is_told_in_plain_words(
        self, wire: Wire, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with scene(wire, WRONG_KEY) as at:
            with pytest.raises(ProviderError) as error:
                await at.open()
            check(error.value, at, "unauthorized", retryable=False)
            assert "check" in str(error.value)
            assert WRONG_KEY not in repr(at.stt)
        assert WRONG_KEY not in caplog.text

    async def test_refusals_have_codes(self, wire: Wire) -> None:
        async with scene(wire) as at:
            for (status, code), (ours, retryable) in wire.refusals.items():
                at.plan(Trouble(Break.REFUSE, status=status, code=code, retry_after_s=3.0))
                with pytest.raises(ProviderError) as error:
                    await at.open()
                check(error.value, at, ours, retryable=retryable)

    @pytest.mark.parametrize(
        ("kind", "codes"),
        [
            (Break.HTML, ("not_a_stream", "refused")),
            (Break.CUT, ("unreachable",)),
        ],
    )
    async def test_a_handshake_that_goes_wrong(self, wire: Wire, kind: Break, codes: tuple[str, ...]) -> None:
        async with scene(wire) as at:
            at.plan(Trouble(kind))
            with pytest.raises(ProviderError) as error:
                await at.open()
            check(error.value, at, *codes)

    async def test_a_cancelled_open_leaves_nothing(self, wire: Wire) -> None:
        async with scene(wire) as at:
            at.plan(Trouble(Break.STALL))
            opening = asyncio.ensure_future(at.stt.open(wire.options))
            while not at.vendors.world.log:  # noqa: ASYNC110 - it is about to come
                await asyncio.sleep(0.01)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            async with asyncio.timeout(1):
                await at.proxy.lines[0].client_left.wait()

    @pytest.mark.parametrize(
        ("kind", "codes"),
        [
            (Break.GARBAGE, ("malformed",)),
            (Break.HTML, ("malformed",)),
            (Break.NON_UTF8, ("malformed",)),
            (Break.ENDLESS, ("malformed", "overlong")),
            (Break.CUT, ("cut_short",)),
        ],
    )
    @pytest.mark.parametrize("after", [0, 1])
    async def test_a_stream_that_goes_wrong(
        self, wire: Wire, kind: Break, codes: tuple[str, ...], after: int
    ) -> None:
        async with scene(wire) as at:
            at.plan(Trouble(kind, after=after))
            async with listening(at) as heard:
                for _ in range(100):
                    if heard.error is not None:
                        break
                    await heard.speak(0.1)
                check(await heard.over(), at, *codes, retryable=True)

    async def test_an_address_that_is_none_or_where_nobody_is(self, wire: Wire) -> None:
        async with scene(wire) as at:
            at.proxy.stop_listening()
            with pytest.raises(ProviderError) as nobody:
                await at.open()
            check(nobody.value, at, "unreachable", retryable=True)
            nowhere = wire.make("http://127.0.0.1:99999", KEY)
            with pytest.raises(ProviderError) as bad:
                await nowhere.open(wire.options)
            assert (bad.value.code, bad.value.retryable) == ("bad_url", False)
            broken = wire.make(at.vendors.url, "sim-\r\nX: y")
            with pytest.raises(ProviderError) as key:
                await broken.open(wire.options)
            assert key.value.code in ("bad_key", "bad_request")
            assert not key.value.retryable
            elsewhere = wire.make(at.vendors.url + "/nothing-here", KEY)
            with pytest.raises(ProviderError) as missing:
                await elsewhere.open(wire.options)
            assert (missing.value.code, missing.value.retryable) == ("not_found", False)

    async def test_a_line_that_is_refused_or_dead_is_unreachable(self, wire: Wire) -> None:
        async with scene(wire) as at:
            at.proxy.plan.append(NetworkFault(refuse=True))
            with pytest.raises(ProviderError) as error:
                await at.open()
            check(error.value, at, "unreachable", retryable=True)
            # The next one is well.
            async with listening(at) as heard:
                await heard.speak(1.0)
                await heard.until(lambda: bool(heard.finals))

    async def test_nothing_that_is_secret_is_logged(
        self, wire: Wire, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        logging.getLogger("asyncio").setLevel(logging.WARNING)
        async with scene(wire) as at, listening(at) as heard:
            await heard.speak(1.0)
            await heard.until(lambda: bool(heard.finals))
            at.proxy.do(Deed.RESET)
            await heard.over()
            assert KEY not in repr(heard.stream) + repr(at.stt)
        ours = [r.getMessage() for r in caplog.records if r.name.startswith(("aywa.adapters", "picows"))]
        assert all(KEY not in text and "three" not in text for text in ours)

    # --- connections -----------------------------------------------------------------------------------------------

    async def test_a_stream_that_was_warmed_is_there_at_once(self, wire: Wire) -> None:
        async with scene(wire) as at:
            await at.stt.warm(wire.options)
            dialled = at.proxy.connections
            assert dialled == (1 if wire.warms else 0)
            async with listening(at) as heard:
                assert at.proxy.connections == 1
                await heard.speak(1.0)
                await heard.until(lambda: bool(heard.finals))
            at.proxy.stop_listening()
            await at.stt.warm(wire.options)

    async def test_what_was_warmed_in_vain_is_closed(self, wire: Wire) -> None:
        async with scene(wire) as at:
            await at.stt.warm(wire.options)
            await at.stt.close()
            async with asyncio.timeout(1):
                for line in at.proxy.lines:
                    await line.client_left.wait()
