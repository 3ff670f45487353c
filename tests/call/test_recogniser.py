"""A recogniser that breaks in any way is opened anew; audio waits meanwhile; whoever feeds it is never hit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from aywa.call import recogniser as module
from aywa.call.recogniser import EarRoute, Recogniser
from aywa.core import events as ev
from aywa.core.turns.transcript import TurnTranscript
from aywa.ports.stt import SttCapabilities, SttOptions, SttResult, SttStream, Word
from aywa.testing.scripted_providers import ScriptedStt, ScriptedSttStream, broken

pytestmark = pytest.mark.virtual_time

GIVEN_UP = "pipeline-error-custom-transcriber-failed"


class Stream(ScriptedSttStream):
    """Remembers what it was told. refuses: what every feeding method raises."""

    def __init__(self) -> None:
        super().__init__(0)
        self.told: list[Any] = []
        self.refuses: Exception | None = None

    def _take(self, what: Any) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.told.append(what)

    def feed(self, pcm: bytes) -> None:
        self._take(pcm)

    def voice(self, active: bool) -> None:
        self._take(active)

    def finalize(self) -> None:
        self._take("finalize")

    def commit(self) -> None:
        self._take("commit")

    def end(self) -> None:
        """The far side closes in order."""
        self._results.put_nowait(None)


@dataclass
class Stt:
    """open_s: how long each opening takes. errors: what the next openings raise."""

    open_s: float = 0.0
    errors: list[BaseException] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    opened_at: list[float] = field(default_factory=list)
    rates_hz: tuple[int, ...] = (16000, 8000)
    finalizes: bool = True
    name: str = "test-stt"

    @property
    def capabilities(self) -> SttCapabilities:
        return SttCapabilities(self.rates_hz, interims=True, finalize=self.finalizes, word_times=True)

    async def open(self, options: SttOptions) -> SttStream:
        self.opened_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.open_s)
        if self.errors:
            raise self.errors.pop(0)
        self.streams.append(Stream())
        return self.streams[-1]

    async def warm(self, options: SttOptions) -> None: ...

    async def close(self) -> None: ...


@contextlib.asynccontextmanager
async def listening(stt: Any) -> AsyncIterator[tuple[Recogniser, list[ev.Event]]]:
    posted: list[ev.Event] = []
    recogniser = Recogniser([EarRoute(stt)], "caller", 8000, posted.append)
    running = asyncio.create_task(recogniser.run())
    try:
        yield recogniser, posted
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await recogniser.close()


def fails(posted: list[ev.Event]) -> list[str]:
    return [event.code for event in posted if isinstance(event, ev.ChildFailed)]


async def test_what_it_heard_is_posted() -> None:
    stt = Stt()
    async with listening(stt) as (_, posted):
        await asyncio.sleep(0.1)
        words = (Word("hello", 0.1, 0.4),)
        stt.streams[0]._results.put_nowait(SttResult("hello", True, True, words, 0.9))
        await asyncio.sleep(0.1)
    assert posted == [ev.TranscriptReceived("caller", "hello", True, True, (("hello", 0.1, 0.4),), 0.9)]


@pytest.mark.parametrize(
    ("rates", "wanted"), [((16000, 8000), 8000), ((16000,), 16000), ((24000, 48000), 24000)]
)
async def test_the_rate_is_the_legs_where_the_recogniser_takes_it(
    rates: tuple[int, ...], wanted: int
) -> None:
    assert Recogniser([EarRoute(Stt(rates_hz=rates))], "caller", 8000, print).rate_hz == wanted


async def test_audio_waits_while_it_is_being_opened_and_the_oldest_goes_first() -> None:
    stt = Stt(open_s=0.5)
    async with listening(stt) as (recogniser, _):
        frames = [bytes([number]) for number in range(module.WAITING_FRAMES + 20)]
        for frame in frames:
            recogniser.feed(frame)
        recogniser.voice(True)
        await asyncio.sleep(1.0)
        assert stt.streams[0].told == [True, *frames[20:]]
        recogniser.feed(b"now")
        recogniser.voice(False)
        recogniser.finalize()
        recogniser.commit()
        assert stt.streams[0].told[-4:] == [b"now", False, "finalize", "commit"]


async def test_it_is_opened_anew_with_growing_waits_and_audio_waits_too() -> None:
    stt = Stt(errors=[broken("stt"), OSError(), TimeoutError(), asyncio.CancelledError()])
    async with listening(stt) as (recogniser, posted):
        recogniser.feed(b"early")
        await asyncio.sleep(10)
        assert stt.opened_at == [0, 0.25, 0.75, 1.75, 3.75]
        assert fails(posted) == ["unavailable", "OSError", "deadline", "cancelled"]
        assert stt.streams[0].told == [b"early"]
        assert not any(isinstance(event, ev.EndRequested) for event in posted)


async def test_it_gives_up_in_the_end_with_a_published_reason() -> None:
    stt = Stt(errors=[broken("stt")] * 99)
    async with listening(stt) as (recogniser, posted):
        for _ in range(600):
            recogniser.feed(b"frame")
            await asyncio.sleep(0.1)
        assert len(recogniser._kept.all()[1]) == module.WAITING_FRAMES
    assert len(stt.opened_at) == module.REOPEN_LIMIT + 1
    assert posted[-1] == ev.EndRequested(GIVEN_UP, "unavailable")


async def test_it_gives_up_at_once_when_trying_again_is_of_no_use() -> None:
    stt = Stt(errors=[broken("stt", "bad_key", retryable=False)])
    async with listening(stt) as (_, posted):
        await asyncio.sleep(10)
    assert len(stt.opened_at) == 1
    assert posted == [ev.ChildFailed("stt", "bad_key", repeats=True), ev.EndRequested(GIVEN_UP, "bad_key")]


async def test_a_break_now_and_then_in_a_long_call_is_not_a_row_of_breaks() -> None:
    stt = Stt()
    async with listening(stt) as (_, posted):
        for number in range(20):
            await asyncio.sleep(module.HEALTHY_S + 5)
            assert len(stt.streams) == number + 1
            stt.streams[-1].fail(broken("stt", "idle"))
        await asyncio.sleep(1)
        assert len(stt.streams) == 21
        assert not any(isinstance(event, ev.EndRequested) for event in posted)
        assert all(stream.closed for stream in stt.streams[:-1])


async def test_a_far_side_that_closes_in_order_is_a_break_too() -> None:
    stt = Stt()
    async with listening(stt) as (_, posted):
        await asyncio.sleep(1)
        stt.streams[0].end()
        await asyncio.sleep(1)
        assert len(stt.streams) == 2
        assert fails(posted) == ["closed"]


async def test_an_opening_without_end_is_a_break() -> None:
    stt = Stt(open_s=1000)
    async with listening(stt) as (_, posted):
        await asyncio.sleep(module.OPEN_S + 1)
        assert fails(posted) == ["deadline"]
        assert len(stt.opened_at) == 2


@pytest.mark.parametrize("method", ["feed", "voice", "finalize", "commit"])
@pytest.mark.parametrize(
    ("error", "code"), [(ConnectionResetError(), "ConnectionResetError"), (broken("stt"), "unavailable")]
)
async def test_whoever_feeds_it_is_not_hit_when_it_breaks(method: str, error: Exception, code: str) -> None:
    stt = Stt()
    async with listening(stt) as (recogniser, posted):
        await asyncio.sleep(1)
        stt.streams[0].refuses = error
        args = {"feed": (b"lost",), "voice": (True,)}.get(method, ())
        getattr(recogniser, method)(*args)
        recogniser.feed(b"kept")
        await asyncio.sleep(1)
        assert fails(posted) == [code]
        assert stt.streams[0].closed
        heard = [told for told in stt.streams[1].told if isinstance(told, bytes)]
        assert heard == [b"lost", b"kept"][method != "feed" :]
        recogniser.feed(b"next")
        assert stt.streams[1].told[-1] == b"next"


async def test_close_ends_the_stream_and_the_run() -> None:
    stt = Stt()
    posted: list[ev.Event] = []
    recogniser = Recogniser([EarRoute(stt)], "caller", 8000, posted.append)
    running = asyncio.create_task(recogniser.run())
    await asyncio.sleep(1)
    await recogniser.close()
    await running
    assert stt.streams[0].closed
    assert posted == []
    recogniser.feed(b"late")
    await recogniser.close()


async def test_close_while_it_is_being_opened() -> None:
    stt = Stt(open_s=1.0)
    recogniser = Recogniser([EarRoute(stt)], "caller", 8000, print)
    running = asyncio.create_task(recogniser.run())
    await asyncio.sleep(0.5)
    await recogniser.close()
    await running
    assert stt.streams[0].closed


@pytest.mark.parametrize("trouble", ["hangs", "raises"])
async def test_a_stream_that_does_not_close_does_not_hold_the_call(
    trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def close(self: Stream) -> None:
        if trouble == "raises":
            raise RuntimeError("no")
        await asyncio.sleep(1000)

    monkeypatch.setattr(Stream, "close", close)
    stt = Stt()
    async with listening(stt):
        await asyncio.sleep(1)
    assert asyncio.get_running_loop().time() <= 1 + 2 * module.CLOSE_S


async def test_the_scripted_recogniser_fits() -> None:
    stt = ScriptedStt()
    async with listening(stt) as (_, posted):
        await asyncio.sleep(0.1)
        stt.stream.say("mhm")
        await asyncio.sleep(0.1)
    assert [e.text for e in posted if isinstance(e, ev.TranscriptReceived)] == ["mhm"]


async def test_one_that_cannot_be_asked_is_not_asked_and_its_finals_after_the_voice_are_complete() -> None:
    stt = Stt(finalizes=False)
    async with listening(stt) as (recogniser, posted):
        await asyncio.sleep(0.1)
        recogniser.voice(True)
        stt.streams[0]._results.put_nowait(SttResult("hello", True))
        await asyncio.sleep(0.1)
        recogniser.voice(False)
        for _ in range(5):
            recogniser.finalize()
            await asyncio.sleep(module.ANSWER_S + 0.1)
        stt.streams[0]._results.put_nowait(SttResult("there", False))
        stt.streams[0]._results.put_nowait(SttResult("", True))
        stt.streams[0]._results.put_nowait(SttResult("there.", True))
        await asyncio.sleep(0.1)
    assert "finalize" not in stt.streams[0].told
    assert fails(posted) == []
    heard = [(e.text, e.confirmed) for e in posted if isinstance(e, ev.TranscriptReceived)]
    assert heard == [("hello", False), ("there", False), ("", False), ("there.", True)]


# --- another takes over ------------------------------------------------------------------------------------------------

FRAME = 320
SAMPLES_S = 8000


def spoken(number: int) -> bytes:
    """A frame of the word with that number; 0 is silence."""
    return number.to_bytes(2, "little") * (FRAME // 2)


@dataclass
class Ear:
    """Hears words from what it is fed, and breaks after so many frames. finals: after how many words it tells one."""

    name: str
    breaks_after: list[int] = field(default_factory=list)
    finals: int = 4
    times: bool = True
    opened: int = 0
    rates_hz: tuple[int, ...] = (8000,)

    @property
    def capabilities(self) -> SttCapabilities:
        return SttCapabilities(self.rates_hz, interims=True, finalize=True, word_times=self.times)

    async def open(self, options: SttOptions) -> SttStream:
        self.opened += 1
        return EarStream(self, self.breaks_after.pop(0) if self.breaks_after else 10**9)

    async def warm(self, options: SttOptions) -> None: ...

    async def close(self) -> None: ...


class EarStream:
    def __init__(self, ear: Ear, frames: int) -> None:
        self._ear = ear
        self._left = frames
        self._fed = 0
        self._words: list[tuple[int, float, float]] = []
        self._results: asyncio.Queue[SttResult | Exception | None] = asyncio.Queue()

    def feed(self, pcm: bytes) -> None:
        if self._left <= 0:
            return
        self._left -= 1
        number = int.from_bytes(pcm[:2], "little")
        start_s, self._fed = self._fed / SAMPLES_S, self._fed + len(pcm) // 2
        if number and (not self._words or self._words[-1][0] != number):
            if len(self._words) == self._ear.finals:
                self._tell(final=True)
                self._words.clear()
            self._words.append((number, start_s, self._fed / SAMPLES_S))
            self._tell(final=False)
        elif number:
            self._words[-1] = (number, self._words[-1][1], self._fed / SAMPLES_S)
        if not self._left:
            self._results.put_nowait(broken(self._ear.name))

    def _tell(self, *, final: bool, asked: bool = False) -> None:
        words = tuple(Word(f"w{n}", a, b) for n, a, b in self._words)
        text = " ".join(w.text for w in words)
        self._results.put_nowait(SttResult(text, final, asked, words if self._ear.times else ()))

    def voice(self, active: bool) -> None: ...

    def finalize(self) -> None:
        if self._left > 0:
            self._tell(final=False, asked=True)

    def commit(self) -> None:
        self._words.clear()

    async def results(self) -> AsyncIterator[SttResult]:
        while (result := await self._results.get()) is not None:
            if isinstance(result, Exception):
                raise result
            yield result

    async def close(self) -> None:
        self._results.put_nowait(None)


@pytest.mark.parametrize("seed", range(300))
async def test_no_word_is_lost_or_doubled_when_another_takes_over(seed: int) -> None:
    chance = Random(seed)
    ears = [
        Ear(
            "first", [chance.randint(1, 60) for _ in range(chance.randint(1, 2))], finals=chance.randint(2, 6)
        ),
        Ear("second", [chance.randint(1, 90)] * chance.randint(0, 1), finals=chance.randint(2, 6)),
    ]
    posted: list[ev.Event] = []
    told: list[tuple[str, Any]] = []
    routes = [EarRoute(ear) for ear in ears]
    recogniser = Recogniser(
        routes, "caller", 8000, posted.append, tell=lambda kind, f: told.append((kind, f))
    )
    running = asyncio.create_task(recogniser.run())
    await asyncio.sleep(0.1)
    transcript = TurnTranscript()
    turns: list[str] = []
    taken = 0
    number = 0

    def take() -> None:
        nonlocal taken
        for event in posted[taken:]:
            if isinstance(event, ev.TranscriptReceived):
                transcript.apply(event)
            elif isinstance(event, ev.ChildFailed) and not event.repeats:
                transcript.settle()
        taken = len(posted)

    expected: list[str] = []
    for _ in range(3):
        words = range(number + 1, number + 1 + chance.randint(1, 9))
        expected.append(" ".join(f"w{n}" for n in words))
        recogniser.voice(True)
        for number in words:
            for _ in range(chance.randint(5, 12)):
                recogniser.feed(spoken(number))
                await asyncio.sleep(0.02)
        recogniser.voice(False)
        for step in range(90):
            recogniser.feed(spoken(0))
            await asyncio.sleep(0.02)
            if step in (10, 40, 70):
                recogniser.finalize()
        await asyncio.sleep(0.1)
        take()
        turns.append(transcript.text)
        transcript.clear()
        recogniser.commit()
        for _ in range(20):
            recogniser.feed(spoken(0))
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await recogniser.close()
    assert turns == expected
    assert {kind for kind, _ in told} <= {"RouteSwitched"}
    assert bool(told) == (ears[1].opened > 0)


async def test_what_must_be_mended_is_left_to_another_and_the_last_one_ends_the_call() -> None:
    refusing = Stt(errors=[broken("a", "unauthorized", retryable=False)] * 9, name="a")
    stt = Stt(name="b")
    posted: list[ev.Event] = []
    recogniser = Recogniser([EarRoute(refusing), EarRoute(stt)], "caller", 8000, posted.append)
    running = asyncio.create_task(recogniser.run())
    await asyncio.sleep(0.1)
    assert len(stt.streams) == 1
    stt.errors.append(broken("b", "unauthorized", retryable=False))
    stt.streams[0].fail(broken("b", "quota", retryable=False))
    await running
    assert posted[-1] == ev.EndRequested(GIVEN_UP, "quota")
    assert len(refusing.opened_at) == 1


async def test_who_takes_over_is_asked_what_the_one_before_was_asked() -> None:
    first, second = Stt(name="a"), Stt(name="b")
    recogniser = Recogniser([EarRoute(first), EarRoute(second)], "caller", 8000, print)
    running = asyncio.create_task(recogniser.run())
    await asyncio.sleep(0.1)
    recogniser.voice(True)
    recogniser.feed(b"word")
    recogniser.voice(False)
    recogniser.finalize()
    first.streams[0].fail(broken("a"))
    await asyncio.sleep(0.1)
    assert second.streams[0].told == [True, b"word", False, "finalize"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await recogniser.close()


async def test_more_than_can_be_kept_is_not_told_again() -> None:
    first, second = Stt(name="a"), Stt(name="b")
    posted: list[ev.Event] = []
    recogniser = Recogniser([EarRoute(first), EarRoute(second)], "caller", 8000, posted.append)
    running = asyncio.create_task(recogniser.run())
    await asyncio.sleep(0.1)
    recogniser.voice(True)
    for _ in range(module.KEPT_FRAMES + 1):
        recogniser.feed(b"word")
    first.streams[0].fail(broken("a"))
    await asyncio.sleep(0.1)
    assert posted == [ev.ChildFailed("stt", "unavailable", repeats=False)]
    assert second.streams[0].told == [True]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await recogniser.close()


@contextlib.asynccontextmanager
async def heard_by(*stts: Any, rate_hz: int = 8000) -> AsyncIterator[tuple[Recogniser, list[ev.Event]]]:
    posted: list[ev.Event] = []
    recogniser = Recogniser([EarRoute(stt) for stt in stts], "caller", rate_hz, posted.append)
    running = asyncio.create_task(recogniser.run())
    try:
        yield recogniser, posted
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await recogniser.close()


async def test_two_that_cannot_be_reached_for_a_while_are_waited_for_as_long_as_one() -> None:
    """A network that is away for some seconds is away for both."""
    errors: list[BaseException] = [broken("x", "unreachable")] * 3
    first, second = Stt(name="a", errors=[*errors]), Stt(name="b", errors=[*errors])
    async with heard_by(first, second) as (_, posted):
        await asyncio.sleep(20)
        assert first.opened_at == [0, 0.25, 1.75, 7.75]
        assert second.opened_at == [0, 0.75, 3.75]
        assert not any(isinstance(event, ev.EndRequested) for event in posted)
        assert len(first.streams) == 1


async def test_two_that_never_work_end_the_call_when_one_would() -> None:
    first, second = Stt(name="a", errors=[broken("a")] * 99), Stt(name="b", errors=[broken("b")] * 99)
    async with heard_by(first, second) as (_, posted):
        await asyncio.sleep(60)
        assert posted[-1] == ev.EndRequested(GIVEN_UP, "unavailable")
        assert len(first.opened_at) + len(second.opened_at) == module.REOPEN_LIMIT + 2
        assert max(first.opened_at + second.opened_at) == 7.75


async def test_what_was_said_to_one_that_hung_is_heard_by_the_next() -> None:
    """It told nothing of it, and that is found out only some seconds after the voice, by its silence."""
    first, second = Stt(name="a"), Stt(name="b")
    async with heard_by(first, second) as (recogniser, posted):
        await asyncio.sleep(0.1)
        recogniser.voice(True)
        for _ in range(100):
            recogniser.feed(b"ww")
            await asyncio.sleep(0.02)
        recogniser.voice(False)
        for step in range(400):
            recogniser.feed(b"ss")
            await asyncio.sleep(0.02)
            if step % 25 == 0:
                recogniser.finalize()
        assert fails(posted) == ["unanswered"]
        told = second.streams[0].told
        assert told.count(b"ww") == 100
        assert told[0] is True
        assert told[told.index(False) + 1] == "finalize"


async def test_noise_that_nobody_made_words_of_is_not_kept_for_long() -> None:
    first, second = Stt(name="a", finalizes=False), Stt(name="b")
    async with heard_by(first, second) as (recogniser, posted):
        await asyncio.sleep(0.1)
        recogniser.voice(True)
        recogniser.feed(b"nn")
        recogniser.voice(False)
        for _ in range(module.OWED_FRAMES + module.WAITING_FRAMES + 10):
            recogniser.feed(b"ss")
        first.streams[0].fail(broken("a"))
        await asyncio.sleep(0.1)
        assert posted == [ev.ChildFailed("stt", "unavailable", repeats=True)]
        assert len(second.streams[0].told) == module.WAITING_FRAMES


async def test_one_that_breaks_on_being_asked_again_is_not_listened_to_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = Stt(name="a"), Stt(name="b")

    def refuse(self: Stream) -> None:
        if second.streams and self is second.streams[0]:
            raise ConnectionResetError

    monkeypatch.setattr(Stream, "finalize", refuse)
    async with heard_by(first, second) as (recogniser, posted):
        await asyncio.sleep(0.1)
        recogniser.voice(True)
        recogniser.feed(b"word")
        recogniser.voice(False)
        recogniser.finalize()
        first.streams[0].fail(broken("a"))
        await asyncio.sleep(1.0)
        assert fails(posted) == ["unavailable", "ConnectionResetError"]
        assert b"word" in first.streams[1].told


@pytest.mark.parametrize(
    ("first", "second", "wanted", "asked"),
    [
        ((16000, 8000), (16000, 8000), 8000, 2),
        ((16000, 8000), (16000,), 16000, 2),
        ((16000, 8000), (24000,), 8000, 1),
        ((24000, 16000), (16000, 8000), 16000, 2),
    ],
)
async def test_the_rate_is_one_that_all_take_where_there_is_one(
    first: tuple[int, ...], second: tuple[int, ...], wanted: int, asked: int
) -> None:
    routes = [EarRoute(Stt(rates_hz=rates)) for rates in (first, second)]
    recogniser = Recogniser(routes, "caller", 8000, print)
    assert (recogniser.rate_hz, len(recogniser._routes)) == (wanted, asked)


async def test_times_that_are_no_times_do_not_break_it() -> None:
    stt = Stt()
    async with listening(stt) as (recogniser, posted):
        await asyncio.sleep(0.1)
        recogniser.feed(b"word")
        for end_s in (float("nan"), float("inf"), -1.0, 1e300):
            stt.streams[0]._results.put_nowait(SttResult("w", True, words=(Word("w", 0.0, end_s),)))
        await asyncio.sleep(0.1)
        assert (len(posted), fails(posted)) == (4, [])


async def test_times_are_since_the_calls_first_sample_whoever_tells_them() -> None:
    first, second = Stt(name="a"), Stt(name="b")
    async with heard_by(first, second) as (recogniser, posted):
        await asyncio.sleep(0.1)
        recogniser.voice(True)
        for _ in range(100):
            recogniser.feed(bytes(320))
        first.streams[0]._results.put_nowait(SttResult("one", True, words=(Word("one", 0.5, 1.0),)))
        await asyncio.sleep(0.1)
        first.streams[0].fail(broken("a"))
        await asyncio.sleep(0.1)
        second.streams[0]._results.put_nowait(SttResult("two", False, words=(Word("two", 0.25, 0.5),)))
        await asyncio.sleep(0.1)
        words = [event.words for event in posted if isinstance(event, ev.TranscriptReceived)]
        assert words == [(("one", 0.5, 1.0),), (("two", 1.25, 1.5),)]
        assert sum(told == bytes(320) for told in second.streams[0].told) == 50


# --- others listen from now on ---------------------------------------------------------------------------------------


async def test_others_hear_what_was_not_told_for_good_and_nobody_has_broken() -> None:
    first, second = Stt(name="first"), Stt(name="second")
    async with listening(first) as (recogniser, posted):
        await asyncio.sleep(0.1)
        recogniser.voice(True)
        recogniser.feed(b"said")
        assert recogniser.turn_to([EarRoute(second, "de")])
        await asyncio.sleep(0.1)
        assert second.streams[0].told == [True, b"said"]
        recogniser.feed(b"more")
        assert second.streams[0].told[-1] == b"more"
        assert b"more" not in first.streams[0].told
    assert fails(posted) == []


async def test_the_same_ones_go_on() -> None:
    stt = Stt()
    async with listening(stt) as (recogniser, _):
        await asyncio.sleep(0.1)
        assert recogniser.turn_to([EarRoute(stt), EarRoute(Stt())])
        await asyncio.sleep(0.1)
        assert len(stt.streams) == 1


async def test_those_who_want_another_rate_are_not_turned_to() -> None:
    stt = Stt()
    async with listening(stt) as (recogniser, _):
        await asyncio.sleep(0.1)
        assert not recogniser.turn_to([EarRoute(Stt(rates_hz=(24000,)))])
        recogniser.feed(b"said")
        assert stt.streams[0].told == [b"said"]


async def test_whoever_was_being_opened_is_not_waited_for_and_a_broken_one_not_either() -> None:
    slow, next_one = Stt(open_s=1.0), Stt()
    async with listening(slow) as (recogniser, posted):
        await asyncio.sleep(0.1)
        recogniser.feed(b"said")
        assert recogniser.turn_to([EarRoute(next_one)])
        await asyncio.sleep(1.5)
        assert next_one.streams[0].told == [b"said"]
    assert fails(posted) == []
    broken_one, last = Stt(errors=[broken("stt")] * 3), Stt()
    async with listening(broken_one) as (recogniser, posted):
        await asyncio.sleep(0.1)
        assert recogniser.turn_to([EarRoute(last)])
        await asyncio.sleep(3.0)
        assert len(last.streams) == 1
    assert len(fails(posted)) == 1


async def test_what_was_said_and_forgotten_is_told() -> None:
    second = Stt()
    async with listening(Stt()) as (recogniser, posted):
        await asyncio.sleep(0.1)
        recogniser.voice(True)
        for _ in range(module.KEPT_FRAMES + 1):
            recogniser.feed(b"said")
        assert recogniser.turn_to([EarRoute(second)])
        await asyncio.sleep(0.1)
        assert second.streams
    lost = [event for event in posted if isinstance(event, ev.ChildFailed)]
    assert [(each.code, each.repeats) for each in lost] == [("other_recogniser", False)]
